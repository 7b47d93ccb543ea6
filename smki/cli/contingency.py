"""`smki contingency`: another root on devices, by the key that the present one hides."""

from pathlib import Path
from typing import Any

import click

from smki.cli.drafting import draft_options, write_draft
from smki.cli.options import FILE
from smki.cli.recovering import add_commands
from smki.cli.render import json_option
from smki.cli.session import Session, pass_session


@click.group("contingency", epilog="Example: smki contingency show plans/root.toml")
def command() -> None:
    """Plan, approve, run and follow the replacement of a compromised root by its contingency key.

    Every command of a run carries the symmetric key that opens the contingency key: from then on it is public, and
    this root's contingency is used up. `run --rehearse` tests the arrangements without revealing anything.
    """


@command.command(
    "plan",
    epilog="Example: smki contingency plan root.toml --what 'root OCA key' --certificate 4A... --root oca-root",
)
@click.argument("out", metavar="PLAN", type=FILE)
@draft_options
@json_option
@pass_session
def plan(session: Session, /, out: Path, as_json: bool, **said: Any) -> None:
    """Draft PLAN: a new root and every certificate under it, for all homes or those named. Nothing is done yet."""
    write_draft(session, out, "contingency", as_json, said)


add_commands(command, contingency=True)
