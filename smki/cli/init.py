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
@click.option(
    "--journal",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="A folder on a second disk: every act is written there too, and a lost database loses none.",
)
@json_option
@pass_session
def command(session: Session, folder: Path, kind: Any, journal: Path | None, as_json: bool) -> None:
    """Make a workspace in DIR: settings, policies, a store, SoftHSM tokens; for an authority ceremonies to review.

    Run again, it makes what is missing and touches nothing else.
    """
    from smki.authority.founding import found
    from smki.authority.workspace import Person, Workspace

    made: list[str] = []
    for thing in found(folder, session.clock, session.ask, Person.from_system(), kind, journal):
        made.append(thing)
        if not as_json:
            click.echo(f"made {thing}")
    workspace = Workspace(folder, session.clock, session.ask, Person.from_system())
    is_kept = workspace.keeps_every_act
    is_near = journal is not None and journal.stat().st_dev == folder.stat().st_dev

    def human() -> None:
        if made and not is_kept and workspace.kind == "authority":
            click.echo("\nNo journal is kept: once the database is lost, no backup comes back that lacks a published")
            click.echo("act. Name a second disk before the first certificate is issued (docs/backup.md).")
        if is_near:
            click.echo("\nThe journal is on the disk of the workspace: it outlives the database, and not that disk.")
        _say_next(folder, made)

    emit({"workspace": folder.absolute(), "made": made, "keeps_every_act": is_kept}, as_json, human)


def _say_next(folder: Path, made: list[str]) -> None:
    if made and not (folder / "ceremonies").exists():
        click.echo(f"\nThe workspace is {folder}. Next: make keys, and have them certified:")
        click.echo("`smki org request --help` shows how.")
    elif made:
        click.echo(f"\nThe workspace is {folder}. Next: enrol the officers, then run the ceremonies in")
        click.echo(f"{folder / 'ceremonies'}. `smki ceremony --help` shows how.")
    else:
        click.echo(f"Nothing was missing in {folder}.")
