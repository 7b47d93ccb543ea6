"""Public keys from outside: P-256, a point on the curve, in the one encoding that certificates carry (RFC 5480 2)."""

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from smki.pki.keyid import POINT_OCTETS

_UNCOMPRESSED = 4


def read_point(octets: bytes) -> ec.EllipticCurvePublicKey | None:
    """From an uncompressed point; None for anything else, and for a point that is not on the curve."""
    if len(octets) != POINT_OCTETS or octets[0] != _UNCOMPRESSED:
        return None
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), octets)
    except ValueError:
        return None


def read_spki(der: bytes) -> ec.EllipticCurvePublicKey | None:
    """From a SubjectPublicKeyInfo that names the curve; None for any other curve, form or encoding."""
    try:
        key = load_der_public_key(der)
    except (ValueError, TypeError, UnsupportedAlgorithm, RecursionError):
        return None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        return None
    return key if spki_of(key) == der else None


def spki_of(key: ec.EllipticCurvePublicKey) -> bytes:
    """The DER of a public key: how the store and the files hold it."""
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
