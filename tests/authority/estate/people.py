"""Those who supply and connect, and files about their meters: what tests of the estate share."""

import csv
import io
import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from smki.authority.registration import Enrolment, enrol
from smki.authority.workspace import Workspace
from smki.device.cells import CellName
from smki.entity import EntityId, EntityRange, RemotePartyRole
from smki.meter_point import MeterPoint
from smki.pki.kind import Kind

NORTH, SOUTH, WIRES, PIPES, BROKER, COS = (EntityId(bytes.fromhex(f"90b3d51f300{n}0000")) for n in range(1, 7))
POINT, GAS = MeterPoint("1312345678907"), MeterPoint("3938424403")
KEY = "0102030405060708"
DS, KA, TOP_UP = (
    CellName.parse(f"supplier {use}") for use in ("digitalSignature", "keyAgreement", "prePaymentTopUp")
)
WIRES_DS, WIRES_KA = (CellName.parse(f"networkOperator {use}") for use in ("digitalSignature", "keyAgreement"))


def device(number: int) -> EntityId:
    return EntityId(bytes.fromhex("00db12") + number.to_bytes(5))


def enrol_all(workspace: Workspace) -> None:
    for name, role, entity in (
        ("North Supply", RemotePartyRole.SUPPLIER, NORTH),
        ("South Supply", RemotePartyRole.SUPPLIER, SOUTH),
        ("Wires", RemotePartyRole.NETWORK_OPERATOR, WIRES),
        ("Pipes", RemotePartyRole.NETWORK_OPERATOR, PIPES),
        ("Broker", RemotePartyRole.ACCESS_CONTROL_BROKER, BROKER),
    ):
        enrol(workspace, Enrolment(name, (role,), (Kind.ORGANISATION,), (EntityRange(entity, entity),), 10))


def registration(
    since: str = "2026-01-01", supplier: EntityId | None = NORTH, operator: EntityId | None = WIRES,
    point: MeterPoint = POINT,
) -> dict[str, str]:  # fmt: skip
    return {
        "meter_point": str(point),
        "supplier": "" if supplier is None else str(supplier),
        "network_operator": "" if operator is None else str(operator),
        "since": since,
    }


def meter(number: int, supplier: EntityId = NORTH, operator: EntityId = WIRES, /, **more: str) -> dict[str, str]:
    """A commissioned electricity meter; further columns by their names."""
    row = {
        "device": str(device(number)),
        "type": "ESME",
        "status": "commissioned",
        "meter_point": str(POINT),
        **{str(name): f"{supplier} {KEY}" for name in (DS, KA, TOP_UP)},
        **{str(name): f"{operator} {KEY}" for name in (WIRES_DS, WIRES_KA)},
        "accessControlBroker keyAgreement": f"{BROKER} {KEY}",
        "transitionalCoS digitalSignature": f"{COS} {KEY}",
    }
    return {**row, **more}


def as_csv(path: Path, rows: Iterable[Mapping[str, str]]) -> Path:
    rows = list(rows)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    path.write_text(text.getvalue())
    return path


def as_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def entries(workspace: Workspace, kind: str) -> list[dict[str, Any]]:
    """The facts of every act of a kind in the log."""
    found = [json.loads(entry.body) for entry in workspace.store.audit_entries()]
    return [entry["facts"] for entry in found if entry["act"] == kind]


def noon(day: int) -> datetime:
    return datetime.fromisoformat(f"2026-11-{day:02d}T12:00:00+00:00")
