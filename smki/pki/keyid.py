"""Key identifiers: 8 octets by method (2) of RFC 5280 4.2.1.2, the only form devices know (GBCS 12)."""

import hashlib
from dataclasses import dataclass
from typing import Self

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

KEY_IDENTIFIER_OCTETS = 8
POINT_OCTETS = 65  # 04, X, Y
P256_SPKI = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200")  # what stands before the point
_TYPE = 0x40  # the four bits 0100 that mark method (2)


@dataclass(frozen=True, slots=True, order=True)
class KeyIdentifier:
    """The type bits 0100 and the low 60 bits of the SHA-1 of the public key's point."""

    octets: bytes

    @classmethod
    def of_point(cls, point: bytes) -> Self:
        """From the 65 octets 04, X, Y."""
        # SHA-1 names a key here and protects nothing: RFC 5280 fixes it.
        low = hashlib.sha1(point, usedforsecurity=False).digest()[-KEY_IDENTIFIER_OCTETS:]
        return cls(bytes((_TYPE | (low[0] & 0x0F),)) + low[1:])

    @classmethod
    def of(cls, key: ec.EllipticCurvePublicKey) -> Self:
        return cls.of_point(point_of(key))

    def __str__(self) -> str:
        return self.octets.hex().upper()


def point_of(key: ec.EllipticCurvePublicKey) -> bytes:
    """The uncompressed point of a public key."""
    return key.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)


def key_hash(spki: bytes) -> bytes:
    """What a store indexes a public key by: 16 octets of its SHA-256."""
    return hashlib.sha256(spki).digest()[:16]
