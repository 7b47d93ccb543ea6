"""Making the schema. Steps only go forward, each in its own transaction; a newer schema than ours is refused."""

import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from smki.store.table import Step, Table
from smki.store.tables import STEPS

PARTITIONS = 8  # enough for two hundred million; each question for a key or an entity asks them all
Migration = Callable[[Any], None]
_INDEX_NAME = re.compile(r"CREATE (?:UNIQUE )?INDEX (\w+) ")


def tables_at(version: int) -> dict[str, Table]:
    """Every table of one version of the schema, with all its columns."""
    tables: dict[str, Table] = {}
    for step in STEPS[:version]:
        tables |= step.tables
        for column in step.of_certificates:
            name, kind, *more = column.split()
            table = tables["certificate"]
            tables["certificate"] = replace(
                table,
                columns={**table.columns, name: "octets" if kind == "{octets}" else kind},  # type: ignore[dict-item]
                optional=table.optional if more[:2] == ["NOT", "NULL"] else (*table.optional, name),
            )
    return tables


def indexes_at(version: int) -> dict[str, str]:
    """How each index of one version is made, by its name; those of primary keys are part of their tables."""
    made = (index for step in STEPS[:version] for index in step.indexes)
    return {_INDEX_NAME.match(index)[1]: index for index in made}  # type: ignore[index]


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
