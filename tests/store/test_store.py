"""The store's contract, the same on SQLite and PostgreSQL."""

import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from smki.errors import IntegrityFailure, InvalidInput, Refused, SmkiError, Unavailable
from smki.pki.serial import Serial
from smki.store import merkle
from smki.store.records import (
    Act,
    AuthorityRecord,
    CeremonyRecord,
    CertificateRecord,
    ContingencyRecord,
    OfficerRecord,
    TokenRecord,
)
from smki.store.store import Store
from tests.postgres import Server
from tests.store.conftest import WORKSPACE

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
SERIAL = Serial(b"\x01" * 16)


def act(kind: str = "test") -> Act:
    return Act(kind, "tester", NOW, {"n": 1})


def authority(name: str, number: int, tier: str = "issuing") -> AuthorityRecord:
    return AuthorityRecord(
        number=number,
        name=name,
        hierarchy="organisation",
        tier=tier,
        state="making",
        issuing=False,
        profile="p",
        subject=f"Z{number}",
        token="t",
        key_id=b"id",
        public_key=None,
        issuer=None,
        serial=None,
        not_after=None,
    )


def certificate(serial: Serial = SERIAL) -> CertificateRecord:
    return CertificateRecord(1, serial, b"k" * 16, None, "p", NOW, NOW.replace(year=2030), b"der")


def test_opening_again_finds_the_same(store: Store, url: str) -> None:
    with store.act(act()) as tx:
        tx.put_token(TokenRecord("a", "softhsm", "a", "1234"))
    again, new = Store.create(url, b"x" * 16)
    assert not new
    assert again.workspace_id == WORKSPACE
    assert again.token("a") == TokenRecord("a", "softhsm", "a", "1234")
    assert again.token("b") is None
    assert again.audit_size() == 1
    again.close()


@pytest.mark.requirement("R-AUD-1")
def test_an_act_that_fails_leaves_neither_change_nor_entry(store: Store) -> None:
    def fail() -> None:
        with store.act(act()) as tx:
            tx.put_token(TokenRecord("a", "softhsm", "a", "1234"))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert store.token("a") is None
    assert store.audit_size() == 0


@pytest.mark.requirement("R-AUD-1")
def test_an_act_that_cannot_be_logged_does_not_happen(store: Store) -> None:
    with pytest.raises(InvalidInput) as refusal, store.act(Act("big", "t", NOW, {"x": "y" * (1 << 17)})) as tx:
        tx.put_token(TokenRecord("a", "softhsm", "a", "1234"))
    assert refusal.value.code == "audit.size"
    assert store.token("a") is None


def test_entries_stand_in_one_form(store: Store) -> None:
    with store.act(Act("x", "Zoë", NOW, {"b": 1, "a": [True]})):
        pass
    (entry,) = store.audit_entries()
    assert entry.body.decode() == (
        '{"act":"x","actor":"Zoë","facts":{"a":[true],"b":1},"seq":0,"time":"2026-11-21T12:00:00Z","v":1}'
    )


def test_tree_and_proofs_agree_with_the_entries(store: Store) -> None:
    for _ in range(11):
        with store.act(act()):
            pass
    entries = [entry.body for entry in store.audit_entries()]
    for size in range(1, 12):
        assert store.audit_root(size) == merkle.root_of(entries[:size])[1]
    path = merkle.inclusion_proof(3, 11, store.audit_node)
    assert merkle.includes(merkle.leaf_hash(entries[3]), 3, 11, path, store.audit_root(11))
    assert [entry.seq for entry in store.audit_entries(4, 6)] == [4, 5]


@pytest.mark.requirement("R-UID-3")
def test_a_serial_number_is_reserved_used_once_or_burnt_for_ever(store: Store) -> None:
    with store.act(act()) as tx:
        tx.reserve_serials(1, [SERIAL], "test")
    with pytest.raises(Refused) as conflict, store.act(act()) as tx:
        tx.reserve_serials(1, [SERIAL], "again")
    assert conflict.value.code == "store.conflict"
    with store.act(act()) as tx:
        tx.store_certificates([certificate()])
    assert store.certificates.reservations() == ()
    assert store.certificates.get(1, SERIAL) == certificate()
    assert store.certificates.of_key(b"k" * 16) == (certificate(),)
    with store.act(act()) as tx:
        tx.reserve_serials(1, [SERIAL], "again")
    with pytest.raises(Refused) as used, store.act(act()) as tx:
        tx.store_certificates([certificate()])
    assert used.value.code == "store.conflict"
    other = Serial(b"\x02" * 16)
    with store.act(act()) as tx:
        tx.reserve_serials(1, [other], "test")
        tx.burn_serials(1, [other])
    assert [r.burnt for r in store.certificates.reservations() if r.serial == other] == [True]
    with pytest.raises(IntegrityFailure), store.act(act()) as tx:
        tx.store_certificates([certificate(other)])
    with pytest.raises(IntegrityFailure), store.act(act()) as tx:
        tx.burn_serials(1, [other])


@pytest.mark.requirement("R-SUB-7")
def test_a_certificate_without_reservation_is_refused(store: Store) -> None:
    with pytest.raises(IntegrityFailure) as refusal, store.act(act()) as tx:
        tx.store_certificates([certificate()])
    assert refusal.value.code == "serial.not-reserved"
    assert store.certificates.get(1, SERIAL) is None


def test_the_newest_issuing_authority_issues(store: Store) -> None:
    for number, name in enumerate(("one", "two"), 1):
        with store.act(act()) as tx:
            tx.put_authority(authority(name, number))
            tx.set_authority_key(name, b"spki")
            tx.activate_authority(name, SERIAL, int(NOW.timestamp()))
    assert [(a.name, a.issuing, a.state) for a in store.authorities()] == [
        ("one", False, "active"),
        ("two", True, "active"),
    ]
    with pytest.raises(Refused), store.act(act()) as tx:
        tx.set_authority_key("two", b"another")
    with pytest.raises(Refused), store.act(act()) as tx:
        tx.activate_authority("two", SERIAL, 1)
    with pytest.raises(Refused), store.act(act()) as tx:
        tx.put_authority(authority("two", 3))


def test_a_root_does_not_take_issuing_away(store: Store) -> None:
    for number, (name, tier) in enumerate((("one", "issuing"), ("root", "root")), 1):
        with store.act(act()) as tx:
            tx.put_authority(authority(name, number, tier))
            tx.activate_authority(name, SERIAL, int(NOW.timestamp()))
    one = store.authority("one")
    assert one is not None
    assert one.issuing


def test_a_ceremony_moves_only_from_where_it_is(store: Store) -> None:
    record = CeremonyRecord(b"d" * 32, "authority", b"file", "started", {"day": "2026-11-21"})
    with store.act(act()) as tx:
        tx.begin_ceremony(record)
    assert store.ceremony(b"d" * 32) == record
    with pytest.raises(Refused), store.act(act()) as tx:
        tx.begin_ceremony(record)
    with pytest.raises(Refused) as moved, store.act(act()) as tx:
        tx.advance_ceremony(b"d" * 32, "keys-made", "signing", {})
    assert moved.value.code == "ceremony.moved-on"
    with store.act(act()) as tx:
        tx.advance_ceremony(b"d" * 32, "started", "keys-made", {"day": "x"})
    after = store.ceremony(b"d" * 32)
    assert after is not None
    assert (after.state, after.detail) == ("keys-made", {"day": "x"})


def test_roll_contingency_and_marks(store: Store) -> None:
    with store.act(act()) as tx:
        tx.replace_roll([OfficerRecord("bob", b"b"), OfficerRecord("alice", b"a")])
        tx.put_contingency(ContingencyRecord("root", "t", b"k", b"s", b"p"))
        tx.set_audit_key(b"spki")
        tx.adopt_policies("abc")
    with store.act(act()) as tx:
        tx.replace_roll([OfficerRecord("carol", b"c")])
    assert [officer.name for officer in store.officers()] == ["carol"]
    assert store.contingency("root") == ContingencyRecord("root", "t", b"k", b"s", b"p")
    assert (store.audit_key, store.policies_digest) == (b"spki", "abc")


@pytest.mark.requirement("R-VER-4")
def test_a_newer_schema_is_refused(store: Store, url: str) -> None:
    with store._engine.transaction():
        store._set_meta("schema", b"999")
    with pytest.raises(Refused) as refusal:
        Store.open(url)
    assert refusal.value.code == "store.newer-schema"


APPENDER = """
import sys
from datetime import UTC, datetime
from smki.store.records import Act
from smki.store.store import Store
store = Store.open(sys.argv[1])
for n in range(int(sys.argv[2])):
    with store.act(Act("loop", "child", datetime.now(UTC), {"n": n})):
        pass
    print(n, flush=True)
"""


def test_four_processes_append_without_gap(store: Store, url: str) -> None:
    children = [
        subprocess.Popen([sys.executable, "-c", APPENDER, url, "25"], stdout=subprocess.DEVNULL) for _ in range(4)
    ]
    assert [child.wait(60) for child in children] == [0] * 4
    assert [entry.seq for entry in store.audit_entries()] == list(range(100))
    assert store.audit_root(100) == merkle.root_of(entry.body for entry in store.audit_entries())[1]


def test_a_killed_writer_leaves_a_whole_log(store: Store, url: str) -> None:
    for pause in (0.02, 0.05, 0.11):
        child = subprocess.Popen([sys.executable, "-c", APPENDER, url, "100000"], stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(pause)
        os.kill(child.pid, signal.SIGKILL)
        said = child.stdout.read().splitlines()
        child.wait()
        child.stdout.close()
        size = store.audit_size()
        assert size > len(said) - 1
        assert store.audit_root(size) == merkle.root_of(entry.body for entry in store.audit_entries())[1]
        assert json.loads(next(store.audit_entries(size - 1)).body)["seq"] == size - 1


# What only one engine has


def test_a_missing_or_foreign_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(Unavailable) as missing:
        Store.open(f"sqlite:{tmp_path / 'none.db'}")
    assert missing.value.code == "store.missing"
    foreign = tmp_path / "foreign.db"
    foreign.write_bytes(b"not a database, but long enough to be looked at" * 100)
    with pytest.raises(IntegrityFailure) as damaged:
        Store.open(f"sqlite:{foreign}")
    assert damaged.value.code == "store.damaged"
    with pytest.raises(InvalidInput):
        Store.open("mysql://host/db")


@pytest.mark.postgresql
def test_a_password_in_the_url_is_refused() -> None:
    with pytest.raises(Refused) as refusal:
        Store.open("postgresql://smki:secret@host/db")
    assert refusal.value.code == "store.password"
    assert "secret" not in str(refusal.value) + refusal.value.remedy


@pytest.mark.postgresql
def test_a_server_that_comes_back_is_used_again(own_server: Server) -> None:
    store, _ = Store.create(own_server.fresh(), WORKSPACE)
    own_server.stop()
    with pytest.raises(Unavailable) as gone, store.act(act()):
        pass
    assert gone.value.code == "store.unreachable"
    own_server.start()
    with store.act(act()):
        pass
    assert store.audit_size() == 1
    store.close()


def test_every_refusal_has_a_remedy(store: Store) -> None:
    with pytest.raises(SmkiError) as refusal:
        store.audit_node(40, 0)
    assert refusal.value.remedy
