"""The DER that is put together by hand, and signatures: one form each."""

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from smki.errors import Refused
from smki.pki.der import BIT_STRING, OCTET_STRING, SEQUENCE, header, tlv
from smki.pki.signature import OF_DIGEST, holds
from smki.pki.verdict import Fault
from tests.pki.path_made import key

ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


@pytest.mark.parametrize(
    ("length", "octets"),
    [
        (0, "3000"),
        (1, "3001"),
        (0x7F, "307f"),
        (0x80, "308180"),
        (0xFF, "3081ff"),
        (0x100, "30820100"),
        (0xFFFF, "3082ffff"),
        (0x10000, "3083010000"),
        (0x1000000, "308401000000"),
    ],
)
def test_a_length_has_its_shortest_form(length: int, octets: str) -> None:
    """X.690 10.1."""
    assert header(SEQUENCE, length).hex() == octets


def test_an_element_is_a_tag_a_length_and_its_content() -> None:
    assert tlv(SEQUENCE, tlv(OCTET_STRING, b"ab") + tlv(BIT_STRING, b"\x00")).hex() == "3007" + "04026162" + "030100"


def test_a_signature_holds_in_its_one_encoding() -> None:
    """RFC 3279 2.2.3; what fits with s fits with minus s too, and is another signature of the same key."""
    signature = key(1).sign(b"signed", ec.ECDSA(hashes.SHA256()))
    public = key(1).public_key()
    assert holds(signature, b"signed", public)
    r, s = decode_dss_signature(signature)
    assert holds(encode_dss_signature(r, ORDER - s), b"signed", public)
    long = tlv(SEQUENCE, b"\x02\x21" + r.to_bytes(33) + b"\x02\x21" + s.to_bytes(33))
    longer = tlv(SEQUENCE, b"\x02\x22" + r.to_bytes(34) + b"\x02\x22" + s.to_bytes(34))
    other = key(1).sign(b"other", ec.ECDSA(hashes.SHA256()))
    for wrong in (b"", b"\x30\x00", signature + b"\x00", signature[:-1], longer, other):
        assert not holds(wrong, b"signed", public)
    assert holds(long, b"signed", public) is (long == signature)
    assert not holds(signature, b"signed", key(2).public_key())


def test_a_signature_of_a_digest_is_asked_about_by_the_digest() -> None:
    signature = key(1).sign(b"signed", ec.ECDSA(hashes.SHA256()))
    digest = hashes.Hash(hashes.SHA256())
    digest.update(b"signed")
    assert holds(signature, digest.finalize(), key(1).public_key(), OF_DIGEST)
    assert not holds(signature, b"signed", key(1).public_key(), OF_DIGEST)


def test_a_fault_says_what_an_error_says() -> None:
    fault = Fault.of(Refused("path.budget", "too much", "give less"))
    assert fault.as_json() == {"code": "path.budget", "message": "too much", "remedy": "give less"}
