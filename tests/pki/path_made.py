"""Certificates and CRLs made for path tests: any issuer, any key, any extension, right or wrong."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from smki.pki.keyid import KeyIdentifier, point_of
from smki.pki.path import InvalidPath, Options, PathCertificate, PathCrl, TrustAnchor, ValidPath, verify_path

AT = datetime(2026, 11, 21, 12, tzinfo=UTC)
DAY = timedelta(days=1)
PLAIN = Options()
CA = x509.BasicConstraints(ca=True, path_length=None)
BITS = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)
Extensions = Sequence[tuple[x509.ExtensionType, bool]]


@cache
def key(number: int) -> ec.EllipticCurvePrivateKey:
    """The same number, the same key."""
    return ec.derive_private_key(1_000_003 + number, ec.SECP256R1())


def usage(*names: str) -> x509.KeyUsage:
    return x509.KeyUsage(**{bit: bit in names for bit in BITS})


SIGNS = usage("key_cert_sign", "crl_sign")


def name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


@dataclass(frozen=True)
class Party:
    """A name and a key."""

    text: str
    number: int

    @property
    def key(self) -> ec.EllipticCurvePrivateKey:
        return key(self.number)

    @property
    def anchor(self) -> TrustAnchor:
        public = self.key.public_key()
        return TrustAnchor.of_key(name(self.text), point_of(public), KeyIdentifier.of(public).octets)

    def certify(
        self,
        subject: "Party",
        *more: tuple[x509.ExtensionType, bool],
        authority: bool = False,
        serial: int = 0,
        start: datetime = AT - DAY,
        end: datetime = AT + DAY,
        subject_name: x509.Name | None = None,
        identifier: bytes | None = None,
        identified: bool = True,
    ) -> PathCertificate:
        """A certificate of this party's, with key identifiers unless they are empty; an authority's says so."""
        public = subject.key.public_key()
        builder = (
            x509.CertificateBuilder()
            .issuer_name(name(self.text))
            .subject_name(name(subject.text) if subject_name is None else subject_name)
            .public_key(public)
            .serial_number(serial or x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(end)
        )
        named = KeyIdentifier.of(public).octets if identifier is None else identifier
        own = x509.SubjectKeyIdentifier(named)
        mine = x509.AuthorityKeyIdentifier(KeyIdentifier.of(self.key.public_key()).octets, None, None)
        stated: list[tuple[x509.ExtensionType, bool]] = [(own, False)] if named else []
        stated += [(mine, False)] if identified else []
        stated += [(CA, True), (SIGNS, True)] if authority else []
        for extension, critical in [*stated, *more]:
            builder = builder.add_extension(extension, critical)
        return PathCertificate.read(builder.sign(self.key, hashes.SHA256()).public_bytes(Encoding.DER))

    def revoke(
        self,
        *serials: int,
        more: Extensions = (),
        entry: Extensions = (),
        number: int | None = 1,
        identified: tuple[x509.ExtensionType, bool] | None = None,
        start: datetime = AT - DAY,
        end: datetime = AT + DAY,
    ) -> PathCrl:
        """A CRL of this party's."""
        builder = x509.CertificateRevocationListBuilder().issuer_name(name(self.text))
        builder = builder.last_update(start).next_update(end)
        mine = x509.AuthorityKeyIdentifier(KeyIdentifier.of(self.key.public_key()).octets, None, None)
        own = [] if number is None else [(x509.CRLNumber(number), False)]
        for extension, critical in [*own, identified or (mine, False), *more]:
            builder = builder.add_extension(extension, critical)
        for serial in serials:
            revoked = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(start)
            for extension, critical in entry:
                revoked = revoked.add_extension(extension, critical)
            builder = builder.add_revoked_certificate(revoked.build())
        return PathCrl.read(builder.sign(self.key, hashes.SHA256()).public_bytes(Encoding.DER))


def policies(*oids: x509.ObjectIdentifier) -> tuple[x509.ExtensionType, bool]:
    return x509.CertificatePolicies([x509.PolicyInformation(oid, None) for oid in oids]), True


def scope(**more: bool) -> tuple[x509.ExtensionType, bool]:
    """An issuing distribution point without a name."""
    fields = {
        "only_contains_user_certs": False,
        "only_contains_ca_certs": False,
        "indirect_crl": False,
        "only_contains_attribute_certs": False,
        **more,
    }
    return x509.IssuingDistributionPoint(None, None, only_some_reasons=None, **fields), True


def codes(verdict: ValidPath | InvalidPath) -> set[str]:
    return set(verdict.codes) if isinstance(verdict, InvalidPath) else set()


def judged(path: list[PathCertificate], options: Options = PLAIN, at: datetime = AT) -> set[str]:
    return codes(verify_path(ROOT.anchor, path, at, options))


ROOT, ISSUING, LEAF, OTHER = (Party(text, n) for n, text in enumerate(("Root", "Issuing", "Leaf", "Other")))
GOOD = [ROOT.certify(ISSUING, authority=True), ISSUING.certify(LEAF, serial=7)]
P1, P2 = x509.ObjectIdentifier("1.2.3.1"), x509.ObjectIdentifier("1.2.3.2")
UNKNOWN = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
