"""What the store holds of the estate, as frozen values: who is registered where, and which devices there are."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING

from smki.entity import DeviceType, EntityId, RemotePartyRole
from smki.errors import InvalidInput
from smki.meter_point import MeterPoint
from smki.pki.serial import Serial

if TYPE_CHECKING:
    from smki.device.cells import CellName  # pyca costs a cold command its import

KEY_IDENTIFIER_OCTETS = 8
MAX_FLOOR = (1 << 63) - 1  # SeqNumber (GBCS 13.2)


class DeviceStatus(Enum):
    """Where a device is in its life; the value is how people and files write it."""

    PRE_NOTIFIED = "pre-notified"
    WHITELISTED = "whitelisted"
    INSTALLED = "installed not commissioned"
    COMMISSIONED = "commissioned"
    SUSPENDED = "suspended"
    DECOMMISSIONED = "decommissioned"
    WITHDRAWN = "withdrawn"

    @classmethod
    def parse(cls, text: str) -> "DeviceStatus":
        """Read `installed not commissioned`, with blanks or hyphens."""
        for status in cls:
            if text.replace("-", " ") == status.value.replace("-", " "):
                return status
        raise InvalidInput(
            "inventory.status", f"{text[:30]!r} is no status", f"use one of: {', '.join(item.value for item in cls)}"
        )

    @property
    def has_ended(self) -> bool:
        """What is over for good: nobody commands such a device any more."""
        return self in {DeviceStatus.DECOMMISSIONED, DeviceStatus.WITHDRAWN}

    @property
    def is_installed(self) -> bool:
        """At a customer's, between installation and the end."""
        return self in {DeviceStatus.INSTALLED, DeviceStatus.COMMISSIONED, DeviceStatus.SUSPENDED}


@dataclass(frozen=True, slots=True)
class Registered:
    """Who is registered for a meter point, from a moment until the next row; None: nobody."""

    supplier: EntityId | None
    network_operator: EntityId | None
    since: datetime


@dataclass(frozen=True, slots=True)
class Believed:
    """What the authority believes is in a trust anchor cell, since when, and by which act."""

    holds: EntityId
    key_identifier: bytes
    serial: Serial | None
    since: datetime
    by: str = ""
    proven_at: datetime | None = None
    """When the device itself last said so; None: not since this is believed."""

    def __post_init__(self) -> None:
        if len(self.key_identifier) != KEY_IDENTIFIER_OCTETS:
            raise InvalidInput(
                "inventory.key-identifier",
                f"a key identifier has 8 octets, not {len(self.key_identifier)}",
                "give 16 hexadecimal digits",
            )

    def same_key(self, other: "Believed") -> bool:
        """Whether the same key of the same organisation is meant; a serial number only one knows does not differ."""
        serials = {self.serial, other.serial} - {None}
        return (self.holds, self.key_identifier) == (other.holds, other.key_identifier) and len(serials) < 2


@dataclass(frozen=True, slots=True)
class DeviceRecord:
    """A device: what it is, where it is, and what is believed of it."""

    entity: EntityId
    kind: DeviceType
    status: DeviceStatus
    meter_point: MeterPoint | None
    cells: "Mapping[CellName, Believed]"
    counters: Mapping[RemotePartyRole, int]
    """The floor of each role: no command numbered below it is taken."""
    proven_at: datetime | None = None
    proof: bytes | None = None
    """SHA-256 of the response that last told what is in its cells."""


@dataclass(frozen=True, slots=True)
class Place:
    """The least there is to say of a device: what it is, in which state, and where."""

    kind: DeviceType
    status: DeviceStatus
    meter_point: MeterPoint | None


@dataclass(frozen=True, slots=True)
class DeviceQuery:
    """Which devices are meant; what is None does not matter."""

    kind: DeviceType | None = None
    status: DeviceStatus | None = None
    supplier: EntityId | None = None
    """In any of its supplier cells."""
    meter_point: MeterPoint | None = None


@dataclass(frozen=True, slots=True)
class Tally:
    """What became of rows."""

    added: int = 0
    changed: int = 0
    unchanged: int = 0

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(self.added + other.added, self.changed + other.changed, self.unchanged + other.unchanged)
