"""Names and constraints on them, form by form: what lies within, what does not, and what cannot be said."""

from collections.abc import Sequence
from ipaddress import ip_address, ip_network

import pytest
from cryptography import x509
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import NameOID

from smki.errors import InvalidInput
from smki.pki.path import DistinguishedName
from smki.pki.path.constraints import general_name, read_constraint, violations
from tests.pki.path_made import GOOD, ISSUING, LEAF, ROOT, judged, name

DNS, URI = x509.DNSName, x509.UniformResourceIdentifier
MAIL = x509.RFC822Name._init_without_validation  # as it reads them


def common(text: str) -> DistinguishedName:
    return DistinguishedName.of(name(text))


# Names


@pytest.mark.parametrize("white", ["\t", "\n", "\v", "\f", "\r", "\x85", "\u00a0", "\u2003", "  "])
def test_every_kind_of_white_space_is_one_space(white: str) -> None:
    """RFC 4518 2.2, 2.6.1."""
    assert common(f"a{white}b") == common("a b") != common("ab")
    assert common(f"{white}a{white}") == common("a")


@pytest.mark.parametrize("unseen", ["\x01", "\x7f", "\u00ad", "\u200b", "\ufeff"])
def test_what_nobody_sees_does_not_count(unseen: str) -> None:
    assert common(f"a{unseen}b") == common("ab")


def test_letters_that_look_alike_are_alike() -> None:
    assert common("Stra\u00dfe") == common("STRASSE")
    assert common("\uff21") == common("a")
    assert common("\u00e4") == common("a\u0308") != common("a")


def test_a_name_is_shown_shortly_and_in_ascii() -> None:
    assert str(DistinguishedName.of(x509.Name([]))) == "(empty)"
    assert str(common("Zo\u00eb")) == "CN=Zo\\xeb"
    unique = x509.NameAttribute(NameOID.X500_UNIQUE_IDENTIFIER, bytes(40), _ASN1Type.BitString)
    unit = x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "u" * 64)
    assert str(DistinguishedName.of(x509.Name([unit, unique]))) == f"OU={'u' * 64}, 2.5.4.45={'0' * 64}"
    assert not DistinguishedName.of(x509.Name([unit])).is_empty
    assert DistinguishedName.of(x509.Name([])).is_empty


def test_octets_and_text_are_never_the_same_name() -> None:
    bits = x509.NameAttribute(NameOID.X500_UNIQUE_IDENTIFIER, b"ab", _ASN1Type.BitString)
    other = x509.NameAttribute(NameOID.X500_UNIQUE_IDENTIFIER, b"ac", _ASN1Type.BitString)
    first, second = (DistinguishedName.of(x509.Name([one])) for one in (bits, other))
    assert first == DistinguishedName.of(x509.Name([bits]))
    assert first != second


# Subtrees

DEEP = x509.Name([*name("B"), x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "c")])
IN, OUT, UNKNOWN = True, False, None


@pytest.mark.parametrize(
    ("base", "found", "lies"),
    [
        (DNS("b.example"), DNS("b.example"), IN),
        (DNS("b.example"), DNS("a.B.Example"), IN),
        (DNS("B.example."), DNS("x.a.b.example."), IN),
        (DNS("b.example"), DNS("ab.example"), OUT),
        (DNS("b.example"), DNS("b.example.org"), OUT),
        (DNS("a.b.example"), DNS("b.example"), OUT),
        (DNS(""), DNS("b.example"), IN),
        (DNS("b.example"), DNS("*.b.example"), IN),
        (DNS("b.example"), DNS("*.a.b.example"), IN),
        (DNS("c.example"), DNS("*.b.example"), OUT),
        (DNS("b.example"), DNS("a..b.example"), UNKNOWN),
        (DNS("b.example"), DNS("-a.example"), UNKNOWN),
        (DNS("b.example"), DNS("a-.example"), UNKNOWN),
        (DNS("b.example"), DNS(f"{'a' * 64}.example"), UNKNOWN),
        (DNS("b.example"), DNS(f"{'a' * 63}.example"), OUT),
        (DNS("b.example"), DNS("a_b-c.example"), OUT),
        (DNS("b.example"), DNS("a.*.example"), UNKNOWN),
        (MAIL("b.example"), MAIL("x@B.example"), IN),
        (MAIL("b.example"), MAIL("x@a.b.example"), OUT),
        (MAIL(".b.example"), MAIL("x@a.b.example"), IN),
        (MAIL(".b.example"), MAIL("x@b.example"), OUT),
        (MAIL("X@b.example"), MAIL("X@B.example"), IN),
        (MAIL("X@b.example"), MAIL("x@b.example"), OUT),
        (MAIL("X@b.example"), MAIL("X@a.b.example"), OUT),
        (MAIL(""), MAIL("x@b.example"), IN),
        (MAIL("b.example"), MAIL("b.example"), UNKNOWN),
        (MAIL("b.example"), MAIL("@b.example"), UNKNOWN),
        (MAIL("b.example"), MAIL("x@"), UNKNOWN),
        (MAIL("b.example"), MAIL("x@y@b.example"), UNKNOWN),
        (URI("b.example"), URI("https://b.example:8443/x"), IN),
        (URI("b.example"), URI("ldap://user@B.example"), IN),
        (URI("b.example"), URI("https://a.b.example/"), OUT),
        (URI(".b.example"), URI("https://a.b.example/"), IN),
        (URI(".b.example"), URI("https://b.example/"), OUT),
        (URI(""), URI("https://b.example/"), IN),
        (URI("b.example"), URI("urn:b.example"), UNKNOWN),
        (URI("b.example"), URI("https:///x"), UNKNOWN),
        (URI("b.example"), URI("https://10.0.0.1/"), UNKNOWN),
        (URI("b.example"), URI("https://[b.example/"), UNKNOWN),
        (URI("b.example"), URI("https://a!b.example/"), UNKNOWN),
        (x509.IPAddress(ip_network("10.0.0.0/8")), x509.IPAddress(ip_address("10.1.2.3")), IN),
        (x509.IPAddress(ip_network("10.0.0.0/8")), x509.IPAddress(ip_address("11.0.0.0")), OUT),
        (x509.IPAddress(ip_network("10.0.0.0/8")), x509.IPAddress(ip_address("::a00:1")), OUT),
        (x509.IPAddress(ip_network("fd00::/8")), x509.IPAddress(ip_address("fd00::1")), IN),
        (x509.DirectoryName(name("B")), x509.DirectoryName(name(" b ")), IN),
        (x509.DirectoryName(name("B")), x509.DirectoryName(DEEP), IN),
        (x509.DirectoryName(DEEP), x509.DirectoryName(name("B")), OUT),
        (x509.DirectoryName(x509.Name([])), x509.DirectoryName(name("B")), IN),
        (x509.RegisteredID(x509.ObjectIdentifier("1.2")), x509.RegisteredID(x509.ObjectIdentifier("1.2")), UNKNOWN),
        (
            x509.OtherName(x509.ObjectIdentifier("1.2"), b"\x05\x00"),
            x509.OtherName(x509.ObjectIdentifier("1.2"), b"\x05\x00"),
            UNKNOWN,
        ),
    ],
    ids=str,
)
def test_a_name_lies_in_a_subtree_or_not_or_nobody_can_say(
    base: x509.GeneralName, found: x509.GeneralName, lies: bool | None
) -> None:
    """What cannot be said is in no permitted subtree, and in every excluded one."""
    one, bases = [general_name(found)], [read_constraint(base)]
    permitted = list(violations(one, [bases], [], lambda _: None))
    excluded = list(violations(one, [], bases, lambda _: None))
    assert bool(permitted) is (lies is not IN)
    assert bool(excluded) is (lies is not OUT)
    assert all("6.1.3(b)" in message for message in permitted)
    assert all("6.1.3(c)" in message for message in excluded)


@pytest.mark.parametrize(
    ("base", "found", "touches"),
    [
        ("a.b.example", "*.b.example", True),
        ("x.a.b.example", "*.B.example", True),
        ("b.example", "*.b.example", True),
        ("ab.example", "*.b.example", False),
        ("a.b.example", "b.example", False),
    ],
)
def test_a_wildcard_touches_every_name_it_could_stand_for(base: str, found: str, touches: bool) -> None:
    told = violations([general_name(DNS(found))], [], [read_constraint(DNS(base))], lambda _: None)
    assert bool(list(told)) is touches


@pytest.mark.parametrize(
    "base",
    [
        DNS(".b.example"),
        DNS("b..example"),
        DNS("-b.example"),
        DNS("*.b.example"),
        URI("-b.example"),
        URI("."),
        URI("https://b.example"),
        MAIL("@b.example"),
        MAIL("x@"),
        MAIL("x@y@b.example"),
        MAIL("x@.b.example"),
        MAIL("-b.example"),
        x509.IPAddress(ip_address("10.0.0.1")),
    ],
    ids=str,
)
def test_a_constraint_that_is_not_of_its_form_is_refused(base: x509.GeneralName) -> None:
    with pytest.raises(InvalidInput) as refusal:
        read_constraint(base)
    assert refusal.value.code == "path.form"


def _spent(names: int, permitted: Sequence[int], excluded: int) -> int:
    spent: list[int] = []
    one = read_constraint(URI("b.example"))
    told = violations(
        [general_name(DNS("a.example"))] * names,
        [[one] * count for count in permitted],
        [one] * excluded,
        spent.append,
    )
    assert list(told) == []
    return sum(spent)


def test_each_name_costs_as_many_comparisons_as_there_are_constraints() -> None:
    assert _spent(3, (2, 4), 5) == 3 * (2 + 4 + 5)
    assert _spent(0, (2,), 5) == 0


def test_each_set_of_permitted_subtrees_must_hold_a_name() -> None:
    """RFC 5280 6.1.4(g): what one authority permits, another below it may narrow."""
    one, other = read_constraint(DNS("b.example")), read_constraint(DNS("a.b.example"))
    for text, told in (("a.b.example", 0), ("b.example", 1), ("c.example", 2)):
        assert len(list(violations([general_name(DNS(text))], [[one], [other]], [], lambda _: None))) == told
    assert list(violations([general_name(DNS("b.example"))], [[one, other]], [], lambda _: None)) == []


def test_an_address_in_a_subject_is_a_mail_address_too() -> None:
    """RFC 5280 4.2.1.10."""
    subject = x509.Name([x509.NameAttribute(NameOID.EMAIL_ADDRESS, "x@b.example")])
    leaf = ISSUING.certify(LEAF, subject_name=subject)
    for excluded, expected in (("b.example", {"path.name-constraint"}), ("c.example", set())):
        limits = (x509.NameConstraints(None, [MAIL(excluded)]), True)
        assert judged([ROOT.certify(ISSUING, limits, authority=True), leaf]) == expected
    limits = (x509.NameConstraints(None, [x509.DirectoryName(subject)]), True)
    assert judged([ROOT.certify(ISSUING, limits, authority=True), leaf]) == {"path.name-constraint"}
    assert judged([ROOT.certify(ISSUING, limits, authority=True), GOOD[1]]) == set()
