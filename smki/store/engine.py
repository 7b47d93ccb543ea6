"""What the store asks of a database.

Everything else about the store is written once. SQL uses `?` for a value;
each engine gives its driver the sign it wants.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

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

    def has_schema(self) -> bool:
        """Whether any step of the schema was taken; an empty database has none."""

    def close(self) -> None: ...
