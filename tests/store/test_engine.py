"""SQLite is opened the durable way."""

from smki.store.store import Store
from tests.store.conftest import WORKSPACE


def test_sqlite_writes_ahead_and_syncs_fully(tmp_path: object) -> None:
    store, _ = Store.create(f"sqlite:{tmp_path}/smki.db", WORKSPACE)
    assert store._engine.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    assert store._engine.execute("PRAGMA synchronous").fetchone()[0] == 2
    store.close()
