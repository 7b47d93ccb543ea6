"""A list from anywhere is judged by every rule it can break, and described whoever made it."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from smki.errors import InvalidInput
from smki.pki.crl_judge import describe_list, judge_list
from smki.pki.crl_reading import der_of
from smki.pki.path import PathCertificate, PathCrl
from tests.pki.hierarchy import Made, chain

AT = datetime(2026, 11, 21, 12, tzinfo=UTC)
DAY = timedelta(days=1)
ROOT, ISSUING, LEAF = chain("oca", "organisation")
AUTHORITIES = [PathCertificate.read(one.der) for one in (ROOT, ISSUING)]


def _list(signer: Made = ISSUING, number: int | None = 7, entries: int = 0, name: Made | None = None) -> bytes:
    builder = x509.CertificateRevocationListBuilder().issuer_name((name or signer).name)
    builder = builder.last_update(AT - DAY).next_update(AT + DAY)
    identifier = signer.issuer.key_identifier.octets
    builder = builder.add_extension(x509.AuthorityKeyIdentifier(identifier, None, None), False)
    if number is not None:
        builder = builder.add_extension(x509.CRLNumber(number), False)
    for serial in range(1, entries + 1):
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(AT - DAY)
        builder = builder.add_revoked_certificate(entry.build())
    return builder.sign(signer.key, hashes.SHA256()).public_bytes(Encoding.DER)


def _codes(der: bytes, authorities: list[PathCertificate], at: datetime = AT) -> list[str]:
    return [fault.code for fault in judge_list(der, authorities, at).faults]


def test_a_good_list_has_no_fault_and_its_signer_is_told() -> None:
    for authorities in (AUTHORITIES, AUTHORITIES[::-1]):
        found = judge_list(_list(), authorities, AT)
        assert (found.faults, found.signer, found.is_linted_whole) == ((), AUTHORITIES[1], True)


def test_who_signed_must_be_an_authority_of_that_name_with_that_key() -> None:
    assert _codes(_list(), []) == ["crl.signature"]
    assert _codes(_list(), [AUTHORITIES[0]]) == ["crl.signature"]
    assert _codes(_list(ROOT, name=ISSUING), AUTHORITIES) == ["crl.signature"]
    changed = _list()[:-1] + bytes((_list()[-1] ^ 1,))
    assert "crl.signature" in _codes(changed, AUTHORITIES)


def test_who_may_not_sign_lists_signed_none() -> None:
    found = judge_list(_list(LEAF), [*AUTHORITIES, PathCertificate.read(LEAF.der)], AT)
    assert found.signer is None
    assert "crl.signature" in [fault.code for fault in found.faults]


def test_a_list_is_good_from_its_first_to_its_last_second() -> None:
    for at in (AT - DAY, AT + DAY):
        assert _codes(_list(), AUTHORITIES, at) == []
    second = timedelta(seconds=1)
    for at in (AT - DAY - second, AT + DAY + second):
        assert _codes(_list(), AUTHORITIES, at) == ["crl.time"]


def test_what_lint_finds_is_a_fault_with_its_words() -> None:
    found = judge_list(_list(number=None), AUTHORITIES, AT)
    ours, pkilints = found.faults
    assert (ours.code, "has no number" in ours.message) == ("crl.lint.path.crl-number", True)
    # pkilint says of some rules no more than their names.
    assert (pkilints.code, pkilints.message) == ("crl.lint.pkix.crl_number_missing", "pkix.crl_number_missing")


def test_what_is_no_list_has_one_fault() -> None:
    found = judge_list(b"noise", AUTHORITIES, AT)
    assert (found.crl, found.signer, [fault.code for fault in found.faults]) == (None, None, ["path.form"])


@pytest.mark.parametrize("more", [0, 1])
def test_only_so_many_entries_are_linted_and_it_is_said(more: int) -> None:
    found = judge_list(_list(entries=1000 + more), AUTHORITIES, AT)
    assert found.is_linted_whole == (more == 0)


def test_a_list_is_described_whatever_it_lacks() -> None:
    builder = x509.CertificateRevocationListBuilder().issuer_name(ISSUING.name).last_update(AT).next_update(AT + DAY)
    entry = x509.RevokedCertificateBuilder().serial_number(5).revocation_date(AT)
    late = entry.add_extension(x509.InvalidityDate((AT - DAY).replace(tzinfo=None)), False)
    named = entry.add_extension(x509.CertificateIssuer([x509.DirectoryName(ISSUING.name)]), True)
    for one in (late, named):
        builder = builder.add_revoked_certificate(one.build())
    point = x509.IssuingDistributionPoint(None, None, False, False, None, True, False)
    whole = builder.add_extension(point, True)
    told = describe_list(PathCrl.read(whole.sign(ISSUING.key, hashes.SHA256()).public_bytes(Encoding.DER)), 2)
    assert (told.kind, told.key_identifier, told.number, told.base) == ("complete", "", None, None)
    assert told.contains == "a scope unknown here"
    assert [(one.reason, one.compromised_at) for one in told.first] == [
        ("unspecified", AT - DAY),
        ("unspecified", None),
    ]


def test_pem_and_der_are_the_same_list() -> None:
    der = _list()
    pem = x509.load_der_x509_crl(der).public_bytes(Encoding.PEM)
    assert der_of(der) == der_of(pem) == der_of(b"what people write above it\n" + pem) == der
    with pytest.raises(InvalidInput) as refusal:
        der_of(pem[:60])
    assert refusal.value.code == "crl.form"
    # A list may have such words in it; where they begin a file, it is PEM.
    assert der_of(1013 * b"x" + b"\n" + pem) == der
    assert der_of(1014 * b"x" + b"\n" + pem) == 1014 * b"x" + b"\n" + pem


def test_who_does_not_say_what_its_key_is_for_signs_no_list() -> None:
    silent = x509.CertificateBuilder().subject_name(ISSUING.name).issuer_name(ROOT.name).serial_number(5)
    silent = silent.public_key(ISSUING.key.public_key()).not_valid_before(AT - DAY).not_valid_after(AT + DAY)
    read = PathCertificate.read(silent.sign(ROOT.key, hashes.SHA256()).public_bytes(Encoding.DER))
    assert read.value(x509.KeyUsage) is None
    assert judge_list(_list(), [read], AT).signer is None
    assert judge_list(_list(), [read, *AUTHORITIES], AT).signer == AUTHORITIES[1]


def test_a_list_that_names_its_key_otherwise_is_described() -> None:
    builder = x509.CertificateRevocationListBuilder().issuer_name(ISSUING.name).last_update(AT).next_update(AT + DAY)
    above = x509.AuthorityKeyIdentifier(None, [x509.DirectoryName(ROOT.name)], 5)
    der = builder.add_extension(above, False).sign(ISSUING.key, hashes.SHA256()).public_bytes(Encoding.DER)
    assert describe_list(PathCrl.read(der), 1).key_identifier == ""


def test_an_entry_that_cannot_be_read_is_an_entry_all_the_same() -> None:
    twice = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.99"), b"\x0a\x01\x01")
    entry = x509.RevokedCertificateBuilder().serial_number(5).revocation_date(AT)
    entry = entry.add_extension(x509.CRLReason(x509.ReasonFlags.key_compromise), False).add_extension(twice, False)
    builder = x509.CertificateRevocationListBuilder().issuer_name(ISSUING.name).last_update(AT).next_update(AT + DAY)
    builder = builder.add_revoked_certificate(entry.build())
    der = builder.sign(ISSUING.key, hashes.SHA256()).public_bytes(Encoding.DER)
    told = describe_list(PathCrl.read(der.replace(b"\x55\x1d\x63", b"\x55\x1d\x15")), 1)
    assert (told.entries, told.reasons) == (1, {"unreadable": 1})
