"""The estate's audit finds what is not as registered, once, and names what mends it."""

import pytest

from smki.authority.estate import prove
from smki.authority.estate.audit import Auditor
from smki.authority.estate.inventory import import_devices
from smki.authority.estate.meter_points import import_registrations, moment
from smki.authority.log import act
from smki.authority.registration import set_active
from smki.authority.workspace import Workspace
from smki.device.modes import MODES_BY_WORD
from smki.entity import EntityId
from smki.store.estate_records import DeviceQuery
from tests.authority.estate.people import (
    BROKER,
    DS,
    GAS,
    KA,
    KEY,
    NORTH,
    PIPES,
    SOUTH,
    TOP_UP,
    WIRES_DS,
    WIRES_KA,
    as_lines,
    device,
    meter,
    noon,
    registration,
)

STRANGER = EntityId(bytes.fromhex("90b3d51fffffffff"))
SUPPLIER, OPERATOR = (DS, KA, TOP_UP), (WIRES_DS, WIRES_KA)


def audit(
    workspace: Workspace, *rows: dict[str, str], at: str = "2026-11-21", proven: bool = True
) -> list[dict[str, str | None]]:
    """The findings of an estate of these devices, registered for North, and from December on for South."""
    registered = [registration(), registration("2026-12-01", SOUTH)]
    import_registrations(workspace, [as_lines(workspace.home / "registered", registered)])
    report = import_devices(workspace, [as_lines(workspace.home / "rows", rows)])
    assert report.tally.added == len(rows), report.wrong
    with act(workspace, "test") as tx:
        for record in list(workspace.store.estate.find(DeviceQuery())) if proven else []:
            cells = {name: (item.holds, item.key_identifier) for name, item in record.cells.items()}
            prove(tx, record.entity, cells, noon(21), b"p" * 32)
    return [item.as_json() for item in Auditor(workspace, moment(at)).findings()]


def cells_of(found: list[dict[str, str | None]]) -> list[tuple[str | None, str | None, str | None]]:
    return [(item["cell"], item["code"], item["mend"]) for item in found]


def test_an_estate_as_registered_has_no_findings(workspace: Workspace) -> None:
    assert audit(workspace, meter(1), meter(2), meter(3, type="GSME")) == []


@pytest.mark.requirement("R-REP-7")
def test_a_wrong_supplier_is_told_cell_by_cell_and_mended_by_cos(workspace: Workspace) -> None:
    found = audit(workspace, meter(1), at="2026-12-01")
    assert cells_of(found) == [(str(name), "cell.wrong-supplier", "supplierByTransCoS") for name in SUPPLIER]
    assert found[0] == {
        "device": str(device(1)),
        "meter_point": "1312345678907",
        "cell": "supplier digitalSignature",
        "holds": str(NORTH),
        "should_hold": str(SOUTH),
        "code": "cell.wrong-supplier",
        "mend": "supplierByTransCoS",
    }


def test_the_broker_hands_over_what_it_holds(workspace: Workspace) -> None:
    found = audit(workspace, meter(1, BROKER, BROKER))
    supplier = [(str(name), "cell.wrong-supplier", "supplierBySupplier") for name in SUPPLIER]
    operator = [(str(name), "cell.wrong-network-operator", "networkOperatorByNetworkOperator") for name in OPERATOR]
    assert cells_of(found) == [*supplier, *operator]


def test_a_mixed_set_is_told_for_the_cells_that_are_wrong(workspace: Workspace) -> None:
    found = audit(workspace, meter(1, **{str(KA): f"{SOUTH} {KEY}"}))
    assert cells_of(found) == [(str(KA), "cell.mixed-supplier", "supplierByTransCoS")]


def test_a_mixed_set_is_wrong_whoever_is_registered(workspace: Workspace) -> None:
    found = audit(workspace, meter(1, meter_point=str(GAS), **{str(KA): f"{SOUTH} {KEY}"}))
    assert cells_of(found)[0] == (None, "meter-point.not-registered", "registration")
    assert [item["cell"] for item in found[1:]] == [str(name) for name in SUPPLIER]
    assert {item["code"] for item in found[1:]} == {"cell.mixed-supplier"}
    assert {item["should_hold"] for item in found[1:]} == {None}


def test_who_can_still_sign_replaces_itself_and_for_nobody_recovery_does(workspace: Workspace) -> None:
    rows = (meter(1, NORTH, STRANGER), meter(2, SOUTH, **{"transitionalCoS digitalSignature": ""}))
    recovery = "anyExceptAbnormalRootByRecovery"
    assert cells_of(audit(workspace, *rows)) == [
        *((str(name), "cell.wrong-network-operator", recovery) for name in OPERATOR),
        *((str(name), "cell.wrong-supplier", recovery) for name in SUPPLIER),
    ]


def test_an_operator_that_is_suspended_is_not_asked(workspace: Workspace) -> None:
    found = audit(workspace, meter(1, NORTH, PIPES))
    assert {item["mend"] for item in found} == {"networkOperatorByNetworkOperator"}
    set_active(workspace, "Pipes", False, "test")
    assert {item.mend for item in Auditor(workspace, noon(21)).findings()} == {"anyExceptAbnormalRootByRecovery"}


def test_what_was_never_read_back_is_told_once(workspace: Workspace) -> None:
    bare = {"device": str(device(2)), "type": "ESME", "status": "commissioned", "meter_point": "1312345678907"}
    found = audit(workspace, meter(1), bare, proven=False)
    assert [(item["device"], item["code"], item["mend"]) for item in found] == [
        (str(device(1)), "cells.never-proven", "CS02a"),
        (str(device(2)), "cells.unknown", "CS02a"),
    ]


def test_places_that_are_missing_are_told(workspace: Workspace) -> None:
    hub = {"device": str(device(3)), "type": "CHF", "status": "commissioned"}
    found = audit(workspace, meter(1, meter_point=""), meter(2, meter_point=str(GAS)), hub)
    assert [(item["device"], item["code"], item["mend"]) for item in found] == [
        (str(device(1)), "device.no-meter-point", "inventory"),
        (str(device(2)), "meter-point.not-registered", "registration"),
    ]


@pytest.mark.parametrize("status", ["decommissioned", "withdrawn"])
def test_what_has_ended_stands_nowhere(status: str, workspace: Workspace) -> None:
    (found,) = audit(workspace, meter(1, SOUTH, status=status))
    assert (found["code"], found["mend"], found["cell"]) == (f"{status}.meter-point", "inventory", None)


@pytest.mark.parametrize("status", ["pre-notified", "whitelisted"])
def test_what_is_not_installed_yet_is_nobodys(status: str, workspace: Workspace) -> None:
    assert audit(workspace, meter(1, BROKER, status=status, meter_point=""), proven=False) == []


def test_more_than_a_page_is_seen(workspace: Workspace) -> None:
    audit(workspace, *(meter(n, SOUTH if n == 1100 else NORTH) for n in range(1, 1201)), proven=False)
    auditor = Auditor(workspace, noon(21))
    wrong = [item for item in auditor.findings() if item.code == "cell.wrong-supplier"]
    assert auditor.seen == 1200
    assert {item.device for item in wrong} == {device(1100)}
    assert {item.mend for item in wrong} <= MODES_BY_WORD.keys()
