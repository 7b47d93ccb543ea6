"""What is asked to be revoked: which certificates, why, by whom, on what evidence; as typed, or as signed.

A signed request is CMS around a few lines that a person can write and read:

    smki revocation request v1
    requested-by Ann Ash
    reason key-compromise
    made-at 2026-11-21T10:00:00Z
    compromised-at 2026-11-21T08:30:00Z
    evidence stolen from the office in Leeds, crime number 4711
    4A07BC01D9253B51FAF01F7EC7DA5B2F
"""

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from smki.authority.revocation.policy import Requester
from smki.authority.safe_files import read_bounded
from smki.errors import InvalidInput, Refused
from smki.pki.reason import Reason
from smki.pki.serial import Serial
from smki.pki.signed_data import SignedData, read_signed_data
from smki.words import MOMENT, utc

MAX_REQUEST_OCTETS = 1 << 26  # a million lines of a serial number
MAX_EVIDENCE_OCTETS = 1 << 28
MAX_TEXT = 1000
_MAX_NAME = 100
_MAX_LINE = 64
_MOST_FIELDS = 6  # lines before the serial numbers
_FIRST_LINE = "smki revocation request v1"
_FIELD = re.compile(r"(requested-by|reason|made-at|compromised-at|evidence) (\S.*)")
_WANTED = {"requested-by", "reason", "made-at", "evidence"}


@dataclass(frozen=True, slots=True)
class Evidence:
    """What somebody says or shows: words, or the digest of a file that is kept elsewhere."""

    text: str = ""
    sha256: str = ""

    @classmethod
    def given(cls, value: str) -> "Evidence":
        """A text has a blank in it; anything else is the name of a file."""
        if " " in value.strip():
            return cls(text=_text(value.strip()))
        try:
            data = read_bounded(Path(value), MAX_EVIDENCE_OCTETS, "evidence")
        except InvalidInput as error:  # as often a single word as a wrong name
            raise InvalidInput(error.code, error.message, "name a file, or say it in several words") from None
        return cls(sha256=hashlib.sha256(data).hexdigest())


@dataclass(frozen=True, slots=True)
class Asked:
    """A request to revoke."""

    reason: Reason
    requested_by: str
    evidence: Evidence
    serials: tuple[Serial, ...] = ()
    organisation: str | None = None
    """In place of serial numbers: all that this one has."""
    compromised_at: datetime | None = None
    capacity: Requester | None = None
    """In which the one who asks does so; None: as it turns out."""
    made_at: datetime | None = None
    signed: SignedData | None = field(default=None, repr=False)


def asker_of(text: str) -> tuple[str, Requester | None]:
    """A name, and before a colon the capacity where somebody has two."""
    word, colon, name = text.partition(":")
    capacity = next((one for one in Requester if colon and one.value == word), None)
    return _name(text if capacity is None else name.strip()), capacity


def serials_in(source: IO[bytes], most: int) -> tuple[Serial, ...]:
    """A serial number a line, each once."""
    found: dict[Serial, None] = {}
    number = 0
    while line := source.readline(_MAX_LINE + 1):
        number += 1
        text = line.decode("ascii", "replace").strip()
        if len(line) > _MAX_LINE:
            raise InvalidInput("revoke.line", f"line {number} is no serial number", "give one a line")
        if text:
            found[Serial.parse(text)] = None
        if len(found) > most:
            raise Refused("revoke.count", f"more than {most} certificates", "ask in parts")
    return tuple(found)


def read_request(data: bytes, most: int) -> Asked:
    """A signed request, believed in nothing yet."""
    if len(data) > MAX_REQUEST_OCTETS:
        raise _form(f"more than {MAX_REQUEST_OCTETS} octets")
    try:
        signed = read_signed_data(data)
    except InvalidInput as error:
        raise _form(error.message) from None
    return _read_content(signed, most)


def _read_content(signed: SignedData, most: int) -> Asked:
    if signed.content.count(b"\n") > most + _MOST_FIELDS:
        raise _form(f"it has more lines than {most} certificates take")
    try:
        # What ends a line for a program ends it for whoever reads before signing: no separators but these.
        first, *lines = signed.content.decode("utf-8").replace("\r\n", "\n").removesuffix("\n").split("\n")
    except ValueError:
        raise _form("it is not text") from None
    if first != _FIRST_LINE:
        raise _form(f"its first line is not {_FIRST_LINE!r}")
    fields: dict[str, str] = {}
    while lines and (match := _FIELD.fullmatch(lines[0])):
        if match[1] in fields:
            raise _form(f"it says {match[1]} twice")
        fields[match[1]] = match[2]
        del lines[0]
    if missing := _WANTED - fields.keys():
        raise _form(f"it does not say {', '.join(sorted(missing))}")
    if not 1 <= len(lines) <= most:
        raise _form(f"it names {len(lines)} certificates, and may name 1 to {most}")
    name, capacity = asker_of(fields["requested-by"])
    return Asked(
        reason=Reason.parse(fields["reason"]),
        requested_by=name,
        evidence=Evidence(text=_text(fields["evidence"])),
        serials=tuple(dict.fromkeys(_serial(line) for line in lines)),
        compromised_at=_moment(fields["compromised-at"]) if "compromised-at" in fields else None,
        capacity=capacity,
        made_at=_moment(fields["made-at"]),
        signed=signed,
    )


def write_request(asked: Asked, made_at: datetime) -> bytes:
    """The content that an officer signs."""
    capacity = "" if asked.capacity is None else f"{asked.capacity.value}:"
    return "".join(f"{line}\n" for line in _lines(asked, capacity, made_at)).encode()


def _lines(asked: Asked, capacity: str, made_at: datetime) -> Iterator[str]:
    yield _FIRST_LINE
    yield f"requested-by {capacity}{asked.requested_by}"
    yield f"reason {asked.reason.word}"
    yield f"made-at {utc(made_at)}"
    if asked.compromised_at is not None:
        yield f"compromised-at {utc(asked.compromised_at)}"
    yield f"evidence {asked.evidence.text or asked.evidence.sha256}"
    yield from map(str, asked.serials)


def words(found: Iterable[str], most: int = 3) -> str:
    """The first few, and how many more."""
    every = list(found)
    return ", ".join(every[:most]) + (f" and {len(every) - most} more" if len(every) > most else "")


def _serial(line: str) -> Serial:
    if len(line) > _MAX_LINE:
        raise _form("a line is longer than any serial number")
    return Serial.parse(line)


def _moment(text: str) -> datetime:
    try:
        return datetime.strptime(text, MOMENT).replace(tzinfo=UTC)
    except ValueError:
        raise _form(f"{text[:30]!r} is no time: write it as 2026-11-21T10:00:00Z") from None


def _name(text: str) -> str:
    if not 1 <= len(text) <= _MAX_NAME or not text.isprintable():
        raise InvalidInput("revoke.name", f"{text[:40]!r} is no name", "name who asks for it")
    return text


def _text(text: str) -> str:
    if len(text) > MAX_TEXT or not text.isprintable():
        raise InvalidInput(
            "revoke.evidence", f"a text of {len(text)} characters, or with controls", "put it in a file"
        )
    return text


def _form(reason: str) -> InvalidInput:
    return InvalidInput(
        "revoke.request-form",
        f"the request cannot be read: {reason}",
        "make one with `smki cert request-revocation`; docs/revocation.md shows its form",
    )
