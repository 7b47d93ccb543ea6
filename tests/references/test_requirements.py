"""Requirements: every statement is proven and lives somewhere; a mark that proves nothing is told."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.references.requirements import Group, Requirements, Statement, faults, proofs, read

ASKED = Requirements((Group("Counters", "", "", (Statement("R-1", "One.", ("here",)),)),), ())


def found(folder: Path, text: str, asked: Requirements = ASKED) -> Iterator[str]:
    (folder / "here").touch()
    (folder / "test_it.py").write_text(f"import pytest\n{text}")
    return faults(asked, proofs(folder), folder)


def test_every_statement_is_proven_and_every_mark_is_of_a_statement() -> None:
    asked = read()
    assert list(faults(asked, proofs())) == []
    assert len(asked.statements) > 50
    assert all(one.says.endswith(".") for one in asked.statements)


def test_a_marked_test_and_a_marked_file_prove(tmp_path: Path) -> None:
    one = '@pytest.mark.slow(4)\n@pytest.mark.requirement("R-1")\ndef test_a() -> None: ...\n'
    assert list(found(tmp_path, one)) == []
    assert [proof.words for proof in proofs(tmp_path)["R-1"]] == ["`test_a` in test_it.py"]
    assert list(found(tmp_path, 'pytestmark = [pytest.mark.requirement("R-1")]\n')) == []
    assert list(found(tmp_path, 'pytestmark = pytest.mark.requirement("R-1")\n')) == []


@pytest.mark.parametrize(
    "text",
    [
        '@pytest.mark.vectors\n@pytest.mark.requirement("R-1")\ndef test_a() -> None: ...\n',
        'pytestmark = pytest.mark.vectors\n@pytest.mark.requirement("R-1")\ndef test_a() -> None: ...\n',
    ],
)
def test_what_a_test_needs_is_said(tmp_path: Path, text: str) -> None:
    assert list(found(tmp_path, text)) == []
    assert [proof.words for proof in proofs(tmp_path)["R-1"]] == ["`test_a` in test_it.py (with the vectors)"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("def test_a() -> None: ...\n", "no test proves R-1"),
        ('@pytest.mark.requirement("R-2")\ndef test_a() -> None: ...\n', "R-2 is no statement, and"),
    ],
)
def test_what_is_not_proven_is_told(tmp_path: Path, text: str, told: str) -> None:
    assert told in "\n".join(found(tmp_path, text))


def test_a_place_that_is_gone_and_a_statement_twice_are_told(tmp_path: Path) -> None:
    one = Statement("R-1", "One.", ("gone.py",))
    asked = Requirements((Group("Counters", "", "", (one, one)),), ())
    told = list(found(tmp_path, 'pytestmark = pytest.mark.requirement("R-1")\n', asked))
    assert told[0] == "R-1 is stated twice"
    assert "R-1 lives in gone.py, which is not there" in told


@pytest.mark.parametrize(
    "text",
    [
        '@pytest.mark.requirement("R-1")\ndef helper() -> None: ...\n',
        'def test_a() -> None:\n    pytest.mark.requirement("R-1")\n',
    ],
)
def test_a_mark_that_pytest_would_not_see_is_an_error(tmp_path: Path, text: str) -> None:
    with pytest.raises(ValueError, match="no test carries this mark"):
        list(found(tmp_path, text))
