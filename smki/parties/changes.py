"""What a maker of commands about credentials asks for, and what comes of it: values."""

from dataclasses import dataclass, field
from datetime import datetime

from smki.device.cells import CellName
from smki.device.update import Floors
from smki.entity import DeviceType, EntityId, RemotePartyRole
from smki.gbcs.message import Message
from smki.gbcs.payload.credentials import Mode
from smki.pki.verdict import Fault


@dataclass(frozen=True, slots=True)
class Place:
    """One certificate (DER), and the cell it is to go into."""

    cell: CellName
    certificate: bytes


@dataclass(frozen=True)
class Change:
    """What is to change, the same on however many devices."""

    mode: Mode
    originator: EntityId
    """Who signs."""
    places: tuple[Place, ...]
    path: tuple[bytes, ...] | None = None
    """Certificates between those above and the root; None: those of the authorities that this workspace believes."""
    at: datetime | None = None
    """When it is to happen; None: at once; `CANCELLED`: never, and neither what was put off before."""
    floors: Floors | None = None
    """Where the counters of the authorising role begin."""
    other_floors: tuple[tuple[RemotePartyRole, Floors], ...] = ()
    """And those of other roles whose cells are filled."""
    disapply_time: bool = False
    handover: bool = False
    """The originator is the broker, whose certificates are in the cells until now (DUIS 6.21)."""
    symmetric_key: bytes | None = field(default=None, repr=False)
    """What opens the contingency key; it is in the command, and nowhere on record."""


@dataclass(frozen=True, slots=True)
class UpdateRequest:
    """One command that is asked for."""

    change: Change
    device: EntityId
    counter: int
    kind: DeviceType | None = None
    """None: as the register of devices says, if it does."""
    reference: str = ""


@dataclass(frozen=True)
class Made:
    """A command that was made and is on record."""

    request: UpdateRequest
    message: Message
    """The pre-command."""
    digest: bytes
    """SHA-256 of its octets: its order's name."""
    before: bool = False
    """It was made by an earlier run: nothing was recorded now."""

    @property
    def octets(self) -> bytes:
        return self.message.encode()


@dataclass(frozen=True, slots=True)
class Unfit:
    """A command that was not made, and why."""

    request: UpdateRequest
    faults: tuple[Fault, ...]
