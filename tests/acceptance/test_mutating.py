"""The mutation tester on a tiny package: what a good test kills, one that cannot fail leaves alive."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
_CODE = '''\
"""A package."""

LIMIT = 10


def fits(size: int) -> bool:
    """Whether there is room."""
    if size < 0:
        raise ValueError("a size below nothing")
    return size <= LIMIT


def unused() -> int:
    return 7
'''
_GOOD = """\
import pytest
from tiny.room import LIMIT, fits


def test_it() -> None:
    assert LIMIT == 10
    assert [fits(0), fits(10), fits(11)] == [True, True, False]
    with pytest.raises(ValueError):
        fits(-1)
"""
_CANNOT_FAIL = """\
from tiny.room import fits


def test_it() -> None:
    try:
        fits(10)
        fits(-1)
    except Exception:
        pass
"""
_EXPLAINED = """\
[[survivor]]
file = "tiny/room.py"
function = "{}"
was = "return 7"
becomes = ["return {}"]
why = "nobody calls it"
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    for name, text in {"tiny/__init__.py": "", "tiny/room.py": _CODE, "tests/test_room.py": _GOOD}.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return tmp_path


def _mutate(place: Path, *options: str) -> subprocess.CompletedProcess[str]:
    arguments = ["--root", place, "--sources", "tiny", "--tests", "tests", "--explained", place / "explained.toml"]
    command = [sys.executable, "-m", "scripts.mutating", *map(str, arguments), *options]
    environment = {"PYTHONPATH": f"{ROOT}:{place}", "PATH": "/usr/bin:/bin"}
    return subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True)


def test_a_good_test_kills_all_but_what_no_test_runs(place: Path) -> None:
    done = _mutate(place, "--survivors")
    assert "0 run" in done.stdout, done.stderr
    done = _mutate(place)
    assert "all: 11 mutants, 11 run, 9 killed, 2 survived, 0 explained" in done.stdout, done.stdout + done.stderr
    assert done.returncode == 1
    shown = _mutate(place, "--survivors").stdout
    assert "tiny/room.py:14 unused, which no test runs\n- return 7\n+ return 8\n" in shown
    assert "fits" not in shown


def test_a_test_that_cannot_fail_leaves_mutants_alive_until_there_is_a_good_one(place: Path) -> None:
    (place / "tests" / "test_room.py").write_text(_CANNOT_FAIL)
    assert "11 survived" in _mutate(place, "tiny/room.py").stdout
    shown = _mutate(place, "--survivors").stdout
    assert "tiny/room.py:8 fits\n- if size < 0:\n+ if False:\n" in shown
    assert "tiny/room.py:9 fits\n- raise ValueError" in shown
    assert "tiny/room.py:3 \n- LIMIT = 10\n+ LIMIT = 11\n" in shown
    (place / "tests" / "test_room.py").write_text(_GOOD)
    assert "9 killed, 2 survived" in _mutate(place, "--again").stdout


def test_an_explanation_settles_a_survivor_and_is_refused_when_stale(place: Path) -> None:
    explained = place / "explained.toml"
    explained.write_text(_EXPLAINED.format("unused", 8) + _EXPLAINED.format("unused", 6))
    done = _mutate(place)
    assert "9 killed, 0 survived, 2 explained" in done.stdout
    assert done.returncode == 0
    explained.write_text(_EXPLAINED.format("used", 8))
    done = _mutate(place)
    assert "tiny/room.py: used: return 7 -> return 8: explained, and no such mutant" in done.stdout
    assert done.returncode == 1
