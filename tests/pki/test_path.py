"""Paths made here: every rule broken once, hostile bags, mutilated input."""

import itertools
import time
from datetime import datetime, timedelta

import pytest
from cryptography import x509
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from smki.pki.path import (
    ANY_POLICY,
    DistinguishedName,
    InvalidPath,
    Options,
    PathCertificate,
    TrustAnchor,
    ValidPath,
    find_path,
    verify_path,
)
from tests.pki.path_made import (
    AT,
    DAY,
    GOOD,
    ISSUING,
    LEAF,
    OTHER,
    P1,
    P2,
    PLAIN,
    ROOT,
    UNKNOWN,
    Party,
    codes,
    judged,
    name,
    policies,
    usage,
)


def test_valid_path_is_told_with_its_anchor_and_certificates() -> None:
    verdict = verify_path(ROOT.anchor, GOOD, AT, PLAIN)
    assert isinstance(verdict, ValidPath)
    assert verdict.anchor == ROOT.anchor
    assert list(verdict.certificates) == GOOD


def with_leaf(*more: tuple[x509.ExtensionType, bool]) -> list[PathCertificate]:
    return [GOOD[0], ISSUING.certify(LEAF, *more)]


def with_authority(*more: tuple[x509.ExtensionType, bool], leaf: PathCertificate = GOOD[1]) -> list[PathCertificate]:
    return [ROOT.certify(ISSUING, *more, authority=True), leaf]


DNS = x509.SubjectAlternativeName([x509.DNSName("a.example")])
NOT_OURS = x509.NameConstraints([x509.DNSName("b.example")], None)
BELOW = Party("Below", 9)
BROKEN: dict[str, tuple[str, list[PathCertificate]]] = {
    "nothing": ("path.no-anchor", []),
    "signature": ("path.signature", [GOOD[0], Party("Issuing", 3).certify(LEAF)]),
    "names": ("path.name-chaining", [GOOD[0], Party("Isuing", 1).certify(LEAF)]),
    "leaf-as-issuer": ("path.issuer-not-ca", [ROOT.certify(ISSUING), GOOD[1]]),
    "usage": (
        "path.key-usage",
        [ROOT.certify(ISSUING, (x509.BasicConstraints(True, None), True), (usage("crl_sign"), True)), GOOD[1]],
    ),
    "length": (
        "path.length",
        [
            ROOT.certify(ISSUING, (x509.BasicConstraints(True, 0), True)),
            ISSUING.certify(BELOW, authority=True),
            BELOW.certify(LEAF),
        ],
    ),
    "critical-in-leaf": ("path.critical-extension", with_leaf((UNKNOWN, True))),
    "critical-in-authority": ("path.critical-extension", with_authority((UNKNOWN, True))),
    "constraint": (
        "path.name-constraint",
        with_authority((NOT_OURS, True), leaf=ISSUING.certify(LEAF, (DNS, False))),
    ),
    "expired": ("path.expired", [GOOD[0], ISSUING.certify(LEAF, end=AT - timedelta(seconds=1))]),
    "not-yet": ("path.not-yet-valid", [GOOD[0], ISSUING.certify(LEAF, start=AT + timedelta(seconds=1))]),
}


@pytest.mark.parametrize(("code", "path"), BROKEN.values(), ids=list(BROKEN))
def test_a_broken_rule_is_the_only_one_told(code: str, path: list[PathCertificate]) -> None:
    verdict = verify_path(ROOT.anchor, path, AT, PLAIN)
    assert isinstance(verdict, InvalidPath)
    assert codes(verdict) == {code}
    for fault in verdict.faults:
        assert "RFC 5280" in fault.message
        assert fault.remedy


def test_every_broken_rule_is_told_at_once() -> None:
    path = [ROOT.certify(ISSUING, end=AT - timedelta(hours=1)), ISSUING.certify(LEAF, (UNKNOWN, True))]
    assert judged(path) == {"path.expired", "path.issuer-not-ca", "path.critical-extension"}


@pytest.mark.requirement("R-TIM-2")
def test_time_is_whole_seconds_with_both_ends_and_can_be_disapplied() -> None:
    path = [GOOD[0], ISSUING.certify(LEAF, end=AT, start=AT)]
    assert judged(path, at=AT) == set()
    assert judged(path, at=AT + timedelta(milliseconds=999)) == set()
    assert judged(path, at=AT - timedelta(milliseconds=1)) == {"path.not-yet-valid"}
    late = AT + 400 * DAY
    assert judged(path, at=late) == {"path.expired"}
    assert judged(path, Options(disapply_time=True), at=late) == set()


def test_policies_are_required_mapped_and_inhibited() -> None:
    path = [ROOT.certify(ISSUING, policies(P1), authority=True), ISSUING.certify(LEAF, policies(P1))]
    explicit = Options(initial_policies=frozenset({P1}), explicit_policy=True)
    verdict = verify_path(ROOT.anchor, path, AT, explicit)
    assert isinstance(verdict, ValidPath)
    assert verdict.policies == {P1}
    assert judged(path, Options(initial_policies=frozenset({P2}), explicit_policy=True)) == {"path.policy"}
    assert judged(GOOD, explicit) == {"path.policy"}
    loose = [ROOT.certify(ISSUING, policies(ANY_POLICY), authority=True), path[1]]
    assert judged(loose, explicit) == set()
    strict = Options(initial_policies=frozenset({P1}), explicit_policy=True, inhibit_any=True)
    assert judged(loose, strict) == {"path.policy"}


def test_a_policy_graph_stays_small_where_a_tree_would_not() -> None:
    """Each certificate maps each of two policies to both: 2^n leaves of a tree, two nodes a level of a graph."""
    pairs = b"".join(
        bytes.fromhex("300a") + b"".join(b"\x06\x03" + bytes((0x2A, 3, end)) for end in pair)
        for pair in itertools.product((1, 2), repeat=2)
    )
    mappings = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.33"), bytes((0x30, len(pairs))) + pairs)
    parties = [ROOT, *(Party(f"M{n}", 20 + n) for n in range(30)), LEAF]
    path = [
        above.certify(below, policies(P1, P2), (mappings, False), authority=True)
        for above, below in itertools.pairwise(parties[:-1])
    ]
    path.append(parties[-2].certify(LEAF, policies(P1, P2)))
    begun = time.process_time()
    wanted = Options(max_depth=40, explicit_policy=True)
    assert judged(path, wanted) == set()
    assert time.process_time() - begun < 1


def test_purposes_are_asked_of_the_target_and_bind_authorities() -> None:
    asked = Options(extended_key_usage=ExtendedKeyUsageOID.CLIENT_AUTH)
    client = (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), False)
    server = (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False)
    assert judged(with_leaf(client), asked) == set()
    assert judged(with_leaf(server), asked) == {"path.extended-key-usage"}
    assert judged(GOOD, asked) == {"path.extended-key-usage"}
    assert judged(with_authority(server, leaf=with_leaf(client)[1]), asked) == {"path.extended-key-usage"}


def test_names_are_compared_by_meaning() -> None:
    def unit(text: str, form: _ASN1Type) -> DistinguishedName:
        return DistinguishedName.of(x509.Name([x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, text, form)]))

    first = unit("Smart  Meters ", _ASN1Type.PrintableString)
    assert first == unit(" smart METERS", _ASN1Type.UTF8String)
    assert first == unit("smart me\u00adters", _ASN1Type.UTF8String)
    assert first != unit("smartmeters", _ASN1Type.UTF8String)
    assert hash(first) == hash(unit("smart meters", _ASN1Type.UTF8String))


@pytest.mark.parametrize(
    ("constraint", "inside", "outside"),
    [
        (x509.DNSName("b.example"), x509.DNSName("a.B.example"), x509.DNSName("ab.example")),
        (x509.RFC822Name("b.example"), x509.RFC822Name("x@b.example"), x509.RFC822Name("x@a.b.example")),
        (x509.RFC822Name("X@b.example"), x509.RFC822Name("X@B.example"), x509.RFC822Name("x@b.example")),
        (
            x509.UniformResourceIdentifier(".b.example"),
            x509.UniformResourceIdentifier("https://a.b.example:8443/x"),
            x509.UniformResourceIdentifier("https://b.example/"),
        ),
        (x509.DirectoryName(name("B")), x509.DirectoryName(name(" b")), x509.DirectoryName(name("c"))),
    ],
    ids=["dns", "mail-host", "mailbox", "uri", "directory"],
)
def test_constraints_of_every_form(
    constraint: x509.GeneralName, inside: x509.GeneralName, outside: x509.GeneralName
) -> None:
    # The subject is a directory name too, so constraints on that form must let it be.
    subject = [x509.DirectoryName(name(LEAF.text))] if isinstance(constraint, x509.DirectoryName) else []
    for stated, wanted in ((inside, set()), (outside, {"path.name-constraint"})):
        leaf = ISSUING.certify(LEAF, (x509.SubjectAlternativeName([stated]), False))
        limits = x509.NameConstraints([constraint, *subject], None)
        assert judged(with_authority((limits, True), leaf=leaf)) == wanted
    for stated, refused in ((inside, {"path.name-constraint"}), (outside, set())):
        leaf = ISSUING.certify(LEAF, (x509.SubjectAlternativeName([stated]), False))
        assert judged(with_authority((x509.NameConstraints(None, [constraint]), True), leaf=leaf)) == refused


def test_a_constraint_on_a_form_without_rules_refuses_every_name_of_that_form() -> None:
    oid = x509.ObjectIdentifier("1.2.3")
    limits = (x509.NameConstraints([x509.RegisteredID(oid)], None), True)
    leaf = ISSUING.certify(LEAF, (x509.SubjectAlternativeName([x509.RegisteredID(oid)]), False))
    assert judged(with_authority(limits, leaf=leaf)) == {"path.name-constraint"}
    assert judged(with_authority(limits)) == set()


def test_an_anchor_given_as_a_certificate_brings_its_constraints() -> None:
    def under(*more: tuple[x509.ExtensionType, bool], options: Options = PLAIN, end: datetime = AT) -> set[str]:
        anchor = TrustAnchor.of_certificate(ROOT.certify(ROOT, *more, authority=True, end=end))
        return codes(verify_path(anchor, path, AT, options))

    path = [ROOT.certify(ISSUING, policies(P1), authority=True), ISSUING.certify(LEAF, policies(P1), (DNS, False))]
    explicit = Options(explicit_policy=True)
    assert under() == under(policies(P1), options=explicit) == set()
    assert under((NOT_OURS, True)) == {"path.name-constraint"}
    assert under(policies(P2), options=explicit) == {"path.policy"}
    assert under((UNKNOWN, True)) == {"path.critical-extension"}
    assert under(end=AT - timedelta(hours=1)) == {"path.expired"}


# Building


def found(
    bag: list[PathCertificate], target: PathCertificate = GOOD[1], options: Options = PLAIN
) -> ValidPath | InvalidPath:
    """The verdict on a bag, within the second it may take."""
    begun = time.process_time()
    verdict = find_path(target, [ROOT.anchor], bag, AT, options)
    assert time.process_time() - begun < 1
    return verdict


def test_a_path_is_found_in_a_bag_in_any_order() -> None:
    wrong = [OTHER.certify(ISSUING, authority=True), ROOT.certify(OTHER, authority=True), GOOD[1]]
    for bag in itertools.permutations([GOOD[0], *wrong]):
        verdict = found(list(bag))
        assert isinstance(verdict, ValidPath)


def test_the_way_round_an_expired_certificate_is_found() -> None:
    expired = ROOT.certify(ISSUING, authority=True, end=AT - timedelta(hours=1))
    assert isinstance(found([expired, GOOD[0]]), ValidPath)
    assert codes(found([expired])) == {"path.expired"}


def test_what_is_missing_is_told() -> None:
    assert codes(found([])) == {"path.no-anchor"}
    assert codes(found([ROOT.certify(Party("Issuing", 5), authority=True)])) == {"path.signature", "path.no-anchor"}


def cross_signed(count: int) -> list[PathCertificate]:
    """Authorities that each certified every other."""
    parties = [ISSUING, *(Party(f"X{n}", 40 + n) for n in range(count - 1))]
    return [a.certify(b, authority=True) for a, b in itertools.permutations(parties, 2)]


def one_key(count: int) -> list[PathCertificate]:
    """One name and one key, so every signature fits every certificate."""
    return [ISSUING.certify(Party("Issuing", 1), authority=True) for _ in range(count)]


def one_key_many_names(count: int) -> list[PathCertificate]:
    parties = [ISSUING, *(Party(f"X{n}", 1) for n in range(5))]
    return [a.certify(b, authority=True) for a, b in itertools.permutations(parties, 2)][:count]


def one_name(count: int) -> list[PathCertificate]:
    """One name and many keys, none of which signed: each must be tried with each."""
    return [Party("Issuing", 90).certify(Party("Issuing", 60 + n), authority=True) for n in range(count)]


@pytest.mark.parametrize("bag", [cross_signed(6), one_key(30), one_key_many_names(30), one_name(30)])
def test_hostile_bags_end_within_a_second(bag: list[PathCertificate]) -> None:
    assert len(bag) == 30
    assert codes(found(bag)) & {"path.no-anchor", "path.budget"}
    assert isinstance(found([*bag, GOOD[0]]), ValidPath) or "path.budget" in codes(found([*bag, GOOD[0]]))
    refused = ROOT.certify(ISSUING, (UNKNOWN, True), authority=True)
    assert codes(found([*bag, refused])) & {"path.critical-extension", "path.budget"}


def test_many_policies_are_refused() -> None:
    many = policies(*(x509.ObjectIdentifier(f"1.2.{n}") for n in range(3, 900)))
    parties = [ROOT, *(Party(f"M{n}", 20 + n) for n in range(30)), LEAF]
    path = [
        above.certify(below, many if above is ROOT else policies(ANY_POLICY), authority=True)
        for above, below in itertools.pairwise(parties)
    ]
    begun = time.process_time()
    assert "path.budget" in judged(path, Options(max_depth=40))
    assert time.process_time() - begun < 1


def test_too_many_certificates_are_refused_unseen() -> None:
    bag = [ROOT.certify(Party(f"N{n}", 1), authority=True) for n in range(33)]
    assert codes(found([*bag, GOOD[0]])) == {"path.budget"}


def test_many_names_against_many_constraints_are_refused() -> None:
    names = x509.SubjectAlternativeName([x509.DNSName(f"{n}.a") for n in range(400)])
    limits = x509.NameConstraints([x509.DNSName(f"{n}.b") for n in range(400)], None)
    path = with_authority((limits, True), leaf=ISSUING.certify(LEAF, (names, False)))
    assert "path.budget" in judged(path)
