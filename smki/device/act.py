"""What a device does when a command is good, and what it says of it.

A meter on a desk has no load switch and no registers: what is set is remembered, what is executed is told, what is
read is what was set before. Credentials, clock and prepayment tokens are handled as a meter does.
"""

from dataclasses import replace
from datetime import datetime

from cryptography.hazmat import asn1

from smki.device import hub, joins
from smki.device import verdict as rules
from smki.device.answer import Seal
from smki.device.cells import CellName, CellUse
from smki.device.credentials import update_credentials
from smki.device.done import Done
from smki.device.establishment import ALONE, Surroundings
from smki.device.modes import RULES_BY_CODE, cell_usage, key_usage_bits
from smki.device.own_keys import install, make_request, provide
from smki.device.prepayment import pay_command
from smki.device.state import DeviceKeys, DeviceState
from smki.device.verdict import Failed
from smki.entity import DeviceType, RemotePartyRole
from smki.errors import InvalidInput
from smki.gbcs.header import encode_length
from smki.gbcs.message import Message
from smki.gbcs.payload.access import ACCESS_REQUEST, Access, Asked, read_request, write_response
from smki.gbcs.payload.components import GBZ, Component, components, write_components
from smki.gbcs.payload.credentials import (
    CS02A,
    CS02C,
    CS02D,
    CS02E,
    CS02F,
    CellContents,
    DetailsCommand,
    DetailsResponse,
    RoleDetails,
    StatusCode,
)
from smki.gbcs.payload.declared import enumerated, read_declared, write_declared
from smki.gbcs.payload.firmware import GCS28, Clock, ClockCommand, ClockResponse, ClockStatus
from smki.gbcs.payload.operations import object_text
from smki.gbcs.top_up import UTRN_DIGITS

_PROTECTION = (0x001E, bytes.fromhex("00002b0208ff"), 1)  # data protection object, get_protected_attributes
_PARAMETERS_START = bytes.fromhex("010102021602020509" + "0904")  # authentication and encryption; transaction-id
_PARAMETERS_END = bytes.fromhex("0900" + "02021602" + "0202090102" + "0900")  # agreed key, static unified model
# Results of access (Green Book 9.5): success; object-undefined
_SUCCESS, _UNDEFINED = 0, 4
_NULL = b"\x00"
# ZCL: frame control of what a server answers, default response and read attributes with their response (ZCL 2.4, 2.5)
_FROM_SERVER, _READ, _READ_RESPONSE, _DEFAULT_RESPONSE = 0x08, 0x00, 0x01, 0x0B
_NO_SUCH_ATTRIBUTE = 0x86


def act(
    state: DeviceState,
    keys: DeviceKeys,
    message: Message,
    token: bool,
    seal: Seal,
    at: datetime,
    around: Surroundings = ALONE,
) -> Done:
    """Obey a command that passed every check. `token` says that it carries a prepayment token."""
    payload, code = message.payload, int(message.header.code)
    try:
        if state.kind is DeviceType.CHF and code in hub.CODES:
            return hub.act_on(state, keys, message, at)
        if code in joins.CODES:
            return joins.act_on(state, keys, message.header.code, payload, around, at)
        if payload[:1] == bytes((ACCESS_REQUEST,)):
            return _access(state, keys, message, token, seal)
        if payload[: len(GBZ)] == GBZ:
            return _zigbee(state, keys, message, token)
        if code in {CS02A, CS02F}:
            return _details(state, payload, code)
        if message.header.code in RULES_BY_CODE:
            return _update(state, keys, message, at)
        if code in {CS02C, CS02D, CS02E}:
            return _own_keys(state, keys, message)
        if code == GCS28:
            return _set_clock(state, payload, at)
    except InvalidInput as error:
        raise Failed(rules.PAYLOAD, error.message) from None
    raise Failed(rules.NOT_DONE, f"{message.header.code} is good, and this device does not act on it")


# DLMS


def _access(state: DeviceState, keys: DeviceKeys, message: Message, token: bool, seal: Seal) -> Done:
    """Each thing asked is answered by data and a result, in order (Green Book 9.4.6.5)."""
    asked = read_request(message.payload)
    answered_all, changes = list[tuple[Access, bytes, int]](), list[str]()
    for item in asked:
        kind = item.specification.access.plain
        answered = _NULL
        if token:
            state, told = pay_command(state, keys, message, item.value.content)
            changes.append(told)
        elif kind is Access.GET:
            answered = state.values.get(_name(item), _NULL)
        elif kind is Access.SET:
            state = replace(state, values={**state.values, _name(item): item.octets})
            changes.append(f"set {_name(item)} to {item.octets.hex()}")
        elif _is_protected_read(item):
            answered = _protected(state, message, item, seal)
        else:
            changes.append(f"executed {_name(item)} with {item.octets.hex()}")
        known = kind is not Access.GET or _name(item) in state.values
        answered_all.append((kind, answered, _SUCCESS if known else _UNDEFINED))
    return Done(state, write_response(message.payload, answered_all), tuple(changes))


def _name(item: Asked) -> str:
    """`class 9 0-0:10.0.106.255 1`."""
    one = item.specification
    return object_text(one.class_id, one.logical_name, one.member)


def _is_protected_read(item: Asked) -> bool:
    one = item.specification
    return one.access is Access.ACTION and (one.class_id, one.logical_name, one.member) == _PROTECTION


def _protected(state: DeviceState, message: Message, item: Asked, seal: Seal) -> bytes:
    """Sensitive attributes, encrypted for the one who asks: parameters, then the sealed values (GBCS 7.3.7)."""
    objects = item.value.items[0].items if item.value.items else ()
    values = []
    for one in objects:
        class_id, name, attribute = (part.content for part in one.items[:3])
        if not (
            isinstance(class_id, int) and isinstance(name, bytes) and len(name) == 6 and isinstance(attribute, int)
        ):
            raise InvalidInput(
                "device.protected", "it asks for what is no attribute", "name class, object and number"
            )
        values.append(state.values.get(object_text(class_id, name, attribute), _NULL))
    block = seal(bytes((0x02, len(values))) + b"".join(values))
    extra = message.header.supplementary
    counter = message.header.counter if extra is None or extra.certificate is None else state.own_counter
    party = message.header.originator if extra is None else extra.party
    parameters = b"".join(
        (
            _PARAMETERS_START,
            counter.to_bytes(8),
            b"\x09\x08" + state.device.octets,
            b"\x09\x08" + party.octets,
            _PARAMETERS_END,
        )
    )
    return b"\x02\x02" + parameters + b"\x09" + encode_length(len(block)) + block


# GBZ


def _zigbee(state: DeviceState, keys: DeviceKeys, message: Message, token: bool) -> Done:
    changes, answers = list[str](), list[tuple[int, bytes]]()
    for one in components(message.payload):
        reads = one.frame & 3 == 0 and one.command == _READ
        if token:
            state, told = pay_command(state, keys, message, one.body[-UTRN_DIGITS:])
            changes.append(told)
        elif not reads:
            changes.append(f"executed cluster 0x{one.cluster:04X} command 0x{one.command:02X} with {one.body.hex()}")
        answers.append((one.cluster, _read_nothing(one) if reads else _default(one)))
    return Done(state, write_components(answers), tuple(changes))


def _default(one: Component) -> bytes:
    return bytes((_FROM_SERVER, 0, _DEFAULT_RESPONSE, one.command, 0))


def _read_nothing(one: Component) -> bytes:
    """A desk has no ZigBee attributes: each asked for is answered as unsupported."""
    attributes = (one.body[at : at + 2] for at in range(0, len(one.body), 2))
    told = b"".join(attribute + bytes((_NO_SUCH_ATTRIBUTE,)) for attribute in attributes)
    return bytes((_FROM_SERVER, 0, _READ_RESPONSE)) + told


# Security


def _details(state: DeviceState, payload: bytes, code: int) -> Done:
    """CS02a and CS02f: what is in the cells of some roles (GBCS 13.2)."""
    wanted = read_declared(DetailsCommand, payload).payload.roles
    absent = StatusCode.TRUST_ANCHOR_NOT_FOUND if code == CS02A else StatusCode.OTHER
    found = [_role_details(state, role, absent) for role in wanted]
    return Done(state, write_declared(DetailsResponse(payload=found)))


def _role_details(state: DeviceState, role: RemotePartyRole, absent: StatusCode) -> RoleDetails:
    cells = [
        CellContents(
            key_usage=key_usage_bits(name.use),
            cell_usage=cell_usage(name.use),
            subject_unique_id=cell.entity.octets,
            subject_key_identifier=cell.key_identifier,
        )
        for use in CellUse
        for name, cell in state.cells.items()
        if name == CellName(role, use)
    ]
    if not cells:
        return RoleDetails(role=role, status_code=enumerated(absent), current_counter=None, cells=None)
    counter = state.counters.get(role, 0)
    return RoleDetails(role=role, status_code=enumerated(StatusCode.SUCCESS), current_counter=counter, cells=cells)


def _update(state: DeviceState, keys: DeviceKeys, message: Message, at: datetime) -> Done:
    """CS02b and CS02g: other certificates in the cells. What was shared with who is gone is forgotten."""
    done = update_credentials(state, message, at)
    keys.secrets.forget()
    return done


def _own_keys(state: DeviceState, keys: DeviceKeys, message: Message) -> Done:
    """CS02c, CS02d, CS02e."""
    if message.header.code == CS02E:
        return Done(state, provide(state, message.payload))
    change = make_request if message.header.code == CS02C else install
    return change(state, keys, message.payload)


def _set_clock(state: DeviceState, payload: bytes, at: datetime) -> Done:
    """GCS28: the clock is believed when the time given brackets its own (GBCS annex 3)."""
    asked = read_declared(ClockCommand, payload).payload
    start, end = asked.validity_interval_start.as_datetime(), asked.validity_interval_end.as_datetime()
    reliable = start <= at <= end
    told = Clock(
        device_time=asn1.GeneralizedTime(at.replace(microsecond=0)),
        status=ClockStatus.RELIABLE if reliable else ClockStatus.UNRELIABLE,
    )
    changes = ("the clock is reliable",) if reliable else ("the clock is unreliable",)
    return Done(state, write_declared(ClockResponse(payload=told)), changes)
