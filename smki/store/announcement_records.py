"""What the store holds of announcements, as frozen values."""

from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from smki.entity import EntityId


class SignedRecord(msgspec.Struct, frozen=True, gc=False):
    """One command as its key signed it: what is to be announced of it."""

    digest: bytes
    """Of what is signed."""
    signature: bytes
    submitted: bytes
    """SHA-256 of the signed pre-command, signature and all, as it is handed to the broker."""
    originator: EntityId
    at: datetime


@dataclass(frozen=True, slots=True)
class AnnouncementRecord:
    """One announcement of a user's own."""

    originator: EntityId
    number: int
    at: datetime
    items: int
    text: str | None = field(repr=False)
    """What is signed; none once a later one was made."""
    file: bytes | None = field(default=None, repr=False)
    """With its signature, once there is one."""
    handed_out: bool = False


@dataclass(frozen=True, slots=True)
class TakenRecord:
    """One announcement that the broker took."""

    originator: EntityId
    key_hash: bytes
    """SHA-256 of the key that signed it."""
    number: int
    at: datetime
    until: datetime
    items: int
    digest: bytes
    """SHA-256 of what was signed."""
    file: bytes | None = field(default=None, repr=False)
    """None once it is over."""


class AnnouncedRow(msgspec.Struct, frozen=True, gc=False):
    """Which announcement says that a command was signed."""

    digest: bytes
    originator: bytes
    key_hash: bytes
    number: int
