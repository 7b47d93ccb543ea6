"""Prepayment top-up tokens: 20 digits a customer can key in, and only the supplier could have made (GBCS 14).

The first digits say how much and which token it is; 32 bits of a MAC say that it is the supplier's; the last digit
catches slips of the finger.
"""

import hmac
from dataclasses import dataclass
from enum import IntEnum
from typing import Self

from smki.entity import EntityId
from smki.errors import InvalidInput
from smki.gbcs.agreement import KeyInfo, Purpose, SharedSecret
from smki.gbcs.gcm import authenticate
from smki.gbcs.header import MAX_COUNTER

MAX_VALUE = (1 << 13) - 1
MAX_TOKEN_NUMBER = (1 << 32) - 1
UTRN_DIGITS = 20
_COUNTER_BITS = 10
COUNTER_MASK = (1 << _COUNTER_BITS) - 1
_CLASS_SHIFT, _COUNTER_SHIFT, _MAC_BITS = 13, 15, 32
_MAC_OCTETS = _MAC_BITS // 8
_OFFSET = 7394156990786306048  # added so that a token never begins with the digits of another kind (GBCS 14.5)
_AAD_PREFIX = bytes.fromhex("110000000000")
_COMMAND = b"\x01"


class ValueClass(IntEnum):
    """The unit of a token's value."""

    PENCE = 0
    POUNDS = 1

    @property
    def word(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class TopUp:
    """What a token is for. `number` tells one token of a supplier for a device from another; it only ever grows."""

    originator: EntityId
    target: EntityId
    number: int
    value_class: ValueClass
    value: int

    def __post_init__(self) -> None:
        if not 0 <= self.value <= MAX_VALUE:
            raise InvalidInput(
                "topup.value", f"a token of {self.value} {self.value_class.word}", f"give 0 to {MAX_VALUE}"
            )
        if not 0 <= self.number <= MAX_TOKEN_NUMBER:
            raise InvalidInput("topup.number", f"token number {self.number}", f"give 0 to {MAX_TOKEN_NUMBER}")

    @property
    def counter(self) -> int:
        """The Originator Counter of the command that carries the token: its number in the upper half."""
        return self.number << 32

    @property
    def spoken(self) -> int:
        """The upper half of the token: 7 zero bits, the number's low 10, class, value."""
        return (self.number & COUNTER_MASK) << _COUNTER_SHIFT | self.value_class << _CLASS_SHIFT | self.value


@dataclass(frozen=True, slots=True)
class Utrn:
    """A Unique Transaction Reference Number: twenty digits with a check digit that is right."""

    digits: str

    def __post_init__(self) -> None:
        if len(self.digits) != UTRN_DIGITS or not (self.digits.isascii() and self.digits.isdigit()):
            raise InvalidInput("topup.form", "a UTRN has 20 digits", "read them again from the receipt")
        if check_digit(self.digits[:-1]) != self.digits[-1]:
            raise InvalidInput("topup.check-digit", "the check digit is wrong", "read the digits again")
        if not 0 <= self._token < 1 << 57:
            raise InvalidInput("topup.form", "these digits are no token of this system", "read the digits again")

    @classmethod
    def typed(cls, text: str) -> Self:
        """As a person reads it out: in groups, with blanks or hyphens between them."""
        return cls("".join(text.replace("-", " ").split()))

    @property
    def _token(self) -> int:
        return int(self.digits[:-1]) - _OFFSET

    @property
    def spoken(self) -> int:
        """What the token says, as `TopUp.spoken`."""
        return self._token >> _MAC_BITS

    @property
    def mac(self) -> bytes:
        return (self._token & ((1 << _MAC_BITS) - 1)).to_bytes(_MAC_OCTETS)

    @property
    def value(self) -> int:
        return self.spoken & MAX_VALUE

    @property
    def value_class(self) -> ValueClass:
        number = self.spoken >> _CLASS_SHIFT & 3
        try:
            return ValueClass(number)
        except ValueError:
            raise InvalidInput("topup.class", f"a token of value class {number}", "ask who made it") from None

    @property
    def number_bits(self) -> int:
        """The low ten bits of the token's number."""
        return self.spoken >> _COUNTER_SHIFT & COUNTER_MASK

    def __str__(self) -> str:
        return self.digits


def make_utrn(top_up: TopUp, secret: SharedSecret) -> Utrn:
    """The token; `secret` is agreed by the supplier's top-up key and the device's key agreement key."""
    token = top_up.spoken << _MAC_BITS | int.from_bytes(_mac(top_up, secret))
    digits = f"{token + _OFFSET:019d}"
    return Utrn(digits + check_digit(digits))


def utrn_holds(utrn: Utrn, top_up: TopUp, secret: SharedSecret) -> bool:
    return utrn.spoken == top_up.spoken and hmac.compare_digest(utrn.mac, _mac(top_up, secret))


def _mac(top_up: TopUp, secret: SharedSecret) -> bytes:
    info = KeyInfo(top_up.originator, Purpose.COMMAND, top_up.counter, top_up.target)
    aad = b"".join(
        (
            _AAD_PREFIX,
            top_up.originator.octets,
            top_up.target.octets,
            _COMMAND,
            top_up.counter.to_bytes(8),
            top_up.spoken.to_bytes(4),
        )
    )
    return authenticate(secret.message_key(info), info.iv, aad)[-_MAC_OCTETS:]


def read_top_up(utrn: Utrn, originator: EntityId, target: EntityId, highest: int) -> TopUp:
    """What a token says to a device whose highest token number so far is `highest` (GBCS 14.4, annex table 27).

    A token carries ten bits of its number: it is the number nearest to the highest seen that has them.
    """
    place = highest & COUNTER_MASK
    received = utrn.number_bits
    half = (COUNTER_MASK + 1) // 2
    if received < place - half:
        received += COUNTER_MASK + 1
    elif received > place + half:
        received -= COUNTER_MASK + 1
    number = highest - place + received
    if not 0 <= number <= MAX_COUNTER >> 32:
        raise InvalidInput("topup.number", "its number is out of reach of those used so far", "ask for another")
    return TopUp(originator, target, number, utrn.value_class, utrn.value)


# The check digit: Verhoeff's, as GBCS 14.6 varies it

_PERMUTED = (
    "0123456789",
    "1576283094",
    "5803796142",
    "8916043527",
    "9453126870",
    "4286573901",
    "2793806415",
    "7046913258",
)
_DIHEDRAL = (
    "0123456789",
    "1234067895",
    "2340178956",
    "3401289567",
    "4012395678",
    "5987604321",
    "6598710432",
    "7659821043",
    "8765932104",
    "9876543210",
)
_INVERSE = "1267583094"
_FIRST_ROW = 4


def check_digit(digits: str) -> str:
    """The digit to append."""
    row, state = _FIRST_ROW, 0
    for digit in digits:
        state = int(_DIHEDRAL[state][int(_PERMUTED[row][int(digit)])])
        row = (row + 1) % len(_PERMUTED)
    return _INVERSE[state]
