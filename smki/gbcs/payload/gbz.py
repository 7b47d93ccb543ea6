"""GBZ payloads in words: ZigBee commands and answers, one to a component, and alerts (GBCS 7.2.10; ZCL 2.4)."""

from collections.abc import Mapping
from dataclasses import dataclass

from smki.gbcs.payload import dates
from smki.gbcs.payload.components import ENCRYPTED, FROM_DATE_TIME, GBZ, LAST
from smki.gbcs.payload.foundation import COMMANDS, Foundation
from smki.gbcs.payload.names import Names
from smki.gbcs.payload.octets import Cursor, fault
from smki.gbcs.payload.shape import Form, Shape
from smki.gbcs.payload.tree import NOTHING, EncryptedBlock, Node, Payload
from smki.gbcs.payload.zcl_data import Fields
from smki.gbcs.protection import MIN_BLOCK_OCTETS, SECURITY_HEADER

_FUTURE_DATED = 0x8F66  # the alert that tells of a command executed at its date
_ALERT = 0x80  # alert codes are 8000 and up; the control octet of a component has no such bit
_CLUSTER_SPECIFIC, _MANUFACTURER, _TO_CLIENT, _NO_DEFAULT_RESPONSE = 0x01, 0x04, 0x08, 0x10
_KNOWN_FRAME_CONTROL = _CLUSTER_SPECIFIC | _MANUFACTURER | _TO_CLIENT | _NO_DEFAULT_RESPONSE


@dataclass(frozen=True, slots=True)
class _Header:
    """What stands before the body of a ZCL frame (ZCL 2.4.1)."""

    control: int
    sequence: int
    command: int
    manufacturer: int | None

    @property
    def to_client(self) -> bool:
        return bool(self.control & _TO_CLIENT)

    def told(self) -> str:
        maker = "" if self.manufacturer is None else f", manufacturer {self.manufacturer:#06x}"
        quiet = ", no default response" if self.control & _NO_DEFAULT_RESPONSE else ""
        direction = "server to client" if self.to_client else "client to server"
        return f"{direction}, sequence {self.sequence}{quiet}{maker}"


def read_gbz(payload: bytes, names: Names, *, decrypted: Mapping[int, bytes] = NOTHING) -> Payload:
    """Read a GBZ payload; `decrypted` gives the plaintext of encrypted blocks by their offset."""
    cursor = Cursor(payload, "little")
    cursor.expect(GBZ, "the profile")
    if len(payload) > len(GBZ) + 1 and payload[len(GBZ) + 1] & _ALERT:
        read = Payload(_read_alert(cursor, names))
    else:
        read = _read_components(cursor, names, decrypted)
    cursor.finish()
    for offset in decrypted.keys() - {block.offset for block in read.encrypted}:
        raise fault(offset, "a plaintext is given, and no encrypted block begins there")
    return read


def _read_components(cursor: Cursor, names: Names, decrypted: Mapping[int, bytes]) -> Payload:
    count = cursor.u8()
    if count == 0:
        cursor.refuse("a payload without components says nothing")
    reader = _Components(names, decrypted)
    nodes: list[Node] = []
    for left in range(count - 1, -1, -1):
        nodes += reader.read(cursor, is_last=left == 0)
    return Payload(tuple(nodes), tuple(reader.encrypted))


class _Components:
    """Reads components, and remembers where the encrypted ones lie."""

    def __init__(self, names: Names, decrypted: Mapping[int, bytes]) -> None:
        self._names = names
        self._decrypted = decrypted
        self.encrypted: list[EncryptedBlock] = []

    def read(self, cursor: Cursor, *, is_last: bool) -> tuple[Node, ...]:
        """One component: control, cluster and length in front (GBCS 7.2.10), then a ZCL frame."""
        control = cursor.u8()
        if control & ~(LAST | ENCRYPTED | FROM_DATE_TIME) or bool(control & LAST) != is_last:
            raise fault(cursor.offset - 1, f"control {control:#04x} has unknown bits, or is wrong on being the last")
        cluster = int.from_bytes(cursor.take(2), "big")
        part = cursor.part(int.from_bytes(cursor.take(2), "big"))
        above = tuple(self._before(part, control))
        header = _header(part)
        node = self._frame(part, cluster, header, is_encrypted=bool(control & ENCRYPTED))
        part.finish()
        return (Node(node.name, node.value, (*above, Node("frame", header.told()), *node.children)),)

    @staticmethod
    def _before(part: Cursor, control: int) -> list[Node]:
        above = []
        if control & ENCRYPTED:
            above.append(Node("additional header", f"control {part.u8()}, frame counter {part.u8()}"))
        if control & FROM_DATE_TIME:
            above.append(Node("from", dates.utc(int.from_bytes(part.take(4), "big"))))
        return above

    def _frame(self, part: Cursor, cluster: int, header: _Header, *, is_encrypted: bool) -> Node:
        known = self._names.cluster(cluster)
        is_specific = bool(header.control & _CLUSTER_SPECIFIC)
        shapes = known.to_client if header.to_client else known.to_server
        shape = shapes.get(header.command) if header.manufacturer is None else None
        title = COMMANDS.get(header.command) if not is_specific else shape.name if shape else None
        name = f"{known.name}: {title or f'command {header.command:#04x}'}"
        body = _Body(self._names, cluster, header, shape if is_specific else None, header.told())
        if not is_encrypted:
            return Node(name, children=body.read(part))
        return Node(name, children=(self._block(part, body),))

    def _block(self, part: Cursor, body: "_Body") -> Node:
        """An encrypted body: its length, big-endian, and the block (GBCS 8.4)."""
        length, offset = int.from_bytes(part.take(2), "big"), part.offset
        block = part.take(length)
        if not block.startswith(SECURITY_HEADER) or length <= MIN_BLOCK_OCTETS:
            raise fault(offset, "an encrypted component should hold 31 00000000, ciphertext and tag")
        self.encrypted.append(EncryptedBlock(offset, length))
        plaintext = self._decrypted.get(offset)
        told = f"encrypted, {length} octets"
        if plaintext is None:
            return Node("body", told)
        cursor = Cursor(plaintext, "little")
        children = body.read(cursor)
        cursor.finish()
        return Node("body", told, (Node("decrypted", children=children),))


def _header(part: Cursor) -> _Header:
    control = part.u8()
    if control & ~_KNOWN_FRAME_CONTROL:
        raise fault(part.offset - 1, f"frame control {control:#04x} is no frame of ZCL")
    manufacturer = part.u16() if control & _MANUFACTURER else None
    return _Header(control, part.u8(), part.u8(), manufacturer)


@dataclass(frozen=True, slots=True)
class _Body:
    """What a frame says after its header."""

    names: Names
    cluster: int
    header: _Header
    shape: Shape | None
    frame: str

    def read(self, cursor: Cursor) -> tuple[Node, ...]:
        if not self.header.control & _CLUSTER_SPECIFIC and self.header.manufacturer is None:
            return Foundation(self.names, self.cluster, to_client=self.header.to_client).read(
                cursor, self.header.command
            )
        if self.shape is not None and self.shape.form is Form.STRUCTURE:
            told = Fields(self.names).read(cursor, self.shape.parts)
            return told if cursor.at_end else (*told, Node("further octets", cursor.rest().hex()))
        return () if cursor.at_end else (Node("body", cursor.rest().hex()),)


# Alerts


def _read_alert(cursor: Cursor, names: Names) -> tuple[Node, ...]:
    """A count of parts, code and time, then what else the alert tells (GBCS 16.2)."""
    parts = cursor.u8()
    code, seconds = int.from_bytes(cursor.take(2), "big"), int.from_bytes(cursor.take(4), "big")
    known = names.alerts.get(code)
    told = f"{code:04X}" + (f" ({known.name})" if known else "")
    nodes = (Node("Alert", told), Node("time", dates.utc(seconds)))
    if cursor.at_end == (parts != 0):
        cursor.refuse(f"an alert announces {parts} parts, and {cursor.left} octets follow")
    if cursor.at_end:
        return nodes
    if code == _FUTURE_DATED:
        return (*nodes, _executed(cursor, names))
    return (*nodes, Node("detail", cursor.rest().hex()))


def _executed(cursor: Cursor, names: Names) -> Node:
    """The command that was executed at its date: its message code, counter, cluster and ZCL command."""
    cursor.expect(b"\x0e", "the length of what names a command")
    code, counter = cursor.take(2).hex().upper(), int.from_bytes(cursor.take(8), "big")
    known = names.cluster(int.from_bytes(cursor.take(2), "big"))
    control, number = cursor.u8(), cursor.u8()
    shape = (known.to_client if control & _TO_CLIENT else known.to_server).get(number)
    command = shape.name if shape else f"command {number:#04x}"
    return Node("command", f"message code {code}, counter {counter}: {known.name}: {command}")
