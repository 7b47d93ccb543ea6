"""The inventory of devices: which there are, where, in what state, and what is believed of them."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from smki.authority.estate.belief import believe_many
from smki.authority.estate.devices_intake import (
    COLUMNS,
    Packed,
    Row,
    changed_device,
    check_transition,
    new_device,
)
from smki.authority.estate.intake import Fields, Place, Report, Spool, spooled, take_in
from smki.authority.estate.meter_points import meter_point as read_meter_point
from smki.authority.log import act, acts, seal
from smki.authority.safe_files import read_bounded
from smki.authority.workspace import Workspace
from smki.device.cells import Cell, CellName
from smki.entity import DeviceType, EntityId, RemotePartyRole
from smki.errors import InvalidInput, Refused, SmkiError
from smki.meter_point import MeterPoint
from smki.pki.holder import MAX_CERTIFICATE_OCTETS, load_certificate
from smki.pki.serial import Serial
from smki.store.estate_records import Believed, DeviceRecord, DeviceStatus, Tally
from smki.store.transaction import Transaction

_IMPORTED = "inventory.imported"


def device_of(workspace: Workspace, entity: EntityId) -> DeviceRecord | None:
    """A device of the inventory, with what is believed of it."""
    return workspace.store.estate.device(entity)


def devices_behind(workspace: Workspace, meter_point: MeterPoint) -> tuple[DeviceRecord, ...]:
    """The devices that stand behind a meter point."""
    return workspace.store.estate.behind(meter_point)


def known(workspace: Workspace, entity: EntityId) -> DeviceRecord:
    """A device that must be there."""
    device = device_of(workspace, entity)
    if device is None:
        raise InvalidInput("inventory.unknown", f"{entity} is not in the inventory", "see `smki inventory list`")
    return device


def add(
    workspace: Workspace, entity: EntityId, kind: DeviceType, status: DeviceStatus, meter_point: MeterPoint | None
) -> DeviceRecord:
    """Put one device on record."""
    if entity.is_reserved:
        raise InvalidInput("entity.reserved", f"{entity} is null or a group address", "give the device's own")
    record = DeviceRecord(entity, kind, status, meter_point, {}, {})
    with act(
        workspace,
        "inventory.added",
        device=str(entity),
        type=kind.value,
        status=status.value,
        meter_point=_point(meter_point),
    ) as tx:
        tx.lock()
        if tx.estate.device(entity) is not None:
            raise Refused("inventory.exists", f"{entity} is in the inventory", "see `smki inventory show`")
        tx.put_devices([record])
    seal(workspace)
    return record


def set_status(
    workspace: Workspace, entity: EntityId, status: DeviceStatus | None, place: str | None, reason: str
) -> DeviceRecord:
    """Change a device's status, its meter point (`-`: none), or both."""
    old = known(workspace, entity)
    status = status or old.status
    meter_point = old.meter_point if place is None else None if place == "-" else read_meter_point(workspace, place)
    check_transition(old, status, workspace.policies.inventory)
    with act(
        workspace,
        "inventory.changed",
        device=str(entity),
        status=[old.status.value, status.value],
        meter_point=[_point(old.meter_point), _point(meter_point)],
        reason=reason,
    ) as tx:
        tx.change_device(old, status, meter_point)
    seal(workspace)
    return replace(old, status=status, meter_point=meter_point)


def _point(meter_point: MeterPoint | None) -> str:
    return "" if meter_point is None else str(meter_point)


def put_certificate(workspace: Workspace, entity: EntityId, name: CellName, path: Path, reason: str) -> DeviceRecord:
    """Believe from now on that a certificate is in a cell: for what was done without this authority."""
    known(workspace, entity)
    certificate = read_bounded(path, MAX_CERTIFICATE_OCTETS, "cert")
    content = Cell.of(certificate, name)
    number = load_certificate(certificate, str(path)).serial_number
    at = workspace.clock()
    believed = Believed(content.entity, content.key_identifier, _serial(number), at)
    with act(
        workspace,
        "inventory.believed",
        device=str(entity),
        cell=str(name),
        holds=str(believed.holds),
        key_identifier=believed.key_identifier.hex(),
        reason=reason,
    ) as tx:
        believe_many(tx, [(entity, {name: believed}, {}, "inventory.believed")])
    seal(workspace)
    return known(workspace, entity)


def _serial(number: int) -> Serial | None:
    """Where it has the form of ours; a certificate of others may be numbered otherwise."""
    try:
        return Serial(number.to_bytes(16))
    except (OverflowError, InvalidInput):
        return None


# Many


class _Wrong(Exception):  # never leaves this module
    """Some row cannot be: the act is undone."""


def import_devices(workspace: Workspace, paths: Sequence[Path]) -> Report:
    """Take devices in, all or nothing; an entry of the log for each chunk."""
    report = Report()
    seen: set[int] = set()
    with spooled(workspace.home) as spool:

        def row(fields: Fields, place: Place) -> None:
            read = Row.parse(fields, *place, lambda text: read_meter_point(workspace, text))
            key = hash(read.entity.octets)
            if key in seen:
                report.refuse(place, "inventory.twice", f"{read.entity} stands in another line too")
            seen.add(key)
            spool.add(read.pack(fields))

        take_in(paths, COLUMNS, workspace.policies.inventory.largest_import, report, row)
        if not report.wrong_count:
            _write(workspace, spool, report)
    return report


def _write(workspace: Workspace, spool: Spool, report: Report) -> None:
    entries: list[dict[str, Any]] = []
    try:
        with acts(workspace, _IMPORTED, entries) as tx:
            tx.lock()
            for chunk in spool.chunks():
                tally = _write_chunk(workspace, tx, chunk, report)
                report.tally += tally
                entries.append(report.entry(chunk, tally))
            if report.wrong_count:
                raise _Wrong
    except _Wrong:
        report.tally = Tally()
        return
    seal(workspace)


def _write_chunk(workspace: Workspace, tx: Transaction, chunk: Sequence[Any], report: Report) -> Tally:
    policy, at = workspace.policies.inventory, workspace.clock()
    packed: Sequence[Packed] = chunk
    rows = [Row.unpack(item) for item in packed]
    before = tx.estate.devices([row.entity for row in rows])
    added: list[DeviceRecord] = []
    changed: list[tuple[DeviceRecord, DeviceRecord]] = []
    for row in rows:
        old = before.get(row.entity)
        try:
            if old is None:
                added.append(new_device(row, at, _IMPORTED))
            elif (new := changed_device(row, old, policy, at, _IMPORTED)) != old:
                changed.append((old, new))
        except SmkiError as error:
            report.refuse((row.file, row.line), error.code, error.message)
    tx.put_devices(added)
    for old, new in changed:
        if (old.status, old.meter_point) != (new.status, new.meter_point):
            tx.change_device(old, new.status, new.meter_point)
    tx.put_cells([(new.entity, _other(old.cells, new.cells)) for old, new in changed])
    tx.put_floors([(new.entity, _other(old.counters, new.counters)) for old, new in changed])
    return Tally(len(added), len(changed), len(rows) - len(added) - len(changed))


def _other(old: Any, new: Any) -> dict[Any, Any]:
    """What is new in a mapping."""
    return {name: item for name, item in new.items() if old.get(name) != item}


# Words


def as_json(workspace: Workspace, device: DeviceRecord) -> dict[str, Any]:
    """A device for programs."""
    return {
        "device": str(device.entity),
        "type": device.kind.value,
        "status": device.status.value,
        "meter_point": None if device.meter_point is None else str(device.meter_point),
        "cells": {str(name): _cell_words(item) for name, item in device.cells.items()},
        "counters": {role.word: floor for role, floor in sorted(device.counters.items())},
        "proven_at": device.proven_at,
        "proof": device.proof,
        "certificates": [
            {
                "serial": str(item.serial),
                "usage": None if item.usage is None else item.usage.value,
                "status": item.status_at(workspace.clock()).value,
            }
            for item in workspace.store.certificates.of_entity(device.entity)
        ],
    }


def line_of(device: DeviceRecord) -> dict[str, Any]:
    """A device in a list."""
    suppliers = {str(item.holds) for name, item in device.cells.items() if name.role is RemotePartyRole.SUPPLIER}
    return {
        "device": str(device.entity),
        "type": device.kind.value,
        "status": device.status.value,
        "meter_point": None if device.meter_point is None else str(device.meter_point),
        "suppliers": sorted(suppliers),
        "proven_at": device.proven_at,
    }


def _cell_words(item: Believed) -> dict[str, Any]:
    return {
        "holds": str(item.holds),
        "key_identifier": item.key_identifier,
        "serial": None if item.serial is None else str(item.serial),
        "since": item.since,
        "by": item.by,
        "proven_at": item.proven_at,
    }
