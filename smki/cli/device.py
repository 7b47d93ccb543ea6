"""`smki device`: requests of devices, their certificates, and a device on the desk."""

from pathlib import Path
from typing import Any

import click

from smki.cli.desk import advance, receive, state_group
from smki.cli.issuing import answer, issuing_options
from smki.cli.render import json_option
from smki.cli.session import Session, pass_session
from smki.words import counted


@click.group("device", epilog="Example: smki device issue --org 'Meter Works' --from requests.zip --out results")
def command() -> None:
    """Requests and certificates of devices; a device on the desk."""


for _one in (state_group, receive, advance):
    command.add_command(_one)


@command.command("issue", epilog="Example: smki device issue --org 'Meter Works' --from requests/ --out results")
@click.option("--org", "name", required=True, metavar="NAME", help="The organisation that asks.")
@issuing_options
@json_option
@pass_session
def issue(session: Session, /, name: str, as_json: bool, **options: Any) -> int:
    """Answer requests for device certificates: one, or as many as you have.

    Run again after an interruption, it finishes, and issues nothing twice. Exit code 0: all were answered; 1: some;
    3: none.
    """
    from smki.authority.issuance.order import order
    from smki.authority.registration import named
    from smki.pki.kind import Kind

    workspace = session.workspace
    wanted = order(workspace, named(workspace, name), workspace.policies.issuance.rule(Kind.DEVICE))
    return answer(session, wanted, as_json=as_json, **options)


@command.command("request", epilog="Example: smki device request 00-DB-12-34-56-78-90-A0 --out meter/")
@click.argument("entity", metavar="EUI-64")
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path),
    help="A new folder for keys and requests; or NAME.jsonl: requests only, the keys are thrown away.",
)
@click.option(
    "--count", type=click.IntRange(1, 1_000_000), default=1, show_default=True, help="Devices, from EUI-64 upwards."
)
@click.option("--token", metavar="NAME", help="Make the keys in this token of the workspace.")
@pass_session
def request(session: Session, entity: str, out: Path, count: int, token: str | None) -> None:
    """Make a device's two key pairs and its two requests, in the form devices send them.

    For tests and for firmware developers. A software key is written to a file that only you can read.
    """
    from smki.authority.requesting import make_device_requests
    from smki.entity import EntityId
    from smki.pki.kind import Kind

    profile = session.policies.issuance.rule(Kind.DEVICE).profile
    holder = None if token is None else session.workspace.open_token(token)
    made = make_device_requests(profile, EntityId.parse(entity), count, out, holder)
    click.echo(f"wrote {counted(made, 'request')} to {out}")
