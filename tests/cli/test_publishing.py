"""`smki ca publish` and `verify-published` as a person types them."""

import json
import shutil
from pathlib import Path

import pytest

from smki.cli.main import run
from tests.authority.publication.conftest import issued, publisher
from tests.cli.typing_hand import Type, typing_in
from tests.house import House

__all__ = ["issued", "publisher"]


@pytest.fixture
def smki(publisher: House, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Type:
    publisher.workspace.close()
    return typing_in(publisher.home, capsys, monkeypatch)


def test_publishing_tells_what_changed(smki: Type, publisher: House) -> None:
    published = publisher.home / "published"
    (published / "ca" / "oca-root.pem").unlink()
    code, printed, _ = smki("ca", "publish")
    assert code == 0
    assert printed.startswith("wrote ca/oca-root.pem\n")
    assert "manifest version " in printed
    code, printed, _ = smki("ca", "publish", "--json")
    told = json.loads(printed)
    assert (code, told["written"], told["lists_behind"]) == (0, ["manifest"], [])
    assert told["folder"] == str(published)
    assert told["files"] == len([path for path in published.rglob("*") if path.is_file()]) - 2


def test_a_list_that_is_not_on_record_is_told(smki: Type, publisher: House) -> None:
    (publisher.home / "published" / "crl" / "oca-root.crl").unlink()
    code, _, complaint = smki("ca", "publish")
    assert code == 4
    assert "crl/oca-root.crl is not the list on record: run `smki crl publish`" in complaint


def test_the_workspace_judges_its_own_folder(smki: Type, publisher: House) -> None:
    code, printed, _ = smki("ca", "verify-published")
    assert code == 0
    assert printed.endswith("all of it is as published\n")
    code, printed, _ = smki("ca", "verify-published", "--json")
    told = json.loads(printed)
    assert (code, told["certificates"], told["faults"]) == (0, 6, [])
    assert {row["authority"] for row in told["lists"]} >= {"oca-root", "oca-issuing-1"}
    (publisher.home / "published" / "index.html").write_text("changed")
    code, printed, _ = smki("ca", "verify-published")
    assert code == 5
    assert "file.changed" in printed
    (publisher.home / "published" / "manifest").unlink()
    code, printed, _ = smki("ca", "verify-published")
    assert code == 5
    assert "manifest.unreadable" in printed


def test_a_stranger_needs_nothing_but_a_mirror_and_the_key(
    issued: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror = shutil.copytree(issued / "published", tmp_path / "mirror")
    key = shutil.move(mirror / "audit" / "verifier-key", tmp_path / "key")
    shutil.copy(key, mirror / "audit" / "verifier-key")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SMKI_HOME", raising=False)
    assert run(["ca", "verify-published", "mirror"]) == 2
    assert "[published.no-key]" in capsys.readouterr().err
    (tmp_path / "no-key").write_text("smki/1+00+AAAA")
    assert run(["ca", "verify-published", "mirror", "--key", "no-key"]) == 2
    assert "[verifier-key.form]" in capsys.readouterr().err
    # The lists are of the tests' own day: by today's clock they may have lapsed, and nothing else is wrong.
    code = run(["ca", "verify-published", "mirror", "--key", "key", "--json"])
    told = json.loads(capsys.readouterr().out)
    assert {fault["code"] for fault in told["faults"]} <= {"list.lapsed"}
    assert code == (5 if told["faults"] else 0)
    assert told["certificates"] == 6
