"""Making the schema. Steps only go forward, each in its own transaction; a newer schema than ours is refused."""

from collections.abc import Callable
from functools import partial
from typing import Any

from smki.store.tables import STEPS, Step, Table

PARTITIONS = 8  # enough for two hundred million; each question for a key or an entity asks them all
Migration = Callable[[Any], None]


def _on_sqlite(step: Step, connection: Any) -> None:
    """Through sqlite-utils."""
    from sqlite_utils import Database

    for column in step.of_certificates:
        connection.execute(f"ALTER TABLE certificate ADD COLUMN {column.format(octets='blob')}")
    types = {"smallint": int, "bigint": int, "text": str, "octets": bytes}
    database = Database(connection)
    for name, table in step.tables.items():
        # A table without rowid is four times slower to fill here: keep the rowid, and an index of the key.
        database.table(name).create(
            {column: types[kind] for column, kind in table.columns.items()},
            pk=table.key[0] if len(table.key) == 1 else table.key,
            not_null=set(table.columns) - set(table.optional),
        )
    for index in step.indexes:
        connection.execute(index)


def _on_postgresql(step: Step, connection: Any) -> None:
    """In PostgreSQL's words."""
    for column in step.of_certificates:
        connection.execute(f"ALTER TABLE certificate ADD COLUMN {column.format(octets='bytea')}")
    for name, table in step.tables.items():
        _create_on_postgresql(connection, name, table)
    for index in step.indexes:
        connection.execute(index)


def _create_on_postgresql(connection: Any, name: str, table: Table) -> None:
    lines = [
        f"{column} {kind.replace('octets', 'bytea')}{'' if column in table.optional else ' NOT NULL'}"
        for column, kind in table.columns.items()
    ]
    lines.append(f"PRIMARY KEY ({', '.join(table.key)})")
    spread = " PARTITION BY HASH (serial)" if name == "certificate" else ""
    connection.execute(f"CREATE TABLE {name} ({', '.join(lines)}){spread}")
    for part in range(PARTITIONS if spread else 0):
        connection.execute(
            f"CREATE TABLE certificate_{part:02d} PARTITION OF certificate"
            f" FOR VALUES WITH (MODULUS {PARTITIONS}, REMAINDER {part})"
        )


SQLITE: tuple[Migration, ...] = tuple(partial(_on_sqlite, step) for step in STEPS)
POSTGRESQL: tuple[Migration, ...] = tuple(partial(_on_postgresql, step) for step in STEPS)
