"""A database that knows less than what was published, and publishers that overtake each other."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from smki.authority import log
from smki.authority.log import act, seal
from smki.authority.publication.act import publish_lists
from smki.authority.workspace import Workspace
from tests.authority.backups import Drill, copied, make
from tests.once import once


@pytest.fixture
def drill(tmp_path: Path) -> Iterator[Drill]:
    made = copied(once("drill", make), tmp_path / "authority")
    yield made
    made.house.workspace.close()


def put_back(drill: Drill, old: Path) -> None:
    drill.lose()
    shutil.copy(old, drill.house.home / "smki.db")
    (drill.house.home / "smki.db").chmod(0o600)


@pytest.mark.requirement("R-DIS-2")
@pytest.mark.parametrize("gone", ["audit/checkpoint", "manifest", None])
def test_an_old_database_that_was_put_back_makes_no_list(drill: Drill, tmp_path: Path, gone: str | None) -> None:
    """It would tell the world, under a higher number, that a stolen key is good again."""
    old = tmp_path / "old.db"
    with closing(sqlite3.connect(drill.house.home / "smki.db")) as connection:
        connection.execute("VACUUM INTO ?", (str(old),))
    drill.revoke(drill.issue())
    drill.publish()
    before = (drill.published / "crl/oca-issuing-1.crl").read_bytes()
    put_back(drill, old)
    if gone is not None:
        (drill.published / gone).unlink()
    size = drill.house.workspace.store.audit_size()
    run = publish_lists(drill.house.workspace, ("oca-issuing-1",), even_if_not_due=True)
    assert run.faults[0].code == "audit.forked"
    assert run.outcomes[0].record is None
    assert (drill.published / "crl/oca-issuing-1.crl").read_bytes() == before
    assert drill.house.workspace.store.audit_size() == size, "no number was set aside"


@pytest.mark.requirement("R-DIS-2")
def test_a_published_checkpoint_never_goes_back(drill: Drill, monkeypatch: pytest.MonkeyPatch) -> None:
    """One signs, another signs a longer log and publishes it, then the first comes to publish."""
    workspace = drill.house.workspace
    real = log.bring_checkpoint
    overtaken: list[str] = []

    def late(workspace: Workspace, note: str) -> None:
        if not overtaken:
            overtaken.append(note)
            with act(workspace, "test.second"):
                pass
            seal(workspace)
        real(workspace, note)

    with act(workspace, "test.first"):
        pass
    monkeypatch.setattr(log, "bring_checkpoint", late)
    seal(workspace)
    size = int((drill.published / "audit/checkpoint").read_text().splitlines()[1])
    assert size == workspace.store.audit_size()
    assert int(overtaken[0].splitlines()[1]) == size - 1


def test_whoever_died_between_signing_and_publishing_is_made_good(drill: Drill) -> None:
    workspace, path = drill.house.workspace, drill.published / "audit/checkpoint"
    before = path.read_text()
    with act(workspace, "test.act"):
        pass
    seal(workspace)
    after = path.read_text()
    path.write_text(before)
    seal(workspace)
    assert path.read_text() == after != before
