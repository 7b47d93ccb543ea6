"""What the store holds, as frozen values: a row each."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from smki.entity import EntityId, EntityRange, KeyUsage, RemotePartyRole
from smki.pki.kind import Kind
from smki.pki.reason import Reason
from smki.pki.scope import Scope
from smki.pki.serial import Serial
from smki.pki.status import Status
from smki.words import counted

if TYPE_CHECKING:
    from smki.device.cells import CellName  # pyca costs a cold command its import
    from smki.gbcs.payload.credentials import Mode

AuthorityState = Literal["making", "active"]
BatchState = Literal["admitted", "waiting", "granted", "refused"]
HoldState = Literal["waiting", "granted", "refused"]
OrderState = Literal["made", "signed", "accepted", "done", "partly", "failed", "cancelled"]
CeremonyState = Literal["started", "keys-made", "signing", "done"]


@dataclass(frozen=True, slots=True)
class Act:
    """One thing done: which, by whom, when, and the facts that tell it apart."""

    kind: str
    actor: str
    at: datetime
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the log: its place, and its exact octets."""

    seq: int
    body: bytes


@dataclass(frozen=True, slots=True)
class TokenRecord:
    """A token this workspace has known, by the serial number that tells it from another of the same label."""

    name: str
    hsm: str
    label: str
    serial: str


@dataclass(frozen=True, slots=True)
class OfficerRecord:
    """One officer on the roll in force."""

    name: str
    public_key: bytes


@dataclass(frozen=True, slots=True)
class AuthorityRecord:
    """A certificate authority: where its key is, and which certificate speaks for it."""

    number: int
    name: str
    hierarchy: str
    tier: str
    state: AuthorityState
    issuing: bool
    profile: str
    subject: str
    token: str
    key_id: bytes
    public_key: bytes | None
    issuer: str | None
    serial: Serial | None
    not_after: datetime | None


class CertificateRecord(msgspec.Struct, frozen=True, gc=False):
    """A certificate as issued. A struct, because a run makes a million of them."""

    issuer: int
    serial: Serial
    key_hash: bytes
    entity: EntityId | None
    profile: str
    not_before: datetime
    not_after: datetime
    der: bytes
    usage: KeyUsage | None = None
    role: RemotePartyRole | None = None
    subscriber: int | None = None
    """The number of the organisation that asked; none where the authority asked itself."""
    status: Status = Status.IN_USE
    """As written down: whether it has expired since is a question of the time."""
    request: bytes | None = None
    """16 octets of the SHA-256 of the request it answers."""

    def status_at(self, now: datetime) -> Status:
        return Status.EXPIRED if self.status is not Status.REVOKED and now > self.not_after else self.status


@dataclass(frozen=True, slots=True)
class Reservation:
    """A serial number that was set aside, and what became of it if it was never used."""

    issuer: int
    serial: Serial
    purpose: str
    burnt: bool
    at: datetime


@dataclass(frozen=True, slots=True)
class RevocationRecord:
    """That a certificate, or a serial number that was burnt, is revoked."""

    number: int
    """Its place among its issuer's."""
    issuer: int
    serial: Serial
    at: datetime
    reason: Reason
    ground: bytes
    """Digest of who asked, and on what evidence."""
    compromised_at: datetime | None = None
    not_after: datetime | None = None
    """When the certificate ends; a burnt number has no end that is known."""


ListedSerial = tuple[bytes, int, int, int | None]
"""Serial number, time of revocation, reason code, time of compromise: as the store holds them."""


@dataclass(frozen=True, slots=True)
class CrlRecord:
    """A list that was made, or whose number was set aside for one."""

    issuer: int
    number: int
    base: int | None
    """Of a delta: the complete list it adds to."""
    this_update: datetime
    next_update: datetime
    covers: int
    """The number of the last revocation that was made before it."""
    scope: Scope = Scope.ALL
    entries: int = 0
    size: int = 0
    sha256: bytes | None = None
    """None while it is being made."""

    @property
    def is_delta(self) -> bool:
        return self.base is not None


@dataclass(frozen=True, slots=True)
class CeremonyRecord:
    """A ceremony that was begun: the very file, how far it came, and what was drawn for it."""

    sha256: bytes
    kind: str
    file: bytes
    state: CeremonyState
    detail: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ContingencyRecord:
    """The keys that can replace a root."""

    authority: str
    token: str
    key_id: bytes
    secret_id: bytes
    public_key: bytes


@dataclass(frozen=True, slots=True)
class ResponsibleRecord:
    """An officer of an organisation: the one whose signature speaks for it."""

    name: str
    function: str
    public_key: bytes
    issuer: int
    serial: Serial


@dataclass(frozen=True, slots=True)
class OrganisationRecord:
    """A subscriber: what it is, which identifiers are its own, what it may ask for."""

    number: int
    name: str
    active: bool
    roles: tuple[RemotePartyRole, ...]
    kinds: tuple[Kind, ...]
    ranges: tuple[EntityRange, ...]
    volume: int
    """How many device certificates a month were agreed."""
    officers: tuple[ResponsibleRecord, ...] = ()


@dataclass(frozen=True, slots=True)
class BatchRecord:
    """A batch of requests: let in at once, or after an officer looked."""

    digest: bytes
    organisation: int
    kind: Kind
    count: int
    reasons: tuple[str, ...]
    state: BatchState
    asked_by: str
    asked_at: datetime
    decision: dict[str, Any]


@dataclass(frozen=True, slots=True)
class HoldRecord:
    """Something that was asked for and is not done before an officer looked."""

    digest: bytes
    purpose: str
    """Begins with what it is many of: `revocations`, `signatures of ECS43`."""
    items: int
    reasons: tuple[str, ...]
    state: HoldState
    asked_by: str
    asked_at: datetime
    decision: dict[str, Any]

    @property
    def words(self) -> str:
        """`1 revocation`, `3 signatures of ECS43`."""
        many, blank, rest = self.purpose.partition(" ")
        return counted(self.items, many.removesuffix("s")) + blank + rest


@dataclass(frozen=True, slots=True)
class SignatureRecord:
    """A signature that a key was, or may have been, asked for."""

    digest: bytes
    key_hash: bytes
    counter: int
    target: EntityId
    code: int
    at: datetime


@dataclass(frozen=True, slots=True)
class PutRecord:
    """One certificate that an order puts somewhere: into a cell, or to a device's own key of a usage."""

    cell: "CellName | KeyUsage"
    organisation: EntityId
    """Whose it is; of a device's own, the device."""
    key_identifier: bytes
    serial: str


@dataclass(frozen=True, slots=True)
class FloorRecord:
    """Where an order has a role's counters begin."""

    role: RemotePartyRole
    counter: int
    top_up: int | None = None


@dataclass(frozen=True, slots=True)
class OrderRecord:
    """A command about a device's credentials that was made, and what became of it."""

    digest: bytes
    """SHA-256 of the pre-command's octets."""
    device: EntityId
    originator: EntityId
    code: int
    """Its message code."""
    counter: int
    execution_at: datetime | None
    """When it is to happen; none: at once."""
    state: OrderState
    puts: tuple[PutRecord, ...]
    floors: tuple[FloorRecord, ...]
    batch: bytes
    """SHA-256 that names the run which made it."""
    made_at: datetime
    outcome: str = ""
    """What became of it, in words."""

    @property
    def mode(self) -> "Mode | None":
        """Who replaces whose credentials; none: it replaces nobody's."""
        from smki.device.modes import RULES_BY_CODE
        from smki.gbcs.header import MessageCode

        rule = RULES_BY_CODE.get(MessageCode(self.code))
        return None if rule is None else rule.mode

    @property
    def is_answered(self) -> bool:
        """Whether nothing more is to come."""
        return self.state in {"done", "partly", "failed", "cancelled"}
