"""`smki inventory`: the devices there are, and what is believed of each."""

import json
import sys
from collections import Counter
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from smki.cli.importing import day_or_moment, files_argument, tell
from smki.cli.keys import certificates_option, own_key_options
from smki.cli.options import FILE
from smki.cli.render import emit, fields, json_option, table
from smki.cli.results import exit_code, output
from smki.cli.session import Session, pass_session
from smki.words import counted, utc

if TYPE_CHECKING:
    from smki.parties.read_back import ReadBack

_device = click.argument("device", metavar="EUI-64")
_statuses = (
    "pre-notified, whitelisted, 'installed not commissioned', commissioned, suspended, decommissioned, withdrawn."
)

_FINDING = ("code", "device", "meter_point", "cell", "holds", "should_hold", "mend")


@click.group("inventory", epilog="Example: smki inventory list --status commissioned")
def command() -> None:
    """Keep the inventory of devices: state, place, trust anchor cells; audit it."""


@command.command("import", epilog="Example: smki inventory import devices.csv")
@files_argument
@json_option
@pass_session
def import_(session: Session, files: tuple[Path, ...], as_json: bool) -> None:
    """Take devices in, all or nothing; - reads a pipe.

    CSV with a header, or JSON lines: device, type, status, meter_point; a column for each cell, such as `supplier
    digitalSignature`, with EUI-64 KEYIDENTIFIER [SERIAL]; a column for each counter floor, such as `supplier
    counter`. An empty field says nothing; - as a meter point takes it away.
    """
    from smki.authority.estate.inventory import import_devices

    tell(import_devices(session.workspace, files), as_json)


@command.command(
    "add", epilog="Example: smki inventory add 00-DB-12-34-56-78-90-A0 --type ESME --meter-point 1312345678907"
)
@_device
@click.option("--type", "kind", required=True, metavar="TYPE", help="ESME, GSME, CHF, GPF, PPMID, HCALCS, SAPC.")
@click.option("--status", default="pre-notified", show_default=True, metavar="STATUS", help=_statuses)
@click.option("--meter-point", metavar="MPAN|MPRN", help="Behind which meter point it stands.")
@json_option
@pass_session
def add(session: Session, device: str, kind: str, status: str, meter_point: str | None, as_json: bool) -> None:
    """Put one device on record."""
    from smki.authority.estate.inventory import add as put
    from smki.authority.estate.meter_points import meter_point as read
    from smki.entity import DeviceType, EntityId
    from smki.store.estate_records import DeviceStatus

    workspace = session.workspace
    point = None if meter_point is None else read(workspace, meter_point)
    record = put(workspace, EntityId.parse(device), DeviceType.parse(kind), DeviceStatus.parse(status), point)
    _show(session, record, as_json)


@command.command("show", epilog="Example: smki inventory show 00-DB-12-34-56-78-90-A0")
@_device
@json_option
@pass_session
def show(session: Session, device: str, as_json: bool) -> None:
    """Show a device, its certificates, and what is believed of it."""
    from smki.authority.estate.inventory import known
    from smki.entity import EntityId

    _show(session, known(session.workspace, EntityId.parse(device)), as_json)


def _show(session: Session, record: Any, as_json: bool) -> None:
    from smki.authority.estate.inventory import as_json as words

    data = words(session.workspace, record)

    def human() -> None:
        proven = f"{utc(data['proven_at'])} by {data['proof'].hex()}" if data["proof"] else "never"
        plain = [(key.replace("_", " "), data[key] or "") for key in ("device", "type", "status", "meter_point")]
        counters = ", ".join(f"{role} {floor}" for role, floor in data["counters"].items())
        certificates = "\n".join(
            f"{item['serial']} {item['usage']} {item['status']}" for item in data["certificates"]
        )
        fields([*plain, ("proven", proven), ("counters", counters), ("certificates", certificates)])
        if data["cells"]:
            click.echo()
            _cells_table(data["cells"])

    emit(data, as_json, human)


def _cells_table(cells: dict[str, Any]) -> None:
    table(
        ["Cell", "Holds", "Key", "Since", "By", "Proven"],
        [
            (
                name,
                item["holds"],
                item["key_identifier"].hex().upper(),
                utc(item["since"]),
                item["by"],
                utc(item["proven_at"]) if item["proven_at"] else "never",
            )
            for name, item in cells.items()
        ],
    )


@command.command("list", epilog="Example: smki inventory list --type ESME --supplier 90-B3-D5-1F-30-01-00-00 --json")
@click.option("--type", "kind", metavar="TYPE", help="Only this type.")
@click.option("--status", metavar="STATUS", help="Only in this status.")
@click.option("--supplier", metavar="EUI-64", help="Only with this supplier in a cell.")
@click.option("--meter-point", metavar="MPAN|MPRN", help="Only behind this meter point.")
@click.option("--after", metavar="EUI-64", help="Only those after this one: where a list before ended.")
@click.option("--limit", type=click.IntRange(1), help="At most so many; default: all.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs, a line for each device.")
@pass_session
def list_(
    session: Session,
    kind: str | None,
    status: str | None,
    supplier: str | None,
    meter_point: str | None,
    after: str | None,
    limit: int | None,
    as_json: bool,
) -> int:
    """List devices by their EUI-64, as they are read; exit code 1 if there is none."""
    from itertools import islice

    from smki.authority.estate.inventory import line_of
    from smki.authority.estate.meter_points import meter_point as read
    from smki.entity import DeviceType, EntityId
    from smki.store.estate_records import DeviceQuery, DeviceStatus

    workspace = session.workspace
    query = DeviceQuery(
        kind=None if kind is None else DeviceType.parse(kind),
        status=None if status is None else DeviceStatus.parse(status),
        supplier=None if supplier is None else EntityId.parse(supplier),
        meter_point=None if meter_point is None else read(workspace, meter_point),
    )
    found = 0
    for record in islice(workspace.store.estate.find(query, None if after is None else EntityId.parse(after)), limit):
        found += 1
        click.echo(_line(line_of(record), as_json))
    return 0 if found else 1


def _line(data: dict[str, Any], as_json: bool) -> str:
    """One device on one line: a list may be longer than any table."""
    proven = utc(data["proven_at"]) if data["proven_at"] else None
    if as_json:
        return json.dumps({**data, "proven_at": proven})
    suppliers = " ".join(data["suppliers"]) or "-"
    return f"{data['device']} {data['type']:6} {data['meter_point'] or '-':13} {suppliers} {data['status']}"


@command.command(
    "status", epilog="Example: smki inventory status 00-DB-12-34-56-78-90-A0 --to commissioned --reason 'visit 4711'"
)
@_device
@click.option("--to", "status", metavar="STATUS", help=_statuses)
@click.option("--meter-point", metavar="MPAN|MPRN", help="It stands behind this meter point now; - behind none.")
@click.option("--reason", required=True, help="Why; it stands in the log.")
@json_option
@pass_session
def status_(
    session: Session, device: str, status: str | None, meter_point: str | None, reason: str, as_json: bool
) -> None:
    """Change the status of a device, or where it stands."""
    from smki.authority.estate.inventory import set_status
    from smki.entity import EntityId
    from smki.store.estate_records import DeviceStatus

    if status is None and meter_point is None:
        raise click.UsageError("Say what changes: --to STATUS or --meter-point.")
    wanted = None if status is None else DeviceStatus.parse(status)
    _show(session, set_status(session.workspace, EntityId.parse(device), wanted, meter_point, reason), as_json)


@command.command("cells", epilog="Example: smki inventory cells 00-DB-12-34-56-78-90-A0")
@_device
@click.option(
    "--put",
    nargs=2,
    type=str,
    metavar="CELL FILE",
    help="Believe that this certificate is in the cell, such as 'supplier digitalSignature'.",
)
@click.option("--reason", help="Why it is believed; it stands in the log.")
@json_option
@pass_session
def cells(session: Session, device: str, put: tuple[str, str] | None, reason: str | None, as_json: bool) -> None:
    """Show what is believed to be in a device's trust anchor cells, or write down what was put there without us."""
    from smki.authority.estate.inventory import as_json as words
    from smki.authority.estate.inventory import known, put_certificate
    from smki.device.cells import CellName
    from smki.entity import EntityId

    workspace, entity = session.workspace, EntityId.parse(device)
    if put is not None:
        if not reason:
            raise click.UsageError("Say why, with --reason.")
        name, file = put
        put_certificate(workspace, entity, CellName.parse(name), Path(file), reason)
    data = words(workspace, known(workspace, entity))["cells"]
    emit({"device": str(entity), "cells": data}, as_json, lambda: _cells_table(data))


@command.command("proven", epilog="Example: smki inventory proven responses.hex --certificates meters/")
@click.argument("places", nargs=-1, required=True, metavar="FILE...")
@click.option("--at", metavar="TIME", help="When those were read that nobody asked for here: 2026-11-21T12:00:00Z.")
@own_key_options
@certificates_option
@json_option
@pass_session
def proven(
    session: Session,
    /,
    places: tuple[str, ...],
    at: str | None,
    others: tuple[Path, ...],
    as_json: bool,
    **own: Any,
) -> int:
    """Write down what devices say is in their cells: answers to CS02a, however they came.

    A signature needs the device's certificate; a MAC the key of the one who asked. From then on what the device says
    is believed. An answer to a command that was made here is of that command's time, any other of the time that --at
    says; what is older than what is believed is not taken. Exit code 0: all is as was believed; 1: something differs,
    or an answer was not taken; 3: none was.
    """
    from smki.authority.log import seal
    from smki.cli.reading import key_ring
    from smki.parties.intake import given
    from smki.parties.read_back import take_read_backs

    workspace = session.workspace
    ring, answers = key_ring(session, others, own), given(places, sys.stdin.buffer)
    found = list(take_read_backs(workspace, ring, answers, day_or_moment(at)))
    seal(workspace)
    told = [_read_back(item) for item in found]
    rows = [
        (item["reference"], item["device"] or "", cell["cell"], cell["believed"] or "-", cell["read"] or "-")
        for item in told
        for cell in item["differences"] or [{"cell": _verdict(item), "believed": "", "read": ""}]
    ]
    emit({"responses": told}, as_json, lambda: table(["Response", "Device", "Cell", "Believed", "Read"], rows))
    taken = sum(item.fault is None for item in found)
    return exit_code(taken, len(found) - taken) or int(any(item.differences for item in found))


def _verdict(item: dict[str, Any]) -> str:
    fault = item["fault"]
    return "as believed" if fault is None else f"not taken: {fault['message']} [{fault['code']}]"


def _read_back(item: "ReadBack") -> dict[str, Any]:
    return {
        "reference": item.reference,
        "device": None if item.device is None else str(item.device),
        "differences": [
            {
                "cell": str(one.cell),
                "believed": one.believed and f"{one.believed.holds} {one.believed.key_identifier.hex().upper()}",
                "read": one.read and f"{one.read[0]} {one.read[1].hex().upper()}",
            }
            for one in item.differences
        ],
        "fault": None if item.fault is None else item.fault.as_json(),
    }


@command.command("audit", epilog="Example: smki inventory audit --at 2026-12-01 --out findings.jsonl")
@click.option("--at", metavar="TIME", help="Against who is registered at this time; default: now.")
@click.option("--out", type=FILE, help="Write findings here, as JSON lines.")
@click.option("--json", "as_json", is_flag=True, help="Print findings as JSON lines.")
@pass_session
def audit(session: Session, at: str | None, out: Path | None, as_json: bool) -> int:
    """Hold the cells of every device against registration data.

    Exit code 0: nothing is wrong; 1: there are findings.
    """
    from smki.authority.estate.audit import Auditor

    workspace = session.workspace
    auditor = Auditor(workspace, day_or_moment(at) or workspace.clock())
    codes: Counter[str] = Counter()
    with output(out) if out else nullcontext() as file:
        for finding in auditor.findings():
            codes[finding.code] += 1
            data = finding.as_json()
            if file is not None:
                file.write(json.dumps(data).encode() + b"\n")
            if as_json:
                click.echo(json.dumps(data))
            elif file is None:
                click.echo(" ".join(data[key] or "-" for key in _FINDING))
    if not as_json:
        click.echo(f"{counted(auditor.seen, 'device')}: {counted(codes.total(), 'finding')}")
        for code, count in sorted(codes.items()):
            click.echo(f"  {count} {code}")
    return 1 if codes else 0
