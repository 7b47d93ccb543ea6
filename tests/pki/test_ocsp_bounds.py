"""OCSP requests at the edge of what is read, on both sides of it."""

import pytest

from smki.errors import InvalidInput
from smki.pki.der import OCTET_STRING, SEQUENCE, tlv
from smki.pki.ocsp import MAX_REQUEST_OCTETS, IssuerId, cert_id, plain_request, read_query

ISSUER = IssuerId("sha1", bytes(20), bytes(20))
ONE = cert_id(ISSUER, 5)
SOMETHING = bytes.fromhex("06092b0601050507300104")
NONCE = bytes.fromhex("06092b0601050507300102")
NAME = tlv(0xA4, tlv(SEQUENCE, b""))
"""A directory name, and an empty one."""


def _extension(oid: bytes = SOMETHING, value: bytes = b"\x05\x00", *, critical: bool = False) -> bytes:
    return tlv(SEQUENCE, oid + (b"\x01\x01\xff" if critical else b"") + tlv(OCTET_STRING, value))


def _request(before: bytes = b"", about: bytes = b"", after: bytes = b"", signature: bytes = b"") -> bytes:
    return tlv(SEQUENCE, tlv(SEQUENCE, before + tlv(SEQUENCE, tlv(SEQUENCE, ONE + about)) + after) + signature)


def _refusal(octets: bytes) -> str:
    with pytest.raises(InvalidInput) as refusal:
        read_query(octets, 4)
    assert refusal.value.code == "ocsp.request"
    return refusal.value.message


def test_a_request_of_the_largest_size_is_looked_at() -> None:
    room = (
        MAX_REQUEST_OCTETS - len(_request(after=tlv(0xA2, tlv(SEQUENCE, _extension(value=bytes(60_000)))))) + 60_000
    )
    largest = _request(after=tlv(0xA2, tlv(SEQUENCE, _extension(value=bytes(room)))))
    assert len(largest) == MAX_REQUEST_OCTETS
    assert read_query(largest, 1).asked[0].serial == 5
    assert "octets" in _refusal(_request(after=tlv(0xA2, tlv(SEQUENCE, _extension(value=bytes(room + 1))))))


def test_only_version_1_is_answered_and_whoever_asks() -> None:
    assert read_query(_request(before=tlv(0xA1, NAME)), 1).asked
    assert "version" in _refusal(_request(before=tlv(0xA0, b"\x02\x01\x01")))
    assert "version" in _refusal(_request(before=tlv(0xA1, NAME + NAME)))
    assert "version" in _refusal(_request(signature=tlv(0xA0, tlv(SEQUENCE, b"") + tlv(SEQUENCE, b""))))


def test_critical_extensions_of_one_question_count_too() -> None:
    assert read_query(_request(about=tlv(0xA0, tlv(SEQUENCE, _extension()))), 1).asked
    assert "critical" in _refusal(_request(about=tlv(0xA0, tlv(SEQUENCE, _extension(critical=True)))))


@pytest.mark.parametrize("place", ["about", "after"])
def test_eight_extensions_are_read_and_no_more(place: str) -> None:
    tag = {"about": 0xA0, "after": 0xA2}[place]
    assert read_query(_request(**{place: tlv(tag, tlv(SEQUENCE, 8 * _extension()))}), 1).asked
    assert "9 extensions" in _refusal(_request(**{place: tlv(tag, tlv(SEQUENCE, 9 * _extension()))}))


def test_serial_numbers_have_at_most_20_octets() -> None:
    largest = (1 << 159) - 1
    assert read_query(plain_request(cert_id(ISSUER, largest)), 1).asked[0].serial == largest
    assert "20 octets" in _refusal(plain_request(cert_id(ISSUER, largest + 1)))


def test_a_nonce_stands_once_and_may_be_critical() -> None:
    nonce = _extension(NONCE, tlv(OCTET_STRING, b"n" * 32), critical=True)
    assert read_query(_request(after=tlv(0xA2, tlv(SEQUENCE, nonce))), 1).nonce == b"n" * 32
    assert "2 nonces" in _refusal(_request(after=tlv(0xA2, tlv(SEQUENCE, 2 * nonce))))


def test_an_issuer_named_by_an_unknown_digest_is_nobody_here() -> None:
    sha1, sha384 = bytes.fromhex("06052b0e03021a"), bytes.fromhex("0609608648016503040202")
    assert ONE.count(sha1) == 1
    algorithm = tlv(SEQUENCE, sha384 + b"\x05\x00")
    rest = ONE[ONE.index(sha1) + len(sha1) + 2 :]
    (asked,) = read_query(plain_request(tlv(SEQUENCE, algorithm + rest)), 1).asked
    assert (asked.issuer, asked.serial) == (None, 5)


def test_a_certificate_is_named_by_a_sequence() -> None:
    for tag in (b"\x31", b"\x3f\x30"):
        assert _refusal(plain_request(tag + ONE[1:]))
