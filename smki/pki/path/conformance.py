"""What RFC 5280 section 4 tells CAs and section 6 does not check: rows that a caller may ask for."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID

from smki.pki.path.certificate import PathCertificate
from smki.pki.path.options import Rule, broken
from smki.pki.path.work import Work
from smki.pki.verdict import Fault

MAX_SERIAL_OCTETS = 20
_ALWAYS_CRITICAL = {
    ExtensionOID.NAME_CONSTRAINTS,
    ExtensionOID.POLICY_CONSTRAINTS,
    ExtensionOID.INHIBIT_ANY_POLICY,
}
_NEVER_CRITICAL = {
    ExtensionOID.SUBJECT_KEY_IDENTIFIER,
    ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
    ExtensionOID.AUTHORITY_INFORMATION_ACCESS,
    ExtensionOID.SUBJECT_INFORMATION_ACCESS,
    ExtensionOID.SUBJECT_DIRECTORY_ATTRIBUTES,
    ExtensionOID.FRESHEST_CRL,
}


class Place(Enum):
    """Where in its path a certificate stands."""

    ANCHOR = "anchor"
    AUTHORITY = "authority"
    TARGET = "target"


@dataclass(frozen=True, slots=True)
class _Seen:
    certificate: PathCertificate
    place: Place
    issuer_key: bytes | None  # the key identifier of the certificate above, if it has one
    work: Work


def _serial(seen: _Seen) -> bool:
    return (seen.certificate.serial.bit_length() + 8) // 8 <= MAX_SERIAL_OCTETS


def _critical(seen: _Seen) -> bool:
    stated, critical = set(seen.certificate.values), seen.certificate.critical
    return not critical & _NEVER_CRITICAL and _ALWAYS_CRITICAL & stated <= critical


def _subject_key(seen: _Seen) -> bool:
    return seen.place is Place.TARGET or seen.certificate.key_identifier is not None


def _authority_key(seen: _Seen) -> bool:
    """Key identifier and nothing else; only a certificate signed with its own key may do without."""
    certificate = seen.certificate
    stated = certificate.value(x509.AuthorityKeyIdentifier)
    if stated is None:
        return _is_self_signed(seen)
    own = certificate.is_self_issued and _is_self_signed(seen)
    issuer_key = certificate.key_identifier if own else seen.issuer_key
    alone = stated.authority_cert_issuer is None and stated.authority_cert_serial_number is None
    fits = issuer_key is None or stated.key_identifier == issuer_key
    return alone and stated.key_identifier is not None and fits


def _is_self_signed(seen: _Seen) -> bool:
    certificate = seen.certificate
    return seen.work.is_signed(certificate.point, certificate.signature, certificate.signed)


def _constraints(seen: _Seen) -> bool:
    certificate = seen.certificate
    stated = certificate.value(x509.BasicConstraints)
    if seen.place is Place.TARGET:
        return True
    return stated is not None and stated.ca and x509.BasicConstraints.oid in certificate.critical


def _usage(seen: _Seen) -> bool:
    usage = seen.certificate.value(x509.KeyUsage)
    if usage is None:
        return True
    return seen.certificate.is_authority if usage.key_cert_sign else seen.place is Place.TARGET


def _target(seen: _Seen) -> bool:
    return seen.place is not Place.TARGET or not seen.certificate.is_authority


def _names(seen: _Seen) -> bool:
    certificate = seen.certificate
    if certificate.issuer.is_empty:
        return False
    alternative = x509.SubjectAlternativeName.oid in certificate.critical
    return not certificate.subject.is_empty or (seen.place is Place.TARGET and alternative)


def _only(seen: _Seen) -> bool:
    found = set(seen.certificate.values) & {*_ALWAYS_CRITICAL, ExtensionOID.POLICY_MAPPINGS}
    return seen.certificate.is_authority or not found


def _purpose(seen: _Seen) -> bool:
    """Stated by targets, never critical, and meaning something; 4.2.1.12 leaves more open than we use."""
    stated = seen.certificate.value(x509.ExtendedKeyUsage)
    if stated is None:
        return True
    vague = ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE in stated
    return seen.place is not Place.ANCHOR and not vague and x509.ExtendedKeyUsage.oid not in seen.certificate.critical


def _unique_ids(seen: _Seen) -> bool:
    return not seen.certificate.has_unique_ids


_ROWS: tuple[tuple[Rule, str, str, str, Callable[[_Seen], bool]], ...] = (
    (Rule.SERIAL, "serial", "has a serial number past 20 octets", "RFC 5280 4.1.2.2", _serial),
    (Rule.UNIQUE_IDS, "unique-id", "has a unique identifier beside a name", "RFC 5280 4.1.2.8", _unique_ids),
    (Rule.NAMES, "name", "has an empty name, and no critical alternative", "RFC 5280 4.1.2.4, 4.1.2.6", _names),
    (Rule.CRITICAL, "critical-extension", "has an extension wrongly critical, or not", "RFC 5280 4.2", _critical),
    (Rule.AUTHORITY_KEY, "key-identifier", "does not name just its issuer's key", "RFC 5280 4.2.1.1", _authority_key),
    (Rule.SUBJECT_KEY, "key-identifier", "is an authority, its key not named", "RFC 5280 4.2.1.2", _subject_key),
    (Rule.USAGE, "key-usage", "is for a use at odds with its constraints", "RFC 5280 4.2.1.3, 4.2.1.9", _usage),
    (Rule.CONSTRAINTS, "issuer-not-ca", "lacks critical basic constraints", "RFC 5280 4.2.1.9", _constraints),
    (Rule.ONLY_AUTHORITIES, "constraint-place", "constrains, and is no authority", "RFC 5280 4.2.1.10", _only),
    (Rule.PURPOSE, "extended-key-usage", "states purposes as none here may", "RFC 5280 4.2.1.12", _purpose),
    (Rule.TARGET, "target-is-ca", "is an authority, and stands where none may", "GBCS 12", _target),
)


def unfit(
    certificate: PathCertificate, place: Place, issuer_key: bytes | None, asked: frozenset[Rule], work: Work
) -> Iterator[Fault]:
    """Every rule asked for that a certificate breaks in its place."""
    seen = _Seen(certificate, place, issuer_key, work)
    for rule, code, words, clause, fits in _ROWS:
        if rule in asked and not fits(seen):
            yield broken(code, f"{certificate} {words} ({clause})")
