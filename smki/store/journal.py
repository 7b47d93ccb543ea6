"""The journal: every act on a second disk before it is believed, as the statements that it was made of.

A backup knows what was done before it; the journal what was done since. So a store on one disk can be lost without
losing a single act, however recent: the backup is restored, then the acts are done again in their order. A shared
PostgreSQL has standby servers and an archive of its own for that (docs/backup.md), and takes no journal.

One file an act, called after the log's size before it. The file is whole on the disk before the act is committed. An
act that was written and not committed has the place of the one that comes after it, which replaces the file.
"""

import fcntl
import hashlib
import os
import secrets
import stat
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from smki.errors import IntegrityFailure, Refused, Unavailable
from smki.store.engine import Engine
from smki.store.journal_form import LENGTH_OCTETS, End, Frame, Head, Insert, Statement, encode, read_frame
from smki.store.records import Entry
from smki.store.schema import Migration

MARK = "smki-journal"  # stands in the folder, and so tells that its disk is there
_MAX_MARK_OCTETS = 100
DIGITS = 16  # of a file's name: names sort as numbers


class Log(Protocol):
    """Of a store what a journal asks: whose it is, and the entries of its log."""

    @property
    def workspace_id(self) -> bytes: ...
    @property
    def origin(self) -> str: ...
    def schema_version(self) -> int: ...
    def audit_size(self) -> int: ...
    def audit_root(self, size: int) -> bytes: ...
    def audit_entries(self, start: int, end: int) -> Iterator[Entry]: ...
    def append_bodies(self, bodies: Sequence[tuple[int, bytes]]) -> None: ...


class Recorder:
    """An engine that also writes down what changes. Reading goes by unwritten."""

    def __init__(self, engine: Engine, file: BinaryIO) -> None:
        self._engine = engine
        self._file = file
        self._digest = hashlib.sha256()

    def put(self, frame: Frame) -> None:
        octets = encode(frame)
        framed = len(octets).to_bytes(LENGTH_OCTETS) + octets
        self._digest.update(framed)
        self._file.write(framed)

    def end(self, after: int, root: bytes) -> None:
        self.put(End(after, root, self._digest.digest()))

    def execute(self, sql: str, values: tuple[Any, ...] = ()) -> Any:
        if not sql.startswith("SELECT"):
            self.put(Statement(sql, values))
        return self._engine.execute(sql, values)

    def insert(self, table: str, columns: tuple[str, ...], rows: Sequence[tuple[Any, ...]]) -> None:
        self.put(Insert(table, columns, list(rows)))
        self._engine.insert(table, columns, rows)

    # What changes nothing

    @property
    def migrations(self) -> tuple[Migration, ...]:
        return self._engine.migrations

    @property
    def connection(self) -> Any:
        return self._engine.connection

    def stream(self, sql: str, values: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
        return self._engine.stream(sql, values)

    def batches(self, sql: str, count: int) -> Iterator[list[tuple[Any, ...]]]:
        return self._engine.batches(sql, count)

    def sparing(self) -> AbstractContextManager[None]:
        return self._engine.sparing()

    def transaction(self) -> AbstractContextManager[None]:
        return self._engine.transaction()

    def snapshot(self) -> AbstractContextManager[None]:
        return self._engine.snapshot()

    def faults(self) -> list[str]:
        return self._engine.faults()

    def lock_log(self) -> None:
        self._engine.lock_log()

    def lock_schema(self) -> None:
        self._engine.lock_schema()

    def has_schema(self) -> bool:
        return self._engine.has_schema()

    def close(self) -> None:
        self._engine.close()


class Journal:
    """The folder on the second disk. It is one workspace's: the first act writes its name into the mark."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._is_ours = False
        # Never made here: where the disk is not mounted, its folder would be one on the disk that is to be outlived.
        if not (folder / MARK).exists():
            raise Unavailable(
                "journal.missing",
                f"{folder} is no journal",
                f"mount its disk; a new one is begun by `touch {folder}/{MARK}`",
            )
        refuse_loose(folder)

    @contextmanager
    def act(self, log: Log, engine: Engine) -> Iterator[Engine]:
        """What is changed through this engine, and the entries of it, are on the second disk when the block ends."""
        before = log.audit_size()
        path = self._folder / f"{before:0{DIGITS}}"
        part = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
        try:
            self._claim(log.origin)
            self._refuse_behind(path)
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    recorder = Recorder(engine, file)
                    recorder.put(Head(log.schema_version(), log.workspace_id, before))
                    yield recorder
                    after = log.audit_size()
                    entries: list[tuple[Any, ...]] = [
                        (entry.seq, entry.body) for entry in log.audit_entries(before, after)
                    ]
                    recorder.put(Insert("audit_entry", ("seq", "body"), entries))
                    recorder.end(after, log.audit_root(after))
                    file.flush()
                    os.fsync(file.fileno())
                part.replace(path)
                self._sync()
            finally:
                part.unlink(missing_ok=True)
        except OSError as error:
            raise Unavailable(
                "journal.closed",
                f"{self._folder}: {error.strerror}",
                "mend the disk of the journal, and run it again",
            ) from None

    def _claim(self, origin: str) -> None:
        """Two workspaces in one folder would write over each other's acts."""
        if self._is_ours:
            return
        with (self._folder / MARK).open("r+b") as mark:
            fcntl.flock(mark, fcntl.LOCK_EX)
            name = mark.read(_MAX_MARK_OCTETS).strip()
            if not name:
                mark.write(f"{origin}\n".encode())
                mark.flush()
                os.fsync(mark.fileno())
            elif name != origin.encode():
                raise Refused(
                    "journal.other",
                    f"{self._folder} is the journal of {name.decode(errors='replace')}, and this is {origin}",
                    "name a folder of its own in smki.toml",
                )
        self._is_ours = True

    def _refuse_behind(self, path: Path) -> None:
        """An old database that was put back does not write over acts that are in no database any more."""
        if path.exists() and (after := _after(path)) is not None:
            following = self._folder / f"{after:0{DIGITS}}"
            if following.exists():
                raise IntegrityFailure(
                    "journal.ahead",
                    f"the journal goes on at entry {after}, and the database has {int(path.name)}: it is an old one",
                    "stop, keep both; restore a backup with the journal",
                )

    def _sync(self) -> None:
        descriptor = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def refuse_loose(folder: Path) -> None:
    """What is in the journal becomes the store: nobody else may write there, as in a workspace."""
    status = folder.stat()
    mode = stat.S_IMODE(status.st_mode)
    if mode & 0o022 or status.st_uid not in {os.geteuid(), 0}:
        raise Refused(
            "journal.loose-mode",
            f"others can change {folder} (mode {mode:04o})",
            f"chmod {mode & ~0o022:04o} {folder}, as its owner, and ask who could have used it",
        )


def prune(folder: Path, size: int) -> int:
    """Remove the acts that a backup of a log of this size holds; say how many. By their names: an act of the time in
    which the backup was written may be older than its file, and not be in it."""
    refuse_loose(folder)
    held = [path for path in folder.glob("[0-9]" * DIGITS) if int(path.name) < size]
    try:
        for path in sorted(held):
            path.unlink(missing_ok=True)
    except OSError as error:
        raise Unavailable("journal.closed", f"{folder}: {error.strerror}", "mend the disk of the journal") from None
    return len(held)


def _after(path: Path) -> int | None:
    """The log's size after an act; none if it cannot be read."""
    with path.open("rb") as file:
        try:
            while not isinstance(frame := read_frame(file, path)[0], End):
                pass
        except IntegrityFailure:
            return None
    return frame.after
