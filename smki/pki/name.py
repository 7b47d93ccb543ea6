"""Names in certificates: ordered RDNs, one attribute each, in the string types of the real system (GBCS 12)."""

import re

from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import NameOID

from smki.entity import EUI64_OCTETS, EntityId, RemotePartyRole
from smki.errors import InvalidInput
from smki.pki.der import OCTET_STRING, SEQUENCE, tlv

_PRINTABLE = re.compile(r"[A-Za-z0-9 '()+,\-./:=?]+")
MAX_AUTHORITY_NAME = 4  # hypothesis, kept by every authority seen: ZA, Z1, OB, E357, 0001
MAX_COMMON_NAME = 64  # ub-common-name, RFC 5280 appendix A.1
EMPTY = x509.Name([])
_ALL_BITS_USED = b"\x00"  # what a BIT STRING begins with: how many of its last bits do not count (X.690 8.6.2)
ON_HARDWARE_MODULE_NAME = x509.ObjectIdentifier("1.3.6.1.5.5.7.8.4")  # RFC 4108 section 5


def authority_name(role: RemotePartyRole, common_name: str) -> x509.Name:
    """Of a root or issuing authority: its role, then a short name, both PrintableString."""
    if not _PRINTABLE.fullmatch(common_name) or len(common_name) > MAX_AUTHORITY_NAME:
        raise InvalidInput(
            "name.authority",
            f"{common_name[:40]!r} cannot be the name of an authority",
            f"give 1 to {MAX_AUTHORITY_NAME} letters or digits, such as Z1",
        )
    printable = _ASN1Type.PrintableString
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, role.organisational_unit, printable),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name, printable),
        ]
    )


def organisation_name(role: RemotePartyRole, entity: EntityId, common_name: str | None) -> x509.Name:
    """Of an organisation: an optional name for people, its role, and its EUI-64 as unique identifier."""
    attributes: list[x509.NameAttribute[str] | x509.NameAttribute[bytes]] = []
    if common_name is not None:
        attributes.append(_common_name(common_name))
    attributes.append(
        x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, role.organisational_unit, _ASN1Type.UTF8String)
    )
    identifier = _ALL_BITS_USED + entity.octets
    attributes.append(x509.NameAttribute(NameOID.X500_UNIQUE_IDENTIFIER, identifier, _ASN1Type.BitString))
    return x509.Name(attributes)


def entity_of(unique_identifier: object) -> EntityId | None:
    """The EUI-64 in an x500UniqueIdentifier, if it is a BIT STRING of one (GBCS 12)."""
    if not isinstance(unique_identifier, bytes) or len(unique_identifier) != len(_ALL_BITS_USED) + EUI64_OCTETS:
        return None
    octets = unique_identifier.removeprefix(_ALL_BITS_USED)
    return EntityId(octets) if len(octets) == EUI64_OCTETS else None


def person_or_system_name(common_name: str) -> x509.Name:
    """Of an officer, a system or a TLS client in the infrastructure hierarchy."""
    return x509.Name([_common_name(common_name)])


def is_common_name(text: str) -> bool:
    return 0 < len(text) <= MAX_COMMON_NAME and text == text.strip() and text.isprintable()


def _common_name(text: str) -> x509.NameAttribute[str]:
    if not is_common_name(text):
        raise InvalidInput(
            "name.common",
            f"{text[:80]!r} cannot be a common name",
            f"give 1 to {MAX_COMMON_NAME} printable characters",
        )
    return x509.NameAttribute(NameOID.COMMON_NAME, text, _ASN1Type.UTF8String)


def hardware_module_name(hardware_type: x509.ObjectIdentifier, entity: EntityId) -> x509.OtherName:
    """A device in subjectAltName: its EUI-64 as hwSerialNum of its hardware type (GBCS 12; RFC 4108 section 5)."""
    value = tlv(SEQUENCE, asn1.encode_der(hardware_type) + tlv(OCTET_STRING, entity.octets))
    return x509.OtherName(ON_HARDWARE_MODULE_NAME, value)
