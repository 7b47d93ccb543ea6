"""A founded workspace in which those of people.py are enrolled."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from smki.authority.workspace import Workspace
from tests.authority.estate.people import enrol_all
from tests.house import copy_of, founded, opened
from tests.once import once


def _enrolled(home: Path) -> None:
    with founded(home) as house:
        enrol_all(house.workspace)


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    house = opened(copy_of(once("enrolled", _enrolled), tmp_path / "authority"))
    yield house.workspace
    house.workspace.close()
