"""A device's credentials change: whose certificates it holds, now or at a later time (CS02b, CS02g; GBCS 13.3, 13.9).

After the checks that every command goes through, in this order:

  a. the payload says the same as the header, its mode is that of its message code, and its authority the mode's
  b. every cell it names is one that its mode may fill, and none is named twice; so is every counter
  c. each certificate is judged for itself (`smki.device.replacing`): one that fails keeps none of the others out
  d. put off: it is kept until its time, in place of what was put off before in the same mode
  e. done: new certificates are stored with their counters in one step, in which the old ones go
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives.asymmetric import ec

from smki.device import verdict as rules
from smki.device.answer import send_alert
from smki.device.cells import NOBODY, Cell, Cells
from smki.device.done import Done
from smki.device.holders import with_cells
from smki.device.modes import (
    CONTINGENCY_ROLE,
    ROOT_CELL,
    RULES,
    RULES_BY_CODE,
    ModeRule,
)
from smki.device.replacing import Judged, judge
from smki.device.state import DeviceKeys, DeviceState, Pending
from smki.device.update import CANCELLED, CredentialUpdate, Floors, counter_change, read_update
from smki.device.verdict import Failed
from smki.entity import RemotePartyRole
from smki.errors import IntegrityFailure, InvalidInput
from smki.gbcs.message import Message
from smki.gbcs.payload.credentials import (
    Mode,
    ReplacementOutcome,
    UpdateAlert,
    UpdateAnswer,
    UpdateNotice,
    UpdateOutcome,
    UpdateResponse,
)
from smki.gbcs.payload.declared import enumerated, write_declared
from smki.pki.contingency import WRAPPED_APEX_CONTINGENCY_KEY, unwrap
from smki.pki.holder import load_certificate

ALL_REPLACED, SOME_NOT = 0x8F66, 0x8F67
_NO_KEY_IDENTIFIER = bytes(8)


@dataclass(frozen=True)
class Advanced:
    """What came due: the state after it, the alerts that tell of it, and what changed in words."""

    state: DeviceState
    alerts: tuple[bytes, ...] = ()
    changes: tuple[str, ...] = ()


def contingency_key(state: DeviceState, message: Message) -> ec.EllipticCurvePublicKey:
    """The key that a root carries wrapped, opened with what the command brings (RFC 5934 4.4)."""
    try:
        opened = read_update(message.payload).symmetric_key
        root = load_certificate(state.cells[ROOT_CELL].certificate, "the root")
        wrapped = root.extensions.get_extension_for_oid(WRAPPED_APEX_CONTINGENCY_KEY).value
        if opened is None or not isinstance(wrapped, x509.UnrecognizedExtension):
            raise Failed(rules.SIGNATURE, "it brings no key that opens the contingency key")
        return unwrap(wrapped.value, opened)
    except (InvalidInput, IntegrityFailure) as error:
        raise Failed(rules.SIGNATURE, error.message) from None
    except (KeyError, x509.ExtensionNotFound):
        raise Failed(rules.SIGNATURE, "the root of this device has no contingency key") from None


def update_credentials(state: DeviceState, message: Message, at: datetime) -> Done:
    """Obey a command that passed the checks: now, later, or by taking back what was put off."""
    rule = RULES_BY_CODE[message.header.code]
    update = read_update(message.payload)
    _check(update, rule, message)
    if update.at == CANCELLED:
        return _cancel(state, rule)
    if update.at is not None:
        return _put_off(state, rule, message, update.at)
    state, outcome, changes = _carry_out(state, update, rule, at)
    return Done(state, _answer(outcome), changes)


def _check(update: CredentialUpdate, rule: ModeRule, message: Message) -> None:
    """a and b: nothing is done at all where one of these fails."""
    if update.mode is not rule.mode or update.counter != message.header.counter:
        raise Failed(rules.CREDENTIALS, "its payload is of another mode or counter than its header")
    if update.authorising != rule.authorising and not (update.authorising is None and rule.may_be_unnamed):
        raise Failed(rules.CREDENTIALS, f"{rule.word} has its authority from cell {rule.authorising}")
    if (update.symmetric_key is None) is (rule.mode is Mode.ANY_BY_CONTINGENCY):
        raise Failed(rules.CREDENTIALS, "the contingency's key belongs to the contingency, and to nothing else")
    named = [one.name for one in update.puts]
    for name in named:
        if name is not None and not rule.may_fill(name):
            raise Failed(rules.CREDENTIALS, f"{rule.word} may not fill cell {name}")
    if len(set(named)) != len(named):
        raise Failed(rules.CREDENTIALS, "it fills a cell twice")
    roles = {name.role for name in named if name is not None}
    for role, _ in update.other_floors or ():
        if role not in roles:
            raise Failed(rules.CREDENTIALS, f"it sets the counter of {role.word}, whose cells it leaves as they are")


# Later


def _put_off(state: DeviceState, rule: ModeRule, message: Message, due: datetime) -> Done:
    waiting = Pending(due, message.header.originator, message.payload)
    kept = (*_others(state, rule), waiting)
    payload = _answer(None)
    return Done(replace(state, pending=kept), payload, (f"{rule.word} waits for {due:%Y-%m-%dT%H:%M:%SZ}",))


def _cancel(state: DeviceState, rule: ModeRule) -> Done:
    kept = _others(state, rule)
    change = f"{rule.word} will not happen" if len(kept) < len(state.pending) else f"no {rule.word} was waiting"
    payload = _answer(None)
    return Done(replace(state, pending=kept), payload, (change,))


def _others(state: DeviceState, rule: ModeRule) -> tuple[Pending, ...]:
    """What waits in other modes: in one mode, the last word counts."""
    return tuple(one for one in state.pending if read_update(one.payload).mode is not rule.mode)


def advance(state: DeviceState, keys: DeviceKeys, at: datetime) -> Advanced:
    """Do what was put off until now, the earliest first, and tell who ordered it."""
    alerts, told = list[bytes](), list[str]()
    while due := sorted((one for one in state.pending if one.at <= at), key=lambda one: one.at):
        first = due[0]
        state = replace(state, pending=tuple(one for one in state.pending if one is not first))
        update = read_update(first.payload)
        rule = RULES[update.mode]
        state, outcome, changes = _carry_out(state, update, rule, at)
        good = all(bytes(one.status_code.data) == b"\0" for one in outcome.replacements)
        code = ALL_REPLACED if good else SOME_NOT
        notice = UpdateNotice(alert_code=code, execution_date_time=asn1.GeneralizedTime(first.at), outcome=outcome)
        sent = send_alert(state, keys, first.originator, rule.alert_code, write_declared(UpdateAlert(payload=notice)))
        state = sent.state.logged(at, f"{code:04X}", f"{rule.word}, put off until now: {'; '.join(changes)}")
        alerts += [] if sent.octets is None else [sent.octets]
        told += changes
    return Advanced(state, tuple(alerts), tuple(told))


# Now


def _carry_out(
    state: DeviceState, update: CredentialUpdate, rule: ModeRule, at: datetime
) -> tuple[DeviceState, UpdateOutcome, tuple[str, ...]]:
    judged = judge(state.cells, update, at)
    new = {one.name: one.cell for one in judged if one.name is not None and one.cell is not None}
    floors = _floors(update, rule, {name.role for name in new})
    after = with_cells(state, {**state.cells, **new}, floors)
    outcome = UpdateOutcome(
        originator_counter=update.counter,
        mode=update.mode,
        counter_changes=[counter_change(role, one) for role, one in floors.items()],
        replacements=[_outcome(state.cells, one) for one in judged],
    )
    return after, outcome, tuple(_words(one) for one in judged)


def _floors(
    update: CredentialUpdate, rule: ModeRule, replaced: set[RemotePartyRole]
) -> Mapping[RemotePartyRole, Floors]:
    """Which counters change: the authority's own, and those of roles whose certificates were replaced."""
    own = CONTINGENCY_ROLE if rule.authorising is None else rule.authorising.role
    floors: dict[RemotePartyRole, Floors] = {}
    if update.own_floor is not None and (own in replaced or rule.targets != {own}):
        floors[own] = Floors(update.own_floor, update.own_top_up_floor)
    return floors | {role: one for role, one in update.other_floors or () if role in replaced}


def _answer(outcome: UpdateOutcome | None) -> bytes:
    return write_declared(UpdateResponse(payload=UpdateAnswer(command_accepted=asn1.Null(), outcome=outcome)))


def _outcome(before: Cells, one: Judged) -> ReplacementOutcome:
    held = None if one.name is None else before.get(one.name)
    after = held if one.cell is None else one.cell
    return ReplacementOutcome(
        cell=one.put.cell,
        status_code=enumerated(one.status),
        existing_subject_unique_id=_entity(held),
        existing_subject_key_identifier=_key_identifier(held),
        replacing_subject_unique_id=_entity(after),
        replacing_subject_key_identifier=_key_identifier(after),
    )


def _entity(cell: Cell | None) -> bytes:
    return (NOBODY if cell is None else cell.entity).octets


def _key_identifier(cell: Cell | None) -> bytes:
    return _NO_KEY_IDENTIFIER if cell is None else cell.key_identifier


def _words(one: Judged) -> str:
    name = "a cell no device has" if one.name is None else f"cell {one.name}"
    if one.cell is not None:
        return f"{name} now holds {one.cell.entity}"
    return f"{name} stays: {one.status.words}"
