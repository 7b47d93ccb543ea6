"""`smki message`: reading, verifying, signing and protecting GBCS messages."""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from smki.cli.announcing import announce, announcing_key
from smki.cli.keys import certificates_option, own_key, own_key_options
from smki.cli.options import EXISTING
from smki.cli.protecting import mac, sign
from smki.cli.reading import Unread, issued, key_ring, message_in, vocabulary_of
from smki.cli.render import complain, emit, json_option, table, tree
from smki.cli.results import NONE, SOME, exit_code
from smki.cli.session import Session, pass_session
from smki.words import counted

if TYPE_CHECKING:
    from smki.gbcs.message import Message
    from smki.gbcs.use_case import UseCases
    from smki.gbcs.verdict import Check, KeyRing
    from smki.gbcs.words import Reading, Vocabulary
    from smki.parties.intake import Given

_places = click.argument("places", nargs=-1, required=True, metavar="FILE...")


@click.group("message", epilog="Example: smki message show command.hex")
def command() -> None:
    """Show, verify, sign, announce and decrypt messages; add MACs; run vectors.

    A message is given as octets, hexadecimal or base64: in a file, one a line, in a folder, or - for a pipe; or in
    JSON lines {"reference": ..., "message": ...}.
    """


def _given(places: Iterable[str]) -> "Iterator[Given]":
    from smki.parties.intake import given

    return given(places, sys.stdin.buffer)


# Reading


@command.command("show", epilog="Example: smki message show command.hex --json")
@_places
@json_option
@pass_session
def show(session: Session, places: tuple[str, ...], as_json: bool) -> int:
    """Show messages in words; what no longer reads as one is named. Exit code 1: some did not read; 3: none did."""
    from smki.gbcs.words import as_json as words
    from smki.gbcs.words import read

    vocabulary = vocabulary_of(session)
    read_messages: list[tuple[str, Reading]] = []
    faults: list[Unread] = []
    for given in _given(places):
        message = message_in(given)
        if isinstance(message, Unread):
            faults.append(message)
        else:
            read_messages.append((given.reference, read(message, vocabulary)))
    data = {
        "messages": [{"reference": name, **words(reading, vocabulary)} for name, reading in read_messages],
        "faults": [unread.as_json() for unread in faults],
    }
    emit(data, as_json, lambda: _print_trees(read_messages, vocabulary))
    if not as_json:
        _complain(faults)
    return exit_code(len(read_messages), len(faults))


def _complain(faults: Iterable[Unread]) -> None:
    for one in faults:
        complain(one.fault, f"{one.reference}: ")


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
    ring, use_cases = key_ring(session, others, own), session.policies.use_cases
    results: list[tuple[str, tuple[Check, ...]]] = []
    faults: list[Unread] = []
    for given in _given(places):
        message = message_in(given)
        if isinstance(message, Unread):
            faults.append(message)
        else:
            results.append((given.reference, _checks(session, message, use_cases, ring)))
    data = {
        "messages": [{"reference": name, "checks": [one.as_json() for one in checks]} for name, checks in results],
        "faults": [unread.as_json() for unread in faults],
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


def _checks(session: Session, message: "Message", use_cases: "UseCases", ring: "KeyRing") -> "tuple[Check, ...]":
    from smki.entity import KeyUsage
    from smki.gbcs.verdict import verify as check

    header = message.header
    for entity in {header.originator, header.target}:
        for usage in KeyUsage:
            ring.add(issued(session, entity, usage))
    return check(message, use_cases, ring)


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
    ring, vocabulary = key_ring(session, others, own), vocabulary_of(session)
    opened = []
    for given in _given(places):
        message = message_in(given)
        if isinstance(message, Unread):
            _complain([message])
            raise click.exceptions.Exit(NONE)
        checks = _checks(session, message, vocabulary.use_cases, ring)
        opened.append((given.reference, open_message(message, checks, ring, held[0].holder.entity, vocabulary)))
    data = {"messages": [{"reference": name, **words(reading, vocabulary)} for name, reading in opened]}
    emit(data, as_json, lambda: _print_trees(opened, vocabulary))


# For laboratories


@command.command("check", epilog="Example: smki message check rtds.json --keys keys.json")
@click.argument("vectors", nargs=-1, required=True, type=EXISTING)
@click.option(
    "--keys",
    required=True,
    type=EXISTING,
    help="The test keys the vectors name (gbcs-keys/1).",
)
@json_option
@pass_session
def check(session: Session, vectors: tuple[Path, ...], keys: Path, as_json: bool) -> int:
    """Run conformance vectors (gbcs-vectors/1, gbcs-kdf/1, gbcs-utrn/1) and tell every disagreement.

    Exit code 0: none; 3: some.
    """
    from smki.authority.safe_files import read_bounded
    from smki.gbcs.conformance import MAX_FILE_OCTETS, Report, read_document, read_keys, run

    report = Report()
    known = read_keys(read_bounded(keys, MAX_FILE_OCTETS, "check"), str(keys))
    names = session.policies.names
    for path in vectors:
        run(read_document(read_bounded(path, MAX_FILE_OCTETS, "check"), str(path)), known, names, report)
    data = {
        "vectors": report.vectors,
        "compared": dict(sorted(report.compared.items())),
        "disagreements": [item.as_json() for item in report.disagreements],
    }

    def human() -> None:
        table(["Compared", "Times"], ((what, str(count)) for what, count in sorted(report.compared.items())))
        for item in report.disagreements:
            click.echo(f"{item.vector}: {item.what}: expected {item.expected}, found {item.found}")
        found = (report.vectors, sum(report.compared.values()), len(report.disagreements))
        what = ("vector", "comparison", "disagreement")
        click.echo(", ".join(counted(count, one) for count, one in zip(found, what, strict=True)))

    emit(data, as_json, human)
    return NONE if report.disagreements else 0


command.add_command(sign)
command.add_command(mac)
command.add_command(announce)
command.add_command(announcing_key)
