"""What is read back of a list that was made: each thing it says that was not meant is seen, alone."""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import NameOID

from smki.entity import RemotePartyRole
from smki.errors import IntegrityFailure, InvalidInput
from smki.pki.crl import READ_IN_FULL, CrlDraft, Entry, Tally, around, compile_frame, encode_entries
from smki.pki.crl_reading import check_list, entries_of, read_list
from smki.pki.der import SEQUENCE, tlv
from smki.pki.keyid import KeyIdentifier
from smki.pki.name import authority_name
from smki.pki.template import Issuer

KEY = ec.derive_private_key(4711, ec.SECP256R1())
IDENTIFIER = KeyIdentifier.of(KEY.public_key())
ISSUER, ANOTHER = (
    Issuer(authority_name(RemotePartyRole.ISSUING_AUTHORITY, name), IDENTIFIER) for name in ("Z1", "Z2")
)
AT = datetime(2026, 11, 21, 12, tzinfo=UTC)
DAY = timedelta(days=1)
DRAFT = CrlDraft(ISSUER, 7, AT, AT + 2 * DAY)
ENTRY: Entry = (b"\x42" * 16, 1_790_000_000, 1, None)
SHA256_OID, SHA384_OID = (bytes.fromhex(f"06082a8648ce3d0403{last}") for last in ("02", "03"))


def _signed(content: bytes) -> bytes:
    whole = tlv(SEQUENCE, content)
    signature = KEY.sign(hashlib.sha256(whole).digest(), ec.ECDSA(Prehashed(hashes.SHA256())))
    before, after = around(len(whole), signature)
    return before + whole + after


def _content(draft: CrlDraft, entries: list[Entry]) -> bytes:
    frame, octets = compile_frame(draft), b"".join(encode_entries(entries, Tally()))
    before = frame.before(len(octets))
    return before[{0x81: 3, 0x82: 4}.get(before[1], 2) :] + octets + frame.after


def _faults(der: bytes, draft: CrlDraft = DRAFT) -> str:
    tally = Tally()
    octets = sum(map(len, encode_entries([ENTRY], tally)))
    try:
        check_list(der, compile_frame(draft), tally, octets, KEY.public_key())
    except IntegrityFailure as failure:
        return failure.message.partition("meant: ")[2]
    return "none"


def test_the_list_that_was_meant_has_no_fault() -> None:
    assert _faults(_signed(_content(DRAFT, [ENTRY]))) == "none"


@pytest.mark.parametrize(
    ("other", "named"),
    [
        (CrlDraft(ANOTHER, 7, AT, AT + 2 * DAY), "the issuer"),
        (CrlDraft(ISSUER, 7, AT - DAY, AT + 2 * DAY), "thisUpdate"),
        (CrlDraft(ISSUER, 7, AT, AT + DAY), "nextUpdate"),
        (CrlDraft(ISSUER, 8, AT, AT + 2 * DAY), "the extensions"),
    ],
)
def test_each_thing_the_head_says_is_compared_alone(other: CrlDraft, named: str) -> None:
    assert _faults(_signed(_content(other, [ENTRY]))) == f"{named} differs; its octets are others"


def test_another_algorithm_than_was_used_is_seen() -> None:
    der = _signed(_content(DRAFT, [ENTRY]).replace(SHA256_OID, SHA384_OID))
    assert _faults(der.replace(SHA256_OID, SHA384_OID)) == "the algorithm differs; its octets are others"


def test_a_list_without_an_end_is_none_of_ours() -> None:
    content = _content(DRAFT, [])
    end = b"\x17\x0d" + (AT + 2 * DAY).strftime("%y%m%d%H%M%SZ").encode()
    assert content.count(end) == 1
    with pytest.raises(InvalidInput, match="no end") as refusal:
        read_list(_signed(content.replace(end, b"")), KEY.public_key())
    assert refusal.value.code == "crl.form"


def test_a_list_says_whether_it_adds_to_another() -> None:
    complete = read_list(_signed(_content(DRAFT, [])), KEY.public_key())
    delta = read_list(_signed(_content(CrlDraft(ISSUER, 7, AT, AT + DAY, base=3), [])), KEY.public_key())
    assert (complete.is_delta, complete.base, delta.is_delta, delta.base) == (False, None, True, 3)


@pytest.mark.parametrize(
    ("extension", "critical"),
    [
        (x509.CRLReason(x509.ReasonFlags.key_compromise), True),
        (x509.InvalidityDate(datetime(2026, 1, 1)), True),  # noqa: DTZ001 - as pyca takes it
        (x509.CertificateIssuer([x509.DirectoryName(ISSUER.name)]), False),
    ],
)
def test_entries_that_say_more_than_ours_are_not_read(extension: x509.ExtensionType, critical: bool) -> None:
    entry = x509.RevokedCertificateBuilder().serial_number(5).revocation_date(AT)
    builder = x509.CertificateRevocationListBuilder().issuer_name(ISSUER.name).last_update(AT).next_update(AT + DAY)
    builder = builder.add_revoked_certificate(entry.add_extension(extension, critical).build())
    der = builder.sign(KEY, hashes.SHA256()).public_bytes(Encoding.DER)
    with pytest.raises(ValueError, match="ours do not"):
        list(entries_of(x509.load_der_x509_crl(der)))


def test_the_first_entries_are_kept_to_be_read_and_the_digest_is_of_all() -> None:
    entries: list[Entry] = [(b"\x42" + n.to_bytes(15), 1_790_000_000, 1, None) for n in range(3 * READ_IN_FULL)]
    tally = Tally()
    octets = b"".join(encode_entries(entries, tally))
    assert (tally.count, tally.first) == (len(entries), entries[:READ_IN_FULL])
    assert tally.octets.digest() == hashlib.sha256(octets).digest()


def test_an_issuer_has_as_long_a_name_as_it_likes() -> None:
    units = [x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, f"{n:02}" + 60 * "u") for n in range(8)]
    draft = replace(DRAFT, issuer=Issuer(x509.Name(units), IDENTIFIER))
    assert read_list(_signed(_content(draft, [ENTRY])), KEY.public_key()).number == 7


def test_no_list_is_put_together_where_it_would_differ_from_the_builders() -> None:
    """A name in which the end of the list's head seems to stand."""
    hostile = x509.NameAttribute(NameOID.X500_UNIQUE_IDENTIFIER, b"\x17\x0d261123120000Z\xa0", _ASN1Type.BitString)
    with pytest.raises(IntegrityFailure) as failure:
        compile_frame(replace(DRAFT, issuer=Issuer(x509.Name([hostile]), IDENTIFIER)))
    assert failure.value.code == "crl.proof"


def test_what_a_list_says_of_its_issuer_and_number_is_not_critical() -> None:
    above = x509.AuthorityKeyIdentifier(IDENTIFIER.octets, None, None)
    assert DRAFT.extensions() == ((above, False), (x509.CRLNumber(7), False))


def test_times_are_written_in_full_from_2050_on() -> None:
    turn = int(datetime(2050, 1, 1, tzinfo=UTC).timestamp())
    for at, written in ((turn - 1, b"\x17\x0d491231235959Z"), (turn, b"\x18\x0f20500101000000Z")):
        octets = b"".join(encode_entries([(b"\x42" * 16, at, 1, None)], Tally()))
        assert written in octets
