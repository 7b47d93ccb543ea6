"""The changes an act can make. Each is refused where the state it starts from is not the one it expects."""

import json
from collections.abc import Sequence
from typing import Any

from smki.errors import Refused
from smki.pki.serial import Serial
from smki.store.admissions import AdmissionActs
from smki.store.certificates import CertificateActs
from smki.store.confirmations import ConfirmationActs
from smki.store.crls import CrlActs
from smki.store.estate import EstateActs
from smki.store.holds import HoldActs
from smki.store.orders import OrderActs
from smki.store.organisations import OrganisationActs
from smki.store.quarantine import QuarantineActs
from smki.store.records import (
    AuthorityRecord,
    CeremonyRecord,
    CeremonyState,
    ContingencyRecord,
    OfficerRecord,
    TokenRecord,
)
from smki.store.registrations import RegistrationActs
from smki.store.responders import ResponderActs
from smki.store.revocations import RevocationActs
from smki.store.signatures import SignatureActs
from smki.store.supplier_changes import SupplierChangeActs


class Transaction(
    CertificateActs,
    OrganisationActs,
    SignatureActs,
    HoldActs,
    RegistrationActs,
    EstateActs,
    OrderActs,
    SupplierChangeActs,
    RevocationActs,
    ResponderActs,
    CrlActs,
    AdmissionActs,
    QuarantineActs,
    ConfirmationActs,
):
    """What may be done inside one act."""

    def set_audit_key(self, spki: bytes) -> None:
        self._set_meta("audit-key", spki)

    def adopt_policies(self, digest: str) -> None:
        self._set_meta("policies", digest.encode())

    def put_token(self, token: TokenRecord) -> None:
        self._execute(
            "INSERT INTO token (name, hsm, label, serial) VALUES (?, ?, ?, ?)",
            (token.name, token.hsm, token.label, token.serial),
        )

    def replace_roll(self, officers: Sequence[OfficerRecord]) -> None:
        """A new roll; those before it stay on record, so that an old approval can still be checked."""
        roll = self._execute("SELECT COALESCE(MAX(roll) + 1, 0) FROM officer").fetchone()[0]
        for officer in officers:
            self._execute(
                "INSERT INTO officer (roll, name, public_key) VALUES (?, ?, ?)",
                (roll, officer.name, officer.public_key),
            )

    def begin_ceremony(self, ceremony: CeremonyRecord) -> None:
        self._execute(
            "INSERT INTO ceremony (sha256, kind, file, state, detail) VALUES (?, ?, ?, ?, ?)",
            (ceremony.sha256, ceremony.kind, ceremony.file, ceremony.state, json.dumps(ceremony.detail)),
        )

    def advance_ceremony(self, sha256: bytes, old: CeremonyState, new: CeremonyState, detail: dict[str, Any]) -> None:
        changed = self._execute(
            "UPDATE ceremony SET state = ?, detail = ? WHERE sha256 = ? AND state = ?",
            (new, json.dumps(detail), sha256, old),
        ).rowcount
        if changed != 1:
            raise Refused(
                "ceremony.moved-on", f"the ceremony is no longer {old}", "someone else runs it: wait, and look again"
            )

    def put_authority(self, authority: AuthorityRecord) -> None:
        """A new authority, still in the making."""
        self._execute(
            "INSERT INTO authority (number, name, hierarchy, tier, state, issuing, profile, subject, token, key_id,"
            " issuer) VALUES (?, ?, ?, ?, ?, 0, ?, ?, ?, ?, ?)",
            (
                authority.number,
                authority.name,
                authority.hierarchy,
                authority.tier,
                authority.state,
                authority.profile,
                authority.subject,
                authority.token,
                authority.key_id,
                authority.issuer,
            ),
        )

    def set_authority_key(self, name: str, spki: bytes) -> None:
        changed = self._execute(
            "UPDATE authority SET public_key = ? WHERE name = ? AND public_key IS NULL", (spki, name)
        ).rowcount
        if changed != 1:
            raise Refused("authority.has-key", f"authority {name} has its key already", "a key is never replaced")

    def activate_authority(self, name: str, serial: Serial, not_after: int) -> None:
        """The authority has its certificate; an issuing one takes over from the one before it."""
        self._execute(
            "UPDATE authority SET issuing = 0 WHERE tier = 'issuing' AND hierarchy ="
            " (SELECT hierarchy FROM authority WHERE name = ? AND tier = 'issuing')",
            (name,),
        )
        changed = self._execute(
            "UPDATE authority SET state = 'active', serial = ?, not_after = ?,"
            " issuing = CASE WHEN tier = 'issuing' THEN 1 ELSE 0 END WHERE name = ? AND state = 'making'",
            (serial.octets, not_after, name),
        ).rowcount
        if changed != 1:
            raise Refused("authority.active", f"authority {name} is not in the making", "look at `smki ca tree`")

    def put_contingency(self, record: ContingencyRecord) -> None:
        self._execute(
            "INSERT INTO contingency (authority, token, key_id, secret_id, public_key) VALUES (?, ?, ?, ?, ?)",
            (record.authority, record.token, record.key_id, record.secret_id, record.public_key),
        )
