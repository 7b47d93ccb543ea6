"""Our own lint: each thing in which a certificate differs from its profile is found, and nothing beside it."""

from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from smki.entity import EntityId, KeyUsage
from smki.errors import InvalidInput, Refused
from smki.pki.der import BIT_STRING, SEQUENCE, tlv
from smki.pki.holder import MAX_CERTIFICATE_OCTETS
from smki.pki.keyid import KeyIdentifier
from smki.pki.lint import Finding, Severity, lint_profile, read_certificate, refuse_faults
from smki.pki.name import hardware_module_name
from smki.pki.signature import ECDSA_WITH_SHA256
from tests.pki.hierarchy import POLICIES, Made, chain, make
from tests.pki.path_made import usage
from tests.pki.remade import remade, stated

ROOT, ISSUING, ORGANISATION = chain("oca", "organisation", KeyUsage.DIGITAL_SIGNATURE)
DEVICES, ABOVE_DEVICE, DEVICE = chain("dca", "device", KeyUsage.KEY_AGREEMENT)
OFFICER, RESPONDER = make("officer", ISSUING), make("ocsp-responder", ISSUING)
ENTITY = EntityId.parse("00-DB-12-34-56-78-90-A0")
P384 = ec.derive_private_key(5, ec.SECP384R1()).public_key()


def codes(der: bytes, made: Made) -> set[str]:
    found = list(lint_profile(der, made.profile))
    assert all(one.severity is Severity.ERROR and one.message for one in found)
    return {one.code.removeprefix("smki.") for one in found}


def otherwise(made: Made, signer: Made, *more: Any, **changed: Any) -> set[str]:
    return codes(remade(made, signer, *more, **changed), made)


ours = pytest.mark.parametrize(
    ("made", "signer"),
    [(ROOT, ROOT), (ISSUING, ROOT), (ORGANISATION, ISSUING), (DEVICE, ABOVE_DEVICE), (OFFICER, ISSUING),
     (RESPONDER, ISSUING)],
    ids=lambda made: made.profile.name,
)  # fmt: skip


@ours
def test_what_is_made_again_as_it_was_has_no_fault(made: Made, signer: Made) -> None:
    assert codes(made.der, made) == otherwise(made, signer) == set()


@ours
def test_each_extension_is_critical_or_not_as_it_must(made: Made, signer: Made) -> None:
    for one in x509.load_der_x509_certificate(made.der).extensions:
        assert otherwise(made, signer, (one.value, not one.critical)) == {"critical"}


@ours
def test_extensions_are_the_profiles_in_the_profiles_order(made: Made, signer: Made) -> None:
    assert otherwise(made, signer, backwards=True) == {"extensions"}
    strange = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3"), b"\x05\x00")
    assert otherwise(made, signer, (strange, False)) == {"extensions"}


@pytest.mark.parametrize(
    ("made", "signer", "left_out", "also"),
    [
        (ORGANISATION, ISSUING, x509.KeyUsage, {"key-usage"}),
        (ORGANISATION, ISSUING, x509.CertificatePolicies, {"policies"}),
        (ORGANISATION, ISSUING, x509.SubjectKeyIdentifier, {"subject-key"}),
        (ORGANISATION, ISSUING, x509.AuthorityKeyIdentifier, {"authority-key"}),
        (DEVICE, ABOVE_DEVICE, x509.SubjectAlternativeName, {"entity"}),
        (ISSUING, ROOT, x509.BasicConstraints, {"constraints"}),
        (ROOT, ROOT, x509.UnrecognizedExtension, set()),
        (OFFICER, ISSUING, x509.ExtendedKeyUsage, {"extended-usage"}),
        (RESPONDER, ISSUING, x509.OCSPNoCheck, set()),
    ],
)
def test_what_is_left_out_is_missed(
    made: Made, signer: Made, left_out: type[x509.ExtensionType], also: set[str]
) -> None:
    assert otherwise(made, signer, without=[left_out]) == {"extensions", *also}


def test_a_serial_number_has_sixteen_octets() -> None:
    for octets in (b"\x7f" + bytes(14), b"\x00\x7f" + bytes(14), b"\x01" + bytes(16), b"\x00\x80" + bytes(15)):
        assert otherwise(ORGANISATION, ISSUING, serial=int.from_bytes(octets)) == {"serial"}
    for octets in (b"\x00\x80" + bytes(14), b"\x7f" + b"\xff" * 15):
        assert otherwise(ORGANISATION, ISSUING, serial=int.from_bytes(octets)) == set()


def test_only_ecdsa_with_sha_256_on_p_256() -> None:
    assert otherwise(ORGANISATION, ISSUING, algorithm=hashes.SHA384()) == {"algorithm"}
    named = x509.SubjectKeyIdentifier(KeyIdentifier.of(P384).octets)
    assert otherwise(ORGANISATION, ISSUING, (named, False), public=P384) == {"curve"}
    other = rsa.generate_private_key(65537, 1024).public_key()  # noqa: S505 - it is to be refused
    assert otherwise(ORGANISATION, ISSUING, public=other) == {"curve", "subject-key"}


def test_a_certificate_of_version_1_is_found() -> None:
    """It has no extensions, and so lacks all of them."""
    bare = x509.load_der_x509_certificate(remade(ORGANISATION, ISSUING, without=[x509.ExtensionType]))
    version_3 = bytes.fromhex("a003020102")
    start = bare.tbs_certificate_bytes.index(version_3)
    body = tlv(SEQUENCE, bare.tbs_certificate_bytes[start + len(version_3) :])
    der = tlv(SEQUENCE, body + ECDSA_WITH_SHA256 + tlv(BIT_STRING, b"\x00" + bare.signature))
    assert codes(der, ORGANISATION) == {
        "version", "extensions", "key-usage", "policies", "subject-key", "authority-key",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("made", "signer", "bits", "fits"),
    [
        (ORGANISATION, ISSUING, ("digital_signature",), True),
        (ORGANISATION, ISSUING, ("key_agreement",), True),
        (ORGANISATION, ISSUING, ("digital_signature", "key_agreement"), False),
        (ORGANISATION, ISSUING, ("key_cert_sign", "crl_sign"), False),
        (ORGANISATION, ISSUING, (), False),
        (ISSUING, ROOT, ("key_cert_sign",), False),
        (ISSUING, ROOT, ("crl_sign",), False),
        (ISSUING, ROOT, ("digital_signature",), False),
        (ISSUING, ROOT, ("key_cert_sign", "crl_sign", "digital_signature"), False),
        (RESPONDER, ISSUING, ("digital_signature",), True),
        (RESPONDER, ISSUING, ("key_agreement",), False),
    ],
)
def test_a_key_is_for_what_its_kind_allows(made: Made, signer: Made, bits: tuple[str, ...], fits: bool) -> None:
    assert otherwise(made, signer, (usage(*bits), True)) == (set() if fits else {"key-usage"})


def test_purposes_are_the_profiles_in_its_order() -> None:
    client, mail = ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.EMAIL_PROTECTION
    assert otherwise(OFFICER, ISSUING, (x509.ExtendedKeyUsage([client, mail]), False)) == set()
    for wrong in ([mail, client], [client], [client, mail, ExtendedKeyUsageOID.OCSP_SIGNING]):
        assert otherwise(OFFICER, ISSUING, (x509.ExtendedKeyUsage(wrong), False)) == {"extended-usage"}
    assert otherwise(ORGANISATION, ISSUING, (x509.ExtendedKeyUsage([client]), False)) == {
        "extensions", "extended-usage",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("made", "signer", "authority", "length", "wrong"),
    [
        (ISSUING, ROOT, True, 0, set()),
        (ISSUING, ROOT, True, None, {"constraints"}),
        (ISSUING, ROOT, True, 1, {"constraints"}),
        (ISSUING, ROOT, False, None, {"constraints"}),
        (ROOT, ROOT, True, 0, {"constraints"}),
        (ROOT, ROOT, False, None, {"constraints"}),
        (ORGANISATION, ISSUING, False, None, {"constraints", "extensions"}),
        (ORGANISATION, ISSUING, True, None, {"constraints", "extensions"}),
    ],
)
def test_who_may_certify_and_how_far_down(
    made: Made, signer: Made, authority: bool, length: int | None, wrong: set[str]
) -> None:
    assert otherwise(made, signer, (x509.BasicConstraints(authority, length), True)) == wrong


def test_policies_have_no_qualifiers() -> None:
    for qualifier in ("http://policy.example", x509.UserNotice(None, "read it")):
        stated_ = [x509.PolicyInformation(one, None) for one in POLICIES]
        stated_.append(x509.PolicyInformation(x509.ObjectIdentifier("1.2.3"), [qualifier]))
        assert otherwise(ORGANISATION, ISSUING, (x509.CertificatePolicies(stated_), True)) == {"policies"}


def test_a_key_is_named_by_method_2_alone() -> None:
    assert otherwise(ORGANISATION, ISSUING, (x509.SubjectKeyIdentifier(bytes(8)), False)) == {"subject-key"}
    above = stated(ORGANISATION, x509.AuthorityKeyIdentifier)
    assert isinstance(above, x509.AuthorityKeyIdentifier)
    name = [x509.DirectoryName(ROOT.name)]
    for wrong in (
        x509.AuthorityKeyIdentifier(above.key_identifier, name, 5),
        x509.AuthorityKeyIdentifier(None, name, 5),
        x509.AuthorityKeyIdentifier(bytes(20), None, None),
        x509.AuthorityKeyIdentifier(bytes(7), None, None),
    ):
        assert otherwise(ORGANISATION, ISSUING, (wrong, False)) == {"authority-key"}


UNIT, COMMON = (x509.NameAttribute(oid, "07") for oid in (NameOID.ORGANIZATIONAL_UNIT_NAME, NameOID.COMMON_NAME))
UNIQUE = x509.NameAttribute(NameOID.X500_UNIQUE_IDENTIFIER, b"\x00" + ENTITY.octets, _ASN1Type.BitString)


@pytest.mark.parametrize(
    ("made", "signer", "attributes", "fits"),
    [
        (ORGANISATION, ISSUING, [UNIT, UNIQUE], True),
        (ORGANISATION, ISSUING, [COMMON, UNIT, UNIQUE], True),
        (ORGANISATION, ISSUING, [UNIQUE, UNIT], False),
        (ORGANISATION, ISSUING, [UNIT], False),
        (ORGANISATION, ISSUING, [], False),
        (DEVICE, ABOVE_DEVICE, [COMMON], False),
        (OFFICER, ISSUING, [COMMON], True),
        (OFFICER, ISSUING, [UNIT, COMMON], False),
        (RESPONDER, ISSUING, [COMMON], True),
        (RESPONDER, ISSUING, [], False),
        (ISSUING, ROOT, [UNIT, COMMON], True),
        (ISSUING, ROOT, [COMMON, UNIT], False),
        (ISSUING, ROOT, [COMMON], False),
    ],
)
def test_a_subject_has_the_form_of_its_kind(made: Made, signer: Made, attributes: list[Any], fits: bool) -> None:
    assert otherwise(made, signer, subject=x509.Name(attributes)) == (set() if fits else {"names"})


def test_each_part_of_a_name_has_one_attribute() -> None:
    both = x509.Name([x509.RelativeDistinguishedName([UNIT, UNIQUE])])
    assert otherwise(ORGANISATION, ISSUING, subject=both) == {"names"}


def test_only_a_root_is_its_own_issuer() -> None:
    assert otherwise(ISSUING, ROOT, issuer=ISSUING.name) == {"names"}
    assert otherwise(ROOT, ROOT, issuer=ISSUING.name) == {"names"}


def test_a_device_is_one_hardware_module() -> None:
    assert DEVICE.profile.hardware_type is not None
    one = hardware_module_name(DEVICE.profile.hardware_type, ENTITY)
    for names, fits in (
        ([one], True),
        ([one, one], False),
        ([one, x509.DNSName("meter.example")], False),
        ([x509.DNSName("meter.example")], False),
        ([x509.OtherName(x509.ObjectIdentifier("1.2.3"), one.value)], False),
    ):
        found = otherwise(DEVICE, ABOVE_DEVICE, (x509.SubjectAlternativeName(names), True))
        assert found == (set() if fits else {"entity"})


def test_a_life_is_as_long_as_the_profile_allows() -> None:
    old = x509.load_der_x509_certificate(ORGANISATION.der)
    begin = old.not_valid_before_utc
    assert ORGANISATION.profile.longest_years == 10
    for years, wrong in ((10, set()), (11, {"lifetime"})):
        assert otherwise(ORGANISATION, ISSUING, end=begin.replace(year=begin.year + years)) == wrong
    assert otherwise(DEVICE, ABOVE_DEVICE, end=begin + timedelta(days=1)) == set()


# What is done with findings


@pytest.mark.parametrize("severity", list(Severity))
def test_errors_end_the_making_of_a_certificate_and_warnings_do_not(severity: Severity) -> None:
    findings = (Finding(Severity.INFO, "a", ""), Finding(severity, "b", "words"))
    if severity < Severity.ERROR:
        refuse_faults(findings)
        return
    with pytest.raises(Refused) as refusal:
        refuse_faults(findings)
    assert (refusal.value.code, refusal.value.message) == ("lint.fault", "the certificate has faults: b (words)")


def test_what_is_no_certificate_is_refused_before_it_is_looked_at() -> None:
    assert MAX_CERTIFICATE_OCTETS == 16_384
    for octets, code in (
        (bytes(MAX_CERTIFICATE_OCTETS), "certificate.form"),
        (bytes(MAX_CERTIFICATE_OCTETS + 1), "certificate.size"),
        (b"", "certificate.form"),
        (ORGANISATION.der[:-1], "certificate.form"),
    ):
        with pytest.raises(InvalidInput) as refusal:
            read_certificate(octets)
        assert refusal.value.code == code
    assert read_certificate(ORGANISATION.der).public_key() == ORGANISATION.key.public_key()
