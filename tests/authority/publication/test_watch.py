"""The watch: on time, on event, after failures, with cries; and as a process that ends when it is told to."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from smki.authority.publication.schedule import schedule
from smki.authority.publication.watch import Watch
from smki.store.store import Store
from tests.authority.publication.leaves import revoke_serials
from tests.authority.publication.test_lists import NAME, ROOT, Desk, serials
from tests.house import House, copy_of, opened


class Watched(Desk):
    """A watch whose lines we read."""

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        self.lines: list[dict[str, Any]] = []
        self.watch = Watch(self.house.workspace, self._tell)

    def _tell(self, event: str, **facts: Any) -> None:
        self.lines.append({"event": event, **facts})

    def look(self, after: timedelta = timedelta()) -> list[tuple[str, str]]:
        """What is told when it looks."""
        self.now += after
        self.lines.clear()
        self.watch.look()
        return [(line["event"], line.get("authority") or "") for line in self.lines]


@pytest.fixture
def watched(complete: Path, tmp_path: Path) -> Iterator[Watched]:
    made = Watched(copy_of(complete, tmp_path / "authority"))
    yield made
    made.house.workspace.close()


def test_a_look_makes_what_is_due_and_nothing_else(watched: Watched) -> None:
    names = {one.name for one in watched.house.workspace.store.authorities()}
    assert set(watched.look()) == {("crl.published", name) for name in names}
    assert watched.look(timedelta(seconds=3)) == []
    watched.revoke(*serials(1))
    assert watched.look(timedelta(seconds=3)) == [("crl.published", NAME)]
    assert watched.lines[0]["entries"] == 1
    assert watched.look(timedelta(seconds=3)) == []
    issuing = {("crl.published", name) for name in names if "issuing" in name}
    assert set(watched.look(timedelta(hours=12))) == issuing
    watched.file().unlink()
    assert watched.look(timedelta(seconds=3)) == [("crl.written", NAME)]


def test_what_cannot_be_made_is_cried_for_and_tried_again_ever_more_slowly(watched: Watched) -> None:
    watched.look()
    (folder,) = (item for item in (watched.home / "tokens").iterdir() if _holds(watched.house, item, "dca-issuing"))
    watched.house.workspace.close()
    watched.house = opened(watched.home, lambda: watched.now)
    watched.watch = Watch(watched.house.workspace, watched._tell)
    folder.rename(watched.home / "away")
    watched.revoke(*serials(1))
    assert watched.look(timedelta(seconds=3)) == [("crl.failed", NAME)]
    assert watched.look(timedelta(seconds=3)) == [], "not yet tried again"
    assert watched.look(timedelta(seconds=3)) == [], "tried again, and not told again so soon"
    assert watched.watch._failures[NAME] == 2
    told = [event for _ in range(20) for event in watched.look(timedelta(minutes=5))]
    assert told.count(("crl.failed", NAME)) == 1, "once an hour"
    assert ("crl.late", NAME) in told, "it was to be out within an hour"
    (watched.home / "away").rename(folder)
    assert watched.look(timedelta(minutes=6)) == [("crl.published", NAME), ("crl.recovered", NAME)]


def _holds(house: House, folder: Path, token: str) -> bool:
    """Whether this folder of SoftHSM's is that token."""
    known = house.workspace.store.token(token)
    assert known is not None
    return known.label.encode() in (folder / "token.object").read_bytes()


def test_it_cries_before_a_list_lapses_whose_token_is_away(watched: Watched) -> None:
    watched.look()
    (folder,) = (item for item in (watched.home / "tokens").iterdir() if _holds(watched.house, item, ROOT))
    watched.house.workspace.close()
    watched.house = opened(watched.home, lambda: watched.now)
    watched.watch = Watch(watched.house.workspace, watched._tell)
    folder.rename(watched.home / "away")
    told = set(watched.look(timedelta(days=364)))
    assert not {event for event, name in told if name == ROOT}, "an offline root is no alarm until its list is due"
    assert ("crl.failed", ROOT) in watched.look(timedelta(days=2))
    assert {("crl.lapsing", ROOT)} <= set(watched.look(timedelta(days=10)))
    assert ("crl.lapsed", ROOT) in watched.look(timedelta(days=21))


@pytest.mark.requirement("R-TIM-3")
def test_a_clock_that_went_back_stops_a_list_and_is_told(watched: Watched) -> None:
    watched.look()
    watched.now -= timedelta(hours=1)
    watched.revoke(*serials(1))
    assert set(watched.look()) >= {("crl.failed", NAME), ("crl.clock", NAME)}
    failed = next(line for line in watched.lines if line["event"] == "crl.failed")
    assert (failed["code"], failed["level"]) == ("crl.clock", "error")


def test_another_failure_is_told_at_once(watched: Watched) -> None:
    watched.look()
    watched.now -= timedelta(hours=1)
    watched.revoke(*serials(1))
    assert ("crl.failed", NAME) in watched.look()
    watched.now += timedelta(hours=1)
    path = watched.file()
    path.unlink()
    path.mkdir()
    assert ("crl.failed", NAME) in watched.look(timedelta(seconds=6))
    assert watched.lines[0]["code"] == "file.write"
    assert watched.look(timedelta(seconds=11)) == []


def test_when_told_to_end_it_makes_no_other_list(watched: Watched) -> None:
    store = watched.house.workspace.store
    watched.watch.is_ended = lambda: len(store.crls.newest(9)) >= 2
    assert [event for event, _ in watched.look()] == ["crl.published"] * 2
    assert len(store.crls.newest(9)) == 2


# As a process


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def _until(path: Path, event: str, authority: str | None, count: int) -> list[dict[str, Any]]:
    end = time.monotonic() + 40
    while time.monotonic() < end:
        found = [line for line in _lines(path) if line["event"] == event and line.get("authority") == authority]
        if len(found) >= count:
            return found
        time.sleep(0.05)
    raise AssertionError(path.read_text())


@pytest.mark.requirement("R-REV-3")
def test_the_service_publishes_within_seconds_survives_kills_and_ends_cleanly(complete: Path, tmp_path: Path) -> None:
    home = copy_of(complete, tmp_path / "authority")
    house = opened(home, lambda: datetime.now(UTC))
    command = [sys.executable, "-m", "smki", "--home", str(home), "crl", "watch", "--poll", "0.2"]
    said = tmp_path / "said"
    with said.open("wb") as file:
        service = subprocess.Popen(command, stderr=file)
        _until(said, "crl.published", ROOT, 1)
        revoke_serials(house, NAME, *serials(1), at=datetime.now(UTC).replace(microsecond=0))
        (_, second) = _until(said, "crl.published", NAME, 2)
        assert (second["entries"], second["level"]) == (1, "info")
        service.send_signal(signal.SIGKILL)
        service.wait()
        revoke_serials(house, NAME, *serials(2), at=datetime.now(UTC).replace(microsecond=0))
        service = subprocess.Popen(command, stderr=file)
        _until(said, "crl.published", NAME, 3)
        service.send_signal(signal.SIGTERM)
        assert service.wait(20) == 0
    assert _lines(said)[-1]["event"] == "watch.stopped"
    assert all("timestamp" in line for line in _lines(said))
    store: Store = house.workspace.store
    latest = store.crls.latest(schedule(house.workspace, (NAME,))[0].authority.number, delta=False)
    assert latest is not None
    assert latest.entries == 2
    house.workspace.close()
