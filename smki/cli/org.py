"""`smki org`: organisations, their officers, their certificates."""

from pathlib import Path
from typing import Any

import click

from smki.cli.issuing import answer, issuing_options
from smki.cli.options import FILE
from smki.cli.render import emit, facts, json_option, table
from smki.cli.session import Session, pass_session
from smki.words import counted

_name = click.argument("name")


@click.group("org", epilog="Example: smki org list")
def command() -> None:
    """Enrol organisations and their officers; issue certificates to them."""


@command.command(
    "add",
    epilog="Example: smki org add 'North Supply' --role supplier --id 90-B3-D5-1F-30-01-00-00 --may organisation",
)
@_name
@click.option(
    "--role", "roles", multiple=True, metavar="ROLE", help="supplier, networkOperator and so on; repeat it."
)
@click.option(
    "--id",
    "ranges",
    multiple=True,
    required=True,
    metavar="EUI-64",
    help="An EUI-64, FIRST..LAST, or an assigned prefix such as 00-DB-12; repeat it.",
)
@click.option(
    "--may",
    "kinds",
    multiple=True,
    required=True,
    type=click.Choice(["organisation", "device"]),
    help="What it may subscribe to; repeat it.",
)
@click.option(
    "--volume",
    type=click.IntRange(0),
    default=1000,
    show_default=True,
    help="Device certificates a month as agreed; more wait for an officer.",
)
@json_option
@pass_session
def add(
    session: Session,
    name: str,
    roles: tuple[str, ...],
    ranges: tuple[str, ...],
    kinds: tuple[str, ...],
    volume: int,
    as_json: bool,
) -> None:
    """Enrol organisation NAME."""
    from smki.authority.registration import Enrolment, enrol
    from smki.entity import EntityRange, RemotePartyRole
    from smki.pki.kind import Kind

    record = enrol(
        session.workspace,
        Enrolment(
            name,
            tuple(dict.fromkeys(RemotePartyRole.parse(role) for role in roles)),
            tuple(dict.fromkeys(Kind(kind) for kind in kinds)),
            tuple(EntityRange.parse(item) for item in ranges),
            volume,
        ),
    )
    _show(record, as_json)


def _show(record: Any, as_json: bool) -> None:
    from smki.authority.registration import as_json as words

    data = words(record)
    emit(data, as_json, lambda: facts(data, _text))


def _text(value: Any) -> str:
    if not isinstance(value, list):
        return str(value)
    return "\n".join(
        f"{item['name']} ({item['function']}, certificate {item['serial']})" if isinstance(item, dict) else item
        for item in value
    )


@command.command("list", epilog="Example: smki org list --json")
@json_option
@pass_session
def list_(session: Session, as_json: bool) -> None:
    """List every organisation."""
    from smki.authority.registration import as_json as words

    found = [words(record) for record in session.workspace.store.organisations.all()]
    rows = [
        (item["name"], item["state"], ", ".join(item["roles"]), ", ".join(item["may"]), ", ".join(item["ranges"]))
        for item in found
    ]
    emit(
        {"organisations": found}, as_json, lambda: table(["Name", "State", "Roles", "May have", "Identifiers"], rows)
    )


@command.command("show", epilog="Example: smki org show 'North Supply'")
@_name
@json_option
@pass_session
def show(session: Session, name: str, as_json: bool) -> None:
    """Show one organisation and its officers."""
    from smki.authority.registration import named

    _show(named(session.workspace, name), as_json)


@command.command("suspend", epilog="Example: smki org suspend 'North Supply' --reason 'left the code'")
@_name
@click.option("--reason", required=True, help="Why; it stands in the log.")
@pass_session
def suspend(session: Session, name: str, reason: str) -> None:
    """Issue nothing to NAME until it is resumed."""
    from smki.authority.registration import set_active

    set_active(session.workspace, name, False, reason)
    click.echo(f"{name} is suspended")


@command.command("resume", epilog="Example: smki org resume 'North Supply' --reason 'acceded again'")
@_name
@click.option("--reason", required=True, help="Why; it stands in the log.")
@pass_session
def resume(session: Session, name: str, reason: str) -> None:
    """Take NAME back."""
    from smki.authority.registration import set_active

    set_active(session.workspace, name, True, reason)
    click.echo(f"{name} is active")


@command.command("appoint", epilog="Example: smki org appoint 'North Supply' --as ARO --csr ann.csr --out ann.pem")
@_name
@click.option(
    "--as",
    "function",
    required=True,
    type=click.Choice(["SRO", "ARO"]),
    help="Senior or authorised responsible officer.",
)
@click.option("--csr", type=FILE, help="The officer's request: CN=NAME.")
@click.option("--certificate", metavar="SERIAL", help="Or an infrastructure certificate that was issued before.")
@click.option("--out", type=FILE, help="Write the certificate here as PEM.")
@pass_session
def appoint(
    session: Session, name: str, function: Any, csr: Path | None, certificate: str | None, out: Path | None
) -> None:
    """Name an officer of NAME, by an infrastructure certificate: issue one, or take one in force."""
    from smki.authority.certificates import one
    from smki.authority.hierarchy import pem
    from smki.authority.registration import appoint as name_officer
    from smki.authority.safe_files import write_new

    if (csr is None) == (certificate is None):
        raise click.UsageError("Say which certificate: either --csr FILE or --certificate SERIAL.")
    record = one(session.workspace, certificate) if certificate else _issue_to_officer(session, name, csr)
    officer = name_officer(session.workspace, name, function, record)
    if out is not None:
        write_new(out, pem(record.der))
    click.echo(f"{officer.name} is {officer.function} of {name}, certificate {officer.serial}")


def _issue_to_officer(session: Session, name: str, csr: Path | None) -> Any:
    from smki.authority.issuance.intake import one_request
    from smki.authority.issuance.issue import Hands, issuing
    from smki.authority.issuance.order import order
    from smki.authority.registration import named
    from smki.errors import Refused
    from smki.pki.kind import Kind

    assert csr is not None
    workspace = session.workspace
    wanted = order(workspace, named(workspace, name), workspace.policies.issuance.rule(Kind.INFRASTRUCTURE))
    with (
        one_request(csr, workspace.home) as intake,
        Hands(workspace, wanted) as hands,
        issuing(workspace, wanted, intake, hands) as outcomes,
    ):
        (outcome,) = outcomes
    if outcome.certificate is None:
        fault = outcome.faults[0]
        raise Refused(fault.code, "; ".join(item.message for item in outcome.faults), fault.remedy)
    return outcome.certificate


@command.command("dismiss", epilog="Example: smki org dismiss 'North Supply' 'Ann Ash'")
@_name
@click.argument("officer")
@pass_session
def dismiss(session: Session, name: str, officer: str) -> None:
    """OFFICER speaks for NAME no longer."""
    from smki.authority.registration import dismiss as end

    end(session.workspace, name, officer)
    click.echo(f"{officer} is no officer of {name}")


@command.command("issue", epilog="Example: smki org issue 'North Supply' --csr signing.csr --out signing.pem")
@_name
@issuing_options
@json_option
@pass_session
def issue(session: Session, /, name: str, as_json: bool, **options: Any) -> int:
    """Answer requests of NAME for its own certificates.

    Exit code 0: all were answered; 1: some; 3: none.
    """
    from smki.authority.issuance.order import order
    from smki.authority.registration import named
    from smki.pki.kind import Kind

    workspace = session.workspace
    wanted = order(workspace, named(workspace, name), workspace.policies.issuance.rule(Kind.ORGANISATION))
    return answer(session, wanted, as_json=as_json, **options)


@command.command(
    "request", epilog="Example: smki org request 90-B3-D5-1F-30-01-00-00 --role supplier --out keys/ --token supplier"
)
@click.argument("entity", metavar="EUI-64")
@click.option("--role", required=True, metavar="ROLE", help="supplier, networkOperator, ...")
@click.option("--name", "common_name", metavar="NAME", help="The organisation's name, if its certificate shows it.")
@click.option(
    "--usage",
    "usages",
    multiple=True,
    type=click.Choice(["digitalSignature", "keyAgreement"]),
    help="What the keys are for; default: one key for each.",
)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="A new folder for keys and requests.")
@click.option("--token", metavar="NAME", help="Make the keys in this token of the workspace.")
@click.option("--label", metavar="TEXT", help="What the keys are called: TEXT-ds, TEXT-ka; default: the EUI-64.")
@pass_session
def request(
    session: Session,
    entity: str,
    role: str,
    common_name: str | None,
    usages: tuple[str, ...],
    out: Path,
    token: str | None,
    label: str | None,
) -> None:
    """Make an organisation's key pairs and the requests for them, for the service user whose keys they are."""
    from smki.authority.requesting import Party, make_organisation_requests
    from smki.entity import EntityId, KeyUsage, RemotePartyRole

    holder = None if token is None else session.workspace.open_token(token)
    party = Party(RemotePartyRole.parse(role), EntityId.parse(entity), common_name)
    wanted = tuple(KeyUsage(usage) for usage in dict.fromkeys(usages)) or tuple(KeyUsage)
    made = make_organisation_requests(party, wanted, out, holder, label)
    click.echo(f"wrote {counted(made, 'request')} to {out}")
