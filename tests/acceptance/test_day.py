"""The soak of a day, of a size for every day; and its audit, which finds whatever was changed by hand."""

import fcntl
import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from scripts.soaks.day import commands, keeping, report
from scripts.soaks.day.audit.checks import audit
from scripts.soaks.day.audit.scene import Checked, Scene
from scripts.soaks.day.faults import Fault
from scripts.soaks.day.hands import Hands, Recovery
from scripts.soaks.day.plan import Day
from scripts.soaks.day.run import Over, evening, prepared
from scripts.soaks.day.world import make
from tests.acceptance.planted import PLANTED
from tests.once import once
from tests.parties.people import ECS43, ECS44

_HOMES = 20


def _made(folder: Path) -> None:
    """Everything that happens in a day, once or twice, without faults."""
    folder.mkdir()
    with prepared(folder, None) as hands:
        day = Day(make(folder, _HOMES, hands, lambda _: None), 1)
        chance, seen = day.chance("test"), dict[str, bytes]()
        keeping.look(day, seen)
        for code in (ECS44, ECS43, ECS43):
            commands.hand(day, commands.submit(day, "broker", commands.order(day, "north", chance, code)))
        commands.move(day, [0, 2], "south", datetime.now(UTC) - timedelta(hours=12))
        keeping.answer(day, keeping.request(day, 0, 4), "0")
        keeping.withdraw(day, chance)
        keeping.look(day, seen)
        evening(day)
        assert hands.wrong == []


@pytest.fixture
def a_day() -> Iterator[Path]:
    """For one test at a time: what one changes by hand, no other sees."""
    folder = once("a-day", _made)
    with folder.with_suffix(".in-use").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder


@pytest.mark.slow(15)
def test_a_day_without_faults_leaves_no_difference(a_day: Path) -> None:
    checks = list(audit(Scene(a_day)))
    assert [line for one in checks for line in one.wrong] == []
    assert [one.name for one in checks if not one.count] == []
    assert len({one.name for one in checks}) == len(checks) == 19


@pytest.mark.parametrize("name", PLANTED)
def test_what_was_changed_by_hand_is_found(a_day: Path, name: str, tmp_path: Path) -> None:
    where, change, check, words = PLANTED[name]
    path = next(iter(sorted(a_day.glob(where))), a_day / where)
    beside = set(path.parent.iterdir())
    if path.is_dir():
        shutil.copytree(path, tmp_path / "before")
    elif path.exists():
        shutil.copy2(path, tmp_path / "before")
    try:
        change(path)
        found = [line for one in check(Scene(a_day)) for line in one.wrong]
    finally:
        _put_back(path, tmp_path / "before", beside)
    assert [word for word in words.split("|") if not any(word in line for line in found)] == [], found


def _put_back(path: Path, before: Path, beside: set[Path]) -> None:
    for one in {*path.parent.iterdir()} - beside:
        one.unlink()
    if before.is_dir():
        shutil.rmtree(path)
        shutil.copytree(before, path)
    elif before.exists():
        shutil.copy2(before, path)


def test_a_day_is_told_in_a_table_and_in_figures(tmp_path: Path) -> None:
    hands = Hands(None, tmp_path)  # type: ignore[arg-type]
    hands.done.update({"issue": 3})
    hands.tries.update({"issue": 5})
    hands.recoveries += [Recovery("issue", 2.5, 4), Recovery("issue", 7.25, -9)]
    checks = [Checked("keys", 12, ["north: token keys has a key"])]
    over = Over("sqlite", 7, hands, [Fault(1.5, "kill -9", "issue")], "a small tmpfs", (9, 1), {"day": 300.0}, checks)
    assert over.wrong == ["keys: north: token keys has a key"]
    assert list(report.faults(over)) == ["   1.5 s  kill -9: issue"]
    told = [" ".join(line.split()) for line in report.table(over)]
    assert "issue 3 5 2 7.2 s" in told
    assert "kill -9 1" in told
    assert "keys 12 1" in told
    (work,) = report.figures(over)["work"]
    assert work == {"name": "issue", "done": 3, "tries": 5, "interrupted": 2, "slowest_recovery": 7.25}
    assert json.loads(json.dumps(report.figures(over)))["wrong"] == 1
