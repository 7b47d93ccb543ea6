"""What the store asks of a database, and which database an address names.

Everything else about the store is written once. SQL uses `?` for a value;
each engine gives its driver the sign it wants.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from smki.errors import InvalidInput
from smki.store.schema import Migration

WAIT_SECONDS = 30  # how long an act waits for another to end before it says that the store is busy


class Engine(Protocol):
    """A database, seen from the store."""

    @property
    def migrations(self) -> tuple[Migration, ...]:
        """Every step of the schema, oldest first."""

    @property
    def connection(self) -> Any:
        """What a migration works on."""

    def execute(self, sql: str, values: tuple[Any, ...] = ()) -> Any:
        """One statement; outside a transaction it may only read."""

    def stream(self, sql: str, values: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
        """The rows of a query one by one, however many; nothing else is asked in between."""

    def sparing(self) -> AbstractContextManager[None]:
        """What is read or written inside is large, passes once, and is not to be held in memory."""

    def batches(self, sql: str, count: int) -> Iterator[list[tuple[Any, ...]]]:
        """The rows of a query, so many at a time, inside a snapshot or transaction: the fastest way to read all."""

    def insert(self, table: str, columns: tuple[str, ...], rows: Sequence[tuple[Any, ...]]) -> None:
        """Many rows at once, inside a transaction, by the fastest way the database has."""

    def transaction(self) -> AbstractContextManager[None]:
        """All that is executed inside is durable at its end, or none of it ever was. Transactions do not nest."""

    def snapshot(self) -> AbstractContextManager[None]:
        """All that is read inside is of one moment; whoever writes goes on meanwhile."""

    def faults(self) -> list[str]:
        """What the database itself finds wrong with its files."""

    def lock_log(self) -> None:
        """From here to the end of the transaction, nobody else appends to the log."""

    def lock_schema(self) -> None:
        """From here to the end of the transaction, nobody else changes the schema."""

    def has_schema(self) -> bool: ...

    def close(self) -> None: ...


def open_engine(url: str, *, create: bool) -> Engine:
    """The engine an address names; a SQLite file is made only where `create` says so."""
    # Each engine is imported when it is the one: a command that reads a SQLite file pays for nothing else.
    scheme, _, rest = url.partition(":")
    if scheme == "sqlite" and rest:
        from smki.store.sqlite import SqliteEngine

        return SqliteEngine(Path(rest), create=create)
    if scheme == "postgresql":
        from smki.store.postgresql import PostgresqlEngine

        return PostgresqlEngine(url)
    raise InvalidInput(
        "store.url", f"no store is reached by {scheme[:20]!r}", "use sqlite:PATH or postgresql://HOST/DATABASE"
    )
