"""Backups while everything goes on, and while everything dies."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from hashlib import sha256
from pathlib import Path

import pytest

from smki.authority.backup.act import prove_backup, restore, take
from smki.authority.log import seal
from smki.entity import EntityId, KeyUsage
from smki.errors import SmkiError
from smki.pki.serial import Serial
from smki.store.records import Act, CertificateRecord
from smki.store.store import Store
from tests.house import NOW, House, founded
from tests.postgres import shared

SMKI = [sys.executable, "-m", "smki"]
PIECES, ROWS = 10, 512

WRITER = """
import sys, time
from smki.store.store import Store
from tests.authority.test_backup_hard import issue
store = Store.open(sys.argv[1])
print("begun", flush=True)
while True:
    issue(store)
    time.sleep(0.02)
"""


def issue(store: Store, count: int = 1) -> None:
    """Certificates that nobody signed, with all that the log says of those that somebody did."""
    for _ in range(count):
        serials = [Serial.draw(os.urandom, NOW) for _ in range(ROWS)]
        records = [
            CertificateRecord(
                issuer=1, serial=serial, key_hash=os.urandom(16), entity=EntityId(os.urandom(8)), profile="device",
                not_before=NOW, not_after=NOW, der=serial.octets + os.urandom(400), usage=KeyUsage.KEY_AGREEMENT,
            )
            for serial in serials
        ]  # fmt: skip
        with store.act(Act("serials.reserved", "t", NOW, {"serials": [str(serial) for serial in serials]})) as tx:
            tx.reserve_serials(1, serials, "test")
        digests = [sha256(record.der).hexdigest() for record in records]
        facts = {"certificates": digests, "burnt": [str(serials[0])]}
        with store.act(Act("certificates.issued", "t", NOW, {**facts, "certificates": digests[1:]})) as tx:
            tx.store_certificates(records[1:])
            tx.burn_serials(1, serials[:1])


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def busy(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[House]:
    """A workspace on either engine with some thousands of certificates."""
    url = None if request.param == "sqlite" else shared().fresh()
    with founded(tmp_path / "authority", store_url=url) as house:
        issue(house.workspace.store, PIECES)
        yield house


@contextmanager
def writing(house: House) -> Iterator[None]:
    child = subprocess.Popen(
        [sys.executable, "-c", WRITER, house.workspace.store_url], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == b"begun\n"
        yield
        assert child.poll() is None, "nobody waited for the backup, nor was stopped by it"
    finally:
        child.kill()
        child.communicate()


def test_a_backup_is_of_one_moment_while_others_issue(busy: House, tmp_path: Path) -> None:
    sizes = []
    with writing(busy):
        for number in range(2):
            time.sleep(0.2)
            path = tmp_path / f"backup-{number}"
            size = busy.workspace.store.audit_size()
            sizes.append(take(busy.workspace, path).header.log_size)
            assert size <= sizes[-1] <= busy.workspace.store.audit_size()
    assert sizes[0] < sizes[-1]
    for number in range(2):
        assert prove_backup(busy.workspace, tmp_path / f"backup-{number}", (), None).faults == ()


def test_kills_in_a_backup_leave_no_part_under_its_name(busy: House, tmp_path: Path) -> None:
    dice = random.Random(3)  # noqa: S311 - moments of death, not secrets
    path = tmp_path / "backup"
    for _ in range(4):
        child = subprocess.Popen([*SMKI, "--home", busy.home, "store", "backup", path], stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 30
        while not list(tmp_path.glob(".backup.*")) and child.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.001)
        time.sleep(dice.uniform(0, 0.2))
        child.send_signal(signal.SIGKILL)
        child.wait()
        if path.exists():
            assert prove_backup(busy.workspace, path, (), None).faults == ()
            path.unlink()
        for part in tmp_path.glob(".backup.*"):
            part.unlink()


def _target(house: House, tmp_path: Path) -> str:
    """Where nothing is yet, on the same engine."""
    return f"sqlite:{tmp_path / 'new.db'}" if house.workspace.store_url.startswith("sqlite") else shared().fresh()


def test_kills_in_a_restore_leave_no_part_of_a_store(busy: House, tmp_path: Path) -> None:
    dice = random.Random(4)  # noqa: S311 - moments of death, not secrets
    path = tmp_path / "backup"
    take(busy.workspace, path)
    target = _target(busy, tmp_path)
    command = [*SMKI, "--home", str(busy.home), "store", "restore", str(path), "--to", target]
    done = False
    for _ in range(4):
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        time.sleep(dice.uniform(0.35, 1.5))
        child.send_signal(signal.SIGKILL)
        child.communicate()
        done = _is_whole_or_nothing(target)
        if done:
            break
    if not done:
        subprocess.run(command, check=True, capture_output=True)
    assert _is_whole_or_nothing(target)
    assert not list(tmp_path.glob(".new.db.restoring*")) or done


def _is_whole_or_nothing(url: str) -> bool:
    try:
        store = Store.open(url)
    except SmkiError as error:
        if error.code not in {"store.missing", "store.empty"}:
            raise
        return False
    assert store.certificates.count() == PIECES * (ROWS - 1)
    assert list(store.audit_entries())[-1].body.find(b"store.restored") > 0
    store.close()
    return True


def test_a_leftover_of_a_killed_restore_is_cleared(busy: House, tmp_path: Path) -> None:
    path = tmp_path / "backup"
    take(busy.workspace, path)
    (tmp_path / ".new.db.restoring").write_bytes(b"rubbish" * 1000)
    restore(busy.workspace, path, f"sqlite:{tmp_path / 'new.db'}", (), None)
    assert not list(tmp_path.glob(".new.db*"))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", disk], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("no file system can be mounted here")
    yield disk
    subprocess.run(["umount", disk], check=True)


def test_a_full_disk_leaves_no_part(tmp_path: Path, small_disk: Path) -> None:
    with founded(tmp_path / "authority") as house:
        issue(house.workspace.store, PIECES)
        with pytest.raises(SmkiError) as full:
            take(house.workspace, small_disk / "backup")
        assert full.value.code == "file.write"
        assert list(small_disk.iterdir()) == []
        path = tmp_path / "backup"
        take(house.workspace, path)
        with pytest.raises(SmkiError) as no_room:
            restore(house.workspace, path, f"sqlite:{small_disk / 'smki.db'}", (), None)
        assert no_room.value.code in {"store.full", "store.disk"}
        assert list(small_disk.iterdir()) == []


def test_a_store_that_is_read_again_is_the_same(busy: House, tmp_path: Path) -> None:
    """From one engine to the other, which is how an authority grows."""
    path = tmp_path / "backup"
    take(busy.workspace, path)
    here = busy.workspace.store_url
    other = shared().fresh() if here.startswith("sqlite") else f"sqlite:{tmp_path / 'new.db'}"
    assert restore(busy.workspace, path, other, (), None).sealed
    with closing(Store.open(other)) as grown, closing(Store.open(here)) as behind:
        assert grown.certificates.count() == PIECES * (ROWS - 1)
        busy.workspace.use_store(behind)
        with pytest.raises(SmkiError) as forked:
            seal(busy.workspace)
    assert forked.value.code == "audit.forked", "the one that was left behind is not used again by mistake"
    busy.workspace.__dict__.pop("store")
