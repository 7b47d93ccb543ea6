"""A home whose credentials change: two suppliers, two operators, two roots, and everyone who may give orders."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from smki.device.cells import Cell, CellName, CellUse
from smki.device.modes import RULES, SUPPLIER_CELLS
from smki.device.receive import Received, receive
from smki.device.state import DeviceKeys, DeviceState
from smki.device.update import CredentialUpdate, Put
from smki.entity import DeviceType, EntityId, KeyUsage, RemotePartyRole
from smki.gbcs.agreement import agree
from smki.gbcs.message import Message
from smki.gbcs.payload.credentials import Mode
from smki.gbcs.protection import add_mac, sign
from smki.gbcs.top_up import TopUp, ValueClass
from smki.pki.contingency import wrap
from smki.pki.keyid import KeyIdentifier
from smki.pki.name import authority_name, organisation_name
from smki.pki.serial import Serial
from smki.pki.template import Fields, compile_template, draft
from smki.pki.template import sign as sign_certificate
from smki.pki.usages import key_usage
from tests.device.desk import policies, token_command
from tests.parties.people import METER, arming, certificate
from tests.pki.hierarchy import POLICIES, PROFILES, Made, draft_for, make, validity_for

AT = datetime(2026, 11, 21, 12, tzinfo=UTC)
ROLE = RemotePartyRole
CONTINGENCY = EntityId.parse("70-B3-D5-1F-30-00-17-FF")


@dataclass(frozen=True, eq=False)
class Authority:
    """A root with its contingency key, and an issuing authority below."""

    root: Made
    issuing: Made
    contingency: ec.EllipticCurvePrivateKey
    symmetric: bytes


@cache
def authority(name: str) -> Authority:
    contingency, symmetric = ec.generate_private_key(ec.SECP256R1()), os.urandom(32)
    profile, key = PROFILES["root-oca"], ec.generate_private_key(ec.SECP256R1())
    plan = draft(
        profile,
        issuer=None,
        subject=lambda _: authority_name(ROLE.ROOT, name),
        policies=POLICIES,
        validity=validity_for(profile),
        usage=None,
        contingency=wrap(contingency.public_key(), symmetric, "rfc5934"),
    )
    fields = Fields(Serial.from_entropy(os.urandom), validity_for(profile), key.public_key(), None)
    der = sign_certificate(compile_template(plan, os.urandom), fields, key, key.public_key())
    root = Made(profile, key, authority_name(ROLE.ROOT, name), der)
    return Authority(root, make("issuing-oca", root), contingency, symmetric)


FIRST, SECOND = "ZA", "ZB"


@cache
def link() -> bytes:
    """The second root's name and key, signed by the first."""
    plan = draft_for(PROFILES["link-oca"], authority(FIRST).root.issuer)
    key = authority(SECOND).root.key.public_key()
    fields = Fields(Serial.from_entropy(os.urandom), validity_for(PROFILES["link-oca"]), key, None)
    first = authority(FIRST).root.key
    return sign_certificate(compile_template(plan, os.urandom), fields, first, first.public_key())


@dataclass(frozen=True, eq=False)
class Party:
    """Someone with keys for every use, and certificates for them below one of the roots."""

    entity: EntityId
    role: RemotePartyRole
    keys: dict[CellUse, ec.EllipticCurvePrivateKey] = field(default_factory=dict)

    def key(self, use: CellUse) -> ec.EllipticCurvePrivateKey:
        return self.keys.setdefault(use, ec.generate_private_key(ec.SECP256R1()))

    def certificate(self, use: CellUse, under: str = FIRST, days: int = 3650) -> bytes:
        usage = KeyUsage.DIGITAL_SIGNATURE if use is CellUse.DIGITAL_SIGNATURE else KeyUsage.KEY_AGREEMENT
        return _certificate(self, use, usage, under, days)

    def put(self, name: CellName, under: str = FIRST) -> Put:
        return Put.into(name, self.certificate(name.use, under))


@cache
def _certificate(party: Party, use: CellUse, usage: KeyUsage, under: str, days: int) -> bytes:
    issuing, public = authority(under).issuing, party.key(use).public_key()
    policy = x509.CertificatePolicies([x509.PolicyInformation(POLICIES[0], None)])
    return (
        x509.CertificateBuilder()
        .subject_name(organisation_name(party.role, party.entity, None))
        .issuer_name(issuing.name)
        .public_key(public)
        .serial_number(int.from_bytes(b"\x43" + os.urandom(15)))
        .not_valid_before(AT - timedelta(days=30))
        .not_valid_after(AT - timedelta(days=30) + timedelta(days=days))
        .add_extension(key_usage(usage), critical=True)
        .add_extension(x509.SubjectKeyIdentifier(KeyIdentifier.of(public).octets), critical=False)
        .add_extension(policy, critical=True)
        .add_extension(
            x509.AuthorityKeyIdentifier(KeyIdentifier.of(issuing.key.public_key()).octets, None, None),
            critical=False,
        )
        .sign(issuing.key, hashes.SHA256())
        .public_bytes(Encoding.DER)
    )


def party(last: str, role: RemotePartyRole) -> Party:
    return Party(EntityId.parse(f"90-B3-D5-1F-30-{last}"), role)


RECOVERY = party("00-00-01", ROLE.RECOVERY)
BROKER = party("00-00-02", ROLE.ACCESS_CONTROL_BROKER)
COS = party("00-00-04", ROLE.TRANSITIONAL_COS)
NORTH = party("01-00-00", ROLE.SUPPLIER)
SOUTH = party("03-00-00", ROLE.SUPPLIER)
OPERATOR = party("02-00-00", ROLE.NETWORK_OPERATOR)
OTHER_OPERATOR = party("02-00-01", ROLE.NETWORK_OPERATOR)
PARTIES = {one.role: one for one in (RECOVERY, BROKER, COS, NORTH, OPERATOR)}


@cache
def keys() -> DeviceKeys:
    return DeviceKeys(ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1()))


def own() -> dict[KeyUsage, bytes]:
    pairs = ((KeyUsage.DIGITAL_SIGNATURE, keys().signing), (KeyUsage.KEY_AGREEMENT, keys().agreement))
    return {usage: device_certificate(key.public_key(), usage) for usage, key in pairs}


def device_certificate(key: ec.EllipticCurvePublicKey, usage: KeyUsage, entity: EntityId = METER) -> bytes:
    return certificate(key, entity, None, usage).certificate.public_bytes(Encoding.DER)


def names() -> tuple[CellName, ...]:
    return policies().devices[DeviceType.ESME]


@cache
def _cell(name: CellName, one: Party | None) -> Cell:
    der = authority(FIRST).root.der if one is None else one.certificate(name.use)
    return Cell.of(der, name)


def cells() -> dict[CellName, Cell]:
    return {name: _cell(name, PARTIES.get(name.role)) for name in names()}


def meter() -> DeviceState:
    return DeviceState(
        device=METER,
        kind=DeviceType.ESME,
        bundle=1,
        cells=cells(),
        counters=dict.fromkeys(PARTIES, 0),
        tokens=(),
        token_floor=0,
        own_counter=1,
        own=own(),
        use_cases=policies().use_cases,
    )


def update(
    mode: Mode, counter: int, puts: Iterable[Put], *, path: tuple[bytes, ...] | None = None, **more: object
) -> CredentialUpdate:
    """An update as its mode wants it, or with something else said."""
    issuing = (authority(FIRST).issuing.der,) if path is None else path
    said = CredentialUpdate(mode, counter, tuple(puts), issuing, RULES[mode].authorising)
    return replace(said, **more)  # type: ignore[arg-type]


def supplier_set(one: Party, under: str = FIRST) -> tuple[Put, ...]:
    return tuple(one.put(name, under) for name in SUPPLIER_CELLS)


def operator_set(one: Party) -> tuple[Put, ...]:
    return tuple(
        one.put(CellName(ROLE.NETWORK_OPERATOR, use)) for use in (CellUse.DIGITAL_SIGNATURE, CellUse.KEY_AGREEMENT)
    )


@dataclass
class Home:
    """A meter, and the time."""

    state: DeviceState = field(default_factory=meter)
    keys: DeviceKeys = field(default_factory=lambda: replace(keys()))
    at: datetime = AT

    def send(self, message: Message) -> Received:
        found = receive(self.state, self.keys, message.encode(), self.at)
        self.state, self.keys = found.state, found.keys
        return found

    def order(self, one: Party, what: CredentialUpdate, *, mac: bool = True) -> Received:
        """An update, signed by a party, with the broker's MAC."""
        message = sign(what.command(one.entity, METER), one.key(CellUse.DIGITAL_SIGNATURE))
        return self.send(self.protect(message) if mac else message)

    def contingency(self, what: CredentialUpdate, key: ec.EllipticCurvePrivateKey) -> Received:
        return self.send(sign(what.command(CONTINGENCY, METER), key))

    def protect(self, message: Message) -> Message:
        with agree(BROKER.key(CellUse.KEY_AGREEMENT), self.keys.agreement.public_key()) as secret:
            return add_mac(message, secret)

    def command(self, one: Party, counter: int) -> Received:
        """A critical command of a supplier's."""
        message = sign(arming(counter, originator=one.entity), one.key(CellUse.DIGITAL_SIGNATURE))
        return self.send(self.protect(message))

    def pay(self, one: Party, number: int) -> Received:
        """A prepayment token of a supplier's."""
        with agree(one.key(CellUse.TOP_UP), self.keys.agreement.public_key()) as secret:
            message = token_command(TopUp(one.entity, METER, number, ValueClass.POUNDS, 10), secret)
        return self.send(self.protect(message))

    def holder(self, name: CellName) -> EntityId:
        return self.state.cells[name].entity
