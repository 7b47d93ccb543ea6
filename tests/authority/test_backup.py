"""The drill: everything is lost but a backup, what was published, and the HSM."""

import os
import shutil
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from smki.authority import log
from smki.authority.auditing import Verdict, verify_log
from smki.authority.backup import act as backup
from smki.authority.backup.act import prove_backup, prove_store, take
from smki.authority.log import audit_key
from smki.authority.ocsp.appointing import appoint
from smki.authority.publication.manifest import MANIFEST
from smki.errors import SmkiError, Unavailable
from smki.store.note import Checkpoint, sign_checkpoint
from smki.store.store import Store
from tests.authority.backups import Drill, copied, make, mirror
from tests.house import found_at, founded, opened
from tests.once import once
from tests.postgres import shared


@pytest.fixture
def drill(tmp_path: Path) -> Iterator[Drill]:
    made = copied(once("drill", make), tmp_path / "authority")
    yield made
    made.house.workspace.close()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def url(request: pytest.FixtureRequest) -> str:
    return "sqlite:smki.db" if request.param == "sqlite" else shared().fresh()


def use(drill: Drill, url: str) -> None:
    """As an operator does after growing."""
    drill.house.workspace.close()
    settings = drill.house.home / "smki.toml"
    settings.write_text(settings.read_text().replace('"sqlite:smki.db"', f'"{url}"'))
    drill.house.workspace.__dict__.pop("_settings", None)


@pytest.mark.requirement("R-REC-6")
def test_the_drill(drill: Drill, url: str) -> None:
    """Backed up, lost, restored: it goes on above every number, and what was revoked is."""
    before = drill.publish()
    drill.take()
    assert stat.S_IMODE(drill.backup.stat().st_mode) == 0o600
    drill.lose()
    done = drill.restore(to=url)
    assert done.sealed
    assert done.proof.shortfalls == ()
    use(drill, url)
    store = drill.house.workspace.store
    assert verify_log(store, (drill.published / "audit/checkpoint").read_text()).faults == ()
    assert prove_store(drill.house.workspace, ()).faults == ()
    assert b'"act":"store.restored"' in list(store.audit_entries())[-1].body
    issuing = store.authority("oca-issuing-1")
    assert issuing is not None
    assert store.revocations.last_number(issuing.number) == 1
    assert drill.publish() == before + 1
    drill.revoke(drill.issue())
    assert drill.publish() == before + 2
    proof = prove_store(drill.house.workspace, ())
    assert (proof.faults, proof.shortfalls) == ((), ())


def test_a_backup_that_is_up_to_date_says_so(drill: Drill) -> None:
    drill.take()
    proof = prove_backup(drill.house.workspace, drill.backup, (), None)
    assert (proof.faults, proof.shortfalls) == ((), ())
    assert not list(drill.house.home.glob(".verifying-*"))


def test_an_authority_with_a_responder_and_an_appointment_that_died_is_backed_up(drill: Drill) -> None:
    workspace = drill.house.workspace
    found = workspace.hsm.find(workspace.token_ref("ocsp"))
    assert found is not None
    assert found.folder is not None
    elsewhere = found.folder.rename(workspace.home / "away")
    workspace.hsm.close()
    with pytest.raises(Unavailable):
        appoint(workspace, "oca-issuing-1", "ocsp", anew=False)
    elsewhere.rename(found.folder)
    workspace.hsm.close()
    appoint(workspace, "oca-issuing-1", "ocsp", anew=False)
    drill.take()
    assert prove_backup(workspace, drill.backup, (), None).faults == ()
    with closing(sqlite3.connect(workspace.home / "smki.db")) as database, database:
        database.execute("DELETE FROM certificate WHERE not_before = (SELECT MAX(not_before) FROM certificate)")
    assert [fault for fault in prove_store(workspace, ()).faults if fault.startswith("certificates: ")]


# What would be forgotten


def test_a_backup_without_the_last_act_is_refused(drill: Drill) -> None:
    drill.take()
    drill.issue()
    drill.lose()
    error = drill.refused()
    assert error.code == "restore.forgets-entries"
    assert "3 entries would be forgotten" in error.message


@pytest.mark.requirement("R-REC-6")
def test_a_backup_without_the_last_revocation_is_refused_by_name(drill: Drill) -> None:
    drill.take()
    serial = drill.issue()
    drill.revoke(serial)
    drill.publish()
    drill.lose()
    error = drill.refused()
    assert error.code == "restore.forgets-revocations"
    told = f"1 certificate on list 2 of oca-issuing-1 would not be revoked any more: {serial};"
    assert told in error.message
    assert "oca-issuing-1 had published 2 revocations, and 1 are known: 1 would be forgotten" in error.message
    assert "list 2 of oca-issuing-1 was published, and numbers are known up to 1" in error.message


def codes(drill: Drill, folder: Path) -> list[str]:
    """Against this folder alone."""
    shutil.move(drill.published, drill.published.with_name("elsewhere"))
    try:
        proof = prove_backup(drill.house.workspace, drill.backup, (folder,), None)
    finally:
        shutil.move(drill.published.with_name("elsewhere"), drill.published)
    assert proof.faults == ()
    return [item.code for item in proof.shortfalls]


def test_each_thing_that_was_published_is_enough_to_refuse(drill: Drill, tmp_path: Path) -> None:
    """A mirror may have fetched only a part of what is new."""
    drill.take()
    old = mirror(drill.published, tmp_path / "old")
    drill.revoke(drill.issue())
    drill.publish()
    assert codes(drill, old) == []
    for name, found in {
        "audit/checkpoint": {"restore.forgets-entries"},
        MANIFEST: {"restore.forgets-entries", "restore.forgets-revocations", "restore.forgets-list"},
        "crl/oca-issuing-1.crl": {"restore.forgets-revocations", "restore.forgets-list"},
    }.items():
        part = mirror(old, tmp_path / name.replace("/", "-"))
        shutil.copy(drill.published / name, part / name)
        assert set(codes(drill, part)) == found, name


def test_without_anything_published_nothing_is_restored(drill: Drill, tmp_path: Path) -> None:
    drill.take()
    copy = mirror(drill.published, tmp_path / "mirror")
    drill.lose()
    shutil.rmtree(drill.published)
    assert drill.refused().code == "restore.nothing-published"
    for name in ("audit/checkpoint", MANIFEST):
        part = mirror(copy, tmp_path / name.replace("/", "-"))
        (part / name).unlink()
        assert drill.refused(part).code == "restore.nothing-published", name
    drill.restore(copy)


def test_what_was_published_here_counts_whatever_else_is_named(drill: Drill, tmp_path: Path) -> None:
    old = mirror(drill.published, tmp_path / "old")
    drill.take()
    drill.issue()
    drill.lose()
    assert drill.refused(old).code == "restore.forgets-entries"


def test_a_folder_that_was_changed_decides_nothing(drill: Drill, tmp_path: Path) -> None:
    drill.take()

    def spoil(name: str) -> Path:
        part = mirror(drill.published, tmp_path / name.replace("/", "-"))
        data = bytearray((part / name).read_bytes())
        data[len(data) // 2] ^= 1
        (part / name).write_bytes(data)
        return part

    assert codes(drill, spoil("audit/checkpoint")) == ["restore.unreadable"]
    assert codes(drill, spoil(MANIFEST)) == ["restore.unreadable"]
    part = mirror(drill.published, tmp_path / "list")
    der = bytearray((part / "crl/oca-issuing-1.crl").read_bytes())
    der[-1] ^= 1
    (part / "crl/oca-issuing-1.crl").write_bytes(der)
    assert codes(drill, part) == ["restore.other-list"]


def test_another_log_is_not_taken_for_this_one(drill: Drill, tmp_path: Path) -> None:
    """The backup of before, and a log that went on otherwise."""
    drill.take()
    lost = tmp_path / "lost.db"
    drill.house.workspace.close()
    with closing(sqlite3.connect(drill.house.home / "smki.db")) as connection:
        connection.execute("VACUUM INTO ?", (str(lost),))
    drill.issue()
    forked = mirror(drill.published, tmp_path / "forked")
    drill.lose()
    drill.published.rename(tmp_path / "put-away")
    shutil.copy(lost, drill.house.home / "smki.db")
    (drill.house.home / "smki.db").chmod(0o600)
    drill.issue()
    drill.issue()
    drill.take()
    drill.lose()
    shutil.rmtree(drill.published)
    assert drill.refused(forked).code == "restore.forked"


def test_a_backup_from_before_an_authority_is_refused_by_its_name(tmp_path: Path) -> None:
    with founded(tmp_path / "authority") as house:
        drill = Drill(house)
        house.enrol()
        house.hold(house.shipped("1"))
        drill.take()
        house.hold(house.shipped("2"))
        drill.publish()
        drill.lose()
        error = drill.refused()
    assert error.code == "restore.forgets-authority"
    assert error.message.startswith("authority oca-issuing-1 was published, and is not known; ")
    assert "signed by no authority" not in error.message, "the list of the forgotten one is nobody else's"


def test_the_log_of_another_workspace_on_the_same_token_is_told(drill: Drill, tmp_path: Path) -> None:
    """Two workspaces that name one token for their audit share its key."""
    drill.take()
    spki = drill.house.workspace.store.audit_key
    assert spki is not None
    key = audit_key(drill.house.workspace)
    other = Checkpoint(f"smki/{bytes(16).hex()}", 1, bytes(32))
    note = sign_checkpoint(other, spki, lambda data: key.sign(data, ec.ECDSA(hashes.SHA256())))

    def change(part: Path) -> None:
        (part / "audit/checkpoint").write_text(note, encoding="utf-8")

    part = mirror(drill.published, tmp_path / "mirror", change)
    assert codes(drill, part) == ["restore.other-log"]
    drill.lose()
    assert drill.refused(part).code == "restore.other-log"


def test_what_is_published_while_a_store_is_proven_is_no_loss(drill: Drill, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store at work is held against what was published before it was read."""

    def meanwhile(store: Store) -> Verdict:
        with log.act(drill.house.workspace, "test.meanwhile"):
            pass
        log.seal(drill.house.workspace)
        return verify_log(store)

    monkeypatch.setattr(backup, "verify_log", meanwhile)
    before = drill.house.workspace.store.audit_size()
    proof = prove_store(drill.house.workspace, ())
    assert (proof.faults, proof.shortfalls, proof.entries) == ((), (), before)
    assert drill.house.workspace.store.audit_size() == before + 1


def test_a_pipe_in_a_mirror_is_not_waited_for(drill: Drill, tmp_path: Path) -> None:
    drill.take()

    def change(part: Path) -> None:
        os.mkfifo(part / "crl/mine.crl")

    assert codes(drill, mirror(drill.published, tmp_path / "mirror", change)) == ["restore.unreadable"]


def test_a_backup_of_another_workspace_is_refused(drill: Drill, tmp_path: Path) -> None:
    found_at(tmp_path / "other")
    other = opened(tmp_path / "other").workspace
    take(other, drill.backup)
    other.close()
    drill.lose()
    assert drill.refused().code == "restore.unreadable", "signed by a key that is not its own"


# What was tampered with


@pytest.mark.requirement("R-AUD-5")
@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ("DELETE FROM revocation", "revocations: 0 on record, and 1 in the log"),
        ("UPDATE revocation SET number = 2", "revocations: 1 on record, and they are not those in the log"),
        (
            "UPDATE certificate SET status = 1 WHERE status = 4",
            "certificates were revoked, and their status is another",
        ),
        (
            "UPDATE certificate SET status = 4 WHERE serial ="
            " (SELECT MIN(serial) FROM certificate WHERE status <> 4)",
            "2 certificates have the status revoked, and 1 of them were",
        ),
        (
            "DELETE FROM certificate WHERE serial = (SELECT MIN(serial) FROM certificate)",
            "certificates: 3 on record, and 4 in the log",
        ),
        (
            "UPDATE certificate SET der = x'00' WHERE serial = (SELECT MIN(serial) FROM certificate)",
            "certificates: 4 on record, and they are not those in the log",
        ),
        (
            "UPDATE certificate SET serial = randomblob(16) WHERE serial = (SELECT MIN(serial) FROM certificate)",
            "has another serial number inside",
        ),
        (
            "INSERT INTO reservation VALUES (0, 1, 0, randomblob(16), 'x')",
            "serial numbers: 5 on record, and 4 in the log",
        ),
        ("DELETE FROM crl", "numbers of revocation lists: 0 on record, and 1 in the log"),
        ("UPDATE audit_checkpoint SET note = replace(note, 'smki/', 'smkj/')", "checkpoint"),
    ],
)
def test_tables_that_contradict_the_log_are_found(drill: Drill, change: str, fault: str) -> None:
    drill.house.workspace.close()
    with closing(sqlite3.connect(drill.house.home / "smki.db")) as connection:
        assert connection.execute(change).rowcount > 0
        connection.commit()
    assert fault in "; ".join(prove_store(drill.house.workspace, ()).faults)
    drill.take()
    assert fault in "; ".join(prove_backup(drill.house.workspace, drill.backup, (), None).faults)
    drill.lose()
    assert drill.refused().code == "backup.contradiction"


def test_a_database_that_is_damaged_is_found(drill: Drill) -> None:
    """A page in the middle of an index, which no question may ever read."""
    drill.house.workspace.close()
    path = drill.house.home / "smki.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'certificate_key'").fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    with path.open("r+b") as file:
        file.seek(page * size - 20)
        file.write(os.urandom(20))
    assert prove_store(drill.house.workspace, ()).faults != ()


def test_a_missing_backup_is_told(drill: Drill, tmp_path: Path) -> None:
    drill.lose()
    assert drill.refused().code == "backup.unreadable"
    drill.backup.mkdir()
    assert drill.refused().code == "backup.unreadable"


def test_a_backup_is_never_written_over(drill: Drill) -> None:
    drill.take()
    with pytest.raises(SmkiError) as refused:
        take(drill.house.workspace, drill.backup)
    assert refused.value.code == "file.exists"


def test_an_absent_audit_token_is_told_and_the_store_is_there(drill: Drill) -> None:
    """The HSM may come back later than the database."""
    drill.take()
    drill.lose()
    tokens = drill.house.home / "tokens"
    tokens.rename(drill.house.home / "away")
    tokens.mkdir(mode=0o700)
    assert not drill.restore().sealed
    drill.house.workspace.close()
    tokens.rmdir()
    (drill.house.home / "away").rename(tokens)
    assert drill.publish() == 2


def test_a_user_has_no_manifest_and_needs_none(tmp_path: Path) -> None:
    with founded(tmp_path / "user", kind="user") as house:
        drill = Drill(house)
        drill.take()
        drill.lose()
        assert drill.restore().proof.shortfalls == ()
