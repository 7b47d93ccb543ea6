"""`smki ca`: the hierarchy and its authorities."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from smki.cli import publishing
from smki.cli.options import FILE
from smki.cli.render import emit, facts, fields, json_option, show
from smki.cli.session import Session, pass_session

if TYPE_CHECKING:
    from rich.tree import Tree

    from smki.authority.hierarchy import Branch, Description

_name = click.argument("name")


@click.group("ca", epilog="Example: smki ca tree")
def command() -> None:
    """Show the hierarchy and its authorities."""


@command.command("tree", epilog="Example: smki ca tree --json")
@json_option
@pass_session
def tree(session: Session, as_json: bool) -> None:
    """Show every authority under the root that signed it: role, key, validity left, token and its presence."""
    from smki.authority.hierarchy import branches

    found = branches(session.workspace)
    data = {"authorities": [standing.as_json() for standing in found]}
    emit(data, as_json, lambda: _show_tree(found))


def _show_tree(found: "tuple[Branch, ...]") -> None:
    from rich.tree import Tree

    if not found:
        click.echo("There is no authority yet. `smki ceremony run` makes one.")
        return
    for hierarchy in dict.fromkeys(standing.hierarchy for standing in found):
        trunk = Tree(hierarchy)
        members = [standing for standing in found if standing.hierarchy == hierarchy]
        _grow(trunk, None, members)
        show(trunk)


def _grow(branch: "Tree", issuer: str | None, members: "list[Branch]") -> None:
    for standing in members:
        if standing.issuer == issuer:
            _grow(branch.add(standing.sentence()), standing.name, members)


@command.command("show", epilog="Example: smki ca show oca-root")
@_name
@json_option
@pass_session
def show_(session: Session, name: str, as_json: bool) -> None:
    """Show one authority and every field of its certificate."""
    from smki.authority.hierarchy import describe_authority

    description = describe_authority(session.workspace, name)
    emit(
        {"authority": dict(description.standing), "certificate": dict(description.certificate)},
        as_json,
        lambda: _show_description(description),
    )


def _show_description(description: "Description") -> None:
    fields(description.standing)
    click.echo()
    fields(description.certificate)


@command.command("export", epilog="Example: smki ca export oca-issuing-1 --chain --out oca.pem")
@_name
@click.option("--chain", is_flag=True, help="Also every certificate above it, up to the root.")
@click.option("--links", is_flag=True, help="Also the link certificates between an old and a new root.")
@click.option("--der", is_flag=True, help="Write DER (of one certificate) instead of PEM.")
@click.option("--out", type=FILE, help="Write here; default: print.")
@pass_session
def export(session: Session, name: str, chain: bool, links: bool, der: bool, out: Path | None) -> None:
    """Write the certificate of an authority."""
    from smki.authority.hierarchy import export_certificates
    from smki.authority.safe_files import write_new

    if der and (chain or links):
        raise click.UsageError("DER holds one certificate: use PEM for a chain.")
    data = export_certificates(session.workspace, name, chain=chain, links=links, der=der)
    if out is None:
        click.echo(data, nl=False)
    else:
        write_new(out, data)
        click.echo(f"wrote {out}")


@command.command("contingency", epilog="Example: smki ca contingency oca-root")
@_name
@json_option
@pass_session
def contingency(session: Session, name: str, as_json: bool) -> None:
    """Prove that the contingency keys of root NAME still work: open its wrapped key, sign with it, verify.

    Nothing is revealed: `smki contingency run` uses the keys, once key custodians approved its plan.
    """
    from smki.authority.contingency import rehearse

    result = rehearse(session.workspace, name)
    emit(result, as_json, lambda: facts(result))


command.add_command(publishing.publish)
command.add_command(publishing.verify)
