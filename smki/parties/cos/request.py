"""A request to change supplier, as it travels: signed data around lines of JSON.

The first line says who asks for what, each other line is one home. All is bounded before it is parsed.
"""

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, TypeVar

import msgspec

from smki.device.cells import CellUse
from smki.device.update import MAX_CERTIFICATE_OCTETS, MAX_COUNTER, Floors
from smki.entity import EntityId
from smki.errors import InvalidInput
from smki.meter_point import MeterPoint
from smki.pki.signed_data import SignedData, read_signed_data
from smki.pki.verdict import Fault
from smki.words import utc

FORM = "smki change of supplier 1"
MAX_FILE_OCTETS = 1 << 26  # half a million homes of some 120 octets each
MOST_HOMES = 500_000
MOST_DEVICES = 16  # behind one meter point
MAX_LINE_OCTETS = 2048
MAX_HEAD_OCTETS = 4 * MAX_CERTIFICATE_OCTETS + 2048  # three certificates in base64
MAX_REFERENCE = 100
USES = (CellUse.DIGITAL_SIGNATURE, CellUse.KEY_AGREEMENT, CellUse.TOP_UP)
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
_DIGEST_DIGITS = 64
_T = TypeVar("_T")


class _Struct(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class _Certificates(_Struct, frozen=True, rename={"digital_signature": "digitalSignature",
                                                  "key_agreement": "keyAgreement",
                                                  "top_up": "prePaymentTopUp"}):  # fmt: skip
    digital_signature: str
    key_agreement: str
    top_up: str


class _Floors(_Struct, frozen=True):
    commands: str
    top_ups: str


class _Head(_Struct, frozen=True):
    form: str
    act: Literal["change"]
    supplier: str
    made: str
    certificates: _Certificates
    floors: _Floors


class _CancelHead(_Struct, frozen=True):
    form: str
    act: Literal["cancel"]
    supplier: str
    made: str
    request: str


class _Line(_Struct, frozen=True):
    reference: str
    meter_point: str
    devices: list[str] = []
    at: str | None = None


class _CancelLine(_Struct, frozen=True):
    reference: str


@dataclass(frozen=True, slots=True)
class Home:
    """One home that is to have another supplier."""

    reference: str
    meter_point: MeterPoint
    devices: tuple[EntityId, ...] = ()
    """None: all that stand behind the meter point."""
    at: datetime | None = None
    """None: at once."""


@dataclass(frozen=True, slots=True)
class Misread:
    """A line that says nothing we understand."""

    reference: str
    fault: Fault


@dataclass(frozen=True, slots=True)
class Asked:
    """A request to change supplier: what all its homes share, and the lines that name them."""

    digest: bytes
    """SHA-256 of its content: what it is known by, whoever signs it again."""
    supplier: EntityId
    made: datetime
    certificates: tuple[bytes, ...]
    """For signatures, for key agreement, for top-ups."""
    floors: Floors
    lines: tuple[bytes, ...]

    def homes(self) -> Iterator[Home | Misread]:
        for number, line in enumerate(self.lines, 2):
            try:
                yield _home(line)
            except InvalidInput as error:
                fault = Fault(error.code, f"line {number}: {error.message}", error.remedy)
                yield Misread(f"line {number}", fault)


@dataclass(frozen=True, slots=True)
class Cancelling:
    """A request to take back what an earlier one put off."""

    digest: bytes
    supplier: EntityId
    made: datetime
    request: bytes
    """The digest of the earlier one."""
    references: frozenset[str]
    """None: all of it."""


@dataclass(frozen=True, slots=True)
class Received:
    """What came: believed once its signature was checked, and not before."""

    asked: Asked | Cancelling
    signed: SignedData


# Reading


def read_request(data: bytes) -> Received:
    """A signed request from outside, or an error that names what is wrong with its form."""
    if len(data) > MAX_FILE_OCTETS:
        raise _form(f"{len(data)} octets, and {MAX_FILE_OCTETS} is the limit", "size")
    signed = read_signed_data(data)
    return Received(read_content(signed.content), signed)


def read_kept(file: bytes) -> Asked | Cancelling:
    """One from the store: a supplier's is signed data; an officer's order is its content alone."""
    try:
        return read_request(file).asked
    except InvalidInput:
        return read_content(file)


def read_content(content: bytes) -> Asked | Cancelling:
    if content.count(b"\n") > MOST_HOMES + 1:
        raise _form(f"more than {MOST_HOMES} homes", "size")
    lines = content.split(b"\n")
    if lines[-1]:
        raise _form("its last line has no end")
    head, rest = _json(lines[0], MAX_HEAD_OCTETS), lines[1:-1]
    digest = hashlib.sha256(content).digest()
    if isinstance(head, dict) and head.get("act") == "cancel":
        return _cancelling(digest, _typed(head, _CancelHead), rest)
    if not rest:
        raise _form("it names no home")
    return _asked(digest, _typed(head, _Head), rest)


def _asked(digest: bytes, head: _Head, lines: Sequence[bytes]) -> Asked:
    _check_form(head.form)
    written = head.certificates
    return Asked(
        digest=digest,
        supplier=EntityId.parse(head.supplier),
        made=moment(head.made),
        certificates=tuple(
            _octets(text) for text in (written.digital_signature, written.key_agreement, written.top_up)
        ),
        floors=Floors(counter(head.floors.commands), counter(head.floors.top_ups)),
        lines=tuple(lines),
    )


def _cancelling(digest: bytes, head: _CancelHead, lines: Sequence[bytes]) -> Cancelling:
    _check_form(head.form)
    try:
        request = bytes.fromhex(head.request) if len(head.request) == _DIGEST_DIGITS else b""
    except ValueError:
        request = b""
    if not request:
        raise _form("it names no request by the 64 digits of its SHA-256")
    references = frozenset(_typed(_json(line, MAX_LINE_OCTETS), _CancelLine).reference for line in lines)
    return Cancelling(digest, EntityId.parse(head.supplier), moment(head.made), request, references)


def _home(line: bytes) -> Home:
    read = _typed(_json(line, MAX_LINE_OCTETS), _Line)
    # Whether its check digits agree is nobody's question here: only a registered one is served.
    point = MeterPoint.parse(read.meter_point, mprn_check=False)
    return home_of(read.reference, point, read.devices, None if read.at is None else moment(read.at))


def home_of(reference: str, meter_point: MeterPoint, devices: Sequence[str], at: datetime | None) -> Home:
    """One home, its reference and its number of devices within bounds."""
    if not 0 < len(reference) <= MAX_REFERENCE or not reference.isprintable():
        raise _form(f"a reference has 1 to {MAX_REFERENCE} characters that can be printed", "line")
    if len(devices) > MOST_DEVICES:
        raise _form(f"{len(devices)} devices, and {MOST_DEVICES} is the limit", "line")
    return Home(reference, meter_point, tuple(EntityId.parse(text) for text in devices), at)


def _json(line: bytes, most: int) -> Any:
    """One document; a key that comes twice is an error: readers differ on which counts."""
    if len(line) > most:
        raise _form(f"a line of {len(line)} octets, and {most} is the limit", "line")
    try:
        return json.loads(line.decode("utf-8"), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise _form(f"no JSON: {str(error)[:80]}", "line") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key comes twice")
    return found


def _typed(found: Any, kind: type[_T]) -> _T:
    try:
        return msgspec.convert(found, kind)
    except (msgspec.ValidationError, UnicodeEncodeError, RecursionError) as error:  # half a character is no text
        raise _form(str(error)[:120], "line") from None


def _check_form(form: str) -> None:
    if form != FORM:
        raise _form(f"it is of form {form[:40]!r}, and {FORM!r} is read here")


def _octets(text: str) -> bytes:
    try:
        octets = base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        raise _form("a certificate that is not base64") from None
    if len(octets) > MAX_CERTIFICATE_OCTETS:
        raise _form(f"a certificate of {len(octets)} octets, and {MAX_CERTIFICATE_OCTETS} is the limit")
    return octets


def moment(text: str) -> datetime:
    """A time in UTC, to the second, in the one form it has here."""
    try:
        if _TIME.fullmatch(text):
            return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        pass
    raise InvalidInput("cos.time", f"{text[:40]!r} is no time in UTC", "write it as 2026-12-01T00:00:00Z")


def counter(text: str) -> int:
    digits = text.isascii() and text.isdigit() and len(text) <= len(str(MAX_COUNTER))
    if not digits or str(int(text)) != text or int(text) > MAX_COUNTER:
        raise InvalidInput("cos.counter", f"{text[:30]!r} is no counter", f"give 0 to {MAX_COUNTER} in digits")
    return int(text)


def _form(reason: str, code: str = "form") -> InvalidInput:
    return InvalidInput(f"cos.{code}", f"no request to change supplier: {reason}", "`smki cos request` makes one")


# Writing


def write_change(
    supplier: EntityId,
    made: datetime,
    certificates: Sequence[bytes],
    floors: Floors,
    homes: Iterable[Home],
) -> bytes:
    """The content of a request, ready to be signed."""
    words = ("digitalSignature", "keyAgreement", "prePaymentTopUp")
    head = {
        "form": FORM,
        "act": "change",
        "supplier": str(supplier),
        "made": utc(made),
        "certificates": {word: base64.b64encode(der).decode() for word, der in zip(words, certificates, strict=True)},
        "floors": {"commands": str(floors.counter), "top_ups": str(floors.top_up or 0)},
    }
    return _lines(head, (_written(home) for home in homes))


def _written(home: Home) -> dict[str, Any]:
    line: dict[str, Any] = {"reference": home.reference, "meter_point": str(home.meter_point)}
    if home.devices:
        line["devices"] = [str(device) for device in home.devices]
    if home.at is not None:
        line["at"] = utc(home.at)
    return line


def write_cancel(supplier: EntityId, made: datetime, request: bytes, references: Iterable[str]) -> bytes:
    head = {"form": FORM, "act": "cancel", "supplier": str(supplier), "made": utc(made), "request": request.hex()}
    return _lines(head, ({"reference": reference} for reference in references))


def _lines(head: dict[str, Any], lines: Iterable[dict[str, Any]]) -> bytes:
    return b"".join(msgspec.json.encode(item) + b"\n" for item in (head, *lines))
