"""What the store holds of the access control broker's work, as frozen values."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import msgspec

from smki.entity import EntityId, RemotePartyRole

TOP_UPS = frozenset({0x0007, 0x0097})
"""CS01a and CS01b, whose counters are a series of their own (GBCS 14)."""
QuarantineState = Literal["waiting", "released", "rejected"]
Decision = Literal["release", "reject"]
Capacity = Literal["originator", "broker"]


class AdmissionRecord(msgspec.Struct, frozen=True, gc=False):
    """One command that was admitted: what an auditor asks for of each."""

    number: int
    """Its place among all that were ever admitted, from 1."""
    previous: int
    """The number of the one before it that the same party asked for, of the same device; 0: it is the first."""
    digest: bytes
    """SHA-256 of what is signed of it: the pre-command's, whoever signs it how often."""
    originator: EntityId
    role: RemotePartyRole
    target: EntityId
    code: int
    counter: int
    at: datetime
    serial: bytes
    """Of the certificate that its signature, or its request's, holds by; empty for the broker's own."""
    signature: bytes
    """The one it was admitted with: a later one over the same changes nothing. Empty where it has none."""
    party: EntityId | None = None
    """For whom the broker speaks, and with which counter of theirs."""
    party_counter: int | None = None


class Outgoing(msgspec.Struct, frozen=True, gc=False):
    """A command that was admitted, and not handed out yet."""

    number: int
    run: bytes
    reference: str
    octets: bytes
    """Without its MAC."""
    local: bool
    """To be given to a hand-held terminal, not to the network."""


class LastAdmitted(msgspec.Struct, frozen=True, gc=False):
    """The last command from someone to a device."""

    counter: int
    code: int
    """Of the last one that is a step of a sequence, and when that was; 0 where there was none."""
    at: datetime
    number: int
    """Of the last admission that they asked for themselves; 0 where others did, in whose name they spoke."""


class TallyRow(msgspec.Struct, frozen=True, gc=False):
    """How many of a kind fell into one stretch of time."""

    level: int
    """Which stretches: 0 seconds, 1 minutes, 2 hours."""
    since: int
    """The second, since 1970, that the stretch begins at."""
    originator: bytes
    role: int
    code: int
    area: int
    admitted: int
    held: int
    refused: int


@dataclass(frozen=True, slots=True)
class QuarantineRecord:
    """One command that is held, and why."""

    digest: bytes
    octets: bytes = field(repr=False)
    """As it would have been admitted, without MAC."""
    originator: EntityId
    role: RemotePartyRole
    target: EntityId
    code: int
    counter: int
    area: int
    local: bool
    at: datetime
    reference: str
    pattern: str
    """What it belongs together with."""
    findings: tuple[dict[str, Any], ...]
    state: QuarantineState = "waiting"
    decisions: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class ConfirmationRecord:
    """One officer's signed word about commands that are held."""

    digest: bytes
    """SHA-256 of its file."""
    decision: Decision
    capacity: Capacity
    """Whose officer it is."""
    officer: str
    organisation: str
    """The originator's, as it was enrolled; empty for the broker's own."""
    items: int
    at: datetime
    """As the officer signed it."""
    until: datetime
    file: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ThresholdRecord:
    """A file of thresholds, as it was signed."""

    owner: str
    """An EUI-64 as text, or `global`."""
    since: datetime
    digest: bytes
    file: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ConsentRecord:
    """A customer's word that a party may read a meter point's devices, or one device."""

    party: EntityId
    subject: str
    """The digits of a meter point, or the EUI-64 of a device."""
    since: datetime
    until: datetime | None = None

    def holds_at(self, moment: datetime) -> bool:
        return self.since <= moment and (self.until is None or moment < self.until)
