"""Lines of a journal: for a person, for a machine, and nothing from outside gets beyond its place."""

import io
import json

import pytest

from smki.cli.journal import journal

BAD = "\x1b[2Jall\nis\x9bwell"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_machine_reads_a_line_of_json(monkeypatch: pytest.MonkeyPatch) -> None:
    said = io.StringIO()
    monkeypatch.setattr("sys.stderr", said)
    journal()("broker.held", level="critical", count=2, pattern=BAD)
    (line,) = said.getvalue().splitlines()
    assert line.isascii()
    found = json.loads(line)
    assert found.pop("timestamp").endswith("Z")
    assert found == {"event": "broker.held", "level": "critical", "count": 2, "pattern": BAD}


@pytest.mark.parametrize("fact", [BAD, "\x1b[2J", ["\x1b[2J"]])
def test_a_person_reads_words_that_move_no_cursor(monkeypatch: pytest.MonkeyPatch, fact: object) -> None:
    said = Terminal()
    monkeypatch.setattr("sys.stderr", said)
    journal()("ocsp.trouble", message=fact)
    (line,) = said.getvalue().splitlines()
    assert "ocsp.trouble" in line
    assert "\x1b[2J" not in line
    assert "\x9b" not in line
    assert r"\x1b[2J" in line
