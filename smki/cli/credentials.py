"""`smki credentials`: whose certificates devices hold: replacing them, reading them, a device's own keys."""

import hashlib
import json
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from smki.cli.findings import findings_option, read_findings
from smki.cli.options import FILE
from smki.cli.ordering import (
    Line,
    Target,
    counter_options,
    device_options,
    hand_out,
    options,
    originator_option,
    out_options,
    targets,
)
from smki.cli.outcomes import orders, outcome, show
from smki.cli.own_keys import csr, own_key, read
from smki.cli.render import moment_of
from smki.cli.session import Session, pass_session

if TYPE_CHECKING:
    from smki.device.update import Floors
    from smki.entity import EntityId, RemotePartyRole
    from smki.parties.changes import Change, Place


@click.group("credentials", epilog="Example: smki credentials make supplierBySupplier --device 00-DB-12-... ...")
def command() -> None:
    """Replace and read credentials on devices; rotate devices' own keys; take in what became of it."""


@command.command(
    "make",
    epilog="Example: smki credentials make supplierBySupplier --devices meters.txt"
    " --originator 90-B3-D5-1F-30-01-00-00"
    ' --first-counter 1000 --certificate-for "supplier digitalSignature=ds.pem"'
    ' --certificate-for "supplier keyAgreement=ka.pem" --certificate-for "supplier prePaymentTopUp=topup.pem"'
    " --floor 0 --out pre.jsonl --expect-out asked.jsonl",
)
@click.argument("mode")
@options(device_options, [findings_option, originator_option], counter_options)
@click.option(
    "--certificate-for",
    "places",
    multiple=True,
    required=True,
    metavar="CELL=FILE",
    help="A certificate, and the cell it goes into: a role and a use. Repeat it.",
)
@click.option("--path", multiple=True, type=FILE, help="An authority above them; default: those we believe.")
@click.option("--at", metavar="TIME", help="When it is to happen; default: at once.")
@click.option("--cancel", is_flag=True, help="Take back what was put off in this mode.")
@click.option("--floor", type=click.IntRange(0), help="Where the authorising role's counters begin.")
@click.option("--top-up-floor", type=click.IntRange(0), help="And a supplier's numbers of top-ups.")
@click.option(
    "--floor-of", "floors", multiple=True, metavar="ROLE=N[,TOPUP]", help="The same for another role. Repeat it."
)
@click.option("--disapply-time", is_flag=True, help="Have devices check the certificates without regard to time.")
@click.option(
    "--handover", is_flag=True, help="The originator is the broker, whose certificates are there until now."
)
@click.option("--symmetric-key", type=FILE, help="What opens the contingency key: a file that only you can read.")
@options(out_options)
@pass_session
def make(
    session: Session, /, mode: str, out: Path | None, expect_out: Path | None, originator: str, **given: Any
) -> int:
    """Make pre-commands of a mode of CS02b or CS02g, such as supplierBySupplier, for one device or many.

    What a rule forbids is not made, and told with its code. Every command is on record before it is handed out; run
    again after an interruption, the same are made. Exit code 0: all were made; 1: some; 3: none.
    """
    from smki.entity import EntityId
    from smki.parties.credentials import Made, UpdateRequest
    from smki.parties.credentials import make as make_all

    change = _change(mode, EntityId.parse(originator), given)
    wanted = targets(
        given["devices"],
        given["device_file"],
        given["kind"],
        given["counter"],
        given["first_counter"],
        _mended(mode, change, given["findings"]),
    )
    requests = (UpdateRequest(change, one.device, one.counter, one.kind) for one in wanted)
    with closing(make_all(session.workspace, requests, _batch(change, wanted))) as made:
        lines = (
            Line(one.message, one.digest, one.before, one.request.device, (), 0)
            if isinstance(one, Made)
            else Line(None, b"", False, one.request.device, one.faults, 0)
            for one in made
        )
        return hand_out(session, lines, len(wanted), out, expect_out)


def _change(word: str, originator: Any, given: dict[str, Any]) -> "Change":
    """What is to change, as the options say."""
    from smki.authority.safe_files import read_private
    from smki.device.modes import MODES_BY_WORD
    from smki.device.update import CANCELLED
    from smki.parties.changes import Change
    from smki.parties.keys import octets_of

    mode = MODES_BY_WORD.get(word)
    if mode is None:
        raise click.UsageError(f"{word[:40]!r} is no mode. Use one of: {', '.join(MODES_BY_WORD)}.")
    if given["cancel"] and given["at"] is not None:
        raise click.UsageError("Say either when it is to happen, or --cancel.")
    key = given["symmetric_key"]
    return Change(
        mode=mode,
        originator=originator,
        places=tuple(_place(text) for text in given["places"]),
        path=tuple(octets_of(one) for one in given["path"]) or None,
        at=CANCELLED if given["cancel"] else moment_of(given["at"]),
        floors=_floors(given["floor"], given["top_up_floor"]),
        other_floors=tuple(_floors_of(text) for text in given["floors"]),
        disapply_time=given["disapply_time"],
        handover=given["handover"],
        symmetric_key=None if key is None else read_private(key),
    )


def _mended(word: str, change: "Change", findings: Path | None) -> "list[EntityId] | None":
    """The devices that this change mends: in want of it, and of these certificates, and they obey who signs."""
    from smki.device.modes import RULES
    from smki.parties.keys import certified

    if findings is None:
        return None
    owners = {certified(one.certificate, "a certificate").holder.entity for one in change.places}
    authorising = RULES[change.mode].authorising
    by_itself = authorising is not None and all(one.cell.role is authorising.role for one in change.places)
    found = [one for one in read_findings(findings) if one.mend == word and {one.should_hold} == owners]
    return list(dict.fromkeys(one.device for one in found if not by_itself or one.holds == change.originator))


def _place(text: str) -> "Place":
    """`supplier digitalSignature=ds.pem`; a colon in place of the blank spares the quotes."""
    from smki.device.cells import CellName
    from smki.parties.changes import Place
    from smki.parties.keys import octets_of

    cell, equals, path = text.partition("=")
    if not (equals and path):
        raise click.UsageError(f"{text[:60]!r}: write CELL=FILE, such as supplier:digitalSignature=ds.pem.")
    return Place(CellName.parse(cell.replace(":", " ")), octets_of(Path(path)))


def _floors(counter: int | None, top_up: int | None) -> "Floors | None":
    from smki.device.update import Floors

    if counter is None and top_up is not None:
        raise click.UsageError("A floor of top-ups comes with --floor.")
    return None if counter is None else Floors(counter, top_up)


def _floors_of(text: str) -> "tuple[RemotePartyRole, Floors]":
    from smki.device.update import Floors
    from smki.entity import RemotePartyRole

    role, _, numbers = text.partition("=")
    parts = numbers.split(",")
    if len(parts) > 2 or not all(part.isascii() and part.isdigit() and len(part) < 20 for part in parts):
        raise click.UsageError(f"{text[:60]!r}: write ROLE=N or ROLE=N,TOPUP, such as supplier=0,0.")
    counter, top_up = int(parts[0]), int(parts[1]) if len(parts) == 2 else None
    return RemotePartyRole.parse(role), Floors(counter, top_up)


def _batch(change: "Change", wanted: list[Target]) -> bytes:
    """What names this run: the same, whenever the same is asked for."""
    said = hashlib.sha256(
        json.dumps(
            {
                "mode": change.mode.name,
                "originator": str(change.originator),
                "places": [[str(one.cell), hashlib.sha256(one.certificate).hexdigest()] for one in change.places],
                "path": None if change.path is None else [hashlib.sha256(der).hexdigest() for der in change.path],
                "at": None if change.at is None else change.at.isoformat(),
                "floors": str((change.floors, change.other_floors)),
                "flags": [change.disapply_time, change.handover],
            }
        ).encode()
    )
    for one in wanted:
        said.update(one.device.octets + one.counter.to_bytes(8))
    return said.digest()


for _member in (show, outcome, orders, read, own_key, csr):
    command.add_command(_member)
