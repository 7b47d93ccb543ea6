"""What an officer signs about commands that are held: a few lines that a person can read, and one for each command.

    smki quarantine confirmation v1
    workspace 0f1e2d3c4b5a69788796a5b4c3d2e1f0
    decision release
    officer Ann Ash
    made-at 2026-11-21T10:00:00Z
    reason ordered by Collections, ticket 4711
    2c9f... ECS43 Open the Load Switch in ESME, 00-DB-12-34-56-78-90-A0, counter 1000

It is signed as CMS (`openssl cms -sign -binary -nodetach -outform DER`). Pure.
"""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from smki.errors import InvalidInput
from smki.gbcs.header import MessageCode
from smki.gbcs.use_case import UseCases
from smki.store.admission_records import Decision, QuarantineRecord
from smki.words import utc

MAX_OCTETS = 1 << 26
MAX_REASON = 1000
_FIRST_LINE = "smki quarantine confirmation v1"
_MOMENT = "%Y-%m-%dT%H:%M:%SZ"
_FIELDS = ("workspace", "decision", "officer", "made-at", "reason")
_ITEM = re.compile(r"([0-9a-f]{64}) (\S.{0,400})")


@dataclass(frozen=True, slots=True)
class Confirmation:
    """One officer's word, believed in nothing yet."""

    workspace: str
    decision: Decision
    officer: str
    made_at: datetime
    reason: str
    items: tuple[tuple[bytes, str], ...]
    """Each command's digest, and what it is in words."""

    @property
    def digests(self) -> tuple[bytes, ...]:
        return tuple(digest for digest, _ in self.items)

    def content(self) -> bytes:
        """What is signed."""
        values = (self.workspace, self.decision, self.officer, utc(self.made_at), self.reason)
        lines = [_FIRST_LINE, *(f"{name} {value}" for name, value in zip(_FIELDS, values, strict=True))]
        lines += [f"{digest.hex()} {words}" for digest, words in self.items]
        return "".join(f"{line}\n" for line in lines).encode()


def items_of(records: Iterable[QuarantineRecord], use_cases: UseCases) -> tuple[tuple[bytes, str], ...]:
    """Each with the words that stand beside its digest."""
    labels: dict[int, str] = {}
    found = []
    for one in records:
        label = labels.get(one.code)
        if label is None:
            row = use_cases.get(MessageCode(one.code))
            label = labels[one.code] = f"0x{one.code:04X}" if row is None else row.label
        found.append((one.digest, f"{label}, {one.target}, counter {one.counter}"))
    return tuple(found)


def set_digest(digests: Iterable[bytes]) -> str:
    """What names a set of commands, in whatever order."""
    return hashlib.sha256(b"".join(sorted(digests))).hexdigest()


def read_confirmation(content: bytes, most: int) -> Confirmation:
    """Read what was signed; more than `most` commands are refused."""
    if len(content) > MAX_OCTETS:
        raise _form(f"more than {MAX_OCTETS} octets")
    try:
        lines = content.decode("utf-8").split("\n")
    except UnicodeDecodeError:
        raise _form("it is not text") from None
    if lines[0] != _FIRST_LINE or len(lines) < len(_FIELDS) + 3 or lines[-1]:
        raise _form(f"it is not {_FIRST_LINE!r} and whole lines after it")
    values = []
    for name, line in zip(_FIELDS, lines[1:], strict=False):
        word, _, value = line.partition(" ")
        if word != name or not value or not value.isprintable() or len(value) > MAX_REASON:
            raise _form(f"its line of {name!r} is missing, empty or too long")
        values.append(value)
    workspace, decision, officer, made_at, reason = values
    if decision not in {"release", "reject"}:
        raise _form(f"it decides {decision[:20]!r}")
    rest = lines[1 + len(_FIELDS) : -1]
    if len(rest) > most:
        raise _form(f"it names {len(rest)} commands, and may name {most}")
    items: dict[bytes, str] = {}
    for line in rest:
        match = _ITEM.fullmatch(line)
        if match is None or not line.isprintable() or bytes.fromhex(match[1]) in items:
            raise _form("a line is no command, or stands there twice")
        items[bytes.fromhex(match[1])] = match[2]
    decided: Decision = "release" if decision == "release" else "reject"
    return Confirmation(workspace, decided, officer, _moment(made_at), reason, (*items.items(),))


def _moment(text: str) -> datetime:
    """In the one form it is written in: what is signed is read in no other."""
    try:
        found = datetime.strptime(text, _MOMENT).replace(tzinfo=UTC)
    except ValueError:
        found = None
    if found is None or utc(found) != text:
        raise _form(f"{text[:30]!r} is no time")
    return found


def _form(reason: str) -> InvalidInput:
    return InvalidInput(
        "quarantine.form",
        f"the confirmation cannot be read: {reason}",
        "`smki broker quarantine draft` makes its text",
    )
