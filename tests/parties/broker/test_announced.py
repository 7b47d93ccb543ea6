"""Announcements: a stolen key of a small user gets nothing through, and what its user announced passes, once each."""

import random

import pytest

from smki.parties.broker.announced import take
from tests.parties.broker.announcers import Announcer, announcer, results, submit
from tests.parties.broker.world import World, codes

WORDS = "not announced: this user announces what it signs, and did not announce this"


@pytest.fixture
def north(world: World) -> Announcer:
    return announcer(world)


def test_a_thief_s_first_command_is_held_and_what_its_user_announced_passes(world: World, north: Announcer) -> None:
    """Without any habit, and within every count: what nobody announced is held by that alone."""
    meters = world.devices(12, north.as_owner)
    north.register()
    own = north.signs(
        *(arming(n, code=ECS43, target=meter, originator=north.entity) for n, meter in enumerate(meters[:10], 1))
    )
    assert take(world.house.workspace, north.announces()).record.items == 10
    thief = north.signs(north.opens(50, meters[10]))
    (held,) = submit(world, *thief)
    assert (held.result, codes(held)) == ("held", ["anomaly.unannounced"])
    assert [fault.message for fault in held.faults] == [WORDS]
    random.Random(1).shuffle(own)  # noqa: S311
    assert results(submit(world, *own[:6])) == ["admitted"] * 6
    assert results(submit(world, *own)) == ["admitted before"] * 6 + ["admitted"] * 4
    assert world.house.workspace.store.announcements.left(north.entity, world.moments[0]) == 0
