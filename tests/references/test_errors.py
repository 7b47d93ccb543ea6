"""Every code is found where it is given, with its words and what to do."""

import re
from collections import Counter
from pathlib import Path

import pytest

from scripts.references.codes import all_codes, sources
from scripts.references.pages import DOCS
from scripts.references.wording import VARIES
from smki.cli.main import run

KNOWN = {one.code for one in all_codes()}
# Written as a whole in the source, and no code: names of files, of hosts, of attributes, of what was done.
_CODE = re.compile(r"\b(?:InvalidInput|Refused|Unavailable|IntegrityFailure|Fault|Shortfall)\(\s*\"([a-z.-]+)\"")


def test_no_code_written_in_the_source_is_missing() -> None:
    written = {code for path in sources() for code in _CODE.findall(path.read_text(encoding="utf-8"))}
    assert len(written) > 400
    assert written <= KNOWN


def test_every_code_says_what_to_do() -> None:
    assert [one for one in all_codes() if not one.remedy.strip()] == []
    passed_on = [one for one in all_codes() if one.remedy == VARIES]
    assert len(passed_on) < len(all_codes()) / 50, passed_on


@pytest.mark.parametrize(
    "code",
    [
        "receive.counter",  # a verdict of a device, in a row of a table
        "hsm.pin-locked",  # what a return code means
        "cos.superseded",  # by a function that puts the family before it
        "path.crl-stale", "key.weak", "thresholds.unreadable",  # by one of another module, a table, a parameter
        "quarantine.released", "restore.forked", "crl.lapsed", "broker.mode",
    ],
)  # fmt: skip
def test_codes_are_found_however_they_are_made(code: str) -> None:
    assert code in KNOWN


def test_a_code_that_a_command_tells_stands_on_the_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = (DOCS / "reference" / "errors.md").read_text(encoding="utf-8")
    for words in (["--home", str(tmp_path), "ca", "tree"], ["bundle", "show", str(tmp_path / "none")]):
        status = run(words)
        code = re.findall(r"\[([a-z.-]+)\]$", capsys.readouterr().err, re.MULTILINE)[0]
        assert re.search(rf"^### {re.escape(code)}\n\nExit {status}[.,]", page, re.MULTILINE), code


def test_a_family_has_one_heading() -> None:
    headings = re.findall(r"^##+ (.+)$", (DOCS / "reference" / "errors.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert [name for name, count in Counter(headings).items() if count > 1] == []


def test_a_code_ends_with_one_exit_status() -> None:
    statuses: dict[str, set[int]] = {}
    for one in all_codes():
        if one.status is not None:
            statuses.setdefault(one.code, set()).add(one.status)
    assert {code: found for code, found in statuses.items() if len(found) > 1} == {}
