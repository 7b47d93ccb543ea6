"""`smki crl` as a person types it."""

import json
from pathlib import Path

import pytest

from smki.cli.main import run
from tests.authority.publication.conftest import issued, publisher, revoke
from tests.cli.typing_hand import Type, typing_in
from tests.house import House

__all__ = ["issued", "publisher"]
NAME = "oca-issuing-1"


@pytest.fixture
def smki(publisher: House, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Type:
    revoke(publisher, "dca-issuing-1", 2)
    publisher.workspace.close()
    return typing_in(publisher.home, capsys, monkeypatch)


def test_what_is_due_is_published_and_the_rest_is_not(smki: Type) -> None:
    code, printed, _ = smki("crl", "publish")
    assert code == 0
    assert "dca-issuing-1: list number 2, 2 entries, until 2026-11-23T12:00:00Z\n" in printed
    assert f"{NAME}: not due\n" in printed
    code, printed, _ = smki("crl", "publish", NAME, "--all", "--json")
    (told,) = json.loads(printed)["lists"]
    assert (code, told["authority"], told["published"]["number"], told["published"]["entries"]) == (0, NAME, 2, 3)
    assert told["written"] == [f"{NAME}.crl", f"{NAME}.pem"]
    assert smki("crl", "publish", "nobody")[0] == 2


def test_what_fails_is_told_with_what_to_do(smki: Type, publisher: House) -> None:
    settings = publisher.home / "smki.toml"
    settings.write_text(
        settings.read_text().replace("[tokens.dca-issuing]", '[tokens.dca-issuing]\nserial = "00"', 1)
    )
    code, printed, complaint = smki("crl", "publish")
    assert code == 1
    assert "dca-issuing-1: not published: " in complaint
    assert "hint: " in complaint
    assert f"{NAME}: not due" in printed
    assert smki("crl", "publish", "dca-issuing-1")[0] == 3


def test_the_schedule_says_when_and_why(smki: Type) -> None:
    code, printed, _ = smki("crl", "schedule")
    lines = {line.split()[0]: line for line in printed.splitlines()}
    assert code == 0
    assert lines[NAME].split()[1:3] == ["1", "3"]
    assert "2d" in lines[NAME]
    assert lines[NAME].endswith("2026-11-22T00:00:00Z every 12h")
    assert lines["dca-issuing-1"].endswith("2026-11-21T12:00:00Z a revocation")
    code, printed, _ = smki("crl", "schedule", "oca-root", "--json")
    (told,) = json.loads(printed)["lists"]
    assert told["due"] == {"at": "2027-11-21T12:00:00Z", "latest": "2027-11-21T12:00:00Z", "why": "every 365d"}


def test_a_list_is_shown_by_name_and_by_file(smki: Type, publisher: House) -> None:
    code, printed, _ = smki("crl", "show", NAME, "--entries", "2")
    assert code == 0
    assert "key-compromise" in printed
    assert printed.endswith("and 1 more\n")
    file = publisher.home / "published" / "crl" / f"{NAME}.pem"
    code, printed, _ = smki("crl", "show", file, "--json")
    told = json.loads(printed)
    assert (told["number"], told["entries"], told["reasons"]) == (1, 3, {"key-compromise": 3})
    assert len(told["first"]) == 3
    assert smki("crl", "show", NAME, "--delta")[0] == 2
    assert smki("crl", "show", "nobody")[0] == 2


def test_lists_are_verified_against_the_workspace_or_a_certificate(
    smki: Type, publisher: House, tmp_path: Path
) -> None:
    published = publisher.home / "published"
    good, text = published / "crl" / f"{NAME}.crl", published / "crl" / f"{NAME}.pem"
    code, printed, _ = smki("crl", "verify", good, text)
    assert code == 0
    assert printed.count(": good: CRL 1 of ") == 2
    assert smki("crl", "verify", good, "--against", published / "ca" / f"{NAME}.pem")[0] == 0
    code, printed, _ = smki("crl", "verify", good, "--against", published / "ca" / "oca-root.pem", "--json")
    (told,) = json.loads(printed)["lists"]
    assert (code, [fault["code"] for fault in told["faults"]]) == (3, ["crl.signature"])
    torn = tmp_path / "torn.crl"
    torn.write_bytes(good.read_bytes()[:-5])
    code, printed, _ = smki("crl", "verify", good, torn)
    assert code == 1
    assert f"{torn}: NOT GOOD" in printed


def test_outside_a_workspace_a_list_is_shown_and_verified_too(
    publisher: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    published = publisher.home / "published"
    publisher.workspace.close()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SMKI_HOME", raising=False)
    file = str(published / "crl" / f"{NAME}.crl")
    assert run(["crl", "show", file]) == 0
    assert run(["crl", "verify", file]) == 2
    assert "--against" in capsys.readouterr().err


def test_a_watch_that_looks_once_says_what_it_did(smki: Type) -> None:
    code, _, told = smki("crl", "watch", "--once")
    (line,) = (json.loads(text) for text in told.splitlines())
    assert (code, line["event"], line["authority"], line["entries"]) == (0, "crl.published", "dca-issuing-1", 2)
