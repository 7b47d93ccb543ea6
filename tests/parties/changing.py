"""Credentials for tests: certificates for cells, a meter that obeys, a workspace that made the command."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from smki.authority.log import act
from smki.device.cells import Cell, CellName
from smki.device.credentials import advance
from smki.device.modes import SUPPLIER_CELLS
from smki.device.receive import receive
from smki.device.state import DeviceKeys, DeviceState
from smki.device.update import Floors
from smki.entity import DeviceType, EntityId, RemotePartyRole
from smki.gbcs.message import Message
from smki.gbcs.payload.credentials import Mode
from smki.gbcs.protection import sign
from smki.gbcs.verdict import KeyRing
from smki.parties.credentials import Change, Made, Place, Unfit, UpdateRequest, make
from smki.parties.intake import Given
from smki.parties.keys import certified
from smki.parties.outcomes import OutcomeDesk, Told
from smki.pki.keyid import KeyIdentifier
from smki.store.estate_records import Believed, DeviceRecord, DeviceStatus
from tests.device.desk import esme, keys, own, signer, with_mac
from tests.house import NOW, House
from tests.parties.people import BROKER, METER, SUPPLIER, certificate

OTHER = EntityId.parse("90-B3-D5-1F-30-03-00-00")
OPERATOR = EntityId.parse("90-B3-D5-1F-30-02-00-00")
COS = EntityId.parse("90-B3-D5-1F-30-00-00-04")
BATCH = hashlib.sha256(b"a run").digest()
_ROLE = RemotePartyRole
OPERATOR_CELLS = tuple(CellName.parse(f"networkOperator {use}") for use in ("digitalSignature", "keyAgreement"))
LOAD_CELLS = tuple(CellName.parse(f"loadController {use}") for use in ("digitalSignature", "keyAgreement"))


def place(name: CellName | str, entity: EntityId, role: RemotePartyRole | None = None, days: int = 365) -> Place:
    """A fresh certificate for a cell."""
    cell = CellName.parse(name) if isinstance(name, str) else name
    usage = cell.use.key_usage
    assert usage is not None
    key = ec.generate_private_key(ec.SECP256R1())
    one = certificate(key.public_key(), entity, role or cell.role, usage, days=days)
    return Place(cell, one.certificate.public_bytes(Encoding.DER))


def places(cells: Iterable[CellName], entity: EntityId, role: RemotePartyRole | None = None) -> tuple[Place, ...]:
    return tuple(place(name, entity, role) for name in cells)


def rotation(**changes: object) -> Change:
    """A supplier renews its own three."""
    plain = Change(Mode.SUPPLIER_BY_SUPPLIER, SUPPLIER, places(SUPPLIER_CELLS, SUPPLIER))
    return replace(plain, **changes)  # type: ignore[arg-type]


def made(house: House, change: Change, counter: int = 1000, **more: object) -> Made:
    (one,) = make(house.workspace, [UpdateRequest(change, METER, counter, **more)], BATCH)  # type: ignore[arg-type]
    assert isinstance(one, Made), one
    return one


def codes(house: House, change: Change, counter: int = 1000, **more: object) -> set[str]:
    """Every rule that a change breaks."""
    (one,) = make(house.workspace, [UpdateRequest(change, METER, counter, **more)], BATCH)  # type: ignore[arg-type]
    return {fault.code for fault in one.faults} if isinstance(one, Unfit) else set()


@dataclass
class Meter:
    """A meter that obeys, answers, and lets time pass."""

    state: DeviceState = field(default_factory=esme)
    keys: DeviceKeys = field(default_factory=keys)

    def obey(self, message: Message, role: RemotePartyRole = _ROLE.SUPPLIER, *, mac: bool = True) -> bytes:
        """What it answers to a command that is signed by who is in a role's cell, and let pass by the broker."""
        signed = sign(message, signer(role))
        return self.take(with_mac(signed) if mac else signed)

    def take(self, message: Message) -> bytes:
        found = receive(self.state, self.keys, message.encode(), NOW)
        assert found.verdict.accepted, found.verdict
        self.state, self.keys = found.state, getattr(found, "keys", None) or self.keys
        assert found.answer is not None
        return found.answer

    def wait(self, change: Change) -> bytes:
        assert change.at is not None
        done = advance(self.state, self.keys, change.at)
        self.state = done.state
        (alert,) = done.alerts
        return alert

    def holding(self, name: CellName) -> bytes:
        return self.state.cells[name].key_identifier


def ring() -> KeyRing:
    return KeyRing(certified(der, "the meter's").known for der in own().values())


def told(house: House, *answers: bytes) -> list[Told]:
    given = [Given(f"answer {number}", octets) for number, octets in enumerate(answers, 1)]
    return list(OutcomeDesk(house.workspace, ring()).take(given))


def in_inventory(house: House, state: DeviceState) -> None:
    """The meter, believed to hold what it holds."""
    cells = {name: Believed(cell.entity, cell.key_identifier, None, NOW) for name, cell in state.cells.items()}
    record = DeviceRecord(METER, DeviceType.ESME, DeviceStatus.COMMISSIONED, None, cells, {_ROLE.SUPPLIER: 0})
    with act(house.workspace, "test.device") as tx:
        tx.put_devices([record])


def with_broker_inside(state: DeviceState) -> DeviceState:
    """A meter before its handover: the broker's certificates in the supplier's cells (DUIS 6.21)."""
    cells = dict(state.cells)
    for name in SUPPLIER_CELLS:
        assert name.use.key_usage is not None
        mine = signer() if name.use.key_usage.value == "digitalSignature" else ec.generate_private_key(ec.SECP256R1())
        one = certificate(mine.public_key(), BROKER, _ROLE.ACCESS_CONTROL_BROKER, name.use.key_usage)
        cells[name] = Cell.of(one.certificate.public_bytes(Encoding.DER), name)
    return replace(state, cells=cells)


def key_identifier(one: Place) -> bytes:
    return KeyIdentifier.of(certified(one.certificate, "a test's").holder.public_key).octets


FLOORS = Floors(0, 0)
