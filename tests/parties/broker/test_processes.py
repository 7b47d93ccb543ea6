"""Several brokers on one store, and brokers that are killed: windows are exact, counters go on, nothing is lost."""

import json
import random
import time
from collections import Counter
from pathlib import Path

import pytest

from smki.authority.auditing import verify_log
from smki.cli.results import HELD
from smki.gbcs.message import read_message
from tests.house import House, opened
from tests.parties.broker.processes import METERS, OWN, prepare, read, write
from tests.postgres import shared
from tests.prefork import Prefork

_SUBMIT = "tests.parties.broker.processes:submit"
_START = 100  # critical commands in an hour of a user without habits (anomaly.toml)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def store_url(request: pytest.FixtureRequest) -> str | None:
    return None if request.param == "sqlite" else shared().fresh()


def rows(house: House, sql: str) -> list[tuple[object, ...]]:
    found: list[tuple[object, ...]] = house.workspace.store._engine.execute(sql).fetchall()
    return found


def admitted(house: House) -> int:
    """By the tallies of seconds: what the windows are counted from, without the past that a test gave."""
    return int(str(rows(house, "SELECT COALESCE(SUM(admitted), 0) FROM tally WHERE level = 0")[0][0]))


@pytest.mark.requirement("R-ANO-5")
@pytest.mark.slow(4)
def test_brokers_together_let_no_more_through_than_one(
    tmp_path: Path, store_url: str | None, prefork: Prefork
) -> None:
    prepare(tmp_path / "home", tmp_path, store_url, 4 * 60, habit=False)
    commands = read(tmp_path / "commands.jsonl")
    for place in range(4):  # each has commands of its own, and some that all have
        write(tmp_path / f"part-{place}.jsonl", [*commands[:20], *commands[20 + place :: 4]])
    running = [
        prefork.start(_SUBMIT, tmp_path / "home", tmp_path, f"part-{place}.jsonl", f"out-{place}.jsonl")
        for place in range(4)
    ]
    assert HELD in {one.wait(60) for one in running}
    outcomes = [line for place in range(4) for line in read(tmp_path / f"out-{place}.jsonl")]
    found = Counter(line["result"] for line in outcomes)
    house = opened(tmp_path / "home")
    assert found["admitted"] == admitted(house) == _START, "exactly, by all of them together"
    assert len(rows(house, "SELECT digest FROM admission")) == _START
    numbers: dict[bytes, set[int]] = {}
    for target, counter in rows(house, "SELECT target, counter FROM admission"):
        numbers.setdefault(bytes(target), set()).add(int.from_bytes(bytes(counter)))  # type: ignore[call-overload]
    last = rows(house, "SELECT target, counter FROM last_admitted")
    assert {bytes(target): int.from_bytes(bytes(counter)) for target, counter in last} == {  # type: ignore[call-overload]
        target: max(found) for target, found in numbers.items()
    }
    assert len(numbers) <= METERS
    refused = {fault["code"] for line in outcomes if line["result"] == "refused" for fault in line["faults"]}
    assert refused <= {"broker.counter"}, "who comes late to a device comes too late"
    assert not verify_log(house.workspace.store).faults
    house.workspace.close()


@pytest.mark.requirement("R-CTR-4")
@pytest.mark.slow(12)
def test_killed_anywhere_each_command_is_admitted_once_and_lost_never(
    tmp_path: Path, store_url: str | None, prefork: Prefork
) -> None:
    count = 700
    home = tmp_path / "home"
    prepare(home, tmp_path, store_url, count, habit=True)
    watcher = opened(home)
    draw = random.Random(20261121)  # noqa: S311
    killed = 0
    for attempt in range(12):
        process = prefork.start(_SUBMIT, home, tmp_path, "commands.jsonl", f"out-{attempt}.jsonl")
        before = admitted(watcher)
        while process.poll() is None and admitted(watcher) == before:
            time.sleep(0.005)
        time.sleep(draw.random() * 0.05)
        killed += process.kill()
    assert killed, "no run was killed while it worked"
    waiting = watcher.workspace.store.admissions.outgoing_count()
    assert waiting, "what was admitted waits for somebody to have it"
    resumed = prefork.start(_SUBMIT, home, tmp_path, "", "resumed.jsonl", "--resume")
    assert resumed.wait(60) == 0
    last = prefork.start(_SUBMIT, home, tmp_path, "commands.jsonl", "last.jsonl")
    assert last.wait(60) == 0
    given: dict[tuple[bytes, int], set[str]] = {}
    results = Counter()  # type: ignore[var-annotated]
    for path in [*tmp_path.glob("out-*.jsonl"), tmp_path / "resumed.jsonl", tmp_path / "last.jsonl"]:
        for line in read(path):
            results[line["result"]] += 1
            header = read_message(bytes.fromhex(line["message"])).header
            given.setdefault((header.target.octets, header.counter), set()).add(line["message"])
    assert set(results) <= {"admitted", "admitted before"}
    assert len(given) == count
    assert all(len(one) == 1 for one in given.values()), "the same command, however often it was asked for"
    assert admitted(watcher) == count, "each is counted once"
    assert len(rows(watcher, "SELECT digest FROM admission")) == count
    assert watcher.workspace.store.admissions.outgoing_count() == 0
    entries = [json.loads(entry.body) for entry in watcher.workspace.store.audit_entries()]
    assert sum(entry["facts"]["admitted"] for entry in entries if entry["act"] == "broker.admitted") == count
    assert {bytes(row[0]) for row in rows(watcher, "SELECT originator FROM admission")} == {OWN.octets}  # type: ignore[call-overload]
    assert not verify_log(watcher.workspace.store).faults
    watcher.workspace.close()
