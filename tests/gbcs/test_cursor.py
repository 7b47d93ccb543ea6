"""Reading a payload: never past an end, no more values than a message has, and each fault with its place."""

from collections.abc import Callable
from typing import Any

import pytest

from smki.errors import InvalidInput
from smki.gbcs.payload.octets import MAX_VALUES, Cursor

OCTETS = bytes(range(1, 9))


def refused(make: Callable[..., Any], *args: Any) -> str:
    with pytest.raises(InvalidInput) as refusal:
        make(*args)
    assert refusal.value.code == "gbcs.payload"
    return refusal.value.message


def test_octets_are_taken_in_their_order() -> None:
    cursor = Cursor(OCTETS, "big")
    assert (cursor.offset, cursor.left, cursor.at_end) == (0, 8, False)
    assert (cursor.u8(), cursor.u16(), cursor.unsigned(3)) == (1, 0x0203, 0x040506)
    assert (cursor.peek(1), cursor.peek(9), cursor.offset) == (b"\7", b"\7\x08", 6)
    assert (cursor.rest(), cursor.left, cursor.at_end) == (b"\7\x08", 0, True)
    cursor.finish()
    assert cursor.take(0) == b""
    assert "payload octet 8: 1 octets should follow, and 0 do" in refused(cursor.take, 1)
    little = Cursor(OCTETS, "little")
    assert (little.u16(), little.unsigned(3)) == (0x0201, 0x050403)


def test_numbers_with_a_sign() -> None:
    assert Cursor(b"\xff\xfe", "big").signed(2) == -2
    assert Cursor(b"\xfe\xff", "little").signed(2) == -2
    assert Cursor(b"\x7f", "big").signed(1) == 127
    assert Cursor(b"\xff", "big").unsigned(1) == 255


def test_a_cursor_ends_where_it_is_told() -> None:
    cursor = Cursor(OCTETS, "big", 2, 5)
    assert (cursor.offset, cursor.left, cursor.peek(9)) == (2, 3, OCTETS[2:5])
    assert "payload octet 2: 4 octets should follow, and 3 do" in refused(cursor.take, 4)
    assert "payload octet 2: 3 octets follow what should be the end" in refused(cursor.finish)
    assert cursor.take(3) == OCTETS[2:5]


def test_a_part_ends_by_itself_and_is_passed_over() -> None:
    cursor = Cursor(OCTETS, "little")
    part = cursor.part(3)
    assert (cursor.offset, part.offset, part.left) == (3, 0, 3)
    assert (part.u16(), part.left) == (0x0201, 1)
    refused(part.take, 2)
    assert (cursor.u8(), part.u8()) == (4, 3)
    assert "6 octets should follow" in refused(cursor.part, 6)


def test_what_is_expected_is_there() -> None:
    cursor = Cursor(OCTETS, "big")
    cursor.expect(b"\1\2", "a beginning")
    assert cursor.offset == 2
    assert "payload octet 2: a middle should be 0305, and is 0304" in refused(cursor.expect, b"\3\5", "a middle")
    cursor.take(6)
    assert "an end should be 09, and is absent" in refused(cursor.expect, b"\x09", "an end")


def test_twenty_thousand_values_are_read_in_all_parts_together() -> None:
    cursor = Cursor(OCTETS, "big")
    part = cursor.part(1)
    for _ in range(10_000):
        cursor.spend()
        part.spend()
    for one in (cursor, part):
        assert "more than 20000 values" in refused(one.spend)
    assert MAX_VALUES == 20_000
    Cursor(OCTETS, "big").spend()
