"""What RFC 5280 section 4 tells CAs: each rule refuses what breaks it if it is asked for, and is silent otherwise."""

from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID

from smki.pki.der import BIT_STRING, SEQUENCE, tlv
from smki.pki.keyid import P256_SPKI, POINT_OCTETS, KeyIdentifier
from smki.pki.path import CONFORMANCE, InvalidPath, Options, PathCertificate, Rule, TrustAnchor, verify_path
from smki.pki.signature import ECDSA_WITH_SHA256
from tests.pki.path_made import (
    AT,
    CA,
    DAY,
    GOOD,
    ISSUING,
    LEAF,
    P1,
    P2,
    ROOT,
    SIGNS,
    Party,
    judged,
    name,
    policies,
    usage,
)

EMPTY = x509.Name([])
Extension = tuple[x509.ExtensionType, bool]


def told(rule: Rule, path: list[PathCertificate], top: TrustAnchor = ROOT.anchor) -> set[str]:
    """What one rule finds beyond what is found without it."""
    without, with_it = (
        {(fault.code, fault.message) for fault in verdict.faults} if isinstance(verdict, InvalidPath) else set()
        for verdict in (verify_path(top, path, AT, Options(conformance=frozenset(rules))) for rules in ((), (rule,)))
    )
    return {code for code, _ in with_it - without}


def made(
    *more: Extension, signer: Party = ISSUING, holder: Party = LEAF, subject: x509.Name | None = None,
    issuer: x509.Name | None = None, identified: bool = True,
) -> PathCertificate:  # fmt: skip
    """A certificate with these extensions, of which the key identifiers are two if that is said."""
    public = holder.key.public_key()
    builder = (
        x509.CertificateBuilder()
        .issuer_name(name(signer.text) if issuer is None else issuer)
        .subject_name(name(holder.text) if subject is None else subject)
        .public_key(public)
        .serial_number(9)
        .not_valid_before(AT - DAY)
        .not_valid_after(AT + DAY)
    )
    own = x509.SubjectKeyIdentifier(KeyIdentifier.of(public).octets)
    above = x509.AuthorityKeyIdentifier(KeyIdentifier.of(signer.key.public_key()).octets, None, None)
    stated: dict[x509.ObjectIdentifier, Extension] = {}
    if identified:
        stated = {own.oid: (own, False), above.oid: (above, False)}
    for value, critical in (stated | {value.oid: (value, critical) for value, critical in more}).values():
        builder = builder.add_extension(value, critical)
    return PathCertificate.read(builder.sign(signer.key, hashes.SHA256()).public_bytes(Encoding.DER))


def authority(*more: Extension, **changed: Any) -> PathCertificate:
    stated = {value.oid: (value, critical) for value, critical in [(CA, True), (SIGNS, True), *more]}
    return made(*stated.values(), signer=ROOT, holder=ISSUING, **changed)


def rewritten(old: PathCertificate, at: int, cut: int, put: bytes, signer: Party = ISSUING) -> PathCertificate:
    """With some octets of what is signed replaced, and signed again."""
    content = old.signed[{0x81: 3, 0x82: 4}.get(old.signed[1], 2) :]
    signed = tlv(SEQUENCE, content[:at] + put + content[at + cut :])
    signature = signer.key.sign(signed, ec.ECDSA(hashes.SHA256()))
    return PathCertificate.read(tlv(SEQUENCE, signed + ECDSA_WITH_SHA256 + tlv(BIT_STRING, b"\x00" + signature)))


def test_a_good_path_breaks_no_rule() -> None:
    assert judged(GOOD, Options(conformance=CONFORMANCE)) == set()
    for rule in Rule:
        assert told(rule, GOOD) == told(rule, [authority(), made()]) == set()


@pytest.mark.parametrize(
    ("serial", "expected"), [(b"\x7f" + b"\xff" * 19, set()), (b"\x00\x80" + bytes(19), {"path.serial"})]
)
def test_a_serial_number_has_at_most_20_octets(serial: bytes, expected: set[str]) -> None:
    plain = b"\x02\x01\x09"
    target = made()
    content = target.signed[{0x81: 3, 0x82: 4}[target.signed[1]] :]
    at = content.index(plain)
    assert told(Rule.SERIAL, [GOOD[0], rewritten(target, at, len(plain), tlv(2, serial))]) == expected


@pytest.mark.parametrize("tag", [0x81, 0x82])
def test_a_name_has_no_unique_identifier_beside_it(tag: int) -> None:
    target = made()
    content = target.signed[{0x81: 3, 0x82: 4}[target.signed[1]] :]
    at = content.index(P256_SPKI) + len(P256_SPKI) + POINT_OCTETS
    assert told(Rule.UNIQUE_IDS, [GOOD[0], rewritten(target, at, 0, tlv(tag, b"\x00\xff"))]) == {"path.unique-id"}


NAMES = x509.SubjectAlternativeName([x509.DNSName("a.example")])


def test_who_has_no_name_has_a_critical_alternative_and_is_no_authority() -> None:
    assert told(Rule.NAMES, [GOOD[0], made((NAMES, True), subject=EMPTY)]) == set()
    assert told(Rule.NAMES, [GOOD[0], made((NAMES, False), subject=EMPTY)]) == {"path.name"}
    assert told(Rule.NAMES, [GOOD[0], made(subject=EMPTY)]) == {"path.name"}
    assert told(Rule.NAMES, [authority((NAMES, True), subject=EMPTY), made()]) == {"path.name"}
    assert told(Rule.NAMES, [GOOD[0], made(issuer=EMPTY)]) == {"path.name"}


ACCESS = [x509.AccessDescription(AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier("http://x"))]
FRESHEST = [x509.DistributionPoint([x509.UniformResourceIdentifier("http://x")], None, None, None)]
IDENTIFIER = KeyIdentifier.of(ISSUING.key.public_key()).octets


@pytest.mark.parametrize(
    ("extension", "critical"),
    [
        (x509.SubjectKeyIdentifier(bytes(8)), False),
        (x509.AuthorityKeyIdentifier(IDENTIFIER, None, None), False),
        (x509.AuthorityInformationAccess(ACCESS), False),
        (x509.SubjectInformationAccess(ACCESS), False),
        (x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.9"), b"\x30\x00"), False),
        (x509.FreshestCRL(FRESHEST), False),
        (x509.NameConstraints(None, [x509.DNSName("b.example")]), True),
        (x509.PolicyConstraints(5, None), True),
        (x509.InhibitAnyPolicy(5), True),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_extension_is_critical_where_it_must_be_and_nowhere_else(
    extension: x509.ExtensionType, critical: bool
) -> None:
    for path in ([GOOD[0], made((extension, critical))], [GOOD[0], made((NAMES, True))]):
        assert told(Rule.CRITICAL, path) == set()
    assert told(Rule.CRITICAL, [GOOD[0], made((extension, not critical))]) == {"path.critical-extension"}


def test_an_authority_names_its_key() -> None:
    above = (x509.AuthorityKeyIdentifier(KeyIdentifier.of(ROOT.key.public_key()).octets, None, None), False)
    assert told(Rule.SUBJECT_KEY, [authority(above, identified=False), made()]) == {"path.key-identifier"}
    assert told(Rule.SUBJECT_KEY, [GOOD[0], made(identified=False)]) == set()


def aki(*fields: Any) -> Extension:
    return x509.AuthorityKeyIdentifier(*fields), False


def test_a_certificate_names_its_issuers_key_and_nothing_else() -> None:
    issuer = [x509.DirectoryName(name("Root"))]
    assert told(Rule.AUTHORITY_KEY, [GOOD[0], made(aki(IDENTIFIER, None, None))]) == set()
    for wrong in (aki(bytes(8), None, None), aki(None, issuer, 5), aki(IDENTIFIER, issuer, 5)):
        assert told(Rule.AUTHORITY_KEY, [GOOD[0], made(wrong)]) == {"path.key-identifier"}
    assert told(Rule.AUTHORITY_KEY, [GOOD[0], made(identified=False)]) == {"path.key-identifier"}
    # Where the issuer's certificate does not name its key, any name will do.
    above = authority(aki(KeyIdentifier.of(ROOT.key.public_key()).octets, None, None), identified=False)
    assert told(Rule.AUTHORITY_KEY, [above, made(aki(bytes(8), None, None))]) == set()


def test_who_signed_with_its_own_key_need_not_say_so_and_names_no_other() -> None:
    def anchor(*more: Extension) -> TrustAnchor:
        own = (x509.SubjectKeyIdentifier(KeyIdentifier.of(ROOT.key.public_key()).octets), False)
        stated = [(CA, True), (SIGNS, True), own, *more]
        return TrustAnchor.of_certificate(made(*stated, signer=ROOT, holder=ROOT, identified=False))

    mine = KeyIdentifier.of(ROOT.key.public_key()).octets
    assert told(Rule.AUTHORITY_KEY, GOOD, anchor()) == told(Rule.AUTHORITY_KEY, GOOD, anchor(aki(mine, None, None)))
    assert told(Rule.AUTHORITY_KEY, GOOD, anchor()) == set()
    assert told(Rule.AUTHORITY_KEY, GOOD, anchor(aki(bytes(8), None, None))) == {"path.key-identifier"}


def test_a_new_key_of_one_name_is_named_by_the_old() -> None:
    """Self-issued, and not self-signed (RFC 5280 3.2)."""
    again = Party("Root", 70)
    old, new = (KeyIdentifier.of(one.key.public_key()).octets for one in (ROOT, again))
    for named, expected in ((old, set()), (new, {"path.key-identifier"})):
        rolled = made((CA, True), (SIGNS, True), aki(named, None, None), signer=ROOT, holder=again)
        assert told(Rule.AUTHORITY_KEY, [rolled, again.certify(LEAF)]) == expected


def test_who_is_an_authority_says_so_critically() -> None:
    assert told(Rule.CONSTRAINTS, [authority((CA, False)), made()]) == {"path.issuer-not-ca"}
    assert told(Rule.CONSTRAINTS, [GOOD[0], made((CA, False))]) == set()
    assert told(Rule.CONSTRAINTS, GOOD, TrustAnchor.of_certificate(ROOT.certify(ROOT))) == {"path.issuer-not-ca"}
    no = x509.BasicConstraints(False, None)
    anchor = TrustAnchor.of_certificate(ROOT.certify(ROOT, (no, True)))
    assert told(Rule.CONSTRAINTS, GOOD, anchor) == {"path.issuer-not-ca"}


def test_who_signs_certificates_is_an_authority_and_the_other_way_round() -> None:
    signs, lists = usage("key_cert_sign"), usage("crl_sign")
    assert told(Rule.USAGE, [GOOD[0], made((signs, True))]) == {"path.key-usage"}
    assert told(Rule.USAGE, [GOOD[0], made((signs, True), (CA, True))]) == set()
    assert told(Rule.USAGE, [GOOD[0], made((lists, True))]) == set()
    assert told(Rule.USAGE, GOOD, TrustAnchor.of_certificate(ROOT.certify(ROOT, (CA, True), (lists, True)))) == {
        "path.key-usage"
    }
    assert told(Rule.USAGE, GOOD, TrustAnchor.of_certificate(ROOT.certify(ROOT, (CA, True)))) == set()


def test_a_target_is_no_authority() -> None:
    assert told(Rule.TARGET, [GOOD[0], made((CA, True))]) == {"path.target-is-ca"}
    assert told(Rule.TARGET, [GOOD[0], made((x509.BasicConstraints(False, None), True))]) == set()


MAPPINGS = x509.UnrecognizedExtension(
    x509.ObjectIdentifier("2.5.29.33"), bytes.fromhex("300c300a06032a030106032a0302")
)


@pytest.mark.parametrize(
    "extension",
    [
        x509.NameConstraints(None, [x509.DNSName("b.example")]),
        x509.PolicyConstraints(5, None),
        x509.InhibitAnyPolicy(5),
        MAPPINGS,
    ],
    ids=lambda value: type(value).__name__,
)
def test_only_an_authority_constrains_others(extension: x509.ExtensionType) -> None:
    assert told(Rule.ONLY_AUTHORITIES, [GOOD[0], made((extension, True))]) == {"path.constraint-place"}
    assert told(Rule.ONLY_AUTHORITIES, [authority((extension, True), policies(P1)), made(policies(P2))]) == set()


def test_a_purpose_is_a_targets_means_something_and_is_not_critical() -> None:
    client, anything = ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE
    good = x509.ExtendedKeyUsage([client])
    assert told(Rule.PURPOSE, [GOOD[0], made((good, False))]) == set()
    assert told(Rule.PURPOSE, [authority((good, False)), made((good, False))]) == set()
    assert told(Rule.PURPOSE, [GOOD[0], made((good, True))]) == {"path.extended-key-usage"}
    vague = x509.ExtendedKeyUsage([client, anything])
    assert told(Rule.PURPOSE, [GOOD[0], made((vague, False))]) == {"path.extended-key-usage"}
    anchor = TrustAnchor.of_certificate(ROOT.certify(ROOT, (good, False), authority=True))
    assert told(Rule.PURPOSE, GOOD, anchor) == {"path.extended-key-usage"}
