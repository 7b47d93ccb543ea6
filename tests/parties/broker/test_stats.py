"""Figures from tallies: exact, without gaps, and as quick however much is stored."""

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smki.cli.broker_stats import bar
from smki.entity import RemotePartyRole
from smki.errors import InvalidInput
from smki.parties.broker.stats import stats
from smki.store.admission_records import TallyRow
from smki.store.records import Act
from tests.house import NOW
from tests.parties.broker.deciders import ALICE, put_roll
from tests.parties.broker.holding import hold
from tests.parties.broker.world import User, World

_HOUR = 3600


def test_it_counts_what_became_of_commands(world: World, supplier: User) -> None:
    workspace = world.house.workspace
    put_roll(workspace)
    world.submit(*(supplier.arming(5, meter) for meter in world.devices(3, supplier)))
    held = hold(world, supplier, 2)
    ALICE.decides(workspace, held[:1], "reject")
    found = stats(workspace, None, "hour", supplier.entity)
    assert found.total.as_json() == {"admitted": 3, "held": 1, "refused": 1}
    assert len(found.stretches) == 24
    assert found.stretches[-1][0] == NOW.replace(minute=0)
    assert found.stretches[-1][1].all == 5
    assert found.users[0][:2] == (supplier.entity, "supplier")
    assert [name for name, _ in found.use_cases] == ["0x0051 ECS44 Arm Load Switch in ESME"]
    assert dict(found.rates)[60] == pytest.approx(3 / 60)
    assert stats(workspace, None, "hour").total.all >= 5
    assert found.as_json()["stretches"][-1] == {"since": NOW, "admitted": 3, "held": 1, "refused": 1}


def test_by_days_and_since_a_moment(world: World, supplier: User) -> None:
    workspace, second = world.house.workspace, int(NOW.timestamp())
    with workspace.store.act(Act("test", "tester", NOW)) as tx:
        tx.add_tallies(
            TallyRow(2, second - 24 * _HOUR * days, supplier.entity.octets, 2, 0x50, 19, days, 0, 0)
            for days in range(1, 40)
        )
    found = stats(workspace, None, "day", supplier.entity)
    assert [sums.admitted for _, sums in found.stretches] == [*range(29, 0, -1), 0]
    found = stats(workspace, NOW - timedelta(days=2), "day", supplier.entity)
    assert [sums.admitted for _, sums in found.stretches] == [2, 1, 0]
    for since in (NOW + timedelta(hours=1), NOW - timedelta(days=91)):
        with pytest.raises(InvalidInput, match=r"stats\.since"):
            stats(workspace, since, "day")


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 23), st.integers(0, 9), st.integers(0, 9), st.integers(0, 9)), max_size=8))
def test_every_sum_is_of_all_its_parts(world: World, rows: list[tuple[int, int, int, int]]) -> None:
    workspace, second = world.house.workspace, int(NOW.timestamp())
    user = world.user(RemotePartyRole.NETWORK_OPERATOR)
    with workspace.store.act(Act("test", "tester", NOW)) as tx:
        tx.add_tallies(TallyRow(2, second - _HOUR * back, user.entity.octets, 3, 7, 0, *more) for back, *more in rows)
    found = stats(workspace, None, "hour", user.entity)
    for name, place in (("admitted", 1), ("held", 2), ("refused", 3)):
        wanted = sum(row[place] for row in rows)
        assert getattr(found.total, name) == wanted
        assert sum(getattr(sums, name) for _, sums in found.stretches) == wanted
        assert sum(getattr(sums, name) for *_, sums in found.users) == wanted


@given(st.integers(0, 10**9), st.integers(0, 10**9), st.booleans())
def test_bars_are_as_long_as_they_should_be(number: int, most: int, blocks: bool) -> None:
    drawn = bar(min(number, most), most, blocks=blocks)
    assert len(drawn) <= 40
    assert bool(drawn) == (min(number, most) > 0)
    assert blocks or drawn.isascii()
    assert bar(most, most, blocks=blocks) == ("" if not most else "█" * 40 if blocks else "#" * 40)
