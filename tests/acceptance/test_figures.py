"""Every measured figure in the documents is what its file says."""

import json
import re
from pathlib import Path

import pytest

from scripts.figures.blocks import (
    FiguresError,
    documents,
    filled_in,
    significant,
    stale,
    stale_in,
    without_blocks,
)
from scripts.figures.machine import ROOT, look
from scripts.figures.record import record, recorded

_TEXT = """\
Before.

<!-- figures
{speed.all.rate:~2} a second, {speed.all.share:~2%} of it, by {speed.peer}.

| stored | rate |
|---|---|
for speed.grown: | {stored:,} | {rate:.1f} of {speed.all.rate} |
-->
<!-- end figures -->
After.
"""
_FILLED = """\
-->
1,200 a second, 0.40 % of it, by not here.

| stored | rate |
|---|---|
| 0 | 10.2 of 1234.0 |
| 1,000,000 | 9.0 of 1234.0 |
<!-- end figures -->
After.
"""
_FIGURES = {
    "speed": {
        "all": {"rate": 1234.0, "share": 0.004},
        "peer": None,
        "grown": [{"stored": 0, "rate": 10.24}, {"stored": 1_000_000, "rate": 9}],
    }
}
_HERE = Path("here.md")
_MEASURED = re.compile(
    r"\d (?:µs|MB/s)|\d ?[\d,.]* (?:\w+ ){0,2}a second\b|\d of the bound"
    r"|\btakes? [\d.,]+ (?:s|ms|MB)\b|\bin [\d.,]+ (?:s|ms)\b"
)
_OF_THEIR_DAY = {"decisions", "reference"}
"""Decisions tell what was known when they were made; references are written from the code."""


def test_every_block_is_what_its_file_says() -> None:
    assert [f"{one.document}:{one.line}: run scripts/fill-figures" for one in stale()] == []


def test_every_file_of_figures_is_in_a_document() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in documents())
    assert [name for name in recorded() if f"{{{name}." not in text and f"for {name}." not in text] == []


def test_every_file_says_where_it_was_measured_and_names_no_machine() -> None:
    import socket

    for name, figures in recorded().items():
        assert {"command", "date", "commit", "load", "processor", "cores", "memory"} <= set(figures["measured"]), name
        text = json.dumps(figures)
        assert socket.gethostname() not in text
        assert str(ROOT) not in text
        assert "/tmp/" not in text


@pytest.mark.parametrize(
    "document",
    [path for path in documents() if path.parent.name not in _OF_THEIR_DAY],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_nothing_measured_stands_outside_a_block(document: Path) -> None:
    text = re.sub(r"```.*?```", "", without_blocks(document.read_text(encoding="utf-8")), flags=re.DOTALL)
    found = _MEASURED.search(text)
    assert not found, f"{found[0]!r}: into a block of figures with it"


def test_a_block_is_written_from_its_file() -> None:
    filled = filled_in(_TEXT, _FIGURES, _HERE)
    assert filled.endswith(_FILLED)
    assert filled_in(filled, _FIGURES, _HERE) == filled
    assert list(stale_in(_HERE, filled, _FIGURES)) == []


def test_a_block_that_somebody_wrote_in_is_stale() -> None:
    text = filled_in(_TEXT, _FIGURES, _HERE).replace("1,200", "1,500")
    (found,) = stale_in(_HERE, text, _FIGURES)
    assert found.line == 3
    assert "1,200" in found.should_be


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (_TEXT.replace("<!-- end figures -->", ""), "not begun or ended"),
        (_TEXT.replace("{speed.peer}", "{speed.pear}"), "here.md:3: .*no figure speed.pear: nothing at 'pear'"),
        (_TEXT.replace("{stored:,}", "{sorted:,}"), "no figure sorted"),
        (_TEXT.replace("{speed.all.rate:~2}", "{speed.all:~2}"), "here.md:3"),
    ],
)
def test_a_block_that_cannot_be_written_is_named(wrong: str, why: str) -> None:
    with pytest.raises(FiguresError, match=why):
        filled_in(wrong, _FIGURES, _HERE)


@pytest.mark.parametrize(
    ("value", "digits", "shown"),
    [
        (1234.5, 2, "1,200"),
        (0.0437, 2, "0.044"),
        (9.96, 2, "10"),
        (3, 2, "3.0"),
        (0.0, 2, "0"),
        (98765.4, 3, "98,800"),
    ],
)
def test_significant_digits(value: float, digits: int, shown: str) -> None:
    assert significant(value, digits) == shown


def test_a_file_is_written_whole_with_where_it_was_measured(tmp_path: Path) -> None:
    record("speed", {"rate": 1 / 3, "list": [1e6 / 7]}, look("a command"), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["speed.json"]
    figures = recorded(tmp_path)["speed"]
    assert (figures["rate"], figures["list"]) == (0.3333, [142900.0])
    assert figures["measured"]["command"] == "a command"
    with pytest.raises(ValueError, match="no figure"):
        record("speed", {"rate": float("inf")}, look("a command"), tmp_path)
    assert recorded(tmp_path)["speed"] == figures
