"""A backup: the same for both engines, whole or found out, of any version of the schema."""

import hashlib
import io
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smki.errors import IntegrityFailure, InvalidInput, SmkiError
from smki.store.address import open_engine
from smki.store.backup.dump import dump
from smki.store.backup.form import MAGIC, MAX_BLOCK_OCTETS, Reader, kept_tables
from smki.store.backup.load import load
from smki.store.backup.place import empty_place
from smki.store.engine import Engine
from smki.store.note import Checkpoint
from smki.store.records import Act
from smki.store.schema import tables_at
from smki.store.store import Store
from smki.store.tables import STEPS
from tests.postgres import Server
from tests.store.conftest import WORKSPACE

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
VALUES: dict[str, tuple[Any, Any]] = {
    "smallint": (-32768, 32767),
    "bigint": (-(1 << 63), (1 << 63) - 1),
    "text": ("", "Zoë\n\t\\N; DROP TABLE meta"),
    "octets": (b"", bytes(range(256))),
}


def fill(url: str, schema: int = len(STEPS)) -> None:
    """Two rows in every table, of the smallest values and of the largest; what may be nothing is, once."""
    with closing(open_engine(url, create=True)) as engine, engine.transaction():
        store = Store(engine)
        store.bring_forward(schema)
        store._set_meta("workspace", WORKSPACE)
        for name, table in tables_at(schema).items():
            if name.startswith("audit_") or name == "meta":
                continue
            low, high = zip(*(VALUES[kind] for kind in table.columns.values()), strict=True)
            low = tuple(
                None if column in table.optional else value for column, value in zip(table.columns, low, strict=True)
            )
            engine.insert(name, tuple(table.columns), [low, high])
        store.append([Act("test", "Zoë", NOW, {"n": n}) for n in range(5)])
    with closing(Store(open_engine(url, create=False))) as store:
        store.add_checkpoint(Checkpoint(store.origin, 5, store.audit_root(5)), "a note")


def backup(url: str) -> bytes:
    file = io.BytesIO()
    made = dump(url, file, NOW)
    assert made.sha256 == hashlib.sha256(file.getvalue()).hexdigest()
    assert made.octets == len(file.getvalue())
    return file.getvalue()


def contents(octets: bytes) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for table, rows in Reader(io.BytesIO(octets)).rows():
        found.setdefault(table, []).extend(rows)
    return {table: sorted(rows, key=repr) for table, rows in found.items()}


def restore(octets: bytes, url: str) -> None:
    with empty_place(url) as engine:
        load(Reader(io.BytesIO(octets)), engine)


def places(tmp_path: Path, server: Server) -> dict[str, str]:
    return {"sqlite": f"sqlite:{tmp_path / 'other.db'}", "postgresql": server.fresh()}


@pytest.mark.postgresql
@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_what_one_engine_wrote_either_reads(engine: str, url: str, tmp_path: Path, server: Server) -> None:
    fill(url)
    made = backup(url)
    other = places(tmp_path, server)[engine]
    restore(made, other)
    again = backup(other)
    assert contents(again) == contents(made)
    assert {name for name, rows in contents(made).items() if len(rows) >= 2} >= set(kept_tables(len(STEPS))) - {
        "audit_checkpoint"
    }
    with closing(Store.open(other)) as store:
        assert store.audit_root(5) == Reader(io.BytesIO(made)).header.log_root
        assert store.checkpoints() == [(5, "a note")]
        with store.act(Act("after", "t", NOW)):
            pass


def columns_of(engine: Engine, table: str) -> set[str]:
    if isinstance(engine.connection, sqlite3.Connection):
        return {row[1] for row in engine.execute(f"PRAGMA table_info({table})").fetchall()}
    sql = "SELECT column_name FROM information_schema.columns WHERE table_schema = 'public' AND table_name = ?"
    return {row[0] for row in engine.execute(sql, (table,)).fetchall()}


def indexes_of(engine: Engine) -> set[str]:
    if isinstance(engine.connection, sqlite3.Connection):
        rows = engine.execute("SELECT name FROM sqlite_master WHERE type = 'index'").fetchall()
    else:
        rows = engine.execute("SELECT indexname FROM pg_indexes WHERE schemaname = 'public'").fetchall()
    return {row[0] for row in rows}


@pytest.mark.requirement("R-VER-4")
@pytest.mark.parametrize("schema", range(1, len(STEPS) + 1))
def test_a_backup_of_an_older_schema_comes_forward(schema: int, url: str, tmp_path: Path) -> None:
    """Whatever a step does to the schema, a backup has all of it and a restored store is like one that was made."""
    fill(url, schema)
    with closing(open_engine(url, create=False)) as engine:
        for name, table in tables_at(schema).items():
            assert columns_of(engine, name) == set(table.columns), name
    path = tmp_path / "restored.db"
    restore(backup(url), f"sqlite:{path}")
    made = tmp_path / "made.db"
    Store.create(f"sqlite:{made}", WORKSPACE)[0].close()
    with (
        closing(open_engine(f"sqlite:{path}", create=False)) as one,
        closing(open_engine(f"sqlite:{made}", create=False)) as two,
    ):
        assert indexes_of(one) == indexes_of(two)
        assert Store(one).schema_version() == len(STEPS)


def test_a_restored_store_has_every_index(url: str, tmp_path: Path) -> None:
    fill(url)
    made = backup(url)
    with closing(open_engine(url, create=False)) as engine:
        before = indexes_of(engine)
        if url.startswith("sqlite"):
            other = f"sqlite:{tmp_path / 'other.db'}"
        else:
            engine.connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
            other = url
    restore(made, other)
    with closing(open_engine(other, create=False)) as engine:
        assert indexes_of(engine) == before


# A file that was changed


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    url = f"sqlite:{tmp_path_factory.mktemp('backup') / 'smki.db'}"
    fill(url)
    return backup(url)


def read(octets: bytes) -> None:
    for _ in Reader(io.BytesIO(octets)).rows():
        pass


def refusal(octets: bytes) -> str:
    with pytest.raises(SmkiError) as refused:
        read(octets)
    return refused.value.code


@given(place=st.integers(0), bit=st.integers(0, 7))
def test_a_changed_bit_is_found_wherever_it_is(made: bytes, place: int, bit: int) -> None:
    changed = bytearray(made)
    changed[place % len(made)] ^= 1 << bit
    assert refusal(bytes(changed)) == ("backup.form" if place % len(made) < len(MAGIC) else "backup.damaged")


@given(length=st.integers(0))
def test_a_part_of_a_backup_is_none(made: bytes, length: int) -> None:
    assert refusal(made[: length % len(made)]) == "backup.damaged"


def test_more_after_the_end_is_found(made: bytes) -> None:
    read(made)
    assert refusal(made + b"\x00") == "backup.damaged"
    assert refusal(made + made) == "backup.damaged"


class Untold(io.BytesIO):
    """Notices how much it is asked for at once."""

    asked = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self.asked = max(self.asked, size or 0)
        return super().read(size)


@pytest.mark.requirement("R-LAY-2")
def test_no_more_is_read_at_once_than_a_block_may_have() -> None:
    for length in (0, MAX_BLOCK_OCTETS + 1, (1 << 32) - 1):
        file = Untold(MAGIC + length.to_bytes(4) + bytes(1000))
        with pytest.raises(IntegrityFailure) as refused:
            Reader(file)
        assert refused.value.code == "backup.damaged"
        assert file.asked <= 32


def forged(*blocks: tuple[bytes, Any]) -> bytes:
    """A backup whose digests are right, and whose contents are anybody's."""
    octets = MAGIC
    for kind, value in blocks:
        content = kind + msgspec.msgpack.encode(value)
        octets += len(content).to_bytes(4) + content
        octets += hashlib.sha256(octets).digest()
    return octets


def header(**changes: Any) -> dict[str, Any]:
    schema = len(STEPS)
    return {
        "form": "smki-backup/1",
        "schema": schema,
        "workspace": WORKSPACE,
        "made_at": 0,
        "log_size": 0,
        "log_root": hashlib.sha256(b"").digest(),
        "checkpoint": None,
        "tables": {name: list(table.columns) for name, table in kept_tables(schema).items()},
        **changes,
    }


COUNTS = dict.fromkeys(kept_tables(len(STEPS)), 0)
META = ["meta", [["workspace", WORKSPACE]]]


BAD: list[list[tuple[bytes, Any]]] = [
    [(b"r", META), (b"e", [COUNTS])],  # no header
    [(b"h", header(form="smki-backup/2")), (b"e", [COUNTS])],
    [(b"h", header(schema=0)), (b"e", [COUNTS])],
    [(b"h", header(schema=1001)), (b"e", [COUNTS])],
    [(b"h", {**header(), "more": 1}), (b"e", [COUNTS])],
    [(b"h", header(tables={})), (b"e", [{}])],
    [(b"h", header(tables={"sqlite_master": ["sql"]})), (b"e", [{"sqlite_master": 0}])],
    [(b"h", header()), (b"e", [{**COUNTS, "meta": 1}])],
    [(b"h", header()), (b"x", [COUNTS])],
    [(b"h", header()), (b"h", header()), (b"e", [COUNTS])],
    [(b"h", header()), (b"r", ["audit_node", [[0, 0, b""]]]), (b"e", [COUNTS])],
    [(b"h", header()), (b"r", ["profile", [[1 << 15, "x"]]]), (b"e", [{**COUNTS, "profile": 1}])],
    [(b"h", header()), (b"r", ["profile", [[None, "x"]]]), (b"e", [{**COUNTS, "profile": 1}])],
    [(b"h", header()), (b"r", ["profile", [[1, b"x"]]]), (b"e", [{**COUNTS, "profile": 1}])],
    [(b"h", header()), (b"r", ["profile", [[1, "x", 2]]]), (b"e", [{**COUNTS, "profile": 1}])],
    [(b"h", header()), (b"r", ["profile", []]), (b"r", META), (b"e", [{**COUNTS, "meta": 1}])],  # out of order
]  # fmt: skip


@pytest.mark.parametrize("blocks", BAD)
def test_what_is_not_of_the_form_is_refused(blocks: list[tuple[bytes, Any]]) -> None:
    assert refusal(forged(*blocks)) == "backup.damaged"


def test_a_form_alone_is_read() -> None:
    read(forged((b"h", header()), (b"r", META), (b"e", [{**COUNTS, "meta": 1}])))


@pytest.mark.parametrize(
    ("blocks", "code"),
    [
        ([(b"h", header(schema=len(STEPS) + 1))], "backup.newer-schema"),
        ([(b"h", header()), (b"r", META), (b"e", [{**COUNTS, "meta": 1}])], ""),
        (
            [(b"h", header(workspace=b"x" * 16)), (b"r", META), (b"e", [{**COUNTS, "meta": 1}])],
            "backup.contradiction",
        ),
        ([(b"h", header()), (b"e", [COUNTS])], "store.no-identity"),
        (
            [(b"h", header(log_size=1)), (b"r", META), (b"e", [{**COUNTS, "meta": 1}])],
            "backup.contradiction",
        ),
        (
            [
                (b"h", header(log_size=1)),
                (b"r", META),
                (b"r", ["audit_entry", [[1, b"{}"]]]),
                (b"e", [{**COUNTS, "meta": 1, "audit_entry": 1}]),
            ],
            "backup.contradiction",
        ),
        (
            [
                (b"h", header()),
                (b"r", META),
                (b"r", ["profile", [[1, "x"], [1, "y"]]]),
                (b"e", [{**COUNTS, "meta": 1, "profile": 2}]),
            ],
            "store.conflict",
        ),
    ],
)
def test_what_contradicts_itself_is_not_restored(blocks: list[tuple[bytes, Any]], code: str, url: str) -> None:
    if not code:
        restore(forged(*blocks), url)
        return
    with pytest.raises(SmkiError) as refused:
        restore(forged(*blocks), url)
    assert refused.value.code == code
    with pytest.raises(SmkiError) as missing:
        Store.open(url)
    assert missing.value.code in {"store.missing", "store.empty"}, "nothing is left of it"


def test_nothing_that_stands_is_restored_over(made: bytes, store: Store, url: str) -> None:
    with pytest.raises(SmkiError) as refused:
        restore(made, url)
    assert refused.value.code == "store.exists"
    assert store.audit_size() == 0


@pytest.mark.parametrize("suffix", ["-wal", "-journal"])
def test_a_log_of_sqlite_without_its_database_is_kept(made: bytes, tmp_path: Path, suffix: str) -> None:
    """It may hold what is nowhere else; and SQLite would work it into whatever stands beside it."""
    (tmp_path / f"smki.db{suffix}").touch()
    with pytest.raises(SmkiError) as refused:
        restore(made, f"sqlite:{tmp_path / 'smki.db'}")
    assert refused.value.code == "store.exists"


def test_a_restore_into_no_folder_is_told(made: bytes, tmp_path: Path) -> None:
    with pytest.raises(SmkiError) as refused:
        restore(made, f"sqlite:{tmp_path / 'none' / 'smki.db'}")
    assert refused.value.code == "store.closed"


def test_of_two_restores_one_works(made: bytes, tmp_path: Path) -> None:
    url = f"sqlite:{tmp_path / 'smki.db'}"
    with empty_place(url) as engine:
        load(Reader(io.BytesIO(made)), engine)
        with pytest.raises(SmkiError) as refused:
            restore(made, url)
    assert refused.value.code == "store.busy"
    Store.open(url).close()


def test_a_damaged_store_is_not_backed_up(tmp_path: Path) -> None:
    path = tmp_path / "smki.db"
    fill(f"sqlite:{path}")
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE audit_entry SET body = 'text' WHERE seq = 2")
    with pytest.raises(IntegrityFailure) as refused:
        backup(f"sqlite:{path}")
    assert refused.value.code == "store.damaged"
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE audit_entry SET body = x'00' WHERE seq = 2")
    with pytest.raises(IntegrityFailure) as forked:
        backup(f"sqlite:{path}")
    assert forked.value.code == "audit.forked"


def test_something_else_is_no_backup() -> None:
    with pytest.raises(InvalidInput) as refused:
        Reader(io.BytesIO(b"SQLite format 3\x00" * 10))
    assert refused.value.code == "backup.form"
