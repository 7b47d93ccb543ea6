"""A founded workspace, with and without officers and hierarchies."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house import House, founded


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
