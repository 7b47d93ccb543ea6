"""One broker for all tests of a file: each has its own users and devices."""

from collections.abc import Iterator

import pytest

from smki.entity import RemotePartyRole
from tests.house import NOW, founded
from tests.parties.broker.announcers import Announcer, announcer
from tests.parties.broker.world import User, World


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    moments = [NOW]
    with founded(tmp_path_factory.mktemp("broker") / "home", lambda: moments[0], kind="user") as house:
        yield World(house, moments)


@pytest.fixture
def world(shared: World) -> World:
    shared.limits = World.limits
    shared.moments[0] = NOW
    return shared


@pytest.fixture
def supplier(world: World) -> User:
    return world.user(RemotePartyRole.SUPPLIER)


@pytest.fixture
def operator(world: World) -> User:
    return world.user(RemotePartyRole.NETWORK_OPERATOR)


@pytest.fixture
def north(world: World) -> Announcer:
    return announcer(world)


@pytest.fixture(scope="module")
def known(shared: World) -> Announcer:
    """One whose key is registered, and who sends nothing."""
    made = announcer(shared)
    made.register()
    return made
