"""An authority that has lost a key: certified parties, homes that hold their keys, custodians, a recovery key."""

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from smki.authority.certificates import renewal, set_status
from smki.authority.founding import found
from smki.authority.hierarchy import certificate_of, named
from smki.authority.log import act
from smki.authority.workspace import Person
from smki.device import receive
from smki.device.cells import Cell, CellName, CellUse
from smki.device.modes import ROOT_CELL
from smki.device.state import DeviceKeys, DeviceState
from smki.entity import DeviceType, EntityId, KeyUsage, RemotePartyRole
from smki.gbcs.protection import sign
from smki.gbcs.verdict import KeyRing
from smki.parties.asking import ask, read_cells
from smki.parties.intake import Given
from smki.parties.keys import Certified, certified
from smki.parties.outcomes import OutcomeDesk
from smki.parties.recovery.approval import approve_plan
from smki.parties.recovery.draft import Event, Wish, draft
from smki.parties.recovery.file import Devices, read_devices
from smki.parties.recovery.plan import Plan
from smki.parties.recovery.rules import read_plan
from smki.parties.recovery.run import Told, run_plan
from smki.pki.keyid import KeyIdentifier
from smki.pki.kind import Kind
from smki.pki.name import organisation_name
from smki.pki.status import Status
from smki.pki.usages import key_usage
from smki.store.certificates import Query
from smki.store.estate_records import Believed, DeviceRecord, DeviceStatus
from smki.store.records import CertificateRecord
from tests.authority.desk import Desk, change_policy
from tests.house import NOW, OFFICERS, House, no_prompt, opened
from tests.parties.people import certificate

ROLE = RemotePartyRole
RECOVERY = EntityId.parse("90-B3-D5-1F-30-00-00-01")
BROKER = EntityId.parse("90-B3-D5-1F-30-00-00-02")
COS = EntityId.parse("90-B3-D5-1F-30-00-00-04")
NORTH = EntityId.parse("90-B3-D5-1F-30-01-00-00")
SOUTH = EntityId.parse("90-B3-D5-1F-30-03-00-00")
OPERATOR = EntityId.parse("90-B3-D5-1F-30-02-00-00")
DS, KA, TOP_UP = CellUse.DIGITAL_SIGNATURE, CellUse.KEY_AGREEMENT, CellUse.TOP_UP
PARTIES = (
    (RECOVERY, ROLE.RECOVERY, (KeyUsage.DIGITAL_SIGNATURE,)),
    (BROKER, ROLE.ACCESS_CONTROL_BROKER, (KeyUsage.DIGITAL_SIGNATURE, KeyUsage.KEY_AGREEMENT)),
    (COS, ROLE.TRANSITIONAL_COS, (KeyUsage.DIGITAL_SIGNATURE,)),
    (NORTH, ROLE.SUPPLIER, (KeyUsage.DIGITAL_SIGNATURE, KeyUsage.KEY_AGREEMENT, KeyUsage.KEY_AGREEMENT)),
    (SOUTH, ROLE.SUPPLIER, (KeyUsage.DIGITAL_SIGNATURE, KeyUsage.KEY_AGREEMENT, KeyUsage.KEY_AGREEMENT)),
    (OPERATOR, ROLE.NETWORK_OPERATOR, (KeyUsage.DIGITAL_SIGNATURE, KeyUsage.KEY_AGREEMENT)),
)
NOTIFIED = Event("Bright Power, security desk", NOW, "case 4711: a laptop was stolen")
RECOVERY_TOKEN = '\n[tokens.recovery]\nhsm = "softhsm"\nlabel = "recovery"\npin = "file:pins/recovery"\n'
KEYS: dict[bytes, ec.EllipticCurvePrivateKey] = {}
"""Everyone's private key, by key identifier, but those that are in tokens."""
DECIDED = Event("SMKI PMA", NOW, "minute 12 of 2026")
ORGANISATION = "organisation signing key"


def device(number: int) -> EntityId:
    return EntityId.parse(f"00-DB-12-34-00-00-{number >> 8:02X}-{number & 0xFF:02X}")


def prepare(home: Path) -> None:
    """In a workspace with three hierarchies: parties enrolled and certified, custodians named, a recovery token."""
    settings = home / "smki.toml"
    settings.write_text(settings.read_text() + RECOVERY_TOKEN)
    list(found(home, lambda: NOW, no_prompt, Person("tester")))
    name_custodians(home)
    desk = Desk(opened(home))
    change_policy(desk, '["accessControlBroker", "transitionalCoS", "recovery"]', "[]")
    for entity, role, usages in PARTIES:
        desk.enrol(f"{role.word} {entity}", role, entity=entity)
        for usage in usages:
            issue(desk, entity, role, usage, _recovery_key(desk) if entity == RECOVERY else None)
    desk.workspace.close()


def _recovery_key(desk: Desk) -> ec.EllipticCurvePrivateKey:
    return desk.workspace.open_token("recovery").generate_key("ds", os.urandom(16), "sign")


def prepare_another_root(home: Path) -> None:
    """After the root was lost: another, and everyone certified under it."""
    world = World(opened(home))
    world.add_homes(2)
    world.add_homes(1, SOUTH, DeviceType.GSME)
    world.add_homes(1, NORTH, DeviceType.PPMID)
    HOMES.update(world.homes)
    another_root(world.house)
    for entity, role, usages in PARTIES:
        for usage in dict.fromkeys(usages):
            for record in world.certificates(entity, usage):
                world.withdraw(record)
        for usage in usages:
            issue(world.desk, entity, role, usage)
    world.house.workspace.close()


def another_root(house: House) -> None:
    house.hold(house.write("next.toml", "1", name="oca-root-2", subject="ZB", succeeds="oca-root"))
    house.hold(house.write("below.toml", "2", name="oca-issuing-2", subject="Z2", signed_by="oca-root-2"))


def name_custodians(home: Path) -> None:
    policy = home / "policies" / "recovery.toml"
    names = ", ".join(f'"{name}"' for name in OFFICERS)
    policy.write_text(policy.read_text().replace("custodians = []", f"custodians = [{names}]"))


def issue(
    desk: Desk,
    entity: EntityId,
    role: RemotePartyRole,
    usage: KeyUsage,
    key: ec.EllipticCurvePrivateKey | None = None,
) -> CertificateRecord:
    if key is None:
        key = ec.generate_private_key(ec.SECP256R1())
        KEYS[KeyIdentifier.of(key.public_key()).octets] = key
    csr = organisation_request(key, entity, role, usage)
    wanted = desk.order(Kind.ORGANISATION, f"{role.word} {entity}")
    (outcome,) = desk.issue(wanted, csr)
    assert outcome.certificate is not None, outcome.faults
    return outcome.certificate


def organisation_request(
    key: ec.EllipticCurvePrivateKey, entity: EntityId, role: RemotePartyRole, usage: KeyUsage
) -> bytes:
    builder = x509.CertificateSigningRequestBuilder().subject_name(organisation_name(role, entity, None))
    builder = builder.add_extension(key_usage(usage), critical=True)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


@dataclass
class Home:
    """A device, as it is."""

    state: DeviceState
    keys: DeviceKeys
    answer: bytes | None = None

    def take(self, octets: bytes) -> str:
        found = receive(self.state, self.keys, octets, NOW)
        self.state, self.keys = found.state, found.keys
        self.answer = found.answer
        return found.verdict.code


HOMES: dict[EntityId, Home] = {}
"""As they were when the root was lost."""


@dataclass
class World:
    """A workspace in which something was lost."""

    house: House
    homes: dict[EntityId, Home] = field(default_factory=dict)

    @classmethod
    def with_homes(cls, house: House) -> "World":
        return cls(house, {entity: replace(home) for entity, home in HOMES.items()})

    @property
    def workspace(self) -> Any:
        return self.house.workspace

    @property
    def desk(self) -> Desk:
        return Desk(self.house)

    # Certificates

    def certificates(self, entity: EntityId, usage: KeyUsage) -> list[CertificateRecord]:
        found = self.workspace.store.certificates.find(
            Query(entity=entity, usage=usage, status=Status.IN_USE, now=NOW)
        )
        return sorted(found, key=lambda one: (one.not_before, one.serial.octets))

    def certificate(self, entity: EntityId, use: CellUse) -> CertificateRecord:
        assert use.key_usage is not None
        found = self.certificates(entity, use.key_usage)
        return found[-1] if use is not KA else found[0]

    def withdraw(self, record: CertificateRecord) -> None:
        set_status(self.workspace, record, Status.NOT_IN_USE)

    def reissue(self, entity: EntityId, role: RemotePartyRole, usage: KeyUsage) -> CertificateRecord:
        """A new key in place of what was lost."""
        return issue(self.desk, entity, role, usage)

    def renew_all(self) -> None:
        """Everyone has a new certificate, pending, beside the one in use."""
        for entity, role, usages in PARTIES:
            for usage in dict.fromkeys(usages):
                for record in self.certificates(entity, usage):
                    key = ec.generate_private_key(ec.SECP256R1())
                    csr = organisation_request(key, entity, role, usage)
                    (outcome,) = self.desk.issue(renewal(self.workspace, record), csr)
                    assert outcome.certificate is not None, outcome.faults

    @property
    def signer(self) -> Certified:
        return certified(self.certificate(RECOVERY, DS).der, "the recovery key's certificate")

    @property
    def root(self) -> bytes:
        return certificate_of(self.workspace, named(self.workspace, "oca-root")).der

    # Homes

    def cells(self, kind: DeviceType, supplier: EntityId) -> dict[CellName, bytes]:
        parties = {
            ROLE.RECOVERY: RECOVERY,
            ROLE.SUPPLIER: supplier,
            ROLE.NETWORK_OPERATOR: OPERATOR,
            ROLE.ACCESS_CONTROL_BROKER: BROKER,
            ROLE.TRANSITIONAL_COS: COS,
        }
        names = self.workspace.policies.devices[kind]
        found = {name: self.certificate(parties[name.role], name.use).der for name in names if name != ROOT_CELL}
        return {ROOT_CELL: self.root, **found}

    def add_homes(self, count: int, supplier: EntityId = NORTH, kind: DeviceType = DeviceType.ESME) -> list[EntityId]:
        """Devices with these in their cells: the real ones, and what the inventory believes of them."""
        cells = {name: Cell.of(der, name) for name, der in self.cells(kind, supplier).items()}
        believed = {
            name: Believed(cell.entity, cell.key_identifier, None, NOW, "installed") for name, cell in cells.items()
        }
        added = [device(len(self.homes) + number) for number in range(1, count + 1)]
        with act(self.workspace, "inventory.imported", count=count) as tx:
            tx.put_devices(
                DeviceRecord(entity, kind, DeviceStatus.COMMISSIONED, None, believed, {}) for entity in added
            )
        for entity in added:
            self.homes[entity] = _home(self, entity, kind, cells)
        return added

    # Plans

    def wish(self, **said: Any) -> Wish:
        """A supplier's signing key was stolen, and is replaced by the recovery key."""
        basis: dict[str, Any] = {
            "what": ORGANISATION,
            "serials": (),
            "method": "3",
            "purpose": "Replace the stolen keys of a supplier",
            "root": "oca-root",
            "notified": NOTIFIED,
            "decided": DECIDED,
            "signer": self.signer,
            "token": "recovery",
            "key": "ds",
        }
        return Wish(**{**basis, **said})

    def draft(self, name: str = "plan", **said: Any) -> Plan:
        return read_plan(self.workspace, draft(self.workspace, self.wish(**said), self.house.home / f"{name}.toml"))

    def stolen(self, entity: EntityId = NORTH) -> CertificateRecord:
        """A supplier's signing key is lost: its certificate is withdrawn, and a new one issued."""
        lost = self.certificate(entity, DS)
        self.withdraw(lost)
        self.reissue(entity, ROLE.SUPPLIER, KeyUsage.DIGITAL_SIGNATURE)
        return lost

    def approve(self, plan: Plan, *names: str) -> None:
        for name in names:
            approve_plan(self.workspace, plan, name, OFFICERS[name], plan.file.sha256.hex())

    def run(self, plan: Plan) -> list[Told]:
        return list(run_plan(self.workspace, plan))

    # What devices say

    def answer(self, entity: EntityId) -> str | None:
        """A device's last answer comes in."""
        home = self.homes[entity]
        assert home.answer is not None
        ring = KeyRing(certified(der, "a device's certificate").known for der in home.state.own.values())
        (told,) = OutcomeDesk(self.workspace, ring).take([Given(str(entity), home.answer)])
        assert not told.faults, told.faults
        return told.state

    def read_back(self, entity: EntityId, counter: int) -> None:
        """The CoS party asks a device what is in its cells (CS02a)."""
        roles = tuple(dict.fromkeys(name.role for name in self.homes[entity].state.cells))
        asking = read_cells(self.workspace, (COS, ROLE.TRANSITIONAL_COS), entity, counter, roles)
        (asked,) = ask(self.workspace, [asking], bytes(32))
        assert not asked.faults, asked.faults
        held = self.homes[entity].state.cells[CellName(ROLE.TRANSITIONAL_COS, DS)]
        message = sign(asking.message, KEYS[held.key_identifier])
        assert self.homes[entity].take(message.encode()) == "accepted"
        self.answer(entity)


def _home(world: World, entity: EntityId, kind: DeviceType, cells: dict[CellName, Cell]) -> Home:
    keys = DeviceKeys(ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1()))
    own = {
        KeyUsage.DIGITAL_SIGNATURE: certificate(keys.signing.public_key(), entity, None),
        KeyUsage.KEY_AGREEMENT: certificate(keys.agreement.public_key(), entity, None, KeyUsage.KEY_AGREEMENT),
    }
    state = DeviceState(
        device=entity,
        kind=kind,
        bundle=1,
        cells=cells,
        counters={name.role: 0 for name in cells},
        tokens=(),
        token_floor=0,
        own_counter=1,
        own={usage: one.certificate.public_bytes(Encoding.DER) for usage, one in own.items()},
        use_cases=world.workspace.policies.use_cases,
    )
    return Home(state, keys)


def listed(*lines: str) -> Devices:
    return read_devices("".join(f"{line}\n" for line in sorted(lines)).encode(), "a list")
