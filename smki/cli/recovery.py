"""`smki recovery`: new credentials on devices after a key was lost, or may have been."""

from pathlib import Path
from typing import Any

import click

from smki.cli.drafting import draft_options, write_draft
from smki.cli.options import FILE
from smki.cli.recovering import add_commands
from smki.cli.render import json_option
from smki.cli.session import Session, pass_session


@click.group("recovery", epilog="Example: smki recovery show plans/theft.toml")
def command() -> None:
    """Plan, approve, run and follow the recovery of devices after a compromise.

    A plan is one TOML file that says what was compromised and what goes into which cells; its devices stand in a file
    beside it. Key custodians (policies/recovery.toml) approve its SHA-256, `run` makes and signs the commands, and
    `progress` counts the devices that have named the new keys themselves.
    """


@command.command(
    "plan",
    epilog="Example: smki recovery plan theft.toml --method 3 --what 'organisation signing key' --certificate 4A...",
)
@click.argument("out", metavar="PLAN", type=FILE)
@click.option("--method", required=True, type=click.Choice(["1", "2", "3"]), help="Who puts whose certificates.")
@click.option(
    "--signer",
    required=True,
    type=FILE,
    help="The certificate of the key that signs: the recovery key's, or in method 1 the subscriber's.",
)
@click.option("--token", metavar="NAME", help="The token that holds the recovery key.")
@click.option("--key", metavar="LABEL", help="The recovery key's label in it.")
@click.option("--first-counter", type=click.IntRange(min=1), help="Counters begin here, or after the last used.")
@draft_options
@json_option
@pass_session
def plan(session: Session, /, out: Path, method: Any, as_json: bool, **said: Any) -> None:
    """Draft PLAN from the case and the inventory. What is not said is filled in; nothing is done yet."""
    write_draft(session, out, method, as_json, said)


add_commands(command, contingency=False)
