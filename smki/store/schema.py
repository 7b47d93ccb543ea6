"""The schema, step by step. Steps only go forward, each in its own transaction; a newer schema than ours is refused.

Made for two hundred million certificates: keys are binary and short, the indexes few and small, and PostgreSQL
spreads certificates over hash partitions by serial number, which every unique index there must contain.
"""

from collections.abc import Callable, Mapping
from typing import Any

PARTITIONS = 32
Columns = Mapping[str, type]

# Each table: its columns, its primary key. Times are seconds since 1970, UTC.
_FIRST: dict[str, tuple[dict[str, type], tuple[str, ...]]] = {
    "meta": ({"name": str, "value": bytes}, ("name",)),
    "audit_entry": ({"seq": int, "body": bytes}, ("seq",)),
    "audit_node": ({"level": int, "place": int, "hash": bytes}, ("level", "place")),
    "audit_checkpoint": ({"size": int, "root": bytes, "note": str}, ("size",)),
    "token": ({"name": str, "hsm": str, "label": str, "serial": str}, ("name",)),
    "officer": ({"name": str, "public_key": bytes}, ("name",)),
    "ceremony": (
        {"sha256": bytes, "kind": str, "file": bytes, "state": str, "detail": str},
        ("sha256",),
    ),
    "authority": (
        {
            "number": int,
            "name": str,
            "hierarchy": str,
            "tier": str,
            "state": str,
            "issuing": int,
            "profile": str,
            "subject": str,
            "token": str,
            "key_id": bytes,
            "public_key": bytes,
            "issuer": str,
            "serial": bytes,
            "not_after": int,
        },
        ("number",),
    ),
    "contingency": (
        {"authority": str, "token": str, "key_id": bytes, "secret_id": bytes, "public_key": bytes},
        ("authority",),
    ),
    "reservation": ({"issuer": int, "serial": bytes, "purpose": str, "burnt": int}, ("issuer", "serial")),
    "certificate": (
        {
            "issuer": int,
            "serial": bytes,
            "key_hash": bytes,
            "entity": bytes,
            "profile": str,
            "not_before": int,
            "not_after": int,
            "der": bytes,
        },
        ("serial", "issuer"),
    ),
}
_INDEXES = (
    "CREATE UNIQUE INDEX authority_name ON authority (name)",
    "CREATE UNIQUE INDEX authority_issuing ON authority (hierarchy) WHERE issuing = 1",
    "CREATE INDEX certificate_key ON certificate (key_hash)",
    "CREATE INDEX certificate_entity ON certificate (entity) WHERE entity IS NOT NULL",
)
_OPTIONAL = {
    ("authority", "public_key"),
    ("authority", "issuer"),
    ("authority", "serial"),
    ("authority", "not_after"),
    ("certificate", "entity"),
}


def _required(table: str, columns: Columns) -> set[str]:
    return {column for column in columns if (table, column) not in _OPTIONAL}


def first_on_sqlite(connection: Any) -> None:
    """The first schema, through sqlite-utils."""
    from sqlite_utils import Database

    database = Database(connection)
    for table, (columns, key) in _FIRST.items():
        primary: Any = key[0] if len(key) == 1 else key
        # A table without rowid is four times slower to fill here: keep the rowid, and an index of the key.
        database.table(table).create(columns, pk=primary, not_null=_required(table, columns))
    for index in _INDEXES:
        connection.execute(index)


def first_on_postgresql(connection: Any) -> None:
    """The first schema, in PostgreSQL's words."""
    types = {int: "bigint", str: "text", bytes: "bytea"}
    for table, (columns, key) in _FIRST.items():
        required = _required(table, columns)
        lines = [f"{name} {types[kind]}{' NOT NULL' if name in required else ''}" for name, kind in columns.items()]
        spread = " PARTITION BY HASH (serial)" if table == "certificate" else ""
        connection.execute(f"CREATE TABLE {table} ({', '.join(lines)}, PRIMARY KEY ({', '.join(key)})){spread}")
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
