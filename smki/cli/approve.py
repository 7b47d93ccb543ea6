"""`smki approve`: what waits for a second officer."""

from datetime import datetime
from typing import Any

import click

from smki.cli.render import emit, facts, json_option, table
from smki.cli.secrets import officer_options, officers_private_key
from smki.cli.session import Session, pass_session
from smki.words import counted, utc

_batch = click.argument("batch")


@click.group("approve", epilog="Example: smki approve list")
def command() -> None:
    """See, grant and refuse what waits for a second officer."""


def _as_json(session: Session, record: Any) -> dict[str, Any]:
    from smki.store.records import HoldRecord

    if isinstance(record, HoldRecord):
        what = {"organisation": "", "kind": record.purpose, "requests": record.items}
    else:
        organisation = session.workspace.store.organisations.numbered(record.organisation)
        name = "" if organisation is None else organisation.name
        what = {"organisation": name, "kind": record.kind.value, "requests": record.count}
    return {
        "batch": record.digest,
        **what,
        "state": record.state,
        "reasons": list(record.reasons),
        "asked_by": record.asked_by,
        "asked_at": record.asked_at,
        "decision": record.decision,
    }


@command.command("list", epilog="Example: smki approve list --all")
@click.option("--all", "every", is_flag=True, help="Also what does not wait any more.")
@json_option
@pass_session
def list_(session: Session, every: bool, as_json: bool) -> None:
    """List what waits."""
    from smki.authority.second_officer import waiting

    found = [_as_json(session, item) for item in waiting(session.workspace) if every or item.state == "waiting"]
    rows = [
        (
            item["batch"].hex()[:16],
            item["organisation"],
            item["kind"],
            str(item["requests"]),
            item["state"],
            "; ".join(item["reasons"]),
            utc(item["asked_at"]),
        )
        for item in found
    ]
    columns = ["Batch", "Organisation", "Kind", "Requests", "State", "Why", "Since"]
    emit({"batches": found}, as_json, lambda: table(columns, rows) if rows else click.echo("Nothing waits."))


@command.command("show", epilog="Example: smki approve show 6f1d2c3b")
@_batch
@json_option
@pass_session
def show(session: Session, batch: str, as_json: bool) -> None:
    """Show one thing that waits; BATCH is the beginning of its digest."""
    from smki.authority.second_officer import find_waiting

    found = find_waiting(session.workspace, batch)
    data = _as_json(session, found)
    data["items"] = [words for _, words in session.workspace.store.holds.items(found.digest)]
    emit(data, as_json, lambda: facts(data, _text))


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, list):
        return "\n".join(value)
    if isinstance(value, dict):
        return ", ".join(f"{key} {item}" for key, item in value.items() if key in {"officer", "at", "reason"})
    return utc(value) if isinstance(value, datetime) else str(value)


@command.command("grant", epilog="Example: smki approve grant 6f1d2c3b --officer alice --key alice.pem")
@_batch
@officer_options
@click.option("--reason", default="", help="A word for the log.")
@pass_session
def grant(session: Session, /, batch: str, officer: str, reason: str, **key: Any) -> None:
    """Let what waits be done, as an officer on the roll."""
    _decide(session, batch, officer, reason, True, key)


@command.command(
    "refuse", epilog="Example: smki approve refuse 6f1d2c3b --officer bob --key bob.pem --reason 'not ordered'"
)
@_batch
@officer_options
@click.option("--reason", required=True, help="Why; it stands in the log.")
@pass_session
def refuse(session: Session, /, batch: str, officer: str, reason: str, **key: Any) -> None:
    """Refuse what waits for good, as an officer on the roll."""
    _decide(session, batch, officer, reason, False, key)


def _decide(session: Session, batch: str, officer: str, reason: str, grant: bool, key: dict[str, Any]) -> None:
    from smki.authority.issuance.admission import decide_batch
    from smki.authority.second_officer import decide_hold, find_waiting
    from smki.store.records import HoldRecord

    found = find_waiting(session.workspace, batch)
    private_key = officers_private_key(session, **key)
    if isinstance(found, HoldRecord):
        decide_hold(session.workspace, found, officer, private_key, grant, reason)
        what = found.words
    else:
        decide_batch(session.workspace, found, officer, private_key, grant, reason)
        what = counted(found.count, "request")
    click.echo(f"{officer} {'granted' if grant else 'refused'} {found.digest.hex()[:16]}: {what}")
