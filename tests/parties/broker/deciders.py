"""Officers who decide: of users, with certificates of their own, and on the broker's roll."""

import os
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from smki.authority.registration import Enrolment, appoint, enrol
from smki.authority.workspace import Workspace
from smki.entity import EntityId, EntityRange, RemotePartyRole
from smki.parties.broker.confirmation import Confirmation
from smki.parties.broker.officers import sign_as_officer
from smki.parties.broker.quarantine import Decided, decide, draft
from smki.pki.keyid import key_hash
from smki.pki.kind import Kind
from smki.pki.public_key import spki_of
from smki.pki.serial import Serial
from smki.pki.status import Status
from smki.store.admission_records import Decision, QuarantineRecord
from smki.store.records import Act, CertificateRecord, OfficerRecord
from tests.house import NOW, OFFICERS

_numbers = count(1)


@dataclass(frozen=True)
class Officer:
    """Somebody with a key of their own."""

    name: str
    key: ec.EllipticCurvePrivateKey

    def signs(self, said: Confirmation) -> bytes:
        return sign_as_officer(said.content(), self.name, self.key, said.made_at)

    def word(
        self,
        workspace: Workspace,
        records: list[QuarantineRecord],
        decision: Decision = "release",
        reason: str = "asked",
    ) -> bytes:
        return self.signs(draft(workspace, records, decision, self.name, reason))

    def decides(
        self, workspace: Workspace, records: list[QuarantineRecord], decision: Decision = "release"
    ) -> Decided:
        return decide(workspace, self.word(workspace, records, decision))


ALICE, BOB, CAROL = (Officer(name, key) for name, key in OFFICERS.items())


def put_roll(workspace: Workspace, *officers: Officer) -> None:
    """As a ceremony of kind "officers" would."""
    records = [OfficerRecord(one.name, spki_of(one.key.public_key())) for one in officers or (ALICE, BOB, CAROL)]
    with workspace.store.act(Act("test", "tester", NOW)) as tx:
        tx.replace_roll(records)


def organisation(workspace: Workspace, role: RemotePartyRole, *entities: EntityId) -> str:
    """Enrol whose EUI-64s these are."""
    name = f"Organisation {next(_numbers)} of {os.urandom(3).hex()}"
    ranges = tuple(EntityRange(one, one) for one in entities)
    enrol(workspace, Enrolment(name, (role,), (Kind.ORGANISATION,), ranges, 10))
    return name


def officer_of(
    workspace: Workspace, name: str, called: str = "Ann Ash", key: ec.EllipticCurvePrivateKey | None = None
) -> Officer:
    """Appoint an officer, whose infrastructure certificate stands in the register."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    certificate = _certificate(called, key, NOW - timedelta(days=1))
    found = workspace.store.organisations.named(name)
    assert found is not None
    record = CertificateRecord(
        issuer=1,
        serial=Serial(certificate.serial_number.to_bytes(16)),
        key_hash=key_hash(spki_of(key.public_key())),
        entity=None,
        profile=workspace.policies.issuance.rule(Kind.INFRASTRUCTURE).profile.name,
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        der=certificate.public_bytes(Encoding.DER),
        usage=None,
        role=None,
        status=Status.IN_USE,
        subscriber=found.number,
    )
    with workspace.store.act(Act("test", "tester", NOW)) as tx:
        tx.reserve_serials(1, [record.serial], "test")
        tx.store_certificates([record])
    appoint(workspace, name, "ARO", record)
    return Officer(called, key)


def _certificate(name: str, key: ec.EllipticCurvePrivateKey, since: datetime) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, name)])
    serial = int.from_bytes(b"\x43" + os.urandom(15))
    until = since + timedelta(days=365)
    return x509.CertificateBuilder(subject, subject, key.public_key(), serial, since, until).sign(
        key, hashes.SHA256()
    )


def both_release(workspace: Workspace, records: list[QuarantineRecord]) -> None:
    """An officer of each side says so; the user's organisation is enrolled for it."""
    put_roll(workspace)
    (originator,) = {one.originator for one in records}
    owner = workspace.store.organisations.owner_of(originator) or organisation(workspace, records[0].role, originator)
    officer_of(workspace, owner).decides(workspace, records)
    assert ALICE.decides(workspace, records).ready == len(records)
