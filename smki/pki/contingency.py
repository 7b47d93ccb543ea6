"""The contingency key in a root certificate: WrappedApexContingencyKey (RFC 5934 section 4.4).

A root carries, encrypted, the public half of the key that can replace it on every device after a compromise. The
symmetric key is made public only in the command that does so (GBCS 13.3). RFC 5934 leaves the wrap to the issuer:
which form is used is a policy, and each form is one row here.
"""

from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.keywrap import (
    InvalidUnwrap,
    aes_key_unwrap_with_padding,
    aes_key_wrap_with_padding,
)

from smki.errors import IntegrityFailure, InvalidInput

WRAPPED_APEX_CONTINGENCY_KEY = x509.ObjectIdentifier("1.3.6.1.5.5.7.1.20")
AES256_WRAP_PAD = x509.ObjectIdentifier("2.16.840.1.101.3.4.1.48")  # id-aes256-wrap-pad, RFC 5649 section 5
SYMMETRIC_KEY_OCTETS = 32
MAX_EXTENSION_OCTETS = 1024
WRAP_FORMS = {"rfc5934": AES256_WRAP_PAD}


@asn1.sequence
@dataclass
class _AlgorithmIdentifier:
    algorithm: x509.ObjectIdentifier


@asn1.sequence
@dataclass
class _ApexContingencyKey:
    wrap_algorithm: _AlgorithmIdentifier
    wrapped_contin_pub_key: bytes


def wrap(public_key: ec.EllipticCurvePublicKey, symmetric_key: bytes, form: str) -> bytes:
    """The extension's value: the DER of the public key, wrapped under the symmetric key."""
    if form not in WRAP_FORMS:
        raise InvalidInput(
            "contingency.wrap",
            f"no wrap form is called {form[:40]!r}",
            f"choose one of: {', '.join(WRAP_FORMS)}",
        )
    spki = public_key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    wrapped = aes_key_wrap_with_padding(symmetric_key, spki)
    return asn1.encode_der(_ApexContingencyKey(_AlgorithmIdentifier(WRAP_FORMS[form]), wrapped))


def unwrap(extension: bytes, symmetric_key: bytes) -> ec.EllipticCurvePublicKey:
    """The contingency public key out of an extension's value, or an error that says what does not fit."""
    if len(extension) > MAX_EXTENSION_OCTETS:
        raise InvalidInput("contingency.size", "the wrapped contingency key is too large", "check the certificate")
    try:
        value = asn1.decode_der(_ApexContingencyKey, extension)
    except ValueError:
        raise InvalidInput(
            "contingency.form",
            "the wrapped contingency key is not of RFC 5934's form",
            "check the certificate",
        ) from None
    if value.wrap_algorithm.algorithm not in WRAP_FORMS.values():
        raise InvalidInput(
            "contingency.wrap",
            f"the contingency key is wrapped by {value.wrap_algorithm.algorithm.dotted_string}, unknown here",
            "use the program that made this root",
        )
    try:
        spki = aes_key_unwrap_with_padding(symmetric_key, value.wrapped_contin_pub_key)
        key = serialization.load_der_public_key(spki)
    except (InvalidUnwrap, ValueError):
        raise IntegrityFailure(
            "contingency.key",
            "this symmetric key does not open the wrapped contingency key",
            "use the symmetric key that was made in this root's ceremony",
        ) from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise InvalidInput("contingency.curve", "the contingency key is not on P-256", "check the certificate")
    return key
