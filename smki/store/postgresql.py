"""PostgreSQL: a server that several nodes share. A lost connection is made again at the next call."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from itertools import count
from typing import Any
from urllib.parse import parse_qs, urlsplit

from smki.errors import IntegrityFailure, InvalidInput, Refused, SmkiError, Unavailable
from smki.store.engine import WAIT_SECONDS
from smki.store.schema import POSTGRESQL

try:
    import psycopg
    from psycopg.conninfo import conninfo_to_dict
except ImportError:
    raise Unavailable(
        "store.no-driver", "the PostgreSQL driver is not installed", "pip install 'smki[postgresql]'"
    ) from None

CONNECT_SECONDS = 10
_PIECE = 500
_SCHEMA_LOCK = 0x736D6B69  # "smki": any number that nobody else would take in this database
_SETTINGS = (
    # "on" waits for our own disk and for a synchronous standby; a stronger setting of the server is left alone.
    "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'",
    f"SET lock_timeout = '{WAIT_SECONDS}s'",
    # Every question of ours has its index; of a table that grows fast the planner does not know it yet.
    "SET enable_seqscan = off",
    # A node that vanished in the middle of an act must not keep the others from theirs.
    f"SET idle_in_transaction_session_timeout = '{2 * WAIT_SECONDS}s'",
)


class PostgresqlEngine:
    """The shared store."""

    migrations = POSTGRESQL

    def __init__(self, url: str) -> None:
        _refuse_password(url)
        self._url = url
        self._connection: psycopg.Connection[Any] | None = None
        self._inside = False
        self._streams = count(1)

    @property
    def connection(self) -> "psycopg.Connection[Any]":
        if self._connection is None or self._connection.closed:
            if self._inside:
                raise _gone("the connection was lost")
            self._connection = self._connect()
        return self._connection

    def _connect(self) -> "psycopg.Connection[Any]":
        try:
            connection = psycopg.connect(self._url, autocommit=True, connect_timeout=CONNECT_SECONDS)
            for setting in _SETTINGS:
                connection.execute(setting)
        except psycopg.Error as error:
            raise _explain(error) from None
        return connection

    def execute(self, sql: str, values: tuple[Any, ...] = ()) -> Any:
        statement = sql.replace("?", "%s")
        return self._once(statement, values) if self._inside else self._again(statement, values)

    def _once(self, statement: str, values: tuple[Any, ...] = ()) -> Any:
        try:
            return self.connection.execute(statement.encode(), values)
        except psycopg.Error as error:
            raise _explain(error) from None

    def _again(self, statement: str, values: tuple[Any, ...] = ()) -> Any:
        """A read, or the beginning of a transaction: nothing is done twice by asking over a new connection.

        That a server was restarted shows only when the old connection is used.
        """
        idle = self._connection
        try:
            return self._once(statement, values)
        except Unavailable:
            if idle is None or not idle.closed:
                raise
            return self._once(statement, values)

    def stream(self, sql: str, values: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
        """The server keeps what is not read yet: whoever reads may ask something else in between."""
        name, hold = f"stream_{next(self._streams)}", not self._inside
        cursor = self.connection.cursor(name=name, binary=True, withhold=hold)
        try:
            cursor.execute(sql.replace("?", "%s").encode(), values)
            while rows := cursor.fetchmany(_PIECE):
                yield from rows
        except psycopg.Error as error:
            raise _explain(error) from None
        finally:
            with suppress(psycopg.Error):  # a server that is gone keeps nothing for us
                cursor.close()

    def sparing(self) -> AbstractContextManager[None]:
        return nullcontext()  # the cache is the server's

    def batches(self, sql: str, count: int) -> Iterator[list[tuple[Any, ...]]]:
        try:
            with self.connection.cursor(name="batches", binary=True) as cursor:
                cursor.execute(sql.encode())
                while rows := cursor.fetchmany(count):
                    yield rows
        except psycopg.Error as error:
            raise _explain(error) from None

    def insert(self, table: str, columns: tuple[str, ...], rows: Sequence[tuple[Any, ...]]) -> None:
        statement = f"COPY {table} ({', '.join(columns)}) FROM STDIN"
        try:
            with self.connection.cursor() as cursor, cursor.copy(statement.encode()) as copy:
                for row in rows:
                    copy.write_row(row)
        except psycopg.Error as error:
            raise _explain(error) from None

    @contextmanager
    def transaction(self) -> Iterator[None]:
        if self._inside:
            raise RuntimeError("a transaction inside a transaction")
        # Each statement sees what was committed before it: the head of the log is read after its lock is held.
        self._again("BEGIN ISOLATION LEVEL READ COMMITTED")
        self._inside = True
        try:
            yield
            self._commit()
        except BaseException:
            self._roll_back()
            raise
        finally:
            self._inside = False

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        self._again("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        self._inside = True
        try:
            self._once("SELECT 1 FROM meta").fetchone()  # the moment is that of the first read
            yield
        finally:
            self._roll_back()
            self._inside = False

    def faults(self) -> list[str]:
        """Pages whose checksum was found wrong, where the cluster has checksums (`initdb --data-checksums`)."""
        found = self.execute(
            "SELECT checksum_failures FROM pg_stat_database WHERE datname = current_database()"
        ).fetchone()
        return [f"{found[0]} pages with a wrong checksum were read"] if found and found[0] else []

    def _commit(self) -> None:
        connection = self.connection
        try:
            status = connection.execute("COMMIT").statusmessage
        except psycopg.Error as error:
            if connection.closed:
                raise Unavailable(
                    "store.unsure",
                    "the connection was lost in the moment of recording: the act is on record whole, or not at all",
                    "when the server is back, run the same command: it goes on from what is on record",
                ) from None
            raise _explain(error) from None
        if status != "COMMIT":  # the answer when a statement inside had failed and was not let through
            raise IntegrityFailure("store.not-committed", f"PostgreSQL answered {status} to COMMIT", "report this")

    def _roll_back(self) -> None:
        if self._connection is not None and not self._connection.closed:
            with suppress(psycopg.Error):
                self._connection.execute("ROLLBACK")
                return
            self._connection.close()

    def lock_log(self) -> None:
        """A row that every store has and no act changes; any server that speaks PostgreSQL's words honours it."""
        self._once("SELECT 1 FROM meta WHERE name = 'schema' FOR UPDATE")

    def lock_schema(self) -> None:
        self._once("SELECT pg_advisory_xact_lock(%s)", (_SCHEMA_LOCK,))

    def has_schema(self) -> bool:
        # From the catalogue as it is now: to_regclass answers from memory, which may be older than a lock just taken.
        tables = "SELECT 1 FROM pg_catalog.pg_tables WHERE tablename = 'meta'"
        return self.execute(f"{tables} AND schemaname = ANY (current_schemas(false))").fetchone() is not None

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()


def _refuse_password(url: str) -> None:
    """An address is shown, logged and kept in a file that others may read; what the driver makes of it decides."""
    form = InvalidInput("store.url", "the store's address is not of its form", "use postgresql://HOST/DATABASE")
    try:
        parts = urlsplit(url)
        secret = parts.password is not None or {"password", "sslpassword"} & set(parse_qs(parts.query))
        # Looked at twice, because the driver's own complaint about an address repeats it.
        secret = secret or {"password", "sslpassword"} & set(conninfo_to_dict(url))
    except (ValueError, psycopg.Error):
        raise form from None
    if secret:
        raise Refused(
            "store.password",
            "the store's address holds a password",
            "put it in ~/.pgpass (mode 0600), or name the file in PGPASSFILE or a service in ~/.pg_service.conf",
        )


def _gone(reason: str) -> Unavailable:
    return Unavailable("store.unreachable", f"PostgreSQL: {reason}", "check the server, and run the same again")


def _explain(error: psycopg.Error) -> SmkiError:
    reason = " ".join(str(error).split())[:200]
    codes = psycopg.errors
    if isinstance(error, codes.UniqueViolation):
        return Refused("store.conflict", f"the store holds this already ({reason})", "look at what is there")
    if isinstance(error, (codes.LockNotAvailable, codes.DeadlockDetected, codes.SerializationFailure)):
        return Unavailable("store.busy", "the store is in use by another act", "wait for it to end, and try again")
    if isinstance(error, (codes.DiskFull, codes.OutOfMemory)):
        return Unavailable("store.full", f"the database server has no room ({reason})", "make room, and run it again")
    if isinstance(error, (codes.InsufficientPrivilege, codes.ReadOnlySqlTransaction)):
        return Unavailable(
            "store.closed", f"PostgreSQL: {reason}", "grant the role what it needs, on the main server"
        )
    if isinstance(error, (codes.DataCorrupted, codes.IndexCorrupted, codes.UndefinedTable, codes.UndefinedColumn)):
        return IntegrityFailure(
            "store.damaged", f"this is not an intact database of ours ({reason})", "restore it from a backup"
        )
    if isinstance(error, (psycopg.IntegrityError, psycopg.DataError)):
        return IntegrityFailure("store.constraint", f"the store refuses a value ({reason})", "report this")
    if 'FATAL:  database "' in str(error):  # libpq gives no SQLSTATE for a connection that was refused
        return Unavailable("store.missing", f"PostgreSQL: {reason}", "create it, or correct the store's address")
    return _gone(reason)
