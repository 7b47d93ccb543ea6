"""Every test of the store's contract runs on both engines."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from smki.store.store import Store
from tests.postgres import Server, running, shared

WORKSPACE = b"w" * 16


@pytest.fixture(scope="session")
def server() -> Server:
    return shared()


@pytest.fixture
def own_server() -> Iterator[Server]:
    """One that a test may stop and start."""
    with running() as made:
        yield made


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:{tmp_path / 'smki.db'}"
    made: Server = request.getfixturevalue("server")
    return made.fresh()


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    made, new = Store.create(url, WORKSPACE)
    assert new
    yield made
    made.close()
