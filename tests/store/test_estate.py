"""Registration data and the inventory in the store, the same on SQLite and PostgreSQL."""

from datetime import UTC, datetime, timedelta

import pytest

from smki.device.cells import NOBODY, CellName
from smki.entity import DeviceType, EntityId, RemotePartyRole
from smki.errors import Refused
from smki.meter_point import MeterPoint
from smki.pki.serial import Serial
from smki.store.estate_records import Believed, DeviceQuery, DeviceRecord, DeviceStatus, Registered, Tally
from smki.store.records import Act
from smki.store.store import Store

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
ACT = Act("test", "tester", NOW, {})
POINT, OTHER = MeterPoint("1312345678907"), MeterPoint("3938424403")
NORTH, SOUTH, WIRES = (EntityId(bytes.fromhex(f"90b3d51f3000000{n}")) for n in "123")
DS, KA, TOP_UP = (
    CellName.parse(f"supplier {use}") for use in ("digitalSignature", "keyAgreement", "prePaymentTopUp")
)
ROOT = CellName.parse("root keyCertSign")
KEY = bytes(range(8))
SERIAL = Serial(b"\x01" * 16)


def days(count: int) -> datetime:
    return NOW + timedelta(days=count)


def device(number: int) -> EntityId:
    return EntityId(bytes.fromhex("00db12") + number.to_bytes(5))


def believed(who: EntityId, **more: object) -> Believed:
    return Believed(who, KEY, SERIAL, NOW, "test", **more)  # type: ignore[arg-type]


def meter(number: int, supplier: EntityId = NORTH, **more: object) -> DeviceRecord:
    cells = {ROOT: believed(NOBODY), **{name: believed(supplier) for name in (DS, KA, TOP_UP)}}
    fields: dict[str, object] = {
        "kind": DeviceType.ESME,
        "status": DeviceStatus.COMMISSIONED,
        "meter_point": POINT,
        "cells": cells,
        "counters": {RemotePartyRole.SUPPLIER: (1 << 63) - 1},
    }
    return DeviceRecord(device(number), **{**fields, **more})  # type: ignore[arg-type]


def put(store: Store, *records: DeviceRecord) -> None:
    with store.act(ACT) as tx:
        tx.put_devices(records)


def test_a_registration_lasts_until_the_next(store: Store) -> None:
    past, present = Registered(NORTH, WIRES, days(-30)), Registered(SOUTH, WIRES, days(-1))
    pending = Registered(None, WIRES, days(7))
    with store.act(ACT) as tx:
        assert tx.put_registrations([(POINT, pending), (POINT, past), (POINT, present)]) == Tally(added=3)
        assert tx.put_registrations([(OTHER, past)]) == Tally(added=1)
    assert store.registrations.of(POINT) == (past, present, pending)
    assert store.registrations.at(POINT, days(-31)) is None
    assert store.registrations.at(POINT, days(-30)) == past
    assert store.registrations.at(POINT, NOW) == present
    assert store.registrations.at(POINT, days(8)) == pending
    assert store.registrations.all_at([POINT, OTHER], NOW) == {POINT: present, OTHER: past}
    assert store.registrations.all_at([], NOW) == {}


def test_a_row_written_again_is_changed_or_left_alone(store: Store) -> None:
    row = Registered(NORTH, WIRES, NOW)
    with store.act(ACT) as tx:
        tx.put_registrations([(POINT, row), (OTHER, row)])
        rows = [(POINT, Registered(SOUTH, WIRES, NOW)), (OTHER, row)]
        assert tx.put_registrations(rows) == Tally(changed=1, unchanged=1)
    assert store.registrations.of(POINT) == (Registered(SOUTH, WIRES, NOW),)


def test_a_device_comes_back_as_it_was_put(store: Store) -> None:
    record = meter(1, proven_at=NOW, proof=b"p" * 32)
    bare = DeviceRecord(device(2), DeviceType.TYPE_2, DeviceStatus.PRE_NOTIFIED, None, {}, {})
    put(store, record, bare)
    assert store.estate.device(record.entity) == record
    assert store.estate.device(bare.entity) == bare
    assert store.estate.device(device(3)) is None
    assert store.estate.behind(POINT) == (record,)
    assert store.estate.unknown([device(1), device(3)]) == [device(3)]


def test_beliefs_are_replaced_cell_by_cell(store: Store) -> None:
    put(store, meter(1), meter(2))
    other = Believed(SOUTH, bytes(8), None, days(1), "change", proven_at=days(1))
    with store.act(ACT) as tx:
        tx.put_cells([(device(1), {DS: other}), (device(2), {KA: other})])
        tx.drop_cells(device(1), [TOP_UP])
        tx.put_floors([(device(1), {RemotePartyRole.SUPPLIER: 0, RemotePartyRole.ROOT: 5})])
        tx.put_proof(device(1), days(1), b"d" * 32)
    found = store.estate.device(device(1))
    assert found is not None
    assert found.cells == {ROOT: believed(NOBODY), DS: other, KA: believed(NORTH)}
    assert found.counters == {RemotePartyRole.SUPPLIER: 0, RemotePartyRole.ROOT: 5}
    assert (found.proven_at, found.proof) == (days(1), b"d" * 32)
    second = store.estate.device(device(2))
    assert second is not None
    assert second.cells[KA] == other
    assert second.cells[DS] == believed(NORTH)


def test_a_list_comes_in_pages_by_what_is_asked(store: Store) -> None:
    gas = {"kind": DeviceType.GSME, "meter_point": OTHER}
    put(store, *(meter(n, SOUTH if n % 3 == 0 else NORTH, **(gas if n % 2 else {})) for n in range(1, 20)))

    def found(page: int = 2, **query: object) -> list[int]:
        records = store.estate.find(DeviceQuery(**query), page=page)  # type: ignore[arg-type]
        return [int.from_bytes(record.entity.octets[3:]) for record in records]

    assert found() == list(range(1, 20))
    assert found(supplier=SOUTH) == [3, 6, 9, 12, 15, 18]
    assert found(supplier=SOUTH, kind=DeviceType.GSME) == [3, 9, 15]
    assert found(meter_point=OTHER, page=100) == list(range(1, 20, 2))
    assert found(status=DeviceStatus.COMMISSIONED, kind=DeviceType.ESME) == list(range(2, 20, 2))
    assert found(status=DeviceStatus.WITHDRAWN) == []
    assert found(supplier=NOBODY) == []


def test_questions_find_their_index(url: str, store: Store) -> None:
    if not url.startswith("sqlite"):
        pytest.skip("PostgreSQL chooses by what is in the tables")
    from smki.store.estate import _meant

    for query, index in (
        (DeviceQuery(supplier=NORTH), "cell_holds"),
        (DeviceQuery(status=DeviceStatus.COMMISSIONED), "device_status"),
        (DeviceQuery(kind=DeviceType.ESME), "device_kind"),
        (DeviceQuery(meter_point=POINT), "device_meter_point"),
    ):
        source, conditions, values = _meant(query)
        column = "device.entity" if source == "device" else "cell.device"
        sql = f"SELECT DISTINCT {column} FROM {source} WHERE {' AND '.join(conditions)} ORDER BY {column} LIMIT 9"
        plan = " ".join(row[3] for row in store._engine.execute(f"EXPLAIN QUERY PLAN {sql}", tuple(values)))
        assert index in plan, plan
        assert "TEMP B-TREE" not in plan, plan


def test_a_status_changes_from_the_one_that_was_seen(store: Store) -> None:
    record = meter(1)
    put(store, record)
    with store.act(ACT) as tx:
        tx.change_device(record, DeviceStatus.SUSPENDED, None)
    found = store.estate.device(device(1))
    assert found is not None
    assert (found.status, found.meter_point) == (DeviceStatus.SUSPENDED, None)
    with pytest.raises(Refused) as refusal, store.act(ACT) as tx:
        tx.change_device(record, DeviceStatus.DECOMMISSIONED, None)
    assert refusal.value.code == "inventory.moved-on"
