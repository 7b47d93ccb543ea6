"""An authority with a supplier and a broker, our own copy for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.authority.desk import Desk
from tests.authority.revocation.world import World
from tests.house import copy_of, founded, opened
from tests.once import once


def _make(home: Path) -> None:
    with founded(home) as house:
        house.enrol()
        house.stand_up()
        house.enrol_works()
        World(Desk(house)).enrol()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    house = opened(copy_of(once("subscribers", _make), tmp_path / "authority"))
    yield World(Desk(house))
    house.workspace.close()
