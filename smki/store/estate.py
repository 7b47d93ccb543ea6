"""The inventory of devices, and what is believed of each: reading it, and the changes of an act.

Devices come in pages by their EUI-64, so that no list is longer in memory than one page.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache, lru_cache
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from smki.entity import DeviceType, EntityId, RemotePartyRole
from smki.errors import Refused
from smki.meter_point import MeterPoint
from smki.pki.serial import Serial
from smki.store.acts import Acts
from smki.store.engine import Engine
from smki.store.estate_records import Believed, DeviceQuery, DeviceRecord, DeviceStatus, Place
from smki.store.tables import SUPPLIER_CELLS, WATCHED_CELLS
from smki.store.values import moment_of, pieces, places, seconds_of

if TYPE_CHECKING:
    from smki.device.cells import CellName  # pyca costs a cold command its import

# Numbers stand for words; a new word goes to the end.
_KINDS = tuple(DeviceType[name] for name in ("ESME", "GSME", "CHF", "GPF", "PPMID", "HCALCS", "SAPC", "TYPE_2"))
_STATUSES = tuple(
    DeviceStatus[name]
    for name in (
        "PRE_NOTIFIED", "WHITELISTED", "INSTALLED", "COMMISSIONED", "SUSPENDED", "DECOMMISSIONED", "WITHDRAWN",
    )
)  # fmt: skip
_USES = ("keyCertSign", "digitalSignature", "keyAgreement", "prePaymentTopUp")
_USES_PER_ROLE = 8
_DEVICE = ("entity", "kind", "status", "meter_point", "proven_at", "proof")
_CELL = ("since", "proven_at", "cell", "device", "holds", "key_identifier", "serial", "done_by")
_FLOOR = ("floor", "role", "device")
Floors = Mapping[RemotePartyRole, int]


class Estate:
    """Every device there is."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def device(self, entity: EntityId) -> DeviceRecord | None:
        return self.devices([entity]).get(entity)

    def behind(self, point: MeterPoint) -> tuple[DeviceRecord, ...]:
        rows = self._engine.execute(
            "SELECT entity FROM device WHERE meter_point = ? ORDER BY entity", (point.digits,)
        ).fetchall()
        return tuple(self.devices([EntityId(bytes(entity)) for (entity,) in rows]).values())

    def devices(self, entities: Sequence[EntityId]) -> dict[EntityId, DeviceRecord]:
        """Those of these that are known, in the order of their EUI-64s."""
        found: dict[EntityId, DeviceRecord] = {}
        for piece in pieces([entity.octets for entity in entities]):
            rows = self._of("device", _DEVICE, "entity", piece)
            known = [bytes(row[0]) for row in rows]
            cells, floors = self._cells(known), self._floors(known)
            found.update((record.entity, record) for record in (_record(row, cells, floors) for row in rows))
        return dict(sorted(found.items()))

    def places(self, entities: Sequence[EntityId]) -> dict[EntityId, Place]:
        """Of those of these that are known, what they are and where: a fraction of the cost of all of it."""
        found: dict[EntityId, Place] = {}
        for piece in pieces([entity.octets for entity in entities]):
            for octets, kind, status, point in self._of("device", _DEVICE[:4], "entity", piece):
                found[EntityId(bytes(octets))] = Place(
                    _KINDS[kind], _STATUSES[status], None if point is None else MeterPoint(point)
                )
        return found

    def page(self, query: DeviceQuery, after: EntityId | None, limit: int) -> tuple[DeviceRecord, ...]:
        """The next so many devices meant, after one."""
        source, conditions, values = _meant(query)
        if after is not None:
            conditions.append("device.entity > ?" if source == "device" else "cell.device > ?")
            values.append(after.octets)
        column = "device.entity" if source == "device" else "cell.device"
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        rows = self._engine.execute(
            f"SELECT DISTINCT {column} FROM {source}{where} ORDER BY {column} LIMIT ?", (*values, limit)
        ).fetchall()
        return tuple(self.devices([EntityId(bytes(entity)) for (entity,) in rows]).values())

    def find(self, query: DeviceQuery, after: EntityId | None = None, page: int = 1000) -> Iterator[DeviceRecord]:
        """All that are meant, one by one: a million need no more memory than a page."""
        while found := self.page(query, after, page):
            yield from found
            after = found[-1].entity

    def holding(self, entity: EntityId, held: Sequence[tuple[Serial, bytes]], *, watched: bool) -> int:
        """How many devices are believed to hold one of these certificates of an organisation: by the serial number,
        or where nobody told it, by the key identifier. `watched`: they go into cells that have an index."""
        where, found = f"{WATCHED_CELLS} AND " if watched else "", 0
        for piece in pieces(held):
            serials, keys = zip(*piece, strict=True)
            row = self._engine.execute(
                f"SELECT COUNT(DISTINCT device) FROM cell WHERE {where}holds = ? AND (serial IN ({places(serials)})"
                f" OR (serial IS NULL AND key_identifier IN ({places(keys)})))",
                (entity.octets, *(serial.octets for serial in serials), *keys),
            ).fetchone()
            found += int(row[0])
        return found

    def unknown(self, entities: Sequence[EntityId]) -> list[EntityId]:
        """Those that are not in the inventory."""
        known: set[bytes] = set()
        for piece in pieces([entity.octets for entity in entities]):
            known.update(bytes(row[0]) for row in self._of("device", ("entity",), "entity", piece))
        return [entity for entity in entities if entity.octets not in known]

    def _of(self, table: str, columns: tuple[str, ...], key: str, octets: Sequence[bytes]) -> list[tuple[Any, ...]]:
        if not octets:
            return []
        found: list[tuple[Any, ...]] = self._engine.execute(
            f"SELECT {', '.join(columns)} FROM {table} WHERE {key} IN ({places(octets)})", tuple(octets)
        ).fetchall()
        return found

    def _cells(self, devices: Sequence[bytes]) -> "dict[bytes, dict[CellName, Believed]]":
        found: dict[bytes, dict[CellName, Believed]] = {}
        rows = sorted(self._of("cell", _CELL, "device", devices), key=itemgetter(_CELL.index("cell")))
        for since, proven, number, device, holds, key, serial, by in rows:
            found.setdefault(bytes(device), {})[_name(number)] = Believed(
                _holder(bytes(holds)),
                bytes(key),
                None if serial is None else Serial(bytes(serial)),
                moment_of(since),
                by,
                None if proven is None else moment_of(proven),
            )
        return found

    def _floors(self, devices: Sequence[bytes]) -> dict[bytes, dict[RemotePartyRole, int]]:
        found: dict[bytes, dict[RemotePartyRole, int]] = {}
        for floor, role, device in self._of("counter_floor", _FLOOR, "device", devices):
            found.setdefault(bytes(device), {})[RemotePartyRole(role)] = floor
        return found


def _meant(query: DeviceQuery) -> tuple[str, list[str], list[Any]]:
    """Where to look, so that an index gives the devices in their order."""
    wanted = (
        ("device.kind = ?", None if query.kind is None else _KINDS.index(query.kind)),
        ("device.status = ?", None if query.status is None else _STATUSES.index(query.status)),
        ("device.meter_point = ?", None if query.meter_point is None else query.meter_point.digits),
    )
    conditions = [text for text, value in wanted if value is not None]
    values: list[Any] = [value for _, value in wanted if value is not None]
    if query.supplier is None:
        return "device", conditions, values
    # The first condition is the index's own, word for word: that is how SQLite knows that it may use it.
    conditions += [WATCHED_CELLS, SUPPLIER_CELLS, "cell.holds = ?"]
    return "cell JOIN device ON device.entity = cell.device", conditions, [*values, query.supplier.octets]


class EstateActs(Acts):
    """Changes to the inventory."""

    @property
    def estate(self) -> Estate:
        """The inventory as this act sees it."""
        return Estate(self._engine)

    def put_devices(self, records: Iterable[DeviceRecord]) -> None:
        """New devices, with what is believed of them."""
        records = tuple(records)
        self._engine.insert(
            "device",
            _DEVICE,
            [
                (
                    item.entity.octets,
                    _KINDS.index(item.kind),
                    _STATUSES.index(item.status),
                    None if item.meter_point is None else item.meter_point.digits,
                    _seconds_or_none(item.proven_at),
                    item.proof,
                )
                for item in records
            ],
        )
        self._insert_cells((item.entity, item.cells) for item in records)
        self._insert_floors((item.entity, item.counters) for item in records)

    def change_device(self, old: DeviceRecord, status: DeviceStatus, meter_point: MeterPoint | None) -> None:
        """Another status or place, unless somebody changed it in between."""
        changed = self._execute(
            "UPDATE device SET status = ?, meter_point = ? WHERE entity = ? AND status = ?",
            (
                _STATUSES.index(status),
                None if meter_point is None else meter_point.digits,
                old.entity.octets,
                _STATUSES.index(old.status),
            ),
        ).rowcount
        if changed != 1:
            raise Refused("inventory.moved-on", f"{old.entity} is no longer {old.status.value}", "look again")

    def put_cells(self, rows: "Sequence[tuple[EntityId, Mapping[CellName, Believed]]]") -> None:
        """What is believed from now on of some cells; the others stay as they are."""
        self._drop("cell", [(entity.octets, _number(name)) for entity, cells in rows for name in cells])
        self._insert_cells(rows)

    def drop_cells(self, entity: EntityId, names: "Iterable[CellName]") -> None:
        """A device that answered does not have them."""
        self._drop("cell", [(entity.octets, _number(name)) for name in names])

    def put_floors(self, rows: Sequence[tuple[EntityId, Floors]]) -> None:
        self._drop("counter_floor", [(entity.octets, role.value) for entity, floors in rows for role in floors])
        self._insert_floors(rows)

    def put_proof(self, entity: EntityId, at: datetime, proof: bytes) -> None:
        self._execute(
            "UPDATE device SET proven_at = ?, proof = ? WHERE entity = ?", (seconds_of(at), proof, entity.octets)
        )

    def _drop(self, table: str, keys: Sequence[tuple[bytes, int]]) -> None:
        column = "cell" if table == "cell" else "role"
        for piece in pieces(keys):
            pairs = ", ".join(["(?, ?)"] * len(piece))
            self._execute(
                f"DELETE FROM {table} WHERE (device, {column}) IN (VALUES {pairs})",
                tuple(value for pair in piece for value in pair),
            )

    def _insert_cells(self, rows: "Iterable[tuple[EntityId, Mapping[CellName, Believed]]]") -> None:
        self._engine.insert(
            "cell",
            _CELL,
            [
                (
                    seconds_of(item.since),
                    _seconds_or_none(item.proven_at),
                    _number(name),
                    entity.octets,
                    item.holds.octets,
                    item.key_identifier,
                    None if item.serial is None else item.serial.octets,
                    item.by,
                )
                for entity, cells in rows
                for name, item in cells.items()
            ],
        )

    def _insert_floors(self, rows: Iterable[tuple[EntityId, Floors]]) -> None:
        self._engine.insert(
            "counter_floor",
            _FLOOR,
            [(floor, role.value, entity.octets) for entity, floors in rows for role, floor in floors.items()],
        )


def _seconds_or_none(moment: datetime | None) -> int | None:
    return None if moment is None else seconds_of(moment)


# A million devices have few organisations in their cells.


@lru_cache(maxsize=4096)
def _holder(octets: bytes) -> EntityId:
    return EntityId(octets)


@cache
def _number(name: "CellName") -> int:
    """A role's cells stand together, so that an index of some roles is a range."""
    return name.role.value * _USES_PER_ROLE + _USES.index(name.use.value)


@cache
def _name(number: int) -> "CellName":
    from smki.device.cells import CellName, CellUse

    role, use = divmod(number, _USES_PER_ROLE)
    return CellName(RemotePartyRole(role), CellUse(_USES[use]))


def _record(
    row: Sequence[Any],
    cells: "Mapping[bytes, dict[CellName, Believed]]",
    floors: Mapping[bytes, dict[RemotePartyRole, int]],
) -> DeviceRecord:
    entity, kind, status, point, proven_at, proof = row
    octets = bytes(entity)
    return DeviceRecord(
        entity=EntityId(octets),
        kind=_KINDS[kind],
        status=_STATUSES[status],
        meter_point=None if point is None else MeterPoint(point),
        cells=cells.get(octets, {}),
        counters=floors.get(octets, {}),
        proven_at=None if proven_at is None else moment_of(proven_at),
        proof=None if proof is None else bytes(proof),
    )
