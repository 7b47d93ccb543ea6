"""Several brokers and one user's announcements: each taken once, whole or not at all; each digest used once."""

import json
import random
import time
from collections import Counter
from pathlib import Path

import pytest

from smki.authority.auditing import verify_log
from tests.house import House, opened
from tests.parties.broker.announced_runs import many, prepare
from tests.parties.broker.processes import OWN, read, write
from tests.parties.broker.test_processes import rows
from tests.postgres import shared
from tests.prefork import Prefork

_SUBMIT, _TAKE = "tests.parties.broker.processes:submit", "tests.parties.broker.announced_runs:take"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def store_url(request: pytest.FixtureRequest) -> str | None:
    return None if request.param == "sqlite" else shared().fresh()


def taken(house: House) -> list[dict[str, object]]:
    entries = (json.loads(entry.body) for entry in house.workspace.store.audit_entries())
    return [entry["facts"] for entry in entries if entry["act"] == "announcement.taken"]


@pytest.mark.slow(5)
def test_killed_while_it_takes_them_each_is_taken_whole_and_once(
    tmp_path: Path, store_url: str | None, prefork: Prefork
) -> None:
    home, count, each = tmp_path / "home", 8, 1000
    prepare(home, tmp_path, store_url, 1, 0, 1)
    files = [tmp_path / f"many-{number}" for number in range(1, count + 1)]
    for number, path in enumerate(files, 1):
        path.write_bytes(many(number, each))
    draw, house = random.Random(20261121), opened(home)  # noqa: S311
    killed = 0
    while len(taken(house)) < count - 2:
        process = prefork.start(_TAKE, home, *files)
        before = len(taken(house))
        while process.poll() is None and len(taken(house)) == before:
            time.sleep(0.002)
        time.sleep(draw.random() * 0.05)
        killed += process.kill()
        whole = rows(house, "SELECT number, COUNT(*) FROM announced GROUP BY number")
        assert {counted for _, counted in whole} == {each}
    assert killed, "no run was killed while it worked"
    assert prefork.start(_TAKE, home, *files).wait(60) == 0
    assert [one["number"] for one in taken(house)] == [*range(1, count + 1)]
    assert rows(house, "SELECT COUNT(*) FROM announced") == [(count * each,)]
    assert not verify_log(house.workspace.store).faults
    house.workspace.close()


@pytest.mark.slow(6)
def test_brokers_together_let_each_announced_command_through_once_and_no_other(
    tmp_path: Path, store_url: str | None, prefork: Prefork
) -> None:
    home, count, announced = tmp_path / "home", 400, 300
    files = prepare(home, tmp_path, store_url, count, announced, 60)
    assert {one.wait(60) for one in [prefork.start(_TAKE, home, *files) for _ in range(3)]} == {0}
    house = opened(home)
    assert len(taken(house)) == len(files), "by three at once, and each once"
    commands = read(tmp_path / "commands.jsonl")
    for place in range(4):  # all have all of them, and each begins elsewhere
        write(tmp_path / f"part-{place}.jsonl", [*commands[place * 64 :], *commands[: place * 64]])
    running = [
        prefork.start(_SUBMIT, home, tmp_path, f"part-{place}.jsonl", f"out-{place}.jsonl") for place in range(4)
    ]
    for one in running:
        one.wait(60)
    lines = [line for place in range(4) for line in read(tmp_path / f"out-{place}.jsonl")]
    by = {kind: {one["reference"] for one in lines if one["result"] == kind} for kind in ("admitted", "held")}
    listed = {one["reference"] for one in commands[:announced]}
    assert by["admitted"] <= listed
    assert by["held"]
    assert not by["held"] & listed
    admitted = Counter(line["reference"] for line in lines if line["result"] == "admitted")
    assert set(admitted.values()) == {1}, "by one of them"
    assert rows(house, "SELECT COUNT(*) FROM admission") == [(len(admitted),)]
    left = house.workspace.store.announcements.left(OWN, house.workspace.clock())
    assert left == announced - len(admitted), "used up by what was admitted, and by nothing else"
    assert not verify_log(house.workspace.store).faults
    house.workspace.close()
