"""Requests and answers of OCSP: held against pyca's own, octet for octet, and fed what nobody should send."""

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509 import ocsp
from hypothesis import given
from hypothesis import strategies as st

from smki.authority.hierarchy import pem
from smki.errors import InvalidInput
from smki.pki.der import OCTET_STRING, SEQUENCE, tlv
from smki.pki.ocsp import (
    CertStatus,
    Failure,
    IssuerId,
    Responder,
    Revoked,
    assemble,
    cert_id,
    issuer_ids,
    plain_request,
    read_query,
    single,
    to_be_signed,
)
from smki.pki.reason import Reason
from tests.pki.hierarchy import Made, chain

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(hours=12)
_, ISSUING, RESPONDER = chain("oca", "ocsp-responder")
_, _, LEAF = chain("oca", "organisation")
SHA1, SHA256 = issuer_ids(ISSUING.name, ISSUING.key.public_key())
HASHES: dict[str, hashes.HashAlgorithm] = {"sha1": hashes.SHA1(), "sha256": hashes.SHA256()}  # noqa: S303


def loaded(made: Made) -> x509.Certificate:
    return x509.load_der_x509_certificate(made.der)


def theirs(algorithm: str, nonce: bytes | None = None) -> ocsp.OCSPRequest:
    builder = ocsp.OCSPRequestBuilder().add_certificate(loaded(RESPONDER), loaded(ISSUING), HASHES[algorithm])
    return (builder if nonce is None else builder.add_extension(x509.OCSPNonce(nonce), critical=False)).build()


@pytest.mark.parametrize("issuer", [SHA1, SHA256], ids=lambda issuer: issuer.algorithm)
def test_a_request_of_pycas_is_read_and_made_alike(issuer: IssuerId) -> None:
    octets = theirs(issuer.algorithm).public_bytes(Encoding.DER)
    query = read_query(octets, 1)
    serial = loaded(RESPONDER).serial_number
    assert (query.asked[0].issuer, query.asked[0].serial, query.nonce) == (issuer, serial, None)
    assert query.plain == octets == plain_request(cert_id(issuer, serial))


@pytest.mark.parametrize("length", [1, 32, 128])
def test_a_nonce_is_read(length: int) -> None:
    query = read_query(theirs("sha1", b"n" * length).public_bytes(Encoding.DER), 1)
    assert query.nonce == b"n" * length
    assert query.plain is None


def _with_extension(value: bytes, *, critical: bool = False, oid: str = "06092b0601050507300102") -> bytes:
    extension = tlv(SEQUENCE, bytes.fromhex(oid) + (b"\x01\x01\xff" if critical else b"") + tlv(OCTET_STRING, value))
    requests = tlv(SEQUENCE, tlv(SEQUENCE, cert_id(SHA1, 5)))
    return tlv(SEQUENCE, tlv(SEQUENCE, requests + tlv(0xA2, tlv(SEQUENCE, extension))))


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"\x30\x00",
        b"garbage",
        plain_request(cert_id(SHA1, 5)) + b"\x00",
        plain_request(cert_id(SHA1, 1 << 160)),
        plain_request(b"\x30\x00"),
        tlv(SEQUENCE, tlv(SEQUENCE, tlv(SEQUENCE, b""))),
        tlv(SEQUENCE, tlv(SEQUENCE, tlv(SEQUENCE, 3 * tlv(SEQUENCE, cert_id(SHA1, 5))))),
        _with_extension(tlv(OCTET_STRING, b"")),
        _with_extension(tlv(OCTET_STRING, b"n" * 129)),
        _with_extension(b"bare nonce"),
        _with_extension(b"\x05\x00", critical=True, oid="06092b0601050507300104"),
        bytes(1 << 17),
    ],
    ids=["empty", "nothing-in-it", "garbage", "more-behind", "long-serial", "no-cert-id", "none-asked", "too-many",
         "empty-nonce", "long-nonce", "bare-nonce", "critical", "too-long"],
)  # fmt: skip
def test_what_is_malformed_is_refused(octets: bytes) -> None:
    with pytest.raises(InvalidInput) as refusal:
        read_query(octets, 2)
    assert refusal.value.code == "ocsp.request"


def test_what_is_not_understood_and_not_critical_is_passed_over() -> None:
    assert read_query(_with_extension(b"\x05\x00", oid="06092b0601050507300104"), 1).nonce is None


def test_a_request_that_is_signed_is_read(tmp_path: Path) -> None:
    (tmp_path / "ca").write_bytes(pem(ISSUING.der))
    (tmp_path / "me").write_bytes(pem(LEAF.der))
    (tmp_path / "key").write_bytes(LEAF.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    line = "openssl ocsp -issuer ca -serial 5 -serial 6 -signer me -signkey key -nonce -reqout out"
    subprocess.run(line.split(), cwd=tmp_path, check=True, capture_output=True)
    query = read_query((tmp_path / "out").read_bytes(), 2)
    assert [item.serial for item in query.asked] == [5, 6]
    assert query.nonce


def test_several_are_read_in_their_order() -> None:
    octets = tlv(SEQUENCE, tlv(SEQUENCE, tlv(SEQUENCE, b"".join(tlv(SEQUENCE, cert_id(SHA256, n)) for n in (5, -6)))))
    query = read_query(octets, 2)
    assert [item.serial for item in query.asked] == [5, -6]
    assert query.plain is None


@given(st.binary(max_size=300))
def test_random_octets_are_never_another_error(octets: bytes) -> None:
    with pytest.raises(InvalidInput):
        read_query(octets, 4)


@given(st.integers(0, 120), st.binary(min_size=1, max_size=4))
def test_a_damaged_request_is_read_or_refused(place: int, noise: bytes) -> None:
    octets = bytearray(theirs("sha256", b"nonce").public_bytes(Encoding.DER))
    octets[place : place + len(noise)] = noise
    try:
        query = read_query(bytes(octets), 4)
    except InvalidInput:
        return
    assert 1 <= len(query.asked) <= 4


@pytest.mark.parametrize("nonce", [None, b"n" * 32])
@pytest.mark.parametrize(
    ("standing", "status"),
    [
        (True, ocsp.OCSPCertStatus.GOOD),
        (False, ocsp.OCSPCertStatus.UNKNOWN),
        (Revoked(NOW - timedelta(days=1), Reason.KEY_COMPROMISE), ocsp.OCSPCertStatus.REVOKED),
        (Revoked(NOW - timedelta(days=1), Reason.UNSPECIFIED), ocsp.OCSPCertStatus.REVOKED),
    ],
)
@pytest.mark.parametrize("issuer", [SHA1, SHA256], ids=lambda issuer: issuer.algorithm)
def test_an_answer_is_pycas_octet_for_octet(
    issuer: IssuerId, standing: CertStatus, status: ocsp.OCSPCertStatus, nonce: bytes | None
) -> None:
    revoked = standing if isinstance(standing, Revoked) else None
    reason = None
    if revoked is not None and revoked.reason is Reason.KEY_COMPROMISE:
        reason = x509.ReasonFlags.key_compromise
    builder = ocsp.OCSPResponseBuilder().add_response(
        loaded(LEAF), loaded(ISSUING), HASHES[issuer.algorithm], status, NOW, LATER,
        revoked.at if revoked else None, reason,
    )  # fmt: skip
    builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, loaded(RESPONDER))
    builder = builder.certificates([loaded(RESPONDER)])
    if nonce is not None:
        builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
    expected = builder.sign(RESPONDER.key, hashes.SHA256())
    responder = Responder.of(RESPONDER.der, RESPONDER.key.public_key())
    # pyca says when it was made by its own clock.
    made_at = expected.produced_at_utc
    said = single(cert_id(issuer, loaded(LEAF).serial_number), standing, NOW, LATER)
    ours = to_be_signed(responder, made_at, [said], nonce)
    assert ours == expected.tbs_response_bytes
    assert assemble(responder, ours, expected.signature) == expected.public_bytes(Encoding.DER)


@pytest.mark.parametrize("failure", Failure)
def test_a_failure_is_pycas(failure: Failure) -> None:
    status = {
        Failure.MALFORMED: ocsp.OCSPResponseStatus.MALFORMED_REQUEST,
        Failure.INTERNAL: ocsp.OCSPResponseStatus.INTERNAL_ERROR,
        Failure.TRY_LATER: ocsp.OCSPResponseStatus.TRY_LATER,
        Failure.UNAUTHORIZED: ocsp.OCSPResponseStatus.UNAUTHORIZED,
    }[failure]
    assert failure.octets == ocsp.OCSPResponseBuilder.build_unsuccessful(status).public_bytes(Encoding.DER)
