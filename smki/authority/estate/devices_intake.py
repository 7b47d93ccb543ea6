"""Reading rows of the inventory, and what each makes of a device."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from smki.authority.estate.belief import check_floors
from smki.authority.estate.intake import Columns, Fields
from smki.authority.estate.policy import InventoryPolicy
from smki.device.cells import CellName, CellUse
from smki.entity import DeviceType, EntityId, RemotePartyRole
from smki.errors import InvalidInput, Refused
from smki.meter_point import MeterPoint
from smki.pki.serial import Serial
from smki.store.estate_records import Believed, DeviceRecord, DeviceStatus

_NOTHING = "-"
"""In a file: take the meter point away. A field that is empty says nothing."""
_COUNTER = " counter"
_CELLS = {
    str(name): name
    for name in (CellName(role, use) for role in RemotePartyRole for use in CellUse)
    if (name.use is CellUse.KEY_CERT_SIGN) == (name.role is RemotePartyRole.ROOT)
}
_COUNTERS = {role.word + _COUNTER: role for role in RemotePartyRole}
_PLAIN = ("device", "type", "status", "meter_point")
COLUMNS = Columns(frozenset({"device"}), frozenset((*_PLAIN, *_CELLS, *_COUNTERS)).__contains__)
_Content = tuple[EntityId, bytes, Serial | None]
Packed = tuple[str, int, bytes, str, str, str, list[tuple[str, str]]]
"""A row as it waits in the spool."""


_kind, _status = (
    functools.lru_cache(maxsize=256)(DeviceType.parse),
    functools.lru_cache(maxsize=256)(DeviceStatus.parse),
)


@functools.lru_cache(maxsize=4096)
def cell_content(text: str) -> _Content:
    """Read `EUI-64 KEYIDENTIFIER [SERIAL]`: a million devices have few organisations in their cells."""
    parts = text.split(" ")
    try:
        if len(parts) not in {2, 3} or len(parts[1]) != 16:
            raise ValueError
        return EntityId.parse(parts[0]), bytes.fromhex(parts[1]), Serial.parse(parts[2]) if parts[2:] else None
    except ValueError:
        raise InvalidInput(
            "inventory.cell", f"{text[:60]!r} says no content of a cell", "write EUI-64 KEYIDENTIFIER [SERIAL]"
        ) from None


def _floor(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 19:
        raise InvalidInput("inventory.counter", f"{text[:30]!r} is no counter", "write its digits")
    return int(text)


@dataclass(frozen=True, slots=True)
class Row:
    """What a file says of a device; None says nothing."""

    file: str
    line: int
    entity: EntityId
    kind: DeviceType | None
    status: DeviceStatus | None
    meter_point: MeterPoint | None
    unplaced: bool
    """That it stands behind no meter point."""
    cells: tuple[tuple[CellName, _Content], ...]
    counters: Mapping[RemotePartyRole, int]

    @classmethod
    def parse(cls, fields: Fields, file: str, line: int, point: Callable[[str], MeterPoint]) -> "Row":
        entity = EntityId.parse(fields["device"])
        if entity.is_reserved:
            raise InvalidInput("entity.reserved", f"{entity} is null or a group address", "give the device's own")
        kind, status, place = (fields.get(name, "") for name in ("type", "status", "meter_point"))
        counters = {_COUNTERS[name]: _floor(value) for name, value in fields.items() if name in _COUNTERS and value}
        check_floors(counters)
        return cls(
            file,
            line,
            entity,
            _kind(kind) if kind else None,
            _status(status) if status else None,
            point(place) if place and place != _NOTHING else None,
            place == _NOTHING,
            tuple(
                [(_CELLS[name], cell_content(value)) for name, value in fields.items() if value and name in _CELLS]
            ),
            counters,
        )

    def pack(self, fields: Fields) -> Packed:
        point = _NOTHING if self.unplaced else "" if self.meter_point is None else str(self.meter_point)
        more = [(name, value) for name, value in fields.items() if value and name not in _PLAIN]
        kind, status = fields.get("type", ""), fields.get("status", "")
        return self.file, self.line, self.entity.octets, kind, status, point, more

    @classmethod
    def unpack(cls, packed: Packed) -> "Row":
        file, line, octets, kind, status, point, more = packed
        return cls(
            file,
            line,
            EntityId(octets),
            _kind(kind) if kind else None,
            _status(status) if status else None,
            MeterPoint(point) if point and point != _NOTHING else None,
            point == _NOTHING,
            tuple([(_CELLS[name], cell_content(value)) for name, value in more if name in _CELLS]),
            {_COUNTERS[name]: int(value) for name, value in more if name in _COUNTERS},
        )

    def believed(self, at: datetime, by: str) -> dict[CellName, Believed]:
        return {name: Believed(holds, key, serial, at, by) for name, (holds, key, serial) in self.cells}


def new_device(row: Row, at: datetime, by: str) -> DeviceRecord:
    if row.kind is None:
        raise InvalidInput("inventory.type", f"{row.entity} is new, and its type is missing", "say its type")
    status = row.status or DeviceStatus.PRE_NOTIFIED
    return DeviceRecord(row.entity, row.kind, status, row.meter_point, row.believed(at, by), dict(row.counters))


def changed_device(row: Row, old: DeviceRecord, policy: InventoryPolicy, at: datetime, by: str) -> DeviceRecord:
    """The device as the row wants it: equal to `old` where the row says nothing new."""
    if row.kind not in {None, old.kind}:
        raise InvalidInput("inventory.type", f"{row.entity} is {old.kind.value}", "a device stays what it is")
    status = row.status or old.status
    check_transition(old, status, policy)
    cells = dict(old.cells)
    for name, item in row.believed(at, by).items():
        before = cells.get(name)
        if before is None or not before.same_key(item):
            cells[name] = item
        elif before.serial is None and item.serial is not None:
            cells[name] = replace(before, serial=item.serial)
    place = None if row.unplaced else row.meter_point or old.meter_point
    return replace(old, status=status, meter_point=place, cells=cells, counters={**old.counters, **row.counters})


def check_transition(old: DeviceRecord, status: DeviceStatus, policy: InventoryPolicy) -> None:
    """That a device may become what is asked; staying what it is, it may always."""
    if status is not old.status and not policy.allows(old.status, status):
        raise Refused(
            "inventory.transition",
            f"{old.entity} is {old.status.value}, and does not become {status.value}",
            "see [transitions] in inventory.toml",
        )
