"""`smki store`: backups that forget nothing."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from smki.cli.options import FILE
from smki.cli.render import emit, fields, json_option
from smki.cli.session import Session, pass_session
from smki.words import counted, utc

if TYPE_CHECKING:
    from smki.authority.backup.act import Proof

_against = click.option(
    "--against",
    multiple=True,
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="A copy of what was published, from its mirror; besides published/ here. Several may be given.",
)
_journal = click.option(
    "--journal",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="What was done since the backup; default: the journal that smki.toml names.",
)


@click.group("store", epilog="Example: smki store backup /mnt/backups/2026-11-21")
def command() -> None:
    """Back the store up, verify it or a backup, restore one."""


@command.command("backup", epilog="Example: smki store backup /mnt/backups/2026-11-21")
@click.argument("file", metavar="FILE", type=FILE)
@json_option
@pass_session
def backup(session: Session, file: Path, as_json: bool) -> None:
    """Write all that the store holds into a new FILE, while others go on working.

    It fits SQLite and PostgreSQL alike. No private key is in it: HSMs are backed up by their own means.
    """
    from smki.authority.backup.act import take

    with _progress(None) as advance:
        made = take(session.workspace, file, advance)
    data = {
        "file": str(file),
        "made_at": datetime.fromtimestamp(made.header.made_at, UTC),
        "log_size": made.header.log_size,
        "log_root": made.header.log_root,
        "octets": made.octets,
        "sha256": made.sha256,
        "rows": made.rows,
        "keeps_every_act": session.workspace.keeps_every_act,
    }

    def human() -> None:
        fields(
            [
                ("wrote", str(file)),
                ("log entries", str(made.header.log_size)),
                ("certificates", str(made.rows["certificate"])),
                ("octets", str(made.octets)),
                ("SHA-256", made.sha256),
            ]
        )
        if not session.workspace.keeps_every_act:
            click.echo("note: no journal is kept: this backup is refused once anything more is published", err=True)

    emit(data, as_json, human)


@command.command("verify", epilog="Example: smki store verify /mnt/backups/2026-11-21")
@click.argument("file", metavar="[FILE]", required=False, type=FILE)
@_against
@_journal
@click.option("--prune", is_flag=True, help="If FILE proves good, remove from the journal the acts that it holds.")
@json_option
@pass_session
def verify(
    session: Session, file: Path | None, against: tuple[Path, ...], journal: Path | None, prune: bool, as_json: bool
) -> int:
    """Prove a backup by restoring it to where it is thrown away; without FILE, the store itself.

    Exit code 0: it is whole, and forgets nothing that was published; 1: whole, but it would be refused now; 5: it is
    not whole.
    """
    from smki.authority.backup.act import prove_backup, prove_store

    workspace = session.workspace
    if prune and (file is None or (journal or workspace.journal) is None):
        raise click.UsageError("--prune needs FILE and a journal: --journal, or the one that smki.toml names.")
    if file is None:
        proof = prove_store(workspace, against)
    else:
        with _progress(file) as advance:
            proof = prove_backup(workspace, file, against, journal or workspace.journal, advance, prune_journal=prune)
    emit(_proof(proof), as_json, lambda: _show(proof))
    return 5 if proof.faults else 1 if proof.shortfalls else 0


def _proof(proof: "Proof") -> dict[str, Any]:
    return {
        "log_size": proof.entries,
        "replayed": proof.replayed,
        "pruned": proof.pruned,
        "sha256": proof.sha256,
        "faults": list(proof.faults),
        "forgets": [{"code": item.code, "message": item.message} for item in proof.shortfalls],
    }


def _show(proof: "Proof") -> None:
    rows = [("log entries", str(proof.entries))]
    if proof.sha256 is not None:
        rows += [("acts from the journal", str(proof.replayed)), ("SHA-256", proof.sha256)]
    if proof.pruned:
        rows.append(("pruned", f"{counted(proof.pruned, 'act')} that the backup holds"))
    rows.append(("faults", "\n".join(proof.faults) or "none"))
    forgets = "\n".join(f"{item.message} [{item.code}]" for item in proof.shortfalls)
    fields([*rows, ("forgets", forgets or "nothing that was published")])


@command.command("restore", epilog="Example: smki store restore /mnt/backups/2026-11-21 --against /mnt/mirror")
@click.argument("file", metavar="FILE", type=FILE)
@click.option("--to", metavar="URL", help="Make it here, not where smki.toml says: sqlite:PATH or postgresql://…")
@_against
@_journal
@json_option
@pass_session
def restore(
    session: Session, file: Path, to: str | None, against: tuple[Path, ...], journal: Path | None, as_json: bool
) -> None:
    """Make the store from FILE, where there is none.

    Refused if it would forget anything that was published. It comes back whole or not at all.
    """
    from smki.authority.backup.act import restore as bring_back

    workspace = session.workspace
    with _progress(file) as advance:
        done = bring_back(workspace, file, to, against, journal or workspace.journal, advance)
    data = {"store": done.url, **_proof(done.proof), "signed": done.sealed}

    def human() -> None:
        fields(
            [
                ("restored", done.url),
                ("of", utc(datetime.fromtimestamp(done.header.made_at, UTC))),
                ("log entries", str(done.proof.entries)),
                ("acts from the journal", str(done.proof.replayed)),
                ("forgets", "nothing that was published"),
            ]
        )
        click.echo("note: take a new backup now: no older one has the entry of this restore", err=True)
        if not done.sealed:
            click.echo("note: the audit key's token is not here; the next act signs the log", err=True)
        if done.url != workspace.store_url:
            click.echo(f'note: put url = "{to}" into smki.toml; the store that was here is behind now', err=True)

    emit(data, as_json, human)


@contextmanager
def _progress(file: Path | None) -> Iterator[Callable[[int], None]]:
    """On a terminal how far it has come: octets of a file, else rows. Nothing in a pipe."""
    import sys

    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn

    known = file is not None and file.is_file()
    total = file.stat().st_size if file is not None and known else None
    amount = DownloadColumn() if known else TextColumn("{task.completed:,.0f} rows")
    with Progress(BarColumn(), amount, TimeElapsedColumn(), console=Console(stderr=True)) as progress:
        task = progress.add_task("", total=total)
        yield lambda done: progress.advance(task, done)
