"""Every test of the store's contract runs on both engines."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from smki.store.store import Store
from tests.postgres import Server, running

WORKSPACE = b"w" * 16


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    with running() as made:
        yield made


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:{tmp_path / 'smki.db'}"
    import psycopg

    made: Server = request.getfixturevalue("server")
    name = f"test_{secrets.token_hex(6)}"
    with psycopg.connect(made.url("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return made.url(name)


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    made, new = Store.create(url, WORKSPACE)
    assert new
    yield made
    made.close()
