"""A supplier with certificates and an officer, a broker, devices; and how revocations are asked for in tests."""

import json
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from smki.authority.registration import Enrolment, appoint, enrol, named
from smki.authority.revocation.act import revoke
from smki.authority.revocation.plan import Plan, plan
from smki.authority.revocation.request import Asked, Evidence
from smki.authority.second_officer import decide_hold
from smki.authority.workspace import Workspace
from smki.entity import EntityId, EntityRange, KeyUsage, RemotePartyRole
from smki.pki.kind import Kind
from smki.pki.reason import Reason
from smki.pki.serial import Serial
from smki.pki.status import Status
from smki.store.records import CertificateRecord, RevocationRecord
from tests.authority.desk import SUPPLIER, Desk, new_key, organisation_csr
from tests.house import OFFICERS

NORTH, BROKERS = "North Supply", "Brokers"
BROKER = EntityId.parse("90-B3-D5-1F-30-00-00-02")
WORD = Evidence(text="stolen from the office")


def asked(*records: CertificateRecord | Serial, **more: Any) -> Asked:
    """By an officer of the authority, by word, unless it says otherwise."""
    serials = tuple(one if isinstance(one, Serial) else one.serial for one in records)
    plain = Asked(Reason.KEY_COMPROMISE, "alice", WORD, serials)
    return replace(plain, **more)


@dataclass
class World:
    """An authority with subscribers."""

    desk: Desk
    officers_key: ec.EllipticCurvePrivateKey = field(default_factory=new_key)

    @property
    def workspace(self) -> Workspace:
        return self.desk.workspace

    def enrol(self) -> "World":
        self.desk.enrol(NORTH, RemotePartyRole.SUPPLIER)
        kinds = (Kind.ORGANISATION,)
        roles = (RemotePartyRole.ACCESS_CONTROL_BROKER,)
        enrol(self.workspace, Enrolment(BROKERS, roles, kinds, (EntityRange(BROKER, BROKER),), 0))
        return self

    def organisation(self, name: str = NORTH, usage: KeyUsage = KeyUsage.DIGITAL_SIGNATURE) -> CertificateRecord:
        """One more certificate of it; the one before goes out of use as policies say, so ask for different ones."""
        (outcome,) = self.desk.issue(self.desk.order(Kind.ORGANISATION, name), organisation_csr(usage=usage))
        assert outcome.certificate is not None, outcome.faults
        return outcome.certificate

    def device(self, number: int = 1) -> CertificateRecord:
        entity = EntityId((0x00DB120000000000 + number).to_bytes(8))
        (outcome,) = self.desk.issue(self.desk.order(), self.desk.device_csr(entity))
        assert outcome.certificate is not None, outcome.faults
        return outcome.certificate

    def officer(self, name: str = "Ann Ash", of: str = NORTH) -> CertificateRecord:
        subject = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, name)])
        csr = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(self.officers_key, hashes.SHA256())
        (outcome,) = self.desk.issue(self.desk.order(Kind.INFRASTRUCTURE, of), csr.public_bytes(Encoding.DER))
        assert outcome.certificate is not None, outcome.faults
        appoint(self.workspace, of, "ARO", outcome.certificate)
        return outcome.certificate

    @cached_property
    def number(self) -> int:
        return named(self.workspace, NORTH).number

    def plan(self, *records: CertificateRecord | Serial, **more: Any) -> Plan:
        return plan(self.workspace, asked(*records, **more))

    def revoke(self, *records: CertificateRecord | Serial, **more: Any) -> list[RevocationRecord]:
        found = self.plan(*records, **more)
        return [record for piece in revoke(self.workspace, found) for record in piece]

    def grant(self, found: Plan, officer: str = "bob", *, grant: bool = True) -> None:
        hold = self.workspace.store.holds.one(found.digest)
        assert hold is not None
        decide_hold(self.workspace, hold, officer, OFFICERS[officer], grant, "looked at")

    def authority(self, hierarchy: str) -> CertificateRecord:
        """The certificate of the one that issues."""
        for one in self.workspace.store.authorities():
            if one.hierarchy == hierarchy and one.tier == "issuing" and one.serial is not None:
                (record,) = self.workspace.store.certificates.of_serial(one.serial)
                return record
        raise AssertionError(hierarchy)

    def policy(self, old: str, new: str, file: str = "revocation.toml") -> None:
        path: Path = self.workspace.home / "policies" / file
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))
        self.workspace.__dict__.pop("policies", None)

    def at(self, moment: datetime) -> None:
        self.workspace.clock = lambda: moment


def status_of(world: World, serial: Serial) -> Status:
    (record,) = world.workspace.store.certificates.of_serial(serial)
    return record.status


def entries(world: World, kind: str) -> list[dict[str, Any]]:
    bodies = (json.loads(entry.body) for entry in world.workspace.store.audit_entries())
    return [body["facts"] for body in bodies if body["act"] == kind]


__all__ = ["BROKER", "BROKERS", "NORTH", "SUPPLIER", "WORD", "World", "asked", "entries", "status_of"]
