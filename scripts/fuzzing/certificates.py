"""Certificates, lists, requests and what is signed around them."""

import base64
import hashlib
import json
from collections.abc import Iterator
from contextlib import suppress
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509 import ocsp as pyca_ocsp

from scripts.fuzzing.target import NOW, VECTORS, Run, Target, in_file
from smki.errors import SmkiError

KEY = ec.derive_private_key(5, ec.SECP256R1())
"""Of whoever signs what is read once its signature held."""


@cache
def signer() -> x509.Certificate:
    name = x509.Name([])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(KEY.public_key())
    return builder.serial_number(1).not_valid_before(NOW).not_valid_after(NOW.replace(year=2030)).sign(
        KEY, hashes.SHA256()
    )  # fmt: skip


def signed(content: bytes) -> bytes:
    """Signed data around content, as an officer makes it."""
    from smki.pki.signed_data import make_signed_data

    return make_signed_data(content, signer(), KEY, NOW, certificates=[signer().public_bytes(Encoding.DER)])


def _certificate() -> Run:
    from smki.parties.keys import certificates_in, certified, read_certified
    from smki.pki.lint import read_certificate
    from smki.pki.path import Options, PathCertificate, TrustAnchor, find_path
    from tests.parties.people import root

    anchor = TrustAnchor.of_certificate(PathCertificate.read(root().der))

    def in_files(octets: bytes) -> None:
        def both(path: object) -> None:
            with suppress(SmkiError):
                list(certificates_in((path,)))  # type: ignore[arg-type]
            read_certified(path)  # type: ignore[arg-type]

        in_file(both)()(octets)

    def run(octets: bytes) -> None:
        for read in (in_files, lambda one: certified(one, "input"), read_certificate):
            with suppress(SmkiError):
                read(octets)
        found = PathCertificate.read(octets)
        assert found.der == octets
        find_path(found, [anchor, TrustAnchor.of_certificate(found)], [found], NOW, Options())

    return run


def _crl() -> Run:
    """As it came; and signed, so that what stands behind the signature is read."""
    from smki.pki.crl_reading import der_of, entries_of, read_list
    from smki.pki.der import SEQUENCE, tlv
    from smki.pki.path import PathCrl

    def run(octets: bytes) -> None:
        der = der_of(octets)
        with suppress(Exception):  # pyca's own errors: it is only asked for what is signed
            tbs = x509.load_der_x509_crl(der).tbs_certlist_bytes
            algorithm = bytes.fromhex("300a06082a8648ce3d040302")
            signature = tlv(0x03, b"\0" + KEY.sign(tbs, ec.ECDSA(hashes.SHA256())))
            der = tlv(SEQUENCE, tbs + algorithm + signature)
        with suppress(SmkiError):
            read = read_list(der, KEY.public_key())
            with suppress(ValueError, KeyError, OverflowError):  # told by its caller as one fault
                list(entries_of(read.parsed))
        with suppress(SmkiError):
            PathCrl.read(der)
        PathCrl.read(octets)

    return run


def _bundle_crl() -> Run:
    from smki.cli.bundle import read_crl

    return in_file(read_crl)()


def _request() -> Run:
    from smki.pki.kind import Kind
    from smki.pki.request import RequestReader
    from tests.device.desk import policies

    return RequestReader(policies().issuance.rule(Kind.DEVICE).profile, frozenset()).read


def _signed_data() -> Run:
    from smki.pki.signed_data import read_signed_data

    return read_signed_data


def _batch_manifest() -> Run:
    from smki.pki.manifest import open_manifest

    return lambda octets: open_manifest(signed(octets), [KEY.public_key()])


def _ocsp() -> Run:
    """First as HTTP, then as the request alone."""
    from smki.authority.ocsp.http import BadHttp, HttpReader
    from smki.pki.ocsp import read_query

    def run(octets: bytes) -> None:
        reader = HttpReader(4096)
        reader.feed(octets)
        with suppress(BadHttp):
            while (request := reader.take()) is not None:
                with suppress(SmkiError):
                    read_query(request.octets, 16)
        query = read_query(octets, 16)
        if query.plain is not None:
            assert read_query(query.plain, 1).asked == query.asked, "shortened, and read otherwise"

    return run


def _keys() -> Run:
    """Public keys in each of their forms, and what a root hides."""
    from smki.authority.certificates import _key_hash
    from smki.authority.officers import read_officer, read_public_key
    from smki.parties.keys import _read_key, read_key
    from smki.pki.contingency import unwrap
    from smki.pki.public_key import read_point, read_spki

    private, public = in_file(read_key)(), in_file(_key_hash)()
    ours = in_file(lambda path: _read_key(path, KEY.public_key(), "input"))()

    def run(octets: bytes) -> None:
        read_point(octets)
        key = read_spki(octets)
        assert key is None or key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) == octets
        for read in (
            private,
            public,
            ours,
            lambda one: read_public_key(one, "input"),
            lambda one: unwrap(one, bytes(32)),
        ):
            with suppress(SmkiError):
                read(octets)
        read_officer("input", octets.decode("latin-1"))

    return run


# Seeds


def _pkits(kind: str) -> Iterator[bytes]:
    found = json.loads((VECTORS / "pkits-p256" / "pkits.json").read_text())[kind]
    return (base64.b64decode(octets) for octets in found.values())


def _malformed(kind: str) -> Iterator[bytes]:
    return (path.read_bytes() for path in sorted((VECTORS / "malformed" / kind).glob("*.der")))


def _certificates() -> Iterator[bytes]:
    from tests.device.desk import own
    from tests.parties.people import issuing

    yield from _pkits("certs")
    yield from _malformed("cert")
    yield from (*own().values(), issuing().der)
    yield signer().public_bytes(Encoding.PEM) * 2


def _lists() -> Iterator[bytes]:
    yield from _pkits("crls")
    yield from _malformed("crl")
    entry = x509.RevokedCertificateBuilder().serial_number(0x40 << 120 | 1).revocation_date(NOW)
    entry = entry.add_extension(x509.CRLReason(x509.ReasonFlags.key_compromise), critical=False)
    entry = entry.add_extension(x509.InvalidityDate(NOW.replace(tzinfo=None)), critical=False)
    builder = x509.CertificateRevocationListBuilder().issuer_name(signer().issuer).last_update(NOW)
    builder = builder.next_update(NOW.replace(year=2027)).add_revoked_certificate(entry.build())
    builder = builder.add_extension(x509.CRLNumber(7), critical=False)
    builder = builder.add_extension(x509.DeltaCRLIndicator(6), critical=True)
    crl = builder.sign(KEY, hashes.SHA256())
    yield crl.public_bytes(Encoding.DER)
    yield crl.public_bytes(Encoding.PEM)


def _requests() -> Iterator[bytes]:
    from smki.entity import KeyUsage
    from smki.pki.device_request import device_request
    from smki.pki.kind import Kind
    from tests.device.desk import policies
    from tests.parties.people import METER

    profile = policies().issuance.rule(Kind.DEVICE).profile
    yield from (device_request(profile, METER, usage, KEY) for usage in KeyUsage)
    yield from _malformed("csr")


def _sums() -> Iterator[bytes]:
    digest = hashlib.sha256(b"").hexdigest()
    yield f"{digest}  a.csr\n{digest} *b.csr\n".encode()


def _ocsp_requests() -> Iterator[bytes]:
    from smki.pki.ocsp import IssuerId, cert_id, plain_request

    for algorithm, length in (("sha1", 20), ("sha256", 32)):
        octets = plain_request(cert_id(IssuerId(algorithm, bytes(length), bytes(length)), 1 << 126))
        yield octets
        yield b"GET /" + base64.b64encode(octets) + b" HTTP/1.1\r\nHost: a\r\n\r\n"
        head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/ocsp-request\r\nContent-Length: %d\r\n\r\n"
        yield head % len(octets) + octets
    built = pyca_ocsp.OCSPRequestBuilder().add_certificate_by_hash(bytes(20), bytes(20), 1, hashes.SHA1())  # noqa: S303
    yield built.add_extension(x509.OCSPNonce(bytes(16)), critical=False).build().public_bytes(Encoding.DER)


def _some_keys() -> Iterator[bytes]:
    from smki.pki.contingency import wrap

    public = KEY.public_key()
    spki = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    yield spki
    yield base64.b64encode(spki)
    yield public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    yield public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    yield KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    yield wrap(public, bytes(32), "rfc5934")
    yield signer().public_bytes(Encoding.DER)


TARGETS = {
    "certificate": Target(_certificate, _certificates),
    "crl": Target(_crl, _lists),
    "crl-in-bundle": Target(_bundle_crl, _lists),
    "request": Target(_request, _requests),
    "signed-data": Target(_signed_data, lambda: iter([signed(b"{}")])),
    "batch-manifest": Target(_batch_manifest, _sums),
    "ocsp": Target(_ocsp, _ocsp_requests),
    "keys": Target(_keys, _some_keys),
}
