"""`smki crl import`: lists from elsewhere, into a workspace's folder `crls/`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from smki.cli.options import FILE
from smki.cli.render import emit, json_option
from smki.cli.session import Session, pass_session
from smki.words import counted, utc

if TYPE_CHECKING:
    from smki.authority.lists_intake import Taken


@click.command("import", epilog="Example: smki crl import OCA-Z1.crl OCA-Z1-delta.crl")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=FILE)
@json_option
@pass_session
def import_command(session: Session, files: tuple[Path, ...], as_json: bool) -> None:
    """Keep revocation lists of authorities that this workspace believes: PEM or DER, a complete one before its delta.

    Each must be newer than the one there is. From then on nothing is done with what they list, and a certificate they
    do not list is good while they are in force.
    """
    from smki.authority.lists_intake import MAX_FILE_OCTETS, take_in
    from smki.authority.safe_files import read_bounded

    taken = [
        take_in(session.workspace, read_bounded(path, MAX_FILE_OCTETS, "crl", "name a revocation list"))
        for path in files
    ]
    emit({"lists": [_as_json(one) for one in taken]}, as_json, lambda: _tell(taken))


def _as_json(one: "Taken") -> dict[str, Any]:
    return {
        "issuer": one.name,
        "number": one.number,
        "delta": one.is_delta,
        "entries": one.entries,
        "next_update": one.next_update,
        "new": one.is_new,
    }


def _tell(taken: "list[Taken]") -> None:
    for one in taken:
        kind = "delta list" if one.is_delta else "list"
        news = "" if one.is_new else ", which was here already"
        until = utc(one.next_update)
        listed = counted(one.entries, "certificate")
        click.echo(f"{kind} {one.number} of {one.name}: {listed}, in force until {until}{news}")
