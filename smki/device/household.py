"""One device of a home commands another, without anyone outside: a PPMID and its gas meter (PCS01, PCS02; GBCS 13.7).

What protects these messages is the secret of their join by method C, and a counter that the meter keeps of the
PPMID.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from smki.device import verdict as rules
from smki.device.answer import alert
from smki.device.joins import shared_with
from smki.device.prepayment import pay_digits
from smki.device.state import DeviceKeys, DeviceState
from smki.device.verdict import Failed, Step, Verdict
from smki.entity import EntityId
from smki.errors import InvalidInput, Refused
from smki.gbcs.header import MAX_COUNTER, Cra, Header, MessageCode
from smki.gbcs.message import Message, Protection
from smki.gbcs.payload.components import Component, components, write_components
from smki.gbcs.protection import add_mac, mac_holds
from smki.gbcs.top_up import UTRN_DIGITS, Utrn, ValueClass
from smki.gbcs.use_case import UseCase

PCS01, PCS02 = MessageCode(0x009B), MessageCode(0x0090)
_PREPAYMENT = 0x0705
# Commands of the prepayment cluster (ZSE annex D.7)
_SELECT_EMERGENCY_CREDIT, _TOP_UP, _TOP_UP_RESPONSE = 0x00, 0x04, 0x03
_TO_SERVER, _TO_CLIENT = 0x01, 0x09  # frame control: of this cluster; and from a server
_DEFAULT_RESPONSE, _GLOBAL_FROM_SERVER = 0x0B, 0x08
_IN_HOME_DISPLAY = 0x02
_NOW = bytes(4)
_ACCEPTED, _INVALID, _DUPLICATE = 0, 1, 2
_RESULTS = {_ACCEPTED: "accepted", _INVALID: "refused: an invalid top-up", _DUPLICATE: "refused: used before"}
_PENCE = {ValueClass.PENCE: 1, ValueClass.POUNDS: 100}
_MILLIPENCE = 1000  # in a penny: the unit of answers that were seen
_NO_ACCOUNT = bytes.fromhex("00000080")  # the ZigBee value for `unknown`: a meter on a desk has no account
_LEAST_RESULT = 10


@dataclass(frozen=True)
class Heard:
    """What became of a message from another device of the home."""

    verdict: Verdict
    state: DeviceState
    answer: bytes | None = None
    changes: tuple[str, ...] = ()
    alerts: tuple[bytes, ...] = ()


# The meter


def check(state: DeviceState, keys: DeviceKeys, message: Message, use_case: UseCase) -> None:
    """Checks 4 to 8 for a command of another device: joined, newer than all it sent, with the MAC of the join."""
    header = message.header
    entry = state.network.find(header.originator)
    if entry is None or entry.kind not in use_case.sending_devices:
        raise Failed(rules.NOT_JOINED, f"{header.originator} is not joined with this device")
    last = state.network.heard.get(header.originator)
    if last is not None and header.counter <= last:
        raise Failed(rules.REPLAY, f"counter {header.counter} is not above {last}, the last of {header.originator}")
    allowed = use_case.allows(Cra.COMMAND, message.protection) and message.protection is Protection.MAC
    if not allowed or header.supplementary is not None:
        raise Failed(rules.PROTECTION, f"{use_case.label} demands mac, and it carries {message.protection.value}")
    with shared_with(state, keys, header.originator) as secret:
        if secret is None:
            raise Failed(rules.NOT_JOINED, f"no secret is shared with {header.originator}: it is to be joined anew")
        if not mac_holds(message, secret):
            raise Failed(rules.MAC, f"the MAC is not by {header.originator} for this device")


def obey(state: DeviceState, keys: DeviceKeys, message: Message, use_case: UseCase, at: datetime) -> Heard:
    """Use up its counter, do what it asks, and answer under the same secret."""
    header = message.header
    state = replace(state, network=state.network.having_heard(header.originator, header.counter))
    try:
        asked = _asked(message)
        if header.code == PCS02:
            answer, told, found = _default(asked), "activated emergency credit", None
        else:
            state, answer, told, found = _top_up(state, keys, asked)
    except Failed as failure:
        state, alerts = _told(state, keys, failure.verdict, at)
        return Heard(failure.verdict, state, alerts=alerts)
    verdict = found or Verdict(rules.ACCEPTED, Step.ACT, f"{use_case.label}, by {header.originator}")
    state, alerts = _told(state, keys, verdict, at)
    reply = Header(Cra.RESPONSE, header.counter, state.device, header.originator, header.code)
    with shared_with(state, keys, header.originator) as secret:
        sealed = None if secret is None else add_mac(Message(reply, write_components([answer])), secret).encode()
    return Heard(verdict, state, sealed, (told,), alerts)


def _told(
    state: DeviceState, keys: DeviceKeys, found: Verdict, at: datetime
) -> tuple[DeviceState, tuple[bytes, ...]]:
    """What is logged, and the alert to the supplier where one is due."""
    state = state.logged(at, found.code, found.message)
    if found.alert is None:
        return state, ()
    sent = alert(state, keys, found.alert, at)
    return sent.state, () if sent.octets is None else (sent.octets,)


def _asked(message: Message) -> Component:
    """The one thing such a command asks."""
    wanted = _TOP_UP if message.header.code == PCS01 else _SELECT_EMERGENCY_CREDIT
    try:
        (one,) = components(message.payload)
    except (InvalidInput, ValueError):
        raise Failed(rules.PAYLOAD, "it is not one command of the prepayment cluster") from None
    if (one.cluster, one.command, one.frame) != (_PREPAYMENT, wanted, _TO_SERVER):
        raise Failed(rules.PAYLOAD, f"it is no such command of cluster 0x{_PREPAYMENT:04X}")
    return one


_Answer = tuple[int, bytes]


def _top_up(
    state: DeviceState, keys: DeviceKeys, asked: Component
) -> tuple[DeviceState, _Answer, str, Verdict | None]:
    """A token that does not pay is answered too: whoever keyed it in is waiting."""
    origin, length, digits = asked.body[:1], asked.body[1:2], asked.body[2:]
    if length != bytes((UTRN_DIGITS,)) or len(digits) != UTRN_DIGITS:
        raise Failed(rules.PAYLOAD, f"no token of {UTRN_DIGITS} digits")
    try:
        state, top_up = pay_digits(state, keys, digits)
    except Failed as failure:
        used = failure.verdict.code == rules.TOKEN_REPLAY.code
        answer = _result(_DUPLICATE if used else _INVALID, 0, origin)
        return state, answer, f"a token was refused: {failure.verdict.message}", failure.verdict
    pence = top_up.value * _PENCE[top_up.value_class]
    told = f"paid {top_up.value} {top_up.value_class.word}, token number {top_up.number}"
    return state, _result(_ACCEPTED, pence * _MILLIPENCE, origin), told, None


def _result(result: int, millipence: int, origin: bytes) -> _Answer:
    value = bytes((result,)) + millipence.to_bytes(4, "little") + origin + _NO_ACCOUNT
    return _PREPAYMENT, bytes((_TO_CLIENT, 0, _TOP_UP_RESPONSE)) + value


def _default(asked: Component) -> _Answer:
    return _PREPAYMENT, bytes((_GLOBAL_FROM_SERVER, 0, _DEFAULT_RESPONSE, asked.command, 0))


# The PPMID


def top_up(state: DeviceState, keys: DeviceKeys, meter: EntityId, utrn: Utrn) -> tuple[DeviceState, Message]:
    """PCS01: hand a customer's token to the gas meter."""
    body = bytes((_TO_SERVER, 0, _TOP_UP, _IN_HOME_DISPLAY, UTRN_DIGITS)) + utrn.digits.encode()
    return _command(state, keys, meter, PCS01, body)


def emergency_credit(state: DeviceState, keys: DeviceKeys, meter: EntityId) -> tuple[DeviceState, Message]:
    """PCS02: ask the gas meter for its emergency credit."""
    body = bytes((_TO_SERVER, 0, _SELECT_EMERGENCY_CREDIT)) + _NOW + bytes((_IN_HOME_DISPLAY,))
    return _command(state, keys, meter, PCS02, body)


def _command(
    state: DeviceState, keys: DeviceKeys, meter: EntityId, code: MessageCode, body: bytes
) -> tuple[DeviceState, Message]:
    if state.own_counter > MAX_COUNTER:
        raise Refused("home.counter", "this device has used up its counters", "replace it")
    header = Header(Cra.COMMAND, state.own_counter, state.device, meter, code)
    with shared_with(state, keys, meter) as secret:
        if secret is None:
            raise Refused(
                "home.not-joined", f"{state.device} shares no secret with {meter}", "join the two by method C"
            )
        message = add_mac(Message(header, write_components([(_PREPAYMENT, body)])), secret)
    network = state.network.awaiting(meter, header.counter)
    return replace(state, own_counter=state.own_counter + 1, network=network), message


def is_answer(message: Message) -> bool:
    return message.header.cra is Cra.RESPONSE and message.header.code in {PCS01, PCS02}


def hear(state: DeviceState, keys: DeviceKeys, message: Message, at: datetime) -> Heard:
    """The meter's answer, if it is the meter's and this device is waiting for it."""
    header = message.header
    try:
        if header.target != state.device:
            raise Failed(rules.TARGET, f"it is for {header.target}, and this is {state.device}")
        if (header.originator, header.counter) not in state.network.awaited:
            raise Failed(rules.REPLAY, f"no answer of {header.originator} with counter {header.counter} is awaited")
        with shared_with(state, keys, header.originator) as secret:
            if secret is None or message.protection is not Protection.MAC or not mac_holds(message, secret):
                raise Failed(rules.MAC, f"the MAC is not by {header.originator} for this device")
        told = _answer_words(message)
    except Failed as failure:
        return Heard(failure.verdict, state.logged(at, failure.verdict.code, failure.verdict.message))
    network = state.network.answered(header.originator, header.counter)
    verdict = Verdict(rules.ACCEPTED, Step.ACT, f"an answer by {header.originator}")
    return Heard(verdict, replace(state, network=network).logged(at, verdict.code, told), changes=(told,))


def _answer_words(message: Message) -> str:
    readers: dict[MessageCode, Callable[[Component], str]] = {PCS01: _result_words, PCS02: _default_words}
    try:
        (one,) = components(message.payload)
    except (InvalidInput, ValueError):
        raise Failed(rules.PAYLOAD, "it is no answer of the prepayment cluster") from None
    if one.cluster != _PREPAYMENT:
        raise Failed(rules.PAYLOAD, "it is no answer of the prepayment cluster")
    return readers[message.header.code](one)


def _result_words(one: Component) -> str:
    if one.command != _TOP_UP_RESPONSE or len(one.body) != _LEAST_RESULT or one.body[0] not in _RESULTS:
        raise Failed(rules.PAYLOAD, "it is no answer to a top-up")
    pence = int.from_bytes(one.body[1:5], "little") // _MILLIPENCE
    return f"the meter says: {_RESULTS[one.body[0]]}" + (f", {pence} pence" if pence else "")


def _default_words(one: Component) -> str:
    if one.command != _DEFAULT_RESPONSE or one.body != bytes((_SELECT_EMERGENCY_CREDIT, 0)):
        raise Failed(rules.PAYLOAD, "it is no answer to a request for emergency credit")
    return "the meter says: emergency credit is on"
