"""An estate of meters through handover, two changes of supplier, new keys, a stolen key and a lost root.

Commands are lost, repeated and interleaved with those of parties that were ousted; answers are lost too, and then the
cells are read back. At the end every device holds what the authority believes, and nobody ousted was ever obeyed.
"""

import hashlib
import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from scripts.soaks.people import People, people
from smki.authority.log import acts
from smki.device.cells import Cell, CellName, CellUse
from smki.device.credentials import advance
from smki.device.modes import SUPPLIER_CELLS
from smki.device.receive import Received, receive
from smki.device.state import DeviceKeys, DeviceState, new_pair
from smki.device.update import Floors
from smki.entity import DeviceType, EntityId, KeyUsage, RemotePartyRole
from smki.gbcs.agreement import Agreement
from smki.gbcs.message import Message, read_message
from smki.gbcs.payload.credentials import Mode
from smki.gbcs.protection import add_mac, digest_to_sign, sign
from smki.gbcs.verdict import KeyRing
from smki.parties.asking import Asking, ask, install_key, read_cells, request_key
from smki.parties.changes import Change, Made, Place, UpdateRequest
from smki.parties.credentials import make
from smki.parties.intake import Given
from smki.parties.keys import certified
from smki.parties.outcomes import OutcomeDesk
from smki.store.estate_records import Believed, DeviceRecord, DeviceStatus
from tests.device.desk import policies
from tests.device.home import AT, CONTINGENCY, FIRST, SECOND, Party, authority, device_certificate
from tests.house import House, founded
from tests.parties.people import arming

_ROLE = RemotePartyRole
_LOST, _REPEATED, _UNANSWERED, _HOSTILE = 0.08, 0.08, 0.06, 0.25
_PIECE = 1000
_OPERATOR = tuple(CellName(_ROLE.NETWORK_OPERATOR, use) for use in (CellUse.DIGITAL_SIGNATURE, CellUse.KEY_AGREEMENT))
_ROLES = (_ROLE.RECOVERY, _ROLE.SUPPLIER, _ROLE.NETWORK_OPERATOR, _ROLE.ACCESS_CONTROL_BROKER, _ROLE.TRANSITIONAL_COS)
Tell = Callable[[str], None]


@dataclass
class Meter:
    """A device in its home."""

    state: DeviceState
    keys: DeviceKeys

    def take(self, octets: bytes, at: datetime) -> Received:
        found = receive(self.state, self.keys, octets, at)
        self.state, self.keys = found.state, found.keys
        return found


@dataclass
class Estate:
    """Every meter, everyone who orders, and what became of it."""

    house: House
    people: People
    chance: random.Random
    meters: dict[EntityId, Meter]
    ring: KeyRing
    broker: Agreement
    at: list[datetime]
    counter: int = 1000
    ousted: list[str] = field(default_factory=list)
    supplier: str = ""
    counts: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    # One command after another

    def number(self) -> int:
        self.counter += 1
        return self.counter

    def protect(self, messages: Sequence[Message], who: str | None, *, mac: bool = True) -> list[Message]:
        """Signed in the token, if someone signs; and let pass by the broker."""
        if who is not None:
            signatures = self.people.signing(who).sign_digests([digest_to_sign(one) for one in messages])
            messages = [one.signed(value) for one, value in zip(messages, signatures, strict=True)]
        return [self.let_pass(one) for one in messages] if mac else list(messages)

    def let_pass(self, message: Message) -> Message:
        key = self.meters[message.header.target].keys.agreement.public_key()
        name = message.header.target.octets
        with self.broker.with_peer(key, name) as secret:
            return add_mac(message, secret)

    def deliver(self, messages: Sequence[Message]) -> list[bytes]:
        """To every meter, in no order, until each has it; the answers that come back."""
        answers: list[bytes] = []
        waiting = list(messages)
        while waiting:
            self.chance.shuffle(waiting)
            late = []
            for message in waiting:
                if self.chance.random() < _LOST:
                    self.counts["lost"] += 1
                    late.append(message)
                    continue
                answers += self._one(message)
            waiting = late
        return answers

    def _one(self, message: Message) -> list[bytes]:
        meter, octets = self.meters[message.header.target], message.encode()
        if self.chance.random() < _HOSTILE:
            self._interleave(meter)
        found = meter.take(octets, self.at[0])
        self.counts["commands"] += 1
        if not found.verdict.accepted or found.answer is None:
            self.wrong.append(f"{meter.state.device} refused an order: {found.verdict.code} {found.verdict.message}")
            return []
        if self.chance.random() < _REPEATED:
            self.counts["repeated"] += 1
            if meter.take(octets, self.at[0]).verdict.accepted:
                self.wrong.append(f"{meter.state.device} obeyed a command twice")
        if self.chance.random() < _UNANSWERED:
            self.counts["answers lost"] += 1
            return []
        return [*found.alerts, found.answer]

    def _interleave(self, meter: Meter) -> None:
        """Its supplier, or someone who was it once, arms the load switch."""
        hostile = bool(self.ousted) and self.chance.random() < 0.7
        name = self.chance.choice(self.ousted) if hostile else self.supplier
        if not name:
            return
        command = arming(self.number(), target=meter.state.device, originator=self.people[name].entity)
        (message,) = self.protect([command], name)
        found = meter.take(message.encode(), self.at[0])
        self.counts["of ousted parties" if hostile else "of the supplier"] += 1
        if found.verdict.accepted is hostile:
            who = "an ousted party" if hostile else "its supplier"
            self.wrong.append(f"{meter.state.device}: {found.verdict.code} for {who}")

    # Phases

    def change(self, change: Change, who: str | None, *, mac: bool = True) -> list[bytes]:
        """The same change on every meter; what the meters answer."""
        batch = hashlib.sha256(f"{change.mode} {self.counter}".encode()).digest()
        requests = [UpdateRequest(change, entity, self.number(), DeviceType.ESME) for entity in self.meters]
        made = []
        for one in make(self.house.workspace, requests, batch):
            if isinstance(one, Made):
                made.append(one.message)
            else:
                self.wrong.append(f"{change.mode.name} not made: {[fault.message for fault in one.faults]}")
        if change.mode is Mode.ANY_BY_CONTINGENCY:
            return self.deliver([sign(one, authority(FIRST).contingency) for one in made])
        return self.deliver(self.protect(made, who, mac=mac))

    def ask(self, askings: Iterable[Asking], who: str | None) -> list[bytes]:
        batch = hashlib.sha256(f"ask {self.counter}".encode()).digest()
        asked = [one.asking.message for one in ask(self.house.workspace, askings, batch) if not one.faults]
        return self.deliver(self.protect(asked, who))

    def record(self, answers: Iterable[bytes]) -> None:
        given = [Given(str(number), octets) for number, octets in enumerate(answers)]
        for told in OutcomeDesk(self.house.workspace, self.ring).take(given):
            self.counts["outcomes"] += 1
            if not told.succeeded:
                self.wrong.append(f"outcome {told.state}: {told.words} {[one.message for one in told.faults]}")

    def read_back(self) -> None:
        """Whoever's answer was lost is asked what is in its cells, until all have said it."""
        broker = (self.people["broker"].entity, _ROLE.ACCESS_CONTROL_BROKER)
        while silent := self.disagreeing():
            askings = [
                read_cells(self.house.workspace, broker, one, self.number(), (_ROLE.ROOT, *_ROLES)) for one in silent
            ]
            self.counts["read back"] += len(silent)
            self.record(self.ask(askings, None))

    def disagreeing(self) -> list[EntityId]:
        """The meters that hold something else than the authority believes: what a read-back would find."""
        entities, found = list(self.meters), list[EntityId]()
        for start in range(0, len(entities), _PIECE):
            known = self.house.workspace.store.estate.devices(entities[start : start + _PIECE])
            found += [
                one for one in entities[start : start + _PIECE] if not _agrees(known.get(one), self.meters[one])
            ]
        return found

    def wait(self, hours: int) -> list[bytes]:
        """Time passes everywhere: what was put off is done."""
        self.at[0] += timedelta(hours=hours)
        alerts: list[bytes] = []
        for meter in self.meters.values():
            due = advance(meter.state, meter.keys, self.at[0])
            meter.state = due.state
            alerts += due.alerts
        return alerts


def soak(folder: Path, count: int, seed: int, tell: Tell) -> list[str]:
    """Everything that was wrong."""
    at = [AT]
    with founded(folder / "estate", lambda: at[0], kind="user") as house:
        estate = _installed(house, count, random.Random(seed), at)  # noqa: S311 - chance, not a secret
        for name, phase in _PHASES:
            phase(estate)
            estate.read_back()
            told = ", ".join(f"{number:,} {what}" for what, number in sorted(estate.counts.items()))
            tell(f"{name}: {told}")
        return estate.wrong + [f"{one} holds something else than is believed" for one in estate.disagreeing()]


def _agrees(known: DeviceRecord | None, meter: Meter) -> bool:
    held = {name: (cell.entity, cell.key_identifier) for name, cell in meter.state.cells.items()}
    return known is not None and held == {
        name: (cell.holds, cell.key_identifier) for name, cell in known.cells.items()
    }


# Before


def _installed(house: House, count: int, chance: random.Random, at: list[datetime]) -> Estate:
    """Meters as they come from the store: the broker's certificates where a supplier's and operator's will be."""
    known = people(house)
    cells = {name: _first_cell(known, name) for name in policies().devices[DeviceType.ESME]}
    ring = KeyRing(one.known for one in known.certificates)
    meters = {}
    for number in range(count):
        entity = EntityId((0x00DB123456 << 24 | number).to_bytes(8))
        keys = DeviceKeys(new_pair(), new_pair())
        pairs = ((KeyUsage.DIGITAL_SIGNATURE, keys.signing), (KeyUsage.KEY_AGREEMENT, keys.agreement))
        own = {usage: device_certificate(key.public_key(), usage, entity) for usage, key in pairs}
        ring.add(certified(der, "a meter's").known for der in own.values())
        meters[entity] = Meter(_first_state(entity, cells, own), keys)
    _believe(house, meters)
    broker = Agreement(known["broker"].key(CellUse.KEY_AGREEMENT), keep=count)
    ring.agreements[known["broker"].entity] = Agreement(known["broker"].key(CellUse.KEY_AGREEMENT), keep=count)
    return Estate(house, known, chance, meters, ring, broker, at)


def _first_cell(known: People, name: CellName) -> Cell:
    if name.role is _ROLE.ROOT:
        return Cell.of(authority(FIRST).root.der, name)
    names = {_ROLE.RECOVERY: "recovery", _ROLE.TRANSITIONAL_COS: "cos"}
    return Cell.of(known[names.get(name.role, "broker")].certificate(name.use), name)


def _first_state(entity: EntityId, cells: dict[CellName, Cell], own: dict[KeyUsage, bytes]) -> DeviceState:
    return DeviceState(
        device=entity,
        kind=DeviceType.ESME,
        bundle=1,
        cells=cells,
        counters=dict.fromkeys(_ROLES, 0),
        tokens=(),
        token_floor=0,
        own_counter=1,
        own=own,
        use_cases=policies().use_cases,
    )


def _believe(house: House, meters: dict[EntityId, Meter]) -> None:
    now = house.workspace.clock()
    records = []
    for entity, meter in meters.items():
        cells = {
            name: Believed(cell.entity, cell.key_identifier, None, now) for name, cell in meter.state.cells.items()
        }
        records.append(DeviceRecord(entity, DeviceType.ESME, DeviceStatus.COMMISSIONED, None, cells, {}))
    for start in range(0, len(records), _PIECE):
        piece = records[start : start + _PIECE]
        with acts(house.workspace, "soak.installed", [{"devices": len(piece)}]) as tx:
            tx.put_devices(piece)


# What happens


def _set(one: Party, names: Iterable[CellName], under: str = FIRST) -> tuple[Place, ...]:
    return tuple(Place(name, one.certificate(name.use, under)) for name in names)


def _handover(estate: Estate) -> None:
    """The broker hands its place to the first supplier and the network operator."""
    broker, known = estate.people["broker"].entity, estate.people
    supplier = Change(
        Mode.SUPPLIER_BY_SUPPLIER, broker, _set(known["north"], SUPPLIER_CELLS), floors=Floors(0, 0), handover=True
    )
    estate.record(estate.change(supplier, "broker"))
    estate.supplier = "north"
    operator = Change(
        Mode.NETWORK_OPERATOR_BY_NETWORK_OPERATOR,
        broker,
        _set(known["wires"], _OPERATOR),
        floors=Floors(0),
        handover=True,
    )
    estate.record(estate.change(operator, "broker"))


def _to(estate: Estate, new: str, at: datetime | None) -> Change:
    places = _set(estate.people[new], SUPPLIER_CELLS)
    cos = estate.people["cos"].entity
    return Change(Mode.SUPPLIER_BY_TRANS_COS, cos, places, at=at, other_floors=((_ROLE.SUPPLIER, Floors(0, 0)),))


def _supplier_at_once(estate: Estate) -> None:
    before, estate.supplier = estate.supplier, ""
    estate.record(estate.change(_to(estate, "south", None), "cos"))
    estate.supplier, estate.ousted = "south", [before]


def _supplier_at_midnight(estate: Estate) -> None:
    estate.record(estate.change(_to(estate, "west", estate.at[0] + timedelta(hours=12)), "cos"))
    before, estate.supplier = estate.supplier, ""
    estate.record(estate.wait(13))
    estate.supplier, estate.ousted = "west", [*estate.ousted, before]


def _new_device_keys(estate: Estate) -> None:
    """Every meter makes a new signing key, and uses it when its certificate has come."""
    name, estate.supplier = estate.supplier, ""  # whose other commands would come between, with higher counters
    supplier, usage = estate.people[name].entity, KeyUsage.DIGITAL_SIGNATURE
    asked = estate.ask([request_key(supplier, one, estate.number(), usage) for one in estate.meters], name)
    estate.record(asked)
    certificates = []
    for octets in asked:
        message = read_message(octets)
        key = x509.load_der_x509_csr(message.payload).public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        certificates.append(device_certificate(key, usage, message.header.originator))
    estate.ring.add(certified(der, "a meter's").known for der in certificates)
    workspace = estate.house.workspace
    installs = [install_key(workspace, supplier, estate.number(), der) for der in certificates]
    estate.record(estate.ask(installs, name))
    estate.supplier = name


def _stolen_key(estate: Estate) -> None:
    """The network operator's key is stolen: recovery puts new ones in every meter (method 3)."""
    places = _set(estate.people.wires_again, _OPERATOR)
    change = Change(
        Mode.ANY_EXCEPT_ABNORMAL_ROOT_BY_RECOVERY,
        estate.people["recovery"].entity,
        places,
        floors=Floors(0),
        other_floors=((_ROLE.NETWORK_OPERATOR, Floors(0)),),
    )
    estate.record(estate.change(change, "recovery", mac=False))


def _lost_root(estate: Estate) -> None:
    """The contingency key replaces the root, and everything under it."""
    known, second = estate.people, authority(SECOND)
    cells = policies().devices[DeviceType.ESME]
    parties = [known["recovery"], known[estate.supplier], known.wires_again, known["broker"], known["cos"]]
    places = [Place(name, second.root.der) for name in cells if name.role is _ROLE.ROOT]
    places += [one for who in parties for one in _set(who, [c for c in cells if c.role is who.role], SECOND)]
    change = Change(
        Mode.ANY_BY_CONTINGENCY,
        CONTINGENCY,
        tuple(places),
        path=(second.issuing.der,),
        floors=Floors(0),
        other_floors=tuple((role, Floors(0, 0 if role is _ROLE.SUPPLIER else None)) for role in _ROLES[1:]),
        symmetric_key=authority(FIRST).symmetric,
    )
    estate.record(estate.change(change, None, mac=False))


_PHASES: tuple[tuple[str, Callable[[Estate], None]], ...] = (
    ("handover", _handover),
    ("change of supplier, at once", _supplier_at_once),
    ("change of supplier, at midnight", _supplier_at_midnight),
    ("new device keys", _new_device_keys),
    ("stolen key, by recovery", _stolen_key),
    ("lost root, by the contingency", _lost_root),
)
