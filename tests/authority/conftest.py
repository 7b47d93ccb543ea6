"""A founded workspace, with and without officers and hierarchies."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.authority.desk import Desk
from tests.house import House, copy_of, founded, opened
from tests.once import once


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[House]:
    """Founded, but nobody enrolled."""
    with founded(tmp_path / "authority") as house:
        yield house


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """Founded, with three officers on the roll."""
    house = opened(copy_of(once("officers", _with_officers), tmp_path / "authority"))
    yield house
    house.workspace.close()


def _with_officers(home: Path) -> None:
    with founded(home) as house:
        house.enrol()


@pytest.fixture(scope="session")
def complete() -> Path:
    """A closed workspace with three hierarchies and a manufacturer, to be copied."""
    return once("complete", _complete)


def _complete(home: Path) -> None:
    with founded(home) as house:
        house.enrol()
        house.stand_up()
        house.enrol_works()


@pytest.fixture
def standing(complete: Path, tmp_path: Path) -> Iterator[House]:
    """The same, open and our own."""
    house = opened(copy_of(complete, tmp_path / "authority"))
    yield house
    house.workspace.close()


@pytest.fixture
def desk(standing: House) -> Desk:
    return Desk(standing)
