"""Lists are what pyca builds, octet for octet; read back, linted, and refused where they are not ours."""

import hashlib
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st

from smki.entity import RemotePartyRole
from smki.errors import IntegrityFailure, InvalidInput, Refused
from smki.pki.chain import crl_faults
from smki.pki.crl import FLAGS, CrlDraft, Entry, Tally, around, compile_frame, encode_entries
from smki.pki.crl_judge import describe_list
from smki.pki.crl_lint import lint_crl, refuse_crl_faults
from smki.pki.crl_reading import check_list, entries_of, read_list
from smki.pki.distribution_point import distribution_point, scope_of
from smki.pki.keyid import KeyIdentifier
from smki.pki.lint import Severity
from smki.pki.name import authority_name
from smki.pki.path import PathCrl
from smki.pki.reason import Reason
from smki.pki.scope import Scope
from smki.pki.template import Issuer

KEY = ec.derive_private_key(4711, ec.SECP256R1())
ISSUER = Issuer(authority_name(RemotePartyRole.ISSUING_AUTHORITY, "Z1"), KeyIdentifier.of(KEY.public_key()))
AT = datetime(2026, 11, 21, 12, tzinfo=UTC)
_SECONDS = st.integers(0, int(datetime(2199, 1, 1, tzinfo=UTC).timestamp()))
_SERIALS = st.binary(min_size=15, max_size=15).map(lambda rest: b"\x42" + rest)
ENTRIES = st.lists(
    st.tuples(_SERIALS, _SECONDS, st.sampled_from([reason.value for reason in Reason]), st.none() | _SECONDS),
    max_size=12,
    unique_by=lambda entry: entry[0],
)


def drafted(scope: Scope = Scope.ALL, base: int | None = None, at: datetime = AT, number: int = 7) -> CrlDraft:
    return CrlDraft(ISSUER, number, at, at + timedelta(days=2), scope, base)


def signed(draft: CrlDraft, entries: list[Entry]) -> tuple[bytes, Tally, int]:
    """As the authority puts it together, with a software key."""
    frame, tally = compile_frame(draft), Tally()
    octets = b"".join(encode_entries(entries, tally))
    whole = frame.before(len(octets)) + octets + frame.after
    signature = KEY.sign(hashlib.sha256(whole).digest(), ec.ECDSA(Prehashed(hashes.SHA256())))
    before, after = around(len(whole), signature)
    return before + whole + after, tally, len(octets)


def built(draft: CrlDraft, entries: list[Entry]) -> x509.CertificateRevocationList:
    """The same by pyca alone."""
    builder = x509.CertificateRevocationListBuilder().issuer_name(draft.issuer.name)
    builder = builder.last_update(draft.this_update).next_update(draft.next_update)
    builder = builder.add_extension(x509.AuthorityKeyIdentifier(ISSUER.key_identifier.octets, None, None), False)
    builder = builder.add_extension(x509.CRLNumber(draft.number), False)
    if draft.base is not None:
        builder = builder.add_extension(x509.DeltaCRLIndicator(draft.base), True)
    if draft.scope is not Scope.ALL:
        builder = builder.add_extension(distribution_point(draft.scope), True)
    for serial, at, reason, compromised in entries:
        entry = x509.RevokedCertificateBuilder().serial_number(int.from_bytes(serial))
        entry = entry.revocation_date(datetime.fromtimestamp(at, UTC))
        if reason:
            entry = entry.add_extension(x509.CRLReason(FLAGS[Reason(reason)]), False)
        if compromised is not None:
            moment = datetime.fromtimestamp(compromised, UTC).replace(tzinfo=None)
            entry = entry.add_extension(x509.InvalidityDate(moment), False)
        builder = builder.add_revoked_certificate(entry.build())
    return builder.sign(KEY, hashes.SHA256())


_scopes = st.sampled_from(list(Scope))


@settings(max_examples=40)
@given(ENTRIES, _scopes, st.none() | st.integers(1, 6), st.integers(7, (1 << 63) - 1), _SECONDS)
def test_a_list_is_what_the_builder_makes_octet_for_octet(
    entries: list[Entry], scope: Scope, base: int | None, number: int, seconds: int
) -> None:
    draft = drafted(scope, base, datetime.fromtimestamp(seconds, UTC), number)
    der, tally, octets = signed(draft, entries)
    ours = x509.load_der_x509_crl(der)
    assert ours.tbs_certlist_bytes == built(draft, entries).tbs_certlist_bytes
    check_list(der, compile_frame(draft), tally, octets, KEY.public_key())
    assert list(entries_of(ours)) == entries
    read = read_list(der, KEY.public_key())
    assert (read.number, read.base, read.this_update, read.is_delta) == (number, base, draft.this_update, bool(base))


@pytest.mark.parametrize("year", [2026, 2049, 2050])
@pytest.mark.parametrize("base", [None, 3])
@pytest.mark.parametrize("scope", list(Scope))
def test_linters_find_no_fault_in_any_form(scope: Scope, base: int | None, year: int) -> None:
    for specimen in compile_frame(drafted(scope, base, datetime(year, 12, 31, tzinfo=UTC))).specimens:
        assert list(lint_crl(specimen)) == []
        refuse_crl_faults(specimen)
        crl = PathCrl.read(specimen)
        assert list(crl_faults(crl)) == []
        assert not crl.unknown_critical


def test_no_reason_is_written_for_none_and_no_date_that_is_not_known() -> None:
    der, _, _ = signed(drafted(), [(b"\x42" * 16, 1_790_000_000, 0, None)])
    (entry,) = x509.load_der_x509_crl(der)
    assert list(entry.extensions) == []


def test_a_million_entries_are_joined_a_few_thousand_at_a_time() -> None:
    entries = ((b"\x42" + number.to_bytes(15), 1_790_000_000 + number // 9, 1, None) for number in range(20_000))
    sizes = [len(piece) for piece in encode_entries(entries, Tally())]
    assert len(sizes) > 3
    assert sum(sizes) == 20_000 * 49


def faults_of(der: bytes) -> set[str]:
    return {finding.code for finding in lint_crl(der)}


def other(*extensions: tuple[x509.ExtensionType, bool], keyid: bytes = ISSUER.key_identifier.octets) -> bytes:
    """A list that is not as ours are."""
    builder = x509.CertificateRevocationListBuilder().issuer_name(ISSUER.name)
    builder = builder.last_update(AT).next_update(AT + timedelta(days=2))
    builder = builder.add_extension(x509.AuthorityKeyIdentifier(keyid, None, None), False)
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(KEY, hashes.SHA256()).public_bytes(Encoding.DER)


def _point(**more: object) -> x509.IssuingDistributionPoint:
    given: dict[str, object] = {
        "full_name": None,
        "relative_name": None,
        "only_contains_user_certs": False,
        "only_contains_ca_certs": False,
        "only_some_reasons": None,
        "indirect_crl": False,
        "only_contains_attribute_certs": False,
    }
    return x509.IssuingDistributionPoint(**{**given, **more})  # type: ignore[arg-type]


_URL = [x509.UniformResourceIdentifier("http://example.test/a.crl")]


def _strange_points() -> Iterator[x509.IssuingDistributionPoint]:
    yield _point(full_name=_URL)
    yield _point(indirect_crl=True)
    yield _point(only_contains_attribute_certs=True)
    yield _point(only_some_reasons=frozenset({x509.ReasonFlags.key_compromise}))
    yield _point(only_contains_ca_certs=True, full_name=_URL)


@pytest.mark.parametrize("point", list(_strange_points()), ids=lambda point: repr(point)[-40:])
def test_no_distribution_point_is_taken_that_we_do_not_make(point: x509.IssuingDistributionPoint) -> None:
    assert scope_of(point) is None
    assert "path.crl-scope" in faults_of(other((x509.CRLNumber(7), False), (point, True)))


def test_what_is_not_critical_or_adds_to_nothing_is_refused() -> None:
    number = (x509.CRLNumber(7), False)
    assert faults_of(other(number)) == set()
    assert "path.crl-scope" in faults_of(other(number, (distribution_point(Scope.AUTHORITIES), False)))
    assert "path.crl-delta" in faults_of(other(number, (x509.DeltaCRLIndicator(3), False)))
    assert "path.crl-delta" in faults_of(other(number, (x509.DeltaCRLIndicator(7), True)))
    assert "path.crl-delta" in faults_of(other((x509.DeltaCRLIndicator(3), True)))
    assert "path.crl-number" in faults_of(other())
    assert "path.crl-number" in faults_of(other((x509.CRLNumber(7), True)))
    assert "path.key-identifier" in faults_of(other(number, keyid=bytes(20)))
    assert faults_of(b"noise") == {"path.form"}


def test_a_list_with_an_error_is_not_made_and_a_warning_is_no_error() -> None:
    number = (x509.CRLNumber(7), False)
    strange, short = (
        (x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), b"\x05\x00"), True) for oid in ("1.2.3.4", "1.2")
    )
    for der, severity, code in (
        (b"noise", Severity.FATAL, "path.form"),
        (other(), Severity.ERROR, "path.crl-number"),
        (other(number, strange), Severity.ERROR, "path.crl-extension"),
        (other(number, (short[0], False)), Severity.FATAL, "pkix.form"),
    ):
        assert (severity, code) in {(one.severity, one.code) for one in lint_crl(der)}
        with pytest.raises(Refused) as refusal:
            refuse_crl_faults(der)
        assert refusal.value.code == "lint.fault"
    refuse_crl_faults(other(number))


ENTRY: Entry = (b"\x42" * 16, 1_790_000_000, 1, 1_789_000_000)


def check(der: bytes, draft: CrlDraft, entries: list[Entry]) -> str:
    """What reading back says of it, when this was meant."""
    tally = Tally()
    octets = sum(map(len, encode_entries(entries, tally)))
    with pytest.raises(IntegrityFailure) as caught:
        check_list(der, compile_frame(draft), tally, octets, KEY.public_key())
    assert caught.value.code == "crl.differs"
    return caught.value.message


def test_reading_back_sees_whatever_differs() -> None:
    good = signed(drafted(), [ENTRY])[0]
    assert "1 entries, and 0" in check(good, drafted(), [])
    serial, at, _, compromised = ENTRY
    for wrong in ((serial, at + 1, 1, compromised), (serial, at, 4, compromised), (serial, at, 1, None)):
        assert "an entry differs" in check(good, drafted(), [wrong])
    assert "nextUpdate" in check(good, CrlDraft(ISSUER, 7, AT, AT + timedelta(days=3)), [ENTRY])
    assert "extensions" in check(good, drafted(number=8), [ENTRY])
    assert "extensions" in check(good, drafted(base=3), [ENTRY])
    assert "extensions" in check(good, drafted(Scope.AUTHORITIES), [ENTRY])
    assert "signature" in check(good[:-1] + bytes([good[-1] ^ 1]), drafted(), [ENTRY])
    assert "cannot be read" in check(good[:-1], drafted(), [ENTRY])


def test_reading_back_compares_every_octet_of_a_long_list() -> None:
    entries: list[Entry] = [(b"\x42" + n.to_bytes(15), 1_790_000_000, 1, None) for n in range(3000)]
    good = signed(drafted(), entries)[0]
    entries[2500] = (b"\x43" + bytes(15), 1_790_000_000, 1, None)
    assert "octets" in check(good, drafted(), entries)


def test_a_list_of_another_key_is_none_of_ours() -> None:
    der = signed(drafted(), [])[0]
    with pytest.raises(InvalidInput, match="signature"):
        read_list(der, ec.generate_private_key(ec.SECP256R1()).public_key())
    for junk in (b"", os.urandom(100), der[:50], b"\x30\x84\xff\xff\xff\xff" + der):
        with pytest.raises(InvalidInput, match="no list of ours"):
            read_list(junk, KEY.public_key())


def test_a_list_is_told_in_words_and_every_entry_counted() -> None:
    entries: list[Entry] = [(b"\x42" + n.to_bytes(15), 1_790_000_000, 1 + 3 * (n % 2), None) for n in range(9)]
    told = describe_list(PathCrl.read(signed(drafted(Scope.END_ENTITIES, 3), [*entries, ENTRY])[0]), 2)
    assert told.reasons == {"key-compromise": 6, "superseded": 4}
    assert (told.entries, len(told.first), told.kind, told.base) == (10, 2, "delta", 3)
    assert (told.contains, told.key_identifier) == ("end-entities", ISSUER.key_identifier.octets.hex().upper())
