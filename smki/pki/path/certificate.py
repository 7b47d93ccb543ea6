"""A certificate of a path, parsed once into a frozen value: everything that section 6 will ask about it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from types import MappingProxyType
from typing import Self, TypeVar

from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives.serialization import Encoding

from smki.errors import InvalidInput
from smki.pki.keyid import P256_SPKI
from smki.pki.path.constraints import Constrained, Form, general_name, read_constraint
from smki.pki.path.names import DistinguishedName, email_addresses
from smki.pki.path.structure import (
    RawCertificate,
    RawExtension,
    check_subtrees,
    fault,
    read_mappings,
    read_structure,
)
from smki.pki.public_key import read_point
from smki.pki.signature import ECDSA_WITH_SHA256

MAX_CERTIFICATE_OCTETS = 16_384  # the largest profile makes some 700; the largest NIST path test has 1200
_V3 = 2
_KEPT = 64  # certificates as they were read last
_POLICY_MAPPINGS = x509.ObjectIdentifier("2.5.29.33")
_T = TypeVar("_T", bound=x509.ExtensionType)
Mappings = tuple[tuple[x509.ObjectIdentifier, x509.ObjectIdentifier], ...]


@dataclass(frozen=True, slots=True)
class PathCertificate:
    """Version 3, P-256, ECDSA with SHA-256, DER throughout; equal if the octets are."""

    der: bytes
    serial: int = field(compare=False)
    issuer: DistinguishedName = field(compare=False)
    subject: DistinguishedName = field(compare=False)
    not_before: datetime = field(compare=False)
    not_after: datetime = field(compare=False)
    point: bytes = field(compare=False)
    signed: bytes = field(compare=False, repr=False)
    signature: bytes = field(compare=False, repr=False)
    critical: frozenset[x509.ObjectIdentifier] = field(compare=False)
    values: Mapping[x509.ObjectIdentifier, x509.ExtensionType] = field(compare=False, repr=False)
    mappings: Mappings = field(compare=False)
    names: tuple[Constrained, ...] = field(compare=False, repr=False)
    permitted: tuple[Constrained, ...] = field(compare=False, repr=False)
    excluded: tuple[Constrained, ...] = field(compare=False, repr=False)
    has_unique_ids: bool = field(compare=False)

    @classmethod
    def read(cls, der: bytes) -> Self:
        """Parse a certificate from outside: bounded, strict, and never another exception than InvalidInput."""
        if len(der) > MAX_CERTIFICATE_OCTETS:
            raise fault("size", f"a certificate of {len(der)} octets, and {MAX_CERTIFICATE_OCTETS} is the limit")
        return cls._read(der)

    @classmethod
    @lru_cache(maxsize=_KEPT)
    def _read(cls, der: bytes) -> Self:
        """The same few authorities stand above every certificate that is judged: a frozen value may serve again."""
        raw = read_structure(der)
        # Before pyca sees it: what follows is what it warns about or takes more kindly than we do.
        point = _checked(raw)
        try:
            return cls._of(der, raw, point)
        except InvalidInput:
            raise
        except Exception as error:  # noqa: BLE001 - pyca's parsers have several families of errors
            raise fault("form", f"a certificate that cannot be read: {type(error).__name__}") from None

    @classmethod
    def _of(cls, der: bytes, raw: RawCertificate, point: bytes) -> Self:
        certificate = x509.load_der_x509_certificate(der)
        if certificate.public_bytes(Encoding.DER) != der:
            raise fault("form", "not in the one form DER allows (X.690 10, 11)")
        extensions = certificate.extensions  # none twice (RFC 5280 4.2): pyca raises
        values = {extension.oid: extension.value for extension in extensions}
        permitted, excluded = _subtrees(raw, values.get(x509.NameConstraints.oid))
        _check_policies(values.get(x509.CertificatePolicies.oid))
        return cls(
            der=der,
            serial=raw.tbs.serial,
            issuer=DistinguishedName.of(certificate.issuer),
            subject=DistinguishedName.of(certificate.subject),
            not_before=certificate.not_valid_before_utc,
            not_after=certificate.not_valid_after_utc,
            point=point,
            signed=certificate.tbs_certificate_bytes,
            signature=certificate.signature,
            critical=frozenset(extension.oid for extension in extensions if extension.critical),
            values=MappingProxyType(values),
            mappings=next((read_mappings(e.value) for e in _raw(raw, _POLICY_MAPPINGS)), ()),
            names=_names(certificate, values.get(x509.SubjectAlternativeName.oid)),
            permitted=permitted,
            excluded=excluded,
            has_unique_ids=raw.tbs.issuer_unique_id is not None or raw.tbs.subject_unique_id is not None,
        )

    def value(self, kind: type[_T]) -> _T | None:
        """An extension's value, or None if it is absent."""
        found = self.values.get(kind.oid)
        return found if isinstance(found, kind) else None

    @property
    def is_self_issued(self) -> bool:
        """RFC 5280 6.1: the same name as subject and issuer, whoever's key signed."""
        return self.subject == self.issuer

    @property
    def is_authority(self) -> bool:
        constraints = self.value(x509.BasicConstraints)
        return constraints is not None and constraints.ca

    @property
    def key_identifier(self) -> bytes | None:
        found = self.value(x509.SubjectKeyIdentifier)
        return None if found is None else found.digest

    @property
    def authority_key_identifier(self) -> bytes | None:
        found = self.value(x509.AuthorityKeyIdentifier)
        return None if found is None else found.key_identifier

    @property
    def policies(self) -> tuple[x509.ObjectIdentifier, ...] | None:
        found = self.value(x509.CertificatePolicies)
        return None if found is None else tuple(policy.policy_identifier for policy in found)

    def __str__(self) -> str:
        return f"certificate {self.serial:X} of {self.subject}"


@dataclass(frozen=True, slots=True)
class TrustAnchor:
    """A name and a key that are believed (RFC 5280 6.1.1(d)); with a certificate, its constraints hold (RFC 5937)."""

    name: DistinguishedName
    point: bytes
    key_identifier: bytes | None = None
    certificate: PathCertificate | None = None

    def __post_init__(self) -> None:
        _check_point(self.point)

    @classmethod
    def of_certificate(cls, certificate: PathCertificate) -> Self:
        return cls(certificate.subject, certificate.point, certificate.key_identifier, certificate)

    @classmethod
    def of_key(cls, name: x509.Name, point: bytes, key_identifier: bytes | None = None) -> Self:
        """From a name and the 65 octets 04, X, Y."""
        return cls(DistinguishedName.of(name), point, key_identifier)


def _checked(raw: RawCertificate) -> bytes:
    """The point of a certificate whose version, serial number and algorithms are the ones we know."""
    tbs = raw.tbs
    if tbs.version != _V3:
        raise fault("version", "not a certificate of version 3 (RFC 5280 4.1.2.1)")
    if tbs.serial <= 0:
        raise fault("serial", "the serial number is not positive (RFC 5280 4.1.2.2)")
    for algorithm in (tbs.algorithm, raw.algorithm):
        if asn1.encode_der(algorithm) != ECDSA_WITH_SHA256:
            raise fault("algorithm", "not signed by ECDSA with SHA-256, or with parameters (GBCS 12; RFC 5758 3.2)")
    spki = asn1.encode_der(tbs.spki)
    if not spki.startswith(P256_SPKI):
        raise fault("algorithm", "the public key is no uncompressed point of the named curve P-256 (GBCS 12)")
    point = spki[len(P256_SPKI) :]
    _check_point(point)
    return point


def _check_point(point: bytes) -> None:
    if read_point(point) is None:
        raise fault("algorithm", "the public key is no point of P-256 (RFC 5480 2.2)")


def _raw(raw: RawCertificate, oid: x509.ObjectIdentifier) -> list[RawExtension]:
    return [extension for extension in raw.tbs.extensions or () if extension.oid == oid]


def _subtrees(
    raw: RawCertificate, value: x509.ExtensionType | None
) -> tuple[tuple[Constrained, ...], tuple[Constrained, ...]]:
    if not isinstance(value, x509.NameConstraints):
        return (), ()
    for extension in _raw(raw, x509.NameConstraints.oid):
        check_subtrees(extension.value)
    permitted = tuple(read_constraint(name) for name in value.permitted_subtrees or ())
    return permitted, tuple(read_constraint(name) for name in value.excluded_subtrees or ())


def _names(certificate: x509.Certificate, alternative: x509.ExtensionType | None) -> tuple[Constrained, ...]:
    """Every name that constraints apply to (RFC 5280 4.2.1.10): the subject, its addresses, the alternatives."""
    names = [Constrained(Form.MAIL, address) for address in email_addresses(certificate.subject)]
    if certificate.subject.rdns:
        names.append(general_name(x509.DirectoryName(certificate.subject)))
    if isinstance(alternative, x509.SubjectAlternativeName):
        names += [general_name(name) for name in alternative]
    return tuple(names)


def _check_policies(value: x509.ExtensionType | None) -> None:
    if isinstance(value, x509.CertificatePolicies):
        policies = [policy.policy_identifier for policy in value]
        if len(set(policies)) != len(policies):
            raise fault("form", "a policy is stated twice (RFC 5280 4.2.1.4)")
