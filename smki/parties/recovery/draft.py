"""Drafting a plan from a compromise and the inventory: a proposal in a file, to be read, corrected and approved.

What a person says stands first; what they leave out is filled in: the devices that are believed to hold what was
compromised, the newest certificates that were not, the path above them, counters that begin at zero.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from smki.authority.safe_files import write_new
from smki.authority.workspace import Workspace
from smki.device.cells import CellName
from smki.device.modes import CONTINGENCY_ROLE, ROOT_CELL
from smki.entity import EntityId, RemotePartyRole
from smki.errors import InvalidInput, Refused
from smki.gbcs.payload.credentials import Mode
from smki.parties.keys import Certified
from smki.parties.recovery.case import CASES, Case, Method
from smki.parties.recovery.file import Devices, PlanFile, Situation, read_devices, read_plan_file
from smki.parties.recovery.filling import Filling, affected_records
from smki.parties.recovery.writing import toml_of
from smki.store.estate_records import DeviceQuery, DeviceRecord
from smki.store.records import CertificateRecord

_USERS = (RemotePartyRole.SUPPLIER, RemotePartyRole.NETWORK_OPERATOR, RemotePartyRole.LOAD_CONTROLLER)
"""The roles that differ from home to home."""


@dataclass(frozen=True, slots=True)
class Floor:
    """Where a role's counters begin."""

    role: RemotePartyRole
    counter: int
    top_up: int | None = None


@dataclass(frozen=True, slots=True)
class WantedPut:
    """A certificate someone names for a cell."""

    cell: CellName
    certificate: bytes
    where: EntityId | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """Something that was said by someone at a time: the notification, the decision."""

    by: str
    at: datetime
    what: str


@dataclass(frozen=True)
class Wish:
    """What a person says of the plan that is wanted."""

    what: str
    serials: tuple[str, ...]
    method: Method
    purpose: str
    root: str
    notified: Event
    decided: Event
    signer: Certified | None = None
    token: str | None = None
    key: str | None = None
    first_counter: int = 1
    puts: tuple[WantedPut, ...] = ()
    path: tuple[bytes, ...] = ()
    devices: Devices | None = None
    floors: tuple[Floor, ...] = ()
    at: datetime | None = None
    check_times: bool = True
    supersedes: str | None = None

    @property
    def case(self) -> Case:
        found = CASES.get(self.what)
        if found is None:
            raise InvalidInput("plan.case", f"{self.what[:60]!r} is no case", f"use one of: {', '.join(CASES)}")
        return found


def draft(workspace: Workspace, wish: Wish, out: Path) -> PlanFile:
    """Write the plan and its devices, where nothing stood before."""
    affected = tuple(affected_records(workspace, wish.serials))
    filling = Filling(workspace, wish.root, wish.method, wish.case, affected)
    devices = wish.devices or _from_inventory(workspace, wish.case, affected, filling)
    puts = wish.puts or tuple(_puts(wish, affected, filling, devices))
    if not puts:
        raise Refused(
            "plan.nothing-to-put", "no certificate is known that could go into the cells", "issue some, or name --put"
        )
    roles = {put.cell.role for put in puts if put.where is not None}
    devices = _only(devices, roles)
    path = wish.path or filling.path(put.certificate for put in puts)
    devices_file = out.with_name(f"{out.stem}.devices")
    text = toml_of(wish, puts, path, devices_file.name, devices, _floors(workspace, wish, puts))
    write_new(devices_file, devices.octets, 0o600)
    try:
        write_new(out, text.encode(), 0o600)
    except Refused:
        devices_file.unlink()
        raise
    return read_plan_file(out)


# The devices


def _from_inventory(
    workspace: Workspace, case: Case, affected: tuple[CertificateRecord, ...], filling: Filling
) -> Devices:
    """Those that are believed to hold what was compromised, with whoever is believed in the cells of users."""
    keys = {filling.key_identifier(record.der) for record in affected}

    def holds(device: DeviceRecord) -> bool:
        if case.tier == "root" or filling.method == "contingency":
            return True
        believed = device.cells.values()
        if case.tier == "issuing":
            return any(filling.is_below_affected(one) for one in believed)
        return any(one.key_identifier in keys for one in believed)

    found = (one for one in workspace.store.estate.find(DeviceQuery()) if not one.status.has_ended and holds(one))
    lines = sorted(_situation(one).line(one.entity) for one in found)
    if not lines:
        raise Refused(
            "plan.no-device",
            "no device in the inventory is believed to hold what was compromised",
            "import the inventory, or name the devices with --devices FILE",
        )
    return read_devices("".join(f"{line}\n" for line in lines).encode(), "the inventory")


def _situation(device: DeviceRecord) -> Situation:
    holders: dict[RemotePartyRole, EntityId] = {}
    for name, believed in device.cells.items():
        if name.role in _USERS:
            holders.setdefault(name.role, believed.holds)
    return Situation(device.kind, tuple(sorted(holders.items())))


def _only(devices: Devices, roles: set[RemotePartyRole]) -> Devices:
    """The same devices, with the holders that matter to this plan."""
    known: dict[Situation, Situation] = {}
    lines = []
    for device, situation in devices:
        if situation not in known:
            holders = tuple(item for item in situation.holders if item[0] in roles)
            known[situation] = Situation(situation.kind, holders)
        lines.append(f"{known[situation].line(device)}\n")
    return Devices("".join(lines).encode(), devices.count)


# The certificates


def _puts(
    wish: Wish, affected: tuple[CertificateRecord, ...], filling: Filling, devices: Devices
) -> Iterator[WantedPut]:
    """What goes where, when nobody says: for a contingency everything, else the cells of what was compromised."""
    if wish.method == "contingency" or wish.case.tier == "issuing":
        yield from _all_puts(wish, filling, devices)
        return
    if wish.case.tier == "root":
        yield from _root_put(filling)
        return
    for role, entity in dict.fromkeys((one.role, one.entity) for one in affected):
        if role is None:
            continue
        where = entity if role in _USERS else None
        owner = filling.broker if wish.method == "2" else entity if where is not None else filling.party(role)
        for cell in filling.cells_of(role):
            der = None if owner is None else filling.newest(owner, cell)
            if der is not None:
                yield WantedPut(cell, der, where)


def _all_puts(wish: Wish, filling: Filling, devices: Devices) -> Iterator[WantedPut]:
    if wish.method == "contingency":
        yield from _root_put(filling)
    holders = sorted({item for _, situation in devices for item in situation.holders})
    only = None if wish.method != "1" or wish.signer is None else wish.signer.holder
    for cell in filling.all_cells({situation.kind for _, situation in devices}):
        if cell == ROOT_CELL or (only is not None and cell.role is not only.role):
            continue
        owners = [entity for role, entity in holders if role is cell.role] if cell.role in _USERS else [None]
        for entity in owners:
            owner = entity or filling.party(cell.role)
            der = None if owner is None else filling.newest(owner, cell)
            if der is not None and (only is None or owner == only.entity):
                yield WantedPut(cell, der, entity)


def _root_put(filling: Filling) -> Iterator[WantedPut]:
    der = filling.next_root
    if der is not None:
        yield WantedPut(ROOT_CELL, der)


def _floors(workspace: Workspace, wish: Wish, puts: Iterable[WantedPut]) -> tuple[Floor, ...]:
    """Those that are named, and zero for every other role that policy has begin anew."""
    if wish.method == "1":
        return wish.floors
    mode = Mode.ANY_BY_CONTINGENCY if wish.method == "contingency" else Mode.ANY_EXCEPT_ABNORMAL_ROOT_BY_RECOVERY
    policy = workspace.policies.credentials.modes.get(mode)
    given = {floor.role for floor in wish.floors}
    roles = {put.cell.role for put in puts} & (policy.floors if policy is not None else frozenset()) - given
    zero = (
        Floor(role, 0, 0 if role is RemotePartyRole.SUPPLIER else None)
        for role in sorted(roles)
        if role is not CONTINGENCY_ROLE
    )
    return (*wish.floors, *zero)
