"""`smki device state`, `receive` and `advance`: a device on the desk, in a file."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from smki.cli.bundle import anchor_option
from smki.cli.options import FILE
from smki.cli.render import emit, facts, json_option, moment_of, table
from smki.cli.results import exit_code, output, results_option
from smki.cli.session import Session, pass_session
from smki.words import utc

if TYPE_CHECKING:
    from smki.device.state import DeviceKeys, DeviceState, Pending

_state = click.option("--state", required=True, type=FILE, help="The device's state file.")


@click.group("state", epilog="Example: smki device state show --state meter.state")
def state_group() -> None:
    """What a device on the desk remembers, in a file that only you can read."""


@state_group.command(
    "new",
    epilog="Example: smki device state new --bundle meter.bundle --signing-key ds.key --agreement-key ka.key"
    " --state meter.state",
)
@click.option("--bundle", required=True, type=FILE, help="Its trust bundle.")
@anchor_option
@click.option("--signing-key", required=True, type=FILE, help="Its own key.")
@click.option("--agreement-key", required=True, type=FILE, help="And the other.")
@_state
@pass_session
def state_new(
    session: Session,
    bundle: Path,
    anchors: tuple[Path, ...],
    signing_key: Path,
    agreement_key: Path,
    state: Path,
) -> None:
    """Make a device of a bundle and its own two keys."""
    from smki.authority.safe_files import write_new
    from smki.cli.bundle import open_file
    from smki.device.state import DeviceKeys, new_state, write_state
    from smki.parties.keys import read_key

    keys = DeviceKeys(read_key(signing_key), read_key(agreement_key))
    made = new_state(open_file(session, bundle, anchors, session.clock()), keys)
    write_new(state, write_state(made, keys), 0o600)
    click.echo(f"wrote {state}: {made.kind.value} {made.device}, bundle {made.bundle}")


@state_group.command("update", epilog="Example: smki device state update --bundle newer.bundle --state meter.state")
@click.option("--bundle", required=True, type=FILE, help="A newer bundle.")
@anchor_option
@_state
@pass_session
def state_update(session: Session, bundle: Path, anchors: tuple[Path, ...], state: Path) -> None:
    """Give a device a newer bundle; an older one is refused, and counters never go back."""
    from smki.cli.bundle import open_file
    from smki.device.holders import apply_bundle

    with kept(state) as (device, keys, keep):
        updated = apply_bundle(device, open_file(session, bundle, anchors, session.clock()), keys)
        keep(updated, keys)
    click.echo(f"{updated.kind.value} {updated.device} has bundle {updated.bundle}")


@state_group.command("show", epilog="Example: smki device state show --state meter.state --json")
@_state
@json_option
def state_show(state: Path, as_json: bool) -> None:
    """Show a device's cells, counters and log; never its keys."""
    from smki.authority.safe_files import read_private
    from smki.device.state import MAX_STATE_OCTETS, read_state

    device, _ = read_state(read_private(state, MAX_STATE_OCTETS))
    data = _as_json(device)
    emit(data, as_json, lambda: _print(device, data))


def _as_json(device: "DeviceState") -> dict[str, Any]:
    return {
        "device": str(device.device),
        "device_type": device.kind.value,
        "bundle": device.bundle,
        "cells": {
            str(name): {"holder": str(cell.entity), "key_identifier": cell.key_identifier.hex().upper()}
            for name, cell in device.cells.items()
        },
        "counters": {role.word: str(counter) for role, counter in device.counters.items()},
        "tokens": list(device.tokens),
        "own_counter": str(device.own_counter),
        "values": {name: octets.hex() for name, octets in device.values.items()},
        "waiting": [
            {
                "at": utc(one.at),
                "originator": str(one.originator),
                "update": _word(one),
            }
            for one in device.pending
        ],
        "joined": [
            {
                "device": str(one.device),
                "device_type": one.kind.value,
                "method": one.method.name[0],
                "shares_a_secret": one.partner is not None,
            }
            for one in device.network.log
        ],
        "whitelist": [
            {"device": str(one.device), "has_a_link_key": bool(one.key_hash)} for one in device.network.hub.listed
        ],
        "log": [{"at": line.at, "code": line.code, "text": line.text} for line in device.log],
    }


def _print(device: "DeviceState", data: dict[str, Any]) -> None:
    facts({name: data[name] for name in ("device", "device_type", "bundle", "own_counter")})
    click.echo()
    rows = ((str(name), str(cell.entity), cell.key_identifier.hex().upper()) for name, cell in device.cells.items())
    table(["Cell", "Holder", "Key identifier"], rows)
    click.echo()
    table(["Role", "Counter"], ((role.word, str(counter)) for role, counter in device.counters.items()))
    if device.pending:
        click.echo()
        waiting = ((utc(one.at), str(one.originator), _word(one)) for one in device.pending)
        table(["Due", "Ordered by", "What waits"], waiting)
    if device.network.log:
        click.echo()
        joined = (
            (str(one.device), one.kind.value, one.method.name[0], "yes" if one.partner else "no")
            for one in device.network.log
        )
        table(["Joined with", "Kind", "Method", "Shares a secret"], joined)
    if device.network.hub.listed:
        click.echo()
        listed = ((str(one.device), "yes" if one.key_hash else "no") for one in device.network.hub.listed)
        table(["On the whitelist", "Has a link key"], listed)
    if device.log:
        click.echo()
        table(["At", "Code", "What"], ((line.at, line.code, line.text) for line in device.log))


def _word(waiting: "Pending") -> str:
    """Which mode an update that waits is of."""
    from smki.device.modes import RULES
    from smki.device.update import read_update

    return RULES[read_update(waiting.payload).mode].word


@contextmanager
def kept(path: Path) -> "Iterator[tuple[DeviceState, DeviceKeys, Callable[[DeviceState, DeviceKeys], None]]]":
    """A device's state, for one process at a time; what is kept replaces the file in one step."""
    import fcntl

    from smki.authority.safe_files import read_private, write_over
    from smki.device.state import MAX_STATE_OCTETS, read_state, write_state
    from smki.errors import Unavailable

    lock = path.with_name(f".{path.name}.lock")
    with os.fdopen(os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600), "wb") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Unavailable("device.busy", f"another command works on {path}", "wait for it to end") from None
        state, keys = read_state(read_private(path, MAX_STATE_OCTETS))
        yield state, keys, lambda state, keys: write_over(path, write_state(state, keys), 0o600)


@click.command("receive", epilog="Example: smki device receive --state meter.state command.hex")
@click.argument("places", nargs=-1, required=True, metavar="FILE...")
@_state
@click.option(
    "--near",
    multiple=True,
    type=FILE,
    help="State file of another device, within reach by radio (joins of methods A and B); repeat it.",
)
@results_option
@pass_session
def receive(session: Session, places: tuple[str, ...], state: Path, near: tuple[Path, ...], out: Path | None) -> int:
    """Give commands to a device: its verdict on each, what changed, and the response or alert it sends.

    The state is on disk before an answer is written: what was obeyed is never obeyed again. A line of JSON for each:
    verdict, step, message, changes, the answer in hexadecimal, and alerts of what had been put off and came due.
    Exit code 0: all were accepted; 1: some; 3: none.
    """
    import json

    from smki.cli.air import Air
    from smki.device.establishment import Surroundings
    from smki.device.receive import receive as obey
    from smki.parties.intake import given

    verdicts = []
    with ExitStack() as held:
        now, keys, keep = held.enter_context(kept(state))
        air = Air(now.device, (held.enter_context(kept(path)) for path in near))
        lines = held.enter_context(output(out))
        for item in given(places, sys.stdin.buffer):
            found = obey(now, keys, item.octets, session.clock(), Surroundings(air))
            now, keys = found.state, found.keys
            air.settle()
            keep(now, keys)
            verdicts.append(found.verdict.accepted)
            told = {
                "reference": item.reference,
                "verdict": found.verdict.code,
                "step": int(found.verdict.step),
                "message": found.verdict.message,
                "changes": list(found.changes),
                "alert": None if found.verdict.alert is None else f"{found.verdict.alert:04X}",
                "answer": None if found.answer is None else found.answer.hex(),
                "alerts": [alert.hex() for alert in found.alerts],
            }
            lines.write(json.dumps(told, ensure_ascii=False).encode() + b"\n")
    return exit_code(sum(verdicts), len(verdicts) - sum(verdicts))


@click.command("advance", epilog="Example: smki device advance --state meter.state --to 2027-01-01T00:00:00Z --json")
@_state
@click.option("--to", "moment", metavar="TIME", help="UTC, as 2027-01-01T00:00:00Z; default: now.")
@json_option
@pass_session
def advance(session: Session, state: Path, moment: str | None, as_json: bool) -> None:
    """Let time pass for a device: what was put off is done when it is due, and told by alerts."""
    from smki.device.credentials import advance as pass_time

    at = moment_of(moment) or session.clock()
    with kept(state) as (device, keys, keep):
        found = pass_time(device, keys, at)
        keep(found.state, keys)
    data = {"at": utc(at), "changes": list(found.changes), "alerts": [alert.hex() for alert in found.alerts]}

    def human() -> None:
        for change in found.changes or ("nothing was due",):
            click.echo(change)
        for alert in found.alerts:
            click.echo(alert.hex())

    emit(data, as_json, human)
