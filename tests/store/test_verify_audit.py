"""The stand-alone verifier against a real database and its export, tampered with in every way we know."""

import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from smki.authority.auditing import export_log, prove_entry
from smki.store import merkle
from smki.store.note import Checkpoint, sign_checkpoint, verifier_key
from smki.store.records import Act
from smki.store.store import Store

SCRIPT = Path(__file__).parent.parent.parent / "scripts" / "verify-audit"
KEY = ec.generate_private_key(ec.SECP256R1())
SPKI = KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
ENTRIES = 9


def signed(checkpoint: Checkpoint) -> str:
    return sign_checkpoint(checkpoint, SPKI, lambda data: KEY.sign(data, ec.ECDSA(hashes.SHA256())))


def seal(store: Store) -> str:
    checkpoint = Checkpoint(store.origin, store.audit_size(), store.audit_root(store.audit_size()))
    note = signed(checkpoint)
    store.add_checkpoint(checkpoint, note)
    return note


def append(store: Store, text: str = "-") -> str:
    with store.act(Act("test", "Zoë", NOW, {"text": text})) as tx:
        tx.set_audit_key(SPKI)
    return seal(store)


def make(folder: Path, count: int = ENTRIES) -> Store:
    store, _ = Store.create(f"sqlite:{folder / 'smki.db'}", b"w" * 16)
    for number in range(count):
        append(store, f"number {number}")
    (folder / "key").write_text(verifier_key(store.origin, SPKI) + "\n")
    return store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return make(tmp_path)


def export(store: Store, path: Path) -> Path:
    path.write_text("".join(f"{line}\n" for line in export_log(store)), encoding="utf-8")
    return path


def verify(log: Path, *kept: Path, key: Path | None = None) -> tuple[int, str]:
    options = [word for path in kept for word in ("--checkpoint", str(path))]
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(log), "--key", str(key or log.parent / "key"), *options],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout + done.stderr


def change(folder: Path, *statements: str | tuple[str, tuple[object, ...]]) -> None:
    connection = sqlite3.connect(folder / "smki.db")
    for statement in statements:
        connection.execute(*((statement,) if isinstance(statement, str) else statement))
    connection.commit()
    connection.close()


def test_a_good_log_is_whole(store: Store, tmp_path: Path) -> None:
    append(store, "line\u2028sep\u0085arators \x1b[31m and \N{GRINNING FACE}")
    for log in (tmp_path / "smki.db", export(store, tmp_path / "log.jsonl")):
        assert verify(log) == (0, "10 entries are signed, whole, and in order\n")


BODY = "UPDATE audit_entry SET body = ? WHERE seq = 4"
SWAP = (
    "UPDATE audit_entry SET seq = 100 WHERE seq = 4",
    "UPDATE audit_entry SET seq = 4 WHERE seq = 5",
    "UPDATE audit_entry SET seq = 5 WHERE seq = 100",
)
SHIFT = (
    "DELETE FROM audit_entry WHERE seq = 4",
    *(f"UPDATE audit_entry SET seq = {n - 1} WHERE seq = {n}" for n in range(5, ENTRIES)),
)


@pytest.mark.requirement("R-AUD-3")
@pytest.mark.parametrize(
    ("statements", "word"),
    [
        ([(BODY, (b'{"seq":4}',))], "entry 4 has not the form"),
        ([(BODY, (b"[]",))], "entry 4 has not the form"),
        ([(BODY, (b"[" * 60000,))], "entry 4 has not the form"),
        ([(BODY, (b"\xff\xfe",))], "entry 4 has not the form"),
        ([(BODY, (b"x" * 200000,))], "entry 4 has not the form"),
        (
            ["UPDATE audit_entry SET body = CAST(replace(body, 'number 4', 'number 5') AS BLOB) WHERE seq = 4"],
            "of entries 4 to 4",
        ),
        (["UPDATE audit_entry SET body = replace(body, 'number 4', 'number 5') WHERE seq = 4"], "not the form"),
        ([(BODY, (10**12,))], "entry 4 has not the form"),
        ([(BODY, (2.5,))], "entry 4 has not the form"),
        (["UPDATE audit_entry SET body = CAST(body || ' ' AS BLOB) WHERE seq = 4"], "one form"),
        (["DELETE FROM audit_entry WHERE seq = 4"], "entry 4 is missing"),
        (list(SHIFT), "at place 4 stands entry 5"),
        (list(SWAP), "at place 4 stands entry 5"),
        (["DELETE FROM audit_entry WHERE seq = 0"], "entry 0 is missing"),
        (["DELETE FROM audit_entry WHERE seq = 8"], "signed 9 entries, and only 8 are here"),
        ([("INSERT INTO audit_entry VALUES (-1, ?)", (b"{}",))], "entry 0 is missing: entry -1"),
        (["DELETE FROM audit_entry"], "only 0 are here"),
        (["DELETE FROM audit_checkpoint"], "nothing vouches"),
        (["UPDATE audit_checkpoint SET note = replace(note, '7777', '7778') WHERE size = 3"], "not good"),
        (["UPDATE audit_checkpoint SET note = 'junk' WHERE size = 3"], "not good"),
    ],
)
def test_what_was_done_to_the_database_is_told(
    store: Store, tmp_path: Path, statements: list[str | tuple[str, tuple[object, ...]]], word: str
) -> None:
    store.close()
    change(tmp_path, *statements)
    code, said = verify(tmp_path / "smki.db")
    assert (code, word in said) == (1, True), said


@pytest.mark.requirement("R-AUD-3")
@pytest.mark.parametrize(
    "tamper",
    [
        lambda lines: [*lines[:5], lines[5].replace("number 4", "number 5"), *lines[6:]],
        lambda lines: [*lines[:5], *lines[6:]],
        lambda lines: [*lines[:5], lines[6], lines[5], *lines[7:]],
        lambda lines: [*lines[:5], lines[5], lines[5], *lines[6:]],
        lambda lines: [*lines[:5], "{not json", *lines[6:]],
        lambda lines: [*lines[:5], "[]", *lines[6:]],
        lambda lines: [*lines[:5], '{"entry":[]}', *lines[6:]],
        lambda lines: lines[: ENTRIES + 1],
        lambda lines: lines[:1] + lines[ENTRIES + 1 :],
        lambda lines: [line for line in lines if '"number 8"' not in line.replace("\\", "")],
    ],
    ids=["changed", "removed", "reordered", "doubled", "junk", "list", "odd", "unsigned", "emptied", "shortened"],
)
def test_what_was_done_to_the_export_is_told(
    store: Store, tmp_path: Path, tamper: Callable[[list[str]], list[str]]
) -> None:
    log = export(store, tmp_path / "log.jsonl")
    lines = log.read_text(encoding="utf-8").splitlines()
    log.write_text("".join(f"{line}\n" for line in tamper(lines)), encoding="utf-8")
    code, said = verify(log)
    assert code == 1, said
    assert "FAULT" in said


@pytest.mark.requirement("R-AUD-4")
def test_a_log_cut_back_or_forked_does_not_hold_a_kept_checkpoint(tmp_path: Path) -> None:
    """Both ends are signed by the right key: only what an auditor kept tells."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        store = make(tmp_path / name, 4)
        kept = tmp_path / f"{name}.checkpoint"
        if name == "two":
            append(store, "another past")
        kept.write_text(append(store, "the same end"), encoding="utf-8")
        store.close()
        assert verify(tmp_path / name / "smki.db", kept)[0] == 0
    code, said = verify(tmp_path / "one" / "smki.db", tmp_path / "two.checkpoint")
    assert (code, "signed 6 entries, and only 5 are here" in said) == (1, True), said
    code, said = verify(tmp_path / "two" / "smki.db", tmp_path / "one.checkpoint")
    assert (code, "two checkpoints signed 5 entries and differ" in said) == (1, True), said


def test_an_entry_that_nobody_signed_is_not_vouched_for(store: Store, tmp_path: Path) -> None:
    with store.act(Act("test", "t", NOW, {})):
        pass
    code, said = verify(tmp_path / "smki.db")
    assert code == 0
    assert said.splitlines() == [
        "WARNING: the last 1 of 10 entries are signed by nobody yet: do not rely on them",
        "9 entries are signed, whole, and in order",
    ]


def test_proofs_of_entries(store: Store, tmp_path: Path) -> None:
    for seq in range(ENTRIES):
        proof = prove_entry(store, seq)
        path = tmp_path / "entry.proof"
        path.write_text(json.dumps(proof))
        code, said = verify(path)
        assert (code, f"number {seq}" in said) == (0, True), said
    for wrong in (
        proof | {"entry": proof["entry"].replace("number", "nummer")},
        proof | {"seq": 3},
        proof | {"seq": True},
        proof | {"path": proof["path"][:-1]},
        proof | {"path": [*proof["path"], "00" * 32]},
        proof | {"path": ["zz"]},
        proof | {"checkpoint": proof["checkpoint"].replace("\n9\n", "\n8\n")},
        {"format": "smki-audit-proof/1"},
    ):
        path.write_text(json.dumps(wrong))
        assert verify(path)[0] == 1, wrong


def test_proofs_of_growth(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "growth.proof"
    notes = dict(store.checkpoints())
    for old in range(1, ENTRIES + 1):
        steps = merkle.consistency_proof(old, ENTRIES, store.audit_node)
        proof = {
            "format": "smki-audit-growth/1",
            "from": notes[old],
            "path": [step.hex() for step in steps],
            "checkpoint": notes[ENTRIES],
        }
        path.write_text(json.dumps(proof))
        assert verify(path)[0] == 0, old
    forked = signed(Checkpoint(store.origin, 5, b"\x01" * 32))
    steps = merkle.consistency_proof(5, ENTRIES, store.audit_node)
    for wrong in (
        proof | {"from": forked, "path": [step.hex() for step in steps]},
        proof | {"from": notes[5], "path": [step.hex() for step in steps[1:]]},
        proof | {"from": notes[5], "path": []},
        proof | {"from": notes[ENTRIES], "checkpoint": notes[5]},
    ):
        path.write_text(json.dumps(wrong))
        assert verify(path)[0] == 1, wrong


def test_what_is_no_log_is_told(store: Store, tmp_path: Path) -> None:
    junk = tmp_path / "junk"
    key = tmp_path / "key"
    for content in (b"", b"\xff\xfe", b"[]\n", b'{"format":"other"}\n', b"SQLite format 3\0" + b"x" * 5000):
        junk.write_bytes(content)
        assert verify(junk)[0] == 2, content
    assert verify(tmp_path / "none")[0] == 2
    assert verify(tmp_path / "smki.db", key=junk)[0] == 2
    other = ec.generate_private_key(ec.SECP256R1()).public_key()
    junk.write_text(verifier_key(store.origin, other.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)))
    assert verify(tmp_path / "smki.db", key=junk)[0] == 1
    assert verify(tmp_path / "smki.db", key=key)[0] == 0


def test_any_folder_will_do(tmp_path: Path) -> None:
    folder = tmp_path / "a#b?c%41"
    folder.mkdir()
    make(folder).close()
    assert verify(folder / "smki.db")[0] == 0


@pytest.mark.requirement("R-AUD-3")
def test_the_verifier_imports_nothing_of_ours() -> None:
    assert "smki" not in {line.split()[1].split(".")[0] for line in SCRIPT.read_text(encoding="utf-8").splitlines()
                          if line.startswith(("import ", "from "))}  # fmt: skip
