"""A plan as values: what it does on which homes. What is wrong with it, `smki.parties.recovery.rules` finds."""

from collections import Counter
from dataclasses import dataclass, replace

from smki.device.cells import Cell, CellName
from smki.device.modes import ModeRule
from smki.device.update import CredentialUpdate, Put
from smki.entity import DeviceType, EntityId, RemotePartyRole
from smki.errors import Refused
from smki.parties.changes import Change
from smki.parties.keys import Certified
from smki.parties.recovery.case import Case, Method
from smki.parties.recovery.file import (
    Devices,
    PlanFile,
    RecoveryTable,
    Situation,
)
from smki.pki.verdict import Fault
from smki.store.records import CertificateRecord


@dataclass(frozen=True, slots=True)
class PlannedPut:
    """One certificate, its cell, and in whose homes."""

    cell: CellName
    certificate: bytes
    where: EntityId | None
    content: Cell

    def reaches(self, kind_cells: tuple[CellName, ...], situation: Situation) -> bool:
        held = self.cell in kind_cells or self.cell.role is RemotePartyRole.LOAD_CONTROLLER
        return held and self.where in {None, situation.holder(self.cell.role)}


@dataclass(frozen=True)
class Group:
    """Devices for which the plan does the same: their kind, and the change."""

    kind: DeviceType
    puts: tuple[PlannedPut, ...]
    change: Change
    path: tuple[bytes, ...] = ()
    authorising: CellName | None = None
    faults: tuple[Fault, ...] = ()


def update_of(group: Group, counter: int) -> CredentialUpdate:
    """What a command of a group would say; of a contingency, with zeros for the key that nobody has seen yet."""
    change = group.change
    own = change.floors
    return CredentialUpdate(
        mode=change.mode,
        counter=counter,
        puts=tuple(Put.into(place.cell, place.certificate) for place in change.places),
        path=group.path,
        authorising=group.authorising,
        disapply_time=change.disapply_time,
        own_floor=None if own is None else own.counter,
        own_top_up_floor=None if own is None else own.top_up,
        other_floors=change.other_floors or None,
        at=change.at,
        symmetric_key=change.symmetric_key,
    )


@dataclass(frozen=True)
class Plan:
    """A plan that was read: everything it says as values, and all that is wrong with it."""

    file: PlanFile
    case: Case
    method: Method
    rule: ModeRule
    originator: EntityId
    signer: Certified | None
    """None: the contingency key, which has no certificate."""
    affected: tuple[CertificateRecord, ...]
    puts: tuple[PlannedPut, ...]
    devices: Devices
    groups: dict[Situation, Group]
    homes: Counter[Situation]
    faults: tuple[Fault, ...]

    @property
    def is_handed_out(self) -> bool:
        """Whether someone else signs: pre-commands are all that is made."""
        return self.method == "1"

    @property
    def first_counter(self) -> int:
        table = self.file.table
        return table.signer.first_counter if isinstance(table, RecoveryTable) else 0

    def refuse_if_faulty(self) -> None:
        if self.faults:
            first = self.faults[0]
            more = f"; and {len(self.faults) - 1} faults more" if len(self.faults) > 1 else ""
            raise Refused(first.code, f"{self.file.path.name}: {first.message}{more}", first.remedy)

    def changes(self, secret: bytes | None) -> dict[Situation, Change]:
        """What is asked of each device, with the contingency's symmetric key where it is one."""
        made = {id(group): replace(group.change, symmetric_key=secret) for group in self.groups.values()}
        return {situation: made[id(group)] for situation, group in self.groups.items()}
