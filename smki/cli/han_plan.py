"""`smki han plan`: a home in a file, and everything that is to be done there."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from smki.cli.options import FILE
from smki.cli.render import emit, json_option, table
from smki.cli.session import Session, pass_session

if TYPE_CHECKING:
    from smki.parties.han_plan import Plan, Told


@click.command("plan", epilog="Example: smki han plan home.toml --svg home.svg")
@click.argument("home", type=FILE)
@click.option("--svg", type=FILE, help="Draw the home into this new file.")
@json_option
@pass_session
def plan(session: Session, home: Path, svg: Path | None, as_json: bool) -> None:
    """Say which devices of a home are joined, how, in which order, by which commands to whom; and draw it."""
    from smki.authority.safe_files import write_new
    from smki.parties.han_picture import as_svg
    from smki.parties.han_plan import plan as made
    from smki.parties.han_plan import read_home

    found = made(read_home(home), session.policies)
    if svg is not None:
        write_new(svg, as_svg(found).encode())
    emit(_data(found), as_json, lambda: _print(found, svg))


def _data(found: "Plan") -> dict[str, Any]:
    return {
        "home": found.home.name,
        "devices": [
            {"device": str(one.device), "kind": one.kind.value, "called": found.home.word(one)}
            for one in found.home.members
        ],
        "whitelist": [_told(one) for one in found.listing],
        "joins": [
            {
                "number": one.number,
                "method": one.pair.method.value,
                "first": str(one.first.device),
                "second": str(one.second.device),
                "known": one.known,
                "commands": [_told(told) for told in one.commands],
            }
            for one in found.joins
        ],
        "joined_with_nobody": [str(one.device) for one in found.alone],
    }


def _told(one: "Told") -> dict[str, Any]:
    return {
        "use_case": one.use_case,
        "to": str(one.member.device),
        "about": str(one.about.device),
        "originator": one.role.word,
        "signed": one.signed,
    }


def _print(found: "Plan", svg: Path | None) -> None:
    from smki.parties.han_picture import in_characters

    click.echo(found.home.name)
    click.echo()
    for line in in_characters(found):
        click.echo(line)
    click.echo()
    word = found.home.word
    rows = [("-", told.use_case, word(told.member), word(told.about), *_who(told)) for told in found.listing]
    for one in found.joins:
        label = f"{one.number}{one.pair.method.value}"
        rows += [(label, told.use_case, word(told.member), word(told.about), *_who(told)) for told in one.commands]
    table(["Join", "Command", "To", "About", "From", "Carries"], rows)
    for member in found.alone:
        click.echo(f"{word(member)} {member.device} is joined with nobody here.")
    if svg is not None:
        click.echo(f"wrote {svg}")


def _who(told: "Told") -> tuple[str, str]:
    return told.role.word, "signature and MAC" if told.signed else "MAC"
