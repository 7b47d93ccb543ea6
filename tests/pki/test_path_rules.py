"""Rules of paths that seldom decide alone: anchors that constrain, counters of policies, deltas, limits of work."""

import itertools
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from smki.errors import InvalidInput
from smki.pki.path import (
    ANY_POLICY,
    InvalidPath,
    Options,
    PathCertificate,
    PathCrl,
    TrustAnchor,
    ValidPath,
    find_path,
    verify_path,
)
from smki.pki.path.options import CONFORMANCE, Rule, broken
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
    SIGNS,
    Party,
    codes,
    judged,
    name,
    policies,
    scope,
    usage,
)

A, B, C = (Party(text, number) for number, text in enumerate(("A", "B", "C"), 40))
HALF = timedelta(milliseconds=500)
EXPLICIT = Options(explicit_policy=True)
ANY = policies(ANY_POLICY)
CA_ALONE = (x509.BasicConstraints(True, None), True)


# Anchors that are certificates


def anchor(*more: tuple[x509.ExtensionType, bool], length: int | None = None, **times: datetime) -> TrustAnchor:
    own = ROOT.certify(ROOT, (x509.BasicConstraints(True, length), True), (SIGNS, True), *more, **times)  # type: ignore[arg-type]
    return TrustAnchor.of_certificate(own)


def under(top: TrustAnchor, path: list[PathCertificate], options: Options = PLAIN) -> ValidPath | InvalidPath:
    return verify_path(top, path, AT, options)


def test_an_anchor_limits_how_long_its_paths_are() -> None:
    for length, expected in ((None, set()), (1, set()), (0, {"path.length"})):
        assert codes(under(anchor(length=length), GOOD)) == expected
    assert codes(under(anchor(length=5), GOOD, Options(max_depth=0))) == {"path.length"}


def test_an_anchors_time_counts_unless_time_is_disapplied() -> None:
    old = anchor(start=AT - 3 * DAY, end=AT - DAY)
    assert codes(under(old, GOOD)) == {"path.expired"}
    assert codes(under(old, GOOD, Options(disapply_time=True))) == set()


@pytest.mark.parametrize(
    ("stated", "asked", "left"),
    [
        ((P1, P2), (ANY_POLICY,), {P1, P2}),
        ((P1,), (ANY_POLICY,), {P1}),
        ((P1, P2), (P2,), {P2}),
        ((P1,), (P1, P2), {P1}),
        ((P1,), (P2,), set()),
        ((ANY_POLICY,), (P2,), {P2}),
        ((ANY_POLICY, P1), (P2,), {P2}),
    ],
)
def test_an_anchors_policies_are_the_most_there_are(
    stated: tuple[x509.ObjectIdentifier, ...], asked: tuple[x509.ObjectIdentifier, ...], left: set[object]
) -> None:
    both = policies(P1, P2)
    path = [ROOT.certify(ISSUING, both, authority=True), ISSUING.certify(LEAF, both)]
    verdict = under(anchor(policies(*stated)), path, Options(initial_policies=frozenset(asked), explicit_policy=True))
    if left:
        assert isinstance(verdict, ValidPath)
        assert verdict.policies == left
    else:
        assert codes(verdict) == {"path.policy"}


# Policies


def test_a_required_policy_is_required_of_a_path_of_one() -> None:
    assert judged([ROOT.certify(LEAF)], EXPLICIT) == {"path.policy"}
    assert judged([ROOT.certify(LEAF, policies(P1))], EXPLICIT) == set()


def _mapped(*above: PathCertificate, by: Party = ISSUING, signer: Party = ROOT) -> list[PathCertificate]:
    """The last authority takes P2 for P1."""
    mapping = x509.UnrecognizedExtension(
        x509.ObjectIdentifier("2.5.29.33"), bytes.fromhex("300c300a" + "06032a0301" + "06032a0302")
    )
    return [*above, signer.certify(by, policies(P1), (mapping, True), authority=True), by.certify(LEAF, policies(P2))]


def test_mapping_is_allowed_unless_it_is_inhibited() -> None:
    wanted = Options(initial_policies=frozenset({P1}), explicit_policy=True)
    assert judged(_mapped(), wanted) == set()
    assert judged(_mapped(), replace(wanted, inhibit_mapping=True)) == {"path.policy"}


@pytest.mark.parametrize(("skip", "expected"), [(2, set()), (1, {"path.policy"})])
def test_so_many_certificates_may_still_map(skip: int, expected: set[str]) -> None:
    inhibited = (x509.PolicyConstraints(None, skip), True)
    first = ROOT.certify(A, policies(P1), inhibited, authority=True)
    path = _mapped(first, A.certify(B, policies(P1), authority=True), by=C, signer=B)
    assert judged(path, Options(initial_policies=frozenset({P1}), explicit_policy=True)) == expected


@pytest.mark.parametrize(("skip", "expected"), [(2, set()), (1, {"path.policy"})])
def test_so_many_certificates_may_still_say_any_policy(skip: int, expected: set[str]) -> None:
    first = ROOT.certify(A, policies(P1), (x509.InhibitAnyPolicy(skip), True), authority=True)
    path = [
        first,
        A.certify(B, policies(P1), authority=True),
        B.certify(C, ANY, authority=True),
        C.certify(LEAF, policies(P1)),
    ]
    assert judged(path, EXPLICIT) == expected


@pytest.mark.parametrize(("skip", "expected"), [(3, set()), (2, {"path.policy"})])
def test_so_many_certificates_may_still_lack_a_policy(skip: int, expected: set[str]) -> None:
    """The last of them counts too (RFC 5280 6.1.5(a))."""
    required = (x509.PolicyConstraints(skip, None), True)
    path = [ROOT.certify(A, required, authority=True), A.certify(B, authority=True), B.certify(LEAF)]
    assert judged(path) == expected


def test_a_target_that_is_self_issued_says_any_policy_in_vain_where_it_is_inhibited() -> None:
    again = Party("Issuing", 44)
    path = [ROOT.certify(ISSUING, policies(P1), authority=True), ISSUING.certify(again, ANY)]
    assert judged(path, EXPLICIT) == set()
    assert judged(path, replace(EXPLICIT, inhibit_any=True)) == {"path.policy"}
    longer = [path[0], ISSUING.certify(again, ANY, authority=True), again.certify(LEAF, policies(P1))]
    assert judged(longer, replace(EXPLICIT, inhibit_any=True)) == set()


@pytest.mark.parametrize(("skip", "expected"), [(0, {"path.policy"}), (1, set())])
def test_a_target_may_require_a_policy_itself(skip: int, expected: set[str]) -> None:
    target = ISSUING.certify(LEAF, (x509.PolicyConstraints(skip, None), True))
    assert judged([GOOD[0], target]) == expected


# Other rules


def test_as_many_authorities_as_are_allowed_and_no_more() -> None:
    path = [ROOT.certify(A, authority=True), A.certify(B, authority=True), B.certify(LEAF)]
    assert judged(path, Options(max_depth=2)) == set()
    assert judged(path, Options(max_depth=1)) == {"path.length"}


@pytest.mark.parametrize(("authorities", "expected"), [(8, set()), (9, {"path.length"})])
def test_who_asks_for_no_depth_gets_eight_authorities(authorities: int, expected: set[str]) -> None:
    parties = [ROOT, *(Party(f"{number}", 60 + number) for number in range(authorities))]
    path = [above.certify(below, authority=True) for above, below in itertools.pairwise(parties)]
    assert judged([*path, parties[-1].certify(LEAF)]) == expected


@pytest.mark.parametrize(
    ("code", "word"),
    [
        ("expired", "clock"),
        ("not-yet-valid", "wait"),
        ("signature", "signed"),
        ("no-anchor", "between"),
        ("revoked", "replaced"),
        ("no-crl", "fetch"),
        ("crl-stale", "present"),
        ("budget", "only the certificates"),
        ("policy", "made again"),
    ],
)
def test_it_is_said_what_to_do(code: str, word: str) -> None:
    fault = broken(code, "words")
    assert (fault.code, fault.message) == (f"path.{code}", "words")
    assert word in fault.remedy


def test_who_only_excludes_names_permits_all_others() -> None:
    excluded = (x509.NameConstraints(None, [x509.DNSName("b.example")]), True)
    target = ISSUING.certify(LEAF, (x509.SubjectAlternativeName([x509.DNSName("a.example")]), False))
    assert judged([ROOT.certify(ISSUING, excluded, authority=True), target]) == set()


def test_where_crls_lie_is_known_only_to_who_asks_for_them() -> None:
    where = x509.CRLDistributionPoints(
        [x509.DistributionPoint([x509.DirectoryName(name("Issuing"))], None, None, None)]
    )
    path = [GOOD[0], ISSUING.certify(LEAF, (where, True))]
    assert judged(path) == {"path.critical-extension"}
    assert "path.critical-extension" not in judged(path, Options(crls=()))


def test_a_refusal_stays_short_whatever_a_certificate_has() -> None:
    many = [(x509.UnrecognizedExtension(x509.ObjectIdentifier(f"1.2.3.{n}"), b"\x05\x00"), True) for n in range(1, 5)]
    verdict = verify_path(ROOT.anchor, [GOOD[0], ISSUING.certify(LEAF, *many)], AT, PLAIN)
    assert isinstance(verdict, InvalidPath)
    (fault,) = verdict.faults
    assert "1.2.3.1, 1.2.3.2, 1.2.3.3 (" in fault.message


def test_any_purpose_is_enough_for_an_authority_and_for_no_target() -> None:
    wanted = ExtendedKeyUsageOID.OCSP_SIGNING
    options = Options(extended_key_usage=wanted)
    anything = (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE]), False)
    good = ISSUING.certify(LEAF, (x509.ExtendedKeyUsage([wanted]), False))
    assert judged([ROOT.certify(ISSUING, anything, authority=True), good], options) == set()
    assert judged([GOOD[0], ISSUING.certify(LEAF, anything)], options) == {"path.extended-key-usage"}
    assert judged([GOOD[0], GOOD[1]], options) == {"path.extended-key-usage"}


def test_a_moment_says_its_time_zone() -> None:
    local = AT.replace(tzinfo=None)
    with pytest.raises(InvalidInput) as refusal:
        verify_path(ROOT.anchor, GOOD, local, PLAIN)
    assert refusal.value.code == "path.time"
    with pytest.raises(InvalidInput, match="time zone"):
        find_path(GOOD[1], [ROOT.anchor], GOOD[:1], local, PLAIN)


# Work


def test_a_path_that_asks_for_too_much_work_is_a_verdict() -> None:
    names = [x509.DNSName(f"{number}.example") for number in range(150)]
    many = (x509.NameConstraints(None, names), True)
    target = ISSUING.certify(LEAF, (x509.SubjectAlternativeName(names), False))
    path = [ROOT.certify(ISSUING, many, authority=True), target]
    assert judged(path) == {"path.budget"}
    assert "path.budget" in codes(find_path(target, [ROOT.anchor], path[:1], AT, PLAIN))


@pytest.mark.parametrize(("more", "expected"), [(0, set()), (1, {"path.budget"})])
def test_a_bag_holds_so_many_certificates_beside_the_target(more: int, expected: set[str]) -> None:
    others = [OTHER.certify(Party(f"{number}", 50), authority=True) for number in range(31 + more)]
    bag = [GOOD[0], *others, GOOD[0], GOOD[1]]  # what stands there twice, and the target, count once and not at all
    assert codes(find_path(GOOD[1], [ROOT.anchor], bag, AT, PLAIN)) == expected


def test_it_is_said_which_issuer_is_missing() -> None:
    verdict = find_path(GOOD[1], [OTHER.anchor], [], AT, PLAIN)
    assert isinstance(verdict, InvalidPath)
    assert [(fault.code, "no issuer at hand" in fault.message) for fault in verdict.faults] == [
        ("path.no-anchor", True)
    ]
    forged = Party("Issuing", 51).certify(LEAF)
    verdict = find_path(forged, [ROOT.anchor], GOOD[:1], AT, PLAIN)
    assert isinstance(verdict, InvalidPath)
    assert (verdict.codes[0], "not signed" in verdict.faults[0].message) == ("path.signature", True)
    assert not any("no issuer at hand" in fault.message for fault in verdict.faults)


# Revocation


ROOT_CRL, CLEAN, LISTED = ROOT.revoke(), ISSUING.revoke(8), ISSUING.revoke(7)


def status(*crls: PathCrl, path: list[PathCertificate] = GOOD, at: datetime = AT, **more: object) -> set[str]:
    return judged(path, Options(crls=crls, **more), at)  # type: ignore[arg-type]


def delta(*serials: int, base: int = 1, number: int | None = 2, by: Party = ISSUING, **more: object) -> PathCrl:
    extensions = [(x509.DeltaCRLIndicator(base), True), *more.pop("more", ())]  # type: ignore[misc]
    return by.revoke(*serials, more=extensions, number=number, **more)  # type: ignore[arg-type]


LIFTED = [(x509.CRLReason(x509.ReasonFlags.remove_from_crl), False)]


def test_a_delta_counts_only_if_it_is_good_itself() -> None:
    assert status(ROOT_CRL, CLEAN, delta(7)) == {"path.revoked"}
    for nothing in (
        delta(7, by=Party("Issuing", 52)),
        delta(7, base=2, number=3),
        delta(7, number=1),
        delta(7, start=AT - 2 * DAY, end=AT - DAY),
        delta(7, start=AT + DAY / 2),
        delta(7, more=[scope(only_contains_user_certs=True)]),
    ):
        assert status(ROOT_CRL, CLEAN, nothing) == set()


def test_nobody_lifts_a_revocation_with_a_delta_of_another_key() -> None:
    good = delta(7, entry=LIFTED)
    forged = PathCrl.read(good.der[:-1] + bytes((good.der[-1] ^ 1,)))
    for delta_ in (forged, delta(7, entry=LIFTED, by=Party("Issuing", 52)), delta(7, entry=LIFTED, base=2, number=3)):
        assert status(ROOT_CRL, LISTED, delta_) == {"path.revoked"}
    assert status(ROOT_CRL, LISTED, good) == status(ROOT_CRL, LISTED, forged, good) == set()


def test_of_several_deltas_the_one_with_the_highest_number_speaks() -> None:
    older, newer = delta(number=2), delta(7, number=3)
    for crls in ((older, newer), (newer, older)):
        assert status(ROOT_CRL, CLEAN, *crls) == {"path.revoked"}
    older, newer = delta(7, number=2), delta(number=3)
    for crls in ((older, newer), (newer, older)):
        assert status(ROOT_CRL, CLEAN, *crls) == set()


def test_a_list_without_a_number_has_no_deltas_and_may_be_refused_for_it() -> None:
    plain = ISSUING.revoke(number=None)
    assert status(ROOT_CRL, plain) == status(ROOT_CRL, plain, delta(7)) == set()
    assert status(ROOT_CRL, CLEAN, delta(7, number=None)) == set()
    wanted = frozenset({Rule.CRL_NUMBER})
    assert status(ROOT_CRL, plain, conformance=wanted) == {"path.no-crl", "path.crl-number"}
    assert "path.crl-number" not in status(ROOT_CRL, plain, conformance=CONFORMANCE - wanted)
    assert "path.crl-number" not in status(ROOT_CRL, CLEAN, conformance=wanted)


def test_an_anchor_signs_lists_of_its_own_name_and_if_it_may() -> None:
    may, may_not = anchor(), ROOT.certify(ROOT, CA_ALONE, (usage("key_cert_sign"), True))
    options = Options(crls=(ROOT_CRL, CLEAN))
    assert codes(under(may, GOOD, options)) == set()
    assert codes(under(TrustAnchor.of_certificate(may_not), GOOD, options)) == {"path.no-crl", "path.crl-signature"}
    forged = Party("Root", 53).revoke()
    assert status(forged, CLEAN) == {"path.no-crl", "path.crl-signature"}
    anothers = Party("Issuing", ROOT.number).revoke()  # the root's key, and another's name
    assert status(ROOT_CRL, anothers) == {"path.no-crl", "path.crl-signature"}


def test_a_list_is_in_force_to_the_end_of_its_last_second() -> None:
    short = ISSUING.revoke(8, start=AT, end=AT)
    assert status(ROOT_CRL, short) == status(ROOT_CRL, short, at=AT + HALF) == set()
    assert status(ROOT_CRL, short, at=AT - HALF) == {"path.no-crl", "path.crl-stale"}


def test_a_point_for_some_reasons_leaves_the_others_unknown() -> None:
    def point(*reasons: x509.ReasonFlags) -> list[PathCertificate]:
        issuer = [x509.DirectoryName(name("Root"))]
        where = [x509.DistributionPoint(None, None, frozenset(reasons) or None, issuer)]
        return [GOOD[0], ISSUING.certify(LEAF, (x509.CRLDistributionPoints(where), False), serial=7)]

    indirect = ROOT.revoke(more=[scope(indirect_crl=True)])
    assert status(ROOT_CRL, indirect, path=point()) == set()
    assert status(ROOT_CRL, indirect, path=point(x509.ReasonFlags.key_compromise)) == {"path.no-crl"}
    # The issuer's own list covers the rest, whatever points a certificate names (RFC 5280 6.3.3, end).
    assert status(ROOT_CRL, indirect, CLEAN, path=point(x509.ReasonFlags.key_compromise)) == set()


def test_a_list_of_another_issuer_speaks_only_if_it_says_that_it_is_indirect() -> None:
    named = x509.DistributionPoint(None, None, None, [x509.DirectoryName(name("Root"))])
    path = [GOOD[0], ISSUING.certify(LEAF, (x509.CRLDistributionPoints([named]), False), serial=7)]
    assert "path.no-crl" in status(ROOT.revoke(more=[scope(only_contains_user_certs=True)]), ROOT_CRL, path=path)
    assert "path.no-crl" in status(Party("Other", 0).revoke(more=[scope(indirect_crl=True)]), ROOT_CRL, path=path)
    assert status(ROOT.revoke(more=[scope(indirect_crl=True)]), ROOT_CRL, path=path) == set()
