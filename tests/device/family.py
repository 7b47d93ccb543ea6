"""A home: a hub, two meters, a proxy, a PPMID, a switch, a display; a supplier and a broker who join them."""

import os
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from smki.device.cells import CellName, CellUse
from smki.device.establishment import Party, Peer, Responder, Surroundings
from smki.device.join_rules import NAMES, JoinRules
from smki.device.joins import Reachable
from smki.device.network import Network
from smki.device.receive import Received, receive
from smki.device.state import DeviceKeys, DeviceState
from smki.entity import DeviceType, EntityId, KeyUsage, RemotePartyRole
from smki.gbcs.agreement import Agreement, agree
from smki.gbcs.header import Cra, Header, MessageCode, Supplementary
from smki.gbcs.message import Message, read_message
from smki.gbcs.payload.credentials import CodeResponse
from smki.gbcs.payload.declared import read_declared, write_declared
from smki.gbcs.payload.joins import (
    JOIN_CODES,
    UNJOIN_CODES,
    Join,
    JoinCode,
    JoinCommand,
    JoinMethod,
    UnjoinCode,
    UnjoinCommand,
)
from smki.gbcs.protection import add_mac, sign
from smki.gbcs.top_up import TopUp, Utrn, ValueClass, make_utrn
from tests.device.desk import PARTIES, filled, key, policies
from tests.parties.people import BROKER, SUPPLIER, certificate, issuing

AT = datetime(2026, 11, 21, 12, tzinfo=UTC)
KIND = DeviceType
DEVICES = {
    kind: EntityId.parse(f"00-DB-12-34-56-78-90-A{number}")
    for number, kind in enumerate((KIND.ESME, KIND.GSME, KIND.CHF, KIND.GPF, KIND.PPMID, KIND.HCALCS))
}
STRANGER = EntityId.parse("00-DB-12-34-56-78-90-EE")
DISPLAY = EntityId.parse("00-DB-12-34-56-78-90-AF")
NAMED = {**DEVICES, KIND.TYPE_2: DISPLAY}
_SUPPLIED = {KIND.ESME, KIND.GSME, KIND.GPF, KIND.HCALCS}


def rules() -> JoinRules:
    return policies().joins.given_to_devices([issuing().der])


@cache
def device_keys(entity: EntityId) -> DeviceKeys:
    return DeviceKeys(ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1()))


@cache
def own(entity: EntityId) -> dict[KeyUsage, bytes]:
    keys = device_keys(entity)
    pairs = ((KeyUsage.DIGITAL_SIGNATURE, keys.signing), (KeyUsage.KEY_AGREEMENT, keys.agreement))
    return {usage: certified(mine, entity, usage) for usage, mine in pairs}


def certified(mine: ec.EllipticCurvePrivateKey, entity: EntityId, usage: KeyUsage = KeyUsage.KEY_AGREEMENT) -> bytes:
    return certificate(mine.public_key(), entity, None, usage).certificate.public_bytes(Encoding.DER)


def stranger() -> bytes:
    """The certificate of a device that is in no home."""
    return certified(device_keys(STRANGER).agreement, STRANGER)


def device(kind: DeviceType) -> DeviceState:
    cells = {name: filled(name, _party(name)) for name in policies().devices[kind] if _party(name) or _is_root(name)}
    return DeviceState(
        device=DEVICES[kind],
        kind=kind,
        bundle=1,
        cells=cells,
        counters=dict.fromkeys(PARTIES, 0),
        tokens=(),
        token_floor=0,
        own_counter=1,
        own=own(DEVICES[kind]),
        use_cases=policies().use_cases,
        network=Network(rules()),
    )


def _party(name: CellName) -> EntityId | None:
    return PARTIES.get(name.role)


def _is_root(name: CellName) -> bool:
    return name.use is CellUse.KEY_CERT_SIGN


@dataclass
class Air:
    """Everyone within reach of everyone. `codes` are those that cannot be reached, and why."""

    home: "Family"
    codes: dict[EntityId, JoinCode] = field(default_factory=dict)
    reached: list[Reachable] = field(default_factory=list)

    def reach(self, device: EntityId) -> Peer | JoinCode:
        if device in self.codes:
            return self.codes[device]
        if device == DISPLAY:
            return self.home.display
        member = next((one for one in self.home.states.values() if one.device == device), None)
        if member is None:
            return JoinCode.NO_RESPONSE
        reachable = Reachable(member, self.home.keys[member.kind], Surroundings())
        self.reached.append(reachable)
        return reachable.responder or JoinCode.NO_RESPONSE


@dataclass
class Family:
    """All devices of a home, and who commands them."""

    states: dict[DeviceType, DeviceState] = field(default_factory=lambda: {kind: device(kind) for kind in DEVICES})
    keys: dict[DeviceType, DeviceKeys] = field(
        default_factory=lambda: {kind: replace(device_keys(entity)) for kind, entity in DEVICES.items()}
    )
    counter: int = 1000
    display: Responder = field(init=False)
    writes: bool = True

    def __post_init__(self) -> None:
        keys = device_keys(DISPLAY)
        authorities = (x509.load_der_x509_certificate(issuing().der),)
        party = Party(
            DISPLAY, KIND.TYPE_2, own(DISPLAY)[KeyUsage.KEY_AGREEMENT], Agreement(keys.agreement), authorities
        )
        self.display = Responder(party, os.urandom, lambda _: True)

    def give(self, kind: DeviceType, octets: bytes, air: Air | None = None) -> Received:
        """A message reaches a device; whom it reached by radio keeps what was agreed."""
        air = air or Air(self)
        around = Surroundings(air, writes=lambda: self.writes)
        found = receive(self.states[kind], self.keys[kind], octets, AT, around)
        self.states[kind], self.keys[kind] = found.state, found.keys
        for one in air.reached:
            self.states[one.state.kind] = one.settle()
        return found

    def command(self, kind: DeviceType, code: MessageCode, payload: bytes, *, signed: bool) -> Message:
        """Of the supplier; for those who know none, of the broker in the supplier's name."""
        self.counter += 1
        direct = kind in _SUPPLIED
        header = Header(
            Cra.COMMAND,
            self.counter,
            SUPPLIER if direct else BROKER,
            DEVICES[kind],
            code,
            None if direct else Supplementary(SUPPLIER, self.counter),
        )
        message = Message(header, payload)
        if signed:
            role = RemotePartyRole.SUPPLIER if direct else RemotePartyRole.ACCESS_CONTROL_BROKER
            message = sign(message, key(CellName(role, CellUse.DIGITAL_SIGNATURE)))
        return self.sealed(kind, message)

    def sealed(self, kind: DeviceType, message: Message) -> Message:
        broker = key(CellName(RemotePartyRole.ACCESS_CONTROL_BROKER, CellUse.KEY_AGREEMENT))
        with agree(broker, self.keys[kind].agreement.public_key()) as secret:
            return add_mac(message, secret)

    def join(
        self,
        kind: DeviceType,
        method: JoinMethod,
        other: DeviceType,
        *,
        code: MessageCode | None = None,
        entity: EntityId | None = None,
        carried: bytes | None = None,
        air: Air | None = None,
    ) -> JoinCode:
        """Send one join command, and give the code that the device answers."""
        found = self.try_to_join(kind, method, other, code=code, entity=entity, carried=carried, air=air)
        return JoinCode(self.answered(found))

    def try_to_join(
        self,
        kind: DeviceType,
        method: JoinMethod,
        other: DeviceType,
        *,
        code: MessageCode | None = None,
        entity: EntityId | None = None,
        carried: bytes | None = None,
        air: Air | None = None,
    ) -> Received:
        if method is JoinMethod.C and carried is None:
            carried = self.states[other].own[KeyUsage.KEY_AGREEMENT]
        said = Join(
            method=method,
            other_device=(entity or NAMED[other]).octets,
            other_device_type=NAMES[other],
            other_device_certificate=None if not carried else x509.load_der_x509_certificate(carried),
        )
        code = code or JOIN_CODES[method]
        payload = write_declared(JoinCommand(payload=said))
        message = self.command(kind, code, payload, signed=code != JOIN_CODES[JoinMethod.B])
        return self.give(kind, message.encode(), air)

    def unjoin(self, kind: DeviceType, method: JoinMethod, entity: EntityId) -> UnjoinCode:
        code = UNJOIN_CODES[method]
        payload = write_declared(UnjoinCommand(payload=entity.octets))
        message = self.command(kind, code, payload, signed=method is not JoinMethod.B)
        return UnjoinCode(self.answered(self.give(kind, message.encode())))

    def answered(self, found: Received) -> int:
        assert found.verdict.accepted, found.verdict
        assert found.answer is not None
        return read_declared(CodeResponse, read_message(found.answer).payload).payload

    def join_gas(self) -> None:
        """Gas meter and PPMID, by method C."""
        assert self.join(KIND.PPMID, JoinMethod.C, KIND.GSME) is JoinCode.SUCCESS
        assert self.join(KIND.GSME, JoinMethod.C, KIND.PPMID) is JoinCode.SUCCESS

    def join_switch(self) -> None:
        """In the order that method A has: first the other, then the meter, which begins."""
        assert self.join(KIND.HCALCS, JoinMethod.A_RESPONDER, KIND.ESME) is JoinCode.SUCCESS
        assert self.join(KIND.ESME, JoinMethod.A_INITIATOR, KIND.HCALCS) is JoinCode.SUCCESS

    def token(self, number: int, pounds: int = 10) -> Utrn:
        """What the customer of the gas meter has bought."""
        top_up = TopUp(SUPPLIER, DEVICES[KIND.GSME], number, ValueClass.POUNDS, pounds)
        name = CellName(RemotePartyRole.SUPPLIER, CellUse.TOP_UP)
        with agree(key(name), self.keys[KIND.GSME].agreement.public_key()) as secret:
            return make_utrn(top_up, secret)
