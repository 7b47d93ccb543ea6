"""What is many waits for an officer, however it is cut; and no file goes past the limits."""

from datetime import timedelta
from pathlib import Path

import pytest

from smki.authority.policies import load_policies
from smki.authority.second_officer import decide_hold
from smki.authority.workspace import SHIPPED
from smki.errors import SmkiError
from tests.house import NOW, OFFICERS
from tests.parties.cos.world import (
    NORTH,
    SOUTH,
    Party,
    codes,
    entries,
    home,
    meter,
    north,
    point,
    policy,
    south,
)

DAY = timedelta(days=1)
LATER = NOW + 10 * DAY


@pytest.mark.requirement("R-ANO-1")
@pytest.mark.parametrize(
    ("old", "reason"),
    [
        ("count = 2_000", str(SOUTH)),
        ("count = 10_000", "all suppliers"),
    ],
)
def test_above_a_threshold_a_request_waits_for_an_officer(party: Party, old: str, reason: str) -> None:
    party.house.enrol()
    policy(party.house, old, "count = 3")
    party.settle(range(6))
    request = south.request(*(home(number) for number in range(4)))
    held = party.run(request)
    assert {(one.result, *codes(one)) for one in held} == {("held", "approve.needed")}
    assert not entries(party, "message.signing")
    assert not list(party.workspace.store.orders.find())
    (hold,) = party.workspace.store.holds.all()
    assert hold.items == 4
    assert reason in hold.reasons[0]
    words = [text for _, text in party.workspace.store.holds.items(hold.digest)]
    assert words[0] == f"home 0: meter point {point(0)}, ESME {meter(0)}, now"
    assert {one.result for one in party.run(request)} == {"held"}
    decide_hold(party.workspace, hold, "alice", OFFICERS["alice"], True, "failed supplier")
    assert {one.result for one in party.run(request)} == {"signed"}
    assert {one.result for one in party.run(request)} == {"signed before"}
    (more,) = party.run(south.request(home(5)))
    assert more.result == "held", "the window is full"


def test_small_requests_add_up_and_suppliers_are_counted_apart(party: Party) -> None:
    policy(party.house, "count = 2_000", "count = 3")
    party.settle(range(4))
    party.settle(range(4, 5), NORTH)
    for number in range(3):
        assert [one.result for one in party.run(south.request(home(number)))] == ["signed"]
    assert [one.result for one in party.run(south.request(home(3)))] == ["held"]
    assert [one.result for one in party.run(north.request(home(4)))] == ["signed"]


def test_what_an_officer_refused_is_not_signed(party: Party) -> None:
    party.house.enrol()
    policy(party.house, "count = 2_000", "count = 0")
    request = south.request(home())
    party.run(request)
    (hold,) = party.workspace.store.holds.all()
    decide_hold(party.workspace, hold, "alice", OFFICERS["alice"], False, "nobody ordered it")
    (done,) = party.run(request)
    assert (done.result, *codes(done)) == ("refused", "approve.refused")


@pytest.mark.requirement("R-LAY-4")
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("count = 2_000", "count = 20_001"),
        ("count = 10_000", "count = 100_001"),
        ('of = "all"', 'of = "each supplier"'),
        ('window = "24h"', 'window = "30m"'),
        ('window = "24h"', 'window = "a day"'),
        ("largest_request = 200_000", "largest_request = 500_001"),
        ("largest_request = 200_000", "largest_request = 0"),
        ('oldest = "7d"', 'oldest = "32d"'),
        ('furthest = "90d"', 'furthest = "367d"'),
        ("count = 2_000", "count = -1"),
        ("count = 2_000", "counts = 2"),
        ('of = "all"', 'of = "nobody"'),
    ],
)
def test_no_policy_file_goes_past_the_limits(tmp_path: Path, old: str, new: str) -> None:
    import shutil

    folder = tmp_path / "policies"
    shutil.copytree(SHIPPED / "policies", folder)
    path = folder / "cos.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(SmkiError) as caught:
        _ = load_policies(folder).cos
    assert "cos.toml" in caught.value.message or caught.value.code == "entity.form"
