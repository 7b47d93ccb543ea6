"""ZigBee data in words: attributes by their types (ZCL 2.5.2), fields of commands by their shapes. Little-endian."""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from smki.gbcs.payload import dates
from smki.gbcs.payload.cosem_words import quoted
from smki.gbcs.payload.names import Names
from smki.gbcs.payload.octets import Cursor
from smki.gbcs.payload.shape import Form, Shape
from smki.gbcs.payload.tree import Node

MAX_DEPTH = 16
_NO_UTC, _CANCEL = 0xFFFFFFFF, 0xFFFFFFFE
_NO_LENGTH, _NO_LONG_LENGTH = 0xFF, 0xFFFF  # the invalid value of a string (ZCL 2.5.2.12)
_DATA, _BITMAPS, _UNSIGNED, _SIGNED = 0x08, 0x18, 0x20, 0x28  # families of eight: 8 to 64 bits
_FLOATS = {0x39: "<f", 0x3A: "<d"}
_STRINGS = {0x41: (1, False), 0x42: (1, True), 0x43: (2, False), 0x44: (2, True)}
_COLLECTIONS = {0x48, 0x50, 0x51}
_STRUCTURE = 0x4C
_NOTHING = {0x00, 0xFF}
_TIME, _DATE, _UTC, _EUI64, _KEY = 0xE0, 0xE1, 0xE2, 0xF0, 0xF1
_OTHERS = {0x00: "", 0xFF: "", 0x10: "boolean", 0x30: "u8", 0x31: "u16", 0xE8: "u16", 0xE9: "u16", 0xEA: "u32"}
_HEX_SIZES = {0x38: 2, _KEY: 16}
_FIXED = {
    **{f"u{8 * n}": n for n in range(1, 9)},
    **{f"map{8 * n}": n for n in range(1, 9)},
}
_SIGNED_SIZES = {f"i{8 * n}": n for n in range(1, 9)}


@dataclass(frozen=True, slots=True)
class Fields:
    """Reads the fields of a command, and the values of attributes, in words."""

    names: Names

    def read(self, cursor: Cursor, shapes: tuple[Shape, ...]) -> tuple[Node, ...]:
        """Each field in turn; an optional one is absent if nothing is left."""
        told: list[Node] = []
        counts: dict[str, int] = {}
        for each in shapes:
            shape = self.names.resolved(each)
            if shape.optional and cursor.at_end:
                break
            if shape.count is not None:
                told.append(self._counted(cursor, shape, counts))
            elif shape.form is Form.ARRAY:
                told.append(Node(shape.name, "" if cursor.left else "none", tuple(self._to_end(cursor, shape))))
            elif shape.form is Form.STRUCTURE:
                told.append(Node(shape.name, children=self.read(cursor, shape.parts)))
            else:
                cursor.spend()
                first = cursor.peek(1)
                told.append(Node(shape.name, self.leaf(cursor, shape.hint)))
                counts[shape.name] = first[0] if first else 0
        return tuple(told)

    def _counted(self, cursor: Cursor, shape: Shape, counts: dict[str, int]) -> Node:
        assert shape.count is not None
        count = counts.get(shape.count.part, 0) & shape.count.mask
        elements = tuple(self._element(cursor, shape.parts[0], index) for index in range(1, count + 1))
        return Node(shape.name, "" if elements else "none", elements)

    def _to_end(self, cursor: Cursor, shape: Shape) -> Iterator[Node]:
        index = 0
        while not cursor.at_end:
            index += 1
            before = cursor.left
            yield self._element(cursor, shape.parts[0], index)
            if cursor.left == before:
                cursor.refuse("an element has no octets")

    def _element(self, cursor: Cursor, shape: Shape, index: int) -> Node:
        (node,) = self.read(cursor, (replace(shape, optional=False),))
        return Node(f"{shape.name} {index}", node.value, node.children)

    def leaf(self, cursor: Cursor, hint: str) -> str:
        """One field of the type its hint names; without a hint it is one octet, in hexadecimal."""
        table, _, kind = hint.partition("/")
        if table in self.names.words:
            return self._worded(table, kind or "u8", cursor.unsigned(_FIXED.get(kind, 1)))
        if hint in _FIXED:
            number = cursor.unsigned(_FIXED[hint])
            return f"{number:#0{2 + 2 * _FIXED[hint]}x}" if hint.startswith("map") else str(number)
        if hint in _SIGNED_SIZES:
            return str(cursor.signed(_SIGNED_SIZES[hint]))
        if hint in {"utc", "start"}:
            return self._moment(cursor, hint)
        if hint == "event":
            return self._event(cursor.u16())
        reader = _LEAVES.get(hint)
        return reader(cursor) if reader else cursor.take(1).hex()

    @staticmethod
    def _moment(cursor: Cursor, hint: str) -> str:
        """A start of zero is now; FFFFFFFF, and FFFFFFFE for prices, cancels what was to start (ZSE 1.2 D.4)."""
        seconds = cursor.unsigned(4)
        if hint == "start" and seconds in {_NO_UTC, _CANCEL}:
            return f"{seconds:08X} (cancel)"
        if seconds == _NO_UTC:
            return "FFFFFFFF (not specified)"
        if seconds == 0:
            return "0 (now)" if hint == "start" else "0 (not specified)"
        return dates.utc(seconds)

    def _event(self, code: int) -> str:
        known = self.names.alerts.get(code)
        return f"{code:04X}" + (f" ({known.name})" if known else "")

    def typed(self, cursor: Cursor, kind: int, shape: Shape, depth: int = 0) -> Node:
        """An attribute's value: its type was read, and says how many octets follow."""
        if depth > MAX_DEPTH:
            cursor.refuse(f"values are nested deeper than {MAX_DEPTH}")
        if kind in _COLLECTIONS:
            element, count = cursor.u8(), cursor.u16()
            if element in _NOTHING:
                cursor.refuse("a collection of nothing")
            kinds = [element] * self._bounded(cursor, count)
        elif kind == _STRUCTURE:
            kinds = [-1] * self._bounded(cursor, cursor.u16())
        else:
            return Node(shape.name, self._scalar(cursor, kind, shape.hint))
        children = tuple(
            self.typed(cursor, cursor.u8() if each < 0 else each, Shape(str(index)), depth + 1)
            for index, each in enumerate(kinds, 1)
        )
        return Node(shape.name, "" if children else "none", children)

    @staticmethod
    def _bounded(cursor: Cursor, count: int) -> int:
        if count == _NO_LONG_LENGTH:
            return 0
        if count > cursor.left:
            cursor.refuse(f"{count} elements are announced, and {cursor.left} octets follow")
        return count

    def _scalar(self, cursor: Cursor, kind: int, hint: str) -> str:
        if kind in _STRINGS:
            size, is_text = _STRINGS[kind]
            return _string(cursor, size, is_text=is_text)
        if kind == _UTC:
            return self._moment(cursor, "utc")
        if kind in {_TIME, _DATE}:
            return _zigbee_time(cursor.take(4)) if kind == _TIME else _zigbee_date(cursor.take(4))
        if kind == _EUI64:
            return _eui64(cursor)
        if kind in _HEX_SIZES:
            return cursor.take(_HEX_SIZES[kind]).hex()
        if kind in _FLOATS:
            (number,) = struct.unpack(_FLOATS[kind], cursor.take(struct.calcsize(_FLOATS[kind])))
            return str(number)
        if kind in _OTHERS:
            return self._number(cursor, _OTHERS[kind], hint) if _OTHERS[kind] else "no value"
        family, size = kind & ~7, (kind & 7) + 1
        prefix = {_DATA: "map", _BITMAPS: "map", _UNSIGNED: "u", _SIGNED: "i"}.get(family)
        if prefix is None:
            cursor.refuse(f"{kind:#04x} is no type of ZigBee data")
        return self._number(cursor, f"{prefix}{8 * size}", hint)

    def _number(self, cursor: Cursor, kind: str, hint: str) -> str:
        if hint == "utc" and kind == "u32":
            return self._moment(cursor, hint)
        table = hint.partition("/")[0]
        if table in self.names.words and kind in _FIXED:
            return self._worded(table, kind, cursor.unsigned(_FIXED[kind]))
        return self.leaf(cursor, kind)

    def _worded(self, table: str, kind: str, number: int) -> str:
        """A number with its word, or a bitmap with the word of every bit that is set."""
        if not kind.startswith("map"):
            return self.names.word(table, number)
        words = self.names.words[table]
        bits = [words.get(bit, f"bit {bit}") for bit in range(number.bit_length()) if number >> bit & 1]
        return f"{number:#0{2 + 2 * _FIXED[kind]}x} ({', '.join(bits) or 'none'})"


def _boolean(octet: int) -> str:
    return {0: "false", 1: "true"}.get(octet, f"{octet:#04x}, neither true nor false")


def _string(cursor: Cursor, size: int, *, is_text: bool) -> str:
    """A string with its length before it; the greatest length says that there is none (ZCL 2.5.2.12, 13)."""
    length = cursor.unsigned(size)
    if length == (_NO_LENGTH if size == 1 else _NO_LONG_LENGTH):
        return "no string"
    octets = cursor.take(length)
    if not octets:
        return "empty"
    text = octets.decode("latin-1")
    return quoted(text) if is_text and octets.isascii() and text.isprintable() else octets.hex()


def _zigbee_time(octets: bytes) -> str:
    return dates.time(octets) or octets.hex()


def _zigbee_date(octets: bytes) -> str:
    """Years since 1900, month, day, weekday (ZCL 2.5.2.19)."""
    year = b"\xff\xff" if octets[0] == _NO_LENGTH else (1900 + octets[0]).to_bytes(2, "big")
    return dates.date(year + octets[1:]) or octets.hex()


def _unchanged(cursor: Cursor) -> str:
    amount = cursor.signed(4)
    return f"{amount} (unchanged)" if amount == -1 else str(amount)


def _eui64(cursor: Cursor) -> str:
    return cursor.take(8)[::-1].hex("-").upper()


_LEAVES: dict[str, Callable[[Cursor], str]] = {
    "i32-or-unchanged": _unchanged,
    "zigbee-date": lambda cursor: _zigbee_date(cursor.take(4)),
    "eui64": _eui64,
    "string": lambda cursor: _string(cursor, 1, is_text=True),
    "octets": lambda cursor: _string(cursor, 1, is_text=False),
    "boolean": lambda cursor: _boolean(cursor.u8()),
    "rest": lambda cursor: cursor.rest().hex(),
}
