"""Names, and who a certificate speaks for: one organisation in its role, or one device (GBCS 12)."""

from collections.abc import Sequence

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import NameOID

from smki.entity import EntityId, KeyUsage, RemotePartyRole
from smki.errors import InvalidInput
from smki.pki.holder import MAX_CERTIFICATE_OCTETS, Holder, hardware_serial, holder, load_certificate
from smki.pki.name import (
    EMPTY,
    authority_name,
    entity_of,
    hardware_module_name,
    is_common_name,
    organisation_name,
    person_or_system_name,
)
from smki.pki.usages import key_usage
from tests.pki.path_made import AT, DAY, key, usage

ENTITY = EntityId.parse("00-DB-12-34-56-78-90-A0")
UNIQUE = b"\x00" + ENTITY.octets
HARDWARE = x509.ObjectIdentifier("1.2.826.0.1.8641679.1.2.2.1")
DEVICE = hardware_module_name(HARDWARE, ENTITY)
KEY = key(1).public_key()
SIGNS = key_usage(KeyUsage.DIGITAL_SIGNATURE)
Public = ec.EllipticCurvePublicKey | rsa.RSAPublicKey


def unit(text: str) -> x509.NameAttribute[str]:
    return x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, text)


def unique(octets: bytes) -> x509.NameAttribute[bytes]:
    return x509.NameAttribute(NameOID.X500_UNIQUE_IDENTIFIER, octets, _ASN1Type.BitString)


def certificate(
    subject: Sequence[x509.NameAttribute[str] | x509.NameAttribute[bytes]] = (),
    names: Sequence[x509.GeneralName] = (),
    use: x509.KeyUsage | None = SIGNS,
    public: Public = KEY,
) -> x509.Certificate:
    builder = x509.CertificateBuilder().issuer_name(EMPTY).subject_name(x509.Name(list(subject))).serial_number(1)
    builder = builder.public_key(public).not_valid_before(AT).not_valid_after(AT + DAY)
    if use is not None:
        builder = builder.add_extension(use, True)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(list(names)), True)
    return builder.sign(key(2), hashes.SHA256())


ORGANISATION = (unit("02"), unique(UNIQUE))


def refused(made: x509.Certificate) -> str:
    with pytest.raises(InvalidInput, match="the one given") as refusal:
        holder(made, "the one given")
    assert refusal.value.code == "cert.holder"
    return refusal.value.message


# Who it is


@pytest.mark.parametrize("use", list(KeyUsage))
def test_an_organisation_or_a_device_is_its_holder(use: KeyUsage) -> None:
    agrees = key_usage(use)
    assert holder(certificate(ORGANISATION, use=agrees), "") == Holder(ENTITY, RemotePartyRole.SUPPLIER, use, KEY)
    assert holder(certificate((), [DEVICE], agrees), "") == Holder(ENTITY, None, use, KEY)
    mail = x509.RFC822Name("x@b.example")
    assert holder(certificate(ORGANISATION, [mail]), "").role is RemotePartyRole.SUPPLIER
    assert holder(certificate(ORGANISATION, [DEVICE, DEVICE]), "").role is RemotePartyRole.SUPPLIER


@pytest.mark.parametrize(
    "made",
    [
        certificate(),
        certificate([unit("02")]),
        certificate([unique(UNIQUE)]),
        certificate(ORGANISATION, [DEVICE]),
        certificate([unit("02")], [DEVICE]),
        certificate([unique(UNIQUE)], [DEVICE]),
        certificate((), [DEVICE, DEVICE]),
        certificate((), [x509.DNSName("meter.example")]),
        certificate((), [x509.OtherName(HARDWARE, DEVICE.value)]),
        certificate((), [x509.OtherName(DEVICE.type_id, b"\x05\x00")]),
    ],
)
def test_who_is_neither_or_both_is_nobody(made: x509.Certificate) -> None:
    assert "no organisation with its role, and no device" in refused(made)


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (certificate([unit("02"), unit("03"), unique(UNIQUE)]), "more than one"),
        (certificate([*ORGANISATION, unique(UNIQUE)]), "more than one"),
        (certificate([unit("02"), unique(UNIQUE[:-1])]), "no EUI-64"),
        (certificate([unit("02"), unique(b"\x01" + ENTITY.octets)]), "no EUI-64"),
        (certificate(ORGANISATION, use=None), "usage"),
        (certificate(ORGANISATION, use=usage("digital_signature", "key_agreement")), "usage"),
        (certificate(ORGANISATION, public=ec.derive_private_key(5, ec.SECP384R1()).public_key()), "P-256"),
    ],
)
def test_one_of_no_certain_holder_is_refused_and_told_why(made: x509.Certificate, reason: str) -> None:
    assert reason in refused(made)


def test_a_role_nobody_has_is_refused_as_such() -> None:
    with pytest.raises(InvalidInput) as refusal:
        holder(certificate([unit("99"), unique(UNIQUE)]), "")
    assert refusal.value.code == "entity.role"


def test_a_device_is_named_by_exactly_eight_octets() -> None:
    assert hardware_serial(DEVICE) == ENTITY
    head = DEVICE.value[:2]
    assert head == bytes((0x30, len(DEVICE.value) - 2))
    for octets in (ENTITY.octets[:7], ENTITY.octets + b"\x00"):
        content = DEVICE.value[2:-9] + bytes((len(octets),)) + octets
        assert hardware_serial(x509.OtherName(DEVICE.type_id, bytes((0x30, len(content))) + content)) is None


# Files


def test_a_certificate_is_given_as_pem_or_der() -> None:
    made = certificate(ORGANISATION)
    pem, der = made.public_bytes(Encoding.PEM), made.public_bytes(Encoding.DER)
    assert load_certificate(der, "") == load_certificate(pem, "") == load_certificate(b"Ann's\n" + pem, "") == made
    for octets in (b"", b"noise", pem[:80], der[:-1], pem + b"\n" * MAX_CERTIFICATE_OCTETS):
        with pytest.raises(InvalidInput, match="this file") as refusal:
            load_certificate(octets, "this file")
        assert refusal.value.code == "cert.form"
    room = MAX_CERTIFICATE_OCTETS - len(pem)
    assert load_certificate(pem + b"\n" * room, "") == made
    assert MAX_CERTIFICATE_OCTETS == 16_384


# Names


def test_an_authority_has_a_short_printable_name() -> None:
    made = authority_name(RemotePartyRole.ISSUING_AUTHORITY, "E357")
    assert made.rfc4514_string() == "CN=E357,OU=07"
    assert {attribute._type for attribute in made} == {_ASN1Type.PrintableString}
    for wrong in ("", "E3578", "Ä1", "Z_"):
        with pytest.raises(InvalidInput) as refusal:
            authority_name(RemotePartyRole.ROOT, wrong)
        assert refusal.value.code == "name.authority"


def test_an_organisations_name_ends_in_its_role_and_its_identifier() -> None:
    made = organisation_name(RemotePartyRole.OTHER, ENTITY, "North Supply")
    assert [(one.oid, one.value, one._type) for one in made] == [
        (NameOID.COMMON_NAME, "North Supply", _ASN1Type.UTF8String),
        (NameOID.ORGANIZATIONAL_UNIT_NAME, "7F", _ASN1Type.UTF8String),
        (NameOID.X500_UNIQUE_IDENTIFIER, UNIQUE, _ASN1Type.BitString),
    ]
    assert all(len(list(rdn)) == 1 for rdn in made.rdns)
    assert list(organisation_name(RemotePartyRole.OTHER, ENTITY, None)) == list(made)[1:]


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("A", True),
        ("A" * 64, True),
        ("Zoë Ash", True),
        ("", False),
        ("A" * 65, False),
        (" A", False),
        ("A ", False),
        ("A\nB", False),
    ],
)
def test_a_common_name_is_one_line_of_at_most_64_characters(text: str, good: bool) -> None:
    assert is_common_name(text) is good
    if good:
        (attribute,) = person_or_system_name(text)
        assert (attribute.value, attribute._type) == (text, _ASN1Type.UTF8String)
    else:
        with pytest.raises(InvalidInput) as refusal:
            person_or_system_name(text)
        assert refusal.value.code == "name.common"


@pytest.mark.parametrize(
    "value", ["text", b"", ENTITY.octets, UNIQUE[:-1], UNIQUE + b"\x00", b"\x01" + ENTITY.octets, None]
)
def test_a_unique_identifier_is_all_bits_of_an_eui_64(value: object) -> None:
    assert entity_of(UNIQUE) == ENTITY
    assert entity_of(value) is None
