"""ZigBee's general commands in words: attributes read, written, reported and configured (ZCL 2.4)."""

from dataclasses import dataclass
from enum import IntEnum

from smki.gbcs.payload.names import Names
from smki.gbcs.payload.octets import Cursor
from smki.gbcs.payload.shape import Shape
from smki.gbcs.payload.tree import Node
from smki.gbcs.payload.zcl_data import Fields

_STATUS = "zcl-status"
_SUCCESS = 0


class Command(IntEnum):
    """General commands (ZCL table 2.9); those of discovery are told in hexadecimal."""

    READ_ATTRIBUTES = 0x00
    READ_ATTRIBUTES_RESPONSE = 0x01
    WRITE_ATTRIBUTES = 0x02
    WRITE_ATTRIBUTES_UNDIVIDED = 0x03
    WRITE_ATTRIBUTES_RESPONSE = 0x04
    WRITE_ATTRIBUTES_NO_RESPONSE = 0x05
    CONFIGURE_REPORTING = 0x06
    CONFIGURE_REPORTING_RESPONSE = 0x07
    READ_REPORTING = 0x08
    READ_REPORTING_RESPONSE = 0x09
    REPORT_ATTRIBUTES = 0x0A
    DEFAULT_RESPONSE = 0x0B
    DISCOVER_ATTRIBUTES = 0x0C
    DISCOVER_ATTRIBUTES_RESPONSE = 0x0D

    @property
    def title(self) -> str:
        return self.name.replace("_", " ").title()


COMMANDS = {command.value: command.title for command in Command}


@dataclass(frozen=True, slots=True)
class Foundation:
    """Reads the body of a general command to one cluster."""

    names: Names
    cluster: int
    to_client: bool

    def read(self, cursor: Cursor, command: int) -> tuple[Node, ...]:
        if command == Command.DEFAULT_RESPONSE:
            return self._default_response(cursor)
        if command == Command.WRITE_ATTRIBUTES_RESPONSE and cursor.left == 1:
            return (Node("status", self.names.word(_STATUS, cursor.u8())),)
        record = self._RECORDS.get(command)
        if record is None:
            return () if cursor.at_end else (Node("body", cursor.rest().hex()),)
        told = []
        while not cursor.at_end:
            told.append(record(self, cursor))
        return tuple(told)

    def _attribute(self, cursor: Cursor) -> Shape:
        """`0x0700 name`: a name alone would not tell an attribute from its neighbour of another set."""
        number = cursor.u16()
        known = self.names.cluster(self.cluster).attributes.get(number)
        return Shape(known.name, known.hint) if known else Shape(f"attribute {number:#06x}")

    def _read(self, cursor: Cursor) -> Node:
        number = int.from_bytes(cursor.peek(2), "little")
        return Node("attribute", f"{number:#06x} {self._attribute(cursor).name}")

    def _read_response(self, cursor: Cursor) -> Node:
        attribute = self._attribute(cursor)
        status = cursor.u8()
        if status != _SUCCESS:
            return Node(attribute.name, children=(Node("status", self.names.word(_STATUS, status)),))
        return Fields(self.names).typed(cursor, cursor.u8(), attribute)

    def _valued(self, cursor: Cursor) -> Node:
        attribute = self._attribute(cursor)
        return Fields(self.names).typed(cursor, cursor.u8(), attribute)

    def _write_response(self, cursor: Cursor) -> Node:
        status = self.names.word(_STATUS, cursor.u8())
        return Node(self._attribute(cursor).name, children=(Node("status", status),))

    def _configuration(self, cursor: Cursor) -> Node:
        """How an attribute is to be reported: sent by whom, how often, at which change (ZCL 2.4.7)."""
        received, attribute = cursor.u8(), self._attribute(cursor)
        if received:
            return Node(attribute.name, children=(Node("report expected within seconds", str(cursor.u16())),))
        kind = cursor.u8()
        bounds = (Node("at least every seconds", str(cursor.u16())), Node("at most every seconds", str(cursor.u16())))
        is_analog = 0x20 <= kind <= 0x2F or 0x38 <= kind <= 0x3A or 0xE0 <= kind <= 0xE2
        change = (Fields(self.names).typed(cursor, kind, Shape("at a change of")),) if is_analog else ()
        return Node(attribute.name, children=(*bounds, *change))

    def _configuration_response(self, cursor: Cursor) -> Node:
        status = Node("status", self.names.word(_STATUS, cursor.u8()))
        if cursor.at_end:
            return status
        direction = Node("direction", str(cursor.u8()))
        return Node(self._attribute(cursor).name, children=(status, direction))

    def _default_response(self, cursor: Cursor) -> tuple[Node, ...]:
        """Which command is answered: one that went the other way (ZCL 2.4.12)."""
        number = cursor.u8()
        known = self.names.cluster(self.cluster)
        shape = (known.to_server if self.to_client else known.to_client).get(number)
        command = f"{number:#04x}" + (f" ({shape.name})" if shape else "")
        return (Node("command", command), Node("status", self.names.word(_STATUS, cursor.u8())))

    _RECORDS = {
        int(Command.READ_ATTRIBUTES): _read,
        int(Command.READ_ATTRIBUTES_RESPONSE): _read_response,
        int(Command.WRITE_ATTRIBUTES): _valued,
        int(Command.WRITE_ATTRIBUTES_UNDIVIDED): _valued,
        int(Command.WRITE_ATTRIBUTES_RESPONSE): _write_response,
        int(Command.WRITE_ATTRIBUTES_NO_RESPONSE): _valued,
        int(Command.CONFIGURE_REPORTING): _configuration,
        int(Command.CONFIGURE_REPORTING_RESPONSE): _configuration_response,
        int(Command.REPORT_ATTRIBUTES): _valued,
    }
