"""A CRL, parsed once into a frozen value: what section 6.3 will ask about it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Self, TypeVar

from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import CRLEntryExtensionOID, ExtensionOID

from smki.errors import InvalidInput
from smki.pki.path.names import DistinguishedName
from smki.pki.path.structure import RawCrl, check_whole, fault
from smki.pki.signature import ECDSA_WITH_SHA256

MAX_CRL_OCTETS = 1 << 27  # a million entries with reason and date of compromise take 72 MiB
_VERSION_2 = bytes.fromhex("020101")
_CRITICAL = bytes.fromhex("0101ff04")  # TRUE, then the OCTET STRING of the extension's value
_KNOWN = {
    ExtensionOID.ISSUING_DISTRIBUTION_POINT,
    ExtensionOID.DELTA_CRL_INDICATOR,
    ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
    ExtensionOID.CRL_NUMBER,
}
_KNOWN_OF_ENTRIES = {CRLEntryExtensionOID.CRL_REASON, CRLEntryExtensionOID.INVALIDITY_DATE}
_T = TypeVar("_T", bound=x509.ExtensionType)


@dataclass(frozen=True, slots=True)
class PathCrl:
    """Version 2, ECDSA with SHA-256, DER; equal if the octets are."""

    der: bytes = field(repr=False)
    issuer: DistinguishedName = field(compare=False)
    this_update: datetime = field(compare=False)
    next_update: datetime | None = field(compare=False)
    number: int | None = field(compare=False)
    base: int | None = field(compare=False)  # of a delta CRL: the number it builds on
    scope: x509.IssuingDistributionPoint | None = field(compare=False)
    authority_key_identifier: x509.AuthorityKeyIdentifier | None = field(compare=False)
    critical: frozenset[x509.ObjectIdentifier] = field(compare=False)
    unknown_critical: bool = field(compare=False)
    signed: bytes = field(compare=False, repr=False)
    signature: bytes = field(compare=False, repr=False)
    _list: x509.CertificateRevocationList = field(compare=False, repr=False)
    _indirect: "Mapping[tuple[DistinguishedName, int], x509.ReasonFlags] | None" = field(compare=False, repr=False)

    @classmethod
    def read(cls, der: bytes) -> Self:
        """Parse a CRL from outside: bounded, strict, and never another exception than InvalidInput."""
        if len(der) > MAX_CRL_OCTETS:
            raise fault("size", f"a CRL of {len(der)} octets, and {MAX_CRL_OCTETS} is the limit")
        try:
            _check_outer(der)
            return cls._of(der)
        except InvalidInput:
            raise
        except Exception as error:  # noqa: BLE001 - pyca's parsers have several families of errors
            raise fault("form", f"a CRL that cannot be read: {type(error).__name__}") from None

    @classmethod
    def _of(cls, der: bytes) -> Self:
        crl = x509.load_der_x509_crl(der)
        if crl.public_bytes(Encoding.DER) != der:
            raise fault("form", "not in the one form DER allows (X.690 10, 11)")
        extensions = {extension.oid: extension for extension in crl.extensions}
        critical = frozenset(oid for oid, extension in extensions.items() if extension.critical)
        number = _value(extensions, x509.CRLNumber)
        base = _value(extensions, x509.DeltaCRLIndicator)
        scope = _value(extensions, x509.IssuingDistributionPoint)
        issuer = DistinguishedName.of(crl.issuer)
        is_indirect = scope is not None and scope.indirect_crl
        signed = crl.tbs_certlist_bytes
        return cls(
            der=der,
            issuer=issuer,
            this_update=crl.last_update_utc,
            next_update=crl.next_update_utc,
            number=None if number is None else number.crl_number,
            base=None if base is None else base.crl_number,
            scope=scope,
            authority_key_identifier=_value(extensions, x509.AuthorityKeyIdentifier),
            critical=critical,
            unknown_critical=bool(critical - _KNOWN) or _entries_unknown(crl, signed, len(critical), is_indirect),
            signed=signed,
            signature=crl.signature,
            _list=crl,
            _indirect=MappingProxyType(dict(_by_issuer(crl, issuer))) if is_indirect else None,
        )

    @property
    def is_delta(self) -> bool:
        return self.base is not None

    @property
    def is_number_critical(self) -> bool:
        return ExtensionOID.CRL_NUMBER in self.critical

    @property
    def entries(self) -> int:
        """How many it lists."""
        return len(self._list)

    def __iter__(self) -> Iterator[x509.RevokedCertificate]:
        return iter(self._list)

    def reason(self, issuer: DistinguishedName, serial: int) -> x509.ReasonFlags | None:
        """Why a certificate is listed, or None if it is not."""
        if self._indirect is not None:
            return self._indirect.get((issuer, serial))
        entry = None
        if issuer == self.issuer:
            entry = self._list.get_revoked_certificate_by_serial_number(serial)
        return None if entry is None else _reason(entry)

    def serial_numbers(self) -> Iterator[int]:
        """Of everything it lists."""
        return (entry.serial_number for entry in self._list)

    def is_current(self, at: datetime) -> bool:
        """Issued, and its successor not yet due; without nextUpdate it is refused (RFC 5280 5.1.2.5)."""
        return self.next_update is not None and self.this_update <= at <= self.next_update

    def __str__(self) -> str:
        return f"{'delta ' if self.is_delta else ''}CRL {self.number} of {self.issuer}"


def _check_outer(der: bytes) -> None:
    """Version and algorithms, inside and out (RFC 5280 5.1.1.2, 5.1.2.1, 5.1.2.2)."""
    raw = asn1.decode_der(RawCrl, der)
    check_whole(raw.signature)
    start = bytes(raw.tbs.data[: len(_VERSION_2 + ECDSA_WITH_SHA256)])
    if not start.startswith(_VERSION_2):
        raise fault("version", "not a CRL of version 2 (RFC 5280 5.1.2.1)")
    if start != _VERSION_2 + ECDSA_WITH_SHA256 or asn1.encode_der(raw.algorithm) != ECDSA_WITH_SHA256:
        raise fault("algorithm", "a CRL not signed by ECDSA with SHA-256, or with parameters (RFC 5758 3.2)")


def _value(
    extensions: "Mapping[x509.ObjectIdentifier, x509.Extension[x509.ExtensionType]]", kind: type[_T]
) -> _T | None:
    extension = extensions.get(kind.oid)
    return extension.value if extension is not None and isinstance(extension.value, kind) else None


def _entries_unknown(crl: x509.CertificateRevocationList, signed: bytes, known: int, is_indirect: bool) -> bool:
    """Whether an entry has a critical extension not known here: then the CRL says nothing of anyone (RFC 5280 5.3).

    A million entries are not walked for it: without more marks of criticality than the CRL's own extensions have,
    no entry has one.
    """
    if signed.count(_CRITICAL) == known:
        return False
    allowed = _KNOWN_OF_ENTRIES | ({CRLEntryExtensionOID.CERTIFICATE_ISSUER} if is_indirect else set())
    return any(extension.critical and extension.oid not in allowed for entry in crl for extension in entry.extensions)


def _by_issuer(
    crl: x509.CertificateRevocationList, issuer: DistinguishedName
) -> Iterator[tuple[tuple[DistinguishedName, int], x509.ReasonFlags]]:
    """The entries of an indirect CRL: each has the certificate issuer last named before it (RFC 5280 5.3.3)."""
    name = issuer
    for entry in crl:
        for extension in entry.extensions:
            if isinstance(extension.value, x509.CertificateIssuer):
                # One name: with several, entries times names could be more than any memory holds.
                (found,) = extension.value.get_values_for_type(x509.DirectoryName)
                name = DistinguishedName.of(found)
        yield (name, entry.serial_number), _reason(entry)


def _reason(entry: x509.RevokedCertificate) -> x509.ReasonFlags:
    """An entry whose reason cannot be read is an entry all the same."""
    try:
        return entry.extensions.get_extension_for_class(x509.CRLReason).value.reason
    except (ValueError, x509.ExtensionNotFound, x509.DuplicateExtension):
        return x509.ReasonFlags.unspecified
