"""`smki init`: make a workspace."""

from pathlib import Path
from typing import Any

import click

from smki.cli.render import emit, json_option
from smki.cli.session import Session, pass_session


@click.command("init", epilog="Example: smki init authority")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False), default=".")
@click.option(
    "--for",
    "kind",
    type=click.Choice(["authority", "user"]),
    default="authority",
    show_default=True,
    help="A certificate authority, or a service user that signs commands.",
)
@json_option
@pass_session
def command(session: Session, folder: Path, kind: Any, as_json: bool) -> None:
    """Make a workspace in DIR: settings, policies, a store, SoftHSM tokens; for an authority ceremonies to review.

    Run again, it makes what is missing and touches nothing else.
    """
    from smki.authority.founding import found
    from smki.authority.workspace import Person

    made: list[str] = []
    for thing in found(folder, session.clock, session.ask, Person.from_system(), kind):
        made.append(thing)
        if not as_json:
            click.echo(f"made {thing}")
    emit({"workspace": folder.absolute(), "made": made}, as_json, lambda: _say_next(folder, made))


def _say_next(folder: Path, made: list[str]) -> None:
    if made and not (folder / "ceremonies").exists():
        click.echo(f"\nThe workspace is {folder}. Next: make keys, and have them certified:")
        click.echo("`smki org request --help` shows how.")
    elif made:
        click.echo(f"\nThe workspace is {folder}. Next: enrol the officers, then run the ceremonies in")
        click.echo(f"{folder / 'ceremonies'}. `smki ceremony --help` shows how.")
    else:
        click.echo(f"Nothing was missing in {folder}.")
