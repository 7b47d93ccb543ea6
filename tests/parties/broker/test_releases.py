"""Releases of many: by two brokers at once, by brokers that are killed."""

import random
import time
from collections import Counter
from pathlib import Path

import pytest

from smki.authority.auditing import verify_log
from smki.cli.results import HELD
from smki.gbcs.message import read_message
from tests.house import House, opened
from tests.parties.broker.deciders import both_release
from tests.parties.broker.processes import prepare, read
from tests.parties.broker.test_processes import admitted, rows
from tests.postgres import shared
from tests.prefork import Prefork

_SUBMIT, _HAND_OUT = (f"tests.parties.broker.processes:{name}" for name in ("submit", "hand_out"))


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def store_url(request: pytest.FixtureRequest) -> str | None:
    return None if request.param == "sqlite" else shared().fresh()


def hold_many(home: Path, files: Path, store_url: str | None, prefork: Prefork, count: int) -> tuple[House, int]:
    """What is above a new user's start is held, and then released by officers of both sides."""
    prepare(home, files, store_url, count, habit=False)
    assert prefork.start(_SUBMIT, home, files, "commands.jsonl", "first.jsonl").wait(60) == HELD
    house = opened(home)
    waiting = [*house.workspace.store.quarantine.in_state("waiting", count)]
    both_release(house.workspace, waiting)
    return house, len(waiting)


def given_out(*paths: Path) -> dict[tuple[bytes, int], set[str]]:
    found: dict[tuple[bytes, int], set[str]] = {}
    for path in paths:
        for line in read(path):
            header = read_message(bytes.fromhex(line["message"])).header
            found.setdefault((header.target.octets, header.counter), set()).add(line["message"])
    return found


@pytest.mark.slow(5)
def test_two_brokers_at_once_hand_out_once(tmp_path: Path, store_url: str | None, prefork: Prefork) -> None:
    home = tmp_path / "home"
    house, held = hold_many(home, tmp_path, store_url, prefork, 260)
    before = admitted(house)
    running = [prefork.start(_HAND_OUT, home, tmp_path, f"out-{place}.jsonl") for place in range(2)]
    assert {one.wait(60) for one in running} <= {0, 1}
    lines = [line for place in range(2) for line in read(tmp_path / f"out-{place}.jsonl")]
    results = Counter(line["result"] for line in lines)
    assert results["admitted"] == held == 160, "each by one of them"
    assert set(results) <= {"admitted", "admitted before"}
    assert admitted(house) == before + held, "and counted once"
    assert house.workspace.store.quarantine.count("released") == held
    assert not verify_log(house.workspace.store).faults
    house.workspace.close()


@pytest.mark.slow(8)
def test_killed_in_a_release_nothing_is_lost_and_nothing_comes_twice(
    tmp_path: Path, store_url: str | None, prefork: Prefork
) -> None:
    home = tmp_path / "home"
    house, held = hold_many(home, tmp_path, store_url, prefork, 500)
    start = admitted(house)
    draw = random.Random(20261121)  # noqa: S311
    killed = 0
    for attempt in range(8):
        process = prefork.start(_HAND_OUT, home, tmp_path, f"out-{attempt}.jsonl")
        before = admitted(house)
        while process.poll() is None and admitted(house) == before:
            time.sleep(0.003)
        time.sleep(draw.random() * 0.03)
        killed += process.kill()
    assert killed, "no run was killed while it worked"
    assert prefork.start(_HAND_OUT, home, tmp_path, "last.jsonl").wait(60) == 0
    assert prefork.start(_SUBMIT, home, tmp_path, "", "resumed.jsonl", "--resume").wait(60) == 0
    paths = [path for path in tmp_path.glob("out-*.jsonl") if path.exists()]
    found = given_out(*paths, tmp_path / "last.jsonl", tmp_path / "resumed.jsonl")
    assert len(found) == held == 400
    assert all(len(one) == 1 for one in found.values()), "the same command, however often it was given"
    assert admitted(house) == start + held
    assert rows(house, "SELECT state, COUNT(*) FROM quarantine GROUP BY state") == [(1, held)]
    assert house.workspace.store.admissions.outgoing_count() == 0
    assert not verify_log(house.workspace.store).faults
    house.workspace.close()
