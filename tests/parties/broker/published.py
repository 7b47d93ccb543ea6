"""The world of the Reference Test Data Set: its parties, its home, its commands as they come to the broker."""

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from smki.device.cells import CellName, CellUse
from smki.entity import DeviceType, EntityId, RemotePartyRole
from smki.gbcs.agreement import Agreement
from smki.gbcs.message import Message, Protection, read_message
from smki.meter_point import MeterPoint
from smki.parties.broker.desk import BrokerDesk
from smki.parties.intake import Given
from smki.parties.outcome import Outcome
from smki.store.admission_records import ConsentRecord
from smki.store.estate_records import Believed, DeviceRecord, DeviceStatus, Registered
from smki.store.records import Act
from tests.house import NOW
from tests.parties.broker.world import AGREES, LONG_AGO, SIGNS, User, World
from tests.parties.people import BROKER, certificate
from tests.vectors_folder import read_json

SUPPLIER = EntityId.parse("90b3d51f30010000")
OPERATOR = EntityId.parse("90b3d51f30020000")
CONTROLLER = EntityId.parse("90b3d51f30010008")
_MPAN, _MPRN = "1900000777001", "1000000000"
_KINDS = {
    "a0": DeviceType.ESME,
    "a1": DeviceType.GSME,
    "a2": DeviceType.CHF,
    "a3": DeviceType.GPF,
    "a4": DeviceType.PPMID,
    "a5": DeviceType.HCALCS,
    "a6": DeviceType.SAPC,
}
_GAS = {DeviceType.GSME, DeviceType.GPF}


def devices() -> dict[EntityId, DeviceType]:
    return {EntityId.parse(f"00db1234567890{end}"): kind for end, kind in _KINDS.items()}


class Published:
    """The published keys, certified by the tests' authority, in one broker's workspace."""

    def __init__(self, world: World, *, holder: EntityId | None = None) -> None:
        self.world = world
        self._holder = holder
        """Whom the devices are believed to have as their supplier; None: nobody knows."""
        self.users: dict[EntityId, User] = {}
        world.others.clear()
        for item in read_json("gbcs", "keys.json")["keys"]:
            self._certify(item)
        self._settle()

    def _certify(self, item: dict[str, Any]) -> None:
        entity = EntityId.parse(item["eui64"])
        public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), bytes.fromhex(item["public_key_hex"]))
        usage = SIGNS if item["usage"] == "DS" else AGREES
        if item["entity"] == "example" or item["prepayment"]:
            return
        role = RemotePartyRole(item["role"]) if "role" in item else None
        one = certificate(public, entity, role, usage)
        self.world.others.append(one)
        if role is None or item["private_key_hex"] is None:
            return
        key = ec.derive_private_key(int(item["private_key_hex"], 16), ec.SECP256R1())
        if usage is SIGNS:
            self.users[entity] = User(entity, role, key, one)
        elif entity == BROKER:
            self.key = key

    def _settle(self) -> None:
        """One home with everything in it; its hub's proxy still has the broker in its supplier's cells."""
        records = []
        for entity, kind in devices().items():
            point = MeterPoint(_MPRN if kind in _GAS else _MPAN)
            cells = {}
            if self._holder is not None:
                cells[CellName(RemotePartyRole.SUPPLIER, CellUse.KEY_AGREEMENT)] = _believed(self._holder)
            if kind is DeviceType.GPF:
                cells[CellName(RemotePartyRole.SUPPLIER, CellUse.DIGITAL_SIGNATURE)] = _believed(BROKER)
            records.append(DeviceRecord(entity, kind, DeviceStatus.COMMISSIONED, point, cells, {}))
        rows = [(MeterPoint(digits), Registered(SUPPLIER, OPERATOR, LONG_AGO)) for digits in (_MPAN, _MPRN)]
        consents = [ConsentRecord(party, _MPAN, LONG_AGO) for party in (CONTROLLER, SUPPLIER)]
        with self.world.house.workspace.store.act(Act("test", "tester", NOW)) as tx:
            tx.put_devices(records)
            tx.put_registrations(rows)
            tx.put_consents(consents)

    def run(self, vectors: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], Outcome]]:
        """Each vector as the broker would get it: signed, or asked for."""
        with Agreement(self.key, 64) as agreement:
            asked = [item for item in vectors if _is_asked(item)]
            signed = [item for item in vectors if not _is_asked(item)]
            for group in (*_rounds(signed), *_rounds(asked)):
                self._forget()
                desk = BrokerDesk(self.world.house.workspace, BROKER, agreement, self.world.others)
                if not _is_asked(group[0]):
                    given = [Given(item["name"], _as_it_comes(item)) for item in group]
                    yield from zip(group, desk.submit(given), strict=True)
                    continue
                for user, items in _by_user(group).items():
                    data = self.users[user].asking([_line(item) for item in items])
                    yield from zip(items, desk.ask(data), strict=True)

    def _forget(self) -> None:
        """Devices that nobody has commanded yet: the set numbers nearly all of its commands the same."""
        engine = self.world.house.workspace.store._engine
        with engine.transaction():
            engine.execute("DELETE FROM last_admitted")


def _believed(holder: EntityId) -> Believed:
    return Believed(holder, b"k" * 8, None, NOW)


def _rounds(vectors: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """In one round, what one user asks of one device is numbered upwards."""
    rounds: list[tuple[dict[tuple[EntityId | None, str], int], list[dict[str, Any]]]] = []
    for item in sorted(vectors, key=_number):
        pair, number = (_user(item), item["header"]["recipient_eui64"]), _number(item)
        found = next((one for one in rounds if one[0].get(pair, -1) < number), None)
        if found is None:
            found = ({}, [])
            rounds.append(found)
        found[0][pair] = number
        found[1].append(item)
    return [items for _, items in rounds]


def _number(item: dict[str, Any]) -> int:
    header = item["header"]
    return int(header.get("supplementary_remote_party_counter_hex", header["originator_counter_hex"]), 16)


def _is_asked(item: dict[str, Any]) -> bool:
    return item["kind"] == "command" and item["protection"] == "mac" and _user(item) is not None


def _user(item: dict[str, Any]) -> EntityId | None:
    header = item["header"]
    user = header.get("supplementary_remote_party_eui64") or header["originator_eui64"]
    entity = EntityId.parse(user)
    return None if entity in devices() else entity


def _by_user(items: list[dict[str, Any]]) -> dict[EntityId, list[dict[str, Any]]]:
    found: dict[EntityId, list[dict[str, Any]]] = defaultdict(list)
    for item in items:
        user = _user(item)
        assert user is not None, "it is asked for"
        found[user].append(item)
    return found


def _line(item: dict[str, Any]) -> str:
    """What its user asks: numbered by the user, in the header and in the payload."""
    message = read_message(bytes.fromhex(item["message_hex"]))
    extra = message.header.supplementary
    counter = message.header.counter if extra is None or extra.counter is None else extra.counter
    payload = message.payload
    if payload[:1] == b"\xd9":
        payload = payload[:2] + counter.to_bytes(8)[-3:] + payload[5:]
    told = {
        "reference": item["name"],
        "use_case": str(message.header.code),
        "target": item["header"]["recipient_eui64"],
    }
    return json.dumps(told | {"counter": str(counter), "payload": payload.hex()})


def _as_it_comes(item: dict[str, Any]) -> bytes:
    """A signed pre-command before the broker had it; anything else as it is."""
    message = read_message(bytes.fromhex(item["message_hex"]))
    if item["kind"] != "command" or message.protection is not Protection.BOTH:
        return message.encode()
    return replace(message, mac=None).encode()


def is_same(item: dict[str, Any], octets: bytes) -> bool:
    """Whether the broker's command is the published one: but for its own numbers, which the set has drawn by hand."""
    ours, theirs = read_message(octets), read_message(bytes.fromhex(item["message_hex"]))
    if ours.header.originator == BROKER != EntityId.parse(item["header"]["originator_eui64"]):
        return False
    if ours.header.originator != BROKER or ours.signature:
        return ours.encode() == theirs.encode()
    return _renumbered(ours, theirs) == theirs.grouped


def _renumbered(ours: Message, theirs: Message) -> bytes:
    payload = ours.payload
    if payload[:1] == b"\xd9":
        payload = payload[:2] + theirs.payload[2:5] + payload[5:]
    extra = ours.header.supplementary
    if extra is not None and extra.certificate is not None and theirs.header.supplementary is not None:
        extra = replace(extra, certificate=theirs.header.supplementary.certificate)
    return Message(replace(ours.header, counter=theirs.header.counter, supplementary=extra), payload).grouped
