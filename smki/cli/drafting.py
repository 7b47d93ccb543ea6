"""The options that say what a plan is for, and the draft that comes of them."""

from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from smki.cli.options import FILE, F, with_options
from smki.cli.recovering import plan_as_json, show_plan
from smki.cli.render import emit
from smki.cli.session import Session

if TYPE_CHECKING:
    from smki.parties.recovery.case import Method

_DRAFT_OPTIONS = (
    click.option("--what", required=True, help="The case: what was compromised, such as 'organisation signing key'."),
    click.option("--certificate", "serials", multiple=True, required=True, metavar="SERIAL", help="An affected one."),
    click.option("--purpose", required=True, help="What the plan is for, in a sentence."),
    click.option("--notified-by", required=True, help="Who told of it."),
    click.option("--notified-at", required=True, metavar="TIME", help="When, such as 2026-11-21T09:00:00Z."),
    click.option("--evidence", required=True, help="What there is to show for it."),
    click.option("--decided-by", required=True, help="Who decided that the key is used."),
    click.option("--decided-at", required=True, metavar="TIME", help="When that was."),
    click.option("--reference", required=True, help="Where the decision is written."),
    click.option("--root", default="oca-root", show_default=True, help="The root that the devices hold."),
    click.option("--devices", type=FILE, help="A line for each: EUI-64, kind, ROLE=EUI-64. Default: the inventory."),
    click.option("--put", "puts", multiple=True, metavar="CELL=FILE[@EUI-64]", help="A certificate for a cell."),
    click.option("--path", multiple=True, type=FILE, help="A certificate of the path above those."),
    click.option("--floor", "floors", multiple=True, metavar="ROLE=N[/N]", help="Where counters and top-ups begin."),
    click.option("--at", metavar="TIME", help="When devices are to do it; default: at once."),
    click.option("--no-times", is_flag=True, help="Have devices not check validity times."),
    click.option("--supersedes", metavar="SHA-256", help="A plan with the same key that is not to be finished."),
)


def draft_options(function: F) -> F:
    return with_options(function, *_DRAFT_OPTIONS)


def parse_time(text: str, name: str) -> datetime:
    found = None
    with suppress(ValueError):
        found = datetime.fromisoformat(text)
    if found is None or found.tzinfo is None:
        raise click.UsageError(f"{name}: write the time as 2026-11-21T09:00:00Z.")
    return found


def write_draft(session: Session, out: Path, method: "Method", as_json: bool, said: dict[str, Any]) -> None:
    """Draft a plan from what was said, and tell what it would do."""
    from smki.parties.keys import octets_of, read_certified
    from smki.parties.recovery.draft import Event, Wish, draft
    from smki.parties.recovery.file import read_device_list
    from smki.parties.recovery.rules import read_plan

    devices = said["devices"]
    signer = said.get("signer")
    wish = Wish(
        what=said["what"],
        serials=said["serials"],
        method=method,
        purpose=said["purpose"],
        root=said["root"],
        notified=Event(said["notified_by"], parse_time(said["notified_at"], "--notified-at"), said["evidence"]),
        decided=Event(said["decided_by"], parse_time(said["decided_at"], "--decided-at"), said["reference"]),
        signer=None if signer is None else read_certified(signer),
        token=said.get("token"),
        key=said.get("key"),
        first_counter=said.get("first_counter") or 1,
        puts=tuple(_put(text) for text in said["puts"]),
        path=tuple(octets_of(path) for path in said["path"]),
        devices=None if devices is None else read_device_list(devices),
        floors=tuple(_floor(text) for text in said["floors"]),
        at=None if said["at"] is None else parse_time(said["at"], "--at"),
        check_times=not said["no_times"],
        supersedes=said["supersedes"],
    )
    file = draft(session.workspace, wish, out)
    plan = read_plan(session.workspace, file)
    emit(plan_as_json(session, plan), as_json, lambda: show_plan(session, plan))


def _put(text: str) -> Any:
    from smki.device.cells import CellName
    from smki.entity import EntityId
    from smki.parties.keys import octets_of
    from smki.parties.recovery.draft import WantedPut

    cell, equals, rest = text.partition("=")
    path, at, where = rest.partition("@")
    if not equals or not path:
        raise click.UsageError("--put: write 'supplier digitalSignature=FILE', with @EUI-64 for one party's homes.")
    return WantedPut(CellName.parse(cell), octets_of(Path(path)), EntityId.parse(where) if at else None)


def _floor(text: str) -> Any:
    from smki.entity import RemotePartyRole
    from smki.parties.recovery.draft import Floor

    role, _, numbers = text.partition("=")
    counter, slash, top_up = numbers.partition("/")
    if not counter.isdecimal() or (slash and not top_up.isdecimal()):
        raise click.UsageError("--floor: write ROLE=NUMBER, or supplier=NUMBER/NUMBER.")
    return Floor(RemotePartyRole.parse(role), int(counter), int(top_up) if slash else None)
