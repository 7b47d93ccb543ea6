"""A device joins others on its home network, and leaves them: CS03, CS04, CS07, GCS59 (GBCS 13.7, 13.8).

A join command that passed the checks of every command is judged in this order, and the first failure is its answer:

  a. its message code is that of the method and role it names                       code 1
  b. the rules let this kind of device play that part with that kind                code 2
  c. a certificate comes with method C, and with no other                           code 11
  d. the log does not know the other as something else                              code 3
  e. there is room in the log                                                       code 4
  f. method C: the certificate is the other's, for agreeing keys                    code 11
     methods A (first) and B: a key is established over the network                 codes 6 to 10, 12, 13
  g. the log can be written                                                         code 5

What does not end in success leaves the log as it was.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime

from cryptography.hazmat import asn1
from cryptography.hazmat.primitives.serialization import Encoding

from smki.device.answer import send_notice
from smki.device.done import Done
from smki.device.establishment import Offer, Party, Responder, Surroundings, establish
from smki.device.join_rules import MAX_CAPACITY, NAMED, NAMES
from smki.device.network import Entry, Partner
from smki.device.state import DeviceKeys, DeviceState
from smki.device.update import MAX_CERTIFICATE_OCTETS
from smki.entity import DeviceType, EntityId, KeyUsage
from smki.errors import InvalidInput
from smki.gbcs.agreement import SharedSecret
from smki.gbcs.header import MessageCode
from smki.gbcs.payload.credentials import CodeResponse
from smki.gbcs.payload.declared import read_declared, write_declared
from smki.gbcs.payload.joins import (
    CS04AC,
    CS04B,
    CS07,
    GCS59,
    GCS62,
    JOIN_CODES,
    UNJOIN_CODES,
    Join,
    JoinCode,
    JoinCommand,
    JoinMethod,
    Log,
    LogAlert,
    LogEntry,
    LogNotice,
    LogResponse,
    NothingCommand,
    ReadLogCode,
    RestoreCommand,
    RestoreOutcome,
    RestoreOutcomes,
    RestoreResponse,
    UnjoinCode,
    UnjoinCommand,
)
from smki.pki.holder import Holder, holder, load_certificate

CODES = frozenset({*JOIN_CODES.values(), CS04AC, CS04B, CS07, GCS59})
LOG_CHANGED = 0x8071
_ASSUMED = JoinMethod.B
"""How a proxy is joined with all in its log: the only method it has."""


def act_on(
    state: DeviceState, keys: DeviceKeys, code: MessageCode, payload: bytes, around: Surroundings, at: datetime
) -> Done:
    """Obey one of the commands in `CODES`."""
    if code == CS07:
        read_declared(NothingCommand, payload)
        return Done(state, log_response(state))
    if code == GCS59:
        done = _restore(state, payload, around)
    elif code in UNJOIN_CODES.values():
        done = _unjoin(state, keys, code, payload, around)
    else:
        done = _join(state, keys, code, payload, around)
    return _telling(state, done, keys, at)


# Joining


def _join(state: DeviceState, keys: DeviceKeys, code: MessageCode, payload: bytes, around: Surroundings) -> Done:
    said = read_declared(JoinCommand, payload).payload
    found = _judge(state, keys, code, said, around)
    result = found if isinstance(found, JoinCode) else JoinCode.SUCCESS
    other, kind = EntityId(said.other_device), NAMED[said.other_device_type]
    words = f"{kind.value} {other} by method {_letter(said.method)}"
    answer = write_declared(CodeResponse(payload=result))
    if isinstance(found, JoinCode):
        return Done(state, answer, (f"not joined with {words}: {found.words}",))
    keys.secrets.forget()
    return Done(replace(state, network=state.network.with_entry(found)), answer, (f"joined with {words}",))


def _letter(method: JoinMethod) -> str:
    return method.name[0]


def _judge(
    state: DeviceState, keys: DeviceKeys, code: MessageCode, said: Join, around: Surroundings
) -> Entry | JoinCode:
    other, kind = EntityId(said.other_device), NAMED[said.other_device_type]
    if JOIN_CODES[said.method] != code:  # a
        return JoinCode.INVALID_MESSAGE_CODE
    if other == state.device or not state.network.rules.permits(said.method, state.kind, kind):  # b
        return JoinCode.INVALID_METHOD_AND_ROLE
    if (said.other_device_certificate is not None) is not (said.method is JoinMethod.C):  # c
        return JoinCode.INVALID_OR_MISSING_CERTIFICATE
    fits = _fits(state, other, kind, said.method)  # d, e
    if fits is not None:
        return fits
    if not around.writes():  # g, before f: the other end would keep a key that this one cannot
        return JoinCode.WRITE_FAILURE
    partner = _partner(state, keys, said, around)  # f
    if isinstance(partner, JoinCode):
        return partner
    return Entry(other, kind, said.method, partner)


def _fits(state: DeviceState, other: EntityId, kind: DeviceType, method: JoinMethod) -> JoinCode | None:
    known = state.network.find(other)
    if known is not None:
        same = (known.kind, known.method) == (kind, method)
        return None if same else JoinCode.INCOMPATIBLE_WITH_EXISTING_ENTRY
    if len(state.network.log) >= state.network.rules.capacity.get(state.kind, 0):
        return JoinCode.DEVICE_LOG_FULL
    return None


def _partner(state: DeviceState, keys: DeviceKeys, said: Join, around: Surroundings) -> Partner | JoinCode | None:
    """What the secret is agreed from. The second of method A has it when the first has begun."""
    other = EntityId(said.other_device)
    if said.other_device_certificate is not None:
        certificate = said.other_device_certificate.public_bytes(Encoding.DER)
        who = certificate_of(certificate, other)
        return JoinCode.INVALID_OR_MISSING_CERTIFICATE if who is None else Partner(certificate)
    if said.method is JoinMethod.A_RESPONDER:
        known = state.network.find(other)
        return None if known is None else known.partner
    own = party(state, keys)
    return JoinCode.NO_RESOURCES if own is None else establish(own, other, NAMED[said.other_device_type], around)


def certificate_of(certificate: bytes, device: EntityId) -> Holder | None:
    """The holder of a certificate that came with a join, if it is that device's, for agreeing keys.

    No path is looked for: a device holds no anchor for devices' certificates, and believes this one because the
    command that brought it was signed (GBCS 13.7).
    """
    if len(certificate) > MAX_CERTIFICATE_OCTETS:
        return None
    try:
        who = holder(load_certificate(certificate, "the certificate"), "the certificate")
    except InvalidInput:
        return None
    return who if who.role is None and who.usage is KeyUsage.KEY_AGREEMENT and who.entity == device else None


def party(state: DeviceState, keys: DeviceKeys) -> Party | None:
    """This device as one end of an establishment; None without a certificate to show."""
    certificate = state.own.get(KeyUsage.KEY_AGREEMENT)
    return (
        None
        if certificate is None
        else Party(state.device, state.kind, certificate, keys.secrets, state.network.rules.issuing)
    )


class Reachable:
    """A device, as the radio of another reaches it. What it keeps of a join is in `state`."""

    def __init__(self, state: DeviceState, keys: DeviceKeys, around: Surroundings) -> None:
        self.state = state
        own = party(state, keys)
        self._responder = None if own is None else Responder(own, around.entropy, self._knows)

    def _knows(self, offer: Offer) -> bool:
        """Whoever its log names for method A. The second of method B is told nothing, and hears who may begin."""
        entry = self.state.network.find(offer.device)
        if entry is not None and entry.method is JoinMethod.A_RESPONDER:
            return entry.kind is offer.kind and self.state.network.permits(entry, self.state.kind)
        return self.state.network.rules.permits(JoinMethod.B, offer.kind, self.state.kind)

    @property
    def responder(self) -> Responder | None:
        return self._responder

    def settle(self) -> DeviceState:
        """The state with what was agreed, where the log has a place for it."""
        kept = None if self._responder is None else self._responder.partner
        if kept is not None:
            entry = self.state.network.find(kept[0])
            if entry is not None and entry.method is JoinMethod.A_RESPONDER:
                network = self.state.network.with_entry(replace(entry, partner=kept[1]))
                self.state = replace(self.state, network=network)
        return self.state


# Leaving


def _unjoin(state: DeviceState, keys: DeviceKeys, code: MessageCode, payload: bytes, around: Surroundings) -> Done:
    other = EntityId(read_declared(UnjoinCommand, payload).payload)
    entry = state.network.find(other)
    if entry is None:
        result = UnjoinCode.NOT_IN_DEVICE_LOG
    elif UNJOIN_CODES[entry.method] != code or not around.writes():
        result = UnjoinCode.OTHER_FAILURE  # a join that takes a signature is not undone without one
    else:
        result = UnjoinCode.SUCCESS
    answer = write_declared(CodeResponse(payload=result))
    if entry is None or result is not UnjoinCode.SUCCESS:
        return Done(state, answer, (f"{other} stays as it was: {result.words}",))
    keys.secrets.forget()
    words = f"no longer joined with {entry.kind.value} {other}"
    return Done(replace(state, network=state.network.without(other)), answer, (words,))


@contextmanager
def shared_with(state: DeviceState, keys: DeviceKeys, other: EntityId) -> Iterator[SharedSecret | None]:
    """The secret with a device joined by method C, for as long as the block lasts; None where there is none."""
    entry = state.network.find(other)
    if entry is None or entry.method is not JoinMethod.C or not state.network.permits(entry, state.kind):
        yield None
        return
    if entry.partner is None:
        yield None
        return
    who = certificate_of(entry.partner.certificate, other)
    if who is None:
        yield None
        return
    with keys.secrets.with_peer(who.public_key, entry.partner.certificate) as secret:
        yield secret


# The log


def log_response(state: DeviceState) -> bytes:
    """CS07: everyone in the log."""
    return write_declared(LogResponse(payload=Log(code=ReadLogCode.SUCCESS, entries=list(_entries(state)))))


def _entries(state: DeviceState) -> Iterator[LogEntry]:
    for one in state.network.log:
        yield LogEntry(device=one.device.octets, device_type=NAMES[one.kind])


def _restore(state: DeviceState, payload: bytes, around: Surroundings) -> Done:
    """GCS59: a new proxy is given the log of the one before it. Keys it has none of, until each device comes anew."""
    entries = read_declared(RestoreCommand, payload).payload.entries
    if len(entries) > MAX_CAPACITY:
        raise InvalidInput("device.log", f"{len(entries)} entries", f"give {MAX_CAPACITY} at most")
    outcomes, changes = [], []
    for one in entries:
        code = _restored(state, one, around)
        outcomes.append(RestoreOutcome(entry=one, code=code))
        other, kind = EntityId(one.device), NAMED[one.device_type]
        if code is JoinCode.SUCCESS and state.network.find(other) is None:
            state = replace(state, network=state.network.with_entry(Entry(other, kind, _ASSUMED)))
        changes.append(f"{kind.value} {other}: {code.words}")
    answer = write_declared(RestoreResponse(payload=RestoreOutcomes(outcomes=outcomes)))
    return Done(state, answer, tuple(changes))


def _restored(state: DeviceState, one: LogEntry, around: Surroundings) -> JoinCode:
    other, kind = EntityId(one.device), NAMED[one.device_type]
    if other == state.device or not state.network.rules.permits(_ASSUMED, state.kind, kind):
        return JoinCode.INVALID_METHOD_AND_ROLE
    fits = _fits(state, other, kind, _ASSUMED)
    if fits is not None:
        return fits
    return JoinCode.SUCCESS if around.writes() else JoinCode.WRITE_FAILURE


def _telling(before: DeviceState, done: Done, keys: DeviceKeys, at: datetime) -> Done:
    """GCS62: a proxy whose log changed tells all of it, so that another can be given it."""
    if before.kind is not DeviceType.GPF or done.state.network.log == before.network.log:
        return done
    notice = LogNotice(
        alert_code=LOG_CHANGED,
        backup_date_time=asn1.GeneralizedTime(at.replace(microsecond=0)),
        entries=list(_entries(done.state)),
    )
    sent = send_notice(done.state, keys, GCS62, write_declared(LogAlert(payload=notice)))
    return replace(done, state=sent.state, alerts=() if sent.octets is None else (sent.octets,))
