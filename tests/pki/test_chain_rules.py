"""Rules of GBCS 12 that RFC 5280 does not know: each broken alone, in a certificate or a list that is else ours."""

from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import NameOID

from smki.entity import EntityId, KeyUsage, RemotePartyRole
from smki.errors import InvalidInput
from smki.pki.chain import crl_faults, verify_chain
from smki.pki.der import BIT_STRING, SEQUENCE, tlv
from smki.pki.kind import Kind
from smki.pki.name import authority_name, hardware_module_name, organisation_name
from smki.pki.path import ANY_POLICY, InvalidPath, PathCertificate, PathCrl, TrustAnchor, ValidPath
from smki.pki.signature import ECDSA_WITH_SHA256
from tests.pki.hierarchy import POLICIES, Made, chain, make
from tests.pki.path_made import AT, ISSUING, codes, name, policies, scope, usage
from tests.pki.remade import remade

ROOT, ABOVE, ORGANISATION = chain("oca", "organisation", KeyUsage.DIGITAL_SIGNATURE)
DEVICES, ABOVE_DEVICE, DEVICE = chain("dca", "device", KeyUsage.DIGITAL_SIGNATURE)
ENTITY = EntityId.parse("00-DB-12-34-56-78-90-A0")


def anchors(*roots: Made) -> list[TrustAnchor]:
    return [TrustAnchor.of_certificate(PathCertificate.read(root.der)) for root in roots]


def judge(leaf: bytes, above: list[bytes], **changed: Any) -> ValidPath | InvalidPath:
    device = changed.pop("kind", Kind.ORGANISATION) is Kind.DEVICE
    given: dict[str, Any] = {
        "kind": Kind.DEVICE if device else Kind.ORGANISATION,
        "usage": KeyUsage.DIGITAL_SIGNATURE,
        "policies": frozenset(POLICIES),
        **changed,
    }
    return verify_chain(leaf, above, anchors(ROOT, DEVICES), AT, **given)


def organisation(*more: Any, **changed: Any) -> set[str]:
    return codes(judge(remade(ORGANISATION, ABOVE, *more, **changed), [ABOVE.der]))


def device(*more: Any, **changed: Any) -> set[str]:
    leaf = remade(DEVICE, ABOVE_DEVICE, *more, **changed)
    return codes(judge(leaf, [ABOVE_DEVICE.der], kind=Kind.DEVICE))


def authority(*more: Any, **changed: Any) -> set[str]:
    return codes(judge(ORGANISATION.der, [remade(ABOVE, ROOT, *more, **changed)]))


# Certificates


def test_what_is_made_again_as_it_was_is_good() -> None:
    assert organisation() == device() == authority() == set()


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind not in {Kind.ORGANISATION, Kind.DEVICE}])
def test_only_organisations_and_devices_are_judged_here(kind: Kind) -> None:
    with pytest.raises(InvalidInput) as refusal:
        verify_chain(
            ORGANISATION.der, [], [], AT, kind=kind, usage=KeyUsage.DIGITAL_SIGNATURE, policies=frozenset(POLICIES)
        )
    assert refusal.value.code == "chain.kind"


@pytest.mark.parametrize("judged", [organisation, device, authority])
def test_every_certificate_has_a_critical_key_usage(judged: Any) -> None:
    own = usage("key_cert_sign", "crl_sign") if judged is authority else usage("digital_signature")
    assert judged((own, True)) == set()
    assert judged((own, False)) == {"path.key-usage"}
    assert judged(without=[x509.KeyUsage]) == {"path.key-usage"}


@pytest.mark.parametrize("bits", [("digital_signature", "key_agreement"), ("key_agreement",), ("key_encipherment",)])
def test_a_key_is_for_what_is_asked_and_nothing_else(bits: tuple[str, ...]) -> None:
    assert organisation((usage(*bits), True)) == device((usage(*bits), True)) == {"path.key-usage"}


def test_an_authority_signs_certificates_and_lists_and_nothing_else() -> None:
    for bits in (("key_cert_sign",), ("key_cert_sign", "crl_sign", "digital_signature")):
        assert authority((usage(*bits), True)) == {"path.key-usage"}


def test_a_key_is_named_by_eight_octets_of_method_2() -> None:
    other = x509.SubjectKeyIdentifier(b"\x41" + bytes(7)), False
    assert organisation(other) == device(other) == {"path.key-identifier"}
    # An authority's is what the certificate below it names.
    assert "path.key-identifier" in authority(other)
    assert organisation(without=[x509.SubjectKeyIdentifier]) == {"path.key-identifier"}
    for above in (None, b"", bytes(7), bytes(20)):
        keys = x509.AuthorityKeyIdentifier(above, [x509.DirectoryName(name("x"))] if above is None else None,
                                           5 if above is None else None)  # fmt: skip
        assert organisation((keys, False)) == {"path.key-identifier"}
    assert organisation(without=[x509.AuthorityKeyIdentifier]) == {"path.key-identifier"}


def test_every_certificate_states_a_policy_and_means_itself() -> None:
    for judged in (organisation, device, authority):
        assert judged(without=[x509.CertificatePolicies]) == {"path.policy"}
        assert judged(policies(x509.ObjectIdentifier("1.2.3"))) == {"path.policy"}
        assert judged(policies(ANY_POLICY)) == {"path.policy"}


def test_no_policy_is_mapped() -> None:
    own = POLICIES[0]
    der = x509.CertificatePolicies([x509.PolicyInformation(own, None)]).public_bytes()
    oid = der[4:]  # a sequence of one sequence of it
    other = bytes.fromhex("06032a0301")
    mapping = x509.UnrecognizedExtension(
        x509.ObjectIdentifier("2.5.29.33"), tlv(SEQUENCE, tlv(SEQUENCE, oid + other))
    )
    above = remade(ABOVE, ROOT, (mapping, True))
    leaf = remade(ORGANISATION, ABOVE, policies(x509.ObjectIdentifier("1.2.3.1")))
    assert codes(judge(leaf, [above])) == {"path.policy"}


def test_a_link_may_stand_between_and_no_more() -> None:
    """What joins one root to the next, and an issuing authority (GBCS 12, 13.3)."""
    link = make("link-oca", ROOT)
    issuing = make("issuing-oca", link)
    leaf = make("organisation", issuing, KeyUsage.DIGITAL_SIGNATURE)
    assert codes(judge(leaf.der, [link.der, issuing.der])) == set()
    second, third = make("link-oca", link), authority_name(RemotePartyRole.ROOT, "ZC")
    other = Made(second.profile, second.key, third, remade(second, link, subject=third))
    issuing = make("issuing-oca", other)
    leaf = make("organisation", issuing, KeyUsage.DIGITAL_SIGNATURE)
    assert codes(judge(leaf.der, [link.der, other.der, issuing.der])) == {"path.length"}


UNIT = x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "02")
COMMON = x509.NameAttribute(NameOID.COMMON_NAME, "North")
UNIQUE = x509.NameAttribute(NameOID.X500_UNIQUE_IDENTIFIER, b"\x00" + ENTITY.octets, _ASN1Type.BitString)
SHORT = x509.NameAttribute(NameOID.X500_UNIQUE_IDENTIFIER, b"\x00" + ENTITY.octets[1:], _ASN1Type.BitString)
NOBODY = x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "99")


@pytest.mark.parametrize("role", list(RemotePartyRole))
def test_an_organisation_is_named_by_its_role_and_its_identifier(role: RemotePartyRole) -> None:
    for common in (None, "North"):
        assert organisation(subject=organisation_name(role, ENTITY, common)) == set()


@pytest.mark.parametrize(
    "attributes",
    [
        [UNIT],
        [UNIQUE],
        [UNIQUE, UNIT],
        [UNIT, COMMON, UNIQUE],
        [COMMON, COMMON, UNIT, UNIQUE],
        [NOBODY, UNIQUE],
        [UNIT, SHORT],
        [COMMON, UNIT, SHORT],
        [COMMON, NOBODY, UNIQUE],
        [x509.RelativeDistinguishedName([UNIT, UNIQUE])],
        [x509.RelativeDistinguishedName([COMMON, UNIT]), x509.RelativeDistinguishedName([UNIQUE])],
        [
            x509.RelativeDistinguishedName([COMMON, x509.NameAttribute(NameOID.LOCALITY_NAME, "L")]),
            x509.RelativeDistinguishedName([UNIT]),
            x509.RelativeDistinguishedName([UNIQUE]),
        ],
    ],
)
def test_who_is_named_otherwise_is_no_organisation(attributes: list[Any]) -> None:
    assert organisation(subject=x509.Name(attributes)) == {"path.profile"}


def test_a_device_is_one_hardware_module_and_has_no_other_name() -> None:
    assert DEVICE.profile.hardware_type is not None
    one = hardware_module_name(DEVICE.profile.hardware_type, ENTITY)
    for names, expected in (
        ([one], set()),
        ([one, one], {"path.profile"}),
        ([x509.DNSName("meter.example")], {"path.profile"}),
        ([x509.OtherName(x509.ObjectIdentifier("1.2.3"), one.value)], {"path.profile"}),
    ):
        assert device((x509.SubjectAlternativeName(names), True)) == expected
    assert device(subject=x509.Name([COMMON])) == {"path.profile"}
    assert device(subject=x509.Name([COMMON]), without=[x509.SubjectAlternativeName]) == {"path.profile"}


def test_what_came_along_unread_is_told_only_where_no_path_is_found() -> None:
    assert codes(judge(ORGANISATION.der, [b"noise", ABOVE.der])) == set()
    verdict = judge(ORGANISATION.der, [b"noise"])
    assert codes(verdict) == {"path.no-anchor", "path.form"}
    assert isinstance(verdict, InvalidPath)
    assert any("came along" in fault.message for fault in verdict.faults)
    expired = remade(ABOVE, ROOT, end=AT - timedelta(days=1))
    assert codes(judge(ORGANISATION.der, [b"noise", expired])) == {"path.expired"}


# Lists

NUMBER = (x509.CRLNumber(5), False)


def faults(crl: PathCrl) -> list[str]:
    return [fault.code.removeprefix("path.") for fault in crl_faults(crl)]


def keys(*fields: Any) -> tuple[x509.ExtensionType, bool]:
    return x509.AuthorityKeyIdentifier(*fields), False


def test_a_list_of_ours_has_no_fault() -> None:
    assert faults(ISSUING.revoke(7)) == []
    for one in ("only_contains_user_certs", "only_contains_ca_certs"):
        assert faults(ISSUING.revoke(more=[scope(**{one: True})])) == []
    assert faults(ISSUING.revoke(number=5, more=[(x509.DeltaCRLIndicator(4), True)])) == []
    assert faults(ISSUING.revoke(number=5, more=[(x509.DeltaCRLIndicator(1), True)])) == []


@pytest.mark.parametrize(
    ("number", "more", "expected"),
    [
        (None, [], ["crl-number"]),
        (None, [(x509.CRLNumber(5), True)], ["crl-number"]),
        (5, [scope(indirect_crl=True)], ["crl-scope"]),
        (5, [scope(only_contains_attribute_certs=True)], ["crl-scope"]),
        (5, [(scope(only_contains_user_certs=True)[0], False)], ["crl-scope"]),
        (5, [(x509.DeltaCRLIndicator(4), False)], ["crl-delta"]),
        (5, [(x509.DeltaCRLIndicator(0), True)], ["crl-delta"]),
        (5, [(x509.DeltaCRLIndicator(5), True)], ["crl-delta"]),
        (5, [(x509.DeltaCRLIndicator(6), True)], ["crl-delta"]),
        (None, [(x509.DeltaCRLIndicator(4), True)], ["crl-number", "crl-delta"]),
    ],
)
def test_each_rule_of_a_list_is_broken_alone(number: int | None, more: list[Any], expected: list[str]) -> None:
    assert faults(ISSUING.revoke(number=number, more=more)) == expected


def _without(crl: PathCrl, octets: bytes) -> PathCrl:
    """The list without these of its octets; nobody looks at its signature here."""
    content = crl.signed[{0x81: 3, 0x82: 4}.get(crl.signed[1], 2) :]
    assert content.count(octets) == 1
    signed = tlv(SEQUENCE, content.replace(octets, b""))
    return PathCrl.read(tlv(SEQUENCE, signed + ECDSA_WITH_SHA256 + tlv(BIT_STRING, b"\x00" + crl.signature)))


def test_a_list_has_an_end_and_names_its_key() -> None:
    crl = ISSUING.revoke()
    assert crl.next_update is not None
    assert faults(_without(crl, b"\x17\x0d" + crl.next_update.strftime("%y%m%d%H%M%SZ").encode())) == ["crl-scope"]
    strange = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3"), b"\x05\x00")
    assert faults(ISSUING.revoke(identified=(strange, False))) == ["key-identifier"]


def test_a_list_names_its_key_in_eight_octets() -> None:
    for octets in (None, b"", bytes(7), bytes(9), bytes(20)):
        issuer = None if octets is not None else [x509.DirectoryName(name("x"))]
        stated = keys(octets, issuer, None if octets is not None else 5)
        assert faults(ISSUING.revoke(identified=stated)) == ["key-identifier"]
