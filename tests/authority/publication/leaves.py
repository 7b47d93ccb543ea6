"""A certificate of each hierarchy, and what becomes of it."""

import base64
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from smki.authority.hierarchy import certificate_of, named
from smki.authority.log import act
from smki.entity import RemotePartyRole
from smki.pki.kind import Kind
from smki.pki.reason import Reason
from smki.pki.serial import Serial
from smki.store.records import CertificateRecord, RevocationRecord
from tests.authority.desk import Desk, new_key, organisation_csr
from tests.house import NOW, House

HIERARCHIES = {"organisation": "oca", "device": "dca", "infrastructure": "infra"}


@dataclass(frozen=True)
class Leaf:
    """An end entity's certificate, and those above it."""

    hierarchy: str
    der: bytes
    issuing: bytes
    root: bytes

    @property
    def names(self) -> tuple[str, str]:
        short = HIERARCHIES[self.hierarchy]
        return f"{short}-issuing-1", f"{short}-root"


def serial_of(der: bytes) -> Serial:
    return Serial(x509.load_der_x509_certificate(der).serial_number.to_bytes(16))


def issue_leaves(house: House, path: Path) -> None:
    """One of each hierarchy; written down, because whoever copies the workspace needs them."""
    desk = Desk(house)
    desk.enrol("North Supply", RemotePartyRole.SUPPLIER)
    subject = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, "ann")])
    officer = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(new_key(), hashes.SHA256())
    made = {
        "organisation": desk.issue(desk.order(Kind.ORGANISATION, "North Supply"), organisation_csr()),
        "device": desk.issue(desk.order(Kind.DEVICE), desk.device_csr()),
        "infrastructure": desk.issue(desk.order(Kind.INFRASTRUCTURE), officer.public_bytes(Encoding.DER)),
    }
    ders = {}
    for hierarchy, (outcome,) in made.items():
        assert outcome.certificate is not None, outcome.faults
        ders[hierarchy] = base64.b64encode(outcome.certificate.der).decode()
    path.write_text(json.dumps(ders))


def read_leaves(house: House, path: Path) -> dict[str, Leaf]:
    found = {}
    for hierarchy, text in json.loads(path.read_text()).items():
        short = HIERARCHIES[hierarchy]
        above = [
            certificate_of(house.workspace, named(house.workspace, f"{short}-{tier}")).der
            for tier in ("issuing-1", "root")
        ]
        found[hierarchy] = Leaf(hierarchy, base64.b64decode(text), *above)
    return found


def revoke_serials(
    house: House,
    authority: str,
    *serials: Serial,
    reason: Reason = Reason.KEY_COMPROMISE,
    at: datetime = NOW,
    compromised_at: datetime | None = None,
    not_after: datetime | None = None,
) -> None:
    """On record as revoked; with `not_after`, put in the register first."""
    issuer = named(house.workspace, authority).number
    certificates = house.workspace.store.certificates
    if not_after is not None:
        certify(house, authority, serials, not_after)
    ends = {serial: found.not_after for serial in serials if (found := certificates.get(issuer, serial)) is not None}
    with act(house.workspace, "test.revoked", authority=authority) as tx:
        tx.put_ground(b"\1" * 32, "{}")
        first = tx.next_revocation(issuer)
        tx.put_revocations(
            [
                RevocationRecord(number, issuer, serial, at, reason, b"\1" * 32, compromised_at, ends.get(serial))
                for number, serial in enumerate(serials, first)
            ]
        )


def certify(house: House, authority: str, serials: tuple[Serial, ...], not_after: datetime) -> None:
    """Rows as the store keeps them, of certificates that nobody made."""
    issuer = named(house.workspace, authority).number
    with act(house.workspace, "test.certified", authority=authority) as tx:
        tx.reserve_serials(issuer, list(serials), "test")
        tx.store_certificates(
            [
                CertificateRecord(
                    issuer=issuer,
                    serial=serial,
                    key_hash=serial.octets,
                    entity=None,
                    profile="tls-client",
                    not_before=datetime(2020, 1, 1, tzinfo=UTC),
                    not_after=not_after,
                    der=b"none",
                )
                for serial in serials
            ]
        )
