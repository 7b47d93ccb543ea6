"""`smki message`: reading, verifying, signing and protecting GBCS messages."""

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from smki.cli.issuing import output, progress
from smki.cli.keys import certificates_option, own_key, own_key_options
from smki.cli.render import emit, json_option, table, tree
from smki.cli.session import Session, pass_session

if TYPE_CHECKING:
    from smki.entity import EntityId, KeyUsage
    from smki.gbcs.verdict import Check, KeyRing, Known
    from smki.gbcs.words import Reading, Vocabulary
    from smki.parties.intake import Given
    from smki.parties.keys import Certified

SOME, NONE = 1, 3
_places = click.argument("places", nargs=-1, required=True, metavar="FILE...")
_source = click.option(
    "--from",
    "sources",
    multiple=True,
    required=True,
    type=click.Path(path_type=Path, allow_dash=True),
    help="Messages: a file, a folder, JSON lines; - reads a pipe. Repeat it.",
)
_out = click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    help="Write the result lines to this new file; default: print.",
)


@click.group("message", epilog="Example: smki message show command.hex")
def command() -> None:
    """Show, verify, sign and decrypt messages; add MACs; run vectors.

    A message is given as octets, hexadecimal or base64: in a file, one a line, in a folder, or - for a pipe; or in
    JSON lines {"reference": ..., "message": ...}.
    """


def _given(places: Iterable[str]) -> "Iterator[Given]":
    from smki.parties.intake import given

    return given(places, sys.stdin.buffer)


def _vocabulary(session: Session) -> "Vocabulary":
    from smki.gbcs.words import Vocabulary
    from smki.parties.supplier import vocabulary

    if session.has_workspace:
        return vocabulary(session.workspace)
    policies = session.policies
    return Vocabulary(policies.use_cases, policies.names)


# Reading


@command.command("show", epilog="Example: smki message show command.hex --json")
@_places
@json_option
@pass_session
def show(session: Session, places: tuple[str, ...], as_json: bool) -> int:
    """Show messages in words; what no longer reads as one is named. Exit code 1: some did not read; 3: none did."""
    from smki.gbcs.words import as_json as words
    from smki.gbcs.words import read

    vocabulary = _vocabulary(session)
    read_messages, faults = [], []
    for given in _given(places):
        message, fault = _message(given)
        if message is None:
            faults.append({"reference": given.reference, "fault": fault})
        else:
            read_messages.append((given.reference, read(message, vocabulary)))
    data = {
        "messages": [{"reference": name, **words(reading, vocabulary)} for name, reading in read_messages],
        "faults": faults,
    }
    emit(data, as_json, lambda: _print_trees(read_messages, vocabulary))
    if not as_json:
        _complain(faults)
    return _exit_code(len(read_messages), len(faults))


def _message(given: "Given") -> tuple[Any, Any]:
    from smki.errors import InvalidInput
    from smki.gbcs.message import read_message

    try:
        return read_message(given.octets), None
    except InvalidInput as error:
        return None, {"code": error.code, "message": error.message, "remedy": error.remedy}


def _complain(faults: list[dict[str, Any]]) -> None:
    for item in faults:
        fault = item["fault"]
        click.echo(f"{item['reference']}: {fault['message']} [{fault['code']}]\n  hint: {fault['remedy']}", err=True)


def _exit_code(good: int, bad: int) -> int:
    return 0 if not bad else SOME if good else NONE


def _print_trees(readings: "list[tuple[str, Reading]]", vocabulary: "Vocabulary") -> None:
    from smki.gbcs.words import tree_of

    for reference, reading in readings:
        if len(readings) > 1:
            click.echo(f"{reference}:")
        tree(tree_of(reading, vocabulary))


@command.command("verify", epilog="Example: smki message verify command.hex --certificates supplier.pem")
@_places
@own_key_options
@certificates_option
@json_option
@pass_session
def verify(
    session: Session,
    /,
    places: tuple[str, ...],
    others: tuple[Path, ...],
    as_json: bool,
    **own: Any,
) -> int:
    """Say which protections messages carry, and which hold.

    A signature needs its originator's certificate. A MAC needs the private key of one of its two parties and the
    certificate of the other. Exit code 0: all hold; 1: some could not be checked; 3: something fails.
    """
    ring, use_cases = _ring(session, others, own), session.policies.use_cases
    results: list[tuple[str, tuple[Check, ...]]] = []
    faults = []
    for given in _given(places):
        message, fault = _message(given)
        if message is None:
            faults.append({"reference": given.reference, "fault": fault})
        else:
            results.append((given.reference, _checks(session, message, use_cases, ring)))
    data = {
        "messages": [{"reference": name, "checks": [one.as_json() for one in checks]} for name, checks in results],
        "faults": faults,
    }
    rows = [
        (name, one.what, one.answer, one.certificate or (one.fault.message if one.fault else ""))
        for name, checks in results
        for one in checks
    ]
    emit(data, as_json, lambda: table(["Message", "Check", "Answer", "With"], rows))
    if not as_json:
        _complain(faults)
    answers = {one.answer for _, checks in results for one in checks}
    if faults or "fails" in answers:
        return NONE
    return SOME if "not checked" in answers else 0


def _checks(session: Session, message: Any, use_cases: Any, ring: "KeyRing") -> "tuple[Check, ...]":
    from smki.entity import KeyUsage
    from smki.gbcs.verdict import verify as check

    header = message.header
    for entity in {header.originator, header.target}:
        for usage in KeyUsage:
            ring.add(_issued(session, entity, usage))
    return check(message, use_cases, ring)


def _issued(session: Session, entity: "EntityId", usage: "KeyUsage") -> "tuple[Known, ...]":
    from smki.parties.keys import issued_to

    if not session.has_workspace:
        return ()
    return tuple(one.known for one in issued_to(session.workspace, entity, usage))


def _ring(session: Session, others: tuple[Path, ...], own: dict[str, Any]) -> "KeyRing":
    from smki.gbcs.agreement import Agreement
    from smki.gbcs.verdict import KeyRing
    from smki.parties.keys import certificates_in

    held = own_key(session, **own)
    known = [one.known for one in certificates_in(others)]
    if held is None:
        return KeyRing(known)
    one, key = held
    return KeyRing([*known, one.known], {one.holder.entity: Agreement(key)})


@command.command(
    "decrypt",
    epilog="Example: smki message decrypt response.hex --token keys --key agree --certificate ka.pem"
    " --certificates meter.pem",
)
@_places
@own_key_options
@certificates_option
@json_option
@pass_session
def decrypt(
    session: Session,
    /,
    places: tuple[str, ...],
    others: tuple[Path, ...],
    as_json: bool,
    **own: Any,
) -> None:
    """Show messages with their encrypted parts opened, once their MAC or signature holds.

    Needs the key agreement key of the one the response is for, and the device's certificates.
    """
    from smki.gbcs.words import as_json as words
    from smki.parties.reader import open_message

    held = own_key(session, **own)
    if held is None:
        raise click.UsageError("Name the key of whom it is for: --certificate with --token and --key, or --key-file.")
    ring, vocabulary = _ring(session, others, own), _vocabulary(session)
    opened = []
    for given in _given(places):
        message, fault = _message(given)
        if message is None:
            _complain([{"reference": given.reference, "fault": fault}])
            raise click.exceptions.Exit(NONE)
        checks = _checks(session, message, vocabulary.use_cases, ring)
        opened.append((given.reference, open_message(message, checks, ring, held[0].holder.entity, vocabulary)))
    data = {"messages": [{"reference": name, **words(reading, vocabulary)} for name, reading in opened]}
    emit(data, as_json, lambda: _print_trees(opened, vocabulary))


# Protecting


@command.command(
    "sign",
    epilog="Example: smki message sign --from pre.hex --token keys --key ds --certificate ds.pem --expect asked.json",
)
@_source
@_out
@click.option("--token", required=True, metavar="NAME", help="The token that holds the signing key.")
@click.option("--key", "label", required=True, metavar="LABEL", help="The key's label in the token.")
@click.option(
    "--certificate",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="The key's certificate: it says whose signature this is.",
)
@click.option(
    "--expect",
    type=click.Path(path_type=Path, dir_okay=False),
    help="What was asked for (JSON); without it, each command is shown and asked about.",
)
@pass_session
def sign(
    session: Session,
    sources: tuple[Path, ...],
    out: Path | None,
    token: str,
    label: str,
    certificate: Path,
    expect: Path | None,
) -> int:
    """Sign pre-commands in the HSM: compared with what was asked for, or shown to you and confirmed.

    A line of JSON for each says what became of it: signed, signed before, held for a second officer, or refused with
    the code of every rule it breaks. Run again after an interruption, it signs nothing twice. Exit code 0: all were
    signed; 1: some; 3: none.
    """
    from smki.parties.expectation import read_expectations
    from smki.parties.intake import take_in
    from smki.parties.keys import read_certified
    from smki.parties.signing_rules import Shown
    from smki.parties.supplier import SigningDesk

    workspace = session.workspace
    expected = None if expect is None else read_expectations(expect)
    desk = SigningDesk(workspace, token, label, read_certified(certificate))
    given = take_in(sources, sys.stdin.buffer, workspace.policies.signing.largest_batch)
    judged = desk.judge(given, expected)
    if expected is None:
        judged = [_confirmed(item, _vocabulary(session)) for item in judged]
    with output(out) as lines:
        shown = Shown.SEEN if expected is None else Shown.COMPARED
        # Closed here whatever happens, so that what was signed is written down before the token is let go.
        with closing(desk.sign(judged, shown)) as outcomes:
            return _tell(outcomes, len(judged), lines)


def _confirmed(item: Any, vocabulary: "Vocabulary") -> Any:
    """Show a command to the one who signs it, and believe nothing but their word."""
    from smki.gbcs.words import tree_of
    from smki.parties.signing_rules import Fit, Unfit
    from smki.pki.verdict import Fault

    if not isinstance(item, Fit):
        return item
    if not sys.stdin.isatty():
        fault = Fault(
            "sign.unseen", "nobody is here to look at it, and nothing to compare it with", "give --expect FILE"
        )
        return Unfit(item.reference, (fault,))
    tree(tree_of(item.reading, vocabulary), err=True)
    if click.confirm("Sign this?", default=False, err=True):
        return item
    return Unfit(item.reference, (Fault("sign.declined", "the signer declined", "ask for it anew"),))


def _tell(outcomes: Iterable[Any], total: int, lines: Any) -> int:
    """Result lines, progress, a summary, the exit code."""
    counts: dict[str, int] = {}
    with progress(total) as advance:
        for outcome in outcomes:
            counts[outcome.result] = counts.get(outcome.result, 0) + 1
            lines.write(json.dumps(outcome.as_json(), ensure_ascii=False).encode() + b"\n")
            advance()
    said = ", ".join(f"{count} {word}" for word, count in counts.items())
    click.echo(f"{sum(counts.values())} messages: {said or 'nothing to do'}", err=True)
    bad = counts.get("refused", 0) + counts.get("held", 0)
    return _exit_code(sum(counts.values()) - bad, bad)


@command.command(
    "mac",
    epilog="Example: smki message mac --from signed.jsonl --token keys --key broker --certificate broker-ka.pem",
)
@_source
@_out
@own_key_options
@certificates_option
@click.option(
    "--keep-secrets",
    type=click.IntRange(0, 100_000),
    default=0,
    show_default=True,
    help="Shared secrets to keep in memory during this run, for devices that come again.",
)
@pass_session
def mac(
    session: Session,
    /,
    sources: tuple[Path, ...],
    out: Path | None,
    others: tuple[Path, ...],
    keep_secrets: int,
    **own: Any,
) -> int:
    """Add the access control broker's MAC to commands whose signature holds and whose originator may send them.

    Whether a command should be sent at all (to this home, now, so often) is not judged here.

    Exit code 0: all have it; 1: some; 3: none.
    """
    from smki.gbcs.agreement import Agreement
    from smki.parties.broker import MacDesk, seal_all
    from smki.parties.intake import take_in

    workspace = session.workspace
    held = own_key(session, **own)
    if held is None:
        raise click.UsageError("Name the broker's key: --certificate with --token and --key.")
    _refuse_other_than_broker(session, held[0])
    ring = _ring(session, others, {**own, "certificate": None, "token": None, "label": None, "key_file": None})

    def certificates(entity: "EntityId", usage: "KeyUsage") -> "tuple[Known, ...]":
        found = ring.of(entity, usage) or _issued(session, entity, usage)
        return tuple(item for item in found if item.is_valid(session.clock()))

    given = list(take_in(sources, sys.stdin.buffer, workspace.policies.signing.largest_batch))
    with Agreement(held[1], keep_secrets) as agreement, output(out) as lines:
        desk = MacDesk(_vocabulary(session), agreement, certificates)
        with closing(seal_all(workspace, desk, given)) as outcomes:
            return _tell(outcomes, len(given), lines)


def _refuse_other_than_broker(session: Session, one: "Certified") -> None:
    from smki.entity import KeyUsage, RemotePartyRole
    from smki.errors import Refused
    from smki.parties.keys import refuse_unless_in_use

    if one.holder.role is not RemotePartyRole.ACCESS_CONTROL_BROKER:
        raise Refused("mac.role", "the key is not an access control broker's", "name the broker's key")
    refuse_unless_in_use(session.workspace, one, KeyUsage.KEY_AGREEMENT)


# For laboratories


@command.command("check", epilog="Example: smki message check rtds.json --keys keys.json")
@click.argument("vectors", nargs=-1, required=True, type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option(
    "--keys",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="The test keys the vectors name (gbcs-keys/1).",
)
@json_option
@pass_session
def check(session: Session, vectors: tuple[Path, ...], keys: Path, as_json: bool) -> int:
    """Run conformance vectors (gbcs-vectors/1, gbcs-kdf/1, gbcs-utrn/1) and tell every disagreement.

    Exit code 0: none; 3: some.
    """
    from smki.gbcs.conformance import Report, read_document, read_keys, run

    report = Report()
    known = read_keys(keys.read_bytes(), str(keys))
    names = session.policies.names
    for path in vectors:
        run(read_document(path.read_bytes(), str(path)), known, names, report)
    data = {
        "vectors": report.vectors,
        "compared": dict(sorted(report.compared.items())),
        "disagreements": [item.as_json() for item in report.disagreements],
    }

    def human() -> None:
        table(["Compared", "Times"], ((what, str(count)) for what, count in sorted(report.compared.items())))
        for item in report.disagreements:
            click.echo(f"{item.vector}: {item.what}: expected {item.expected}, found {item.found}")
        compared = sum(report.compared.values())
        click.echo(f"{report.vectors} vectors, {compared} comparisons, {len(report.disagreements)} disagreements")

    emit(data, as_json, human)
    return NONE if report.disagreements else 0
