"""Signatures of certificates and lists: ECDSA on P-256 with SHA-256, in its one encoding (RFC 5758 3.2). Pure."""

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature, encode_dss_signature

ECDSA_WITH_SHA256 = bytes.fromhex("300a06082a8648ce3d040302")  # RFC 5758 3.2: parameters are absent, not NULL
OF_DATA = ec.ECDSA(hashes.SHA256())
OF_DIGEST = ec.ECDSA(Prehashed(hashes.SHA256()))


def holds(signature: bytes, signed: bytes, key: ec.EllipticCurvePublicKey, form: ec.ECDSA = OF_DATA) -> bool:
    """Whether this key signed these octets, and in DER: the same signature in other octets is none (X.690 10)."""
    try:
        if encode_dss_signature(*decode_dss_signature(signature)) != signature:
            return False
        key.verify(signature, signed, form)
    except (InvalidSignature, ValueError):
        return False
    return True
