"""SQLite: one file, a write-ahead log, every commit on the disk before it is believed."""

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from smki.errors import IntegrityFailure, Refused, SmkiError, Unavailable
from smki.store.engine import WAIT_SECONDS
from smki.store.schema import SQLITE

_CACHE = -65536  # 64 MB: the index by key has no order, and a million of them stay in memory
_SPARING_CACHE = -1024  # 1 MB: what passes through once


class SqliteEngine:
    """The embedded default."""

    migrations = SQLITE

    def __init__(self, path: Path, *, create: bool) -> None:
        self._path = path.absolute()
        if not self._path.exists():
            if not create:
                raise Unavailable("store.missing", f"there is no database {path}", "restore it, or run `smki init`")
            _make_private(self._path)
        with self._explained():
            self.connection = sqlite3.connect(self._path, timeout=WAIT_SECONDS, isolation_level=None)
        try:
            for setting in (
                "journal_mode = WAL",
                "synchronous = FULL",  # NORMAL would lose the last commits in a power failure
                f"cache_size = {_CACHE}",
                "wal_autocheckpoint = 16384",  # pages, 64 MB: a page that many acts touch is copied once for all
                "trusted_schema = OFF",  # a tampered file must not run functions through its views and triggers
            ):
                self.execute(f"PRAGMA {setting}")
        except BaseException:
            self.connection.close()
            raise

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise _explain(error, self._path) from None

    def execute(self, sql: str, values: tuple[Any, ...] = ()) -> sqlite3.Cursor:
        with self._explained():
            return self.connection.execute(sql, values)

    def stream(self, sql: str, values: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
        with self.sparing():
            cursor = self.execute(sql, values)
            with self._explained():
                yield from cursor

    @contextmanager
    def sparing(self) -> Iterator[None]:
        # Its pages would stay in the cache, and of what a cache gave back the process keeps the most.
        self.execute(f"PRAGMA cache_size = {_SPARING_CACHE}")
        try:
            yield
        finally:
            self.execute(f"PRAGMA cache_size = {_CACHE}")

    def batches(self, sql: str, count: int) -> Iterator[list[tuple[Any, ...]]]:
        cursor = self.execute(sql)
        with self._explained():
            while rows := cursor.fetchmany(count):
                yield rows

    def insert(self, table: str, columns: tuple[str, ...], rows: Sequence[tuple[Any, ...]]) -> None:
        places = ", ".join("?" * len(columns))
        with self._explained():
            self.connection.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({places})", rows)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        if self._inside():
            raise RuntimeError("a transaction inside a transaction")
        self.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.execute("COMMIT")
        except BaseException:
            # A full disk makes SQLite roll back by itself.
            if self._inside():
                self.connection.execute("ROLLBACK")
            raise

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        self.execute("BEGIN DEFERRED")
        try:
            self.execute("SELECT 1 FROM sqlite_master").fetchone()  # the moment is that of the first read
            yield
        finally:
            self.connection.execute("ROLLBACK")

    def faults(self) -> list[str]:
        try:
            return [line for (line,) in self.connection.execute("PRAGMA integrity_check(20)") if line != "ok"]
        except sqlite3.Error as error:
            return [str(error)]

    def _inside(self) -> bool:
        return self.connection.in_transaction

    def lock_log(self) -> None:
        """BEGIN IMMEDIATE already made us the only writer."""

    def lock_schema(self) -> None:
        """BEGIN IMMEDIATE already made us the only writer."""

    def has_schema(self) -> bool:
        found = self.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'meta'").fetchone()
        return found is not None

    def close(self) -> None:
        self.connection.close()


def _make_private(path: Path) -> None:
    """An empty file that only its owner may read; SQLite gives its companions the same mode."""
    try:
        path.touch(mode=0o600)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise Unavailable(
            "store.closed", f"{path} cannot be made: {error.strerror}", "choose a folder you may write to"
        ) from None


def _explain(error: sqlite3.Error, path: Path) -> SmkiError:
    code = getattr(error, "sqlite_errorname", "")
    if code.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return Unavailable("store.busy", f"{path} is in use by another act", "wait for it to end, and try again")
    if code.startswith("SQLITE_FULL"):
        return Unavailable("store.full", f"no room on the disk for {path}", "make room, and run the same again")
    if code.startswith("SQLITE_IOERR"):
        return Unavailable("store.disk", f"the disk failed under {path}: {error}", "check the disk, then the log")
    if code.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_AUTH")):
        return Unavailable("store.closed", f"{path} cannot be opened or written", "mend its permissions")
    if code in {"SQLITE_CONSTRAINT_UNIQUE", "SQLITE_CONSTRAINT_PRIMARYKEY"}:
        return Refused("store.conflict", f"the store holds this already ({error})", "look at what is there")
    if code.startswith("SQLITE_CONSTRAINT"):
        return IntegrityFailure("store.constraint", f"the store refuses a value ({error})", "report this")
    # SQLITE_NOTADB and SQLITE_CORRUPT say it; SQLITE_ERROR here means a table or column that is not there.
    return IntegrityFailure(
        "store.damaged", f"{path} is not an intact database of ours ({error})", "restore it from a backup"
    )
