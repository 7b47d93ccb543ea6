"""DLMS COSEM data, octets to values: the Data type of Green Book 9.5 in A-XDR, definite and minimal lengths only."""

import struct
from dataclasses import dataclass
from enum import IntEnum

from smki.gbcs.payload.octets import Cursor, fault

MAX_DEPTH = 16  # the deepest seen is a tariff switching table in an access request: 5
_MAX_DESCRIPTION = 4  # every level of a compact array's type costs each of its elements a value
_LONG_FORM = 0x80  # a length octet from here on says how many octets of length follow


class Type(IntEnum):
    """The tags of the Data CHOICE (Green Book 9.5; Blue Book 4.1.5)."""

    NULL = 0
    ARRAY = 1
    STRUCTURE = 2
    BOOLEAN = 3
    BIT_STRING = 4
    DOUBLE_LONG = 5
    DOUBLE_LONG_UNSIGNED = 6
    OCTET_STRING = 9
    VISIBLE_STRING = 10
    UTF8_STRING = 12
    BCD = 13
    INTEGER = 15
    LONG = 16
    UNSIGNED = 17
    LONG_UNSIGNED = 18
    COMPACT_ARRAY = 19
    LONG64 = 20
    LONG64_UNSIGNED = 21
    ENUM = 22
    FLOAT32 = 23
    FLOAT64 = 24
    DATE_TIME = 25
    DATE = 26
    TIME = 27
    DONT_CARE = 255


_SIGNED = {Type.DOUBLE_LONG: 4, Type.BCD: 1, Type.INTEGER: 1, Type.LONG: 2, Type.LONG64: 8}
_UNSIGNED = {
    Type.DOUBLE_LONG_UNSIGNED: 4,
    Type.UNSIGNED: 1,
    Type.LONG_UNSIGNED: 2,
    Type.LONG64_UNSIGNED: 8,
    Type.ENUM: 1,
    Type.BOOLEAN: 1,
}
_FLOATS = {Type.FLOAT32: ">f", Type.FLOAT64: ">d"}
_OCTETS = {Type.DATE_TIME: 12, Type.DATE: 5, Type.TIME: 4}
_TEXTS = {Type.VISIBLE_STRING: "ascii", Type.UTF8_STRING: "utf-8"}
_EMPTY = {Type.NULL, Type.DONT_CARE}


@dataclass(frozen=True, slots=True)
class Value:
    """One value and where its content begins."""

    type: Type
    offset: int
    content: int | float | str | bytes = b""  # a bit-string is its digits, the first bit first
    items: tuple["Value", ...] = ()


@dataclass(frozen=True, slots=True)
class _Description:
    """The type of every element of a compact array (Green Book 9.5, TypeDescription).

    Each takes an octet at least: a few octets of description could otherwise claim millions of elements.
    """

    type: Type
    least: int  # the fewest octets one takes
    parts: tuple["_Description", ...] = ()
    count: int = 1  # how often its parts come


def read_length(cursor: Cursor) -> int:
    """A-XDR length (IEC 61334-6 4.2): one octet below 128, else as few further octets as it takes."""
    first = cursor.u8()
    if first < _LONG_FORM:
        return first
    count = first - _LONG_FORM
    if count not in {1, 2, 3, 4}:
        cursor.refuse(f"{first:#04x} begins no length")
    length = cursor.unsigned(count)
    if length < _LONG_FORM or length < 1 << 8 * (count - 1):
        cursor.refuse(f"length {length} is written with more octets than it takes")
    return length


def read_count(cursor: Cursor) -> int:
    """How many elements follow, each of one octet at least: a count beyond the octets left costs nothing."""
    count = read_length(cursor)
    if count > cursor.left:
        cursor.refuse(f"{count} elements are announced, and {cursor.left} octets follow")
    return count


def read_value(cursor: Cursor, depth: int = 0) -> Value:
    """The value that begins at the cursor."""
    if depth > MAX_DEPTH:
        cursor.refuse(f"values are nested deeper than {MAX_DEPTH}")
    cursor.spend()
    kind = _read_type(cursor)
    if kind in {Type.ARRAY, Type.STRUCTURE}:
        offset = cursor.offset
        count = read_count(cursor)
        return Value(kind, offset, items=tuple(read_value(cursor, depth + 1) for _ in range(count)))
    if kind is Type.COMPACT_ARRAY:
        return _read_compact_array(cursor)
    return _read_content(cursor, kind)


def _read_type(cursor: Cursor) -> Type:
    tag = cursor.u8()
    try:
        return Type(tag)
    except ValueError:
        raise fault(cursor.offset - 1, f"{tag} is no type of DLMS data") from None


def _read_content(cursor: Cursor, kind: Type) -> Value:
    offset = cursor.offset
    if kind in _SIGNED:
        return Value(kind, offset, cursor.signed(_SIGNED[kind]))
    if kind in _UNSIGNED:
        return Value(kind, offset, cursor.unsigned(_UNSIGNED[kind]))
    if kind in _OCTETS:
        return Value(kind, offset, cursor.take(_OCTETS[kind]))
    if kind in _FLOATS:
        (number,) = struct.unpack(_FLOATS[kind], cursor.take(struct.calcsize(_FLOATS[kind])))
        return Value(kind, offset, float(number))
    if kind is Type.OCTET_STRING:
        length = read_length(cursor)
        return Value(kind, cursor.offset, cursor.take(length))
    if kind in _TEXTS:
        return _read_text(cursor, kind)
    if kind is Type.BIT_STRING:
        return _read_bits(cursor)
    return Value(kind, offset)


def _read_text(cursor: Cursor, kind: Type) -> Value:
    length = read_length(cursor)
    offset = cursor.offset
    try:
        return Value(kind, offset, cursor.take(length).decode(_TEXTS[kind]))
    except UnicodeDecodeError:
        raise fault(offset, f"the text is not {_TEXTS[kind].upper()}") from None


def _read_bits(cursor: Cursor) -> Value:
    length = read_length(cursor)
    offset = cursor.offset
    octets = cursor.take((length + 7) // 8)
    digits = "".join(f"{octet:08b}" for octet in octets)
    if "1" in digits[length:]:
        raise fault(offset, "bits after the end of a bit-string are set")
    return Value(Type.BIT_STRING, offset, digits[:length])


# Compact arrays


def _read_compact_array(cursor: Cursor) -> Value:
    description = _read_description(cursor, 0)
    length = read_length(cursor)
    offset = cursor.offset
    contents = cursor.part(length)
    items = []
    while not contents.at_end:
        items.append(_read_described(contents, description))
    return Value(Type.COMPACT_ARRAY, offset, items=tuple(items))


def _read_description(cursor: Cursor, depth: int) -> _Description:
    if depth > _MAX_DESCRIPTION:
        cursor.refuse(f"types are nested deeper than {_MAX_DESCRIPTION}")
    kind = _read_type(cursor)
    if kind is Type.ARRAY:
        count = cursor.u16()
        part = _read_description(cursor, depth + 1)
        description = _Description(kind, count * part.least, (part,), count)
    elif kind is Type.STRUCTURE:
        parts = tuple(_read_description(cursor, depth + 1) for _ in range(read_count(cursor)))
        description = _Description(kind, sum(part.least for part in parts), parts)
    else:
        description = _Description(kind, 0 if kind in _EMPTY else 1)
    if description.least == 0 or kind is Type.COMPACT_ARRAY:
        cursor.refuse("the elements of a compact array have no octets, or are compact arrays")
    return description


def _read_described(contents: Cursor, description: _Description) -> Value:
    contents.spend()
    if not description.parts:
        return _read_content(contents, description.type)
    if description.least > contents.left:
        contents.refuse(f"an element of {description.least} octets or more should follow")
    offset = contents.offset
    parts = description.parts * description.count
    return Value(description.type, offset, items=tuple(_read_described(contents, part) for part in parts))
