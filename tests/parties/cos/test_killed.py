"""A run that dies at any moment: run the same again, and each home is signed for once."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from smki.gbcs.message import read_message
from tests.house import opened
from tests.parties.cos.killed import COUNT, finish, prepare
from tests.postgres import running

WORKER = """
import sys
from pathlib import Path
from tests.parties.cos.killed import run_again
run_again(Path(sys.argv[1]), Path(sys.argv[2]))
"""
ROOT = Path(__file__).parent.parent.parent.parent


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def store_url(request: pytest.FixtureRequest) -> Iterator[str | None]:
    if request.param == "sqlite":
        yield None
        return
    with running() as server:
        yield server.fresh()


def test_killed_anywhere_each_home_is_signed_for_once(tmp_path: Path, store_url: str | None) -> None:
    home = tmp_path / "cos"
    prepare(home, tmp_path, store_url)
    watcher = opened(home)

    def count(table: str) -> int:
        row = watcher.workspace.store._engine.execute(f"SELECT COUNT(*) FROM {table}").fetchone()
        return int(row[0])

    killed = 0
    for attempt in range(6):
        process = subprocess.Popen([sys.executable, "-c", WORKER, str(home), str(tmp_path)], cwd=ROOT)
        # Some die while orders are made, others while their signatures are.
        watched = "credential_order" if attempt % 2 else "signature"
        before = count(watched)
        while process.poll() is None and count(watched) == before:
            time.sleep(0.005)
        time.sleep(0.02 * (attempt % 5))
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
            killed += 1
        process.wait()
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
