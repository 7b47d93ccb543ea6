"""`smki message announce` and `announcing-key`, `smki broker announced`: what a user says it signed."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from smki.cli.options import FILE, FILE_OR_PIPE
from smki.cli.render import emit, json_option, moment_of, table
from smki.cli.session import Session, pass_session
from smki.words import counted, utc

if TYPE_CHECKING:
    from smki.entity import EntityId
    from smki.parties.broker.announced import Taken

_originator = click.option("--originator", metavar="EUI-64", help="For whom, where the workspace signs for several.")


@click.command("announce", epilog="Example: smki message announce --out announcement-1")
@_originator
@click.option("--since", metavar="TIME", help="Only what was signed since then; what is older still waits.")
@click.option("--again", is_flag=True, help="Write the last announcement again, as it was.")
@click.option("--out", required=True, type=FILE, help="Write this new file.")
@json_option
@pass_session
def announce(
    session: Session, originator: str | None, since: str | None, again: bool, out: Path, as_json: bool
) -> int:
    """Announce to the broker what was signed here and was not announced yet, before it is sent.

    The file lists the SHA-256 of each signed pre-command by this workspace's own record, signed by its audit key. Run
    again after an interruption, it writes the same file. Exit code 1: there is nothing to announce.
    """
    from smki.authority.safe_files import write_new
    from smki.parties import announcing

    workspace, begin = session.workspace, moment_of(since)
    who = announcing.announcer(workspace, _entity(originator), again=again)
    if again and who is not None:
        record = announcing.repeat(workspace, who)
    else:
        found = who and announcing.announce(workspace, who, begin)
        if not found:
            click.echo("nothing was signed since the last announcement", err=True)
            return 1
        record = found
    assert record.file is not None, "it is signed"
    write_new(out, record.file)
    announcing.handed_out(workspace, record)
    left = workspace.store.announcements.waiting().get(record.originator, 0)
    data = {
        "originator": str(record.originator),
        "number": record.number,
        "at": record.at,
        "commands": record.items,
        "left": left,
        "file": out,
    }

    def human() -> None:
        what = counted(record.items, "command")
        click.echo(f"{record.originator}: announcement {record.number} of {what}, wrote {out}")
        if left:
            click.echo(f"{left:,} more {'waits' if left == 1 else 'wait'}: announce again", err=True)

    emit(data, as_json, human)
    return 0


def _entity(text: str | None) -> "EntityId | None":
    from smki.entity import EntityId

    return None if text is None else EntityId.parse(text)


@click.command("announcing-key", epilog="Example: smki message announcing-key >> thresholds.toml")
@json_option
@pass_session
def announcing_key(session: Session, as_json: bool) -> None:
    """Show the key that announcements hold by, as a file of thresholds names it: an officer signs that."""
    import base64

    from smki.parties.announcing import announcing_key as key_of

    key = base64.b64encode(key_of(session.workspace)).decode()
    emit({"key": key}, as_json, lambda: click.echo(f'[announcements]\nkeys = ["{key}"]'))


@click.command("announced", epilog="Example: smki broker announced announcement-1")
@click.argument(
    "files",
    nargs=-1,
    required=True,
    type=FILE_OR_PIPE,
    metavar="FILE...",
)
@json_option
@pass_session
def announced(session: Session, files: tuple[Path, ...], as_json: bool) -> None:
    """Take what users announce; - reads a pipe.

    Each by a key that an officer of its user registered, and once: the same again changes nothing. Several are taken
    in the order of their numbers.
    """
    from smki.parties.broker.announced import take_all

    done = take_all(session.workspace, [_octets(path) for path in files])
    data = [_json(one) for one in done]
    rows = [
        (one["originator"], *(str(one[name]) for name in ("number", "commands", "result")), utc(one["until"]))
        for one in data
    ]
    columns = ["Originator", "Number", "Commands", "Result", "Counts until"]
    emit({"announcements": data}, as_json, lambda: table(columns, rows))
    for one in done:
        if one.missing:
            said = f"number {one.said.number} follows {one.said.after}, which was not taken"
            click.echo(f"warning: {one.said.originator}: {said}: what that lists is held", err=True)


def _octets(path: Path) -> bytes:
    from smki.authority.safe_files import read_bounded
    from smki.errors import InvalidInput
    from smki.parties.announcement import MAX_OCTETS

    if path != Path("-"):
        return read_bounded(path, MAX_OCTETS, "announcement", "name an announcement")
    data = sys.stdin.buffer.read(MAX_OCTETS + 1)
    if len(data) > MAX_OCTETS:
        raise InvalidInput("announcement.size", f"more than {MAX_OCTETS} octets in the pipe", "give one announcement")
    return data


def _json(one: "Taken") -> dict[str, Any]:
    return {
        "originator": str(one.said.originator),
        "number": one.said.number,
        "at": one.said.at,
        "commands": len(one.said.digests),
        "result": "taken before" if one.again else "taken",
        "until": one.record.until,
        "follows_one_not_taken": one.missing,
    }
