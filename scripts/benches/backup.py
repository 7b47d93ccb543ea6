"""Backups and restores of both engines, beside reading and digesting the same octets."""

import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from scripts.benches.report import Row
from smki.authority.backup.account import account
from smki.entity import EntityId, KeyUsage
from smki.pki.serial import Serial
from smki.pki.status import Status
from smki.pki.validity import NEVER
from smki.store.backup.dump import dump
from smki.store.backup.form import Reader
from smki.store.backup.load import load
from smki.store.backup.place import empty_place
from smki.store.records import Act, CertificateRecord
from smki.store.store import Store
from tests.once import close_place, open_place
from tests.postgres import running

PIECE = 512


def _fill(store: Store, count: int, now: datetime) -> None:
    """Certificates that nobody signed, and the log of how they were issued."""
    for start in range(0, count, PIECE):
        serials = [Serial.draw(os.urandom, now) for _ in range(min(PIECE, count - start))]
        records = [
            CertificateRecord(
                issuer=1, serial=serial, key_hash=os.urandom(16), entity=EntityId(b"\x02" + os.urandom(7)),
                profile="device", not_before=now, not_after=NEVER, der=serial.octets + os.urandom(430),
                usage=KeyUsage.DIGITAL_SIGNATURE, subscriber=0, status=Status.PENDING, request=os.urandom(16),
            )
            for serial in serials
        ]  # fmt: skip
        with store.act(Act("serials.reserved", "bench", now, {"serials": [str(serial) for serial in serials]})) as tx:
            tx.reserve_serials(1, serials, "bench")
        digests = [hashlib.sha256(record.der).hexdigest() for record in records]
        with store.act(Act("certificates.issued", "bench", now, {"certificates": digests, "burnt": []})) as tx:
            tx.store_certificates(records)


def _timed(work: Callable[[], object]) -> float:
    begin = time.monotonic()
    work()
    return time.monotonic() - begin


def _take(url: str, path: Path, now: datetime) -> None:
    with path.open("wb") as file:
        dump(url, file, now)
        file.flush()
        os.fsync(file.fileno())


def _restore(path: Path, url: str) -> None:
    with path.open("rb", buffering=1 << 20) as file, empty_place(url) as engine:
        load(Reader(file), engine)
        assert list(account(engine)) == []


def run(count: int) -> Iterator[Row]:
    """Megabytes a second, of a store with so many certificates."""
    open_place()
    try:
        with tempfile.TemporaryDirectory(prefix="smki-bench-") as name, running() as server:
            yield from _rows(Path(name), count, server.fresh())
    finally:
        close_place()


def _rows(folder: Path, count: int, other: str) -> Iterator[Row]:
    now, path, here = datetime.now(UTC).replace(microsecond=0), folder / "backup", f"sqlite:{folder / 'smki.db'}"
    store, _ = Store.create(here, b"b" * 16)
    _fill(store, count, now)
    store.close()
    taken = _timed(lambda: _take(here, path, now))
    size = path.stat().st_size / 1e6
    bound = size / _timed(lambda: hashlib.sha256(path.read_bytes()).digest())
    yield Row("size", "size of the backup", size, "MB", f"{count:,} certificates", of={"count": count})

    def rows(key: str, engine: str, taken: float, restored: float) -> Iterator[Row]:
        of = {"engine": engine}
        yield Row(f"engines.{key}.take", f"{engine}: back up", size / taken, "MB/s", "SHA-256 of it", bound, of=of)
        yield Row(f"engines.{key}.take_seconds", "  it took", taken, "s", f"{count:,} certificates")
        yield Row(f"engines.{key}.restore", f"{engine}: verify and restore", size / restored, "MB/s", "SHA-256 of it",
                  bound)  # fmt: skip
        yield Row(f"engines.{key}.restore_seconds", "  it took", restored, "s", f"{count:,} certificates")

    yield from rows("sqlite", "SQLite", taken, _timed(lambda: _restore(path, f"sqlite:{folder / 'again.db'}")))
    restored = _timed(lambda: _restore(path, other))
    yield from rows("postgresql", "PostgreSQL", _timed(lambda: _take(other, folder / "other", now)), restored)
