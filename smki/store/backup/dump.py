"""Writing a backup: every table, read in one snapshot, while others go on writing."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, BinaryIO

from smki.errors import IntegrityFailure, Refused
from smki.store import merkle
from smki.store.address import open_engine
from smki.store.backup.form import Header, Writer, kept_tables
from smki.store.engine import Engine
from smki.store.store import Store

BATCH = 1000
HEAVY = {"ceremony": 64, "credential_change": 64, "supplier_change": 1, "crl_piece": 4}
"""Rows that are large, and how many of them are held in memory at once."""
Progress = Callable[[int], None]
"""Told how many rows, or octets, were just done with."""


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup, as its own file tells."""

    header: Header
    rows: dict[str, int]
    octets: int
    sha256: str


def dump(url: str, file: BinaryIO, at: datetime, progress: Progress = lambda _: None) -> Backup:
    """Write the store into a file, over a connection of its own: no act waits for it."""
    engine = open_engine(url, create=False)
    try:
        with engine.snapshot():
            header = _header(engine, at)
            writer = Writer(file, header)
            _rows(engine, header, writer, progress)
            rows = writer.end()
    finally:
        engine.close()
    return Backup(header, rows, file.tell(), writer.sha256)


def _header(engine: Engine, at: datetime) -> Header:
    store = Store(engine)
    version = store.schema_version()
    if version > len(engine.migrations):
        raise Refused("store.newer-schema", f"the database has schema {version}", "use the newer smki that wrote it")
    size = store.audit_size()
    return Header(
        schema=version,
        workspace=store.workspace_id,
        made_at=int(at.timestamp()),
        log_size=size,
        log_root=store.audit_root(size),
        checkpoint=store.latest_checkpoint(),
        tables={name: list(table.columns) for name, table in kept_tables(version).items()},
    )


def _rows(engine: Engine, header: Header, writer: Writer, progress: Progress) -> None:
    tree = merkle.Frontier()
    for table, columns in header.tables.items():
        # In no order: as the database reads fastest. The tree above the log is made in the order of its entries.
        order = " ORDER BY seq" if table == "audit_entry" else ""
        for rows in engine.batches(f"SELECT {', '.join(columns)} FROM {table}{order}", HEAVY.get(table, BATCH)):
            writer.rows(table, rows)
            if table == "audit_entry":
                _grow(tree, rows)
            progress(len(rows))
    if (tree.size, tree.root()) != (header.log_size, header.log_root):
        raise IntegrityFailure(
            "audit.forked", "the log's entries are not those its tree was made of", "run `smki audit verify`"
        )


def _grow(tree: merkle.Frontier, rows: list[tuple[Any, ...]]) -> None:
    for _, body in rows:
        tree.append(body)
