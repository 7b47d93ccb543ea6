"""`smki credentials show`, `outcome`, `orders`: messages in words, what devices answered, what is on record."""

import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from smki.cli.keys import certificates_option, own_key_options
from smki.cli.reading import key_ring, vocabulary_of
from smki.cli.render import complain, emit, json_option, summary, table, tree
from smki.cli.results import exit_code
from smki.cli.session import Session, pass_session
from smki.entity import KeyUsage
from smki.words import utc

if TYPE_CHECKING:
    from smki.gbcs.use_case import UseCases
    from smki.parties.answers import Holding
    from smki.parties.outcomes import Told
    from smki.store.records import OrderRecord

_SHOWN_ORDERS = 1000
_STATES = click.Choice(["made", "signed", "accepted", "done", "partly", "failed", "cancelled"])


@click.command("show", epilog="Example: smki credentials show command.hex --json")
@click.argument("places", nargs=-1, required=True, metavar="FILE...")
@json_option
@pass_session
def show(session: Session, places: tuple[str, ...], as_json: bool) -> int:
    """Show credentials commands, responses and alerts in words: mode, cell by cell, from whom to whom, floors, when.

    Exit code 1: some are something else; 3: all are.
    """
    from smki.errors import InvalidInput
    from smki.gbcs.message import read_message
    from smki.parties.credentials_words import words_of
    from smki.parties.intake import given
    from smki.pki.verdict import Fault

    vocabulary = vocabulary_of(session)
    shown, faults = [], []
    for item in given(places, sys.stdin.buffer):
        try:
            shown.append((item.reference, words_of(read_message(item.octets), vocabulary)))
        except InvalidInput as error:
            faults.append((item.reference, Fault.of(error)))
    data = {
        "messages": [{"reference": name, **words.as_json()} for name, words in shown],
        "faults": [
            {"reference": name, "code": fault.code, "message": fault.message, "remedy": fault.remedy}
            for name, fault in faults
        ],
    }

    def human() -> None:
        for name, words in shown:
            if len(shown) > 1:
                click.echo(f"{name}:")
            tree(words.tree)
        for name, fault in faults:
            complain(fault, f"{name}: ")

    emit(data, as_json, human)
    return exit_code(len(shown), len(faults))


@click.command(
    "outcome", epilog="Example: smki credentials outcome --from responses.jsonl --certificates meters/ --json"
)
@click.option(
    "--from",
    "sources",
    multiple=True,
    required=True,
    type=click.Path(path_type=Path, allow_dash=True),
    help="Devices' responses and alerts: a file, a folder, JSON lines; - reads a pipe. Repeat it.",
)
@own_key_options
@certificates_option
@json_option
@pass_session
def outcome(
    session: Session,
    /,
    sources: tuple[Path, ...],
    others: tuple[Path, ...],
    as_json: bool,
    **own: Any,
) -> int:
    """Take in what devices answered: prove it, find the order it is about, record it once, tell what is in the cells.

    A signature needs the device's certificate; a MAC our own key agreement key besides. Exit code 0: all succeeded;
    1: some did not; 3: none did.
    """
    from smki.parties.intake import take_in
    from smki.parties.outcomes import OutcomeDesk

    workspace = session.workspace
    desk = OutcomeDesk(workspace, key_ring(session, others, own))
    items = take_in(sources, sys.stdin.buffer, workspace.policies.signing.largest_batch)
    name_of = workspace.store.organisations.owner_of
    with closing(desk.take(items)) as answers:
        told = list(answers)
    emit({"answers": [_as_json(one) for one in told]}, as_json, lambda: _print(told, name_of))
    good = sum(one.succeeded for one in told)
    return exit_code(good, len(told) - good)


def _as_json(one: "Told") -> dict[str, Any]:
    data: dict[str, Any] = {
        "reference": one.reference,
        "device": None if one.device is None else str(one.device),
        "order": None if one.order is None else one.order.digest.hex(),
        "state": one.state,
        "before": one.before,
        "outcome": one.words,
        "cells": [
            {"what": row.what, "status": row.status, "from": _holding(row.before), "to": _holding(row.after)}
            for row in one.rows
        ],
    }
    if one.faults:
        data["faults"] = [fault.as_json() for fault in one.faults]
    return data


def _holding(one: "Holding | None") -> dict[str, str] | None:
    if one is None:
        return None
    return {"organisation": str(one.organisation), "key_identifier": one.key_identifier.hex().upper()}


def _print(told: "list[Told]", name_of: Any) -> None:
    rows = []
    for one in told:
        order = "" if one.state is None else f"{one.state}{' (told before)' if one.before else ''}"
        device = "" if one.device is None else str(one.device)
        for number, row in enumerate(one.rows if not one.faults else ()):
            after = _party(row.after, name_of)
            first = number == 0
            rows.append((device if first else "", order if first else "", row.what, row.status, after))
    if rows:
        table(["Device", "Order", "Cell", "Status", "Holds now"], rows)
    for one in told:
        for fault in one.faults:
            where = "" if one.device is None else f" from {one.device}"
            complain(fault, f"{one.reference}{where}: ")
    counts: dict[str, int] = {}
    for one in told:
        counts[one.state or "not believed"] = counts.get(one.state or "not believed", 0) + 1
    click.echo(summary(len(told), "answer", counts), err=True)


def _party(one: "Holding | None", name_of: Any) -> str:
    if one is None:
        return ""
    name = name_of(one.organisation)
    return f"{name or one.organisation} {one.key_identifier.hex().upper()}"


@click.command("orders", epilog="Example: smki credentials orders --device 00-DB-12-34-56-78-90-A0 --json")
@click.option("--device", metavar="EUI-64", help="Of this device alone.")
@click.option("--batch", metavar="SHA-256", help="Of the run with this name.")
@click.option("--state", type=_STATES, help="Those that stand so.")
@json_option
@pass_session
def orders(session: Session, device: str | None, batch: str | None, state: Any, as_json: bool) -> None:
    """List the commands about credentials that were made here, and how they stand: the first 1000 of them."""
    from itertools import islice

    from smki.entity import EntityId

    found = session.workspace.store.orders.find(
        batch=None if batch is None else _digest(batch),
        device=None if device is None else EntityId.parse(device),
        state=state,
    )
    listed = list(islice(found, _SHOWN_ORDERS))
    use_cases = session.policies.use_cases
    data = {"orders": [_order_json(one) for one in listed]}

    def human() -> None:
        rows = (
            (one.digest.hex()[:16], str(one.device), _what(one, use_cases), str(one.counter), one.state, one.outcome)
            for one in listed
        )
        table(["Order", "Device", "What", "Counter", "State", "Outcome"], rows)

    emit(data, as_json, human)


def _what(one: "OrderRecord", use_cases: "UseCases") -> str:
    from smki.device.modes import RULES
    from smki.gbcs.header import MessageCode

    return RULES[one.mode].word if one.mode is not None else use_cases[MessageCode(one.code)].label


def _order_json(one: "OrderRecord") -> dict[str, Any]:
    return {
        "order": one.digest.hex(),
        "device": str(one.device),
        "originator": str(one.originator),
        "use_case": f"0x{one.code:04X}",
        "counter": str(one.counter),
        "execution_at": None if one.execution_at is None else utc(one.execution_at),
        "state": one.state,
        "outcome": one.outcome,
        "batch": one.batch.hex(),
        "made_at": utc(one.made_at),
        "puts": [
            {
                "cell": f"own {put.cell.value}" if isinstance(put.cell, KeyUsage) else str(put.cell),
                "organisation": str(put.organisation),
                "key_identifier": put.key_identifier.hex().upper(),
                "serial": put.serial,
            }
            for put in one.puts
        ],
        "floors": [
            {"role": floor.role.word, "counter": str(floor.counter)}
            | ({} if floor.top_up is None else {"top_up": str(floor.top_up)})
            for floor in one.floors
        ],
    }


def _digest(text: str) -> bytes:
    if len(text) != 64 or not set(text) <= set("0123456789abcdef"):
        raise click.UsageError(f"{text[:20]!r} names no run: give its 64 hexadecimal digits.")
    return bytes.fromhex(text)
