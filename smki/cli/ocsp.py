"""`smki ocsp`: responders, and the service that answers whether certificates are revoked."""

from pathlib import Path

import click

from smki.cli.options import FILE
from smki.cli.render import emit, json_option, table
from smki.cli.session import Session, pass_session
from smki.words import utc

_PORT_DIGITS = 5


@click.group("ocsp", epilog="Example: smki ocsp show")
def command() -> None:
    """Appoint responders; answer by OCSP whether certificates are revoked."""


@command.command("appoint", epilog="Example: smki ocsp appoint oca-issuing-1 --token ocsp")
@click.argument("authority")
@click.option("--token", required=True, metavar="NAME", help="Make the responder's key in this token.")
@click.option("--anew", is_flag=True, help="Even if the responder there is good for long.")
@json_option
@pass_session
def appoint(session: Session, authority: str, token: str, anew: bool, as_json: bool) -> None:
    """Appoint a responder for AUTHORITY, which signs its certificate. Typed daily, it renews in time."""
    from smki.authority.ocsp.appointing import appoint as name_responder

    found = name_responder(session.workspace, authority, token, anew=anew)
    data = found.responder.as_json(session.clock()) | {"made": found.made}
    end = utc(found.responder.certificate.not_after)
    done = "appointed" if found.made else "is appointed already"
    emit(
        data,
        as_json,
        lambda: click.echo(f"responder {data['serial']} {done}: for {authority}, in token {token}, until {end}"),
    )


@command.command("show", epilog="Example: smki ocsp show --json")
@json_option
@pass_session
def show(session: Session, as_json: bool) -> None:
    """Show every responder: for whom, in which token, how long."""
    from smki.authority.ocsp.responders import appointed

    now = session.clock()
    found = [item.as_json(now) for item in appointed(session.workspace)]
    rows = [
        (one["authority"], one["state"], one["token"], utc(one["not_before"]), utc(one["not_after"]), one["serial"])
        for one in found
    ]
    columns = ["Authority", "State", "Token", "From", "Until", "Certificate"]
    emit({"responders": found}, as_json, lambda: table(columns, rows))


@command.command("answer", epilog="Example: smki ocsp answer request.der --out answer.der")
@click.argument("request", type=FILE)
@click.option("--out", required=True, type=FILE, help="Write the answer here.")
@pass_session
def answer(session: Session, request: Path, out: Path) -> int:
    """Answer the one REQUEST in a file, as `openssl ocsp -reqout` writes it.

    Exit code 1: the answer is a refusal, such as malformedRequest.
    """
    from smki.authority.ocsp.once import answer_once
    from smki.authority.safe_files import write_new

    done = answer_once(session.workspace, request)
    write_new(out, done.octets)
    click.echo(f"wrote {out}: {done.words}")
    return 0 if done.signed else 1


@command.command("serve", epilog="Example: smki ocsp serve --listen 127.0.0.1:2560")
@click.option(
    "--listen",
    default="127.0.0.1:2560",
    show_default=True,
    metavar="HOST:PORT",
    help="Where; port 0: any that is free.",
)
@click.option("--access-log", is_flag=True, help="A line for every request.")
@pass_session
def serve(session: Session, listen: str, access_log: bool) -> None:
    """Answer by HTTP until SIGTERM. Events are told on standard error."""
    import asyncio

    from smki.authority.ocsp.serving import serve as run
    from smki.authority.workspace import Workspace
    from smki.cli.journal import journal

    host, _, port = listen.rpartition(":")
    if not host or not (port.isascii() and port.isdigit() and len(port) <= _PORT_DIGITS):
        raise click.UsageError(f"{listen[:40]!r} is no HOST:PORT.")
    here = session.workspace

    def opened() -> Workspace:
        return Workspace(here.home, here.clock, here.ask, here.person)

    asyncio.run(run(opened, host.strip("[]"), int(port), journal(), access=access_log))
