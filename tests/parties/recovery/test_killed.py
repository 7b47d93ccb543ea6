"""A run that is killed at any moment is gone on with: nothing is signed twice, and no home is left out."""

import json
import time
from pathlib import Path

import pytest

from smki.authority.auditing import verify_log
from tests.parties.recovery.killed import COUNT, begin, finish
from tests.parties.recovery.world import World
from tests.prefork import Prefork


def signatures(world: World, table: str) -> int:
    engine = world.workspace.store._engine
    return int(engine.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0])


def killed_once(world: World, prefork: Prefork, path: Path, after: float) -> bool:
    """One run, killed some time after it reserved or signed something new; false: it was over first."""
    before = signatures(world, "credential_order"), signatures(world, "signature"), signatures(world, "signed")
    process = prefork.start("tests.parties.recovery.killed:run_again", world.house.home, path)
    while process.poll() is None:
        now = signatures(world, "credential_order"), signatures(world, "signature"), signatures(world, "signed")
        if now != before:
            break
        time.sleep(0.002)
    time.sleep(after)
    return process.kill()


@pytest.mark.requirement("R-REC-4")
@pytest.mark.slow(6)
def test_killed_anywhere_it_signs_nothing_twice_and_leaves_nobody_out(world: World, prefork: Prefork) -> None:
    plan = begin(world)
    killed = 0
    for attempt in range(7):
        killed += killed_once(world, prefork, plan.file.path, 0.03 * attempt)
        if signatures(world, "signed") == COUNT:
            break
    assert killed, "no run was killed while it worked"
    told = finish(world.house, plan.file.path)
    assert len(told) == COUNT
    assert {one.result for one in told} <= {"signed", "signed before"}
    assert len({one.message for one in told}) == COUNT
    first = told[0].counter
    assert [one.counter for one in told] == list(range(first, first + COUNT))
    bodies = [json.loads(entry.body) for entry in world.workspace.store.audit_entries()]
    signing = [int(body["facts"]["counter"]) for body in bodies if body["act"] == "message.signing"]
    assert sorted(signing) == list(range(first, first + COUNT)), "each counter once"
    assert signatures(world, "signed") == COUNT
    assert world.workspace.store.orders.counts(plan.file.sha256) == {"signed": COUNT}
    assert not verify_log(world.workspace.store).faults
    progress = json.loads(plan.file.path.with_name("plan.toml.run.json").read_text())
    assert sum(progress["commands"].values()) == COUNT
    assert progress["devices"] == COUNT
