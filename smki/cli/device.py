"""`smki device`: requests of devices, their certificates, and a device on the desk."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from smki.cli.bundle import anchor_option
from smki.cli.issuing import answer, issuing_options
from smki.cli.render import emit, fields, json_option, table
from smki.cli.session import Session, pass_session

if TYPE_CHECKING:
    from smki.device.state import DeviceKeys, DeviceState


@click.group("device", epilog="Example: smki device issue --org 'Meter Works' --from requests.zip --out results")
def command() -> None:
    """Requests and certificates of devices; a device on the desk."""


@command.command("issue", epilog="Example: smki device issue --org 'Meter Works' --from requests/ --out results")
@click.option("--org", "name", required=True, metavar="NAME", help="The organisation that asks.")
@issuing_options
@json_option
@pass_session
def issue(session: Session, /, name: str, as_json: bool, **options: Any) -> int:
    """Answer requests for device certificates: one, or as many as you have.

    Run again after an interruption, it finishes, and issues nothing twice. Exit code 0: all were answered; 1: some;
    3: none.
    """
    from smki.authority.issuance.order import order
    from smki.authority.registration import named
    from smki.pki.kind import Kind

    workspace = session.workspace
    wanted = order(workspace, named(workspace, name), workspace.policies.issuance.rule(Kind.DEVICE))
    return answer(session, wanted, as_json=as_json, **options)


@command.command("request", epilog="Example: smki device request 00-DB-12-34-56-78-90-A0 --out meter/")
@click.argument("entity", metavar="EUI-64")
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path),
    help="A new folder for keys and requests; or NAME.jsonl: requests only, the keys are thrown away.",
)
@click.option(
    "--count", type=click.IntRange(1, 1_000_000), default=1, show_default=True, help="Devices, from EUI-64 upwards."
)
@click.option("--token", metavar="NAME", help="Make the keys in this token of the workspace.")
@pass_session
def request(session: Session, entity: str, out: Path, count: int, token: str | None) -> None:
    """Make a device's two key pairs and its two requests, in the form devices send them.

    For tests and for firmware developers. A software key is written to a file that only you can read.
    """
    from smki.authority.requesting import make_device_requests
    from smki.entity import EntityId
    from smki.pki.kind import Kind

    profile = session.policies.issuance.rule(Kind.DEVICE).profile
    holder = None if token is None else session.workspace.open_token(token)
    made = make_device_requests(profile, EntityId.parse(entity), count, out, holder)
    click.echo(f"wrote {made} requests to {out}")


# A device on the desk

_state = click.option(
    "--state", required=True, type=click.Path(path_type=Path, dir_okay=False), help="The device's state file."
)


@command.group("state", epilog="Example: smki device state show --state meter.state")
def state_group() -> None:
    """What a device on the desk remembers, in a file that only you can read."""


@state_group.command(
    "new",
    epilog="Example: smki device state new --bundle meter.bundle --signing-key ds.key --agreement-key ka.key"
    " --state meter.state",
)
@click.option("--bundle", required=True, type=click.Path(path_type=Path, dir_okay=False), help="Its trust bundle.")
@anchor_option
@click.option("--signing-key", required=True, type=click.Path(path_type=Path, dir_okay=False), help="Its own key.")
@click.option(
    "--agreement-key", required=True, type=click.Path(path_type=Path, dir_okay=False), help="And the other."
)
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
@click.option("--bundle", required=True, type=click.Path(path_type=Path, dir_okay=False), help="A newer bundle.")
@anchor_option
@_state
@pass_session
def state_update(session: Session, bundle: Path, anchors: tuple[Path, ...], state: Path) -> None:
    """Give a device a newer bundle; an older one is refused, and counters never go back."""
    from smki.cli.bundle import open_file
    from smki.device.state import apply_bundle

    with _kept(state) as (device, keys, keep):
        updated = apply_bundle(device, open_file(session, bundle, anchors, session.clock()), keys)
        keep(updated)
    click.echo(f"{updated.kind.value} {updated.device} has bundle {updated.bundle}")


@state_group.command("show", epilog="Example: smki device state show --state meter.state --json")
@_state
@json_option
@pass_session
def state_show(session: Session, state: Path, as_json: bool) -> None:
    """Show a device's cells, counters and log; never its keys."""
    from smki.authority.safe_files import read_private
    from smki.device.state import MAX_STATE_OCTETS, read_state

    del session
    device, _ = read_state(read_private(state, MAX_STATE_OCTETS))
    data = {
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
        "log": [{"at": line.at, "code": line.code, "text": line.text} for line in device.log],
    }

    def human() -> None:
        fields(
            (name.replace("_", " "), str(data[name])) for name in ("device", "device_type", "bundle", "own_counter")
        )
        click.echo()
        rows = (
            (str(name), str(cell.entity), cell.key_identifier.hex().upper()) for name, cell in device.cells.items()
        )
        table(["Cell", "Holder", "Key identifier"], rows)
        click.echo()
        table(["Role", "Counter"], ((role.word, str(counter)) for role, counter in device.counters.items()))
        if device.log:
            click.echo()
            table(["At", "Code", "What"], ((line.at, line.code, line.text) for line in device.log))

    emit(data, as_json, human)


@contextmanager
def _kept(path: Path) -> "Iterator[tuple[DeviceState, DeviceKeys, Callable[[DeviceState], None]]]":
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
        yield state, keys, lambda state: write_over(path, write_state(state, keys), 0o600)


@command.command("receive", epilog="Example: smki device receive --state meter.state command.hex")
@click.argument("places", nargs=-1, required=True, metavar="FILE...")
@_state
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    help="Write the result lines to this new file; default: print.",
)
@pass_session
def receive(session: Session, places: tuple[str, ...], state: Path, out: Path | None) -> int:
    """Give commands to a device: its verdict on each, what changed, and the response or alert it sends.

    The state is on disk before an answer is written: what was obeyed is never obeyed again. A line of JSON for each:
    verdict, step, message, changes, and the answer in hexadecimal. Exit code 0: all were accepted; 1: some; 3: none.
    """
    import json

    from smki.cli.issuing import output
    from smki.device.receive import receive as obey
    from smki.parties.intake import given

    verdicts = []
    with _kept(state) as (first, keys, keep), output(out) as lines:
        device = first
        for item in given(places, sys.stdin.buffer):
            found = obey(device, keys, item.octets, session.clock())
            device = found.state
            keep(device)
            verdicts.append(found.verdict.accepted)
            told = {
                "reference": item.reference,
                "verdict": found.verdict.code,
                "step": int(found.verdict.step),
                "message": found.verdict.message,
                "changes": list(found.changes),
                "alert": None if found.verdict.alert is None else f"{found.verdict.alert:04X}",
                "answer": None if found.answer is None else found.answer.hex(),
            }
            lines.write(json.dumps(told, ensure_ascii=False).encode() + b"\n")
    return 0 if all(verdicts) else 1 if any(verdicts) else 3
