"""Policies along a path: which are left at its end, and from which certificate on none is."""

import pytest
from cryptography import x509

from smki.pki.path import ANY_POLICY, InvalidPath, Options, PathCertificate, ValidPath, verify_path
from tests.pki.path_made import AT, ISSUING, LEAF, P1, P2, PLAIN, ROOT, Party, judged, policies

EXPLICIT = Options(explicit_policy=True)
A, B = Party("A", 40), Party("B", 41)
_OF = {P1: "06032a0301", P2: "06032a0302", ANY_POLICY: "0604551d2000"}


def mapping(issuers: x509.ObjectIdentifier, subjects: x509.ObjectIdentifier) -> tuple[x509.ExtensionType, bool]:
    pair = bytes.fromhex(_OF[issuers] + _OF[subjects])
    value = bytes((0x30, len(pair) + 2, 0x30, len(pair))) + pair
    return x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.33"), value), True


def left(path: list[PathCertificate], options: Options) -> set[x509.ObjectIdentifier] | None:
    verdict = verify_path(ROOT.anchor, path, AT, options)
    return set(verdict.policies) if isinstance(verdict, ValidPath) else None


def from_where(path: list[PathCertificate], options: Options) -> list[int]:
    """At which certificates it is told that no policy is left, where one is required (6.1.3(f))."""
    verdict = verify_path(ROOT.anchor, path, AT, options)
    assert isinstance(verdict, InvalidPath)
    assert set(verdict.codes) == {"path.policy"}
    assert "6.1.5(g)" in verdict.faults[-1].message
    told = [fault.message for fault in verdict.faults if "6.1.3(f)" in fault.message]
    assert len(told) == len(verdict.faults) - 1
    return [number for number, one in enumerate(path) if any(str(one) in message for message in told)]


def test_it_is_told_from_which_certificate_on_no_policy_is_left() -> None:
    none = [ROOT.certify(A, authority=True), A.certify(B, authority=True), B.certify(LEAF)]
    assert from_where(none, EXPLICIT) == [0, 1, 2]
    some = [
        ROOT.certify(A, policies(P1), authority=True),
        A.certify(B, authority=True),
        B.certify(LEAF, policies(P1)),
    ]
    assert from_where(some, EXPLICIT) == [1, 2]
    # What nobody above allows is no policy of the path.
    assert from_where([some[0], A.certify(LEAF, policies(P2))], EXPLICIT) == [1]


@pytest.mark.parametrize(("skip", "expected"), [(0, [1, 2]), (1, [2]), (2, [])])
def test_a_policy_is_required_after_so_many_certificates(skip: int, expected: list[int]) -> None:
    required = (x509.PolicyConstraints(skip, None), True)
    path = [ROOT.certify(A, required, authority=True), A.certify(B, authority=True), B.certify(LEAF)]
    assert from_where(path, PLAIN) == expected


def test_no_policy_is_any_policys_equal() -> None:
    """RFC 5280 4.2.1.5, 6.1.4(a)."""
    for pair in ((P1, ANY_POLICY), (ANY_POLICY, P1)):
        path = [ROOT.certify(ISSUING, policies(P1), mapping(*pair), authority=True), ISSUING.certify(LEAF)]
        assert judged(path) == {"path.policy"}


def test_what_any_policy_allows_may_be_mapped() -> None:
    """RFC 5280 6.1.4(b)(1), where only anyPolicy stands for the issuer's."""
    authority = ROOT.certify(ISSUING, policies(ANY_POLICY), mapping(P1, P2), authority=True)
    path = [authority, ISSUING.certify(LEAF, policies(P2))]
    assert left(path, Options(initial_policies=frozenset({P1}), explicit_policy=True)) == {P1}


def test_any_policy_above_is_none_of_the_policies_below() -> None:
    path = [ROOT.certify(ISSUING, policies(ANY_POLICY), authority=True), ISSUING.certify(LEAF, policies(P1))]
    assert left(path, PLAIN) == {P1}
    assert left([path[0], ISSUING.certify(LEAF, policies(P1, ANY_POLICY))], PLAIN) == {P1, ANY_POLICY}


def test_a_policy_that_ends_below_is_lost_all_the_way_up() -> None:
    both = policies(P1, P2)
    path = [ROOT.certify(A, both, authority=True), A.certify(B, both, authority=True), B.certify(LEAF, policies(P2))]
    assert left(path, PLAIN) == {P2}


def test_policies_mapped_where_none_is_left_are_none() -> None:
    path = [
        ROOT.certify(A, authority=True),
        A.certify(B, policies(P1), mapping(P1, P2), authority=True),
        B.certify(LEAF, policies(P2)),
    ]
    assert left(path, PLAIN) == set()
    assert from_where(path, EXPLICIT) == [0, 1, 2]


def test_a_policy_that_may_not_be_mapped_is_lost_all_the_way_up() -> None:
    """RFC 5280 6.1.4(b)(2): an authority that maps where it may not loses what it mapped, and nothing else."""
    both = policies(P1, P2)
    mapped = A.certify(B, both, mapping(P1, P2), authority=True)
    path = [ROOT.certify(A, both, authority=True), mapped, B.certify(LEAF, policies(P2))]
    assert left(path, Options(inhibit_mapping=True)) == {P2}
    wanted = Options(initial_policies=frozenset({P1}), explicit_policy=True, inhibit_mapping=True)
    assert judged(path, wanted) == {"path.policy"}
