"""Lint: rules on a finished certificate, read from its octets and not from what made it.

Our own rules hold a certificate against its profile; pkilint holds it against RFC 5280. Findings are values. Each
rule is a row: code, severity, clause, and what it looks at.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtensionOID, NameOID, SignatureAlgorithmOID

from smki.errors import InvalidInput, Refused
from smki.pki.contingency import WRAPPED_APEX_CONTINGENCY_KEY
from smki.pki.holder import MAX_CERTIFICATE_OCTETS
from smki.pki.keyid import KEY_IDENTIFIER_OCTETS, KeyIdentifier
from smki.pki.kind import Kind
from smki.pki.name import ON_HARDWARE_MODULE_NAME
from smki.pki.profile import EXTENDED_USAGE, Profile
from smki.pki.serial import SERIAL_OCTETS
from smki.pki.usages import usages_in

_OIDS = {
    "keyUsage": ExtensionOID.KEY_USAGE,
    "basicConstraints": ExtensionOID.BASIC_CONSTRAINTS,
    "extendedKeyUsage": ExtensionOID.EXTENDED_KEY_USAGE,
    "subjectAltName": ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
    "certificatePolicies": ExtensionOID.CERTIFICATE_POLICIES,
    "subjectKeyIdentifier": ExtensionOID.SUBJECT_KEY_IDENTIFIER,
    "authorityKeyIdentifier": ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
    "wrappedApexContingencyKey": WRAPPED_APEX_CONTINGENCY_KEY,
    "ocspNoCheck": ExtensionOID.OCSP_NO_CHECK,
}
_CRITICAL = {
    ExtensionOID.KEY_USAGE,
    ExtensionOID.BASIC_CONSTRAINTS,
    ExtensionOID.CERTIFICATE_POLICIES,
    ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
}


class Severity(IntEnum):
    """As pkilint names them."""

    INFO = 0
    NOTICE = 1
    WARNING = 2
    ERROR = 3
    FATAL = 4


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule found."""

    severity: Severity
    code: str
    message: str


def read_certificate(der: bytes) -> x509.Certificate:
    """Parse a certificate from outside: bounded, strict, and never another exception than ours."""
    if len(der) > MAX_CERTIFICATE_OCTETS:
        raise InvalidInput(
            "certificate.size",
            f"{len(der)} octets, and {MAX_CERTIFICATE_OCTETS} is the limit",
            "check the file",
        )
    try:
        certificate = x509.load_der_x509_certificate(der)
        # Parsing is lazy: touch every part, so that what is returned has been read.
        _ = (certificate.subject, certificate.issuer, certificate.extensions, certificate.serial_number)
        _ = (
            certificate.not_valid_before_utc,
            certificate.not_valid_after_utc,
            certificate.signature_algorithm_oid,
        )
        certificate.public_key()
    except (
        ValueError,
        TypeError,
        NotImplementedError,
        x509.DuplicateExtension,
        x509.InvalidVersion,
    ) as error:
        raise InvalidInput("certificate.form", f"not a certificate: {error}", "check the file") from None
    except Exception as error:  # noqa: BLE001 - pyca's parser has its own family of errors for keys and curves
        reason = type(error).__name__
        raise InvalidInput("certificate.form", f"not a certificate we can use: {reason}", "check the file") from None
    return certificate


def lint(der: bytes, profile: Profile) -> tuple[Finding, ...]:
    """Every finding of our own rules and of pkilint."""
    return (*lint_profile(der, profile), *lint_pkix(der))


def refuse_faults(findings: tuple[Finding, ...]) -> None:
    """An ERROR or FATAL finding ends the making of a certificate."""
    faults = [f"{finding.code} ({finding.message})" for finding in findings if finding.severity >= Severity.ERROR]
    if faults:
        raise Refused("lint.fault", f"the certificate has faults: {'; '.join(faults)}", "correct profile or ceremony")


def lint_profile(der: bytes, profile: Profile) -> Iterator[Finding]:
    """Hold a certificate against its profile."""
    certificate = read_certificate(der)
    for code, clause, rule in _RULES:
        fault = rule(certificate, profile)
        if fault:
            yield Finding(Severity.ERROR, f"smki.{code}", f"{fault} ({clause})")


def lint_pkix(der: bytes) -> Iterator[Finding]:
    """Run pkilint's RFC 5280 linter over a certificate."""
    from pkilint import loader
    from pkilint.pkix import certificate, extension, name
    from pyasn1.type import univ

    # pkilint takes x500UniqueIdentifier for a DirectoryString and calls ours broken; X.520 6.2.7 says BIT STRING.
    unique_identifier = {univ.ObjectIdentifier(NameOID.X500_UNIQUE_IDENTIFIER.dotted_string): univ.BitString()}
    validator = certificate.create_pkix_certificate_validator_container(
        certificate.create_decoding_validators(
            {**name.ATTRIBUTE_TYPE_MAPPINGS, **unique_identifier}, extension.EXTENSION_MAPPINGS
        ),
        [
            certificate.create_issuer_validator_container([]),
            certificate.create_validity_validator_container(),
            certificate.create_subject_validator_container([]),
            certificate.create_extensions_validator_container([]),
            certificate.create_spki_validator_container([]),
        ],
    )
    yield from found_by(validator, loader.load_certificate, der, "certificate")


def found_by(validator: Any, load: Callable[[bytes, str], Any], der: bytes, name: str) -> Iterator[Finding]:
    """What pkilint finds, in our words: its finest severity tells nobody anything.

    It is stricter than DER: what it cannot read at all, such as an OID of two arcs, is a finding too.
    """
    try:
        document = load(der, name)
    except ValueError:
        yield Finding(Severity.FATAL, "pkix.form", f"pkilint cannot read the {name}")
        return
    for result in validator.validate(document.root):
        for described in result.finding_descriptions:
            finding = described.finding
            name = finding.severity.name
            severity = Severity.INFO if name == "DEBUG" else Severity[name]
            yield Finding(severity, finding.code, described.message or "")


def _version(certificate: x509.Certificate, _: Profile) -> str | None:
    return None if certificate.version is x509.Version.v3 else "not version 3"


def _serial(certificate: x509.Certificate, _: Profile) -> str | None:
    octets = (certificate.serial_number.bit_length() + 8) // 8
    fits = certificate.serial_number > 0 and octets == SERIAL_OCTETS
    return None if fits else f"serial number of {octets} octets, not {SERIAL_OCTETS}"


def _algorithm(certificate: x509.Certificate, _: Profile) -> str | None:
    oid = certificate.signature_algorithm_oid
    return None if oid == SignatureAlgorithmOID.ECDSA_WITH_SHA256 else f"signed by {oid.dotted_string}"


def _curve(certificate: x509.Certificate, _: Profile) -> str | None:
    key = certificate.public_key()
    on_p256 = isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1)
    return None if on_p256 else "the public key is not on P-256"


def _extensions(certificate: x509.Certificate, profile: Profile) -> str | None:
    found = [extension.oid for extension in certificate.extensions]
    wanted = [_OIDS[name] for name in profile.extensions]
    return None if found == wanted else "extensions, or their order, differ from the profile"


def _critical(certificate: x509.Certificate, _: Profile) -> str | None:
    for extension in certificate.extensions:
        if extension.critical != (extension.oid in _CRITICAL):
            return f"extension {extension.oid.dotted_string} is {'' if extension.critical else 'not '}critical"
    return None


def _key_usage(certificate: x509.Certificate, profile: Profile) -> str | None:
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return "no key usage"
    found = set(usages_in(usage))
    allowed = [{"digital_signature"}, {"key_agreement"}]
    if profile.kind.is_authority:
        allowed = [{"key_cert_sign", "crl_sign"}]
    elif profile.kind is Kind.RESPONDER:
        allowed = [{"digital_signature"}]
    return None if found in allowed else f"key usage {', '.join(sorted(found)) or 'empty'}"


def _extended_usage(certificate: x509.Certificate, profile: Profile) -> str | None:
    try:
        found = list(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    except x509.ExtensionNotFound:
        found = []
    fits = found == [EXTENDED_USAGE[usage] for usage in profile.extended_usage]
    return None if fits else "extended key usage differs from the profile"


def _constraints(certificate: x509.Certificate, profile: Profile) -> str | None:
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound:
        return "no basicConstraints" if profile.kind.is_authority else None
    fits = constraints.ca and constraints.path_length == profile.kind.path_length
    return None if fits and profile.kind.is_authority else "basicConstraints do not fit the profile"


def _policies(certificate: x509.Certificate, _: Profile) -> str | None:
    try:
        policies = certificate.extensions.get_extension_for_class(x509.CertificatePolicies).value
    except x509.ExtensionNotFound:
        return "no certificate policy"
    bare = all(not policy.policy_qualifiers for policy in policies)
    return None if bare and list(policies) else "policies with qualifiers, or none"


def _subject_key(certificate: x509.Certificate, _: Profile) -> str | None:
    key = certificate.public_key()
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    except x509.ExtensionNotFound:
        return "no subjectKeyIdentifier"
    wanted = KeyIdentifier.of(key).octets if isinstance(key, ec.EllipticCurvePublicKey) else None
    return None if found == wanted else "the subject key identifier is not of method (2) over this key"


def _authority_key(certificate: x509.Certificate, profile: Profile) -> str | None:
    try:
        found = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    except x509.ExtensionNotFound:
        return None if profile.kind is Kind.ROOT else "no authorityKeyIdentifier"
    only = found.authority_cert_issuer is None and found.authority_cert_serial_number is None
    method_2 = found.key_identifier is not None and len(found.key_identifier) == KEY_IDENTIFIER_OCTETS
    return None if only and method_2 else "the authority key identifier is not 8 octets and nothing else"


def _names(certificate: x509.Certificate, profile: Profile) -> str | None:
    subject = certificate.subject
    if any(len(list(rdn)) != 1 for rdn in subject.rdns):
        return "an RDN has more than one attribute"
    types = [attribute.oid for attribute in subject]
    unit, common, unique = (
        NameOID.ORGANIZATIONAL_UNIT_NAME,
        NameOID.COMMON_NAME,
        NameOID.X500_UNIQUE_IDENTIFIER,
    )
    forms: dict[Kind, list[list[x509.ObjectIdentifier]]] = {
        Kind.DEVICE: [[]],
        Kind.ORGANISATION: [[unit, unique], [common, unit, unique]],
        Kind.INFRASTRUCTURE: [[common]],
        Kind.RESPONDER: [[common]],
    }
    allowed = forms.get(profile.kind, [[unit, common]])
    if types not in allowed:
        return "the subject is not of the profile's form"
    self_issued = certificate.issuer == subject
    return None if self_issued == (profile.kind is Kind.ROOT) else "issuer and subject do not fit the profile"


def _entity(certificate: x509.Certificate, profile: Profile) -> str | None:
    if profile.kind is not Kind.DEVICE:
        return None
    try:
        names = list(certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound:
        return "no subjectAltName"
    one = len(names) == 1 and isinstance(names[0], x509.OtherName)
    return None if one and names[0].type_id == ON_HARDWARE_MODULE_NAME else "not exactly one hardwareModuleName"


def _lifetime(certificate: x509.Certificate, profile: Profile) -> str | None:
    if profile.longest_years is None:
        return None
    years = certificate.not_valid_after_utc.year - certificate.not_valid_before_utc.year
    return None if years <= profile.longest_years else f"valid for {years} years"


_Rule = Callable[[x509.Certificate, Profile], str | None]
_RULES: tuple[tuple[str, str, _Rule], ...] = (
    ("version", "RFC 5280 4.1.2.1", _version),
    ("serial", "RFC 5280 4.1.2.2; 16 octets throughout the system", _serial),
    ("algorithm", "GBCS 12: ecdsa-with-SHA256", _algorithm),
    ("curve", "GBCS 12: P-256", _curve),
    ("extensions", "the profile", _extensions),
    ("critical", "GBCS 12; RFC 5280 4.2.1", _critical),
    ("key-usage", "GBCS 12: exactly one", _key_usage),
    ("extended-usage", "the profile", _extended_usage),
    ("constraints", "RFC 5280 4.2.1.9", _constraints),
    ("policies", "GBCS 12", _policies),
    ("subject-key", "RFC 5280 4.2.1.2 method (2)", _subject_key),
    ("authority-key", "GBCS 12: key identifier only", _authority_key),
    ("names", "GBCS 12", _names),
    ("entity", "GBCS 12; RFC 4108", _entity),
    ("lifetime", "the profile", _lifetime),
)
