"""The contingency key in a root: opened with its own symmetric key, and with nothing else (RFC 5934 4.4)."""

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.keywrap import aes_key_wrap_with_padding

from smki.errors import IntegrityFailure, InvalidInput, SmkiError
from smki.pki.contingency import MAX_EXTENSION_OCTETS, SYMMETRIC_KEY_OCTETS, unwrap, wrap
from smki.pki.der import OCTET_STRING, SEQUENCE, tlv
from tests.pki.path_made import key

SECRET = bytes(range(32))
PUBLIC = key(1).public_key()
WRAP_PAD = bytes.fromhex("0609608648016503040130")  # id-aes256-wrap-pad


def extension(wrapped: bytes, algorithm: bytes = WRAP_PAD) -> bytes:
    return tlv(SEQUENCE, tlv(SEQUENCE, algorithm) + tlv(OCTET_STRING, wrapped))


def wrapped(public: ec.EllipticCurvePublicKey) -> bytes:
    spki = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return aes_key_wrap_with_padding(SECRET, spki)


def test_the_key_is_wrapped_as_rfc_5934_says() -> None:
    assert wrap(PUBLIC, SECRET, "rfc5934") == extension(wrapped(PUBLIC))
    assert unwrap(extension(wrapped(PUBLIC)), SECRET) == PUBLIC
    assert len(SECRET) == SYMMETRIC_KEY_OCTETS
    with pytest.raises(InvalidInput) as refusal:
        wrap(PUBLIC, SECRET, "rfc5649")
    assert refusal.value.code == "contingency.wrap"


@pytest.mark.parametrize(
    ("octets", "secret", "kind", "code"),
    [
        (extension(wrapped(PUBLIC)), bytes(32), IntegrityFailure, "contingency.key"),
        (extension(wrapped(PUBLIC)[:-8]), SECRET, IntegrityFailure, "contingency.key"),
        (extension(aes_key_wrap_with_padding(SECRET, b"no key")), SECRET, IntegrityFailure, "contingency.key"),
        (
            extension(wrapped(PUBLIC), bytes.fromhex("0609608648016503040108")),
            SECRET,
            InvalidInput,
            "contingency.wrap",
        ),
        (wrapped(PUBLIC), SECRET, InvalidInput, "contingency.form"),
        (extension(wrapped(PUBLIC)) + b"\x00", SECRET, InvalidInput, "contingency.form"),
        (
            extension(wrapped(ec.derive_private_key(5, ec.SECP384R1()).public_key())),
            SECRET,
            InvalidInput,
            "contingency.curve",
        ),
    ],
)
def test_what_does_not_open_is_told_from_what_is_no_such_key(
    octets: bytes, secret: bytes, kind: type[SmkiError], code: str
) -> None:
    with pytest.raises(kind) as failure:
        unwrap(octets, secret)
    assert failure.value.code == code


def test_a_key_of_another_kind_is_none() -> None:
    public = X25519PrivateKey.from_private_bytes(SECRET).public_key()
    spki = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    with pytest.raises(InvalidInput) as refusal:
        unwrap(extension(aes_key_wrap_with_padding(SECRET, spki)), SECRET)
    assert refusal.value.code == "contingency.curve"


@pytest.mark.parametrize(("octets", "code"), [(1024, "contingency.form"), (1025, "contingency.size")])
def test_an_extension_has_so_many_octets(octets: int, code: str) -> None:
    assert MAX_EXTENSION_OCTETS == 1024
    with pytest.raises(InvalidInput) as refusal:
        unwrap(bytes(octets), SECRET)
    assert refusal.value.code == code
