"""What a DLMS access request asks, as values: attributes read and set, methods executed (Green Book 9.5)."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from smki.gbcs.header import encode_length
from smki.gbcs.payload.cosem_data import Value, read_count, read_value
from smki.gbcs.payload.octets import Cursor, fault

ACCESS_REQUEST, ACCESS_RESPONSE, DATA_NOTIFICATION = 0xD9, 0xDA, 0x0F
_INVOKE = b"\x20"  # confirmed, not self-descriptive, normal priority: the same in every message (GBCS 7.2.8)
MAX_ASKED = 127  # as many as one octet of length can say; no use case asks for nearly as many


class Access(IntEnum):
    """The choices of Access-Request-Specification and of Access-Response-Specification (Green Book 9.5)."""

    GET = 1
    SET = 2
    ACTION = 3
    GET_WITH_SELECTION = 4
    SET_WITH_SELECTION = 5

    @property
    def plain(self) -> "Access":
        """What it is without a selection: results say no more of it."""
        return _PLAIN.get(self, self)


_PLAIN = {Access.GET_WITH_SELECTION: Access.GET, Access.SET_WITH_SELECTION: Access.SET}

_WITH_SELECTION = {Access.GET_WITH_SELECTION, Access.SET_WITH_SELECTION}


@dataclass(frozen=True, slots=True)
class Specification:
    """One thing asked: which attribute is read or set, which method executed."""

    access: Access
    class_id: int
    logical_name: bytes
    member: int
    selector: int | None = None
    selection: Value | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """One thing asked, and the data that came with it: as a value, and as its octets."""

    specification: Specification
    value: Value
    octets: bytes


def read_request(payload: bytes) -> tuple[Asked, ...]:
    """A whole access request, to its last octet. One that asks too much is refused here, before any of it is done."""
    cursor = Cursor(payload, "big")
    cursor.expect(bytes((ACCESS_REQUEST,)), "an access request")
    read_invoke(cursor)
    cursor.expect(b"\0", "no date-time")
    specifications = read_specifications(cursor)
    count = len(specifications)
    if count > MAX_ASKED:
        cursor.refuse(f"{count} things are asked at once, and {MAX_ASKED} can be")
    if read_count(cursor) != count:
        cursor.refuse(f"not as many values as the {count} things asked")
    asked = []
    for specification in specifications:
        start = cursor.offset
        value = read_value(cursor)
        asked.append(Asked(specification, value, payload[start : cursor.offset]))
    cursor.finish()
    return tuple(asked)


def write_response(request: bytes, answered: Sequence[tuple[Access, bytes, int]]) -> bytes:
    """The answer to a request: data and a result for each thing asked, in order (Green Book 9.4.6.5)."""
    count = encode_length(len(answered))
    data = b"".join(octets for _, octets, _ in answered)
    results = b"".join(bytes((access.plain, result)) for access, _, result in answered)
    return bytes((ACCESS_RESPONSE,)) + request[1:5] + b"\0\0" + count + data + count + results


def read_invoke(cursor: Cursor) -> int:
    """The low 24 bits of the Originator Counter, which every payload repeats."""
    cursor.expect(_INVOKE, "long-invoke-id-and-priority")
    return cursor.unsigned(3)


def write_invoke(counter: int) -> bytes:
    """The same, as it is written."""
    return _INVOKE + (counter & 0xFFFFFF).to_bytes(3)


def read_specifications(cursor: Cursor) -> list[Specification]:
    return [_specification(cursor) for _ in range(read_count(cursor))]


def _specification(cursor: Cursor) -> Specification:
    access = read_choice(cursor)
    class_id, name = cursor.u16(), cursor.take(6)
    member = cursor.u8()  # attribute and method numbers are Integer8, and negative ones are never used in GBCS
    if access not in _WITH_SELECTION:
        return Specification(access, class_id, name, member)
    return Specification(access, class_id, name, member, cursor.u8(), read_value(cursor))


def read_choice(cursor: Cursor) -> Access:
    number = cursor.u8()
    try:
        return Access(number)
    except ValueError:
        raise fault(cursor.offset - 1, f"{number} is none of get, set and action") from None


def read_values(cursor: Cursor, count: int) -> tuple[Value, ...]:
    """As many values as there are specifications or results, which stand on the other side of them."""
    told = read_count(cursor)
    if told != count:
        cursor.refuse(f"{told} values belong to {count} specifications")
    return tuple(read_value(cursor) for _ in range(count))
