"""A certificate in words: every field, in the order it stands, for people and for JSON."""

import hashlib
from collections.abc import Iterator
from datetime import datetime
from functools import lru_cache

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from smki.entity import EntityId, RemotePartyRole
from smki.errors import InvalidInput
from smki.pki.contingency import WRAPPED_APEX_CONTINGENCY_KEY
from smki.pki.holder import hardware_serial
from smki.pki.keyid import point_of
from smki.pki.lint import read_certificate
from smki.pki.name import entity_of
from smki.pki.usages import usages_in
from smki.pki.validity import NEVER
from smki.words import utc


@lru_cache(maxsize=32)  # of some 700 octets each: a run puts the same four certificates onto every device
def describe(der: bytes) -> tuple[tuple[str, str], ...]:
    """Field and value, ready to be read."""
    return tuple(_lines(read_certificate(der), der))


def _lines(certificate: x509.Certificate, der: bytes) -> Iterator[tuple[str, str]]:
    yield "version", str(certificate.version.value + 1)
    yield "serial", f"{certificate.serial_number:032X}"
    yield "issuer", _name(certificate.issuer)
    yield "valid from", _moment(certificate.not_valid_before_utc)
    yield "valid until", _moment(certificate.not_valid_after_utc)
    yield "subject", _name(certificate.subject)
    key = certificate.public_key()
    if isinstance(key, ec.EllipticCurvePublicKey):
        yield f"public key ({key.curve.name})", point_of(key).hex().upper()
    for extension in certificate.extensions:
        yield _extension(extension)
    yield "signature algorithm", certificate.signature_algorithm_oid.dotted_string
    yield "SHA-256", hashlib.sha256(der).hexdigest()


def _device(value: x509.SubjectAlternativeName) -> EntityId | None:
    names = list(value)
    return hardware_serial(names[0]) if len(names) == 1 and isinstance(names[0], x509.OtherName) else None


def _moment(moment: datetime) -> str:
    return "without end" if moment == NEVER else utc(moment)


def _name(name: x509.Name) -> str:
    parts = []
    for attribute in name:
        value = attribute.value
        entity = entity_of(value) if attribute.oid == NameOID.X500_UNIQUE_IDENTIFIER else None
        if entity is not None:
            parts.append(f"EUI-64={entity}")
        elif attribute.oid == NameOID.ORGANIZATIONAL_UNIT_NAME and isinstance(value, str):
            parts.append(f"OU={value}{_role(value)}")
        else:
            parts.append(f"{attribute.rfc4514_attribute_name}={value!s}")
    return ", ".join(parts) or "(empty)"


def _role(unit: str) -> str:
    try:
        return f" ({RemotePartyRole.from_organisational_unit(unit).name.lower().replace('_', ' ')})"
    except InvalidInput:
        return ""


def _extension(extension: "x509.Extension[x509.ExtensionType]") -> tuple[str, str]:
    value = extension.value
    critical = ", critical" if extension.critical else ""
    match value:
        case x509.KeyUsage():
            text = ", ".join(name.replace("_", " ") for name in usages_in(value))
            return f"key usage{critical}", text
        case x509.BasicConstraints():
            reach = "" if value.path_length is None else f", path length {value.path_length}"
            return f"basic constraints{critical}", f"{'authority' if value.ca else 'no authority'}{reach}"
        case x509.CertificatePolicies():
            return f"policies{critical}", ", ".join(policy.policy_identifier.dotted_string for policy in value)
        case x509.SubjectAlternativeName() if (device := _device(value)) is not None:
            return f"device{critical}", str(device)
        case x509.SubjectKeyIdentifier():
            return f"subject key identifier{critical}", value.digest.hex().upper()
        case x509.AuthorityKeyIdentifier():
            return f"authority key identifier{critical}", (value.key_identifier or b"").hex().upper()
        case x509.UnrecognizedExtension() if extension.oid == WRAPPED_APEX_CONTINGENCY_KEY:
            return f"wrapped contingency key{critical}", value.value.hex().upper()
        case _:
            return f"extension {extension.oid.dotted_string}{critical}", value.public_bytes().hex().upper()
