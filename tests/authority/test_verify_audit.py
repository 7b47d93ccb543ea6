"""The stand-alone verifier: every way to falsify a log, in the database and in the export."""

import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from smki.authority.auditing import export_log, prove_entry, verify_log
from smki.authority.log import act, seal
from smki.errors import IntegrityFailure
from smki.store.store import Store
from tests.house import House

VERIFIER = Path(__file__).parent.parent.parent / "scripts" / "verify-audit"


def verify(log: Path, home: Path, *more: str | Path) -> tuple[int, str]:
    key = home / "published" / "audit" / "verifier-key"
    done = subprocess.run(
        [sys.executable, "-I", VERIFIER, log, "--key", key, *more], capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def sealed(house: House) -> House:
    for number in range(6):
        with act(house.workspace, "test", number=number):
            pass
    seal(house.workspace)
    return house


def export(house: House, to: Path) -> list[str]:
    lines = list(export_log(house.workspace.store))
    to.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return lines


def test_it_imports_nothing_of_ours() -> None:
    assert "smki" not in [
        line.split()[1].split(".")[0] for line in VERIFIER.read_text().splitlines() if "import " in line
    ]


def test_a_whole_log_is_believed(sealed: House, tmp_path: Path) -> None:
    export(sealed, tmp_path / "log")
    kept = sealed.home / "published" / "audit" / "checkpoint"
    assert verify(tmp_path / "log", sealed.home, "--checkpoint", kept)[0] == 0
    assert verify(sealed.home / "smki.db", sealed.home)[0] == 0
    (tmp_path / "entry.proof").write_text(json.dumps(prove_entry(sealed.workspace.store, 3)))
    assert verify(tmp_path / "entry.proof", sealed.home)[0] == 0


def test_a_log_that_grows_while_it_is_exported_is_believed(sealed: House, tmp_path: Path) -> None:
    """No checkpoint in it signs what was done after its last entry."""
    lines = export_log(sealed.workspace.store)
    begun = [next(lines), next(lines)]
    with act(sealed.workspace, "test", number=6):
        pass
    seal(sealed.workspace)
    (tmp_path / "log").write_text("\n".join([*begun, *lines]) + "\n", encoding="utf-8")
    assert verify(tmp_path / "log", sealed.home)[0] == 0


def test_a_false_proof_is_not(sealed: House, tmp_path: Path) -> None:
    proof = prove_entry(sealed.workspace.store, 3)
    for change in (
        {"entry": proof["entry"].replace("token.made", "token.mode")},
        {"seq": 4},
        {"path": proof["path"][:-1]},
        {"path": [*proof["path"], proof["path"][0]]},
    ):
        (tmp_path / "entry.proof").write_text(json.dumps({**proof, **change}))
        assert verify(tmp_path / "entry.proof", sealed.home)[0] == 1


CHANGES: dict[str, Callable[[list[str]], list[str]]] = {
    "changed": lambda lines: [line.replace("token.made", "token.mode") for line in lines],
    "removed": lambda lines: lines[:3] + lines[4:],
    "reordered": lambda lines: [lines[0], lines[2], lines[1], *lines[3:]],
    "shortened": lambda lines: [lines[0], *lines[1:5], *[line for line in lines if "checkpoint" in line]],
    "unsigned": lambda lines: [line for line in lines if '"checkpoint"' not in line],
}


@pytest.mark.parametrize("how", CHANGES)
def test_a_falsified_export_is_caught(how: str, sealed: House, tmp_path: Path) -> None:
    lines = CHANGES[how](export(sealed, tmp_path / "log"))
    (tmp_path / "log").write_text("\n".join(lines) + "\n", encoding="utf-8")
    status, words = verify(tmp_path / "log", sealed.home)
    assert status == 1, words


SQL = {
    "changed": "UPDATE audit_entry SET body = CAST(replace(body, 'tester', 'taster') AS BLOB) WHERE seq = 1",
    "removed": "DELETE FROM audit_entry WHERE seq = 3",
    "reordered": "UPDATE audit_entry SET seq = CASE seq WHEN 2 THEN -3 ELSE -2 END WHERE seq IN (2, 3)",
    "shortened": "DELETE FROM audit_entry WHERE seq > 4",
    "note changed": "UPDATE audit_checkpoint SET note = replace(note, 'smki/', 'smka/')",
}


@pytest.mark.requirement("R-AUD-3")
@pytest.mark.parametrize("how", SQL)
def test_a_falsified_database_is_caught_by_it_and_by_us(how: str, sealed: House) -> None:
    sealed.workspace.close()
    path = sealed.home / "smki.db"
    with sqlite3.connect(path) as connection:
        connection.execute(SQL[how])
        connection.execute("UPDATE audit_entry SET seq = -seq WHERE seq < 0")
    connection.close()
    assert verify(path, sealed.home)[0] == 1
    store = Store.open(f"sqlite:{path}")
    assert verify_log(store).faults
    store.close()


def test_a_forked_or_rolled_back_log_is_caught_by_a_kept_checkpoint(sealed: House, tmp_path: Path) -> None:
    copy = tmp_path / "before.db"
    sealed.workspace.close()
    with sqlite3.connect(sealed.home / "smki.db") as connection:
        connection.execute(f"VACUUM INTO '{copy}'")
    connection.close()
    with act(sealed.workspace, "test", what="the true one"):
        pass
    seal(sealed.workspace)
    kept = tmp_path / "kept"
    kept.write_bytes((sealed.home / "published" / "audit" / "checkpoint").read_bytes())
    # Whoever holds the audit key can put the old database back and go on from there: another log, signed well.
    sealed.workspace.close()
    (sealed.home / "smki.db").unlink()
    for rest in sealed.home.glob("smki.db-*"):
        rest.unlink()
    copy.rename(sealed.home / "smki.db")
    (sealed.home / "smki.db").chmod(0o600)
    assert verify(sealed.home / "smki.db", sealed.home)[0] == 0
    assert verify(sealed.home / "smki.db", sealed.home, "--checkpoint", kept)[0] == 1
    with act(sealed.workspace, "test", what="the false one"):
        pass
    with pytest.raises(IntegrityFailure) as forked:
        seal(sealed.workspace)
    assert forked.value.code == "audit.forked"
    (sealed.home / "published" / "audit" / "checkpoint").unlink()
    seal(sealed.workspace)
    sealed.workspace.close()
    assert verify(sealed.home / "smki.db", sealed.home)[0] == 0
    status, words = verify(sealed.home / "smki.db", sealed.home, "--checkpoint", kept)
    assert status == 1
    assert "forked" in words
