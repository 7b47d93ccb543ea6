"""Signed data in its one form: what was signed comes out, and every other form that CMS allows is refused."""

import hashlib

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from smki.errors import InvalidInput, Refused
from smki.pki.der import OCTET_STRING, SEQUENCE, tlv
from smki.pki.manifest import Manifest, open_manifest
from smki.pki.signed_data import make_signed_data, read_signed_data
from tests.pki.hierarchy import chain
from tests.pki.path_made import AT, key

ROOT, ISSUING, SIGNER = chain("infrastructure", "officer")
CERTIFICATE = x509.load_der_x509_certificate(SIGNER.der)
CONTENT = b"what is signed"
SET, EXPLICIT = 0x31, 0xA0
SHA256_OID, SHA384_OID = (bytes.fromhex(f"060960864801650304020{last}") for last in "12")
ECDSA_OID, ECDSA_384_OID = (bytes.fromhex(f"06082a8648ce3d04030{last}") for last in "23")
SIGNED_DATA, DATA = (bytes.fromhex(f"06092a864886f70d01070{last}") for last in "21")
CONTENT_TYPE, DIGEST, TIME = (bytes.fromhex(f"06092a864886f70d01090{last}") for last in "345")


def attribute(oid: bytes, *values: bytes) -> bytes:
    return tlv(SEQUENCE, oid + tlv(SET, b"".join(values)))


DIGESTED = attribute(DIGEST, tlv(OCTET_STRING, hashlib.sha256(CONTENT).digest()))
TYPED = attribute(CONTENT_TYPE, DATA)


def signer(attributes: bytes, digest: bytes = SHA256_OID, algorithm: bytes = ECDSA_OID) -> bytes:
    signature = SIGNER.key.sign(tlv(SET, attributes), ec.ECDSA(hashes.SHA256()))
    named = tlv(SEQUENCE, CERTIFICATE.issuer.public_bytes() + b"\x02\x01\x05")
    return tlv(
        SEQUENCE,
        b"\x02\x01\x01" + named + tlv(SEQUENCE, digest) + tlv(EXPLICIT, attributes) + tlv(SEQUENCE, algorithm)
        + tlv(OCTET_STRING, signature),
    )  # fmt: skip


def whole(*signers: bytes, outer: bytes = SIGNED_DATA, inner: bytes = DATA) -> bytes:
    encapsulated = tlv(SEQUENCE, inner + tlv(EXPLICIT, tlv(OCTET_STRING, CONTENT)))
    body = b"\x02\x01\x01" + tlv(SET, tlv(SEQUENCE, SHA256_OID)) + encapsulated + tlv(SET, b"".join(signers))
    return tlv(SEQUENCE, outer + tlv(EXPLICIT, tlv(SEQUENCE, body)))


def refused(data: bytes) -> str:
    with pytest.raises(InvalidInput) as refusal:
        read_signed_data(data)
    return refusal.value.code


@pytest.mark.parametrize("beside", [(), (ROOT.der,), (ROOT.der, ISSUING.der)])
def test_what_was_signed_comes_out_with_what_was_put_beside_it(beside: tuple[bytes, ...]) -> None:
    lists = (tlv(SEQUENCE, b"\x05\x00"),) if beside else ()
    made = make_signed_data(CONTENT, CERTIFICATE, SIGNER.key, AT, certificates=beside, crls=lists)
    read = read_signed_data(made)
    assert (read.content, set(read.certificates), read.crls) == (CONTENT, set(beside), lists)
    assert read.is_signed_by(SIGNER.key.public_key())
    assert not read.is_signed_by(key(1).public_key())
    when = attribute(TIME, b"\x17\x0d" + AT.strftime("%y%m%d%H%M%SZ").encode())
    for one in (when, TYPED, DIGESTED):
        assert one in read.attributes


def test_the_one_form_put_together_by_hand_is_read() -> None:
    assert read_signed_data(whole(signer(TYPED + DIGESTED))).is_signed_by(SIGNER.key.public_key())


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (whole(signer(TYPED + DIGESTED), outer=DATA), "cms.form"),
        (whole(signer(TYPED + DIGESTED), inner=SIGNED_DATA), "cms.form"),
        (whole(), "cms.form"),
        (whole(signer(TYPED + DIGESTED), signer(TYPED + DIGESTED)), "cms.form"),
        (whole(signer(TYPED + DIGESTED, digest=SHA384_OID)), "cms.form"),
        (whole(signer(TYPED + DIGESTED, algorithm=ECDSA_384_OID)), "cms.form"),
        (whole(signer(DIGESTED)), "cms.form"),
        (whole(signer(attribute(CONTENT_TYPE, SIGNED_DATA) + DIGESTED)), "cms.form"),
        (whole(signer(attribute(CONTENT_TYPE, DATA, DATA) + DIGESTED)), "cms.form"),
        (whole(signer(TYPED)), "cms.digest"),
        (whole(signer(TYPED + attribute(DIGEST, tlv(OCTET_STRING, bytes(32))))), "cms.digest"),
        (whole(signer(TYPED + attribute(DIGEST, *2 * [tlv(OCTET_STRING, hashlib.sha256(CONTENT).digest())]))),
         "cms.digest"),
        (whole(signer(TYPED + DIGESTED)) + b"\x00", "cms.form"),
        (b"", "cms.form"),
    ],
)  # fmt: skip
def test_every_other_form_is_refused(data: bytes, code: str) -> None:
    assert refused(data) == code


@pytest.mark.parametrize("more", [0, 1])
def test_there_is_a_largest_size(more: int) -> None:
    with pytest.raises(InvalidInput, match="limit" if more else "not CMS"):
        read_signed_data(bytes(134_217_728 + more))
    with pytest.raises(InvalidInput, match="limit" if more else "not CMS") as refusal:
        open_manifest(bytes(67_108_864 + more), [])
    assert refusal.value.code == "manifest.form"


# Manifests

ONE, OTHER = (hashlib.sha256(octets).hexdigest() for octets in (b"1", b"2"))


def manifest(text: str) -> bytes:
    return make_signed_data(text.encode(), CERTIFICATE, SIGNER.key, AT)


@pytest.mark.parametrize(
    ("text", "digests"),
    [
        (f"{ONE}  a.zip\n", {ONE}),
        (f"{ONE} *a.zip\n{OTHER}  b c.zip\n", {ONE, OTHER}),
        (f"{ONE}  {'a' * 4096}", {ONE}),
        ("", set()),
    ],
)
def test_a_manifest_lists_digests_as_sha256sum_does(text: str, digests: set[str]) -> None:
    keys = [key(1).public_key(), SIGNER.key.public_key()]
    assert open_manifest(manifest(text), keys) == Manifest(1, frozenset(map(bytes.fromhex, digests)))


@pytest.mark.parametrize(
    "text",
    [
        f"{ONE} a.zip\n",
        f"{ONE}  \n",
        f"{ONE[:-1]}  a.zip\n",
        f"{ONE}0  a.zip\n",
        f"{ONE.upper()}  a.zip\n",
        f"{ONE}  {'a' * 4097}\n",
        f" {ONE}  a.zip\n",
        f"{ONE}  a.zip\n\n{OTHER}  b.zip\n",
    ],
)
def test_a_line_of_another_form_spoils_a_manifest(text: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        open_manifest(manifest(text), [SIGNER.key.public_key()])
    assert refusal.value.code == "manifest.form"


def test_who_signed_a_manifest_is_one_of_those_asked_about() -> None:
    for keys in ([], [key(1).public_key()]):
        with pytest.raises(Refused) as refusal:
            open_manifest(manifest(f"{ONE}  a.zip\n"), keys)
        assert refusal.value.code == "manifest.signer"
