"""A certificate in words, field by field and in its order."""

import hashlib
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from smki.entity import EntityId, KeyUsage, RemotePartyRole
from smki.pki.contingency import WRAPPED_APEX_CONTINGENCY_KEY
from smki.pki.describe import describe
from smki.pki.keyid import KeyIdentifier, point_of
from smki.pki.name import organisation_name
from tests.pki.hierarchy import POLICY, Made, chain, make
from tests.pki.remade import remade, stated

ROOT, ISSUING, ORGANISATION = chain("oca", "organisation", KeyUsage.KEY_AGREEMENT)
DEVICES, ABOVE_DEVICE, DEVICE = chain("dca", "device", KeyUsage.DIGITAL_SIGNATURE)


def identifier(made: Made) -> str:
    return str(KeyIdentifier.of(made.key.public_key()))


def around(made: Made, issuer: str, end: str, subject: str, *extensions: tuple[str, str]) -> list[tuple[str, str]]:
    certificate = x509.load_der_x509_certificate(made.der)
    return [
        ("version", "3"),
        ("serial", f"{certificate.serial_number:032X}"),
        ("issuer", issuer),
        ("valid from", "2026-01-01T00:00:00Z"),
        ("valid until", end),
        ("subject", subject),
        ("public key (secp256r1)", point_of(made.key.public_key()).hex().upper()),
        *extensions,
        ("signature algorithm", "1.2.840.10045.4.3.2"),
        ("SHA-256", hashlib.sha256(made.der).hexdigest()),
    ]


def test_a_root_is_described() -> None:
    contingency = stated(ROOT, x509.UnrecognizedExtension)
    assert isinstance(contingency, x509.UnrecognizedExtension)
    assert contingency.oid == WRAPPED_APEX_CONTINGENCY_KEY
    assert list(describe(ROOT.der)) == around(
        ROOT, "OU=00 (root), CN=ZA", "2075-12-31T23:59:59Z", "OU=00 (root), CN=ZA",
        ("key usage, critical", "key cert sign, crl sign"),
        ("basic constraints, critical", "authority"),
        ("policies, critical", POLICY),
        ("subject key identifier", identifier(ROOT)),
        ("wrapped contingency key", contingency.value.hex().upper()),
    )  # fmt: skip


def test_an_authority_and_an_organisation_are_described() -> None:
    found = dict(describe(ISSUING.der))
    assert found["basic constraints, critical"] == "authority, path length 0"
    assert found["subject"] == "OU=07 (issuing authority), CN=Z1"
    names = x509.load_der_x509_certificate(ORGANISATION.der).subject
    (unique,) = (one.value for one in names if one.oid == NameOID.X500_UNIQUE_IDENTIFIER)
    assert isinstance(unique, bytes)
    found = dict(describe(ORGANISATION.der))
    assert found["subject"] == f"OU=02 (supplier), EUI-64={unique[1:].hex('-').upper()}"
    assert found["key usage, critical"] == "key agreement"
    assert found["authority key identifier"] == identifier(ISSUING)


def test_a_device_is_described_and_has_no_end() -> None:
    names = stated(DEVICE, x509.SubjectAlternativeName)
    assert isinstance(names, x509.SubjectAlternativeName)
    (one,) = names
    assert list(describe(DEVICE.der)) == around(
        DEVICE, "OU=07 (issuing authority), CN=Z1", "without end", "(empty)",
        ("key usage, critical", "digital signature"),
        ("subject key identifier", identifier(DEVICE)),
        ("device, critical", one.value[-8:].hex("-").upper()),
        ("policies, critical", POLICY),
        ("authority key identifier", identifier(ABOVE_DEVICE)),
    )  # fmt: skip


def test_whatever_is_not_ours_is_shown_as_it_is() -> None:
    mail = x509.SubjectAlternativeName([x509.RFC822Name("x@b.example")])
    above = x509.AuthorityKeyIdentifier(None, [x509.DirectoryName(ROOT.name)], 5)
    strange = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3"), b"\x05\x00")
    nobody = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "meters"),
            x509.NameAttribute(NameOID.COMMON_NAME, "Ann"),
        ]
    )
    changed = remade(
        ORGANISATION, ISSUING, (mail, False), (above, False), (strange, True),
        (x509.BasicConstraints(False, None), False), subject=nobody, end=datetime(2030, 1, 1, tzinfo=UTC),
    )  # fmt: skip
    found = dict(describe(changed))
    assert found["subject"] == "OU=meters, CN=Ann"
    assert found["valid until"] == "2030-01-01T00:00:00Z"
    assert found["extension 2.5.29.17"] == mail.public_bytes().hex().upper()
    assert found["authority key identifier"] == ""
    assert found["extension 1.2.3, critical"] == "0500"
    assert found["basic constraints"] == "no authority"


@pytest.mark.parametrize("role", [RemotePartyRole.ACCESS_CONTROL_BROKER, RemotePartyRole.XML_SIGN])
def test_a_role_is_told_in_words(role: RemotePartyRole) -> None:
    entity = bytes(range(8))
    subject = organisation_name(role, EntityId(entity), "North")
    words = role.name.lower().replace("_", " ")
    assert dict(describe(remade(ORGANISATION, ISSUING, subject=subject)))["subject"] == (
        f"CN=North, OU={role.organisational_unit} ({words}), EUI-64=00-01-02-03-04-05-06-07"
    )


def test_a_key_of_another_kind_is_left_out() -> None:
    other = rsa.generate_private_key(65537, 1024).public_key()  # noqa: S505 - only described
    fields = [field for field, _ in describe(remade(ORGANISATION, ISSUING, public=other))]
    assert not any(field.startswith("public key") for field in fields)


def test_an_officer_is_described() -> None:
    found = dict(describe(make("officer", ISSUING).der))
    assert found["subject"] == "CN=alice"
    assert "extension 2.5.29.37" in found
