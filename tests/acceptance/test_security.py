"""SECURITY.md: every "cannot" names tests that there are, so that a claim whose test went away is seen."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
_TEST = re.compile(r"`(?:(?P<file>[\w/]+\.py)::)?(?P<name>test_\w+)`")
_DEFINED = re.compile(r"^def (test_\w+)\(", re.MULTILINE)
_PLACE = re.compile(r"`((?:smki|policies|scripts)/[\w./-]+)`")


def actors() -> Iterator[list[str]]:
    """The rows of every table of what somebody can and cannot do: who, can, cannot, shown by."""
    inside = False
    for line in PAGE.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if cells[0] == "compromised alone":
            inside = True
        elif not line.startswith("|"):
            inside = False
        elif inside and set(line) - set("|-"):
            yield cells


def defined() -> dict[str, list[str]]:
    """The files in which a test of each name stands."""
    found: dict[str, list[str]] = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for name in _DEFINED.findall(path.read_text(encoding="utf-8")):
            found.setdefault(name, []).append(path.relative_to(ROOT / "tests").as_posix())
    return found


@pytest.mark.parametrize("row", list(actors()), ids=lambda row: row[0])
def test_what_each_cannot_do_names_a_test(row: list[str]) -> None:
    assert len(row) == 4
    assert all(row)
    assert _TEST.sub("", row[3]).strip(" ,") == ""


def test_there_are_actors() -> None:
    assert len(list(actors())) > 40


def test_each_test_that_is_named_is_there_once() -> None:
    known = defined()
    for match in _TEST.finditer(PAGE):
        files = known.get(match["name"], [])
        if match["file"]:
            assert match["file"] in files, match[0]
        else:
            assert len(files) == 1, f"{match[0]} stands in {files}"


def test_each_place_that_is_named_is_there() -> None:
    places = _PLACE.findall(PAGE)
    assert len(places) > 10
    assert [place for place in places if not (ROOT / place).exists()] == []
