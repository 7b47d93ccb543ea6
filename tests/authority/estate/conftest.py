"""A founded workspace in which those of people.py are enrolled."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from smki.authority.workspace import Workspace
from tests.authority.estate.people import enrol_all
from tests.house import copy_of, founded, opened


@pytest.fixture(scope="session")
def enrolled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    home = tmp_path_factory.mktemp("enrolled") / "authority"
    with founded(home) as house:
        enrol_all(house.workspace)
    yield home
    shutil.rmtree(home)


@pytest.fixture
def workspace(enrolled: Path, tmp_path: Path) -> Iterator[Workspace]:
    house = opened(copy_of(enrolled, tmp_path / "authority"))
    yield house.workspace
    house.workspace.close()
