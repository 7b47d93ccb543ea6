"""Revocation, with CRLs made here: which count, who may sign them, and what they say."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from cryptography import x509

from smki.errors import InvalidInput
from smki.pki.path import (
    Options,
    PathCertificate,
    PathCrl,
)
from smki.pki.path.revocation import ALL_REASONS
from tests.pki.path_made import AT, DAY, GOOD, ISSUING, LEAF, ROOT, UNKNOWN, Party, judged, name, scope, usage


def status(*crls: PathCrl, path: list[PathCertificate] = GOOD, at: datetime = AT, **more: Any) -> set[str]:
    return judged(path, Options(crls=crls, **more), at)


ROOT_CRL, CLEAN, LISTED = ROOT.revoke(), ISSUING.revoke(8), ISSUING.revoke(7)


def test_every_certificate_needs_a_crl() -> None:
    assert status(ROOT_CRL, CLEAN) == set()
    assert status(ROOT_CRL, LISTED) == {"path.revoked"}
    assert status(CLEAN) == status(ROOT_CRL) == status() == {"path.no-crl"}
    assert status(ROOT.revoke(GOOD[0].serial), CLEAN) == {"path.revoked"}


def test_a_crl_counts_only_while_in_force_and_from_its_issuer() -> None:
    old = ISSUING.revoke(start=AT - 3 * DAY, end=AT - DAY)
    coming = ISSUING.revoke(start=AT + timedelta(seconds=1))
    assert status(ROOT_CRL, old) == status(ROOT_CRL, coming) == {"path.no-crl", "path.crl-stale"}
    assert status(ROOT_CRL, old, CLEAN) == set()
    assert status(ROOT_CRL, CLEAN, disapply_time=True, at=AT + 9 * DAY) == {"path.no-crl", "path.crl-stale"}
    forged = Party("Issuing", 5).revoke()
    assert status(ROOT_CRL, forged) == {"path.no-crl", "path.crl-signature"}
    assert status(ROOT_CRL, forged, LISTED) == {"path.revoked"}


def test_the_newest_crl_speaks() -> None:
    older = ISSUING.revoke(start=AT - 2 * DAY)
    assert status(ROOT_CRL, older, LISTED) == status(ROOT_CRL, LISTED, older) == {"path.revoked"}
    lifted = ISSUING.revoke(7, start=AT - 2 * DAY)
    assert status(ROOT_CRL, lifted, CLEAN) == status(ROOT_CRL, CLEAN, lifted) == set()


def test_an_authority_that_may_not_sign_crls_signs_none() -> None:
    only = ROOT.certify(ISSUING, (x509.BasicConstraints(True, None), True), (usage("key_cert_sign"), True))
    assert status(ROOT_CRL, CLEAN, path=[only, GOOD[1]]) == {"path.no-crl", "path.crl-signature"}


def test_a_crl_counts_only_in_its_scope() -> None:
    users = ISSUING.revoke(more=[scope(only_contains_user_certs=True)])
    assert status(ROOT_CRL, users) == set()
    assert status(ROOT.revoke(more=[scope(only_contains_ca_certs=True)]), users) == set()
    for wrong in ("only_contains_ca_certs", "only_contains_attribute_certs"):
        crl = ISSUING.revoke(more=[scope(**{wrong: True})])
        assert status(ROOT_CRL, crl) == {"path.no-crl", "path.crl-scope"}


def test_a_critical_extension_not_known_makes_a_crl_useless() -> None:
    entry = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.5"), b"\x05\x00")
    for crl in (ISSUING.revoke(more=[(UNKNOWN, True)]), ISSUING.revoke(9, entry=[(entry, True)])):
        assert status(ROOT_CRL, crl) == {"path.no-crl", "path.crl-extension"}
    assert status(ROOT_CRL, ISSUING.revoke(9, entry=[(entry, False)])) == set()


def test_a_delta_adds_and_removes() -> None:
    base = (x509.DeltaCRLIndicator(1), True)
    assert status(ROOT_CRL, CLEAN, ISSUING.revoke(7, more=[base], number=2)) == {"path.revoked"}
    lifted = ISSUING.revoke(
        7, more=[base], number=2, entry=[(x509.CRLReason(x509.ReasonFlags.remove_from_crl), False)]
    )
    assert status(ROOT_CRL, LISTED, lifted) == set()
    assert status(ROOT_CRL, lifted) == {"path.no-crl"}
    later = ISSUING.revoke(more=[(x509.DeltaCRLIndicator(5), True)], number=6)
    assert status(ROOT_CRL, LISTED, later) == {"path.revoked"}


def test_a_signer_of_crls_is_judged_itself() -> None:
    signer = Party("Issuing", 30)
    sealed = signer.revoke()
    certificate = ISSUING.certify(signer, (usage("crl_sign"), True), serial=30)
    # It cannot vouch for itself, nor be used once revoked; with a CRL of the first key it is as good as that.
    assert "path.no-crl" in status(ROOT_CRL, sealed, crl_signers=(certificate,))
    assert status(ROOT_CRL, CLEAN, sealed, crl_signers=(certificate,)) == set()
    older = ISSUING.revoke(7, 30, start=AT - 2 * DAY)
    assert status(ROOT_CRL, older, sealed, crl_signers=(certificate,)) == {"path.revoked"}


def issuer_of(*names_: str) -> tuple[x509.ExtensionType, bool]:
    return x509.CertificateIssuer([x509.DirectoryName(name(text)) for text in names_]), True


def test_an_indirect_crl_speaks_of_the_issuers_it_names() -> None:
    indirect = scope(indirect_crl=True)
    point = x509.DistributionPoint(None, None, None, [x509.DirectoryName(name("Root"))])
    path = [GOOD[0], ISSUING.certify(LEAF, (x509.CRLDistributionPoints([point]), False), serial=7)]

    def listed(*names_: str) -> set[str]:
        return status(ROOT.revoke(7, more=[indirect], entry=[issuer_of(*names_)]), path=path)

    assert listed("Other") == set()
    assert listed("Issuing") == {"path.revoked"}
    with pytest.raises(InvalidInput):
        listed("Issuing", "Other")
    assert status(ROOT.revoke(7, entry=[issuer_of("Other")]), path=path) == {"path.no-crl", "path.crl-extension"}
    # Only where the certificate names another issuer of CRLs may one speak of it.
    assert status(ROOT.revoke(more=[indirect])) == {"path.no-crl"}


def test_reasons_may_be_spread_over_crls() -> None:
    def some(*reasons: x509.ReasonFlags, revoked: int = 8) -> PathCrl:
        fields = (None, None, False, False, frozenset(reasons), False, False)
        return ISSUING.revoke(revoked, more=[(x509.IssuingDistributionPoint(*fields), True)])

    first = x509.ReasonFlags.key_compromise
    rest = tuple(ALL_REASONS - {first})
    assert status(ROOT_CRL, some(first)) == {"path.no-crl"}
    assert status(ROOT_CRL, some(first), some(*rest)) == set()
    assert status(ROOT_CRL, some(first), some(*rest, revoked=7)) == {"path.revoked"}
