"""`smki cert`: certificates after they were issued."""

from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from smki.cli.issuing import answer, issuing_options
from smki.cli.options import FILE, F, with_options
from smki.cli.render import emit, fields, json_option, table
from smki.cli.revoking import request_revocation, revoke
from smki.cli.session import Session, pass_session
from smki.words import counted, utc

if TYPE_CHECKING:
    from smki.store.records import CertificateRecord

_which = click.argument("which", metavar="SERIAL|EUI-64")


@click.group("cert", epilog="Example: smki cert find --org 'North Supply'")
def command() -> None:
    """Find, show, renew, revoke and export certificates; set their status."""


command.add_command(revoke)
command.add_command(request_revocation)


def _wanted_options(function: F) -> F:
    return with_options(
        function,
        click.option("--serial", metavar="HEX", help="By serial number."),
        click.option("--entity", metavar="EUI-64", help="By the device or organisation."),
        click.option(
            "--key",
            type=FILE,
            help="By the key of a key, CSR or certificate.",
        ),
        click.option("--org", "organisation", metavar="NAME", help="By the organisation it was issued to."),
        click.option("--usage", type=click.Choice(["digitalSignature", "keyAgreement"]), help="By key usage."),
        click.option("--status", metavar="STATUS", help="pending, in-use, not-in-use, expired or revoked."),
        click.option("--since", metavar="DATE", help="Valid from this day on."),
        click.option("--until", metavar="DATE", help="Valid from this day or an earlier one."),
        click.option("--expiring", metavar="DAYS", help="Expiring within so many days, such as 90d."),
    )


@command.command("find", epilog="Example: smki cert find --status in-use --expiring 90d")
@_wanted_options
@click.option("--limit", type=click.IntRange(1), default=1000, show_default=True, help="At most so many.")
@json_option
@pass_session
def find(session: Session, /, limit: int, as_json: bool, **wanted: Any) -> int:
    """List certificates; exit code 1 if there is none."""
    from smki.authority.certificates import Wanted
    from smki.authority.certificates import find as search

    found = list(islice(search(session.workspace, Wanted(**wanted)), limit))
    data = _as_json(session, found)
    rows = [
        (
            item["serial"],
            item["entity"] or "",
            item["role"] or "",
            item["usage"] or "",
            _status(item),
            utc(item["not_after"])[:10],
            item["organisation"] or "",
        )
        for item in data
    ]
    columns = ["Serial", "EUI-64", "Role", "Usage", "Status", "Until", "Organisation"]
    emit({"certificates": data}, as_json, lambda: table(columns, rows))
    return 0 if found else 1


def _status(item: dict[str, Any]) -> str:
    """Of a revoked one with when, why, and since when its key was in wrong hands."""
    if item["revoked_at"] is None:
        return str(item["status"])
    since = f", compromised {utc(item['compromised_at'])}" if item["compromised_at"] else ""
    return f"{item['status']} {utc(item['revoked_at'])} for {item['revocation_reason']}{since}"


def _as_json(session: Session, found: "Iterable[CertificateRecord]") -> list[dict[str, Any]]:
    from smki.authority.certificates import as_json, revocations_of

    found = list(found)
    revocations = revocations_of(session.workspace, found)
    names = {item.number: item.name for item in session.workspace.store.organisations.all()}
    return [
        as_json(session.workspace, record, "" if record.subscriber is None else names[record.subscriber], revocations)
        for record in found
    ]


@command.command("show", epilog="Example: smki cert show 90-B3-D5-1F-30-01-00-00")
@_which
@json_option
@pass_session
def show(session: Session, which: str, as_json: bool) -> None:
    """Show one certificate: its standing, and every field."""
    from smki.authority.certificates import one
    from smki.pki.describe import describe

    record = one(session.workspace, which)
    (standing,) = _as_json(session, [record])
    words = dict(describe(record.der))
    standing["fields"] = words

    def human() -> None:
        fields([("organisation", standing["organisation"] or ""), ("status", _status(standing))])
        click.echo()
        fields(words.items())

    emit(standing, as_json, human)


@command.command("status", epilog="Example: smki cert status 4A07BC01D9253B51FAF01F7EC7DA5B2F --to in-use")
@_which
@click.option("--to", "status", required=True, metavar="STATUS", help="in-use or not-in-use.")
@pass_session
def status(session: Session, which: str, status: str) -> None:
    """Change the status of a certificate; one it replaces goes out of use with it."""
    from smki.authority.certificates import one, set_status
    from smki.pki.status import Status

    record = one(session.workspace, which)
    replaced = set_status(session.workspace, record, Status.parse(status))
    click.echo(f"{record.serial} is {Status.parse(status).value}")
    for item in replaced:
        click.echo(f"{item.serial} is {Status.NOT_IN_USE.value}")


@command.command("renew", epilog="Example: smki cert renew 90-B3-D5-1F-30-01-00-00 --csr new.csr --out new.pem")
@_which
@issuing_options
@json_option
@pass_session
def renew(session: Session, /, which: str, as_json: bool, **options: Any) -> int:
    """Certify a new key of the same entity, role and usage.

    The new certificate is pending. `smki cert status` puts it in use, and the old one out of use with it.
    """
    from smki.authority.certificates import one, renewal

    return answer(session, renewal(session.workspace, one(session.workspace, which)), as_json=as_json, **options)


@command.command("export", epilog="Example: smki cert export --org 'Meter Works' --out certificates/")
@_wanted_options
@click.option("--chain", is_flag=True, help="Of one certificate: with those above it, up to the root.")
@click.option("--der", is_flag=True, help="DER instead of PEM.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="A new folder; with --chain a new file.")
@pass_session
def export(session: Session, /, chain: bool, der: bool, out: Path, **wanted: Any) -> None:
    """Write certificates to files named by their serial numbers."""
    from smki.authority.certificates import Wanted, export_chain
    from smki.authority.certificates import export as write

    if chain and der:
        raise click.UsageError("DER holds one certificate: use PEM for a chain.")
    if chain:
        export_chain(session.workspace, Wanted(**wanted), out)
        click.echo(f"wrote {out}")
    else:
        written = counted(write(session.workspace, Wanted(**wanted), out, der=der), "certificate")
        click.echo(f"wrote {written} to {out}")
