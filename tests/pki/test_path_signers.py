"""Who may sign a list that a path's certificates are looked up in: nobody for himself, nobody in another's name."""

from collections.abc import Sequence
from typing import Any

import pytest
from cryptography import x509

from smki.pki.path import Options, PathCertificate, PathCrl
from smki.pki.path.work import MAX_INTERMEDIATES, MAX_STEPS
from tests.pki.path_made import AT, DAY, GOOD, ISSUING, LEAF, OTHER, ROOT, Party, judged, name, scope, usage

ROOT_CRL, CLEAN = ROOT.revoke(), ISSUING.revoke(8)
SIGNS_LISTS = (usage("crl_sign"), True)
INDIRECT = scope(indirect_crl=True)
LISTS = Party("Lists", 75)
UNSAID, OUT_OF_SCOPE = {"path.no-crl", "path.crl-signature"}, {"path.no-crl", "path.crl-scope"}
Extension = tuple[x509.ExtensionType, bool]


def status(*crls: PathCrl, path: Sequence[PathCertificate] = GOOD, **more: Any) -> set[str]:
    return judged(list(path), Options(crls=crls, **more))


def directory(*texts: str) -> list[x509.GeneralName]:
    return [x509.DirectoryName(name(text)) for text in texts]


def uri(text: str) -> list[x509.GeneralName]:
    return [x509.UniformResourceIdentifier(text)]


def points(*points: x509.DistributionPoint) -> Extension:
    return x509.CRLDistributionPoints(points), False


def issued_by(*names: x509.GeneralName) -> Extension:
    """A distribution point that says no more than whose list it is."""
    return points(x509.DistributionPoint(None, None, None, names))


def published_at(names: list[x509.GeneralName], indirect: bool = False) -> Extension:
    """What a list says of where it is published."""
    return x509.IssuingDistributionPoint(names, None, False, False, None, indirect, False), True


def pointing(*names: str) -> list[PathCertificate]:
    """A path whose target names others as issuers of its list."""
    return [GOOD[0], ISSUING.certify(LEAF, issued_by(*directory(*names)), serial=7)]


# Nobody for himself


def test_an_authority_does_not_vouch_for_itself() -> None:
    """Nor does its own list become good by certifying somebody."""
    again = Party("Root", 70)
    path = [ROOT.certify(again, authority=True), again.certify(LEAF)]
    assert status(again.revoke(), path=path) == UNSAID
    assert status(ROOT_CRL, again.revoke(), path=path) == set()


def test_only_who_is_named_as_issuer_of_its_own_list_vouches_for_itself() -> None:
    named = ROOT.certify(LISTS, SIGNS_LISTS, issued_by(*directory("Lists")))
    assert status(LISTS.revoke(more=[INDIRECT]), path=[named], crl_signers=(named,)) == set()
    assert status(LISTS.revoke(more=[INDIRECT]), path=[named]) == UNSAID
    above = ROOT.certify(LISTS, issued_by(*directory("Lists")), authority=True)
    assert status(LISTS.revoke(more=[INDIRECT]), path=[above, LISTS.certify(LEAF)]) == set()
    again = Party("Root", 71)
    somewhere = points(x509.DistributionPoint(uri("http://lists.example/root"), None, None, None))
    unnamed = ROOT.certify(again, SIGNS_LISTS, somewhere)
    assert status(again.revoke(), path=[unnamed], crl_signers=(unnamed,)) == UNSAID


def test_signers_that_vouch_for_each_other_are_asked_once() -> None:
    """They spend nothing of what others need: the issuer of the target's list is judged after them."""
    ring = [Party("Root", 72 + n) for n in range(3)]
    signers = [ROOT.certify(one, SIGNS_LISTS) for one in ring]
    newer = [one.revoke(start=AT - DAY / 2) for one in ring]
    crls = (*newer, ROOT_CRL, LISTS.revoke(more=[INDIRECT]))
    path = pointing("Lists")
    assert status(*crls, path=path, crl_signers=(*signers, ROOT.certify(LISTS, SIGNS_LISTS))) == set()
    assert status(*newer[:2], CLEAN, crl_signers=tuple(signers[:2])) == UNSAID


@pytest.mark.parametrize(("deep", "expected"), [(3, set()), (4, UNSAID)])
def test_signers_of_lists_on_signers_of_lists_are_followed_so_far(deep: int, expected: set[str]) -> None:
    """Each signer is looked up in the list of the next; the last, in the root's."""
    parties = [Party(f"Lists {n}", 80 + n) for n in range(deep)]
    last = uri("http://lists.example/last")
    below = [issued_by(*directory(party.text)) for party in parties]
    above = [*below[1:], points(x509.DistributionPoint(last, None, None, None))]
    signers = tuple(ROOT.certify(one, SIGNS_LISTS, where) for one, where in zip(parties, above, strict=True))
    crls = [
        ROOT.revoke(more=[scope(only_contains_ca_certs=True)]),
        ROOT.revoke(more=[published_at(last)]),
        *(party.revoke(more=[INDIRECT]) for party in parties),
    ]
    assert status(*crls, path=[GOOD[0], ISSUING.certify(LEAF, below[0])], crl_signers=signers) == expected


# Nobody in another's name


def test_nobody_signs_a_list_in_the_name_of_another() -> None:
    other = ROOT.certify(OTHER, authority=True)
    assert status(ROOT_CRL, Party("Issuing", OTHER.number).revoke(), crl_signers=(other,)) == UNSAID


def test_who_is_named_as_issuer_of_lists_stands_under_the_same_anchor() -> None:
    crls = (ROOT_CRL, LISTS.revoke(more=[INDIRECT]))
    assert status(*crls, path=pointing("Lists"), crl_signers=(ROOT.certify(LISTS, SIGNS_LISTS),)) == set()
    assert status(*crls, path=pointing("Lists"), crl_signers=(OTHER.certify(LISTS, SIGNS_LISTS),)) == UNSAID


def test_only_who_is_named_speaks_of_certificates_of_others() -> None:
    crls = (ROOT_CRL, LISTS.revoke(more=[INDIRECT]))
    signers = (ROOT.certify(LISTS, SIGNS_LISTS),)
    assert status(*crls, path=pointing("Elsewhere"), crl_signers=signers) == {"path.no-crl"}
    assert status(*crls, path=pointing("Elsewhere", "Lists"), crl_signers=signers) == set()


def test_an_issuer_of_lists_is_named_by_a_directory_name() -> None:
    """RFC 5280 4.2.1.13; what stands beside it is nobody."""
    path = [GOOD[0], ISSUING.certify(LEAF, issued_by(*uri("http://lists.example"), *directory("Lists")))]
    crls = (ROOT_CRL, LISTS.revoke(more=[INDIRECT]))
    assert status(*crls, path=path, crl_signers=(ROOT.certify(LISTS, SIGNS_LISTS),)) == set()


# Where a list is published


def test_a_point_without_a_name_means_the_issuer_of_its_list() -> None:
    """RFC 5280 6.3.3(b)(2)(i)."""
    signers = (ROOT.certify(LISTS, SIGNS_LISTS),)
    for text, expected in (("Lists", set()), ("Elsewhere", OUT_OF_SCOPE)):
        crl = LISTS.revoke(more=[published_at(directory(text), indirect=True)])
        assert status(ROOT_CRL, crl, path=pointing("Lists"), crl_signers=signers) == expected


@pytest.mark.parametrize(
    ("stated", "published", "expected"),
    [
        (uri("http://a.example"), uri("http://a.example"), set()),
        (uri("http://a.example"), uri("http://b.example"), OUT_OF_SCOPE),
        (uri("http://a.example"), uri("http://b.example") + uri("http://a.example"), set()),
        (
            [x509.RegisteredID(x509.ObjectIdentifier("1.2.3"))],
            [x509.RegisteredID(x509.ObjectIdentifier("1.2.4"))],
            OUT_OF_SCOPE,
        ),
    ],
    ids=["same", "other", "one-of-two", "not-compared"],
)
def test_a_list_covers_what_points_to_where_it_is_published(
    stated: list[x509.GeneralName], published: list[x509.GeneralName], expected: set[str]
) -> None:
    where = points(x509.DistributionPoint(stated, None, None, None))
    path = [GOOD[0], ISSUING.certify(LEAF, where)]
    assert status(ROOT_CRL, ISSUING.revoke(more=[published_at(published)]), path=path) == expected


# Work


def test_each_of_many_signers_of_lists_is_found() -> None:
    """End entities that sign lists are no bag of intermediates, which is limited."""
    parties = [Party("Issuing", 100 + n) for n in range(MAX_INTERMEDIATES + 1)]
    signers = tuple(ISSUING.certify(one, SIGNS_LISTS) for one in parties)
    newest = parties[0].revoke(7, start=AT - DAY / 2)
    assert status(ROOT_CRL, CLEAN, newest, crl_signers=signers) == {"path.revoked"}


@pytest.mark.parametrize(("more", "expected"), [(0, {"path.no-crl", "path.crl-stale"}), (1, {"path.budget"})])
def test_a_certificate_points_to_so_many_lists(more: int, expected: set[str]) -> None:
    """Each point and each list of its issuer is a step, and one is what the issuer published besides."""
    stale = [ISSUING.revoke(start=AT - 3 * DAY, end=AT - DAY, number=n) for n in range(3)]
    count = (MAX_STEPS - 1) // len(stale) - 1
    many = points(*(x509.DistributionPoint(uri(f"u:{n}"), None, None, None) for n in range(count)))
    roots = [ROOT.revoke(number=n) for n in range(1 + more)]
    assert 1 + (count + 1) * len(stale) == MAX_STEPS
    assert status(*roots, *stale, path=[GOOD[0], ISSUING.certify(LEAF, many)]) == expected
