"""In whatever order things happen: a complete list and a delta to it say the same as the next complete list."""

import tempfile
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smki.pki.serial import Serial
from tests.authority.publication.test_lists import Desk
from tests.house import copy_of

# How many revocations, how many minutes their certificates have left, how many until there is a list, whether a
# complete one follows it.
STEPS = st.lists(
    st.tuples(st.integers(0, 4), st.integers(1, 900), st.integers(1, 200), st.booleans()), min_size=3, max_size=7
)


@pytest.mark.slow(20)
@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_a_complete_list_and_its_delta_are_the_next_complete_list(
    complete: Path, steps: list[tuple[int, int, int, bool]]
) -> None:
    with tempfile.TemporaryDirectory(dir=complete.parent) as folder:
        desk = Desk(copy_of(complete, Path(folder) / "authority"))
        desk.policy('delta_every = "off"', 'delta_every = "1h"')
        try:
            _play(desk, steps)
        finally:
            desk.house.workspace.close()


def _play(desk: Desk, steps: list[tuple[int, int, int, bool]]) -> None:
    base, held = desk.made(), set(desk.listed())
    ends: dict[bytes, datetime] = {}
    for count, left, pause, complete_too in steps:
        fresh = [Serial(b"\2" * 8 + (len(ends) + number).to_bytes(8)) for number in range(count)]
        end = desk.now + timedelta(minutes=left)
        if fresh:
            desk.revoke(*fresh, not_after=end)
        ends |= {serial.octets: end for serial in fresh}
        desk.now += timedelta(minutes=pause)
        outcome = desk.one()
        assert outcome.fault is None
        if outcome.record is not None and outcome.record.is_delta:
            assert outcome.record.base == base.number
            added = set(desk.listed("-delta.crl"))
            assert {serial.octets for serial in fresh if end >= base.this_update} <= added
            if not complete_too:
                continue
            desk.now += timedelta(seconds=1)
            following = desk.made(everything=True)
            assert following.covers == outcome.record.covers
            alive = {serial for serial in held | added if ends[serial] >= base.this_update}
            assert set(desk.listed()) == alive, "but for what ended before the list it adds to was made"
            base, held = following, alive
        elif outcome.record is not None:
            base, held = outcome.record, set(desk.listed())
