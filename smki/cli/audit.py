"""`smki audit`: read the log, check it, prove an entry, hand it to a stranger."""

import json
from pathlib import Path
from typing import Any

import click

from smki.cli.options import EXISTING, FILE
from smki.cli.render import emit, facts, json_option, table
from smki.cli.session import Session, pass_session


@click.group("audit", epilog="Example: smki audit verify")
def command() -> None:
    """Read, check, prove and export the audit log."""


@command.command("list", epilog="Example: smki audit list --last 20")
@click.option("--last", type=click.IntRange(1), help="Only the last N entries.")
@json_option
@pass_session
def list_(session: Session, last: int | None, as_json: bool) -> None:
    """List what was done: when, by whom, what."""
    store = session.workspace.store
    start = 0 if last is None else max(0, store.audit_size() - last)
    entries = [json.loads(entry.body) for entry in store.audit_entries(start)]
    rows = [(str(e["seq"]), e["time"], e["actor"], e["act"], _subject(e["facts"])) for e in entries]
    emit({"entries": entries}, as_json, lambda: table(["Entry", "Time", "Who", "Act", "Of"], rows))


def _subject(facts: dict[str, object]) -> str:
    named = [facts[name] for name in ("authority", "token", "officers", "environment") if name in facts]
    return "" if not named else ", ".join(named[0]) if isinstance(named[0], list) else str(named[0])


@command.command("verify", epilog="Example: smki audit verify")
@json_option
@pass_session
def verify(session: Session, as_json: bool) -> int:
    """Recompute the whole log and check every signed checkpoint; exit 5 if anything is wrong."""
    from smki.authority.auditing import verify_log
    from smki.authority.publication import published

    verdict = verify_log(session.workspace.store, published(session.workspace, "audit/checkpoint"))
    data = {
        "entries": verdict.entries,
        "checkpoints": verdict.checkpoints,
        "signed_entries": verdict.sealed,
        "faults": list(verdict.faults),
    }
    emit(data, as_json, lambda: facts(data, _words))
    return 5 if verdict.faults else 0


def _words(value: object) -> str:
    return ("; ".join(value) or "none") if isinstance(value, list) else str(value)


@command.command("prove", epilog="Example: smki audit prove 3 --out entry-3.proof")
@click.argument("seq", metavar="ENTRY", type=click.IntRange(0))
@click.option("--out", type=FILE, help="Write here; default: print.")
@pass_session
def prove(session: Session, seq: int, out: Path | None) -> None:
    """Write the proof that ENTRY is in the log; scripts/verify-audit checks it."""
    from smki.authority.auditing import prove_entry

    _write(prove_entry(session.workspace.store, seq), out)


@command.command("growth", epilog="Example: smki audit growth kept-checkpoint --out growth.proof")
@click.argument("checkpoint", metavar="OLD-CHECKPOINT", type=EXISTING)
@click.option("--out", type=FILE, help="Write here; default: print.")
@pass_session
def growth(session: Session, checkpoint: Path, out: Path | None) -> None:
    """Write the proof that the log begins with all that a checkpoint you kept signed."""
    from smki.authority.auditing import prove_growth
    from smki.authority.safe_files import read_bounded
    from smki.store.note import MAX_NOTE_OCTETS

    note = read_bounded(checkpoint, MAX_NOTE_OCTETS, "checkpoint").decode(errors="replace")
    _write(prove_growth(session.workspace.store, note), out)


@command.command("export", epilog="Example: smki audit export --out log.jsonl")
@click.option("--out", type=FILE, help="Write here; default: print.")
@pass_session
def export(session: Session, out: Path | None) -> None:
    """Write the whole log as lines of JSON; scripts/verify-audit checks it without us."""
    from smki.authority.auditing import export_log
    from smki.authority.safe_files import write_pieces_new

    lines = export_log(session.workspace.store)
    if out is None:
        for line in lines:
            click.echo(line)
    else:
        write_pieces_new(out, (f"{line}\n".encode() for line in lines))
        click.echo(f"wrote {out}")


def _write(proof: dict[str, Any], out: Path | None) -> None:
    from smki.authority.safe_files import write_new

    text = json.dumps(proof, indent=2, ensure_ascii=False) + "\n"
    if out is None:
        click.echo(text, nl=False)
    else:
        write_new(out, text.encode())
        click.echo(f"wrote {out}")
