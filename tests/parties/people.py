"""Parties for tests: keys in the token of a user's workspace, certificates by a throwaway authority, pre-commands."""

import os
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from smki.entity import EntityId, KeyUsage, RemotePartyRole
from smki.gbcs.header import Cra, Header, MessageCode
from smki.gbcs.message import Message
from smki.parties.intake import Given
from smki.parties.keys import Certified, certified
from smki.parties.supplier import SigningDesk
from smki.pki.keyid import KeyIdentifier
from smki.pki.name import EMPTY, hardware_module_name, organisation_name
from smki.pki.usages import key_usage
from tests.house import NOW, House
from tests.pki.hierarchy import POLICY, Made, make

SUPPLIER = EntityId.parse("90-B3-D5-1F-30-01-00-00")
BROKER = EntityId.parse("90-B3-D5-1F-30-00-00-02")
METER = EntityId.parse("00-DB-12-34-56-78-90-A0")
HARDWARE = x509.ObjectIdentifier("1.2.826.0.1.8641679.1.2.2.1")
ECS44 = MessageCode(0x0051)  # Arm Load Switch
ECS43 = MessageCode(0x0050)  # Open the Load Switch


@cache
def root() -> Made:
    return make("root-oca", None)


@cache
def issuing() -> Made:
    return make("issuing-oca", root())


def believe(home: Path) -> None:
    """Have a user's workspace believe the authority of these tests."""
    for name, one in (("root", root()), ("issuing", issuing())):
        path = home / "anchors" / f"{name}.der"
        path.write_bytes(one.der)
        path.chmod(0o600)


def certificate(
    public_key: ec.EllipticCurvePublicKey,
    entity: EntityId,
    role: RemotePartyRole | None,
    usage: KeyUsage = KeyUsage.DIGITAL_SIGNATURE,
    *,
    since: datetime = NOW - timedelta(days=1),
    days: int = 365,
) -> Certified:
    """A certificate of an organisation, or of a device where there is no role."""
    subject = EMPTY if role is None else organisation_name(role, entity, None)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuing().name)
        .public_key(public_key)
        .serial_number(int.from_bytes(b"\x43" + os.urandom(15)))
        .not_valid_before(since)
        .not_valid_after(since + timedelta(days=days))
        .add_extension(key_usage(usage), critical=True)
        .add_extension(x509.SubjectKeyIdentifier(KeyIdentifier.of(public_key).octets), critical=False)
        .add_extension(
            x509.CertificatePolicies([x509.PolicyInformation(x509.ObjectIdentifier(POLICY), None)]), critical=True
        )
        .add_extension(
            x509.AuthorityKeyIdentifier(KeyIdentifier.of(issuing().key.public_key()).octets, None, None),
            critical=False,
        )
    )
    if role is None:
        name = hardware_module_name(HARDWARE, entity)
        builder = builder.add_extension(x509.SubjectAlternativeName([name]), critical=True)
    der = builder.sign(issuing().key, hashes.SHA256()).public_bytes(Encoding.DER)
    return certified(der, "a test certificate")


def arming(
    counter: int, *, code: MessageCode = ECS44, target: EntityId = METER, originator: EntityId = SUPPLIER
) -> Message:
    """A pre-command that executes a script of the load switch: 54 arms it, 52 opens it."""
    script = {ECS44: 54, ECS43: 52}.get(code, 54)
    invoke = 0x20000000 | counter & 0xFFFFFF
    payload = (
        bytes.fromhex("d9") + invoke.to_bytes(4) + bytes.fromhex("000103000900000a006aff010112") + script.to_bytes(2)
    )
    return Message(Header(Cra.COMMAND, counter, originator, target, code), payload)


def given(message: Message, reference: str = "") -> Given:
    return Given(reference or str(message.header.counter), message.encode())


@dataclass
class User:
    """A service user in a workspace of its own, with a signing key in its token."""

    house: House
    role: RemotePartyRole = RemotePartyRole.SUPPLIER
    entity: EntityId = SUPPLIER
    label: str = "ds"
    certificate: Certified = field(init=False)

    def __post_init__(self) -> None:
        believe(self.house.home)
        key = self.house.workspace.open_token("keys").generate_key(self.label, os.urandom(16), "sign")
        self.certificate = certificate(key.public_key(), self.entity, self.role)

    @property
    def desk(self) -> SigningDesk:
        return SigningDesk(self.house.workspace, "keys", self.label, self.certificate)
