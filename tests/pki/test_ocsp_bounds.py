"""OCSP requests at the edge of what is read, on both sides of it."""

import pytest

from smki.errors import InvalidInput
from smki.pki.der import OCTET_STRING, SEQUENCE, tlv
from smki.pki.ocsp import MAX_REQUEST_OCTETS, IssuerId, cert_id, plain_request, read_query

ISSUER = IssuerId("sha1", bytes(20), bytes(20))
ONE = cert_id(ISSUER, 5)
SOMETHING = bytes.fromhex("06092b0601050507300104")
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
