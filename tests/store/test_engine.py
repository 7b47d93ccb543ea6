"""What the engines promise beyond the contract: how they are opened, shared, lost and found again."""

import sqlite3
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from smki.entity import EntityId
from smki.errors import IntegrityFailure, InvalidInput, SmkiError, Unavailable
from smki.pki.serial import Serial
from smki.store.note import Checkpoint
from smki.store.records import Act, CertificateRecord, OfficerRecord
from smki.store.store import Store
from tests.postgres import Server
from tests.store.conftest import WORKSPACE

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
ACT = Act("test", "tester", NOW, {})


def append(store: Store) -> None:
    with store.act(ACT):
        pass


# Both


CREATOR = """
import sys
from smki.store.store import Store
print(Store.create(sys.argv[1], sys.argv[2].encode() * 16)[0].workspace_id.hex())
"""


def test_those_who_create_at_once_agree_whose_it_is(url: str) -> None:
    children = [
        subprocess.Popen(
            [sys.executable, "-c", CREATOR, url, str(n)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for n in range(4)
    ]
    said = [child.communicate(timeout=60) for child in children]
    assert [child.returncode for child in children] == [0] * 4, said
    assert len({output for output, _ in said}) == 1


def test_an_act_inside_an_act_is_a_mistake(store: Store) -> None:
    with pytest.raises(RuntimeError), store.act(ACT), store.act(ACT):
        pass
    assert store.audit_size() == 0
    append(store)
    assert store.audit_size() == 1


def test_who_reads_one_by_one_may_ask_something_else_in_between(store: Store) -> None:
    """And read something else one by one: outside of an act, and in one."""
    for size in range(1, 4):
        with store.act(ACT):
            pass
        store.add_checkpoint(Checkpoint(store.origin, size, store.audit_root(size)), f"note {size}")

    def both() -> list[tuple[int, int, int]]:
        sql = "SELECT size FROM audit_checkpoint WHERE size > ? ORDER BY size"
        return [
            (outer, inner, store.audit_size())
            for (outer,) in store._engine.stream(sql, (1,))
            for (inner,) in store._engine.stream(sql, (2,))
        ]

    assert both() == [(2, 3, 3), (3, 3, 3)]
    with store.act(ACT):
        assert both() == [(2, 3, 3), (3, 3, 3)]
    # One that is not read to its end keeps nobody waiting.
    first = next(store._engine.stream("SELECT size FROM audit_checkpoint ORDER BY size"))
    assert (first, store.audit_size()) == ((1,), 4)


def test_a_migration_that_fails_leaves_nothing(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store, _ = Store.create(url, WORKSPACE)
    engine: Any = type(store._engine)

    def half(connection: sqlite3.Connection) -> None:
        connection.execute("CREATE TABLE later (name text)")
        raise OSError("the power went")

    monkeypatch.setattr(engine, "migrations", (*engine.migrations, half))
    with pytest.raises(OSError, match="power"):
        Store.open(url)
    monkeypatch.undo()
    again = Store.open(url)
    with pytest.raises(SmkiError):
        again._engine.execute("SELECT * FROM later")
    append(again)
    again.close()
    store.close()


def test_the_last_moment_of_the_calendar_is_kept(store: Store) -> None:
    end = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)  # RFC 5280 4.1.2.5: no end that means anything
    record = CertificateRecord(1, Serial(b"\x01" * 16), b"k" * 16, None, "device", NOW, end, b"der")
    with store.act(ACT) as tx:
        tx.reserve_serials(1, [record.serial], "test")
        assert store.certificates.reservations()[0].at == NOW
        tx.store_certificates([record])
    assert store.certificates.get(1, record.serial) == record


def test_a_refused_value_is_not_called_a_conflict(store: Store) -> None:
    with pytest.raises(IntegrityFailure) as refusal, store.act(ACT) as tx:
        tx._execute("INSERT INTO token (name, hsm, label, serial) VALUES (?, ?, ?, ?)", (None, "a", "b", "c"))
    assert refusal.value.code == "store.constraint"


def test_facts_are_what_every_reader_reads_alike(store: Store) -> None:
    for fact in (0.5, float("nan"), None, b"octets", 1 << 53, {1: "a"}, ["a", {"b": 0.5}], "half \udc80"):
        with pytest.raises(InvalidInput), store.act(Act("test", "t", NOW, {"fact": fact})):
            pass
    assert store.audit_size() == 0


def test_the_log_never_keeps_two_checkpoints_that_differ(store: Store) -> None:
    append(store)
    append(store)
    good = Checkpoint(store.origin, 1, store.audit_root(1))
    store.add_checkpoint(good, "first")
    store.add_checkpoint(good, "again")
    assert store.checkpoint(1) == "first"
    for wrong in (
        Checkpoint(store.origin, 1, b"\x01" * 32),
        Checkpoint(store.origin, 3, store.audit_root(2)),
        Checkpoint("smki/another", 1, store.audit_root(1)),
    ):
        with pytest.raises(IntegrityFailure) as forked:
            store.add_checkpoint(wrong, "other")
        assert forked.value.code == "audit.forked"
    assert store.checkpoints() == [(1, "first")]


def test_rolls_before_this_one_stay_on_record(store: Store) -> None:
    for names in (["alice", "bob"], ["carol"]):
        with store.act(ACT) as tx:
            tx.replace_roll([OfficerRecord(name, b"key") for name in names])
    assert [officer.name for officer in store.officers()] == ["carol"]
    rows = store._engine.execute("SELECT roll, name FROM officer ORDER BY roll, name").fetchall()
    assert [tuple(row) for row in rows] == [(0, "alice"), (0, "bob"), (1, "carol")]


def test_certificates_are_found_by_entity(store: Store) -> None:
    entity = EntityId(b"\x90\xb3\xd5\x1f\x30\x00\x00\x02")
    records = [
        CertificateRecord(1, Serial(bytes([n]) * 16), b"k" * 16, entity if n < 3 else None, f"p{n}", NOW, NOW, b"d")
        for n in (1, 2, 3)
    ]
    with store.act(ACT) as tx:
        for record in records:
            tx.reserve_serials(1, [record.serial], "test")
            tx.store_certificates([record])
    assert store.certificates.of_entity(entity) == tuple(records[:2])
    assert store.certificates.of_key(b"k" * 16) == tuple(records)


# SQLite


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "smki.db"


def test_sqlite_writes_ahead_syncs_fully_and_is_private(path: Path) -> None:
    store, _ = Store.create(f"sqlite:{path}", WORKSPACE)
    assert store._engine.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    assert store._engine.execute("PRAGMA synchronous").fetchone()[0] == 2
    append(store)
    assert {file.stat().st_mode & 0o077 for file in path.parent.iterdir()} == {0}
    store.close()


def test_a_disk_without_room_is_told_and_nothing_is_half_done(path: Path) -> None:
    store, _ = Store.create(f"sqlite:{path}", WORKSPACE)
    pages = store._engine.execute("PRAGMA page_count").fetchone()[0]
    store._engine.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(Unavailable) as full, store.act(Act("big", "t", NOW, {"x": "y" * 60000})):
        pass
    assert full.value.code == "store.full"
    assert store.audit_size() == 0
    store._engine.execute("PRAGMA max_page_count = 100000")
    append(store)
    store.close()


def test_a_busy_database_is_told(path: Path) -> None:
    one, _ = Store.create(f"sqlite:{path}", WORKSPACE)
    two = Store.open(f"sqlite:{path}")
    two._engine.execute("PRAGMA busy_timeout = 50")
    with one.act(ACT), pytest.raises(Unavailable) as busy:
        append(two)
    assert busy.value.code == "store.busy"
    one.close()
    two.close()


def test_a_database_of_someone_else_is_told(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE meta (something)")
    connection.close()
    with pytest.raises(IntegrityFailure) as damaged:
        Store.open(f"sqlite:{path}")
    assert damaged.value.code == "store.damaged"


def test_a_cold_read_imports_no_more_than_it_needs(path: Path) -> None:
    Store.create(f"sqlite:{path}", WORKSPACE)[0].close()
    code = (
        "import sys; from smki.store.store import Store; Store.open(sys.argv[1]).authorities();"
        " print({'sqlite_utils', 'psycopg', 'cryptography'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code, f"sqlite:{path}"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


# PostgreSQL


@pytest.fixture
def shared(server: Server) -> str:
    return server.fresh()


@pytest.mark.postgresql
def test_a_restart_nobody_was_awake_for_is_not_noticed(own_server: Server) -> None:
    store, _ = Store.create(own_server.fresh(), WORKSPACE)
    append(store)
    own_server.stop()
    own_server.start()
    assert store.audit_size() == 1
    own_server.stop()
    own_server.start()
    append(store)
    assert store.audit_size() == 2
    store.close()


@pytest.mark.postgresql
def test_a_connection_lost_inside_an_act_undoes_it(shared: str) -> None:
    import psycopg

    store, _ = Store.create(shared, WORKSPACE)

    def lose() -> None:
        with store.act(ACT) as tx:
            tx.reserve_serials(1, [Serial(b"\x01" * 16)], "test")
            with psycopg.connect(shared, autocommit=True) as other:
                other.execute("SELECT pg_terminate_backend(%s, 5000)", (store._engine.connection.info.backend_pid,))

    with pytest.raises(Unavailable) as lost:
        lose()
    assert lost.value.code == "store.unreachable"
    assert (store.audit_size(), store.certificates.reservations()) == (0, ())
    append(store)
    store.close()


@pytest.mark.postgresql
def test_a_node_that_holds_the_log_is_not_waited_for_without_end(shared: str) -> None:
    one, _ = Store.create(shared, WORKSPACE)
    two = Store.open(shared)
    two._engine.execute("SET lock_timeout = '100ms'")
    with one._engine.transaction():
        one._engine.lock_log()
        with pytest.raises(Unavailable) as busy:
            append(two)
    assert busy.value.code == "store.busy"
    append(two)
    one.close()
    two.close()


@pytest.mark.postgresql
def test_what_is_missing_is_named(server: Server) -> None:
    with pytest.raises(Unavailable) as missing:
        Store.open(server.url("nothing_here"))
    assert missing.value.code == "store.missing"


@pytest.mark.postgresql
@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:Geheim1@h/d",
        "postgresql://h/d?password=Geheim1",
        "postgresql://h/d?pass%77ord=Geheim1",
        "postgresql://h/d?sslpassword=Geheim1",
        "postgresql://u:Geheim1%zz@h/d",
        "postgresql://u:Geheim1@[h/d",
    ],
)
def test_a_password_in_the_address_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(SmkiError) as refusal:
        Store.open(url)
    assert refusal.value.code in {"store.password", "store.url"}
    assert "Geheim1" not in repr(refusal.value)


@pytest.mark.postgresql
def test_certificates_are_spread_and_found_by_serial_in_one_partition(shared: str) -> None:
    store, _ = Store.create(shared, WORKSPACE)
    plan = store._engine.execute(
        "EXPLAIN SELECT 1 FROM certificate WHERE serial = ? AND issuer = ?", (b"\x01" * 16, 1)
    ).fetchall()
    assert len({word for (line,) in plan for word in line.split() if word.startswith("certificate_")}) <= 2
    assert store._engine.execute("SELECT count(*) FROM pg_inherits").fetchone()[0] >= 32
    store.close()
