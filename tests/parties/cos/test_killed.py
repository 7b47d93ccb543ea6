"""A run that dies at any moment: run the same again, and each home is signed for once."""

import time
from pathlib import Path

import pytest

from smki.gbcs.message import read_message
from tests.house import opened
from tests.parties.cos.killed import COUNT, finish, prepare
from tests.postgres import shared
from tests.prefork import Prefork


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def store_url(request: pytest.FixtureRequest) -> str | None:
    return None if request.param == "sqlite" else shared().fresh()


@pytest.mark.slow(6)
def test_killed_anywhere_each_home_is_signed_for_once(
    tmp_path: Path, store_url: str | None, prefork: Prefork
) -> None:
    home = tmp_path / "cos"
    prepare(home, tmp_path, store_url)
    watcher = opened(home)

    def count(table: str) -> int:
        row = watcher.workspace.store._engine.execute(f"SELECT COUNT(*) FROM {table}").fetchone()
        return int(row[0])

    killed = 0
    for attempt in range(6):
        process = prefork.start("tests.parties.cos.killed:run_again", home, tmp_path)
        # Some die while orders are made, others while their signatures are.
        watched = "credential_order" if attempt % 2 else "signature"
        before = count(watched)
        while process.poll() is None and count(watched) == before:
            time.sleep(0.005)
        time.sleep(0.01 * (attempt % 5))
        killed += process.kill()
        if count("signed") == COUNT:
            break
    watcher.workspace.close()
    assert killed, "no run was killed while it worked"
    done, signing = finish(home, tmp_path)
    assert {one.result for one in done} <= {"signed", "signed before"}
    assert len({one.device for one in done}) == len(done) == COUNT
    messages = [read_message(one.message).header for one in done]
    counters = [int(body["facts"]["counter"]) for body in signing]
    assert len(set(counters)) == len(counters), "each number once"
    assert {header.counter for header in messages} <= set(counters), "what is handed out is on record"
    assert len(signing) == COUNT, "nothing is signed twice"
