"""`smki approve`: batches that wait for a second officer."""

from typing import Any

import click

from smki.cli.render import emit, fields, json_option, table, utc
from smki.cli.secrets import officer_key_options, officers_private_key
from smki.cli.session import Session, pass_session

_batch = click.argument("batch")


@click.group("approve", epilog="Example: smki approve list")
def command() -> None:
    """See, grant and refuse batches that wait for a second officer."""


def _as_json(session: Session, record: Any) -> dict[str, Any]:
    organisation = session.workspace.store.organisations.numbered(record.organisation)
    return {
        "batch": record.digest,
        "organisation": "" if organisation is None else organisation.name,
        "kind": record.kind.value,
        "requests": record.count,
        "state": record.state,
        "reasons": list(record.reasons),
        "asked_by": record.asked_by,
        "asked_at": record.asked_at,
        "decision": record.decision,
    }


@command.command("list", epilog="Example: smki approve list --all")
@click.option("--all", "every", is_flag=True, help="Also batches that do not wait.")
@json_option
@pass_session
def list_(session: Session, every: bool, as_json: bool) -> None:
    """List the batches that wait."""
    batches = session.workspace.store.organisations.batches()
    found = [_as_json(session, item) for item in batches if every or item.state == "waiting"]
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
    emit({"batches": found}, as_json, lambda: table(columns, rows))


@command.command("show", epilog="Example: smki approve show 6f1d2c3b")
@_batch
@json_option
@pass_session
def show(session: Session, batch: str, as_json: bool) -> None:
    """Show one batch; BATCH is the beginning of its digest."""
    from smki.authority.issuance.admission import find_batch

    data = _as_json(session, find_batch(session.workspace, batch))
    emit(data, as_json, lambda: fields((key.replace("_", " "), _text(value)) for key, value in data.items()))


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, list):
        return "; ".join(value)
    if isinstance(value, dict):
        return ", ".join(f"{key} {item}" for key, item in value.items() if key in {"officer", "at", "reason"})
    return utc(value) if hasattr(value, "strftime") else str(value)


@command.command("grant", epilog="Example: smki approve grant 6f1d2c3b --officer alice --key alice.pem")
@_batch
@officer_key_options
@click.option("--reason", default="", help="A word for the log.")
@pass_session
def grant(session: Session, /, batch: str, officer: str, reason: str, **key: Any) -> None:
    """Let a batch be issued, as an officer on the roll."""
    _decide(session, batch, officer, reason, True, key)


@command.command(
    "refuse", epilog="Example: smki approve refuse 6f1d2c3b --officer bob --key bob.pem --reason 'not ordered'"
)
@_batch
@officer_key_options
@click.option("--reason", required=True, help="Why; it stands in the log.")
@pass_session
def refuse(session: Session, /, batch: str, officer: str, reason: str, **key: Any) -> None:
    """Refuse a batch for good, as an officer on the roll."""
    _decide(session, batch, officer, reason, False, key)


def _decide(session: Session, batch: str, officer: str, reason: str, grant: bool, key: dict[str, Any]) -> None:
    from smki.authority.issuance.admission import decide, find_batch

    found = find_batch(session.workspace, batch)
    private_key = officers_private_key(session, **key)
    decide(session.workspace, found, officer, private_key, grant, reason)
    click.echo(f"{officer} {'granted' if grant else 'refused'} {found.digest.hex()[:16]}: {found.count} requests")
