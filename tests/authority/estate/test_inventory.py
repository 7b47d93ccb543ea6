"""Devices come in whole or not at all, become what a policy allows, and nothing comes back from the end."""

from collections.abc import Callable
from pathlib import Path

import pytest

from smki.authority.estate import device_of, devices_behind
from smki.authority.estate.intake import Report
from smki.authority.estate.inventory import add, as_json, import_devices, set_status
from smki.authority.workspace import Workspace
from smki.device.cells import CellName
from smki.entity import DeviceType, EntityId, RemotePartyRole
from smki.errors import SmkiError
from smki.store.estate_records import DeviceQuery, DeviceStatus, Tally
from tests.authority.estate.people import (
    DS,
    GAS,
    KA,
    KEY,
    NORTH,
    POINT,
    SOUTH,
    TOP_UP,
    as_csv,
    as_lines,
    device,
    entries,
    meter,
)


def code_of(workspace: Workspace, *rows: dict[str, str]) -> str:
    """Why a file of rows is not taken, by its last line."""
    path = as_lines(workspace.home / "rows", rows)
    size = workspace.store.audit_size()
    report = import_devices(workspace, [path])
    assert report.tally == Tally()
    assert workspace.store.audit_size() == size
    (wrong,) = report.wrong
    assert wrong.line == len(rows)
    return wrong.code


def taken(workspace: Workspace, *rows: dict[str, str]) -> Report:
    report = import_devices(workspace, [as_lines(workspace.home / "rows", rows)])
    assert report.wrong == []
    return report


def test_a_device_is_what_the_file_says(workspace: Workspace, tmp_path: Path) -> None:
    rows = [meter(1, **{"supplier counter": "17"}), meter(2, meter_point=str(GAS), type="GSME")]
    report = import_devices(
        workspace, [as_csv(tmp_path / "a.csv", [{"supplier counter": "", **row} for row in rows])]
    )
    assert report.tally == Tally(added=2)
    found = device_of(workspace, device(1))
    assert found is not None
    assert (found.kind, found.status, found.meter_point) == (DeviceType.ESME, DeviceStatus.COMMISSIONED, POINT)
    assert found.cells[DS].holds == NORTH
    assert found.cells[DS].key_identifier.hex() == KEY
    assert (found.cells[DS].by, found.cells[DS].since) == ("inventory.imported", workspace.clock())
    assert found.counters == {RemotePartyRole.SUPPLIER: 17}
    assert (found.proven_at, found.proof) == (None, None)
    assert [item.entity for item in devices_behind(workspace, GAS)] == [device(2)]
    assert device_of(workspace, device(3)) is None
    (facts,) = entries(workspace, "inventory.imported")
    assert (facts["rows"], facts["added"], facts["files"]) == (2, 2, report.files)


def test_what_a_row_does_not_say_stays(workspace: Workspace) -> None:
    taken(workspace, meter(1, **{"supplier counter": "17"}))
    assert taken(workspace, meter(1)).tally == Tally(unchanged=1)
    serial = "40" + "11" * 15
    row = {
        "device": str(device(1)),
        "status": "suspended",
        str(KA): f"{SOUTH} {KEY}",
        str(DS): f"{NORTH} {KEY} {serial}",
    }
    assert taken(workspace, row).tally == Tally(changed=1)
    found = device_of(workspace, device(1))
    assert found is not None
    assert (found.status, found.meter_point) == (DeviceStatus.SUSPENDED, POINT)
    assert [found.cells[name].holds for name in (DS, KA, TOP_UP)] == [NORTH, SOUTH, NORTH]
    assert str(found.cells[DS].serial) == serial
    assert found.counters == {RemotePartyRole.SUPPLIER: 17}
    assert taken(workspace, {"device": str(device(1)), "meter_point": "-"}).tally == Tally(changed=1)
    assert devices_behind(workspace, POINT) == ()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"device": "1"}, "entity.form"),
        ({"device": "00" * 8}, "entity.reserved"),
        ({"type": ""}, "inventory.type"),
        ({"type": "kettle"}, "entity.device-type"),
        ({"status": "lost"}, "inventory.status"),
        ({"meter_point": "1"}, "meter-point.form"),
        ({"supplier keyAgreement": str(NORTH)}, "inventory.cell"),
        ({"supplier keyAgreement": f"{NORTH} 0102"}, "inventory.cell"),
        ({"supplier keyAgreement": f"{NORTH} {KEY} {KEY}"}, "serial.form"),
        ({"supplier keyAgreement": f"{NORTH} {KEY} {'40' * 16} x"}, "inventory.cell"),
        ({"supplier counter": "-1"}, "inventory.counter"),
        ({"supplier counter": str(1 << 63)}, "inventory.counter"),
        ({"supplier counter": "٣"}, "inventory.counter"),
        ({"supplier keyCertSign": f"{NORTH} {KEY}"}, "intake.column"),
        ({"device": str(device(1))}, "inventory.twice"),
    ],
)
def test_one_wrong_line_and_nothing_is_taken(change: dict[str, str], code: str, workspace: Workspace) -> None:
    assert code_of(workspace, meter(1), {**meter(2), **change}) == code
    assert device_of(workspace, device(1)) is None


def test_what_contradicts_the_inventory_undoes_the_whole_import(workspace: Workspace) -> None:
    taken(workspace, meter(1), meter(2, status="decommissioned"))
    assert code_of(workspace, meter(3), meter(1, type="GSME")) == "inventory.type"
    assert code_of(workspace, meter(3), meter(2)) == "inventory.transition"
    assert device_of(workspace, device(3)) is None


def test_a_device_becomes_what_the_table_allows(workspace: Workspace) -> None:
    add(workspace, device(1), DeviceType.ESME, DeviceStatus.PRE_NOTIFIED, None)
    for word, place in (
        ("whitelisted", None),
        ("installed not commissioned", str(POINT)),
        ("commissioned", None),
        ("suspended", None),
        ("decommissioned", "-"),
        ("withdrawn", None),
    ):
        after = set_status(workspace, device(1), DeviceStatus.parse(word), place, "test")
        assert after == device_of(workspace, device(1))
        assert after.status is DeviceStatus.parse(word)
    assert after.meter_point is None
    assert [facts["status"][1] for facts in entries(workspace, "inventory.changed")][-1] == "withdrawn"
    for status in DeviceStatus:
        if status is not DeviceStatus.WITHDRAWN:
            with pytest.raises(SmkiError) as refusal:
                set_status(workspace, device(1), status, None, "come back")
            assert refusal.value.code == "inventory.transition"


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        (
            '"decommissioned" = ["withdrawn"]',
            '"decommissioned" = ["withdrawn", "commissioned"]',
            "policy.transitions",
        ),
        ("[transitions]", '[transitions]\n"withdrawn" = ["commissioned"]', "policy.transitions"),
        ("[transitions]", '[transitions]\n"pre notified" = []', "policy.transitions"),
        ("[transitions]", '[transitions]\n"lost" = []', "policy.value"),
        ("[transitions]", "more = 1\n[transitions]", "settings.unknown-key"),
    ],
)
def test_no_file_lets_a_device_come_back(old: str, new: str, code: str, workspace: Workspace) -> None:
    policy = workspace.home / "policies" / "inventory.toml"
    policy.write_text(policy.read_text().replace(old, new))
    with pytest.raises(SmkiError) as refusal:
        _ = workspace.policies.inventory
    assert refusal.value.code == code


def test_what_is_there_is_not_added_and_what_is_not_there_not_changed(workspace: Workspace) -> None:
    def put(entity: EntityId) -> None:
        add(workspace, entity, DeviceType.CHF, DeviceStatus.COMMISSIONED, None)

    def move(number: int, place: str) -> None:
        set_status(workspace, device(number), None, place, "test")

    put(device(1))
    works: list[tuple[Callable[[], None], str]] = [
        (lambda: put(device(1)), "inventory.exists"),
        (lambda: put(EntityId(bytes(8))), "entity.reserved"),
        (lambda: move(2, str(POINT)), "inventory.unknown"),
        (lambda: move(1, "1"), "meter-point.form"),
    ]
    for work, code in works:
        with pytest.raises(SmkiError) as refusal:
            work()
        assert refusal.value.code == code


def test_every_status_and_cell_has_its_word(workspace: Workspace) -> None:
    names = [f"{role.word} digitalSignature" for role in RemotePartyRole if role is not RemotePartyRole.ROOT]
    rows = [
        {
            **meter(number, status=status.value),
            **dict.fromkeys(names, f"{NORTH} {KEY}"),
            "root keyCertSign": f"{EntityId(bytes(8))} {KEY}",
        }
        for number, status in enumerate(DeviceStatus)
    ]
    taken(workspace, *rows)
    for record in workspace.store.estate.find(DeviceQuery()):
        words = as_json(workspace, record)
        assert DeviceStatus.parse(words["status"]) is record.status
        assert [CellName.parse(name) for name in words["cells"]] == list(record.cells)
        assert {"root keyCertSign", *names} <= words["cells"].keys()
