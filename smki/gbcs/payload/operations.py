"""What a command asks a device to do, exact to the octet: for comparing and for rules, not for reading."""

from collections.abc import Iterator
from dataclasses import dataclass

from smki.gbcs.payload.access import ACCESS_REQUEST, Access, read_request
from smki.gbcs.payload.components import GBZ, components
from smki.gbcs.payload.cosem_data import Type, Value

_DATES = (12, 5, 4)  # octets that are shown as a date or time, which leaves some of them out


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing asked of a device."""

    what: str
    """`execute class 9 0-0:10.0.106.255 1`, `cluster 0x0702 command 0x0B`."""
    data: bytes
    form: str
    """The types of its data, and whatever of its octets words do not show."""


def operations(payload: bytes) -> tuple[Operation, ...]:
    """Everything a DLMS or GBZ command asks; nothing of other payloads."""
    if payload[:1] == bytes((ACCESS_REQUEST,)):
        return tuple(_accesses(payload))
    if payload[: len(GBZ)] == GBZ:
        return tuple(_commands(payload))
    return ()


def object_text(class_id: int, name: bytes, member: int) -> str:
    a, b, c, d, e, f = name
    return f"class {class_id} {a}-{b}:{c}.{d}.{e}.{f} {member}"


def _accesses(payload: bytes) -> Iterator[Operation]:
    verbs = {Access.ACTION: "execute", Access.SET: "set", Access.SET_WITH_SELECTION: "set"}
    for asked in read_request(payload):
        one = asked.specification
        what = f"{verbs.get(one.access, 'read')} {object_text(one.class_id, one.logical_name, one.member)}"
        selected = "" if one.selection is None else f"{one.selector} {_form(one.selection)}, "
        yield Operation(what, asked.octets, selected + _form(asked.value))


def _form(value: Value) -> str:
    name = value.type.name.lower().replace("_", "-")
    if value.items:
        return f"{name}({', '.join(_form(item) for item in value.items)})"
    if value.type is Type.BOOLEAN or (isinstance(value.content, bytes) and len(value.content) in _DATES):
        content = value.content.hex() if isinstance(value.content, bytes) else f"{value.content:02x}"
        return f"{name} {content}"
    return name


def _commands(payload: bytes) -> Iterator[Operation]:
    for one in components(payload):
        head = bytes((one.control, one.frame, one.sequence)).hex()
        yield Operation(f"cluster 0x{one.cluster:04X} command 0x{one.command:02X}", one.body, f"header {head}")
