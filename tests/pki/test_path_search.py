"""Looking for a path: what is told where there is none, and how much is tried before it is told."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from ipaddress import ip_network

import pytest
from cryptography import x509

from smki.pki.keyid import KeyIdentifier, point_of
from smki.pki.path import InvalidPath, PathCertificate, TrustAnchor, find_path
from smki.pki.path.work import MAX_COMPARISONS, MAX_INTERMEDIATES, MAX_PATHS, MAX_STEPS
from tests.pki.path_made import (
    AT,
    GOOD,
    ISSUING,
    LEAF,
    OTHER,
    PLAIN,
    ROOT,
    UNKNOWN,
    Party,
    codes,
    judged,
    key,
    name,
    usage,
)
from tests.pki.path_made import policies as stated

CA_ALONE = (x509.BasicConstraints(True, None), True)
EARLIER = AT - timedelta(hours=1)


def found(bag: Sequence[PathCertificate], target: PathCertificate = GOOD[1]) -> set[str]:
    return codes(find_path(target, [ROOT.anchor], bag, AT, PLAIN))


# What is told


def test_a_certificate_that_an_anchor_did_not_sign_has_no_path() -> None:
    verdict = find_path(Party("Root", 53).certify(LEAF), [ROOT.anchor], [], AT, PLAIN)
    assert isinstance(verdict, InvalidPath)
    assert set(verdict.codes) == {"path.signature", "path.no-anchor"}
    assert not any("no issuer at hand of" in fault.message for fault in verdict.faults)


def test_who_has_another_name_is_no_issuer() -> None:
    assert found([ROOT.certify(OTHER, authority=True)]) == {"path.no-anchor"}
    assert found([ROOT.certify(Party("Other", ISSUING.number), authority=True)]) == {"path.no-anchor"}


def test_of_paths_that_break_rules_the_one_that_breaks_fewest_is_told() -> None:
    expired = ROOT.certify(ISSUING, authority=True, end=EARLIER)
    strange = ROOT.certify(ISSUING, (UNKNOWN, True), authority=True)
    both = ROOT.certify(ISSUING, (UNKNOWN, True), authority=True, end=EARLIER)
    for one, code in ((expired, "path.expired"), (strange, "path.critical-extension")):
        assert found([both, one]) == found([one, both]) == {code}
    # Of two equally bad, the one tried first.
    assert found([expired, strange]) == {"path.expired"}
    assert found([strange, expired]) == {"path.critical-extension"}


def _named(*more: tuple[x509.ExtensionType, bool], identifier: bytes | None, **times: datetime) -> PathCertificate:
    """The issuing authority, its key named so, or not at all."""
    return ROOT.certify(ISSUING, CA_ALONE, *more, identifier=identifier, **times)  # type: ignore[arg-type]


NEAR = _named(identifier=KeyIdentifier.of(ISSUING.key.public_key()).octets, end=EARLIER)
NAMELESS = _named((UNKNOWN, True), identifier=b"")
FAR = _named((usage("crl_sign"), True), identifier=bytes(8))


@pytest.mark.parametrize(
    ("bag", "code"),
    [
        ((NEAR, NAMELESS), "path.expired"),
        ((NEAR, FAR), "path.expired"),
        ((NAMELESS, FAR), "path.critical-extension"),
    ],
)
def test_the_issuer_whose_key_is_named_is_tried_first(bag: tuple[PathCertificate, ...], code: str) -> None:
    """Then one that names none (RFC 4158 3.5): of paths equally bad, the one tried first is told."""
    assert found(bag) == found(bag[::-1]) == {code}


def test_a_certificate_that_names_no_key_is_content_with_any() -> None:
    silent = ISSUING.certify(LEAF, identified=False)
    for bag, code in (
        ((NEAR, NAMELESS), "path.expired"),
        ((NAMELESS, NEAR), "path.critical-extension"),
        ((FAR, NEAR), "path.key-usage"),
    ):
        assert found(bag, silent) == {code}


def test_of_issuers_equally_near_the_one_under_an_anchor_is_tried_first() -> None:
    middle = Party("Middle", 54)
    under = ROOT.certify(ISSUING, authority=True, end=EARLIER)
    further = [ROOT.certify(middle, authority=True), middle.certify(ISSUING, (UNKNOWN, True), authority=True)]
    for bag in ([under, *further], [*further, under]):
        verdict = find_path(GOOD[1], [OTHER.anchor, ROOT.anchor], bag, AT, PLAIN)
        assert codes(verdict) == {"path.expired"}


def test_of_many_certificates_without_an_issuer_a_few_are_told() -> None:
    strangers = [Party(f"Nobody {n}", 55).certify(ISSUING, authority=True) for n in range(4)]
    verdict = find_path(GOOD[1], [ROOT.anchor], strangers, AT, PLAIN)
    assert isinstance(verdict, InvalidPath)
    assert [fault.code for fault in verdict.faults] == 3 * ["path.no-anchor"]
    forged = [Party("Root", 56).certify(ISSUING, authority=True) for _ in range(4)]
    verdict = find_path(GOOD[1], [ROOT.anchor], forged, AT, PLAIN)
    assert isinstance(verdict, InvalidPath)
    assert [fault.code for fault in verdict.faults] == [*3 * ["path.signature"], "path.no-anchor"]


# How much is tried


@pytest.mark.parametrize(("more", "expected"), [(0, set()), (1, {"path.budget"})])
def test_so_many_paths_are_judged(more: int, expected: set[str]) -> None:
    """Two authorities with eight certificates each make 64 paths, and every one is signed well."""
    a, b = Party("A", 60), Party("B", 61)
    bag = [b.certify(a, authority=True) for _ in range(8)] + [ROOT.certify(b, authority=True) for _ in range(8)]
    bag += [ROOT.certify(a, authority=True) for _ in range(more)]
    assert MAX_PATHS == 8 * 8
    assert found(bag, a.certify(LEAF, end=EARLIER)) == {"path.expired", *expected}


@pytest.mark.parametrize(("more", "expected"), [(0, {"path.no-anchor"}), (1, {"path.budget"})])
def test_so_many_steps_are_taken(more: int, expected: set[str]) -> None:
    """Every way up from the target, of which none ends at an anchor."""
    parties = [Party(f"{n}", 62 + n) for n in range(5)]
    bag = [
        parties[n + 1].certify(parties[n], authority=True)
        for n, count in enumerate((1, 14, 8, 8))
        for _ in range(count)
    ]
    bag += [Party("Nobody", 67).certify(parties[0], authority=True) for _ in range(more)]
    assert MAX_STEPS == 1 + 1 + 14 + 14 * 8 + 14 * 8 * 8
    assert len(bag) <= MAX_INTERMEDIATES
    assert found(bag, parties[0].certify(LEAF)) == expected


@pytest.mark.parametrize(("more", "expected"), [(0, set()), (1, {"path.budget"})])
def test_so_many_signatures_are_verified_each_once(more: int, expected: set[str]) -> None:
    """The hundredth key fits, and is not tried again when the path is judged."""
    keys = [*(key(200 + n) for n in range(99 + more)), ISSUING.key]
    anchors = [TrustAnchor.of_key(name("Issuing"), point_of(one.public_key())) for one in keys]
    assert codes(find_path(GOOD[1], anchors, [], AT, PLAIN)) == expected


def _oids(first: int, count: int) -> list[x509.ObjectIdentifier]:
    return [x509.ObjectIdentifier(f"1.2.3.{first + n}") for n in range(count)]


@pytest.mark.parametrize(
    ("policies", "mapped", "below", "expected"),
    [
        (50, 10, 40, set()),
        (50, 10, 41, {"path.budget"}),
        (51, 10, 40, {"path.budget"}),
        (50, 11, 40, {"path.budget"}),
        (59, 1, 40, set()),
    ],
)
def test_so_many_names_and_policies_are_compared(policies: int, mapped: int, below: int, expected: set[str]) -> None:
    """The names of the target with the constraints above it, the policies that are left at each, and the mappings."""
    excluded = [x509.IPAddress(ip_network(f"10.0.{n}.0/24")) for n in range(100)]
    names = [x509.DNSName(f"{n}.example") for n in range(MAX_COMPARISONS // 100 - 2)]  # the subject is one more
    pairs = b"".join(
        bytes.fromhex("300a06032a03") + bytes((n,)) + bytes.fromhex("06032a04") + bytes((n,)) for n in range(mapped)
    )
    head = bytes((0x30, len(pairs))) if len(pairs) < 0x80 else bytes((0x30, 0x81, len(pairs)))
    mapping = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.33"), head + pairs)
    authority = ROOT.certify(
        ISSUING, (x509.NameConstraints(None, excluded), True), stated(*_oids(0, policies)), (mapping, True),
        authority=True,
    )  # fmt: skip
    alternatives = (x509.SubjectAlternativeName(names), False)
    # Those that are not mapped are expected by their own names; the last of 41 is expected by another's.
    kept = _oids(policies - min(below, policies - mapped), min(below, policies - mapped))
    renamed = [x509.ObjectIdentifier(f"1.2.4.{n}") for n in range(below - len(kept))]
    target = ISSUING.certify(LEAF, alternatives, stated(*kept, *renamed))
    assert judged([authority, target]) == expected
