"""Where requests are handed in: what tests of issuing share."""

import base64
import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from smki.authority.hierarchy import pem
from smki.authority.issuance.intake import Intake, take_in
from smki.authority.issuance.issue import Hands, issuing
from smki.authority.issuance.order import Order, Outcome, order
from smki.authority.registration import (
    Enrolment,
    appoint,
    enrol,
    named,
    officers_in_force,
)
from smki.entity import EntityId, EntityRange, KeyUsage, RemotePartyRole
from smki.errors import SmkiError
from smki.pki.device_request import device_request
from smki.pki.kind import Kind
from smki.pki.name import organisation_name
from smki.pki.usages import key_usage
from tests.house import WORKS, House

DEVICE = EntityId.parse("00-DB-12-00-00-00-00-01")
SUPPLIER = EntityId.parse("90-B3-D5-1F-30-01-00-00")
POLICY = "1.2.826.0.1.8641679.1.2.1.4"


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


class Desk:
    """Where requests are handed in, in this process."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.workspace = house.workspace

    def order(self, kind: Kind = Kind.DEVICE, name: str = WORKS) -> Order:
        workspace = self.workspace
        return order(workspace, named(workspace, name), workspace.policies.issuance.rule(kind))

    def issue(self, wanted: Order, *ders: bytes, dry_run: bool = False) -> list[Outcome]:
        data = b"".join(
            json.dumps({"request": base64_of(der), "reference": f"no. {number}"}).encode() + b"\n"
            for number, der in enumerate(ders, 1)
        )
        with self.intake(data) as intake:
            return self.answer(wanted, intake, dry_run=dry_run)

    @contextmanager
    def intake(self, data: bytes) -> Iterator[Intake]:
        with take_in(None, io.BytesIO(data), self.house.home, 1000) as intake:
            yield intake

    def answer(
        self, wanted: Order, intake: Intake, *, dry_run: bool = False, manifest: Path | None = None
    ) -> list[Outcome]:
        hands = Hands(self.workspace, wanted, 0)
        with issuing(self.workspace, wanted, intake, hands, dry_run=dry_run, manifest=manifest) as outcomes:
            return list(outcomes)

    def device_csr(
        self, entity: EntityId = DEVICE, usage: KeyUsage = KeyUsage.DIGITAL_SIGNATURE,
        key: ec.EllipticCurvePrivateKey | None = None,
    ) -> bytes:  # fmt: skip
        profile = self.workspace.policies.issuance.rule(Kind.DEVICE).profile
        return device_request(profile, entity, usage, key or new_key())

    def enrol(self, name: str, *roles: RemotePartyRole, entity: EntityId = SUPPLIER) -> None:
        kinds = (Kind.ORGANISATION, Kind.DEVICE)
        enrol(self.workspace, Enrolment(name, roles, kinds, (EntityRange(entity, entity),), 1000))


def base64_of(der: bytes) -> str:
    return base64.b64encode(der).decode()


def organisation_csr(
    role: RemotePartyRole = RemotePartyRole.SUPPLIER,
    entity: EntityId = SUPPLIER,
    usage: KeyUsage = KeyUsage.DIGITAL_SIGNATURE,
    common_name: str | None = None,
) -> bytes:
    builder = x509.CertificateSigningRequestBuilder().subject_name(organisation_name(role, entity, common_name))
    builder = builder.add_extension(key_usage(usage), critical=True)
    return builder.sign(new_key(), hashes.SHA256()).public_bytes(Encoding.DER)


def codes(outcome: Outcome) -> set[str]:
    return {fault.code for fault in outcome.faults}


def code_of(work: Callable[[], object]) -> str:
    with pytest.raises(SmkiError) as caught:
        work()
    assert caught.value.remedy
    return caught.value.code


def change_policy(desk: Desk, old: str, new: str) -> None:
    path = desk.house.home / "policies" / "issuance.toml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    desk.workspace.__dict__.pop("policies", None)


def officer_of(desk: Desk, folder: Path, name: str) -> tuple[Path, Path]:
    """An officer with a key of their own and an infrastructure certificate."""
    key = new_key()
    subject = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, name)])
    csr = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    (outcome,) = desk.issue(desk.order(Kind.INFRASTRUCTURE), csr.public_bytes(Encoding.DER))
    assert outcome.certificate is not None, outcome.faults
    appoint(desk.workspace, WORKS, "ARO", outcome.certificate)
    ((officer, _),) = officers_in_force(desk.workspace, named(desk.workspace, WORKS))
    assert (officer.name, officer.function) == (name, "ARO")
    certificate, key_file = folder / "officer.pem", folder / "officer.key"
    certificate.write_bytes(pem(outcome.certificate.der))
    form = serialization.PrivateFormat.PKCS8
    key_file.write_bytes(key.private_bytes(Encoding.PEM, form, serialization.NoEncryption()))
    return certificate, key_file
