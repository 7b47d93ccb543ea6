"""`smki init --journal` and `smki store` as a person types them: a database is lost, and no act with it."""

import json
from pathlib import Path

import pytest

from smki.store.journal import MARK
from tests.cli.typing_hand import Type, typing_in
from tests.house import House

ADD = ("--role", "supplier", "--id", "90-B3-D5-1F-30-01-00-00", "--may", "organisation")


@pytest.fixture
def smki(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Type:
    return typing_in(tmp_path / "authority", capsys, monkeypatch)


@pytest.fixture
def second(tmp_path: Path) -> Path:
    folder = tmp_path / 'second "disk"'
    folder.mkdir(mode=0o700)
    return folder


def test_with_a_journal_from_the_beginning_a_lost_database_loses_no_act(
    smki: Type, tmp_path: Path, second: Path
) -> None:
    home = tmp_path / "authority"
    code, printed, complaint = smki("init", home, "--journal", second, "--for", "authority")
    assert code == 0, complaint
    assert printed.startswith(f"made journal {second}\n")
    assert "No journal is kept" not in printed
    assert "The journal is on the disk of the workspace" in printed
    code, printed, complaint = smki("store", "backup", tmp_path / "backup")
    assert (code, complaint) == (0, "")
    assert smki("org", "add", "North Supply", *ADD)[0] == 0
    for path in home.glob("smki.db*"):
        path.unlink()
    code, printed, complaint = smki("store", "restore", tmp_path / "backup")
    assert code == 0, complaint
    assert "acts from the journal  1" in printed
    assert smki("org", "show", "North Supply")[0] == 0


def test_without_one_it_is_said_when_it_is_made_and_at_every_backup(smki: Type, tmp_path: Path) -> None:
    home = tmp_path / "authority"
    code, printed, _ = smki("init", home)
    assert code == 0
    assert "No journal is kept: once the database is lost" in printed
    code, _, complaint = smki("store", "backup", tmp_path / "backup")
    assert (code, complaint.startswith("note: no journal is kept: this backup is refused")) == (0, True)
    code, printed, _ = smki("store", "backup", tmp_path / "another", "--json")
    assert (code, json.loads(printed)["keeps_every_act"]) == (0, False)


def test_the_settings_of_a_workspace_that_stands_are_not_changed(smki: Type, empty: House, second: Path) -> None:
    before = (empty.home / "smki.toml").read_bytes()
    code, _, complaint = smki("init", empty.home, "--journal", second)
    assert code == 3
    assert "[workspace.exists]" in complaint
    assert (empty.home / "smki.toml").read_bytes() == before
    assert not (second / MARK).exists()


def test_a_journal_that_others_can_change_is_not_begun(smki: Type, tmp_path: Path, second: Path) -> None:
    second.chmod(0o777)
    code, _, complaint = smki("init", tmp_path / "authority", "--journal", second)
    assert code == 3
    assert "[journal.loose-mode]" in complaint
    assert not (tmp_path / "authority").exists()
