"""Taking a backup, proving one or the store itself, and restoring one.

Taking a backup changes nothing, and so leaves no entry in the log: if it did, no backup would ever hold all that was
published. Restoring is an act, and its entry stands in the restored store from the beginning.
"""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from smki.authority.auditing import verify_log
from smki.authority.backup.account import account
from smki.authority.backup.published import Published, Shortfall, read_published, shortfalls
from smki.authority.log import seal
from smki.authority.safe_files import new_file
from smki.authority.workspace import Workspace
from smki.errors import IntegrityFailure, InvalidInput, Refused, SmkiError, Unavailable
from smki.store.address import open_engine
from smki.store.backup.dump import Backup, Progress, dump
from smki.store.backup.form import Header, Reader
from smki.store.backup.load import load
from smki.store.backup.place import empty_place, scratch
from smki.store.engine import Engine
from smki.store.journal import Journal, prune
from smki.store.note import read_checkpoint
from smki.store.records import Act
from smki.store.replay import replay
from smki.store.store import Store

PUBLISHED = "published"


def take(workspace: Workspace, path: Path, progress: Progress = lambda _: None) -> Backup:
    """Write everything the store holds into a new file, as of one moment, while others act on."""
    with new_file(path, 0o600) as file:
        return dump(workspace.store_url, file, workspace.clock(), progress)


@dataclass(frozen=True, slots=True)
class Proof:
    """What was found of a backup, or of the store."""

    entries: int
    replayed: int
    sha256: str | None
    faults: tuple[str, ...]
    """It contradicts itself."""
    shortfalls: tuple[Shortfall, ...]
    """What the world knows and it does not."""
    pruned: int = 0
    """Acts that were removed from the journal, because the backup has them."""


def prove_backup(
    workspace: Workspace,
    path: Path,
    folders: Sequence[Path],
    journal: Path | None,
    progress: Progress = lambda _: None,
    *,
    prune_journal: bool = False,
) -> Proof:
    """All that a restore does, into a database that is thrown away. Of a backup that proved good, the acts it has
    may be removed from the journal."""
    with (
        tempfile.TemporaryDirectory(dir=workspace.home, prefix=".verifying-") as folder,
        _opened(path) as file,
        scratch(Path(folder) / "store.db") as engine,
    ):
        header, proof = _fill(workspace, file, engine, folders, journal, progress)
    if journal is None or not prune_journal or proof.faults or proof.shortfalls:
        return proof
    return replace(proof, pruned=prune(journal, header.log_size))


def prove_store(workspace: Workspace, folders: Sequence[Path]) -> Proof:
    """The database's own check, the log, the tables against it, and what is published."""
    engine = open_engine(workspace.store_url, create=False)
    try:
        if faults := engine.faults():
            return Proof(0, 0, None, tuple(faults), ())  # what is read from it says nothing
        store = Store(engine)
        published = _published(workspace, store, folders)  # before the snapshot: others are at work
        with engine.snapshot():
            verdict = verify_log(store)
            faults = [*verdict.faults, *account(engine)]
            lacks = _lacks(store, published)
    finally:
        engine.close()
    return Proof(verdict.entries, 0, None, tuple(faults), lacks)


@dataclass(frozen=True, slots=True)
class Restored:
    """A store that came back."""

    url: str
    header: Header
    proof: Proof
    sealed: bool
    """Whether the log was signed with the entry of the restore: the audit key's token may be elsewhere yet."""


def restore(
    workspace: Workspace,
    path: Path,
    to: str | None,
    folders: Sequence[Path],
    journal: Path | None,
    progress: Progress = lambda _: None,
) -> Restored:
    """Make the store from a backup where there is none; refused if it would forget what was published."""
    url = workspace.store_url if to is None else workspace.address(to)
    with _opened(path) as file, empty_place(url) as engine:
        header, proof = _fill(workspace, file, engine, folders, journal, progress)
        if proof.faults:
            raise IntegrityFailure(
                "backup.contradiction",
                f"the backup contradicts itself: {'; '.join(proof.faults)}",
                "use another copy, or an older",
            )
        if proof.shortfalls:
            first = proof.shortfalls[0]
            raise Refused(first.code, "; ".join(item.message for item in proof.shortfalls), first.remedy)
        facts = {
            "backup": proof.sha256,
            "backup_entries": header.log_size,
            "replayed": proof.replayed,
            "policies": workspace.policies.digest,
        }
        _log(engine, _journal(workspace, url), Act("store.restored", workspace.person.name, workspace.clock(), facts))
    return Restored(url, header, proof, _sign(workspace, url))


def _journal(workspace: Workspace, url: str) -> Path | None:
    """The journal of a store at this address."""
    return workspace.journal if url.startswith("sqlite:") else None


def _log(engine: Engine, folder: Path | None, act: Act) -> None:
    """The entry of the restore; it stands in the journal too, so that this goes on without a gap."""
    store = Store(engine)
    with nullcontext() if folder is None else Journal(folder).act(store, engine):
        store.append([act])


def _sign(workspace: Workspace, url: str) -> bool:
    """Sign the log as it now is: a store that was lost and turns up again is told apart from this one."""
    store = Store.open(url, _journal(workspace, url))
    workspace.use_store(store)
    try:
        seal(workspace)
    except Unavailable:
        return False
    return True


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        with path.open("rb", buffering=1 << 20) as file:
            yield file
    except OSError as error:
        if error.filename != str(path):
            raise
        raise InvalidInput("backup.unreadable", f"{path}: {error.strerror}", "name a file you can read") from None


def _fill(
    workspace: Workspace,
    file: BinaryIO,
    engine: Engine,
    folders: Sequence[Path],
    journal: Path | None,
    progress: Progress,
) -> tuple[Header, Proof]:
    reader = Reader(file)
    store = load(reader, engine, progress)
    replayed = 0 if journal is None else replay(journal, store, engine)
    faults = (*_checkpoint_faults(store), *account(engine))
    lacks = _lacks(store, _published(workspace, store, folders))
    return reader.header, Proof(store.audit_size(), replayed, reader.sha256, faults, lacks)


def _checkpoint_faults(store: Store) -> Iterator[str]:
    """Whether each checkpoint in it is signed and of this log. The tree itself was just made from its entries."""
    for _, note in store.checkpoints():
        try:
            if store.audit_key is None:
                raise IntegrityFailure("audit.no-key", "there are checkpoints and no audit key", "use another copy")
            store.refuse_fork(read_checkpoint(note, store.audit_key))
        except SmkiError as error:
            yield error.message


def _published(workspace: Workspace, store: Store, folders: Sequence[Path]) -> list[Published | Shortfall]:
    """Beside what it is told to look at, it always looks at what this workspace published."""
    own = workspace.home / PUBLISHED
    asked = ([own] if own.is_dir() or not folders else []) + list(folders)
    return [read_published(folder, store.audit_key) for folder in asked]


def _lacks(store: Store, published: Sequence[Published | Shortfall]) -> tuple[Shortfall, ...]:
    return tuple(dict.fromkeys(lack for found in published for lack in shortfalls(store, found)))
