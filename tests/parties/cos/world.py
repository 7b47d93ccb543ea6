"""A change-of-supplier party with registration data and homes, and suppliers that ask it for them."""

import json
import os
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache, cached_property
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from smki.authority.log import act
from smki.device.cells import CellUse
from smki.device.update import Floors
from smki.entity import DeviceType, EntityId, RemotePartyRole
from smki.meter_point import MeterPoint
from smki.parties.cos.cancelling import Cancellation
from smki.parties.cos.commands import Done
from smki.parties.cos.desk import CosDesk
from smki.parties.cos.judgement import Judgement, Verdict, judge_request
from smki.parties.cos.request import Home, write_cancel, write_change
from smki.parties.keys import Certified
from smki.pki.signed_data import make_signed_data
from smki.store.estate_records import DeviceRecord, DeviceStatus, Registered
from tests.house import NOW, House
from tests.parties.people import METER, believe, certificate

ROLE = RemotePartyRole
COS = EntityId.parse("90-B3-D5-1F-30-00-00-04")
NORTH = EntityId.parse("90-B3-D5-1F-30-01-00-00")
SOUTH = EntityId.parse("90-B3-D5-1F-30-03-00-00")
OPERATOR = EntityId.parse("90-B3-D5-1F-30-02-00-00")
_PRIMES = (3, 5, 7, 13, 17, 19, 23, 29, 31, 37, 41, 43)


def point(number: int) -> MeterPoint:
    """An MPAN with a check digit that is right."""
    core = f"12{number:010d}"
    check = sum(prime * int(digit) for prime, digit in zip(_PRIMES, core, strict=True)) % 11 % 10
    return MeterPoint.parse(f"{core}{check}")


def meter(number: int) -> EntityId:
    return METER if not number else EntityId((0x00DB120000000000 + number).to_bytes(8))


@cache
def key(name: str) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@dataclass(frozen=True)
class Supplier:
    """One that asks: three certificates for devices, and a key for requests."""

    entity: EntityId
    name: str

    def certificate(self, use: CellUse, **more: Any) -> Certified:
        usage = use.key_usage
        assert usage is not None
        role = more.pop("role", ROLE.SUPPLIER)
        wanted = more.pop("usage", usage)
        public = more.pop("key", key(f"{self.name} {use.value}")).public_key()
        return certificate(public, self.entity, role, wanted, **more)

    @cached_property
    def trio(self) -> tuple[bytes, ...]:
        uses = (CellUse.DIGITAL_SIGNATURE, CellUse.KEY_AGREEMENT, CellUse.TOP_UP)
        return tuple(der(self.certificate(use)) for use in uses)

    @cached_property
    def signer(self) -> Certified:
        return certificate(key(f"{self.name} xml").public_key(), self.entity, ROLE.XML_SIGN)

    def sign(self, content: bytes, signer: Certified | None = None, signing: Any = None, at: datetime = NOW) -> bytes:
        one = signer or self.signer
        return make_signed_data(
            content, one.certificate, signing or key(f"{self.name} xml"), at, certificates=[der(one)]
        )

    def request(
        self,
        *homes: Home,
        trio: Sequence[bytes] | None = None,
        floors: Floors | None = None,
        made: datetime = NOW,
        supplier: EntityId | None = None,
        **signing: Any,
    ) -> bytes:
        content = write_change(supplier or self.entity, made, trio or self.trio, floors or Floors(0, 0), homes)
        return self.sign(content, **signing)

    def cancel(self, digest: bytes, *references: str, made: datetime = NOW, **signing: Any) -> bytes:
        return self.sign(write_cancel(self.entity, made, digest, references), **signing)


north, south = Supplier(NORTH, "north"), Supplier(SOUTH, "south")


def der(one: Certified) -> bytes:
    return one.certificate.public_bytes(Encoding.DER)


def home(number: int = 0, **more: Any) -> Home:
    more.setdefault("reference", f"home {number}")
    more.setdefault("meter_point", point(number))
    return Home(**more)


def codes(found: Any) -> list[str]:
    return [fault.code for fault in found.faults]


@dataclass
class Party:
    """The change-of-supplier party in its workspace, its key in the token."""

    house: House
    certificate: Certified = field(init=False)

    def __post_init__(self) -> None:
        believe(self.house.home)
        made = self.workspace.open_token("keys").generate_key("cos", os.urandom(16), "sign")
        self.certificate = certificate(made.public_key(), COS, ROLE.TRANSITIONAL_COS)

    @property
    def workspace(self) -> Any:
        return self.house.workspace

    @property
    def desk(self) -> CosDesk:
        return CosDesk(self.workspace, "keys", "cos", self.certificate)

    def register(self, number: int, *rows: tuple[datetime, EntityId | None]) -> None:
        """Who is registered for a meter point, from when."""
        with act(self.workspace, "test.registered") as tx:
            tx.put_registrations([(point(number), Registered(who, OPERATOR, since)) for since, who in rows])

    def settle(self, numbers: range, supplier: EntityId = SOUTH, since: datetime = NOW - timedelta(days=1)) -> None:
        """Homes with a meter each, all registered for one supplier, until now another's."""
        with act(self.workspace, "test.settled") as tx:
            tx.put_registrations([(point(number), Registered(supplier, OPERATOR, since)) for number in numbers])
            known = self.workspace.store.estate.devices([meter(number) for number in numbers])
            tx.put_devices([device(number) for number in numbers if meter(number) not in known])

    def put(self, *records: DeviceRecord) -> None:
        with act(self.workspace, "test.devices") as tx:
            tx.put_devices(records)

    def judge(self, request: bytes, **more: Any) -> Judgement:
        return judge_request(self.workspace, request, **more)

    def verdicts(self, request: bytes, **more: Any) -> list[Verdict]:
        return list(self.judge(request, **more).verdicts())

    def run(self, request: bytes) -> list[Done]:
        _, done = self.desk.run(self.judge(request), request)
        with closing(done):
            return list(done)

    def cancel(self, cancellation: Cancellation) -> list[Done]:
        _, done = self.desk.cancel(cancellation)
        with closing(done):
            return list(done)


def device(number: int, **more: Any) -> DeviceRecord:
    fields: dict[str, Any] = {
        "entity": meter(number),
        "kind": DeviceType.ESME,
        "status": DeviceStatus.COMMISSIONED,
        "meter_point": point(number),
        "cells": {},
        "counters": {},
    }
    return DeviceRecord(**{**fields, **more})


def entries(party: Party, kind: str) -> list[dict[str, Any]]:
    bodies = (json.loads(entry.body) for entry in party.workspace.store.audit_entries())
    return [body["facts"] for body in bodies if body["act"] == kind]


def policy(house: House, old: str, new: str) -> None:
    path = house.home / "policies" / "cos.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    house.workspace.__dict__.pop("policies", None)
