"""A broker with its key in a token, users with theirs, and devices at meter points."""

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from smki.entity import DeviceType, EntityId, KeyUsage, RemotePartyRole
from smki.gbcs.agreement import Agreement, agree
from smki.gbcs.header import MessageCode
from smki.gbcs.message import Message, read_message
from smki.gbcs.protection import mac_holds, sign
from smki.meter_point import MeterPoint
from smki.parties.anomaly.limits import NO_LIMITS, Limits
from smki.parties.broker.desk import BrokerDesk
from smki.parties.intake import Given
from smki.parties.keys import Certified
from smki.parties.outcome import Outcome
from smki.pki.serial import Serial
from smki.pki.signed_data import make_signed_data
from smki.pki.status import Status
from smki.store.estate_records import DeviceRecord, DeviceStatus, Registered
from smki.store.records import Act, CertificateRecord
from tests.house import NOW, House
from tests.parties.people import BROKER, ECS44, arming, believe, certificate

LONG_AGO = NOW - timedelta(days=300)
SIGNS, AGREES = KeyUsage.DIGITAL_SIGNATURE, KeyUsage.KEY_AGREEMENT


@dataclass(frozen=True)
class User:
    """Somebody who commands, with a key of their own."""

    entity: EntityId
    role: RemotePartyRole
    key: ec.EllipticCurvePrivateKey
    certificate: Certified

    def signed(self, message: Message, reference: str = "") -> Given:
        return Given(reference or str(message.header.counter), sign(message, self.key).encode())

    def arming(self, counter: int, target: EntityId, code: MessageCode = ECS44) -> Given:
        return self.signed(arming(counter, code=code, target=target, originator=self.entity))

    def asking(self, lines: Iterable[str], *, user: EntityId | None = None) -> bytes:
        """A signed file of requests."""
        head = f'{{"form": "smki-broker-requests/1", "user": "{user or self.entity}"}}'
        content = "\n".join((head, *lines)).encode()
        one = self.certificate.certificate
        return make_signed_data(content, one, self.key, NOW, certificates=[one.public_bytes(Encoding.DER)])


@dataclass
class World:
    """The broker's workspace and what is in it."""

    house: House
    moments: list[datetime]
    """What the clock says."""
    limits: Limits = NO_LIMITS
    others: list[Certified] = field(default_factory=list)
    keys: dict[EntityId, ec.EllipticCurvePrivateKey] = field(default_factory=dict)
    broker: Certified = field(init=False)
    broker_signs: User = field(init=False)
    numbers: "count[int]" = field(default_factory=lambda: count(1))

    def __post_init__(self) -> None:
        believe(self.house.home)
        key = self.house.workspace.open_token("keys").generate_key("broker", os.urandom(16), "agree")
        self.broker = certificate(key.public_key(), BROKER, RemotePartyRole.ACCESS_CONTROL_BROKER, AGREES)
        self.broker_signs = self.user(RemotePartyRole.ACCESS_CONTROL_BROKER, BROKER)

    def user(self, role: RemotePartyRole, entity: EntityId | None = None, *, days: int = 365) -> User:
        entity = entity or EntityId((0x90B3D51F40000000 + next(self.numbers)).to_bytes(8))
        key = ec.generate_private_key(ec.SECP256R1())
        one = certificate(key.public_key(), entity, role, days=days)
        self.others.append(one)
        return User(entity, role, key, one)

    def register_certificate(self, user: User, status: Status = Status.IN_USE) -> None:
        """This workspace's register has the user's signing certificate, in a status."""
        one = user.certificate
        record = CertificateRecord(
            issuer=1,
            serial=Serial(one.certificate.serial_number.to_bytes(16)),
            key_hash=one.key_hash,
            entity=user.entity,
            profile="organisation",
            not_before=one.certificate.not_valid_before_utc,
            not_after=one.certificate.not_valid_after_utc,
            der=one.octets,
            usage=SIGNS,
            role=user.role,
            status=status,
        )
        with self.house.workspace.store.act(Act("test", "tester", self.moments[0])) as tx:
            tx.reserve_serials(1, [record.serial], "test")
            tx.store_certificates([record])

    def device(
        self,
        supplier: User | None,
        operator: User | None = None,
        *,
        kind: DeviceType = DeviceType.ESME,
        status: DeviceStatus = DeviceStatus.COMMISSIONED,
        point: str | None = None,
        known_key: bool = True,
        **more: object,
    ) -> EntityId:
        """A device at a meter point of its own, whose supplier and network operator are registered."""
        return self.devices(
            1, supplier, operator, kind=kind, status=status, point=point, known_key=known_key, **more
        )[0]

    def devices(
        self,
        number: int,
        supplier: User | None,
        operator: User | None = None,
        *,
        kind: DeviceType = DeviceType.ESME,
        status: DeviceStatus = DeviceStatus.COMMISSIONED,
        point: str | None = None,
        known_key: bool = True,
        **more: object,
    ) -> list[EntityId]:
        entities, rows, records = [], [], []
        gas = kind in {DeviceType.GSME, DeviceType.GPF}
        for _ in range(number):
            place = next(self.numbers)
            entity = EntityId((0x00DB123400000000 + place).to_bytes(8))
            digits = point if point is not None else str(10**9 + place) if gas else f"19{place:011d}"
            where = MeterPoint(digits) if digits else None
            records.append(DeviceRecord(entity, kind, status, where, {}, {}, **more))  # type: ignore[arg-type]
            if where is not None:
                supplies, serves = (None if one is None else one.entity for one in (supplier, operator))
                rows.append((where, Registered(supplies, serves, LONG_AGO)))
            if known_key:
                key = self.keys[entity] = ec.generate_private_key(ec.SECP256R1())
                self.others.append(certificate(key.public_key(), entity, None, AGREES))
            entities.append(entity)
        with self.house.workspace.store.act(Act("test", "tester", NOW)) as tx:
            tx.put_devices(records)
            tx.put_registrations(rows)
        return entities

    def agreement(self, keep: int = 0) -> Agreement:
        token = self.house.workspace.open_token("keys")
        return Agreement(token.find_key(label="broker", public_key=self.broker.holder.public_key), keep)

    def desk(self, others: Sequence[Certified] | None = None) -> BrokerDesk:
        known = self.others if others is None else others
        return BrokerDesk(self.house.workspace, BROKER, self.agreement(), known, lambda: self.limits)

    def submit(self, *given: Given, local: bool = False) -> list[Outcome]:
        return run(self.desk(), lambda desk: desk.submit(given, local=local))

    def ask(self, data: bytes) -> list[Outcome]:
        return run(self.desk(), lambda desk: desk.ask(data))

    def holds_for_device(self, octets: bytes) -> bool:
        """Whether the device would find the broker's MAC right."""
        message = read_message(octets)
        with agree(self.keys[message.header.target], self.broker.holder.public_key) as secret:
            return mac_holds(message, secret)


def run(desk: BrokerDesk, what: Callable[[BrokerDesk], Iterable[Outcome]]) -> list[Outcome]:
    """A whole run, to its end."""
    done = list(what(desk))
    desk.admission.handed_out()
    return done


def codes(outcome: Outcome) -> list[str]:
    return sorted({fault.code for fault in outcome.faults})
