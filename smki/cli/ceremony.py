"""`smki ceremony`: check, approve and run the ceremonies by which keys and authorities come to be."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from smki.cli.options import FILE
from smki.cli.render import emit, fields, json_option, table
from smki.cli.secrets import checked_sha256, officer_options, officers_private_key, sha256_option
from smki.cli.session import Session, pass_session

if TYPE_CHECKING:
    from smki.authority.ceremony.check import Check

_file = click.argument("file", type=FILE)


@click.group("ceremony", epilog="Example: smki ceremony check ceremonies/1-root-oca.toml")
def command() -> None:
    """Check, approve and run key ceremonies.

    A ceremony is one TOML file that says what is to be made. `check` shows what would come of it, officers `approve`
    its SHA-256 with their own keys, and `run` does it once enough of them have.
    """


@command.command("check", epilog="Example: smki ceremony check ceremonies/1-root-oca.toml")
@_file
@json_option
@pass_session
def check(session: Session, file: Path, as_json: bool) -> int:
    """Dry-run FILE: draft and lint what it would make, and print the SHA-256 that officers approve."""
    from smki.authority.ceremony.check import check_ceremony

    result = check_ceremony(session.workspace, file)
    emit(result.as_json(), as_json, lambda: _show_check(result))
    return 0 if result.may_run else 1


def _show_check(result: "Check") -> None:
    click.echo(result.purpose)
    click.echo()
    fields(result.facts)
    if result.certificate:
        click.echo("\nThe certificate, to be signed exactly so but for what does not exist yet:")
        fields(result.certificate)
        click.echo("\nTo-be-signed octets (?? stands where serial, dates and key will be):")
        click.echo(result.to_be_signed)
    if result.findings:
        click.echo()
        table(["Severity", "Finding", "What it says"], result.findings)
    click.echo()
    _show_approvals(result.approvals, result.needed)
    for obstacle in result.obstacles:
        click.echo(f"obstacle: {obstacle}")
    click.echo(f"\nSHA-256 of the file: {result.sha256}")


def _show_approvals(approvals: Iterable[tuple[str, str]], needed: int) -> None:
    approvals = tuple(approvals)
    click.echo(f"Approvals: {sum(verdict == 'counts' for _, verdict in approvals)} of {needed} needed")
    for officer, verdict in approvals:
        click.echo(f"  {officer}: {verdict}")


@command.command(
    "approve",
    epilog="Example: smki ceremony approve ceremonies/1-root-oca.toml --officer alice --key alice.pem",
)
@_file
@officer_options
@sha256_option
@json_option
@pass_session
def approve(session: Session, /, file: Path, officer: str, sha256: str | None, as_json: bool, **key: Any) -> None:
    """Sign the SHA-256 of FILE as an officer, with the officer's own key."""
    from smki.authority.ceremony.approval import approve_ceremony
    from smki.authority.ceremony.file import read_ceremony

    ceremony = read_ceremony(file)
    checked = checked_sha256(ceremony.sha256, ceremony.plan.purpose, sha256)
    private_key = officers_private_key(session, **key)
    approval = approve_ceremony(session.workspace, ceremony, officer, private_key, checked)
    emit(approval.as_json(), as_json, lambda: click.echo(f"{officer} approved {file.name} {checked}"))


@command.command("run", epilog="Example: smki ceremony run ceremonies/1-root-oca.toml")
@_file
@json_option
@pass_session
def run(session: Session, file: Path, as_json: bool) -> None:
    """Run FILE: make what it says, if enough officers approved it as it now is.

    Interrupted at any moment, run it again: it goes on from what is recorded, and makes nothing twice.
    """
    from smki.authority.ceremony.file import read_ceremony
    from smki.authority.ceremony.run import run_ceremony

    steps = []
    for step in run_ceremony(session.workspace, read_ceremony(file)):
        steps.append(step)
        if not as_json:
            click.echo(step)
    if as_json:
        emit({"ceremony": file.name, "steps": steps}, as_json, lambda: None)
