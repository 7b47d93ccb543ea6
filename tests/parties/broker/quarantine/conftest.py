"""A broker that holds, and the officers of both sides."""

import pytest

from smki.store.records import Act
from tests.parties.broker.deciders import Officer, officer_of, organisation, put_roll
from tests.parties.broker.world import User, World


@pytest.fixture
def world(shared: World) -> World:
    """Its time only goes forward here: what is counted is not counted back."""
    shared.limits = World.limits
    workspace = shared.house.workspace
    put_roll(workspace)
    left = [one.digest for one in workspace.store.quarantine.in_state("waiting", 10_000)]
    with workspace.store.act(Act("test", "tester", shared.moments[0])) as tx:
        tx.close_quarantine(left, "rejected")
    return shared


@pytest.fixture
def ann(world: World, supplier: User) -> Officer:
    """The supplier's officer."""
    return officer_of(world.house.workspace, organisation(world.house.workspace, supplier.role, supplier.entity))
