"""Messages and their protections at the edge of what is allowed, on both sides of it."""

import hashlib
from itertools import count

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from smki.entity import EntityId
from smki.errors import InvalidInput, Refused
from smki.gbcs.agreement import agree
from smki.gbcs.gcm import seal, unseal
from smki.gbcs.header import Cra, Header, MessageCode
from smki.gbcs.message import MAX_MESSAGE_OCTETS, Message, read_message
from smki.gbcs.protection import decrypt, encrypt, plain_signature_holds

SUPPLIER, METER = EntityId.parse("90-B3-D5-1F-30-01-00-00"), EntityId.parse("00-DB-12-34-56-78-90-A0")
KEY, OTHER = ec.derive_private_key(4711, ec.SECP256R1()), ec.derive_private_key(4712, ec.SECP256R1())
RESPONSE = Header(Cra.RESPONSE, 7, METER, SUPPLIER, MessageCode(0x0062))


def _signature_with_a_short_s() -> tuple[bytes, bytes]:
    """Digest and signature, of whose s the first octet is zero."""
    for number in count():
        digest = hashlib.sha256(number.to_bytes(4)).digest()
        r, s = decode_dss_signature(KEY.sign(digest, ec.ECDSA(Prehashed(SHA256()))))
        if s < 1 << 248:
            return digest, r.to_bytes(32) + s.to_bytes(32)
    raise AssertionError


def test_a_signature_has_64_octets_however_its_numbers_would_be_written() -> None:
    digest, signature = _signature_with_a_short_s()
    assert plain_signature_holds(KEY.public_key(), signature, digest)
    for other in (signature[:32] + signature[33:], signature[:32] + b"\x00" + signature[32:]):
        assert int.from_bytes(other[32:]) == int.from_bytes(signature[32:])
        assert not plain_signature_holds(KEY.public_key(), other, digest)


def test_a_message_of_the_largest_size_is_not_too_large() -> None:
    with pytest.raises(InvalidInput) as refusal:
        read_message(bytes(MAX_MESSAGE_OCTETS))
    assert "most there can be" not in refusal.value.message
    with pytest.raises(InvalidInput, match="most there can be"):
        read_message(bytes(MAX_MESSAGE_OCTETS + 1))


def test_nothing_can_be_encrypted_and_comes_back() -> None:
    with agree(KEY, OTHER.public_key()) as secret:
        block = encrypt(b"", RESPONSE, secret)
        assert decrypt(block, RESPONSE, secret) == b""
        with pytest.raises(Refused) as refusal:
            decrypt(block[:-1], RESPONSE, secret)
    assert "no encrypted part" in refusal.value.message


def test_tags_are_taken_from_12_octets_on() -> None:
    key, iv = bytes(16), bytes(12)
    ciphertext, tag = seal(key, iv, b"text", b"header")
    assert unseal(key, iv, ciphertext, tag[:12], b"header") == b"text"
    with pytest.raises(ValueError, match="tag"):
        unseal(key, iv, ciphertext, tag[:11], b"header")


def test_what_has_no_form_of_protection_is_not_made() -> None:
    with pytest.raises(InvalidInput):
        Message(RESPONSE, b"", None, bytes(12))
