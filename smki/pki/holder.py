"""Who a certificate speaks for: an organisation in a role, or a device; and what its key is for (GBCS 12)."""

from dataclasses import dataclass
from typing import Annotated

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from smki.entity import EUI64_OCTETS, EntityId, KeyUsage, RemotePartyRole
from smki.errors import InvalidInput
from smki.pki.name import ON_HARDWARE_MODULE_NAME, entity_of
from smki.pki.usages import one_usage

UNREADABLE = (
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
    x509.DuplicateExtension,
    UnsupportedAlgorithm,
    TypeError,  # a name's attribute that is a BIT STRING and may not be one
)
"""What pyca raises besides ValueError on certificates and requests that it does not read."""
MAX_CERTIFICATE_OCTETS = 16_384  # the largest profile makes some 700


@asn1.sequence
class _HardwareModuleName:
    hardware_type: x509.ObjectIdentifier
    serial: Annotated[bytes, asn1.Size(EUI64_OCTETS, EUI64_OCTETS)]


@dataclass(frozen=True, slots=True)
class Holder:
    """The one a certificate was issued to."""

    entity: EntityId
    role: RemotePartyRole | None
    """None for a device."""
    usage: KeyUsage
    public_key: ec.EllipticCurvePublicKey


def hardware_serial(name: x509.OtherName) -> EntityId | None:
    """The EUI-64 in a hardwareModuleName (RFC 4108 5), if it is one."""
    if name.type_id != ON_HARDWARE_MODULE_NAME:
        return None
    try:
        return EntityId(asn1.decode_der(_HardwareModuleName, name.value).serial)
    except ValueError:
        return None


def load_certificate(data: bytes, source: str) -> x509.Certificate:
    """A certificate from PEM or DER."""
    reader = x509.load_pem_x509_certificate if b"-----BEGIN" in data[:1024] else x509.load_der_x509_certificate
    try:
        if len(data) > MAX_CERTIFICATE_OCTETS:
            raise ValueError
        return reader(data)
    except (ValueError, *UNREADABLE):
        raise InvalidInput(
            "cert.form", f"{source} is no certificate", "give one certificate, as PEM or DER"
        ) from None


def holder(certificate: x509.Certificate, source: str) -> Holder:
    """Read who an end-entity certificate is for; one of no single, certain holder is refused."""
    try:
        extensions = certificate.extensions
        key = certificate.public_key()
        role, unique = _organisation(certificate.subject)
        device = _device(extensions)
        usage = _usage(extensions)
    except (ValueError, *UNREADABLE) as error:
        raise _unfit(source, str(error)[:80]) from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise _unfit(source, "its key is not on P-256")
    if usage is None:
        raise _unfit(source, "its key has not exactly one usage")
    entity = unique if device is None else device
    if entity is None or (unique is not None and device is not None) or (role is None) != (device is not None):
        raise _unfit(source, "it names no organisation with its role, and no device")
    return Holder(entity, role, usage, key)


def _organisation(subject: x509.Name) -> tuple[RemotePartyRole | None, EntityId | None]:
    units = [item.value for item in subject.get_attributes_for_oid(NameOID.ORGANIZATIONAL_UNIT_NAME)]
    identifiers = [item.value for item in subject.get_attributes_for_oid(NameOID.X500_UNIQUE_IDENTIFIER)]
    if len(units) > 1 or len(identifiers) > 1:
        raise ValueError("it names more than one role or identifier")
    role = RemotePartyRole.from_organisational_unit(str(units[0])) if units else None
    if not identifiers:
        return role, None
    entity = entity_of(identifiers[0])
    if entity is None:
        raise ValueError("its unique identifier is no EUI-64")
    return role, entity


def _device(extensions: x509.Extensions) -> EntityId | None:
    try:
        names = list(extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound:
        return None
    if len(names) != 1 or not isinstance(names[0], x509.OtherName):
        return None
    return hardware_serial(names[0])


def _usage(extensions: x509.Extensions) -> KeyUsage | None:
    try:
        value = extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return None
    return one_usage(value)


def _unfit(source: str, reason: str) -> InvalidInput:
    return InvalidInput("cert.holder", f"{source}: {reason}", "give a certificate of an organisation or a device")
