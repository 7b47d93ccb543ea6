"""A run of a plan that a test kills, and what is found after it."""

from pathlib import Path

from smki.parties.recovery.file import read_plan_file
from smki.parties.recovery.plan import Plan
from smki.parties.recovery.rules import read_plan
from smki.parties.recovery.run import Told, run_plan
from tests.house import House, opened
from tests.parties.recovery.world import NORTH, World, device, listed

COUNT = 900


def begin(world: World) -> Plan:
    """A plan for so many homes, approved."""
    lines = [f"{device(number)} ESME supplier={NORTH}" for number in range(1, COUNT + 1)]
    plan = world.draft(serials=(str(world.stolen().serial),), devices=listed(*lines))
    assert not plan.faults
    world.approve(plan, "alice", "bob")
    return plan


def _run(house: House, path: Path) -> list[Told]:
    return list(run_plan(house.workspace, read_plan(house.workspace, read_plan_file(path))))


def run_again(home: Path, path: Path) -> None:
    from smki.parties.recovery import run

    vars(run)["CHUNK"] = 200  # so that there are several to die between
    house = opened(home)
    _run(house, path)
    house.workspace.close()


def finish(house: House, path: Path) -> list[Told]:
    return _run(house, path)
