"""Commands that are held, and what becomes of them."""

from collections.abc import Callable
from datetime import timedelta
from itertools import count

import pytest

from smki.errors import SmkiError
from smki.parties.anomaly.limits import Limit, Limits
from smki.parties.outcome import Outcome
from smki.store.admission_records import QuarantineRecord
from tests.parties.broker.world import User, World, run

counters = count(1000)


def hold(world: World, user: User, number: int = 1) -> list[QuarantineRecord]:
    """Commands that are held, whatever they are."""
    world.limits = Limits(own={user.entity: (Limit("none", None, 0, timedelta(hours=1)),)})
    sent = [user.arming(next(counters), meter) for meter in world.devices(number, user)]
    assert {one.result for one in world.submit(*sent)} == {"held"}
    octets = {one.octets for one in sent}
    waiting = world.house.workspace.store.quarantine.in_state("waiting", 10_000)
    return [one for one in waiting if one.octets in octets]


def hand_out(world: World) -> list[Outcome]:
    return run(world.desk(), lambda desk: desk.hand_out())


def state(world: World, record: QuarantineRecord) -> str:
    found = world.house.workspace.store.quarantine.one(record.digest)
    assert found is not None
    return found.state


def code_of(work: Callable[[], object]) -> str:
    with pytest.raises(SmkiError) as caught:
        work()
    assert caught.value.remedy
    return caught.value.code
