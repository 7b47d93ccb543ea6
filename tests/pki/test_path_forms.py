"""Certificates and lists in forms that are almost right: each is refused with its rule, before any path is judged."""

from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from smki.errors import InvalidInput
from smki.pki.der import BIT_STRING, SEQUENCE, tlv
from smki.pki.keyid import P256_SPKI
from smki.pki.path import MAX_CERTIFICATE_OCTETS, MAX_CRL_OCTETS, DistinguishedName, Options, PathCertificate, PathCrl
from smki.pki.signature import ECDSA_WITH_SHA256
from tests.pki.path_made import AT, DAY, GOOD, ISSUING, LEAF, P1, P2, ROOT, judged, name, policies, scope

WITH_NULL = bytes.fromhex("300c06082a8648ce3d0403020500")
SHA384 = bytes.fromhex("300a06082a8648ce3d040303")
SERIAL = b"\x02\x01\x09"
Extension = tuple[x509.ExtensionType, bool]


def content(element: bytes) -> bytes:
    return element[{0x81: 3, 0x82: 4}.get(element[1], 2) :]


def whole(
    signed: bytes, algorithm: bytes = ECDSA_WITH_SHA256, key: ec.EllipticCurvePrivateKey = ISSUING.key
) -> bytes:
    signature = key.sign(tlv(SEQUENCE, signed), ec.ECDSA(hashes.SHA256()))
    return tlv(SEQUENCE, tlv(SEQUENCE, signed) + algorithm + tlv(BIT_STRING, b"\x00" + signature))


TARGET = ISSUING.certify(LEAF, serial=9)
BODY = content(TARGET.signed)
LIST = ISSUING.revoke(7)
ENTRIES = content(LIST.signed)


def refused(der: bytes, reader: Any = PathCertificate) -> str:
    with pytest.raises(InvalidInput) as refusal:
        reader.read(der)
    return refusal.value.code


def replaced(body: bytes, old: bytes, new: bytes) -> bytes:
    assert body.count(old) == 1
    return body.replace(old, new)


# Certificates


def test_what_is_put_together_unchanged_is_read() -> None:
    assert judged([GOOD[0], PathCertificate.read(whole(BODY))]) == set()
    assert judged(GOOD, Options(crls=(ROOT.revoke(), PathCrl.read(whole(ENTRIES))))) == {"path.revoked"}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (replaced(BODY, bytes.fromhex("a003020102"), bytes.fromhex("a003020101")), "path.version"),
        (replaced(BODY, bytes.fromhex("a003020102"), b""), "path.version"),
        (replaced(BODY, bytes.fromhex("a003020102"), bytes.fromhex("a003020103")), "path.version"),
        (replaced(BODY, SERIAL, b"\x02\x01\x00"), "path.serial"),
        (replaced(BODY, SERIAL, b"\x02\x01\x89"), "path.serial"),
        (replaced(BODY, SERIAL, b"\x02\x02\x00\x09"), "path.form"),
        (replaced(BODY, ECDSA_WITH_SHA256, SHA384), "path.algorithm"),
        (replaced(BODY, ECDSA_WITH_SHA256, WITH_NULL), "path.algorithm"),
        (replaced(BODY, P256_SPKI + b"\x04", P256_SPKI + b"\x02"), "path.algorithm"),
        (replaced(BODY, TARGET.point[1:], bytes(64)), "path.algorithm"),
        (BODY + b"\x05\x00", "path.form"),
    ],
)
def test_a_certificate_of_another_form_is_refused(body: bytes, code: str) -> None:
    assert refused(whole(body)) == code


def test_a_serial_number_of_one_is_positive() -> None:
    assert PathCertificate.read(whole(replaced(BODY, SERIAL, b"\x02\x01\x01"))).serial == 1


@pytest.mark.parametrize("algorithm", [SHA384, WITH_NULL])
def test_the_algorithm_is_the_same_inside_and_outside(algorithm: bytes) -> None:
    assert refused(whole(BODY, algorithm)) == "path.algorithm"
    assert refused(whole(ENTRIES, algorithm), PathCrl) == "path.algorithm"


@pytest.mark.parametrize(("octets", "code"), [(0, "path.form"), (1, "path.size")])
def test_a_certificate_and_a_list_have_so_many_octets(octets: int, code: str) -> None:
    assert (MAX_CERTIFICATE_OCTETS, MAX_CRL_OCTETS) == (16_384, 134_217_728)
    assert refused(bytes(MAX_CERTIFICATE_OCTETS + octets)) == code
    assert refused(bytes(MAX_CRL_OCTETS + octets), PathCrl) == code


def test_no_extension_and_no_policy_stands_twice() -> None:
    at = BODY.index(b"\xa3")
    first = content(content(BODY[at:]))
    extension = first[: 2 + first[1]]
    twice = tlv(0xA3, tlv(SEQUENCE, content(content(BODY[at:])) + extension))
    assert refused(whole(BODY[:at] + twice)) == "path.form"
    with pytest.raises(InvalidInput, match="twice"):
        ISSUING.certify(LEAF, policies(P1, P2, P1))
    assert ISSUING.certify(LEAF, policies(P1, P2)).policies == (P1, P2)


CONSTRAINTS, MAPPINGS = x509.ObjectIdentifier("2.5.29.30"), x509.ObjectIdentifier("2.5.29.33")
BASE = bytes.fromhex("820161")  # dNSName a


def subtree(more: bytes = b"") -> bytes:
    return tlv(SEQUENCE, BASE + more)


@pytest.mark.parametrize(
    ("value", "good"),
    [
        (tlv(0xA0, subtree()), True),
        (tlv(0xA1, subtree()), True),
        (tlv(0xA0, subtree()) + tlv(0xA1, subtree()), True),
        (b"", False),
        (tlv(0xA0, b""), False),
        (tlv(0xA1, b""), False),
        (tlv(0xA0, b"") + tlv(0xA1, subtree()), False),
        (tlv(0xA0, subtree()) + tlv(0xA1, b""), False),
        (tlv(0xA0, subtree(b"\x80\x01\x01")), False),
        (tlv(0xA0, subtree(b"\x80\x01\x00")), False),
        (tlv(0xA0, subtree(b"\x81\x01\x00")), False),
        (tlv(0xA0, subtree(b"\x81\x01\x05")), False),
        (tlv(0xA1, subtree() + subtree(b"\x81\x01\x05")), False),
    ],
)
def test_name_constraints_are_subtrees_without_distances(value: bytes, good: bool) -> None:
    """RFC 5280 4.2.1.10: a minimum is nought, which DER leaves out, and there is no maximum."""
    stated = (x509.UnrecognizedExtension(CONSTRAINTS, tlv(SEQUENCE, value)), True)
    if good:
        made = ROOT.certify(ISSUING, stated, authority=True)
        assert bool(made.permitted) == (b"\xa0" in value[:1])
        assert bool(made.excluded) == (tlv(0xA1, subtree()) in value)
    else:
        with pytest.raises(InvalidInput) as refusal:
            ROOT.certify(ISSUING, stated, authority=True)
        assert refusal.value.code == "path.form"


@pytest.mark.parametrize("value", ["3000", "3002 3000", "300a 0506 06032a0301 0500", "0500"])
def test_mappings_are_pairs_of_policies_and_at_least_one(value: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        ROOT.certify(ISSUING, (x509.UnrecognizedExtension(MAPPINGS, bytes.fromhex(value)), True), authority=True)
    assert refusal.value.code == "path.form"


def test_a_certificate_is_its_octets_and_says_who_it_is() -> None:
    assert str(TARGET) == "certificate 9 of CN=Leaf"
    assert TARGET == PathCertificate.read(TARGET.der) != GOOD[1]
    assert len({TARGET, PathCertificate.read(TARGET.der), GOOD[1]}) == 2
    bare = x509.CertificateBuilder().issuer_name(name("Root")).subject_name(name("Root")).serial_number(1)
    bare = bare.public_key(LEAF.key.public_key()).not_valid_before(AT).not_valid_after(AT)
    plain = PathCertificate.read(bare.sign(ROOT.key, hashes.SHA256()).public_bytes(Encoding.DER))
    assert (plain.key_identifier, plain.authority_key_identifier, plain.policies) == (None, None, None)
    assert (plain.is_authority, plain.is_self_issued, plain.has_unique_ids) == (False, True, False)
    assert not TARGET.is_self_issued


# Lists


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (ENTRIES.removeprefix(b"\x02\x01\x01"), "path.version"),
        (b"\x02\x01\x02" + ENTRIES[3:], "path.version"),
        (replaced(ENTRIES, ECDSA_WITH_SHA256, SHA384), "path.algorithm"),
        (replaced(ENTRIES, ECDSA_WITH_SHA256, WITH_NULL), "path.algorithm"),
        (ENTRIES + b"\x05\x00", "path.form"),
        (b"", "path.version"),
    ],
)
def test_a_list_of_another_form_is_refused(body: bytes, code: str) -> None:
    assert refused(whole(body), PathCrl) == code


@pytest.mark.parametrize("reader", [PathCertificate, PathCrl])
@pytest.mark.parametrize("octets", [b"", b"noise", b"\x30\x00", b"\x30\x80\x00\x00"])
def test_what_is_neither_is_refused(reader: Any, octets: bytes) -> None:
    assert refused(octets, reader) == "path.form"


def test_a_list_says_what_it_is() -> None:
    assert str(LIST) == "CRL 1 of CN=Issuing"
    delta = ISSUING.revoke(7, 8, number=5, more=[(x509.DeltaCRLIndicator(4), True)])
    assert str(delta) == "delta CRL 5 of CN=Issuing"
    assert (delta.is_delta, delta.base, delta.number, delta.entries) == (True, 4, 5, 2)
    assert (list(delta.serial_numbers()), [one.serial_number for one in delta]) == ([7, 8], [7, 8])
    assert (LIST.is_delta, LIST.is_number_critical) == (False, False)
    assert ISSUING.revoke(number=None, more=[(x509.CRLNumber(5), True)]).is_number_critical


def test_a_list_is_current_from_its_first_to_its_last_second() -> None:
    crl = ISSUING.revoke(start=AT - DAY, end=AT)
    second = DAY / 86_400
    assert [crl.is_current(at) for at in (AT - DAY - second, AT - DAY, AT, AT + second)] == [False, True, True, False]
    until = crl.next_update
    assert until is not None
    endless = content(crl.signed).replace(b"\x17\x0d" + until.strftime("%y%m%d%H%M%SZ").encode(), b"")
    assert not PathCrl.read(whole(endless)).is_current(AT)


REASON = x509.ReasonFlags.key_compromise


def certificate_issuer(text: str) -> Extension:
    return x509.CertificateIssuer([x509.DirectoryName(name(text))]), True


def test_a_list_tells_the_reason_and_only_of_its_own_certificates() -> None:
    own, other = DistinguishedName.of(name("Issuing")), DistinguishedName.of(name("Other"))
    crl = ISSUING.revoke(7, entry=[(x509.CRLReason(REASON), False)])
    assert (crl.reason(own, 7), crl.reason(own, 8), crl.reason(other, 7)) == (REASON, None, None)
    assert LIST.reason(own, 7) is x509.ReasonFlags.unspecified


def test_entries_of_an_indirect_list_are_of_the_issuer_last_named() -> None:
    """RFC 5280 5.3.3: the first, where none is named, of the issuer of the list."""
    builder = x509.CertificateRevocationListBuilder().issuer_name(name("Issuing"))
    builder = builder.last_update(AT).next_update(AT + DAY).add_extension(*scope(indirect_crl=True))
    for serial, issuer in ((1, None), (2, "Other"), (3, None), (4, "Third")):
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(AT)
        if issuer is not None:
            entry = entry.add_extension(*certificate_issuer(issuer))
        builder = builder.add_revoked_certificate(entry.build())
    crl = PathCrl.read(builder.sign(ISSUING.key, hashes.SHA256()).public_bytes(Encoding.DER))
    assert not crl.unknown_critical
    listed = [
        (text, serial)
        for text in ("Issuing", "Other", "Third")
        for serial in range(1, 5)
        if crl.reason(DistinguishedName.of(name(text)), serial) is not None
    ]
    assert listed == [("Issuing", 1), ("Other", 2), ("Other", 3), ("Third", 4)]


def test_an_entry_whose_reason_cannot_be_read_is_an_entry() -> None:
    twice = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.99"), b"\x0a\x01\x01")
    for der in (
        ISSUING.revoke(7, entry=[(x509.CRLReason(REASON), False), (twice, False)]).der.replace(
            b"\x1d\x63", b"\x1d\x15"
        ),
        ISSUING.revoke(7, entry=[(x509.CRLReason(REASON), False)]).der.replace(b"\x0a\x01\x01", b"\x0a\x01\x0b"),
    ):
        crl = PathCrl.read(der)
        assert crl.reason(crl.issuer, 7) is x509.ReasonFlags.unspecified


@pytest.mark.parametrize(
    ("extension", "indirect", "unknown"),
    [
        (x509.CRLReason(REASON), False, False),
        (x509.InvalidityDate(AT.replace(tzinfo=None)), False, False),
        (certificate_issuer("Other")[0], True, False),
        (certificate_issuer("Other")[0], False, True),
        (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3"), b"\x05\x00"), True, True),
    ],
)
def test_a_critical_extension_of_an_entry_is_known_or_not(
    extension: x509.ExtensionType, indirect: bool, unknown: bool
) -> None:
    more = [scope(indirect_crl=True)] if indirect else []
    assert ISSUING.revoke(7, entry=[(extension, True)], more=more).unknown_critical is unknown
    assert not ISSUING.revoke(7, entry=[(extension, False)], more=more).unknown_critical


@pytest.mark.parametrize(
    ("extension", "unknown"),
    [
        (scope(only_contains_user_certs=True)[0], False),
        (x509.DeltaCRLIndicator(1), False),
        (x509.IssuerAlternativeName([x509.DNSName("a.example")]), True),
    ],
)
def test_a_critical_extension_of_a_list_is_known_or_not(extension: x509.ExtensionType, unknown: bool) -> None:
    assert ISSUING.revoke(7, more=[(extension, True)]).unknown_critical is unknown
    assert not ISSUING.revoke(7, more=[(extension, False)]).unknown_critical


def test_a_key_named_or_numbered_critically_is_known() -> None:
    key = LIST.authority_key_identifier
    assert key is not None
    assert not ISSUING.revoke(7, identified=(key, True)).unknown_critical
    assert not ISSUING.revoke(7, number=None, more=[(x509.CRLNumber(5), True)]).unknown_critical
