"""Install codes: what is printed on a device, and the link key it begins its life on the network with.

Six, eight, twelve or sixteen octets and a CRC over them, low octet first. The key is the AES-MMO hash of all of it
(ZigBee specification 4.6.3.4 and annexes B.1.3, B.6).
"""

from dataclasses import dataclass, field
from struct import Struct
from typing import Self

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from smki.errors import InvalidInput

CODE_OCTETS = 16  # what GBCS uses (CCS01); ZigBee has shorter ones too
_SIZES = (6, 8, 12, 16)
_CRC = Struct("<H")
_BLOCK = 16
_POLYNOMIAL = 0x8408  # CRC-16/X-25: 0x1021, its bits turned round
_TURNED = 0xFFFF
_MAX_HASHED_BITS = 1 << 16  # longer texts end in another padding (annex B.6)


@dataclass(frozen=True, slots=True)
class InstallCode:
    """A code whose CRC was right. It opens the network to one device, so it is shown nowhere."""

    octets: bytes = field(repr=False)
    """Without the CRC."""

    def __post_init__(self) -> None:
        if len(self.octets) not in _SIZES:
            raise _wrong(f"{len(self.octets)} octets before the CRC, and there are 6, 8, 12 or 16")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the digits on the label: hexadecimal, in groups or not, with the CRC at the end."""
        digits = "".join(text.replace("-", " ").replace(":", " ").split())
        if len(digits) > 2 * (_SIZES[-1] + _CRC.size) or len(digits) % 2 or not _is_hexadecimal(digits):
            raise _wrong("it is not hexadecimal digits, two an octet")
        octets = bytes.fromhex(digits)
        code, check = octets[: -_CRC.size], octets[-_CRC.size :]
        found = cls(code)
        if _CRC.pack(crc(code)) != check:
            raise _wrong("its CRC is not that of its digits")
        return found

    @property
    def printed(self) -> bytes:
        """With the CRC, as on the label."""
        return self.octets + _CRC.pack(crc(self.octets))

    @property
    def link_key(self) -> bytes:
        """The key that the trust centre and the device both make of it."""
        return mmo_hash(self.printed)


def crc(octets: bytes) -> int:
    """CRC-16/X-25 (ITU-T V.42 8.1.1.6.1)."""
    register = _TURNED
    for octet in octets:
        register ^= octet
        for _ in range(8):
            register = register >> 1 ^ (_POLYNOMIAL if register & 1 else 0)
    return register ^ _TURNED


def mmo_hash(text: bytes) -> bytes:
    """The Matyas-Meyer-Oseas hash over AES-128 (ZigBee specification annex B.6)."""
    bits = 8 * len(text)
    if bits >= _MAX_HASHED_BITS:
        raise _wrong(f"{len(text)} octets are too many to hash")
    length = bits.to_bytes(2)
    blanks = -(len(text) + 1 + len(length)) % _BLOCK
    padded = text + b"\x80" + bytes(blanks) + length
    digest = bytes(_BLOCK)
    for start in range(0, len(padded), _BLOCK):
        block = padded[start : start + _BLOCK]
        # Each block is enciphered alone, under the digest so far: the hash's own construction, not a mode for data.
        cipher = Cipher(algorithms.AES(digest), modes.ECB()).encryptor()  # noqa: S305
        digest = bytes(a ^ b for a, b in zip(cipher.update(block) + cipher.finalize(), block, strict=True))
    return digest


def _is_hexadecimal(digits: str) -> bool:
    return bool(digits) and set(digits) <= set("0123456789abcdefABCDEF")


def _wrong(reason: str) -> InvalidInput:
    return InvalidInput("install-code.form", f"no install code: {reason}", "read it again from the device's label")
