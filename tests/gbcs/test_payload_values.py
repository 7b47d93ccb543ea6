"""DLMS values one by one, the tree they become, and the files of names."""

import time

import pytest

from smki.errors import InvalidInput
from smki.gbcs.payload.cosem_data import Type, read_value
from smki.gbcs.payload.cosem_words import quoted
from smki.gbcs.payload.dlms import read_data
from smki.gbcs.payload.names import Names, read_names
from smki.gbcs.payload.octets import Cursor
from smki.gbcs.payload.tree import Node, leaves
from tests.gbcs.payload_vectors import names

_NO_NAMES = Names({}, {}, {}, {}, {}, {})


def read_one(text: str) -> Node:
    return read_data(bytes.fromhex(text), names())


@pytest.mark.parametrize(
    ("octets", "said"),
    [
        ("00", "nothing"),
        ("ff", "any value"),
        ("0301", "true"),
        ("0302", "true (0x02)"),
        ("040be0a0", "bits 11100000101"),
        ("0400", "no bits"),
        ("05fffffffe", "-2"),
        ("0a0141", '"A"'),
        ("0c02c3a9", '"é"'),
        ("0d12", "18"),
        ("0fff", "-1"),
        ("10fffe", "-2"),
        ("14ffffffffffffffff", "-1"),
        ("150000000000000001", "1"),
        ("1602", "2"),
        ("173f800000", "1.0"),
        ("183ff0000000000000", "1.0"),
        ("1907df0101ff000000008000ff", "2015-01-01 00:00:00"),
        ("1a07df0101ff", "2015-01-01"),
        ("1b00000000", "00:00:00"),
        ("0900", "no octets"),
        ("090431323334", '31323334 "1234"'),
        ("090411000000", "11000000 (17:00:00)"),
        ("0905ffff0c19ff", "ffff0c19ff (any year-12-25)"),
        ("0905fffffefeff", "fffffefeff (any year-begin of daylight saving-last day)"),
        ("0905ffff0d19ff", "ffff0d19ff"),
        ("0905ffff0c20ff", "ffff0c20ff"),
        ("0905ffff0c1900", "ffff0c1900"),
        ("09 04 ffffffff", "ffffffff (any time)"),
        ("09 04 18000000", "18000000"),
        ("09 0c 07df0d01ff000000008000ff", "07df0d01ff000000008000ff"),
        ("09 0c 07df0101ff18000000 8000ff", "07df0101ff180000008000ff"),
        ("09 0c 07df0101ff00000000 03ffff", "07df0101ff0000000003ffff"),
        ("09 0c 07df0101ff00000000 ffc410", "2015-01-01 00:00:00 (-60 minutes to UTC) (clock status 0x10)"),
        ("09 0c ffffffffffffffffff 8000ff", "not specified"),
        ("09 0c 000000000000000000 8000ff", "all zero"),
        ("090907df0101ff00000000", "07df0101ff00000000"),
        ("090600000a006aff", "0-0:10.0.106.255 (Supply state script table)"),
        (
            "090c07df010104173b3b31003c83",
            "2015-01-01 Thursday 23:59:59.49 (+60 minutes to UTC) (invalid value, doubtful value, daylight saving)",
        ),
        ("090c07df0101ff000000000000ff", "2015-01-01 00:00:00 UTC"),
    ],
)
def test_values(octets: str, said: str) -> None:
    assert read_one(octets).value == said


def test_compact_array() -> None:
    node = read_one("13 02 02 06 01 0002 11 0c 00000001 0a0b 00000002 0c0d")
    assert leaves((node,)) == {
        "value / 1 / 1": "1",
        "value / 1 / 2 / 1": "10",
        "value / 1 / 2 / 2": "11",
        "value / 2 / 1": "2",
        "value / 2 / 2 / 1": "12",
        "value / 2 / 2 / 2": "13",
    }


@pytest.mark.parametrize(
    ("octets", "why"),
    [
        ("08", "8 is no type"),
        ("01ff", "begins no length"),
        ("0184ffffffff", "4294967295 elements are announced"),
        ("098103aabbcc", "more octets than it takes"),
        ("09820003aabbcc", "more octets than it takes"),
        ("0406ff", "bits after the end"),
        ("0a01ff", "not ASCII"),
        ("0c01ff", "not UTF-8"),
        ("01" * 40, "nested deeper than 16"),
        ("0101" * 20 + "00", "nested deeper than 16"),
        ("13" + "010001" * 20 + "1100", "nested deeper than 4"),
        ("130000", "no octets, or are compact"),
        ("130201000100", "no octets, or are compact"),
        ("1301ffff01ffff11010a", "should follow"),
        ("131311010a", "no octets, or are compact"),
        ("1312010a", "octets should follow"),
        ("1101 00", "follow what should be the end"),
    ],
)
def test_values_refused(octets: str, why: str) -> None:
    with pytest.raises(InvalidInput, match=why):
        read_one(octets)


@pytest.mark.parametrize(
    "data",
    [
        b"\x01\x82\xfd\xe8" + bytes(65000),
        b"\x13" + b"\x01\x00\x01" * 4 + b"\x11\x82\x75\x30" + bytes(30000),
        b"\x13\x02\x82\x1f\x40" + b"\x11" * 8000 + b"\x82\xda\xc0" + bytes(56000),
    ],
)
def test_more_values_than_a_message_has_are_refused_before_they_cost(data: bytes) -> None:
    began = time.process_time()
    with pytest.raises(InvalidInput, match="more than 20000 values"):
        read_data(data, names())
    assert time.process_time() - began < 5


def test_a_year_of_half_hours_is_read() -> None:
    readings = b"\x01\x82\x44\x70" + b"\x11\x07" * 0x4470
    assert len(read_data(readings, names()).children) == 0x4470


def test_a_value_begins_where_it_says() -> None:
    value = read_value(Cursor(bytes.fromhex("02021101 0902aabb"), "big"))
    assert [item.offset for item in value.items] == [3, 6]
    assert value.items[1].type is Type.OCTET_STRING


def test_text_cannot_leave_its_quotes() -> None:
    assert quoted('a"b\\c\x1b[0m\u202e') == '"a\\"b\\\\c\\x1b[0m\\u202e"'


def test_paths_are_unambiguous() -> None:
    nodes = (Node("a/b", "1"), Node("a", "", (Node("b", "2"), Node("b", "3"))), Node("b[2]", "4"))
    assert leaves(nodes) == {"a\\/b": "1", "a / b": "2", "a / b[2]": "3", "b\\[2]": "4"}
    assert nodes[1].as_json() == {"name": "a", "children": [{"name": "b", "value": "2"}, {"name": "b", "value": "3"}]}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[objects]\n'1.2.3' = 'a'", "no logical name"),
        ("[objects]\n'0-0:1.0.0.255' = 'a('", "a name is missing"),
        ("[objects]\n'0-0:1.0.0.255' = 'a(b'", "is missing"),
        ("[objects]\n'0-0:1.0.0.255' = 'a b, c'", "too much"),
        ("[objects]\n'0-0:1.0.0.255' = 'a[b & x; c]'", "no mask"),
        ("[objects]\n'0-0:1.0.0.255' = '" + "a(" * 12 + "'", "too deep"),
        ("[objects]\n'0-0:1.0.0.255' = 'a: b'", "no type, table of words"),
        ("[alerts]\n0x1 = 'a'\n1 = 'b'", "named twice"),
        ("[alerts]\nx = 'a'", "no number"),
        ("[alerts]\n65536 = 'a'", "between 0 and"),
        ("[words.u8]\n1 = 'a'", "name of a type"),
        ("[[classes]]\nid = 1\nname = 'a'\ncolour = 'b'", "not known"),
    ],
)
def test_names_refused(text: str, why: str) -> None:
    with pytest.raises(InvalidInput, match=why):
        read_names(text.encode(), "names.toml")


def test_two_files_of_names_do_not_overrule_each_other() -> None:
    one = read_names(b"[alerts]\n1 = 'a'", "one.toml").value
    assert one.merged(_NO_NAMES) == one
    with pytest.raises(InvalidInput, match="named in both"):
        one.merged(one)
