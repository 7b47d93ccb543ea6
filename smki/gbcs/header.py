"""The Grouping Header: who says what to whom, and which number the saying has (GBCS 7.2, DLMS general-signing).

Reading and writing are each other's inverse: one form for each header, lengths in their shortest form, no octet over.
"""

from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from struct import Struct
from typing import Self

from smki.entity import EUI64_OCTETS, EntityId
from smki.errors import InvalidInput

GENERAL_SIGNING = 0xDF
MIN_HEADER_OCTETS = 34
DATE_TIME_OCTETS = 12
MAX_COUNTER = (1 << 64) - 1
MAX_CONTENT_OCTETS = 0xFFFF  # what a length of three octets can say
_SHORT_LENGTH, _ONE_OCTET, _TWO_OCTETS = 0x80, 0x81, 0x82
_LENGTH_OCTETS = 2
_NO_LENGTH = 0xFF  # begins no length of two octets or fewer: stands for the one that is missing
_TRANSACTION_OCTETS = 9  # the CRA flag and the counter
_START = Struct(">BBBQB8sB8sB")
_SEQUENCE = 0x30
# Octets of other-information: message code, then what supplements it.
_CODE, _PARTY, _COUNTER, _ORIGINATOR_COUNTER = 2, 10, 18, 26


class Cra(IntEnum):
    """Command, Response or Alert: the flag in front of the counter."""

    COMMAND = 1
    RESPONSE = 2
    ALERT = 3


_CRAS = {flag.value: flag for flag in Cra}


class MessageCode(int):
    """The number of a use case (GBCS 15)."""

    def __new__(cls, value: int) -> Self:
        if not 0 <= value <= 0xFFFF:
            raise InvalidInput("gbcs.code", f"{value} is no message code", "give a number of 16 bits, such as 0x0050")
        return super().__new__(cls, value)

    @classmethod
    def parse(cls, text: str) -> "MessageCode":
        """Read `0x0050` or `0050`."""
        digits = text.lower().removeprefix("0x")
        if not 1 <= len(digits) <= 4 or not set(digits) <= set("0123456789abcdef"):
            raise InvalidInput("gbcs.code", f"{text[:20]!r} is no message code", "write it as 0x0050")
        return cls(int(digits, 16))

    def __str__(self) -> str:
        return f"0x{int(self):04X}"

    def __repr__(self) -> str:
        return f"MessageCode({self})"


@dataclass(frozen=True, slots=True)
class Supplementary:
    """The user for whom the access control broker speaks, and what an answer to it is encrypted with (GBCS 7.2.7)."""

    party: EntityId
    counter: int | None = None
    originator_counter: int | None = None
    """Of the device, in a response with encrypted parts."""
    certificate: bytes | None = None
    """The user's key agreement certificate, DER, in a command that reads what is encrypted."""


@dataclass(frozen=True)
class Header:
    """What every message begins with."""

    cra: Cra
    counter: int
    originator: EntityId
    target: EntityId
    code: MessageCode
    supplementary: Supplementary | None = None
    date_time: bytes = b""
    """When a response was made, as DLMS date-time; most have none."""

    def __post_init__(self) -> None:
        if not 0 <= self.counter <= MAX_COUNTER:
            raise _wrong(f"counter {self.counter} has not 64 bits")
        if self.date_time and (len(self.date_time) != DATE_TIME_OCTETS or self.cra is not Cra.RESPONSE):
            raise _wrong("only a response carries a date-time, of 12 octets")
        if self.supplementary is not None:
            _check_supplementary(self.supplementary, self.cra)

    def encode(self, content: int) -> bytes:
        """The header in front of a payload of so many octets."""
        start = _START.pack(
            GENERAL_SIGNING,
            _TRANSACTION_OCTETS,
            self.cra,
            self.counter,
            EUI64_OCTETS,
            self.originator.octets,
            EUI64_OCTETS,
            self.target.octets,
            len(self.date_time),
        )
        other = _other_information(self)
        return start + self.date_time + encode_length(len(other)) + other + encode_length(content)


def _check_supplementary(extra: Supplementary, cra: Cra) -> None:
    for counter in (extra.counter, extra.originator_counter):
        if counter is not None and not 0 <= counter <= MAX_COUNTER:
            raise _wrong(f"supplementary counter {counter} has not 64 bits")
    if extra.counter is None:
        fits = cra is Cra.ALERT and extra.originator_counter is None and extra.certificate is None
    elif extra.originator_counter is not None:
        fits = cra is Cra.RESPONSE and extra.certificate is None
    else:
        fits = extra.certificate is None or cra is Cra.COMMAND
    if not fits:
        raise _wrong(f"other-information of a form that no {cra.name.lower()} has")
    if extra.certificate is not None and not _is_one_sequence(extra.certificate):
        raise _wrong("other-information ends in octets that are no certificate")


def _is_one_sequence(der: bytes) -> bool:
    """Whether DER of 256 octets or more is one SEQUENCE and nothing after it: the least a certificate is."""
    return len(der) >= 260 and der[:2] == bytes((_SEQUENCE, _TWO_OCTETS)) and int.from_bytes(der[2:4]) == len(der) - 4


def _other_information(header: Header) -> bytes:
    code = int(header.code).to_bytes(2)
    extra = header.supplementary
    if extra is None:
        return code
    counters = b"".join(
        counter.to_bytes(8) for counter in (extra.counter, extra.originator_counter) if counter is not None
    )
    return code + extra.party.octets + counters + (extra.certificate or b"")


def read_header(data: bytes, start: int, end: int) -> tuple[Header, int, int]:
    """The header that begins at `start`; where its payload begins; how long that is. It ends before `end`."""
    if end - start < MIN_HEADER_OCTETS:
        raise _wrong(f"{end - start} octets are too few for a message")
    tag, transaction, flag, counter, first, originator, second, target, dated = _START.unpack_from(data, start)
    if tag != GENERAL_SIGNING or transaction != _TRANSACTION_OCTETS or not first == second == EUI64_OCTETS:
        raise _wrong("it does not begin as a Grouping Header does (DF 09 ... 08 ... 08 ...)")
    cra = _CRAS.get(flag)
    if cra is None:
        raise _wrong(f"its CRA flag is {flag}, which is neither command, response nor alert")
    dates = start + _START.size
    if dated and dated != DATE_TIME_OCTETS:
        raise _wrong(f"its date-time has {dated} octets")
    at = dates + dated
    length = data[at] if at < end else _NO_LENGTH
    length, at = (length, at + 1) if length < _SHORT_LENGTH else read_length(data, at)
    after = at + length
    code = _code(data[at : at + _CODE])
    parties = EntityId(originator), EntityId(target)
    if dated or length != _CODE:
        extra = None if length == _CODE else _supplementary(data[at:after])
        header = Header(cra, counter, *parties, code, extra, data[dates : dates + dated])
    else:
        header = _plain(cra, counter, *parties, code)
    content = data[after] if after < end else _NO_LENGTH
    if content < _SHORT_LENGTH:  # as most are
        return header, after + 1, content
    content, at = read_length(data, after)
    if at > end:
        raise _wrong(f"it ends at octet {end}, before its payload")
    return header, at, content


def _plain(cra: Cra, counter: int, originator: EntityId, target: EntityId, code: MessageCode) -> Header:
    """A header that nothing supplements, of parts as they were read. Millions are made: not field by field."""
    header = object.__new__(Header)
    header.__dict__.update(
        cra=cra, counter=counter, originator=originator, target=target, code=code, supplementary=None, date_time=b""
    )
    return header


@lru_cache(maxsize=1024)
def _code(octets: bytes) -> MessageCode:
    return MessageCode(int.from_bytes(octets))


def _supplementary(other: bytes) -> Supplementary:
    size = len(other)
    if size < _ORIGINATOR_COUNTER and size not in {_PARTY, _COUNTER}:
        raise _wrong(f"its other-information has {size} octets")
    party = EntityId(other[_CODE:_PARTY])
    if size == _PARTY:
        return Supplementary(party)
    counter = int.from_bytes(other[_PARTY:_COUNTER])
    if size == _ORIGINATOR_COUNTER:
        return Supplementary(party, counter, int.from_bytes(other[_COUNTER:]))
    return Supplementary(party, counter, certificate=other[_COUNTER:] or None)


# Lengths (BER, at most two octets of number)


def encode_length(length: int) -> bytes:
    if length < _SHORT_LENGTH:
        return bytes((length,))
    if length <= 0xFF:
        return bytes((_ONE_OCTET, length))
    if length <= MAX_CONTENT_OCTETS:
        return bytes((_TWO_OCTETS, length >> 8, length & 0xFF))
    raise _wrong(f"{length} octets are more than a message can hold")


def read_length(data: bytes, at: int) -> tuple[int, int]:
    """A length in its shortest form, and where what follows it begins."""
    first = data[at] if at < len(data) else _NO_LENGTH
    if first < _SHORT_LENGTH:
        return first, at + 1
    more = first - _SHORT_LENGTH
    if not 1 <= more <= _LENGTH_OCTETS or at + 1 + more > len(data):
        raise _wrong(f"there is no length at octet {at}")
    length = data[at + 1] if more == 1 else data[at + 1] << 8 | data[at + 2]
    if length < (_SHORT_LENGTH if more == 1 else 0x100):
        raise _wrong(f"the length at octet {at} is not in its shortest form")
    return length, at + 1 + more


def _wrong(reason: str) -> InvalidInput:
    return InvalidInput("gbcs.form", f"no GBCS message: {reason}", "ask its sender for the whole message, unchanged")
