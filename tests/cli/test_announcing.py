"""`smki message announce` and `smki broker announced`, as people type them."""

import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from smki.cli.main import run
from smki.cli.session import Session
from smki.entity import EntityId
from smki.pki.public_key import read_spki
from smki.store.announcement_records import SignedRecord
from smki.store.records import Act
from tests.house import NOW, founded, opened
from tests.parties.broker.announcers import own_thresholds, put
from tests.parties.broker.deciders import officer_of, organisation, put_roll
from tests.parties.people import SUPPLIER, User


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Three commands on record, and the key known."""
    with founded(tmp_path / "home", kind="user") as house:
        workspace = house.workspace
        sign(house.home, 1, 2, 3)
        put_roll(workspace)
        ann = officer_of(workspace, organisation(workspace, User.role, SUPPLIER))
        key = workspace.store.audit_key
        assert key is not None
        put(workspace, own_thresholds(SUPPLIER, 1, key), ann)
    return tmp_path / "home"


def sign(home: Path, *numbers: int, originator: EntityId = SUPPLIER) -> None:
    house = opened(home)
    with house.workspace.store.act(Act("test", "tester", NOW)) as tx:
        tx.put_unannounced(SignedRecord(b"", b"", number.to_bytes(32), originator, NOW) for number in numbers)
    house.workspace.close()


def smki(home: Path, *words: str | Path) -> int:
    return run(["--home", str(home), *map(str, words)], Session(clock=lambda: NOW))


def test_a_file_is_written_handed_over_and_taken(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "one"
    assert smki(home, "message", "announce", "--out", out, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert {name: told[name] for name in ("originator", "commands", "left", "file")} == {
        "originator": str(SUPPLIER), "commands": 3, "left": 0, "file": str(out),
    }  # fmt: skip
    assert smki(home, "message", "announce", "--out", tmp_path / "two") == 1
    assert not (tmp_path / "two").exists()
    assert smki(home, "message", "announce", "--again", "--out", tmp_path / "two") == 0
    assert (tmp_path / "two").read_bytes() == out.read_bytes()
    capsys.readouterr()
    assert smki(home, "broker", "announced", out, "--json") == 0
    (taken,) = json.loads(capsys.readouterr().out)["announcements"]
    assert (taken["result"], taken["commands"], taken["until"]) == ("taken", 3, "2026-11-28T12:00:00Z")
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(out.read_bytes())))
    assert smki(home, "broker", "announced", "-") == 0
    assert "taken before" in capsys.readouterr().out


def test_one_that_could_not_be_written_comes_again(home: Path, tmp_path: Path) -> None:
    taken = tmp_path / "there"
    taken.write_text("mine")
    assert smki(home, "message", "announce", "--out", taken) == 3
    assert smki(home, "message", "announce", "--out", tmp_path / "no" / "where") == 4
    sign(home, 4)
    assert smki(home, "message", "announce", "--out", tmp_path / "first") == 0
    assert (tmp_path / "first").read_text().count("\n0000") == 3
    assert taken.read_text() == "mine"


def test_what_is_missing_or_unclear_is_told(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = EntityId.parse("90-B3-D5-1F-30-01-00-10")
    sign(home, 9, originator=other)
    assert smki(home, "message", "announce", "--out", tmp_path / "a") == 2
    assert "--originator" in capsys.readouterr().err
    assert smki(home, "message", "announce", "--originator", str(other), "--out", tmp_path / "b") == 0
    assert smki(home, "broker", "announced", tmp_path / "b") == 3
    assert "announcement.nobody" in capsys.readouterr().err
    monkeypatch.setattr("smki.parties.announcing.CHUNK", 2)
    for name in ("c", "d"):
        assert smki(home, "message", "announce", "--out", tmp_path / name) == 0
    assert "1 more waits: announce again" in capsys.readouterr().err
    assert smki(home, "broker", "announced", tmp_path / "d") == 0
    assert "which was not taken: what that lists is held" in capsys.readouterr().err
    assert smki(home, "broker", "announced", tmp_path / "c") == 3
    assert smki(home, "broker", "announced", tmp_path / "none") == 2
    assert smki(home, "message", "announce", "--since", "yesterday", "--out", tmp_path / "e") == 2


def test_the_key_is_shown_as_a_file_of_thresholds_has_it(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import base64
    import tomllib

    assert smki(home, "message", "announcing-key") == 0
    (key,) = tomllib.loads(capsys.readouterr().out)["announcements"]["keys"]
    assert read_spki(base64.b64decode(key)) is not None
    assert smki(home, "broker", "thresholds", "show", "--user", str(SUPPLIER), "--json") == 0
    (file,) = json.loads(capsys.readouterr().out)["files"]
    assert file["announcing_keys"] == [key]
