"""`smki registration`: who supplies a meter point, and whose network serves it."""

from pathlib import Path
from typing import Any

import click

from smki.cli.importing import day_or_moment, files_argument, tell
from smki.cli.render import emit, fields, json_option, table
from smki.cli.session import Session, pass_session
from smki.words import utc


@click.group("registration", epilog="Example: smki registration show 1312345678907")
def command() -> None:
    """Take in registration data; see who is registered for a meter point."""


@command.command("import", epilog="Example: smki registration import registrations.csv")
@files_argument
@json_option
@pass_session
def import_(session: Session, files: tuple[Path, ...], as_json: bool) -> None:
    """Take registration data in, all or nothing; - reads a pipe.

    CSV with a header, or JSON lines: meter_point, supplier, network_operator, since. A row holds from `since` on,
    until the next row of its meter point.
    """
    from smki.authority.estate.meter_points import import_registrations

    tell(import_registrations(session.workspace, files), as_json)


@command.command("show", epilog="Example: smki registration show 1312345678907 --at 2026-12-01")
@click.argument("meter_point", metavar="MPAN|MPRN")
@click.option("--at", metavar="TIME", help="At this time, such as 2026-12-01; default: now.")
@json_option
@pass_session
def show(session: Session, meter_point: str, at: str | None, as_json: bool) -> int:
    """Show who is registered, was and will be, and which devices stand behind; exit code 1 if nobody is."""
    from smki.authority.estate.inventory import devices_behind, line_of
    from smki.authority.estate.meter_points import as_json as words
    from smki.authority.estate.meter_points import meter_point as read

    workspace = session.workspace
    point = read(workspace, meter_point)
    data = words(workspace, point, day_or_moment(at) or workspace.clock())
    data["devices"] = [line_of(device) for device in devices_behind(workspace, point)]

    def human() -> None:
        fields([("meter point", f"{data['meter_point']} ({data['fuel']})"), ("at", utc(data["at"]))])
        if data["registrations"]:
            click.echo()
            table(["Since", "State", "Supplier", "Network operator"], [_row(item) for item in data["registrations"]])
        if data["devices"]:
            click.echo()
            table(
                ["Device", "Type", "Status"],
                [(item["device"], item["type"], item["status"]) for item in data["devices"]],
            )

    emit(data, as_json, human)
    return 0 if data["registered"] else 1


def _row(item: dict[str, Any]) -> tuple[str, ...]:
    return (utc(item["since"]), item["state"], _party(item["supplier"]), _party(item["network_operator"]))


def _party(party: dict[str, str] | None) -> str:
    return "nobody" if party is None else f"{party['entity']} {party['organisation']}".strip()
