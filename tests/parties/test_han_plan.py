"""A home as data: who is joined, in which order, by which commands; and its picture."""

from xml.etree import ElementTree as ET

import pytest

from smki.device.join_rules import LIMIT, Method
from smki.entity import RemotePartyRole
from smki.errors import InvalidInput, Refused, SmkiError
from smki.parties.han import Member, joining, pair_of, parting
from smki.parties.han_picture import as_svg, in_characters
from smki.parties.han_plan import MAX_DEVICES, Plan, home_of, plan
from smki.settings import read_toml
from tests.device.desk import policies
from tests.device.family import DEVICES, DISPLAY, KIND

WORDS = {**{kind.value: entity for kind, entity in DEVICES.items()}, "IHD": DISPLAY}


def home_file(*words: str, name: str = "A home") -> bytes:
    rows = "".join(f'[[device]]\nkind = "{word}"\nid = "{WORDS[word]}"\n' for word in words)
    return f'name = "{name}"\n{rows}'.encode()


def planned(*words: str) -> Plan:
    return plan(home_of(home_file(*words), "home.toml"), policies())


def test_a_whole_home() -> None:
    found = planned(*WORDS)
    joins = [(one.pair.method.value, one.first.kind.value, one.second.kind.value) for one in found.joins]
    assert joins == [
        ("B", "GSME", "GPF"),
        ("A", "ESME", "HCALCS"),
        ("A", "ESME", "PPMID"),
        ("C", "GSME", "PPMID"),
        ("B", "GPF", "PPMID"),
        ("B", "ESME", "type 2"),
        ("B", "GPF", "type 2"),
    ]
    assert [one.number for one in found.joins] == [1, 2, 3, 4, 5, 6, 7]
    assert [told.about.kind for told in found.listing] == [
        KIND.ESME,
        KIND.GSME,
        KIND.PPMID,
        KIND.HCALCS,
        KIND.TYPE_2,
    ]
    assert {told.role for told in found.listing} == {RemotePartyRole.ACCESS_CONTROL_BROKER}
    assert found.alone == ()


def test_whatever_order_the_file_has_the_plan_is_one() -> None:
    one, other = planned(*WORDS), planned(*reversed(list(WORDS)))
    assert one == other


def test_who_is_told_first_and_who_signs() -> None:
    found = {one.pair.method: one for one in planned("CHF", "ESME", "GSME", "GPF", "PPMID").joins}
    assert [
        (told.use_case, told.member.kind.value, told.role.word, told.signed) for told in found[Method.A].commands
    ] == [
        ("CS03A2", "PPMID", "accessControlBroker", True),
        ("CS03A1", "ESME", "supplier", True),
    ]
    assert [(told.use_case, told.member.kind.value) for told in found[Method.C].commands] == [
        ("CS03C", "PPMID"),
        ("CS03C", "GSME"),
    ]


def test_those_who_meet_nobody_are_named() -> None:
    found = planned("CHF", "HCALCS")
    assert [one.kind for one in found.alone] == [KIND.HCALCS]
    assert found.joins == ()
    assert in_characters(found)
    assert "HCALCS" in as_svg(found)


def test_the_picture_in_characters() -> None:
    lines = in_characters(planned("CHF", "ESME", "GSME", "PPMID", "HCALCS"))
    assert [
        line.split("A0")[-1].split("A1")[-1].split("A4")[-1].split("A5")[-1].split("A2")[-1] for line in lines[1:]
    ] == [
        "",
        "  ●   ●",
        "  │   │   ●",
        "  │   ●   ●",
        "  ●",
    ]


def test_the_picture_as_svg_is_xml_and_has_everyone() -> None:
    hostile = home_of(home_file("CHF", "ESME", "PPMID", name="<script>&amp;"), "home.toml")
    root = ET.fromstring(as_svg(plan(hostile, policies())))  # noqa: S314 - it is our own
    texts = [one.text for one in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {str(DEVICES[kind]) for kind in (KIND.CHF, KIND.ESME, KIND.PPMID)} <= set(texts)
    assert "1A" in texts
    assert not list(root.iter("{http://www.w3.org/2000/svg}script"))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"device = []",
        home_file("ESME"),
        home_file("CHF", "CHF"),
        home_file("CHF", "ESME", "ESME"),
        home_file("CHF").replace(b"CHF", b"TOASTER"),
        home_file("CHF") + b'colour = "red"\n',
        home_file("CHF").replace(b"00-DB", b"00-XX"),
        b'name = "x"\ndevice = [' + b'{kind="ESME",id="00DB123456789001"},' * (MAX_DEVICES + 1) + b"]",
    ],
)
def test_files_that_are_no_home(data: bytes) -> None:
    with pytest.raises(SmkiError):
        home_of(data, "home.toml")


def test_pairs_and_their_parts() -> None:
    rules = policies().joins.rules
    for pair in LIMIT:
        first, second = (
            Member(DISPLAY if kind is KIND.TYPE_2 else DEVICES[kind], kind) for kind in (pair.first, pair.second)
        )
        assert pair_of(rules, second, first) == pair_of(rules, first, second) == (pair, first, second)
        parts = joining(pair, first, second)
        assert len(parts) == (1 if pair.method is Method.B else 2)
        assert parts[-1].member == first
        assert parting(pair, first, second)[0].member == first
    with pytest.raises(Refused) as refused:
        pair_of(rules, Member(DEVICES[KIND.GSME], KIND.GSME), Member(DEVICES[KIND.HCALCS], KIND.HCALCS))
    assert refused.value.code == "han.pair"


# The rules' file


def joins_file() -> str:
    return policies().tables["joins.toml"].decode()


def test_the_shipped_rules_are_the_limit() -> None:
    policy = policies().joins
    assert policy.rules.pairs == LIMIT
    assert set(policy.known) == LIMIT


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('first = "GSME"\nsecond = "PPMID"', 'first = "GSME"\nsecond = "HCALCS"'),
        ('method = "C"', 'method = "D"'),
        ("ESME = 16", "ESME = 65"),
        ("ESME = 16", "ESME = -1"),
        ("kept = 15", "kept = 16"),
        ("full = 250", "full = 0"),
        ('known = "V"', 'known = "yes"'),
        ("kept = 15", "kept = 15\nmore = 1"),
        ('first = "GSME"\nsecond = "GPF"', 'first = "ESME"\nsecond = "type 2"'),
    ],
)
def test_a_file_takes_rows_out_and_puts_none_in(old: str, new: str) -> None:
    from smki.authority.joins import JoinsFile

    assert old in joins_file()
    with pytest.raises((InvalidInput, Refused)) as refused:
        read_toml(joins_file().replace(old, new, 1).encode(), "joins.toml", JoinsFile).value.checked()
    assert "joins.toml" in refused.value.message
