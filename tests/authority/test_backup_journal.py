"""A backup and the journal since: nothing is forgotten, and nothing is kept for ever."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from smki.authority.backup.act import prove_backup, prove_store
from smki.store.journal import MARK
from tests.authority.backups import Drill, make
from tests.house import copy_of, opened
from tests.once import once


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    folder = tmp_path / "journal"
    folder.mkdir(mode=0o700)
    (folder / MARK).touch()
    return folder


@pytest.fixture
def drill(tmp_path: Path, journal: Path) -> Iterator[Drill]:
    """With a journal from here on."""
    home = copy_of(once("drill", make), tmp_path / "authority")
    settings = home / "smki.toml"
    settings.write_text(settings.read_text().replace("[store]\n", f'[store]\njournal = "{journal}"\n'))
    made = Drill(opened(home))
    yield made
    made.house.workspace.close()


@pytest.mark.requirement("R-REC-6")
def test_with_a_journal_no_act_of_any_kind_is_forgotten(drill: Drill, journal: Path) -> None:
    """Issued, revoked, listed after the backup; and the journal is pruned by what a backup has, not by its age."""
    drill.issue()
    drill.take()
    drill.revoke(drill.issue())
    number = drill.publish()
    os.utime(drill.backup, (2**32, 2**32))
    kept = len(list(journal.glob("[0-9]*")))
    proof = prove_backup(drill.house.workspace, drill.backup, (), journal, prune_journal=True)
    assert (proof.faults, proof.shortfalls) == ((), ())
    assert (proof.pruned > 0, proof.replayed) == (True, kept - proof.pruned)
    before = drill.house.workspace.store.audit_size()
    drill.lose()
    done = drill.restore(journal=journal)
    assert (done.proof.replayed, done.proof.shortfalls) == (proof.replayed, ())
    assert drill.house.workspace.store.audit_size() == before + 1
    assert prove_store(drill.house.workspace, ()).faults == ()
    assert drill.publish() == number + 1


def test_of_a_backup_that_is_refused_nothing_is_pruned(drill: Drill, journal: Path) -> None:
    drill.take()
    drill.issue()
    for path in journal.glob("[0-9]*"):
        path.unlink()
    (journal / f"{0:016}").touch()
    proof = prove_backup(drill.house.workspace, drill.backup, (), journal, prune_journal=True)
    assert (proof.shortfalls != (), proof.pruned) == (True, 0)
    assert (journal / f"{0:016}").exists()
