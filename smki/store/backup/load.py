"""Reading a backup into an empty database, inside one transaction of the caller's."""

from typing import Any

from smki.errors import IntegrityFailure, Refused
from smki.store import merkle
from smki.store.backup.dump import Progress
from smki.store.backup.form import Header, Reader
from smki.store.engine import Engine
from smki.store.schema import indexes_at, tables_at
from smki.store.store import Store


def load(reader: Reader, engine: Engine, progress: Progress = lambda _: None) -> Store:
    """Fill the database with what the backup holds, and bring its schema forward. Nothing is committed here.

    Indexes are made when their tables are full: that takes a fraction of the time.
    """
    header = reader.header
    if header.schema > len(engine.migrations):
        raise Refused(
            "backup.newer-schema",
            f"the backup has schema {header.schema}, and this smki knows {len(engine.migrations)}",
            "use the newer smki that wrote it: a schema never goes back",
        )
    store = Store(engine)
    store.bring_forward(header.schema)
    indexes = indexes_at(header.schema)
    for name in indexes:
        engine.execute(f"DROP INDEX {name}")
    _fill(reader, engine, progress)
    for index in indexes.values():
        engine.execute(index)
    if store.workspace_id != header.workspace:
        raise _contradiction("it names two workspaces")
    store.bring_forward(len(engine.migrations))
    return store


def _fill(reader: Reader, engine: Engine, progress: Progress) -> None:
    tables, tree = tables_at(reader.header.schema), _Tree(engine)
    read = reader.read
    for name, rows in reader.rows():
        if name == "audit_entry":
            tree.add(rows)
        # Which schema this database has is its own affair.
        kept = [row for row in rows if row[0] != "schema"] if name == "meta" else rows
        engine.insert(name, tuple(tables[name].columns), kept)
        progress(reader.read - read)
        read = reader.read
    tree.check(reader.header)


class _Tree:
    """The tree above the log, made anew: of each level the last hash, which is all that the next entry asks for."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._last: dict[int, bytes] = {}
        self._tree = merkle.Frontier()

    def add(self, rows: list[tuple[Any, ...]]) -> None:
        nodes: list[tuple[Any, ...]] = []
        for seq, body in rows:
            if seq != self._tree.size:
                raise _contradiction(f"entry {self._tree.size} of its log is missing")
            self._tree.append(body)
            for level, place, digest in merkle.completed_by(seq, merkle.leaf_hash(body), self._node):
                nodes.append((level, place, digest))
                self._last[level] = digest
        self._engine.insert("audit_node", ("level", "place", "hash"), nodes)

    def _node(self, level: int, _: int) -> bytes:
        return self._last[level]

    def check(self, header: Header) -> None:
        if (self._tree.size, self._tree.root()) != (header.log_size, header.log_root):
            raise _contradiction("its log is not the one its header names")


def _contradiction(reason: str) -> IntegrityFailure:
    return IntegrityFailure(
        "backup.contradiction", f"the backup contradicts itself: {reason}", "use another copy, or an older"
    )
