"""Meter points: where electricity or gas is metered, by the number the industry gives them (MPAN, MPRN)."""

from dataclasses import dataclass
from enum import Enum
from typing import Self

from smki.errors import InvalidInput

MPAN_DIGITS = 13
MPRN_DIGITS = range(6, 11)
# The industry's check of an MPAN core: the primes from 3 on without 11, the sum modulo 11 modulo 10. It stood in
# Wikipedia's article on the MPAN and is kept, in a dozen languages, at bitbucket.org/tlocke/mpan.
_PRIMES = (3, 5, 7, 13, 17, 19, 23, 29, 31, 37, 41, 43)
_DIGITS = frozenset("0123456789")


class Fuel(Enum):
    """What flows."""

    ELECTRICITY = "electricity"
    GAS = "gas"


@dataclass(frozen=True, slots=True, order=True)
class MeterPoint:
    """A meter point: the 13 digits of an MPAN core, or the 6 to 10 of an MPRN."""

    digits: str

    def __post_init__(self) -> None:
        if len(self.digits) != MPAN_DIGITS and len(self.digits) not in MPRN_DIGITS:
            raise _form(self.digits)

    @classmethod
    def parse(cls, text: str, *, mprn_check: bool = True) -> Self:
        """Read one as people write it, with or without blanks; a wrong check digit is a wrong number.

        `mprn_check` is what registration.toml says: see `_mprn_agrees`.
        """
        digits = text.replace(" ", "") if len(text) <= 2 * MPAN_DIGITS else text
        if not _DIGITS.issuperset(digits):
            raise _form(text)
        point = cls(digits)
        if not (_mpan_agrees(digits) if point.fuel is Fuel.ELECTRICITY else not mprn_check or _mprn_agrees(digits)):
            raise InvalidInput(
                "meter-point.check",
                f"{digits} has wrong check digits",
                "compare it with the bill, or with the register",
            )
        return point

    @property
    def fuel(self) -> Fuel:
        return Fuel.ELECTRICITY if len(self.digits) == MPAN_DIGITS else Fuel.GAS

    def __str__(self) -> str:
        return self.digits


def _form(text: str) -> InvalidInput:
    return InvalidInput(
        "meter-point.form",
        f"{text[:40]!r} is no meter point",
        "give 13 digits of an MPAN core, or 6 to 10 of an MPRN",
    )


def _mpan_agrees(digits: str) -> bool:
    total = sum(prime * int(digit) for prime, digit in zip(_PRIMES, digits, strict=False))
    return total % 11 % 10 == int(digits[-1])


def _mprn_agrees(digits: str) -> bool:
    """Weights falling to 1, the sum modulo 11 in two digits.

    Published by the article on the MPRN at en.everybodywiki.com, with the example 3938424403, and by nobody with more
    authority that we found: so a policy may turn it off.
    """
    body = digits[:-2]
    total = sum(weight * int(digit) for weight, digit in zip(range(len(body), 0, -1), body, strict=True))
    return total % 11 == int(digits[-2:])
