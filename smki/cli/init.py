"""`smki init`: make a workspace."""

from pathlib import Path

import click

from smki.cli.render import emit, json_option
from smki.cli.session import Session, pass_session


@click.command("init", epilog="Example: smki init authority")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False), default=".")
@json_option
@pass_session
def command(session: Session, folder: Path, as_json: bool) -> None:
    """Make a workspace in DIR: settings, policies, ceremony files to review, a store, and SoftHSM tokens.

    Run again, it makes what is missing and touches nothing else.
    """
    from smki.authority.founding import found
    from smki.authority.workspace import Person

    made = []
    for thing in found(folder, session.clock, session.ask, Person.from_system()):
        made.append(thing)
        if not as_json:
            click.echo(f"made {thing}")
    emit({"workspace": folder.absolute(), "made": made}, as_json, lambda: _say_next(folder, made))


def _say_next(folder: Path, made: list[str]) -> None:
    if made:
        click.echo(f"\nThe workspace is {folder}. Next: enrol the officers, then run the ceremonies in")
        click.echo(f"{folder / 'ceremonies'}. `smki ceremony --help` shows how.")
    else:
        click.echo(f"Nothing was missing in {folder}.")
