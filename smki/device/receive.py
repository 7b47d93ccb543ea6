"""A device receives a command: the nine checks of `smki.device.verdict`, in their order, then the act and its answer.

The state that comes out is to be kept before the answer is sent: a command that was obeyed is never obeyed again.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from smki.device import household
from smki.device import verdict as rules
from smki.device.act import act
from smki.device.answer import alert, respond, response_header, sealer
from smki.device.cells import CellName, CellUse, roles_of
from smki.device.credentials import advance, contingency_key
from smki.device.establishment import ALONE, Surroundings
from smki.device.holders import heard
from smki.device.modes import BROKER_CELL, CONTINGENCY_ROLE, RULES, RULES_BY_CODE
from smki.device.prepayment import is_used
from smki.device.state import DeviceKeys, DeviceState
from smki.device.verdict import Failed, Step, Verdict
from smki.entity import RemotePartyRole
from smki.errors import InvalidInput
from smki.gbcs.header import Cra
from smki.gbcs.message import Message, read_message
from smki.gbcs.payload.credentials import Mode
from smki.gbcs.protection import mac_holds, signature_holds
from smki.gbcs.use_case import HOME_CODES, TOP_UP_CATEGORY, UseCase

_CONTINGENCY = RULES[Mode.ANY_BY_CONTINGENCY].code


@dataclass(frozen=True)
class Received:
    """What became of a command."""

    verdict: Verdict
    state: DeviceState
    keys: DeviceKeys
    """Other ones than before where the device changed its own."""
    answer: bytes | None = None
    """The response; for a failure that the specification wants told, the alert."""
    changes: tuple[str, ...] = ()
    alerts: tuple[bytes, ...] = ()
    """Of what had been put off, and came due before the command; and of what the command changed."""


@dataclass(frozen=True, slots=True)
class Passed:
    """A command that passed the eight checks: what it is, and in which role its originator spoke."""

    message: Message
    use_case: UseCase
    role: RemotePartyRole | None
    """None: another device of the home sent it."""


def receive(
    state: DeviceState, keys: DeviceKeys, octets: bytes, at: datetime, around: Surroundings = ALONE
) -> Received:
    """Do what is due, then judge a command, and if it is good obey it. `around` is whom the device can reach."""
    due = advance(state, keys, at)
    found = _receive(due.state, keys, octets, at, around)
    return replace(found, changes=(*due.changes, *found.changes), alerts=(*due.alerts, *found.alerts))


def _receive(state: DeviceState, keys: DeviceKeys, octets: bytes, at: datetime, around: Surroundings) -> Received:
    try:
        message = _read(octets)  # 1
        if household.is_answer(message):
            return _heard(household.hear(state, keys, message, at), keys)
        passed = _check(state, keys, message)
    except Failed as failure:
        return _failed(state, keys, failure.verdict, at)
    use_case, role = passed.use_case, passed.role
    if role is None:
        return _heard(household.obey(state, keys, message, use_case, at), keys)
    # Used up before anything is done, so that nothing that fails below can be sent again.
    state = _count(state, passed, role)
    header = response_header(state, message, use_case, at)
    try:
        token = use_case.category == TOP_UP_CATEGORY
        done = act(state, keys, message, token, sealer(state, keys, message, header, role), at, around)
    except Failed as failure:
        return _failed(state, keys, failure.verdict, at)
    sent = respond(done.state, keys, message, use_case, role, Message(header, done.payload))
    text = f"{use_case.label}, by {role.word} {message.header.originator}"
    found = Verdict(rules.ACCEPTED, Step.ACT, text)
    after = sent.state.logged(at, rules.ACCEPTED, text)
    return Received(found, after, done.keys or keys, sent.octets, done.changes, done.alerts)


def _heard(found: household.Heard, keys: DeviceKeys) -> Received:
    return Received(found.verdict, found.state, keys, found.answer, found.changes, found.alerts)


def check(state: DeviceState, keys: DeviceKeys, octets: bytes) -> Passed:
    """Checks 1 to 8."""
    return _check(state, keys, _read(octets))


def _read(octets: bytes) -> Message:
    try:
        return read_message(octets)
    except InvalidInput as error:
        raise Failed(rules.FORM, error.message) from None


def _check(state: DeviceState, keys: DeviceKeys, message: Message) -> Passed:
    use_case = _use_case(state, message)  # 2
    if message.header.target != state.device:  # 3
        raise Failed(rules.TARGET, f"it is for {message.header.target}, and this is {state.device}")
    if message.header.code in HOME_CODES:
        household.check(state, keys, message, use_case)  # 4 to 8
        return Passed(message, use_case, None)
    role = _role(state, message, use_case)  # 4
    _check_counter(state, message, use_case, role)  # 5
    if message.mac is not None:
        _check_mac(state, keys, message)  # 6
    if message.signature:
        _check_signature(state, message, role)  # 7
    if not use_case.allows(Cra.COMMAND, message.protection):  # 8
        demanded = " or ".join(form.value for form in use_case.protections.get(Cra.COMMAND, ()))
        carried = message.protection.value
        raise Failed(rules.PROTECTION, f"{use_case.label} demands {demanded}, and it carries {carried}")
    return Passed(message, use_case, role)


def _use_case(state: DeviceState, message: Message) -> UseCase:
    header = message.header
    if header.cra is not Cra.COMMAND:
        raise Failed(rules.KIND, f"it is a {header.cra.name.lower()}, and devices obey commands")
    found = state.use_cases.get(header.code)
    if found is None or Cra.COMMAND not in found.protections:
        raise Failed(rules.USE_CASE, f"{state.kind.value} knows no command {header.code}")
    return found


def _role(state: DeviceState, message: Message, use_case: UseCase) -> RemotePartyRole:
    """By the signature's cell for what is signed, else by the one for key agreement (GBCS 6.2.4).

    Who speaks for the contingency is in no cell: the root's certificate holds its key, wrapped (GBCS 13.3).
    """
    if message.header.code == _CONTINGENCY:
        return CONTINGENCY_ROLE
    use = CellUse.DIGITAL_SIGNATURE if message.signature else CellUse.KEY_AGREEMENT
    originator = message.header.originator
    known = roles_of(state.cells, originator, use)
    if not known:
        raise Failed(rules.ORIGINATOR, f"no {use.value} cell holds {originator}")
    # Credentials are replaced in the one role that the mode names, whatever others its originator has (GBCS 13.3).
    replacing = RULES_BY_CODE.get(message.header.code)
    one = None if replacing is None else replacing.authorising
    allowed = use_case.senders if one is None else (one.role,)
    for role in known:
        if role in allowed:
            return role
    words = ", ".join(role.word for role in known)
    raise Failed(rules.ROLE, f"{originator} is {words} here, which may not send {use_case.label}")


def _check_counter(state: DeviceState, message: Message, use_case: UseCase, role: RemotePartyRole) -> None:
    counter = message.header.counter
    if use_case.category == TOP_UP_CATEGORY:
        number, rest = counter >> 32, counter & 0xFFFFFFFF
        if rest:
            raise Failed(rules.REPLAY, f"counter {counter} is none of a prepayment token")
        if is_used(state, number):
            raise Failed(rules.TOKEN_REPLAY, f"token number {number} was used, or is older than all that are kept")
        return
    last = state.counters.get(role)
    if last is not None and counter <= last:
        raise Failed(rules.REPLAY, f"counter {counter} is not above {last}, the last of {role.word}")


def _check_mac(state: DeviceState, keys: DeviceKeys, message: Message) -> None:
    cell = state.cells.get(BROKER_CELL)
    if cell is None:
        raise Failed(rules.MAC, "no cell holds an access control broker")
    with keys.secrets.with_peer(cell.public_key, cell.certificate) as secret:
        if not mac_holds(message, secret):
            raise Failed(rules.MAC, f"the MAC is not by broker {cell.entity} for this device")


def _check_signature(state: DeviceState, message: Message, role: RemotePartyRole) -> None:
    if role is CONTINGENCY_ROLE:
        key = contingency_key(state, message)
    else:
        key = state.cells[CellName(role, CellUse.DIGITAL_SIGNATURE)].public_key
    if not signature_holds(message, key):
        raise Failed(rules.SIGNATURE, f"the signature is not by the {role.word} in this device's cell")


def _count(state: DeviceState, passed: Passed, role: RemotePartyRole) -> DeviceState:
    counter = passed.message.header.counter
    if passed.use_case.category == TOP_UP_CATEGORY:
        return state  # a token's number is used up by the token, once it is found good
    return heard(state, role, passed.message.header.originator, counter)


def _failed(state: DeviceState, keys: DeviceKeys, found: Verdict, at: datetime) -> Received:
    """What is logged, and the alert where one is due: to the supplier, from whom a device has its orders."""
    state = state.logged(at, found.code, found.message)
    if found.alert is None:
        return Received(found, state, keys)
    sent = alert(state, keys, found.alert, at)
    return Received(found, sent.state, keys, sent.octets)
