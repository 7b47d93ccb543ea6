"""Serial numbers of certificates: 127 random bits, always 16 octets on the wire."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from smki.errors import InvalidInput

SERIAL_OCTETS = 16  # every certificate of the real system has 16; RFC 5280 4.1.2.2 allows 20


@dataclass(frozen=True, slots=True, order=True)
class Serial:
    """A positive integer whose DER content is exactly 16 octets: top bit clear, first octet not zero.

    The first nine bits of a DER INTEGER are never all equal (X.690 8.3.2); a first octet that is not zero keeps the
    length fixed, so that a serial number is a hole of one size in every certificate.
    """

    octets: bytes

    def __post_init__(self) -> None:
        if len(self.octets) != SERIAL_OCTETS or not 0 < self.octets[0] < 0x80:
            raise InvalidInput(
                "serial.form",
                f"{self.octets[:24].hex()} is not a serial number",
                "give 32 hexadecimal digits, the first two from 01 to 7F",
            )

    @classmethod
    def from_entropy(cls, entropy: Callable[[int], bytes]) -> Self:
        """Draw one; a draw whose first octet would be zero (1 in 128) is drawn again."""
        while True:
            drawn = bytearray(entropy(SERIAL_OCTETS))
            drawn[0] &= 0x7F
            if drawn[0]:
                return cls(bytes(drawn))

    @classmethod
    def parse(cls, text: str) -> Self:
        try:
            return cls(bytes.fromhex(text))
        except ValueError:
            raise InvalidInput(
                "serial.form", f"{text[:40]!r} is not a serial number", "give 32 hexadecimal digits"
            ) from None

    @property
    def number(self) -> int:
        return int.from_bytes(self.octets)

    def __str__(self) -> str:
        return self.octets.hex().upper()
