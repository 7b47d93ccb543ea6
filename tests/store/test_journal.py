"""The journal: a lost store comes back with its very last act."""

import hashlib
import io
import json
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from smki.errors import SmkiError
from smki.pki.serial import Serial
from smki.store.backup.dump import dump
from smki.store.backup.form import Reader
from smki.store.backup.load import load
from smki.store.backup.place import empty_place
from smki.store.journal import MARK
from smki.store.records import Act, CertificateRecord, TokenRecord
from smki.store.replay import replay
from smki.store.store import Store
from tests.store.conftest import WORKSPACE
from tests.store.test_backup import contents

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


class Kept:
    """A store with a journal, and a backup from its beginning."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.journal = folder / "journal"
        self.journal.mkdir(mode=0o700)
        (self.journal / MARK).touch()
        self.url = f"sqlite:{folder / 'smki.db'}"
        self.store, _ = Store.create(self.url, WORKSPACE, self.journal)
        self.act(0)
        self.backup = self.dump()

    def act(self, number: int) -> None:
        """Something of every kind there is: rows at once, rows one by one, changed, removed, looked up."""
        serials = [Serial(bytes((1, number, n)) + bytes(13)) for n in range(3)]
        with self.store.acts([Act("test", "t", NOW, {"n": n}) for n in range(number % 3 + 1)], NOW) as tx:
            tx.put_token(TokenRecord(f"t{number}", "softhsm", "Zoë", str(number)))
            tx.adopt_policies(f"policies {number}")
            tx.reserve_serials(1, serials, "test")
            tx.burn_serials(1, serials[:1])
            record = CertificateRecord(1, serials[1], b"k", None, f"p{number % 2}", NOW, NOW, b"der")
            tx.store_certificates([record])

    def dump(self, url: str | None = None) -> bytes:
        file = io.BytesIO()
        dump(url or self.url, file, NOW)
        return file.getvalue()

    def restore(self, url: str) -> int:
        """How many acts were done again."""
        with empty_place(url) as engine:
            store = load(Reader(io.BytesIO(self.backup)), engine)
            return replay(self.journal, store, engine)

    def code(self) -> str:
        with pytest.raises(SmkiError) as refused:
            self.restore(f"sqlite:{self.folder / 'restored.db'}")
        assert not (self.folder / "restored.db").exists()
        return refused.value.code

    def names(self) -> list[str]:
        return sorted(path.name for path in self.journal.iterdir() if path.name != MARK)


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    made = Kept(tmp_path)
    yield made
    made.store.close()


def test_every_act_since_the_backup_is_done_again(kept: Kept, url: str, tmp_path: Path) -> None:
    for number in range(1, 8):
        kept.act(number)
    target = url if url.startswith("postgresql") else f"sqlite:{tmp_path / 'restored.db'}"
    assert kept.restore(target) == 7
    assert contents(kept.dump(target)) == contents(kept.dump())
    with closing(Store.open(target)) as store:
        size = store.audit_size()
        assert store.audit_root(size) == kept.store.audit_root(size)


def test_without_a_newer_act_nothing_is_done(kept: Kept, tmp_path: Path) -> None:
    assert kept.restore(f"sqlite:{tmp_path / 'restored.db'}") == 0


def test_an_act_that_failed_leaves_nothing(kept: Kept) -> None:
    before = kept.names()
    with pytest.raises(SmkiError), kept.store.act(Act("test", "t", NOW)) as tx:
        tx.burn_serials(1, [Serial(b"\x02" * 16)])
    assert kept.names() == before


def test_an_act_that_was_written_and_not_committed_gives_way_to_the_next(kept: Kept, tmp_path: Path) -> None:
    """As after a power failure between the two disks: the file is there, and the act never was."""
    name = f"{kept.store.audit_size():016}"
    kept.act(1)
    ghost = (kept.journal / name).read_bytes()
    (kept.journal / name).unlink()
    kept.store.close()
    (tmp_path / "smki.db").unlink()
    kept.restore(kept.url)
    kept.store = Store.open(kept.url, kept.journal)
    (kept.journal / name).write_bytes(ghost)
    kept.act(2)
    kept.act(3)
    assert kept.restore(f"sqlite:{tmp_path / 'restored.db'}") == 2
    assert contents(kept.dump(f"sqlite:{tmp_path / 'restored.db'}")) == contents(kept.dump())


def test_an_act_that_is_missing_is_told(kept: Kept) -> None:
    for number in range(1, 4):
        kept.act(number)
    (kept.journal / kept.names()[2]).unlink()
    assert kept.code() == "journal.gap"


def test_a_changed_octet_is_found(kept: Kept) -> None:
    kept.act(1)
    path = kept.journal / kept.names()[-1]
    good = path.read_bytes()
    dice = random.Random(7)  # noqa: S311 - places, not secrets
    for place in [0, 4, len(good) - 1, *(dice.randrange(len(good)) for _ in range(9))]:
        changed = bytearray(good)
        changed[place] ^= 1 << dice.randrange(8)
        path.write_bytes(changed)
        assert kept.code() == "journal.damaged", place
    for part in (good[:-1], good[: len(good) // 2], b"", good + b"\x00"):
        path.write_bytes(part)
        assert kept.code() == "journal.damaged"
    path.write_bytes((1 << 31).to_bytes(4) + good)
    assert kept.code() == "journal.damaged"


CHANGED_ENTRY = "UPDATE audit_entry SET body = x'00'"


def test_only_changes_are_done_again(kept: Kept) -> None:
    """Whoever can write to the journal does not get to run what he likes, even with a digest that is right."""
    for sql in ("ATTACH DATABASE '/tmp/x' AS x", "DROP TABLE meta", "PRAGMA user_version = 1", CHANGED_ENTRY):
        before = kept.store.audit_size()
        with kept.store._engine.transaction(), kept.store._written() as engine:
            engine.execute("UPDATE meta SET value = value", ())
            kept.store.append([Act("test", "t", NOW)])
        path = kept.journal / f"{before:016}"
        rewrite(path, "UPDATE meta SET value = value", sql)
        with pytest.raises(SmkiError) as refused:
            kept.restore(f"sqlite:{kept.folder / 'restored.db'}")
        assert refused.value.code == "journal.damaged"
        assert "no change" in refused.value.message
        rewrite(path, sql, "UPDATE meta SET value = value")


def rewrite(path: Path, old: object, new: object) -> None:
    """The same act with another statement, as its forger would write it."""
    data, frames = path.read_bytes(), list[list[object]]()
    while data:
        length = int.from_bytes(data[:4])
        frames.append(msgspec.msgpack.decode(data[4 : 4 + length]))
        data = data[4 + length :]
    digest = hashlib.sha256()
    out = b""
    for frame in frames:
        changed = new if frame == old and isinstance(new, list) else [new if item == old else item for item in frame]
        if frame[0] == "end":
            changed[-1] = digest.digest()
        octets = msgspec.msgpack.encode(changed)
        octets = len(octets).to_bytes(4) + octets
        digest.update(octets)
        out += octets
    path.write_bytes(out)


def test_the_journal_of_another_workspace_is_refused(kept: Kept, tmp_path: Path) -> None:
    kept.act(1)
    path = kept.journal / kept.names()[-1]
    rewrite(path, WORKSPACE, b"x" * 16)
    assert kept.code() == "journal.other"


def test_two_workspaces_do_not_share_a_journal(kept: Kept, tmp_path: Path) -> None:
    """They would write over each other's acts, and both be lost."""
    kept.act(1)
    before = {name: (kept.journal / name).read_bytes() for name in kept.names()}
    other, _ = Store.create(f"sqlite:{tmp_path / 'other.db'}", b"x" * 16, kept.journal)
    with closing(other):
        with pytest.raises(SmkiError) as refused, other.act(Act("test", "t", NOW)):
            pass
        assert refused.value.code == "journal.other"
        assert other.audit_size() == 0
    assert {name: (kept.journal / name).read_bytes() for name in kept.names()} == before
    with closing(Store.open(kept.url, kept.journal)) as again, again.act(Act("test", "t", NOW)):
        pass


def test_an_old_database_does_not_write_over_the_journal(kept: Kept, tmp_path: Path) -> None:
    """Put back by hand, it would destroy the only copy of what it has forgotten."""
    kept.act(1)
    kept.store.close()
    old = tmp_path / "old.db"
    shutil.copy(tmp_path / "smki.db", old)
    kept.store = Store.open(kept.url, kept.journal)
    kept.act(2)
    kept.act(3)
    with closing(Store.open(f"sqlite:{old}", kept.journal)) as behind:
        size = behind.audit_size()
        with pytest.raises(SmkiError) as refused, behind.act(Act("test", "t", NOW)):
            pass
        assert refused.value.code == "journal.ahead"
        assert behind.audit_size() == size
    assert kept.restore(f"sqlite:{tmp_path / 'restored.db'}") == 3


def test_a_journal_that_others_can_change_is_refused(kept: Kept, tmp_path: Path) -> None:
    """What is in it becomes the store."""
    kept.act(1)
    kept.journal.chmod(0o777)
    assert kept.code() == "journal.loose-mode"
    with pytest.raises(SmkiError) as refused:
        Store.open(kept.url, kept.journal)
    assert refused.value.code == "journal.loose-mode"


@pytest.mark.parametrize(
    "rows",
    [
        ["in", "nothing", ["name"], [["x"]]],
        ["in", "audit_node", ["level", "place", "hash"], [[0, 0, b"x"]]],
        ["in", "audit_entry", ["seq", "body"], [[1]]],
        ["in", "audit_entry", ["seq", "body"], [[1, "text"]]],
        ["in", "token", [], [[]]],
    ],
)
def test_rows_that_no_act_makes_are_refused(kept: Kept, rows: list[object]) -> None:
    before = kept.store.audit_size()
    with kept.store._engine.transaction(), kept.store._written() as engine:
        engine.execute("UPDATE meta SET value = value", ())
        kept.store.append([Act("test", "t", NOW)])
    rewrite(kept.journal / f"{before:016}", ["do", "UPDATE meta SET value = value", []], rows)
    assert kept.code() == "journal.damaged"


def test_where_the_journals_disk_is_not_mounted_nothing_is_done(kept: Kept, tmp_path: Path) -> None:
    with pytest.raises(SmkiError) as refused:
        Store.open(kept.url, tmp_path / "none")
    assert refused.value.code == "journal.missing"
    size = kept.store.audit_size()
    kept.journal.rename(tmp_path / "unmounted")
    with pytest.raises(SmkiError) as closed:
        kept.act(1)
    assert closed.value.code == "journal.closed"
    assert kept.store.audit_size() == size
    assert kept.store.token("t1") is None


@pytest.mark.postgresql
def test_postgresql_keeps_none(url: str, tmp_path: Path) -> None:
    if url.startswith("sqlite"):
        return
    with pytest.raises(SmkiError) as refused:
        Store.create(url, WORKSPACE, tmp_path)
    assert refused.value.code == "journal.engine"


WRITER = """
import sys, time
from pathlib import Path
from tests.store.test_journal import Act, NOW, Serial, Store, TokenRecord
store = Store.open(sys.argv[1], Path(sys.argv[2]))
number = 0
while True:
    name = f"{sys.argv[3]}-{number}"
    with store.act(Act("test", "t", NOW, {"name": name})) as tx:
        tx.put_token(TokenRecord(name, "softhsm", "x", "1"))
    print(name, flush=True)
    time.sleep(0.01)  # SQLite lets whoever asks first have it, and that is the one who just had it
    number += 1
"""


@pytest.mark.requirement("R-REC-6")
def test_kills_lose_no_act_that_was_told(kept: Kept, tmp_path: Path) -> None:
    """Two write at once, each is killed in the middle; what any of them told is restored without the database."""
    told: list[str] = []
    dice = random.Random(9)  # noqa: S311 - moments of death, not secrets
    for round_ in range(2):
        children = [
            subprocess.Popen(
                [sys.executable, "-c", WRITER, kept.url, str(kept.journal), f"{round_}-{n}"],
                stdout=subprocess.PIPE, text=True,
            )
            for n in range(2)
        ]  # fmt: skip
        for child in children:
            assert child.stdout is not None
            told.append(child.stdout.readline().strip())  # it has begun
        time.sleep(dice.uniform(0.05, 0.3))
        for child in children:
            child.send_signal(signal.SIGKILL)
        for child in children:
            told += [line.strip() for line in child.communicate()[0].splitlines()]
    assert len(told) > 4
    restored = f"sqlite:{tmp_path / 'restored.db'}"
    kept.restore(restored)
    with closing(Store.open(restored)) as store:
        logged = [json.loads(entry.body)["facts"].get("name") for entry in store.audit_entries()]
        assert set(filter(None, told)) <= set(logged)
        assert all(store.token(name) is not None for name in logged if name)
        size = kept.store.audit_size()
        assert store.audit_root(size) == kept.store.audit_root(size)
