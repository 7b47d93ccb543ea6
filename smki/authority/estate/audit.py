"""The estate's audit: what is in the cells of each device, held against who is registered for its meter point.

It reads the inventory page by page, and changes nothing. A finding says what would mend it, so that another command
can make the commands for all of them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from itertools import islice

from smki.authority.workspace import Workspace
from smki.device.cells import CellName, CellUse
from smki.device.modes import RULES
from smki.entity import EntityId, RemotePartyRole
from smki.gbcs.payload.credentials import Mode
from smki.store.estate_records import DeviceQuery, DeviceRecord, Registered

_PAGE = 1000
_WATCHED = {
    RemotePartyRole.SUPPLIER: "supplier",
    RemotePartyRole.NETWORK_OPERATOR: "network-operator",
}
_BROKER = CellName(RemotePartyRole.ACCESS_CONTROL_BROKER, CellUse.KEY_AGREEMENT)
_COS = CellName(RemotePartyRole.TRANSITIONAL_COS, CellUse.DIGITAL_SIGNATURE)
_BY_ITSELF = {
    RemotePartyRole.SUPPLIER: Mode.SUPPLIER_BY_SUPPLIER,
    RemotePartyRole.NETWORK_OPERATOR: Mode.NETWORK_OPERATOR_BY_NETWORK_OPERATOR,
}


class Mend(Enum):
    """What mends a finding that no replacement does."""

    READ = "CS02a"
    """Have the device say what is in its cells."""
    INVENTORY = "inventory"
    """Say where the device stands, or that it is withdrawn: `smki inventory status`."""
    REGISTRATION = "registration"
    """Take in what the registration systems say: `smki registration import`."""
    CERTIFICATES = "certificates"
    """Take the device's certificates out of use: `smki cert status`."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it should be; None where a field does not apply."""

    device: EntityId
    code: str
    mend: str
    meter_point: str | None = None
    cell: CellName | None = None
    holds: EntityId | None = None
    should_hold: EntityId | None = None

    def as_json(self) -> dict[str, str | None]:
        def text(value: object) -> str | None:
            return None if value is None else str(value)

        return {
            "device": str(self.device),
            "meter_point": self.meter_point,
            "cell": text(self.cell),
            "holds": text(self.holds),
            "should_hold": text(self.should_hold),
            "code": self.code,
            "mend": self.mend,
        }


class Auditor:
    """Looks at devices as they should be at a moment."""

    def __init__(self, workspace: Workspace, at: datetime) -> None:
        self._workspace = workspace
        self._store = workspace.store
        self._at = at
        self.seen = 0
        """How many devices were looked at."""
        self._roles: dict[EntityId, tuple[RemotePartyRole, ...]] = {}

    def findings(self) -> Iterator[Finding]:
        """Everything that is wrong, device by device."""
        devices = self._store.estate.find(DeviceQuery(), page=_PAGE)
        while page := list(islice(devices, _PAGE)):
            self.seen += len(page)
            points = {item.meter_point for item in page if item.meter_point is not None}
            registered = self._store.registrations.all_at(points, self._at)
            certified = self._certified([item.entity for item in page if item.status.has_ended])
            for device in page:
                if device.status.has_ended:
                    yield from _ended(device, device.entity in certified)
                elif device.status.is_installed:
                    place = device.meter_point
                    yield from self._installed(device, None if place is None else registered.get(place))

    def _certified(self, entities: Sequence[EntityId]) -> set[EntityId]:
        """Those that have a certificate in use."""
        if not entities:
            return set()
        found = self._store.certificates.in_use([item.octets for item in entities], self._workspace.clock())
        return {EntityId(octets) for octets, *_ in found}

    def _installed(self, device: DeviceRecord, registered: Registered | None) -> Iterator[Finding]:
        expected = [name for name in self._workspace.policies.devices.get(device.kind, ()) if name.role in _WATCHED]
        names = list(dict.fromkeys((*expected, *(name for name in device.cells if name.role in _WATCHED))))
        place = None if device.meter_point is None else str(device.meter_point)
        if not names:
            return
        if place is None:
            yield Finding(device.entity, "device.no-meter-point", Mend.INVENTORY.value)
        elif registered is None:
            yield Finding(device.entity, "meter-point.not-registered", Mend.REGISTRATION.value, place)
        for role, word in _WATCHED.items():
            should = None if registered is None else _party(registered, role)
            yield from self._cells(device, [name for name in names if name.role is role], word, should)
        if any(name not in device.cells for name in names):
            yield Finding(device.entity, "cells.unknown", Mend.READ.value, place)
        elif any(device.cells[name].proven_at is None for name in names):
            yield Finding(device.entity, "cells.never-proven", Mend.READ.value, place)

    def _cells(
        self, device: DeviceRecord, names: Sequence[CellName], word: str, should: EntityId | None
    ) -> Iterator[Finding]:
        place = None if device.meter_point is None else str(device.meter_point)
        holders = {device.cells[name].holds for name in names if name in device.cells}
        for name in names:
            believed = device.cells.get(name)
            if believed is None or believed.holds == should:
                continue
            # Nobody shares the control of a home: cells of a role that disagree are wrong whoever is registered.
            if should is not None or len(holders) > 1:
                code = f"cell.mixed-{word}" if len(holders) > 1 else f"cell.wrong-{word}"
                mend = self._mode(device, name.role)
                yield Finding(device.entity, code, mend, place, name, believed.holds, should)

    def _mode(self, device: DeviceRecord, role: RemotePartyRole) -> str:
        """By which replacement the cells of a role come right, in the device as it is (GBCS 13.3)."""
        signer = device.cells.get(CellName(role, CellUse.DIGITAL_SIGNATURE))
        broker = device.cells.get(_BROKER)
        by_broker = signer is not None and broker is not None and signer.holds == broker.holds
        if role is RemotePartyRole.SUPPLIER and not by_broker:
            mode = Mode.SUPPLIER_BY_TRANS_COS if _COS in device.cells else Mode.ANY_EXCEPT_ABNORMAL_ROOT_BY_RECOVERY
        elif by_broker or (signer is not None and self._has_role(signer.holds, role)):
            mode = _BY_ITSELF[role]
        else:
            mode = Mode.ANY_EXCEPT_ABNORMAL_ROOT_BY_RECOVERY  # whoever is in the cell is nobody we could ask
        return RULES[mode].word

    def _has_role(self, entity: EntityId, role: RemotePartyRole) -> bool:
        """Whether an EUI-64 is that of someone enrolled in a role, who can still sign."""
        if entity not in self._roles:
            organisations = self._store.organisations
            owner = organisations.named(organisations.owner_of(entity))
            self._roles[entity] = owner.roles if owner is not None and owner.active else ()
        return role in self._roles[entity]


def _ended(device: DeviceRecord, certified: bool) -> Iterator[Finding]:
    place = None if device.meter_point is None else str(device.meter_point)
    word = device.status.value
    if place is not None:
        yield Finding(device.entity, f"{word}.meter-point", Mend.INVENTORY.value, place)
    if certified:
        yield Finding(device.entity, f"{word}.certificates", Mend.CERTIFICATES.value, place)


def _party(registered: Registered, role: RemotePartyRole) -> EntityId | None:
    return registered.supplier if role is RemotePartyRole.SUPPLIER else registered.network_operator
