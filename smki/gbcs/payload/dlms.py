"""DLMS COSEM payloads in words: access request, access response, data notification (Green Book 9.5; GBCS 7.2.8)."""

from collections.abc import Mapping

from smki.gbcs.payload import dates
from smki.gbcs.payload.access import (
    ACCESS_REQUEST,
    ACCESS_RESPONSE,
    DATA_NOTIFICATION,
    Access,
    Specification,
    read_choice,
    read_invoke,
    read_specifications,
    read_values,
)
from smki.gbcs.payload.cosem_data import Type, Value, read_count, read_length, read_value
from smki.gbcs.payload.cosem_words import Words, blocks, logical_name
from smki.gbcs.payload.names import Names
from smki.gbcs.payload.octets import Cursor, fault
from smki.gbcs.payload.shape import Form, Shape
from smki.gbcs.payload.tree import NOTHING, Node, Payload

_VALUE = Shape("value")


_VERBS = {
    Access.GET: "Read",
    Access.SET: "Set",
    Access.ACTION: "Execute",
    Access.GET_WITH_SELECTION: "Read part of",
    Access.SET_WITH_SELECTION: "Set part of",
}
_READS = {Access.GET, Access.GET_WITH_SELECTION}


def read_dlms(payload: bytes, names: Names, *, decrypted: Mapping[int, bytes] = NOTHING) -> Payload:
    """Read a DLMS COSEM payload; `decrypted` gives the plaintext of encrypted blocks by their offset."""
    cursor = Cursor(payload, "big")
    tag = cursor.u8()
    reader = _READERS.get(tag)
    if reader is None:
        raise fault(0, f"{tag:#04x} begins no access request, access response or data notification")
    counter_bits = read_invoke(cursor)
    nodes, values = reader(cursor, Words(names, decrypted))
    cursor.finish()
    encrypted = tuple(block for value in values for block in blocks(value))
    for offset in decrypted.keys() - {block.offset for block in encrypted}:
        raise fault(offset, "a plaintext is given, and no encrypted block begins there")
    return Payload(nodes, encrypted, counter_bits)


def read_data(octets: bytes, names: Names) -> Node:
    """Read one DLMS value, such as the plaintext of an encrypted block."""
    return Words(names, NOTHING).whole(octets, _VALUE)


_Read = tuple[tuple[Node, ...], tuple[Value, ...]]


def _read_request(cursor: Cursor, words: Words) -> _Read:
    moment = _date_time(cursor)
    specifications = read_specifications(cursor)
    values = read_values(cursor, len(specifications))
    asked = tuple(_asked(words, *pair) for pair in zip(specifications, values, strict=True))
    selections = tuple(each.selection for each in specifications if each.selection)
    return moment + asked, (*selections, *values)


def _asked(words: Words, asked: Specification, value: Value) -> Node:
    """`Set Billing calendar (Single action schedule): execution_time`, with what it is set to."""
    if asked.access in _READS and value.type is not Type.NULL:
        raise fault(value.offset, "a value is given to an attribute that is read")
    named = words.names.cosem_class(asked.class_id)
    is_method = asked.access is Access.ACTION
    member = named.method(asked.member) if is_method else named.attribute(asked.member)
    member = Shape("logical_name", "obis") if asked.member == 1 and not is_method else member
    title = f"{_VERBS[asked.access]} {words.object_name(asked.class_id, asked.logical_name)}: {member.name}"
    about = (Node("object", f"class {asked.class_id}, {logical_name(asked.logical_name)}"), *_selected(words, asked))
    if asked.access in _READS:
        return Node(title, children=about)
    subject = words.names.objects.get(logical_name(asked.logical_name))
    told = words.node(value, member, subject or _VALUE)
    return Node(title, told.value, about + told.children)


def _selected(words: Words, asked: Specification) -> tuple[Node, ...]:
    if asked.selection is None:
        return ()
    shape = words.names.shapes.get(f"selection-{asked.class_id}-{asked.selector}", _VALUE)
    told = words.node(asked.selection, shape)
    return (Node(f"selected by {told.name} ({asked.selector})", told.value, told.children),)


# Responses and alerts

_RESULTS = {
    Access.GET: ("read", "data-access-result"),
    Access.SET: ("set", "data-access-result"),
    Access.ACTION: ("execute", "action-result"),
}


def _read_response(cursor: Cursor, words: Words) -> _Read:
    moment = _date_time(cursor)
    cursor.expect(b"\x00", "the specification, which a response leaves out,")
    values = tuple(read_value(cursor) for _ in range(read_count(cursor)))
    if read_length(cursor) != len(values):
        raise fault(cursor.offset - 1, f"the number of results is not that of the values, {len(values)}")
    return moment + tuple(_result(cursor, words, value) for value in values), values


def _result(cursor: Cursor, words: Words, value: Value) -> Node:
    """`Result of read: 0 (success)`, with the value that came."""
    access = read_choice(cursor)
    if access not in _RESULTS:
        raise fault(cursor.offset - 1, f"{access} is no kind of result")
    verb, table = _RESULTS[access]
    shape = words.names.shapes["protected-data"] if _is_protected(value, words) else _VALUE
    told = () if value.type is Type.NULL else (words.node(value, shape),)
    return Node(f"Result of {verb}", words.names.word(table, cursor.u8()), told)


def _is_protected(value: Value, words: Words) -> bool:
    """What get_protected_attributes of class 30 answers: protection parameters, then a block (Blue Book 4.4.9)."""
    return (
        "protected-data" in words.names.shapes
        and value.type is Type.STRUCTURE
        and [item.type for item in value.items] == [Type.ARRAY, Type.OCTET_STRING]
        and any(blocks(value))
    )


def _read_notification(cursor: Cursor, words: Words) -> _Read:
    """An alert: its code, its time, and what else it tells (GBCS 16.2)."""
    moment = _date_time(cursor)
    value = read_value(cursor)
    if value.type is not Type.STRUCTURE or [item.type for item in value.items[:2]] != [
        Type.LONG_UNSIGNED,
        Type.OCTET_STRING,
    ]:
        raise fault(value.offset, "an alert is a structure of code, time, and what else it tells")
    code = value.items[0].content
    assert isinstance(code, int)
    known = words.names.alerts.get(code)
    told = _details(words, value.items[2:], known)
    alert = Node("Alert", f"{code:04X}" + (f" ({known.name})" if known else ""))
    return (*moment, alert, words.node(value.items[1], Shape("time", "date-time")), *told), (value,)


def _details(words: Words, values: tuple[Value, ...], known: Shape | None) -> tuple[Node, ...]:
    parts = known.parts if known and known.form is Form.STRUCTURE else ()
    if not parts and [value.type for value in values] == [Type.ARRAY, Type.OCTET_STRING]:
        protected = words.names.shapes.get("protected-data")
        parts = protected.parts if protected else ()
    if len(parts) != len(values):
        parts = tuple(Shape(f"detail {index + 1}") for index in range(len(values)))
    return words.members(values, parts)


def _date_time(cursor: Cursor) -> tuple[Node, ...]:
    """The optional date-time of the service: absent, or twelve octets."""
    length = read_length(cursor)
    if length == 0:
        return ()
    at = cursor.offset
    told = dates.date_time(cursor.take(length))
    if told is None:
        raise fault(at, "no date-time of COSEM")
    return (Node("date-time", told),)


_READERS = {
    ACCESS_REQUEST: _read_request,
    ACCESS_RESPONSE: _read_response,
    DATA_NOTIFICATION: _read_notification,
}
