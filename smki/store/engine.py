"""The two engines: how each is opened, how a transaction begins, and what its errors mean.

Everything else about the store is written once. SQL uses `?` for a value; PostgreSQL's driver is given `%s`.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from smki.errors import IntegrityFailure, InvalidInput, Refused, SmkiError, Unavailable
from smki.store.schema import POSTGRESQL, SQLITE, Migration

BUSY_SECONDS = 30
_LOG_LOCK = 0x736D6B69  # "smki": one appender to the log at a time, held to the end of the transaction


class Engine(Protocol):
    """What the store needs of a database."""

    name: str
    migrations: tuple[Migration, ...]

    def execute(self, sql: str, values: tuple[Any, ...] = ()) -> Any: ...
    def transaction(self) -> Any: ...
    def lock_log(self) -> None: ...
    def has_schema(self) -> bool: ...
    def close(self) -> None: ...
    @property
    def connection(self) -> Any: ...


class SqliteEngine:
    """One file, write-ahead log, every commit on the disk before it is believed."""

    name = "sqlite"
    migrations = SQLITE

    def __init__(self, path: Path, *, create: bool) -> None:
        if not create and not path.exists():
            raise Unavailable("store.missing", f"there is no database {path}", "restore it, or run `smki init`")
        with self._explained(path):
            if create and not path.exists():
                path.touch(mode=0o600)
            self.connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
            self.connection.execute("PRAGMA journal_mode = WAL")
            self.connection.execute("PRAGMA synchronous = FULL")
        self._path = path

    @staticmethod
    @contextmanager
    def _explained(path: Path) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise _explain_sqlite(error, path) from None

    def execute(self, sql: str, values: tuple[Any, ...] = ()) -> sqlite3.Cursor:
        with self._explained(self._path):
            return self.connection.execute(sql, values)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        self.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.execute("COMMIT")
        except BaseException:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            raise

    def lock_log(self) -> None:
        """BEGIN IMMEDIATE already made us the only writer."""

    def has_schema(self) -> bool:
        found = self.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'meta'").fetchone()
        return found is not None

    def close(self) -> None:
        self.connection.close()


def _explain_sqlite(error: sqlite3.Error, path: Path) -> SmkiError:
    code = getattr(error, "sqlite_errorname", "")
    if code.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return Unavailable("store.busy", f"{path} is in use by another act", "wait for it to end, and try again")
    if code.startswith("SQLITE_FULL"):
        return Unavailable("store.full", f"no room on the disk for {path}", "make room, and run the same again")
    if code.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
        return IntegrityFailure("store.damaged", f"{path} is not an intact database", "restore it from a backup")
    if code.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
        return Unavailable("store.closed", f"{path} cannot be opened or written", "mend its permissions")
    if code.startswith("SQLITE_CONSTRAINT"):
        return Refused("store.conflict", f"the store holds this already ({error})", "look at what is there")
    return Unavailable("store.error", f"{path}: {error}", "check the disk, and run `smki audit verify`")


class PostgresqlEngine:
    """A server that several nodes share; the connection is made again when it was lost."""

    name = "postgresql"
    migrations = POSTGRESQL

    def __init__(self, url: str) -> None:
        try:
            import psycopg
        except ImportError:
            raise Unavailable(
                "store.no-driver", "the PostgreSQL driver is not installed", "pip install 'smki[postgresql]'"
            ) from None
        from urllib.parse import parse_qs, urlsplit

        parts = urlsplit(url)
        if parts.password is not None or "password" in parse_qs(parts.query):
            raise Refused("store.password", "the store's url holds a password", "put it in ~/.pgpass, mode 0600")
        self._psycopg = psycopg
        self._url = url
        self._connection: Any = None

    @property
    def connection(self) -> Any:
        if self._connection is None or self._connection.closed:
            try:
                self._connection = self._psycopg.connect(self._url, autocommit=True, connect_timeout=10)
            except self._psycopg.Error as error:
                raise self._explain(error) from None
        return self._connection

    def _explain(self, error: Any) -> SmkiError:
        reason = " ".join(str(error).split())[:200]
        if isinstance(error, self._psycopg.errors.IntegrityError):
            return Refused("store.conflict", f"the store holds this already ({reason})", "look at what is there")
        if isinstance(error, self._psycopg.errors.DiskFull):
            return Unavailable("store.full", "no room on the database server's disk", "make room, and run it again")
        return Unavailable("store.unreachable", f"PostgreSQL: {reason}", "check the server, and run the same again")

    def execute(self, sql: str, values: tuple[Any, ...] = ()) -> Any:
        try:
            return self.connection.execute(sql.replace("?", "%s"), values)
        except self._psycopg.Error as error:
            raise self._explain(error) from None

    @contextmanager
    def transaction(self) -> Iterator[None]:
        try:
            with self.connection.transaction():
                yield
        except self._psycopg.Error as error:
            raise self._explain(error) from None

    def lock_log(self) -> None:
        self.execute("SELECT pg_advisory_xact_lock(?)", (_LOG_LOCK,))

    def has_schema(self) -> bool:
        return self.execute("SELECT to_regclass('meta')").fetchone()[0] is not None

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()


def open_engine(url: str, *, create: bool) -> Engine:
    """The engine an address names."""
    scheme, _, rest = url.partition(":")
    makers: dict[str, Callable[[], Engine]] = {
        "sqlite": lambda: SqliteEngine(Path(rest), create=create),
        "postgresql": lambda: PostgresqlEngine(url),
    }
    if scheme not in makers:
        raise InvalidInput("store.url", f"no store is reached by {scheme[:20]!r}", "use sqlite: or postgresql:")
    return makers[scheme]()
