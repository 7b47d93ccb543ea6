"""A service user's workspace."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house import House, founded
from tests.parties.people import User


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with founded(tmp_path / "user", kind="user") as house:
        yield house


@pytest.fixture
def user(house: House) -> User:
    return User(house)
