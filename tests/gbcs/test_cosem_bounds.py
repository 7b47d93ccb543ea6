"""DLMS data at the edge of what is read: lengths, counts, depths, and where each value begins (Green Book 9.5)."""

import pytest

from smki.errors import InvalidInput
from smki.gbcs.payload.cosem_data import Type, Value, read_count, read_length, read_value
from smki.gbcs.payload.octets import Cursor


def value(octets: str) -> Value:
    cursor = Cursor(bytes.fromhex(octets), "big")
    found = read_value(cursor)
    cursor.finish()
    return found


def refused(octets: str) -> str:
    with pytest.raises(InvalidInput) as refusal:
        value(octets)
    assert refusal.value.code == "gbcs.payload"
    return refusal.value.message


@pytest.mark.parametrize(
    ("octets", "length"),
    [
        ("00", 0),
        ("7f", 127),
        ("8180", 128),
        ("81ff", 255),
        ("820100", 256),
        ("82ffff", 65_535),
        ("83010000", 65_536),
        ("8401000000", 1 << 24),
        ("84ffffffff", (1 << 32) - 1),
    ],
)
def test_lengths(octets: str, length: int) -> None:
    cursor = Cursor(bytes.fromhex(octets), "big")
    assert read_length(cursor) == length
    assert cursor.at_end


@pytest.mark.parametrize(
    ("octets", "said"),
    [
        ("80", "0x80 begins no length"),
        ("850100000000", "0x85 begins no length"),
        ("ff", "0xff begins no length"),
        ("8100", "more octets than it takes"),
        ("817f", "more octets than it takes"),
        ("8200ff", "more octets than it takes"),
        ("8300ffff", "more octets than it takes"),
        ("8400ffffff", "more octets than it takes"),
        ("82ff", "2 octets should follow"),
    ],
)
def test_what_begins_no_length(octets: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        read_length(Cursor(bytes.fromhex(octets), "big"))


def test_no_more_elements_are_announced_than_octets_follow() -> None:
    assert read_count(Cursor(b"\2\0\0", "big")) == 2
    with pytest.raises(InvalidInput, match="3 elements are announced, and 2 octets follow"):
        read_count(Cursor(b"\3\0\0", "big"))


def test_values_nest_to_sixteen_and_types_of_compact_arrays_to_four() -> None:
    for tag in ("01", "02"):
        assert value(f"{tag}01" * 16 + "00")
        assert "deeper than 16" in refused(f"{tag}01" * 17 + "00")
    array, structure = "010001", "0201"
    for level in (array, structure):
        found = value("13" + level * 4 + "11" + "01" + "07")
        for _ in range(5):
            (found,) = found.items
        assert (found.type, found.content) == (Type.UNSIGNED, 7)
        assert "deeper than 4" in refused("13" + level * 5 + "11" + "01" + "07")


@pytest.mark.parametrize(
    ("octets", "kind", "offset", "content"),
    [
        ("00", Type.NULL, 1, b""),
        ("ff", Type.DONT_CARE, 1, b""),
        ("03ff", Type.BOOLEAN, 1, 0xFF),
        ("058000 0001", Type.DOUBLE_LONG, 1, -(1 << 31) + 1),
        ("06ffffffff", Type.DOUBLE_LONG_UNSIGNED, 1, (1 << 32) - 1),
        ("0d80", Type.BCD, 1, -128),
        ("0f80", Type.INTEGER, 1, -128),
        ("108000", Type.LONG, 1, -(1 << 15)),
        ("11ff", Type.UNSIGNED, 1, 255),
        ("12ffff", Type.LONG_UNSIGNED, 1, 65_535),
        ("14" + "80" + "00" * 7, Type.LONG64, 1, -(1 << 63)),
        ("15" + "ff" * 8, Type.LONG64_UNSIGNED, 1, (1 << 64) - 1),
        ("16ff", Type.ENUM, 1, 255),
        ("17 c0200000", Type.FLOAT32, 1, -2.5),
        ("18 c004000000000000", Type.FLOAT64, 1, -2.5),
        ("19" + "01" * 12, Type.DATE_TIME, 1, b"\1" * 12),
        ("1a" + "01" * 5, Type.DATE, 1, b"\1" * 5),
        ("1b" + "01" * 4, Type.TIME, 1, b"\1" * 4),
        ("0902aabb", Type.OCTET_STRING, 2, b"\xaa\xbb"),
        ("098180" + "00" * 128, Type.OCTET_STRING, 3, bytes(128)),
        ("0a024142", Type.VISIBLE_STRING, 2, "AB"),
        ("0c02c3a9", Type.UTF8_STRING, 2, "é"),
        ("0400", Type.BIT_STRING, 2, ""),
        ("0401 80", Type.BIT_STRING, 2, "1"),
        ("0408 81", Type.BIT_STRING, 2, "10000001"),
        ("0409 8180", Type.BIT_STRING, 2, "100000011"),
    ],
)
def test_values_and_where_their_content_begins(octets: str, kind: Type, offset: int, content: object) -> None:
    assert value(octets) == Value(kind, offset, content)  # type: ignore[arg-type]


def test_arrays_and_structures_begin_after_their_tag() -> None:
    for tag, kind in (("01", Type.ARRAY), ("02", Type.STRUCTURE)):
        assert value(f"{tag}02 1105 00") == Value(
            kind, 1, items=(Value(Type.UNSIGNED, 3, 5), Value(Type.NULL, 5))
        )  # fmt: skip
        assert value(f"{tag}00") == Value(kind, 1)


def test_bits_after_the_end_are_none() -> None:
    assert "bits after the end" in refused("0401 40")
    assert "bits after the end" in refused("0409 8101")


def test_a_fault_says_at_which_octet() -> None:
    for octets, said in (
        ("0202 11 05 08", "payload octet 4: 8 is no type"),
        ("0a02 41ff", "payload octet 2: the text is not ASCII"),
        ("0c01 ff", "payload octet 2: the text is not UTF-8"),
        ("0401 40", "payload octet 2: bits"),
    ):
        assert said in refused(octets)


def test_compact_arrays_say_their_type_once() -> None:
    """A type of fixed parts, then octets of so many elements as there are."""
    found = value("13 01 0002 11 04 01020304")
    assert (found.type, found.offset) == (Type.COMPACT_ARRAY, 6)
    assert [[one.content for one in item.items] for item in found.items] == [[1, 2], [3, 4]]
    assert [(item.type, item.offset) for item in found.items] == [(Type.ARRAY, 6), (Type.ARRAY, 8)]
    assert value("13 11 00").items == ()
    texts = value("13 09 05 0141 024243")
    assert [item.content for item in texts.items] == [b"A", b"BC"]
    assert "an element of 2 octets or more should follow" in refused("13 01 0002 11 03 010203")
    assert "an element of 2 octets or more should follow" in refused("13 02 02 11 11 03 010203")
    assert "no octets, or are compact arrays" in refused("13 01 0000 11 00")
    assert "no octets, or are compact arrays" in refused("13 02 02 00 11 02 0506")
    assert "no octets, or are compact arrays" in refused("13 ff 00")
