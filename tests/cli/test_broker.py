"""`smki broker consent`, as a person types it, and what submitting refuses before it begins."""

import json
from pathlib import Path

import pytest

from smki.cli.main import run
from smki.cli.session import Session
from tests.house import NOW, founded

PARTY, METER = "90-B3-D5-1F-30-05-00-00", "00-DB-12-34-56-78-90-A0"


def test_consents_are_recorded_listed_and_ended(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with founded(tmp_path / "home", kind="user"):
        pass

    def broker(*words: str) -> int:
        return run(["--home", str(tmp_path / "home"), "broker", *words], Session(clock=lambda: NOW))

    assert broker("consent", "list", "--party", PARTY) == 1
    assert broker("consent", "add", METER, "1312345678907", "--party", PARTY) == 0
    assert broker("consent", "add", "1312345678900", "--party", PARTY) == 2, "its check digit is wrong"
    early = ("--since", "2026-01-02T00:00:00Z", "--until", "2026-01-01T00:00:00Z")
    assert broker("consent", "add", METER, "--party", PARTY, *early) == 2
    assert broker("consent", "end", METER, "--party", PARTY) == 0
    assert broker("consent", "end", METER, "--party", PARTY) == 3, "it has ended"
    capsys.readouterr()
    assert broker("consent", "list", "--party", PARTY, "--json") == 0
    found = json.loads(capsys.readouterr().out)["consents"]
    assert [(one["subject"], bool(one["until"])) for one in found] == [(METER, True), ("1312345678907", False)]


def test_submitting_needs_commands_and_a_broker_s_key(tmp_path: Path) -> None:
    with founded(tmp_path / "home", kind="user"):
        pass
    home = ["--home", str(tmp_path / "home")]
    assert run([*home, "broker", "submit"], Session()) == 2
    assert run([*home, "broker", "submit", "--resume"], Session()) == 2
