"""`smki usecase`: the table of use cases."""

from typing import TYPE_CHECKING, Any

import click

from smki.cli.render import emit, facts, json_option, table
from smki.cli.session import Session, pass_session

if TYPE_CHECKING:
    from smki.gbcs.use_case import UseCase


@click.group("usecase", epilog="Example: smki usecase show ECS43")
def command() -> None:
    """Look up what protects the messages of a use case, who may send it, and to which devices."""


@command.command("list", epilog="Example: smki usecase list --critical")
@click.option("--critical", is_flag=True, help="Only those whose commands are critical.")
@click.option("--sender", metavar="ROLE", help="Only those that this role may send.")
@click.option("--device", metavar="KIND", help="Only those for this kind of device: ESME, GSME, CHF ...")
@json_option
@pass_session
def list_(session: Session, critical: bool, sender: str | None, device: str | None, as_json: bool) -> None:
    """List use cases."""
    from smki.entity import DeviceType, RemotePartyRole

    role = None if sender is None else RemotePartyRole.parse(sender)
    kind = None if device is None else DeviceType.parse(device)
    rows = [
        row
        for row in session.policies.use_cases.all
        if (row.critical or not critical)
        and (role is None or role in row.senders)
        and (kind is None or kind in row.devices)
    ]
    shown = ((str(row.code), row.name, row.title, row.category, "critical" if row.critical else "") for row in rows)
    data = {"use_cases": [_as_json(row) for row in rows]}
    emit(data, as_json, lambda: table(["Code", "Name", "Title", "Category", ""], shown))


@command.command("show", epilog="Example: smki usecase show 0x0050")
@click.argument("use_case", metavar="CODE|NAME")
@json_option
@pass_session
def show(session: Session, use_case: str, as_json: bool) -> None:
    """Show one use case: by its message code, or by its name. CS02b has a row for each of its modes."""
    rows = session.policies.use_cases.find(use_case)
    data = {"use_cases": [_as_json(row) for row in rows]}

    def human() -> None:
        for number, row in enumerate(rows):
            if number:
                click.echo()
            facts(_as_json(row), _text)

    emit(data, as_json, human)


def _as_json(row: "UseCase") -> dict[str, Any]:
    return {
        "code": str(row.code),
        "name": row.name,
        "title": row.title,
        "category": row.category,
        "critical": row.critical,
        "protection": {
            cra.name.lower(): [form.value for form in forms] for cra, forms in row.protections.items() if forms
        },
        "dated_response": row.dated,
        "senders": [role.word for role in row.senders],
        "sending_devices": [kind.value for kind in row.sending_devices],
        "devices": [kind.value for kind in row.devices],
        "services": list(row.services),
        "users": list(row.users),
    }


def _text(value: Any) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case list():
            return ", ".join(value) or "none"
        case dict():
            return "; ".join(f"{key} {' or '.join(forms)}" for key, forms in value.items()) or "none"
    return str(value) or "none"
