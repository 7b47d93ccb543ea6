"""`smki cert revoke` and `request-revocation`: taking certificates away for good, and asking for it."""

import sys
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from smki.cli.importing import day_or_moment
from smki.cli.keys import own_key_options, signer
from smki.cli.options import EXISTING, FILE, FILE_OR_PIPE
from smki.cli.render import emit, json_option
from smki.cli.results import progress
from smki.cli.session import Session, pass_session
from smki.words import counted, utc

if TYPE_CHECKING:
    from smki.authority.revocation.consequences import Consequences
    from smki.authority.revocation.plan import Plan
    from smki.authority.revocation.request import Asked
    from smki.pki.serial import Serial
    from smki.store.records import RevocationRecord

_SHOWN = 20  # certificates told one by one; --json tells all
_reason = click.option("--reason", metavar="REASON", help="key-compromise, superseded, cessation-of-operation, ...")
_evidence = click.option(
    "--evidence", metavar="FILE|TEXT", help="A file, kept by its digest; or what there is, in words."
)
_compromised = click.option(
    "--compromised-at", metavar="TIME", help="Since when the key was in wrong hands, if known."
)


@click.command(
    "revoke",
    epilog="Example: smki cert revoke 4A07BC01D9253B51FAF01F7EC7DA5B2F --reason key-compromise"
    " --requested-by 'Ann Ash' --evidence 'stolen from the office, crime number 4711'",
)
@click.argument("serials", metavar="[SERIAL]...", nargs=-1)
@click.option("--from", "source", type=FILE_OR_PIPE,
              help="Serial numbers, one a line; - reads a pipe.")  # fmt: skip
@click.option("--organisation", metavar="NAME", help="All certificates of an organisation that are not over.")
@click.option("--request", type=EXISTING, help="A request that an officer signed, in place of all other options.")
@_reason
@click.option(
    "--requested-by", metavar="NAME", help="An officer of the organisation or of the authority, or the PMA."
)
@_evidence
@_compromised
@json_option
@pass_session
def revoke(session: Session, /, as_json: bool, **given: Any) -> None:
    """Revoke certificates, for good: nothing signs, MACs or verifies with them from then on.

    What a second officer has to look at first waits for `smki approve grant`; then run the same again. What was
    revoked before is told, and left as it is. Killed, run the same again.
    """
    from smki.authority.revocation.consequences import consequences
    from smki.authority.revocation.plan import plan

    workspace = session.workspace
    found = plan(workspace, _asked(session, **given))
    if sys.stdin.isatty():
        _confirm(found)
    done = _carry_out(session, found)
    follows = consequences(workspace, found.whole)  # of what an interrupted run did before as well
    emit(_as_json(found, done, follows), as_json, lambda: _tell(found, done, follows))


def _asked(session: Session, request: Path | None, **given: Any) -> "Asked":
    from smki.authority.revocation.request import MAX_REQUEST_OCTETS, read_request
    from smki.authority.safe_files import read_bounded

    if request is None:
        return _typed(session, **given)
    if any(given.values()):
        raise click.UsageError("A signed request says everything: give --request alone.")
    data = read_bounded(request, MAX_REQUEST_OCTETS, "revoke", "have it asked in parts")
    return read_request(data, session.workspace.policies.revocation.largest_request)


def _typed(
    session: Session,
    *,
    serials: tuple[str, ...],
    source: Path | None,
    organisation: str | None,
    reason: str | None,
    requested_by: str | None,
    evidence: str | None,
    compromised_at: str | None,
) -> "Asked":
    from smki.authority.revocation.request import Asked, Evidence, asker_of
    from smki.pki.reason import Reason

    if sum((bool(serials), source is not None, organisation is not None)) != 1:
        raise click.UsageError("Say which: serial numbers, or --from FILE, or --organisation NAME.")
    if reason is None or requested_by is None or evidence is None:
        raise click.UsageError("Say why, who asks for it, on what evidence: --reason, --requested-by, --evidence.")
    name, capacity = asker_of(requested_by)
    most = session.policies.revocation.largest_request
    return Asked(
        reason=Reason.parse(reason),
        requested_by=name,
        evidence=Evidence.given(evidence),
        serials=_serials(serials, source, most),
        organisation=organisation,
        compromised_at=day_or_moment(compromised_at),
        capacity=capacity,
    )


def _serials(typed: tuple[str, ...], source: Path | None, most: int) -> "tuple[Serial, ...]":
    from smki.authority.revocation.request import serials_in
    from smki.errors import InvalidInput
    from smki.pki.serial import Serial

    if source is None:
        return tuple(dict.fromkeys(Serial.parse(text) for text in typed))
    if source == Path("-"):
        return serials_in(sys.stdin.buffer, most)
    try:
        with source.open("rb") as file:
            return serials_in(file, most)
    except OSError as error:
        raise InvalidInput("revoke.unreadable", f"{source}: {error.strerror}", "name a file you can read") from None


def _confirm(found: "Plan") -> None:
    """At a terminal, somebody reads what is going to happen."""
    if not found.revoke:
        return
    certificates = counted(len(found.revoke), "certificate")
    click.echo(f"{certificates} will be revoked for {found.asked.reason.word}, for good:", err=True)
    for one in found.revoke[:_SHOWN]:
        who = " ".join(str(part) for part in (one.role.word if one.role else "", one.entity or "") if part)
        click.echo(f"  {one.serial} {one.profile or 'a burnt number'} {who}".rstrip(), err=True)
    click.echo(f"asked for by {found.asker.words}, {_believed(found)}", err=True)
    click.confirm("Revoke them?", default=False, abort=True, err=True)


def _believed(found: "Plan") -> str:
    return "whose signature it carries" if found.asker.signed else "by your word"


def _carry_out(session: Session, found: "Plan") -> "list[RevocationRecord]":
    from smki.authority.revocation.act import revoke as carry_out

    done: list[RevocationRecord] = []
    with progress(len(found.revoke)) as advance, closing(carry_out(session.workspace, found)) as pieces:
        for piece in pieces:
            done += piece
            for _ in piece:
                advance()
    return done


def _as_json(found: "Plan", done: "list[RevocationRecord]", follows: "Consequences") -> dict[str, Any]:
    return {
        "revoked": [_record(found, one) for one in done],
        "revoked_before": [_record(found, one) for one in found.before],
        "left": dict(found.left),
        "requested_by": found.asker.name,
        "capacity": found.asker.capacity.value,
        "signed": found.asker.signed,
        "devices": follows.devices,
        "officers": [{"organisation": whose, "name": name} for whose, name in follows.officers],
        "authorities": list(follows.authorities),
    }


def _record(found: "Plan", one: "RevocationRecord") -> dict[str, Any]:
    return {
        "serial": str(one.serial),
        "authority": found.names[one.issuer],
        "number": one.number,
        "at": one.at,
        "reason": one.reason.word,
        "compromised_at": one.compromised_at,
    }


def _tell(found: "Plan", done: "list[RevocationRecord]", follows: "Consequences") -> None:
    _lines((f"revoked {one.serial} for {one.reason.word}" for one in done), len(done))
    _lines(
        (f"revoked before: {one.serial} at {utc(one.at)} for {one.reason.word}" for one in found.before),
        len(found.before),
    )
    for why, count in found.left.items():
        click.echo(f"left as they are: {count} {why}")
    for whose, name in follows.officers:
        click.echo(f"{name} speaks for {whose} no longer: `smki org appoint` names another")
    for name in follows.authorities:
        click.echo(f"nothing below authority {name} is believed from now on, and it issues nothing")
    if follows.devices:
        hold = f"{counted(follows.devices, 'device')} {'holds' if follows.devices == 1 else 'hold'} one of them"
        click.echo(f"{hold}: `smki credentials` or, for a recovery, `smki recovery` gives another")
    if done:
        click.echo("the next list will carry it: `smki crl publish`")


def _lines(lines: Iterable[str], total: int) -> None:
    for _, line in zip(range(_SHOWN), lines, strict=False):
        click.echo(line)
    if total > _SHOWN:
        click.echo(f"... {total} in all")


@click.command(
    "request-revocation",
    epilog="Example: smki cert request-revocation 4A07BC01D9253B51FAF01F7EC7DA5B2F --reason superseded"
    " --requested-by 'Ann Ash' --evidence 'replaced in May' --certificate ann.pem --key-file ann.key --out ask.p7m",
)
@click.argument("serials", metavar="SERIAL...", nargs=-1, required=True)
@_reason
@click.option("--requested-by", metavar="NAME", required=True, help="Your name, as the register has it.")
@_evidence
@_compromised
@own_key_options
@click.option("--out", required=True, type=FILE, help="A new file.")
@pass_session
def request_revocation(session: Session, /, out: Path, **given: Any) -> None:
    """As an officer, sign a request to revoke: the authority runs it with `smki cert revoke --request`."""
    from smki.authority.revocation.request import write_request
    from smki.authority.safe_files import write_new
    from smki.pki.signed_data import make_signed_data

    own = {name: given.pop(name) for name in ("certificate", "token", "label", "key_file")}
    asked = _typed(session, source=None, organisation=None, **given)
    certificate, key = signer(session, **own)
    now = session.clock()
    write_new(out, make_signed_data(write_request(asked, now), certificate, key, now))
    click.echo(f"wrote {out}")
