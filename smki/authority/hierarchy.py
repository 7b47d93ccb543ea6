"""The hierarchy as it stands: who signed whom, how long each is good for, and where its key is."""

import base64
import textwrap
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from smki.authority.workspace import Workspace
from smki.errors import InvalidInput, Refused, Unavailable
from smki.store.records import AuthorityRecord, CertificateRecord
from smki.words import utc

_DAYS_A_YEAR = 365.2425


@dataclass(frozen=True, slots=True)
class Branch:
    """One authority, as the tree shows it."""

    name: str
    hierarchy: str
    tier: str
    state: str
    issuing: bool
    subject: str
    issuer: str | None
    key_identifier: str
    not_after: datetime | None
    now: datetime
    token: str
    present: bool | None

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "hierarchy": self.hierarchy,
            "tier": self.tier,
            "state": self.state,
            "issuing": self.issuing,
            "subject": self.subject,
            "issuer": self.issuer,
            "key_identifier": self.key_identifier,
            "not_after": self.not_after,
            "token": self.token,
            "token_present": self.present,
        }

    def sentence(self) -> str:
        """One line for a person."""
        role = "issues" if self.issuing else self.tier if self.tier == "root" else "issued before"
        if self.state == "making":
            return f"{self.name}  {self.subject}  in the making: run its ceremony again"
        presence = {True: "present", False: "away", None: "unknown"}[self.present]
        return (
            f"{self.name}  {self.subject}  {role}  key {self.key_identifier}  {self._left()}"
            f"  token {self.token} ({presence})"
        )

    def _left(self) -> str:
        assert self.not_after is not None, "an active authority has an end"
        days = (self.not_after - self.now).days
        if days < 0:
            return f"EXPIRED {self.not_after:%Y-%m-%d}"
        left = f"{days / _DAYS_A_YEAR:.0f} years" if days > 2 * _DAYS_A_YEAR else f"{days} days"
        return f"until {self.not_after:%Y-%m-%d} ({left} left)"


@dataclass(frozen=True, slots=True)
class Description:
    """One authority in full: name and value, in the order to be read."""

    standing: tuple[tuple[str, str], ...]
    certificate: tuple[tuple[str, str], ...]


def branches(workspace: Workspace) -> tuple[Branch, ...]:
    """Every authority, in the order they were made."""
    present = _presence(workspace)
    return tuple(_branch(record, workspace.clock(), present) for record in workspace.store.authorities())


def _presence(workspace: Workspace) -> dict[str, bool | None]:
    """Which tokens are here now; unknown where the HSM's library is not."""
    found: dict[str, bool | None] = {}
    for name, ref in workspace.tokens.items():
        try:
            found[name] = workspace.hsm.is_present(ref)
        except Unavailable:
            found[name] = None
    return found


def _branch(record: AuthorityRecord, now: datetime, present: dict[str, bool | None]) -> Branch:
    # A key's last 65 octets are its point; reading it with pyca would cost a cold command its import.
    point = record.public_key[-65:] if record.public_key is not None else b""
    return Branch(
        name=record.name,
        hierarchy=record.hierarchy,
        tier=record.tier,
        state=record.state,
        issuing=record.issuing,
        subject=record.subject,
        issuer=record.issuer,
        key_identifier=_key_identifier(point) if point else "",
        not_after=record.not_after,
        now=now,
        token=record.token,
        present=present.get(record.token),
    )


def _key_identifier(point: bytes) -> str:
    from smki.pki.keyid import KeyIdentifier

    return str(KeyIdentifier.of_point(point))


def named(workspace: Workspace, name: str) -> AuthorityRecord:
    """The authority called `name`."""
    record = workspace.store.authority(name)
    if record is None:
        raise InvalidInput("authority.unknown", f"no authority is called {name[:40]!r}", "see `smki ca tree`")
    return record


def certificate_of(workspace: Workspace, record: AuthorityRecord) -> CertificateRecord:
    """An authority's own certificate."""
    if record.serial is None:
        raise Refused(
            "authority.making", f"authority {record.name} has no certificate yet", "run its ceremony to the end"
        )
    signer = record if record.issuer is None else named(workspace, record.issuer)
    found = workspace.store.certificates.get(signer.number, record.serial)
    assert found is not None, "stored in the act that made the authority active"
    return found


def describe_authority(workspace: Workspace, name: str) -> Description:
    """Everything there is to say of one authority."""
    from smki.pki.describe import describe

    record = named(workspace, name)
    standing = next(item for item in branches(workspace) if item.name == name)
    return Description(
        tuple((key.replace("_", " "), _text(value)) for key, value in standing.as_json().items()),
        describe(certificate_of(workspace, record).der),
    )


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        return utc(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)


def export_certificates(workspace: Workspace, name: str, *, chain: bool, links: bool, der: bool) -> bytes:
    """One authority's certificate; with `chain` those above it, with `links` those between roots."""
    record: AuthorityRecord | None = named(workspace, name)
    found: list[bytes] = []
    while record is not None:
        found.append(certificate_of(workspace, record).der)
        if links:
            found.extend(links_of(workspace, record))
        record = named(workspace, record.issuer) if chain and record.issuer else None
    if der:
        return found[0]
    return b"".join(pem(item) for item in found)


def links_of(workspace: Workspace, record: AuthorityRecord) -> list[bytes]:
    """Certificates of this authority's key besides its own, and of others' keys by this one."""
    from smki.pki.keyid import key_hash

    assert record.public_key is not None, "it has a certificate"
    own = certificate_of(workspace, record).der
    same_key = workspace.store.certificates.of_key(key_hash(record.public_key))
    return [item.der for item in same_key if item.der != own]


def pem(der: bytes) -> bytes:
    lines = textwrap.wrap(base64.b64encode(der).decode(), 64)
    return "\n".join(["-----BEGIN CERTIFICATE-----", *lines, "-----END CERTIFICATE-----", ""]).encode()
