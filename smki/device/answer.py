"""What a device sends: responses and alerts, numbered, dated, encrypted, protected with its own keys (GBCS 5)."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric import ec

from smki.device import verdict as rules
from smki.device.cells import CellName, CellUse
from smki.device.state import DeviceKeys, DeviceState
from smki.device.verdict import Failed
from smki.entity import DeviceType, EntityId, KeyUsage, RemotePartyRole
from smki.errors import InvalidInput
from smki.gbcs.header import Cra, Header, MessageCode, Supplementary
from smki.gbcs.message import Message, Protection
from smki.gbcs.payload.access import DATA_NOTIFICATION, write_invoke
from smki.gbcs.payload.components import GBZ
from smki.gbcs.protection import add_mac, encrypt, sign
from smki.gbcs.use_case import UseCase
from smki.pki.holder import holder, load_certificate

GENERIC_CRITICAL_ALERT = MessageCode(0x1000)
_NOT_SPECIFIED = bytes.fromhex("8000ff")  # deviation from UTC, clock status
_NO_DAY_OF_WEEK = 0xFF
_ZIGBEE_EPOCH = datetime.fromisoformat("2000-01-01T00:00:00+00:00")
_ZIGBEE = {DeviceType.GSME, DeviceType.GPF}
Seal = Callable[[bytes], bytes]


@dataclass(frozen=True)
class Sent:
    """The state after sending, and what is sent."""

    state: DeviceState
    octets: bytes | None


def response_header(state: DeviceState, message: Message, use_case: UseCase, at: datetime) -> Header:
    """The command's counter and names turned round; its supplementary party again, with a counter for its secrets."""
    asked = message.header
    extra = asked.supplementary
    if extra is not None:
        own = state.own_counter if extra.certificate is not None else None
        extra = Supplementary(extra.party, extra.counter, own)
    return Header(
        cra=Cra.RESPONSE,
        counter=asked.counter,
        originator=state.device,
        target=asked.originator,
        code=asked.code,
        supplementary=extra,
        date_time=date_time(at) if use_case.dated else b"",
    )


def date_time(at: datetime) -> bytes:
    """A moment as DLMS date-time, in UTC."""
    day = bytes((at.month, at.day, _NO_DAY_OF_WEEK, at.hour, at.minute, at.second, 0))
    return at.year.to_bytes(2) + day + _NOT_SPECIFIED


def sealer(state: DeviceState, keys: DeviceKeys, message: Message, header: Header, role: RemotePartyRole) -> Seal:
    """What encrypts for the one who asks: with the key in its cell, or in the certificate sent along (GBCS 6.2.5)."""

    def seal(plaintext: bytes) -> bytes:
        with keys.secrets.with_peer(*_reader(state, message, role)) as secret:
            return encrypt(plaintext, header, secret)

    return seal


def _reader(state: DeviceState, message: Message, role: RemotePartyRole) -> tuple[ec.EllipticCurvePublicKey, bytes]:
    """The reader's key, and the certificate it comes from."""
    extra = message.header.supplementary
    if extra is None:
        cell = state.cells[CellName(role, CellUse.KEY_AGREEMENT)]
        return cell.public_key, cell.certificate
    if extra.certificate is None:
        raise Failed(rules.PAYLOAD, "a sensitive reading for someone unknown, without a certificate to encrypt for")
    try:
        read = load_certificate(extra.certificate, "the certificate that came along")
        who = holder(read, "the certificate that came along")
    except InvalidInput:
        raise Failed(rules.PAYLOAD, "the certificate that came along cannot be read") from None
    if who.usage is not KeyUsage.KEY_AGREEMENT or who.entity != extra.party:
        raise Failed(rules.PAYLOAD, "the certificate that came along is not for agreeing with the one named")
    return who.public_key, extra.certificate


def respond(
    state: DeviceState,
    keys: DeviceKeys,
    message: Message,
    use_case: UseCase,
    role: RemotePartyRole,
    draft: Message,
) -> Sent:
    """Protect a response: signed when the command was, or when the use case says so; else with a MAC."""
    extra = draft.header.supplementary
    if extra is not None and extra.originator_counter is not None:
        state = replace(state, own_counter=state.own_counter + 1)
    if message.signature or not use_case.allows(Cra.RESPONSE, Protection.MAC):
        return Sent(state, sign(draft, keys.signing).encode())
    cell = state.cells[CellName(role, CellUse.KEY_AGREEMENT)]
    with keys.secrets.with_peer(cell.public_key, cell.certificate) as secret:
        return Sent(state, add_mac(draft, secret).encode())


def alert(state: DeviceState, keys: DeviceKeys, code: int, at: datetime) -> Sent:
    """A generic critical alert to the supplier, from whom a device has its orders; without one, nobody is told."""
    cell = state.cells.get(CellName(RemotePartyRole.SUPPLIER, CellUse.DIGITAL_SIGNATURE))
    if cell is None:
        return Sent(state, None)
    payload = _zigbee_alert(code, at) if state.kind in _ZIGBEE else _dlms_alert(code, state.own_counter, at)
    return send_alert(state, keys, cell.entity, GENERIC_CRITICAL_ALERT, payload)


def send_alert(state: DeviceState, keys: DeviceKeys, target: EntityId, code: MessageCode, payload: bytes) -> Sent:
    """An alert, numbered and signed."""
    header = Header(Cra.ALERT, state.own_counter, state.device, target, code)
    sent = sign(Message(header, payload), keys.signing)
    return Sent(replace(state, own_counter=state.own_counter + 1), sent.encode())


def send_notice(state: DeviceState, keys: DeviceKeys, code: MessageCode, payload: bytes) -> Sent:
    """An alert to the access control broker, numbered and with a MAC (SME.A.NC); to nobody where there is none."""
    cell = state.cells.get(CellName(RemotePartyRole.ACCESS_CONTROL_BROKER, CellUse.KEY_AGREEMENT))
    if cell is None:
        return Sent(state, None)
    header = Header(Cra.ALERT, state.own_counter, state.device, cell.entity, code)
    with keys.secrets.with_peer(cell.public_key, cell.certificate) as secret:
        sent = add_mac(Message(header, payload), secret)
    return Sent(replace(state, own_counter=state.own_counter + 1), sent.encode())


def _dlms_alert(code: int, counter: int, at: datetime) -> bytes:
    """A data notification: the code and the time (Green Book 9.4.6.6)."""
    start = bytes((DATA_NOTIFICATION,)) + write_invoke(counter) + b"\0"
    return start + b"\x02\x02\x12" + code.to_bytes(2) + b"\x09\x0c" + date_time(at)


def _zigbee_alert(code: int, at: datetime) -> bytes:
    """Profile, code, and seconds since 2000 (GBCS 7.2.10)."""
    return GBZ + code.to_bytes(2) + int((at - _ZIGBEE_EPOCH).total_seconds()).to_bytes(4)
