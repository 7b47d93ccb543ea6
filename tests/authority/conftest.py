"""A founded workspace, with and without officers and hierarchies."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.authority.desk import Desk
from tests.house import House, copy_of, founded, opened


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[House]:
    """Founded, but nobody enrolled."""
    with founded(tmp_path / "authority") as house:
        yield house


@pytest.fixture
def house(empty: House) -> House:
    """Founded, with three officers on the roll."""
    empty.enrol()
    return empty


@pytest.fixture(scope="session")
def complete(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed workspace with three hierarchies and a manufacturer, to be copied."""
    home = tmp_path_factory.mktemp("complete") / "authority"
    with founded(home) as house:
        house.enrol()
        house.stand_up()
        house.enrol_works()
    return home


@pytest.fixture
def standing(complete: Path, tmp_path: Path) -> Iterator[House]:
    """The same, open and our own."""
    house = opened(copy_of(complete, tmp_path / "authority"))
    yield house
    house.workspace.close()


@pytest.fixture
def desk(standing: House) -> Desk:
    return Desk(standing)
