"""Serial numbers of certificates: the time they were drawn and 96 random bits, always 16 octets on the wire."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

from smki.errors import InvalidInput

_MARK = 0x4000_0000  # keeps the first octet from 40 to 7F: its top bit clear, and never zero
_FIRST_TICK = datetime(2020, 1, 1, tzinfo=UTC)
_TICK_SECONDS = 4  # 2^30 of them last to the year 2156
_TICK_OCTETS = 4
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
    def draw(cls, entropy: Callable[[int], bytes], at: datetime) -> Self:
        """The number of a certificate to be issued: when, to four seconds, then 96 random bits.

        Numbers drawn together stand together in an index, so that a store of a million grows as fast as an empty one.
        RFC 5280 wants them unique; 64 random bits are what keeps a forger from knowing the next.
        """
        ticks = int((at - _FIRST_TICK).total_seconds()) // _TICK_SECONDS
        return cls((_MARK | (ticks & (_MARK - 1))).to_bytes(_TICK_OCTETS) + entropy(SERIAL_OCTETS - _TICK_OCTETS))

    @classmethod
    def parse(cls, text: str) -> Self:
        try:
            return cls(bytes.fromhex(text))
        except ValueError:
            raise InvalidInput(
                "serial.form", f"{text[:40]!r} is not a serial number", "give 32 hexadecimal digits"
            ) from None

    @property
    def tick(self) -> bytes:
        """When it was drawn, to four seconds; later ones are larger."""
        return self.octets[:_TICK_OCTETS]

    @property
    def number(self) -> int:
        return int.from_bytes(self.octets)

    def __str__(self) -> str:
        return self.octets.hex().upper()
