"""`smki crl`: certificate revocation lists, made, shown, verified, and kept on time."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from smki.cli.crl_import import import_command
from smki.cli.options import EXISTING
from smki.cli.render import complain, emit, fields, json_option, table
from smki.cli.results import NONE, SOME, exit_code
from smki.cli.session import Session, pass_session
from smki.words import counted, utc

if TYPE_CHECKING:
    from smki.authority.publication.act import Run
    from smki.authority.publication.schedule import Lists
    from smki.pki.crl_judge import Description, ListVerdict

_names = click.argument("names", nargs=-1, metavar="[AUTHORITY...]")


@click.group("crl", epilog="Example: smki crl publish")
def command() -> None:
    """Publish, show and verify certificate revocation lists; keep them on time."""


command.add_command(import_command)


@command.command("publish", epilog="Example: smki crl publish --all")
@_names
@click.option("--all", "even_if_not_due", is_flag=True, help="A new complete list of each, also where none is due.")
@json_option
@pass_session
def publish(session: Session, names: tuple[str, ...], even_if_not_due: bool, as_json: bool) -> int:
    """Make and publish the lists that are due: of every authority, or of those named.

    One that cannot be made, its token being away, does not stop the others. Exit code 1: some failed; 3: all did.
    """
    from smki.authority.publication.act import publish_lists

    run = publish_lists(session.workspace, names, even_if_not_due=even_if_not_due)
    data = {
        "lists": [outcome.as_json() for outcome in run.outcomes],
        "around": None if run.around is None else run.around.as_json(),
    }
    emit(data, as_json, lambda: _tell(run))
    failed = sum(outcome.fault is not None for outcome in run.outcomes)
    return NONE if run.outcomes and failed == len(run.outcomes) else SOME if run.faults else 0


def _tell(run: "Run") -> None:
    if not run.outcomes:
        click.echo("no authority is active yet: there is nothing to list")
    for outcome in run.outcomes:
        name, record = outcome.authority.name, outcome.record
        if record is not None:
            kind = f"delta to {record.base}" if record.is_delta else "list"
            entries = counted(record.entries, "entry", "entries")
            click.echo(f"{name}: {kind} number {record.number}, {entries}, until {utc(record.next_update)}")
        elif outcome.overtaken:
            click.echo(f"{name}: another publisher was first")
        elif outcome.fault is None:
            click.echo(f"{name}: {'wrote ' + ', '.join(outcome.written) if outcome.written else 'not due'}")
        if outcome.fault is not None:
            complain(outcome.fault, f"{name}: not published: ")
    if run.around is not None:
        complain(run.around, "the folder around them: ")


@command.command("schedule", epilog="Example: smki crl schedule --json")
@_names
@json_option
@pass_session
def schedule(session: Session, names: tuple[str, ...], as_json: bool) -> int:
    """Show every list: number, entries, how long it is good, when the next is due and why.

    Exit code 1: a list has lapsed or soon will, or is late.
    """
    from smki.authority.publication.schedule import schedule as standings_of

    found = standings_of(session.workspace, names)
    emit({"lists": [_lists_json(one) for one in found]}, as_json, lambda: _show_schedule(found))
    return SOME if any(one.alarms for one in found if not one.has_ended) else 0


def _lists_json(one: "Lists") -> dict[str, Any]:
    from smki.authority.publication.act import as_json

    return {
        "authority": one.authority.name,
        "list": None if one.complete is None else as_json(one.complete),
        "delta": None if one.delta is None else as_json(one.delta),
        "ended": one.has_ended,
        "due": None if one.has_ended else {"at": one.due.at, "latest": one.due.latest, "why": one.due.why},
        "alarms": [{"code": alarm.code, "message": alarm.message} for alarm in one.alarms],
    }


def _show_schedule(found: "tuple[Lists, ...]") -> None:
    from smki.authority.publication.schedule import words

    rows = []
    for one in found:
        name, kinds = one.authority.name, ((one.complete, "") if one.complete else (None, ""), (one.delta, " delta"))
        due = "ended" if one.has_ended else f"{utc(one.due.at)} {one.due.why}"
        for record, kind in kinds:
            if record is not None:
                left = words(record.next_update - one.now) if record.next_update > one.now else "LAPSED"
                times = (utc(record.this_update), utc(record.next_update), left)
                rows.append((name + kind, str(record.number), str(record.entries), *times, due))
            elif not kind:
                rows.append((name, "-", "-", "-", "-", "-", due))
            due = ""
    table(["List", "Number", "Entries", "This update", "Next update", "Left", "Next due"], rows)
    for one in found:
        for alarm in () if one.has_ended else one.alarms:
            click.echo(f"{one.authority.name}: {alarm.message} [{alarm.code}]", err=True)


@command.command("show", epilog="Example: smki crl show oca-issuing-1")
@click.argument("name", metavar="AUTHORITY|FILE")
@click.option("--delta", is_flag=True, help="The authority's newest delta, in place of its complete list.")
@click.option("--entries", "shown", type=click.IntRange(0, 10_000), default=10, show_default=True,
              help="Show so many of the entries.")  # fmt: skip
@json_option
@pass_session
def show(session: Session, name: str, delta: bool, shown: int, as_json: bool) -> None:
    """Show a list in words: the newest of an authority, or one in a file. Every entry is counted by its reason."""
    from dataclasses import asdict

    from smki.pki.crl_judge import describe_list
    from smki.pki.path import PathCrl

    octets = _octets(Path(name)) if Path(name).is_file() else _newest(session, name, delta)
    found = describe_list(PathCrl.read(octets), shown)
    emit(asdict(found), as_json, lambda: _describe(found))


def _newest(session: Session, name: str, delta: bool) -> bytes:
    from smki.authority.hierarchy import named
    from smki.errors import InvalidInput

    store, authority = session.workspace.store, named(session.workspace, name)
    record = store.crls.latest(authority.number, delta=delta)
    if record is None:
        kind = "delta" if delta else "list"
        raise InvalidInput("crl.none", f"authority {name} never had a {kind}", "see `smki crl schedule`")
    return b"".join(store.crls.pieces(authority.number, record.number))


def _octets(path: Path) -> bytes:
    from smki.authority.safe_files import read_bounded
    from smki.pki.crl_reading import der_of
    from smki.pki.path import MAX_CRL_OCTETS

    return der_of(read_bounded(path, 2 * MAX_CRL_OCTETS, "crl"))


def _describe(found: "Description") -> None:
    kind = found.kind if found.base is None else f"{found.kind} to number {found.base}"
    fields(
        [
            ("issuer", found.issuer),
            ("kind", kind),
            ("number", str(found.number)),
            ("this update", utc(found.this_update)),
            ("next update", "never" if found.next_update is None else utc(found.next_update)),
            ("contains", found.contains),
            ("key identifier", found.key_identifier),
            ("octets", str(found.octets)),
            ("entries", str(found.entries)),
            *((f"  {reason}", str(count)) for reason, count in found.reasons.items()),
        ]
    )
    if found.first:
        click.echo()
        rows = [
            (one.serial, utc(one.at), one.reason, utc(one.compromised_at) if one.compromised_at else "")
            for one in found.first
        ]
        table(["Serial number", "Revoked", "Reason", "Compromised"], rows)
    if found.entries > len(found.first):
        click.echo(f"and {found.entries - len(found.first)} more")


@command.command("verify", epilog="Example: smki crl verify oca-issuing-1.crl --against oca-issuing-1.pem")
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=EXISTING)
@click.option("--against", "certificates", multiple=True, type=EXISTING,
              help="The certificate of who signed it; default: the workspace's authorities. Repeat it.")  # fmt: skip
@json_option
@pass_session
def verify(session: Session, files: tuple[Path, ...], certificates: tuple[Path, ...], as_json: bool) -> int:
    """Verify lists as who fetched them: signature, times, number, form, lint.

    Exit code 1: some are not good; 3: none is.
    """
    from smki.pki.crl_judge import judge_list

    authorities = _authorities(session, certificates)
    found = [(file, judge_list(_octets(file), authorities, session.clock())) for file in files]
    emit({"lists": [_verdict_json(*one) for one in found]}, as_json, lambda: _show_verdicts(found))
    bad = sum(bool(verdict.faults) for _, verdict in found)
    return exit_code(len(found) - bad, bad)


def _authorities(session: Session, paths: tuple[Path, ...]) -> "list[Any]":
    from cryptography.hazmat.primitives.serialization import Encoding

    from smki.authority.hierarchy import certificate_of
    from smki.authority.safe_files import read_bounded
    from smki.errors import InvalidInput
    from smki.pki.holder import load_certificate
    from smki.pki.path import PathCertificate

    if paths:
        read = (load_certificate(read_bounded(path, 1 << 16, "certificate"), str(path)) for path in paths)
        return [PathCertificate.read(one.public_bytes(Encoding.DER)) for one in read]
    if not session.has_workspace or session.workspace.kind != "authority":
        raise InvalidInput("crl.unknown-signer", "no authority is known here", "name its certificate with --against")
    active = (one for one in session.workspace.store.authorities() if one.serial is not None)
    return [PathCertificate.read(certificate_of(session.workspace, one).der) for one in active]


def _verdict_json(file: Path, verdict: "ListVerdict") -> dict[str, Any]:
    crl = verdict.crl
    return {
        "file": file,
        "issuer": None if crl is None else str(crl.issuer),
        "number": None if crl is None else crl.number,
        "entries": None if crl is None else crl.entries,
        "signed_by": None if verdict.signer is None else str(verdict.signer),
        "linted_whole": verdict.is_linted_whole,
        "faults": [fault.as_json() for fault in verdict.faults],
    }


def _show_verdicts(found: "list[tuple[Path, ListVerdict]]") -> None:
    for file, verdict in found:
        good = "good" if not verdict.faults else "NOT GOOD"
        what = "" if verdict.crl is None else f"{verdict.crl}, {counted(verdict.crl.entries, 'entry', 'entries')}"
        partly = "" if verdict.is_linted_whole else " (too long for pkilint: our own rules alone)"
        click.echo(f"{file}: {good}: {what}{partly}")
        for fault in verdict.faults:
            complain(fault, "  ", err=False)


@command.command("watch", epilog="Example: smki crl watch")
@click.option("--poll", type=click.FloatRange(0.1, 60), default=3.0, show_default=True, help="Seconds between looks.")
@click.option("--once", is_flag=True, help="Look once, as `smki crl publish` does, and end.")
@pass_session
def watch(session: Session, poll: float, once: bool) -> int:
    """Keep every list on time, in the foreground, until SIGTERM: on time, within seconds of a revocation.

    It writes a line to standard error for each list it made, and cries before one lapses and when it cannot publish:
    words on a terminal, JSON elsewhere. Policies are read at the start. Exit code of --once 1: not all is well.
    """
    import signal
    import threading

    from smki.authority.publication.watch import Watch
    from smki.cli.journal import journal

    tell, stop = journal(), threading.Event()
    service = Watch(session.workspace, tell, stop.is_set)
    if once:
        return 0 if service.look() else SOME
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    tell("watch.started", level="info", home=str(session.workspace.home), poll=poll)
    while not stop.is_set():
        service.look()
        stop.wait(poll)
    tell("watch.stopped", level="info")
    return 0
