"""The party, its registration data and one home."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house import founded
from tests.parties.cos.world import Party


@pytest.fixture
def party(tmp_path: Path) -> Iterator[Party]:
    with founded(tmp_path / "cos", kind="user") as house:
        party = Party(house)
        party.settle(range(1))
        yield party
