"""`smki broker`: what the access control broker admits, and the consents it goes by."""

import sys
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from smki.cli.announcing import announced
from smki.cli.broker_stats import stats, watch
from smki.cli.keys import certificates_option, keep_secrets_option, own_key, own_key_options
from smki.cli.options import EXISTING, FILE
from smki.cli.protecting import broker_key
from smki.cli.quarantine import quarantine
from smki.cli.render import emit, json_option, moment_of, summary, table
from smki.cli.results import HELD, exit_code, output, progress, results_option
from smki.cli.session import Session, pass_session
from smki.cli.thresholds import thresholds
from smki.words import counted

if TYPE_CHECKING:
    from smki.parties.broker.desk import BrokerDesk
    from smki.pki.verdict import Fault


@click.group(
    "broker",
    epilog="Example: smki broker submit --from signed.jsonl --token keys --key broker --certificate broker-ka.pem"
    " --out commands.jsonl",
)
def command() -> None:
    """Admit commands, hold what is too much, add the MAC that devices obey."""


for _one in (quarantine, thresholds, stats, watch, announced):
    command.add_command(_one)


@command.command(
    "submit",
    epilog="Example: smki broker submit --from signed.jsonl --token keys --key broker --certificate broker-ka.pem"
    " --out commands.jsonl",
)
@click.option(
    "--from",
    "sources",
    multiple=True,
    type=click.Path(path_type=Path, allow_dash=True),
    help="Signed pre-commands: a file, a folder, JSON lines; - reads a pipe. Repeat it.",
)
@click.option(
    "--requests",
    multiple=True,
    type=EXISTING,
    help="Requests for commands that are not critical, signed by their user (CMS). Repeat it.",
)
@click.option("--resume", is_flag=True, help="Hand out what runs that were interrupted had admitted.")
@click.option("--local", is_flag=True, help="For a hand-held terminal at the device, not for the network.")
@results_option
@own_key_options
@certificates_option
@keep_secrets_option
@pass_session
def submit(
    session: Session,
    /,
    sources: tuple[Path, ...],
    requests: tuple[Path, ...],
    resume: bool,
    local: bool,
    out: Path | None,
    others: tuple[Path, ...],
    keep_secrets: int,
    **own: Any,
) -> int:
    """Admit commands by every rule, once each, and add the broker's MAC.

    A line of JSON for each says what became of it: admitted, admitted before, held for a person, or refused with the
    code of every rule it breaks. Run again after an interruption, it admits nothing twice. Exit code 0: all were
    admitted; 1: some; 3: none; 6: some are held, and somebody must look at them.
    """
    from smki.gbcs.agreement import Agreement
    from smki.parties.broker.desk import BrokerDesk
    from smki.parties.keys import certificates_in

    if not (sources or requests or resume):
        raise click.UsageError("Say what is submitted: --from, --requests, or --resume.")
    one, key, _ = broker_key(session, own)
    with Agreement(key, keep_secrets) as agreement:
        desk = BrokerDesk(session.workspace, one.holder.entity, agreement, certificates_in(others))
        with output(out) as lines:
            code = _run(session, desk, (sources, requests), lines, resume=resume, local=local)
        desk.admission.handed_out()  # it has its name, or was read: until here another run would give it out again
    _tell_waiting(session, resume=resume)
    return code


def _run(
    session: Session,
    desk: "BrokerDesk",
    what: tuple[tuple[Path, ...], tuple[Path, ...]],
    lines: IO[bytes],
    *,
    resume: bool,
    local: bool,
) -> int:
    from msgspec.json import encode

    from smki.authority.safe_files import read_bounded
    from smki.parties.intake import take_in
    from smki.pki.signed_data import MAX_SIGNED_OCTETS

    sources, requests = what
    most = session.workspace.policies.broker.largest_batch
    given = list(take_in(sources, sys.stdin.buffer, most))
    files = [read_bounded(path, MAX_SIGNED_OCTETS, "broker", "name signed requests") for path in requests]
    runs = [desk.admission.resume()] if resume else []
    runs += [desk.submit(given, local=local)] if given else []
    runs += [desk.ask(data, local=local) for data in files]
    counts: dict[str, int] = {}
    why: dict[str, tuple[int, str]] = {}
    with progress(len(given)) as advance:
        for outcomes in runs:
            with closing(outcomes):
                for outcome in outcomes:
                    counts[outcome.result] = counts.get(outcome.result, 0) + 1
                    if outcome.result == "held":
                        _keep(why, outcome.faults)
                    lines.write(encode(outcome.as_json()) + b"\n")
                    advance()
    click.echo(summary(sum(counts.values()), "command", counts), err=True)
    bad = counts.get("refused", 0) + counts.get("held", 0)
    if counts.get("held"):
        _wake(counts["held"], why)
        return HELD
    return exit_code(sum(counts.values()) - bad, bad)


def _keep(why: dict[str, tuple[int, str]], faults: "Iterable[Fault]") -> None:
    """Of each detector how many it holds, and what it said first: ten thousand say the same with other numbers."""
    for fault in faults:
        detector = fault.message.partition(":")[0]
        count, first = why.get(detector, (0, fault.message))
        why[detector] = count + 1, first


def _wake(count: int, why: dict[str, tuple[int, str]]) -> None:
    """Somebody must look: a line that cannot be missed, and where nobody sits, an event for what watches logs."""
    from smki.cli.journal import journal

    findings = [f"{number} by {first}" for number, first in why.values()][:10]
    if not sys.stderr.isatty():
        journal()("broker.held", level="critical", count=count, findings=findings)
    are, them = ("COMMAND IS", "it") if count == 1 else ("COMMANDS ARE", "them")
    click.secho(f"*** {count} {are} HELD: a person must look at {them} ***", fg="red", bold=True, err=True)
    for text in findings:
        click.echo(f"  {text}", err=True)
    click.echo("  hint: smki broker quarantine list", err=True)


def _tell_waiting(session: Session, *, resume: bool) -> None:
    count = 0 if resume else session.workspace.store.admissions.outgoing_count()
    if count:
        click.echo(
            f"{counted(count, 'command')} admitted by runs that did not come to their end, or are still under way"
            "\n  hint: smki broker submit --resume",
            err=True,
        )


@command.command(
    "ask",
    epilog="Example: smki broker ask asked.jsonl --token keys --key north-ds --certificate north-ds.pem"
    " --out asked.p7m",
)
@click.argument("requests", type=EXISTING)
@own_key_options
@click.option("--out", required=True, type=FILE, help="Write the signed file here.")
@pass_session
def ask(session: Session, /, requests: Path, out: Path, **own: Any) -> None:
    """Sign requests for commands that are not critical.

    A line of JSON for each: use_case, target, counter, payload (hexadecimal), and a reference if you like.
    """
    from smki.authority.safe_files import read_bounded, write_new
    from smki.parties.broker.requests import signed_requests
    from smki.pki.signed_data import MAX_SIGNED_OCTETS

    held = own_key(session, **own)
    if held is None:
        raise click.UsageError("Name the user's key: --certificate with --token and --key.")
    lines = read_bounded(requests, MAX_SIGNED_OCTETS, "broker", "name requests")
    write_new(out, signed_requests(lines, held, session.clock()))
    click.echo(f"wrote {out}", err=True)


# Consents


@command.group("consent", epilog="Example: smki broker consent list --party 90-B3-D5-1F-30-05-00-00")
def consent() -> None:
    """Record that customers let other users read their meters, and until when."""


_party = click.option("--party", required=True, metavar="EUI-64", help="Who may read.")
_subjects = click.argument("subjects", nargs=-1, required=True, metavar="METER_POINT|DEVICE...")


@consent.command(
    "add",
    epilog="Example: smki broker consent add 1900012345674 --party 90-B3-D5-1F-30-05-00-00"
    " --until 2027-11-21T00:00:00Z",
)
@_subjects
@_party
@click.option("--since", metavar="TIME", help="From when on; default: now.")
@click.option("--until", metavar="TIME", help="Until when; default: until it is ended.")
@json_option
@pass_session
def add_consent(
    session: Session, subjects: tuple[str, ...], party: str, since: str | None, until: str | None, as_json: bool
) -> None:
    """Record consents to read what is behind meter points, or single devices."""
    from smki.entity import EntityId
    from smki.parties.broker.consents import add

    begin = moment_of(since) or session.clock()
    records = add(session.workspace, EntityId.parse(party), subjects, begin, moment_of(until))
    _show(records, as_json)


@consent.command("end", epilog="Example: smki broker consent end 1900012345674 --party 90-B3-D5-1F-30-05-00-00")
@_subjects
@_party
@json_option
@pass_session
def end_consent(session: Session, subjects: tuple[str, ...], party: str, as_json: bool) -> None:
    """End consents, from now on."""
    from smki.entity import EntityId
    from smki.parties.broker.consents import end

    _show(end(session.workspace, EntityId.parse(party), subjects, session.clock()), as_json)


@consent.command("list", epilog="Example: smki broker consent list --party 90-B3-D5-1F-30-05-00-00 --json")
@_party
@json_option
@pass_session
def list_consents(session: Session, party: str, as_json: bool) -> int:
    """List the consents that a party was ever given; exit code 1 if there is none."""
    from smki.entity import EntityId

    records = session.workspace.store.quarantine.consents_of(EntityId.parse(party))
    _show(records, as_json)
    return 0 if records else 1


def _show(records: Iterable[Any], as_json: bool) -> None:
    from smki.parties.broker.consents import as_json as words

    rows = [words(one) for one in records]
    columns = ["party", "subject", "since", "until"]
    emit(
        {"consents": rows},
        as_json,
        lambda: table([name.title() for name in columns], ([row[name] for name in columns] for row in rows)),
    )
