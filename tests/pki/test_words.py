"""Statuses, reasons, kinds and usages: what each word means, and what each may be."""

import itertools

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtensionOID

from smki.entity import KeyUsage
from smki.errors import InvalidInput
from smki.pki.distribution_point import distribution_point, scope_of
from smki.pki.keyid import KeyIdentifier, key_hash, point_of
from smki.pki.kind import Kind
from smki.pki.oid import parse_oid
from smki.pki.reason import Reason
from smki.pki.scope import Scope
from smki.pki.status import Status
from smki.pki.usages import key_usage, one_usage, usages_in
from tests.pki.path_made import BITS, key, usage

# Statuses

STATUSES = [
    (Status.PENDING, "pending", "P", 0),
    (Status.IN_USE, "in use", "I", 1),
    (Status.NOT_IN_USE, "not in use", "N", 2),
    (Status.EXPIRED, "expired", "E", 3),
    (Status.REVOKED, "revoked", "R", 4),
]
ALLOWED = {
    (Status.PENDING, Status.IN_USE),
    (Status.PENDING, Status.NOT_IN_USE),
    (Status.PENDING, Status.REVOKED),
    (Status.IN_USE, Status.NOT_IN_USE),
    (Status.IN_USE, Status.REVOKED),
    (Status.NOT_IN_USE, Status.REVOKED),
}


@pytest.mark.parametrize(("status", "word", "letter", "number"), STATUSES)
def test_a_status_is_written_as_a_word_a_letter_and_a_number(
    status: Status, word: str, letter: str, number: int
) -> None:
    assert (status.value, status.letter, status.number) == (word, letter, number)
    assert Status.from_number(number) is status
    for text in (word, word.upper(), word.replace(" ", "-"), letter):
        assert Status.parse(text) is status


@pytest.mark.parametrize("text", ["", "in", "X", "in_use", "revoked "])
def test_another_word_is_no_status(text: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        Status.parse(text)
    assert refusal.value.code == "status.unknown"


def test_a_certificate_goes_forward_only_and_nothing_revives_it() -> None:
    assert {(a, b) for a, b in itertools.product(Status, repeat=2) if a.may_become(b)} == ALLOWED


# Reasons and scopes


@pytest.mark.parametrize(
    ("code", "word", "compromise"),
    [
        (0, "unspecified", False),
        (1, "key-compromise", True),
        (2, "ca-compromise", True),
        (3, "affiliation-changed", False),
        (4, "superseded", False),
        (5, "cessation-of-operation", False),
        (9, "privilege-withdrawn", False),
        (10, "aa-compromise", True),
    ],
)
def test_a_reason_has_the_code_of_rfc_5280(code: int, word: str, compromise: bool) -> None:
    reason = Reason(code)
    assert (reason.word, reason.is_compromise, Reason.parse(word)) == (word, compromise, reason)


@pytest.mark.parametrize("code", [6, 7, 8, 11])
def test_nothing_is_held_or_taken_back(code: int) -> None:
    with pytest.raises(ValueError, match=str(code)):
        Reason(code)
    with pytest.raises(InvalidInput) as refusal:
        Reason.parse("certificate-hold")
    assert refusal.value.code == "reason.unknown"


def test_a_scope_says_which_certificates_a_list_is_about() -> None:
    assert [scope.value for scope in Scope] == ["all", "authorities", "end-entities"]
    assert scope_of(None) is Scope.ALL
    for scope, authorities, others in ((Scope.AUTHORITIES, True, False), (Scope.END_ENTITIES, False, True)):
        point = distribution_point(scope)
        assert (point.only_contains_ca_certs, point.only_contains_user_certs) == (authorities, others)
        assert not point.indirect_crl
        assert not point.only_contains_attribute_certs
        assert scope_of(point) is scope


# Kinds

COMMON = {"keyUsage", "certificatePolicies", "subjectKeyIdentifier"}


@pytest.mark.parametrize(
    ("kind", "word", "authority", "reach", "years", "more"),
    [
        (Kind.ROOT, "root", True, None, 50, {"basicConstraints"}),
        (Kind.LINK, "link", True, None, 50, {"basicConstraints", "authorityKeyIdentifier"}),
        (Kind.ISSUING, "issuing", True, 0, 50, {"basicConstraints", "authorityKeyIdentifier"}),
        (Kind.ORGANISATION, "organisation", False, None, 10, {"authorityKeyIdentifier"}),
        (Kind.DEVICE, "device", False, None, 10, {"authorityKeyIdentifier", "subjectAltName"}),
        (Kind.INFRASTRUCTURE, "infrastructure", False, None, 10, {"authorityKeyIdentifier", "extendedKeyUsage"}),
        (
            Kind.RESPONDER,
            "responder",
            False,
            None,
            1,
            {"authorityKeyIdentifier", "extendedKeyUsage", "ocspNoCheck"},
        ),
    ],
)
def test_a_kind_fixes_what_no_file_can_change(
    kind: Kind, word: str, authority: bool, reach: int | None, years: int, more: set[str]
) -> None:
    assert (kind.value, kind.is_authority, kind.path_length, kind.longest_years) == (word, authority, reach, years)
    assert kind.extensions == COMMON | more


# Usages


@pytest.mark.parametrize(
    ("asked", "bits"),
    [
        (KeyUsage.DIGITAL_SIGNATURE, {"digital_signature"}),
        (KeyUsage.KEY_AGREEMENT, {"key_agreement"}),
        (None, {"key_cert_sign", "crl_sign"}),
    ],
)
def test_a_key_is_for_one_thing_and_an_authoritys_for_signing_both(asked: KeyUsage | None, bits: set[str]) -> None:
    made = key_usage(asked)
    assert made == usage(*bits)
    assert set(usages_in(made)) == bits
    assert one_usage(made) is asked


def test_a_usage_is_each_bit_that_is_set() -> None:
    plain = [bit for bit in BITS if bit not in {"encipher_only", "decipher_only"}]
    for bit in plain:
        assert usages_in(usage(bit)) == (bit,)
    assert usages_in(usage(*plain)) == tuple(plain)
    assert one_usage(usage("digital_signature", "key_agreement")) is None
    assert one_usage(usage("digital_signature", "content_commitment")) is None


# Identifiers


def test_a_key_identifier_is_of_method_2() -> None:
    """RFC 5280 4.2.1.2: 0100 and the least significant 60 bits of the SHA-1 of the point."""
    point = point_of(key(1).public_key())
    assert KeyIdentifier.of_point(b"abc").octets == bytes.fromhex("4850c26c9cd0d89d")
    assert str(KeyIdentifier.of_point(b"abc")) == "4850C26C9CD0D89D"
    assert KeyIdentifier.of(key(1).public_key()) == KeyIdentifier.of_point(point)
    assert (len(point), point[0]) == (65, 4)


def test_a_key_is_known_by_sixteen_octets_of_its_digest() -> None:
    assert key_hash(b"abc") == bytes.fromhex("ba7816bf8f01cfea414140de5dae2223")


@pytest.mark.parametrize("text", ["1.2", "2.5.29.15", "0.9.2342.19200300.100.1.25", f"1.2.{10**38}"])
def test_an_oid_is_read(text: str) -> None:
    assert parse_oid(text, "here").dotted_string == text


@pytest.mark.parametrize(
    "text",
    ["", "1", "3.1", "1.2.", "1..2", "1.02", "1.2.x", " 1.2", "1.2\n", "1.40", f"1.2.{10**39}", "1" + 33 * ".2"],
)
def test_what_is_no_oid_is_refused_with_its_place(text: str) -> None:
    with pytest.raises(InvalidInput, match="here") as refusal:
        parse_oid(text, "here")
    assert refusal.value.code == "settings.oid"


def test_the_longest_oid_is_read() -> None:
    assert parse_oid("1" + 32 * ".2", "here") == x509.ObjectIdentifier("1" + 32 * ".2")
    assert parse_oid(ExtensionOID.KEY_USAGE.dotted_string, "here") == ExtensionOID.KEY_USAGE
