"""DLMS COSEM data in words: values under the names their shapes give, and what is encrypted found and shown."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from smki.gbcs.payload import dates
from smki.gbcs.payload.cosem_data import Type, Value, read_value
from smki.gbcs.payload.names import Names
from smki.gbcs.payload.octets import Cursor
from smki.gbcs.payload.shape import Form, Shape
from smki.gbcs.payload.tree import NOTHING, EncryptedBlock, Node
from smki.gbcs.protection import MIN_BLOCK_OCTETS, SECURITY_HEADER

_PLAIN = Shape("value")
_DECRYPTED = Shape("decrypted")
_LOGICAL_NAME, _EUI64 = 6, 8
_UTC_END = 1 << 32
_OPTIONS = 5  # transaction id, originator, recipient, other information, key information
_ATTRIBUTE = 3  # class, logical name, attribute; which part of its value may follow
_FUTURE_DATED = 19  # message code, counter, class, logical name, attribute (GBCS 16.2, alert 8F66)
_DATES = {Type.DATE_TIME: "date-time", Type.DATE: "date", Type.TIME: "time"}
_READERS = {"activation": dates.activation, "date-time": dates.date_time, "date": dates.date, "time": dates.time}
_BY_LENGTH = {dates.DATE: dates.date, dates.TIME: dates.time}


def logical_name(octets: bytes) -> str:
    """`0-0:96.3.10.255`."""
    a, b, c, d, e, f = octets
    return f"{a:d}-{b:d}:{c:d}.{d:d}.{e:d}.{f:d}"


def quoted(text: str) -> str:
    """Text between quotation marks; nothing in it can move a cursor or hide its neighbours."""
    safe = "".join(c if c.isprintable() and c not in '"\\' else c.encode("unicode_escape").decode() for c in text)
    return '"' + safe.replace('"', '\\"') + '"'


def _boolean(octet: int) -> str:
    """In A-XDR whatever is not zero is true; what neither 01 nor FF says so is shown."""
    return {0: "false", 1: "true", 0xFF: "true"}.get(octet, f"true ({octet:#04x})")


@dataclass(frozen=True, slots=True)
class Words:
    """Puts values in words: with these names, and these plaintexts by the offset of their block."""

    names: Names
    decrypted: Mapping[int, bytes]

    def node(self, value: Value, shape: Shape, subject: Shape | None = None) -> Node:
        """The value under the name of its shape; `subject` is the shape of the object spoken of."""
        shape = self.names.resolved(shape, subject)
        if value.type in {Type.STRUCTURE, Type.ARRAY, Type.COMPACT_ARRAY}:
            children = tuple(self._children(value, shape, subject))
            points = [part.hint for part in shape.parts[:2]] == ["class", "obis"]
            told = self._attribute_of(value) if points else ""
            return Node(shape.name, told if children else "empty", children)
        return Node(shape.name, self.text(value, shape.hint))

    def members(
        self, values: tuple[Value, ...], parts: tuple[Shape, ...], subject: Shape | None = None
    ) -> tuple[Node, ...]:
        """The members of a structure, and among them what is encrypted."""
        return tuple(
            self._block(value, part.name) if _is_block(before, value) else self.node(value, part, subject)
            for before, value, part in zip((None, *values), values, parts, strict=False)
        )

    def text(self, value: Value, hint: str = "") -> str:
        """A value without parts; a hint that does not fit it is passed over, never obeyed."""
        content = value.content
        if isinstance(content, int | float):
            return self._number(content, hint) if value.type is not Type.BOOLEAN else _boolean(int(content))
        if isinstance(content, str):
            bits = f"bits {content}" if content else "no bits"
            return bits if value.type is Type.BIT_STRING else quoted(content)
        if value.type in {Type.NULL, Type.DONT_CARE}:
            return "nothing" if value.type is Type.NULL else "any value"
        assert isinstance(content, bytes), "every other type has octets"
        return self._octets(content, _DATES.get(value.type, hint))

    def object_name(self, class_id: int, octets: bytes) -> str:
        """`Load switch (Disconnect control)`: what is addressed, and what kind of thing it is."""
        kind = self.names.cosem_class(class_id).name
        known = self.names.objects.get(logical_name(octets))
        return f"{known.name} ({kind})" if known else f"{kind} {logical_name(octets)}"

    def attribute_name(self, class_id: int, octets: bytes, number: int) -> str:
        attribute = self.names.cosem_class(class_id).attribute(number).name if number != 1 else "logical_name"
        return f"{self.object_name(class_id, octets)}: {attribute}"

    def _number(self, content: float, hint: str) -> str:
        if isinstance(content, int) and content >= 0:
            if hint in self.names.words:
                return self.names.word(hint, content)
            if hint == "utc" and content < _UTC_END:
                return dates.utc(content)
            if hint == "class":
                return f"{content} ({self.names.cosem_class(content).name})"
        return str(content)

    def _octets(self, content: bytes, hint: str) -> str:
        read = _READERS[hint](content) if hint in _READERS else None
        if read is not None:
            return read
        if hint == "text":
            text = content.decode("latin-1")
            return quoted(text) if content.isascii() and text.isprintable() else content.hex()
        if hint == "obis" and len(content) == _LOGICAL_NAME:
            return self._logical_name(content)
        if hint == "eui64" and len(content) == _EUI64:
            return content.hex("-").upper()
        if hint == "future-dated" and len(content) == _FUTURE_DATED:
            return self._future_dated(content)
        return content.hex() if hint == "hex" and content else self._guessed(content)

    def _guessed(self, content: bytes) -> str:
        """Octets nobody named: in hexadecimal, followed by what they may well be."""
        if not content:
            return "no octets"
        moment = dates.date_time(content)
        if moment is not None:
            return moment
        if len(content) == _LOGICAL_NAME and logical_name(content) in self.names.objects:
            return self._logical_name(content)
        text = content.decode("latin-1")
        if content.isascii() and text.isprintable():
            return f"{content.hex()} {quoted(text)}"
        reader = _BY_LENGTH.get(len(content))
        read = reader(content) if reader else None
        return f"{content.hex()} ({read})" if read else content.hex()

    def _logical_name(self, octets: bytes) -> str:
        if not any(octets):
            return "none"
        name = logical_name(octets)
        known = self.names.objects.get(name)
        return f"{name} ({known.name})" if known else name

    def _future_dated(self, octets: bytes) -> str:
        """Which part of which command was executed at its date (GBCS 9.2.2.7)."""
        counter, class_id = int.from_bytes(octets[2:10], "big"), int.from_bytes(octets[10:12], "big")
        attribute = self.attribute_name(class_id, octets[12:18], octets[18])
        return f"message code {octets[:2].hex().upper()}, counter {counter}: {attribute}"

    def _children(self, value: Value, shape: Shape, subject: Shape | None) -> Iterable[Node]:
        if value.type is Type.STRUCTURE:
            fits = shape.form is Form.STRUCTURE and len(shape.parts) == len(value.items)
            parts = shape.parts if fits else tuple(Shape(str(index + 1)) for index in range(len(value.items)))
            return self.members(value.items, parts, subject)
        element = shape.parts[0] if shape.form is Form.ARRAY else _PLAIN
        before = f"{element.name} " if shape.form is Form.ARRAY else ""
        return (
            self._named(self.node(item, element, subject), f"{before}{index}")
            for index, item in enumerate(value.items, 1)
        )

    @staticmethod
    def _named(node: Node, name: str) -> Node:
        return Node(name, node.value, node.children)

    def _attribute_of(self, value: Value) -> str:
        """What a structure of class, logical name and attribute points at."""
        if value.type is not Type.STRUCTURE or len(value.items) < _ATTRIBUTE:
            return ""
        class_id, name, number = (item.content for item in value.items[:_ATTRIBUTE])
        if not (isinstance(class_id, int) and isinstance(number, int) and isinstance(name, bytes)):
            return ""
        if class_id == 0 or len(name) != _LOGICAL_NAME:
            return ""
        return self.attribute_name(class_id, name, number)

    def _block(self, value: Value, name: str) -> Node:
        assert isinstance(value.content, bytes)
        plaintext = self.decrypted.get(value.offset)
        told = f"encrypted, {len(value.content)} octets"
        if plaintext is None:
            return Node(name, told)
        return Node(name, told, (Words(self.names, NOTHING).whole(plaintext, _DECRYPTED),))

    def whole(self, octets: bytes, shape: Shape) -> Node:
        """Octets that are one value and nothing more."""
        cursor = Cursor(octets, "big")
        value = read_value(cursor)
        cursor.finish()
        return self.node(value, shape)


def blocks(value: Value) -> Iterator[EncryptedBlock]:
    """Every encrypted block within."""
    for before, item in zip((None, *value.items), value.items, strict=False):
        if value.type is Type.STRUCTURE and _is_block(before, item):
            assert isinstance(item.content, bytes)
            yield EncryptedBlock(item.offset, len(item.content))
        yield from blocks(item)


def _is_block(before: Value | None, value: Value) -> bool:
    """An octet-string of the form of an encrypted block, right after its protection parameters (GBCS 8.4).

    Its form alone is not enough: whoever sets a text of that form would hide it from those who sign.
    """
    content = value.content
    return (
        before is not None
        and _are_protections(before)
        and value.type is Type.OCTET_STRING
        and isinstance(content, bytes)
        and content.startswith(SECURITY_HEADER)
        and len(content) > MIN_BLOCK_OCTETS
    )


def _are_protections(value: Value) -> bool:
    """Protection parameters: of each layer its type and five options (Blue Book 4.4.9)."""
    return (
        value.type is Type.ARRAY
        and bool(value.items)
        and all(
            [part.type for part in layer.items] == [Type.ENUM, Type.STRUCTURE]
            and len(layer.items[1].items) == _OPTIONS
            for layer in value.items
        )
    )
