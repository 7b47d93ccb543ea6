"""The schema, step by step. Steps only go forward, each in its own transaction; a newer schema than ours is refused.

Made for two hundred million certificates: keys are binary and short, names that repeat are numbers, the indexes few
and small; PostgreSQL spreads certificates over hash partitions by serial number, which every unique index there must
contain.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

PARTITIONS = 32
Kind = Literal["smallint", "bigint", "text", "octets"]


@dataclass(frozen=True, slots=True)
class Table:
    """One table: its columns, its primary key, which columns may be null."""

    columns: dict[str, Kind]
    key: tuple[str, ...]
    optional: tuple[str, ...] = ()


# Times are seconds since 1970, UTC.
_FIRST: dict[str, Table] = {
    "meta": Table({"name": "text", "value": "octets"}, ("name",)),
    "audit_entry": Table({"seq": "bigint", "body": "octets"}, ("seq",)),
    "audit_node": Table({"level": "smallint", "place": "bigint", "hash": "octets"}, ("level", "place")),
    "audit_checkpoint": Table({"size": "bigint", "root": "octets", "note": "text"}, ("size",)),
    "token": Table({"name": "text", "hsm": "text", "label": "text", "serial": "text"}, ("name",)),
    # Every roll there ever was; the one with the highest number is in force.
    "officer": Table({"roll": "bigint", "name": "text", "public_key": "octets"}, ("roll", "name")),
    "ceremony": Table(
        {"sha256": "octets", "kind": "text", "file": "octets", "state": "text", "detail": "text"}, ("sha256",)
    ),
    "authority": Table(
        {
            "name": "text",
            "number": "smallint",
            "hierarchy": "text",
            "tier": "text",
            "state": "text",
            "issuing": "smallint",
            "profile": "text",
            "subject": "text",
            "token": "text",
            "key_id": "octets",
            "public_key": "octets",
            "issuer": "text",
            "serial": "octets",
            "not_after": "bigint",
        },
        ("name",),
        optional=("public_key", "issuer", "serial", "not_after"),
    ),
    "contingency": Table(
        {"authority": "text", "token": "text", "key_id": "octets", "secret_id": "octets", "public_key": "octets"},
        ("authority",),
    ),
    "reservation": Table(
        {
            "reserved_at": "bigint",
            "issuer": "smallint",
            "burnt": "smallint",
            "serial": "octets",
            "purpose": "text",
        },
        ("serial", "issuer"),
    ),
    "profile": Table({"number": "smallint", "name": "text"}, ("number",)),
    "certificate": Table(
        {
            "not_before": "bigint",
            "not_after": "bigint",
            "issuer": "smallint",
            "profile": "smallint",
            "serial": "octets",
            "key_hash": "octets",
            "entity": "octets",
            "der": "octets",
        },
        ("serial", "issuer"),
        optional=("entity",),
    ),
}
_INDEXES = (
    "CREATE UNIQUE INDEX authority_number ON authority (number)",
    "CREATE UNIQUE INDEX authority_issuing ON authority (hierarchy) WHERE issuing = 1",
    "CREATE UNIQUE INDEX profile_name ON profile (name)",
    "CREATE INDEX certificate_key ON certificate (key_hash)",
    "CREATE INDEX certificate_entity ON certificate (entity) WHERE entity IS NOT NULL",
)


def first_on_sqlite(connection: Any) -> None:
    """The first schema, through sqlite-utils."""
    from sqlite_utils import Database

    types = {"smallint": int, "bigint": int, "text": str, "octets": bytes}
    database = Database(connection)
    for name, table in _FIRST.items():
        # A table without rowid is four times slower to fill here: keep the rowid, and an index of the key.
        database.table(name).create(
            {column: types[kind] for column, kind in table.columns.items()},
            pk=table.key[0] if len(table.key) == 1 else table.key,
            not_null=set(table.columns) - set(table.optional),
        )
    for index in _INDEXES:
        connection.execute(index)


def first_on_postgresql(connection: Any) -> None:
    """The first schema, in PostgreSQL's words."""
    for name, table in _FIRST.items():
        lines = [
            f"{column} {kind.replace('octets', 'bytea')}{'' if column in table.optional else ' NOT NULL'}"
            for column, kind in table.columns.items()
        ]
        lines.append(f"PRIMARY KEY ({', '.join(table.key)})")
        spread = " PARTITION BY HASH (serial)" if name == "certificate" else ""
        connection.execute(f"CREATE TABLE {name} ({', '.join(lines)}){spread}")
    for part in range(PARTITIONS):
        connection.execute(
            f"CREATE TABLE certificate_{part:02d} PARTITION OF certificate"
            f" FOR VALUES WITH (MODULUS {PARTITIONS}, REMAINDER {part})"
        )
    for index in _INDEXES:
        connection.execute(index)


Migration = Callable[[Any], None]
SQLITE: tuple[Migration, ...] = (first_on_sqlite,)
POSTGRESQL: tuple[Migration, ...] = (first_on_postgresql,)
