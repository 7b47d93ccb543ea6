"""Ten thousand disconnections, signed with a valid key that was stolen, do not reach the meters."""

import time
from collections import Counter
from datetime import timedelta

import pytest

from smki.parties.broker.alarm import Alarm, look
from smki.parties.broker.quarantine import chosen
from tests.parties.broker.deciders import ALICE, put_roll
from tests.parties.broker.world import User, World
from tests.parties.people import ECS43

COUNT, METERS = 10_000, 100
AGAIN = timedelta(minutes=5)


@pytest.mark.requirement("R-ANO-6")
@pytest.mark.slow(12)
def test_ten_thousand_disconnections_by_a_stolen_key_do_not_reach_the_meters(world: World, supplier: User) -> None:
    """The supplier's own meters, a key in use: a few pass, the others wait in one pattern, and a person is told."""
    workspace = world.house.workspace
    put_roll(workspace)
    meters = world.devices(METERS, supplier)
    stolen = [supplier.arming(1 + number, meters[number % METERS], ECS43) for number in range(COUNT)]
    results = Counter(one.result for one in world.submit(*stolen))
    assert set(results) == {"admitted", "held"}
    assert results["admitted"] == 14, "what a user without habits may in three minutes (anomaly.toml)"
    (alert,) = look(workspace, Alarm(AGAIN))
    assert (alert.news, alert.waiting) == ("new", COUNT - 14)
    begin = time.process_time()
    assert ALICE.decides(workspace, chosen(workspace, [alert.pattern]), "reject").items == COUNT - 14
    assert time.process_time() - begin < 5, "one decision, and quickly"
    assert workspace.store.quarantine.count("waiting") == 0
    assert look(workspace, Alarm(AGAIN)) == []
    again = Counter(one.result for one in world.submit(*stolen[-100:]))
    assert again == {"refused": 100}, "nobody gets them through later"
