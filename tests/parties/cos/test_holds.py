"""What is held: a grant is of what was shown, two runs are counted together, and what waits can be taken back."""

from datetime import timedelta
from typing import Any

import pytest

from smki.authority.log import act
from smki.authority.second_officer import decide_hold
from smki.parties.cos.cancelling import by_officer, by_request
from smki.parties.cos.commands import Commands
from smki.store.records import HoldRecord
from tests.house import NOW, OFFICERS
from tests.parties.cos.test_desk import policy
from tests.parties.cos.world import NORTH, SOUTH, Party, codes, home, meter, south

THRESHOLD = 2


@pytest.fixture
def strict(party: Party) -> Party:
    """At most two homes a day without an officer."""
    party.house.enrol()
    policy(party.house, "count = 2_000", f"count = {THRESHOLD}")
    party.settle(range(3))
    party.settle(range(3, 6), NORTH)
    return party


def _grant(party: Party, hold: HoldRecord) -> None:
    decide_hold(party.workspace, hold, "alice", OFFICERS["alice"], True, "looked at")


def _results(party: Party, request: bytes) -> dict[str, str]:
    return {one.reference: one.result for one in party.run(request)}


def test_a_grant_is_of_the_homes_that_were_shown(strict: Party) -> None:
    request = south.request(*(home(number) for number in range(6)))
    assert [*_results(strict, request).values()].count("held") == 3
    (first,) = strict.workspace.store.holds.all()
    _grant(strict, first)
    for number in range(3, 6):
        strict.register(number, (NOW - timedelta(hours=1), SOUTH))
    found = _results(strict, request)
    assert found == {f"home {number}": "signed" if number < 3 else "held" for number in range(6)}
    (second,) = (one for one in strict.workspace.store.holds.all() if one.digest != first.digest)
    assert second.items == 3
    _grant(strict, second)
    assert {*_results(strict, request).values()} == {"signed before", "signed"}


def test_an_item_put_beside_those_granted_is_not_granted(strict: Party) -> None:
    """The officer's signature is over the digest of the items, whatever the store says of them."""
    request = south.request(*(home(number) for number in range(6)))
    strict.run(request)
    (hold,) = strict.workspace.store.holds.all()
    _grant(strict, hold)
    with act(strict.workspace, "test.forged") as tx:
        tx._engine.insert("held", ("item", "hold", "words"), [(b"\7" * 32, hold.digest, "one more")])
    assert "signed" not in _results(strict, request).values()


def test_runs_at_the_same_time_are_counted_together(strict: Party, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other run comes after this one was counted, and before its orders are on record."""
    others = [south.request(home(1), home(2))]
    original, done = Commands._made, list[str]()

    def made(self: Commands, wanted: Any) -> Any:
        if others:
            done.extend(_results(strict, others.pop()).values())
        return original(self, wanted)

    with monkeypatch.context() as patch:
        patch.setattr(Commands, "_made", made)
        (held,) = strict.run(south.request(home(0)))
    assert done == ["signed", "signed"]
    assert (held.result, codes(held)) == ("held", ["approve.needed"])
    (order,) = strict.workspace.store.orders.find(device=meter(0))
    assert order.state == "failed"
    (hold,) = strict.workspace.store.holds.all()
    _grant(strict, hold)
    assert [*_results(strict, south.request(home(0))).values()] == ["signed"]


def test_what_waits_for_an_officer_can_be_taken_back(strict: Party) -> None:
    request = south.request(*(home(number) for number in range(3)))
    assert {*_results(strict, request).values()} == {"held"}
    digest = strict.judge(request).asked.digest
    one = by_request(strict.workspace, south.cancel(digest, "home 1"))
    assert [(done.reference, done.result) for done in strict.cancel(one)] == [("home 1", "taken back")]
    (hold,) = strict.workspace.store.holds.all()
    _grant(strict, hold)
    assert _results(strict, request) == {"home 0": "signed", "home 1": "refused", "home 2": "signed"}
    (verdict,) = (one for one in strict.verdicts(request) if one.reference == "home 1")
    assert codes(verdict) == ["cos.cancelled"]


def test_an_officer_takes_back_what_waits_and_no_grant_runs_it(strict: Party) -> None:
    request = south.request(*(home(number) for number in range(3)))
    strict.run(request)
    digest = strict.judge(request).asked.digest
    found = by_officer(strict.workspace, digest.hex(), (), ("bob", OFFICERS["bob"]), "wrong list")
    assert {done.result for done in strict.cancel(found)} == {"taken back"}
    (hold,) = strict.workspace.store.holds.all()
    _grant(strict, hold)
    assert {*_results(strict, request).values()} == {"refused"}
    assert not list(strict.workspace.store.orders.find())


def test_what_was_signed_is_handed_out_again_though_taking_it_back_came_too_late(strict: Party) -> None:
    request = south.request(home(0))
    assert _results(strict, request) == {"home 0": "signed"}
    (late,) = strict.cancel(by_request(strict.workspace, south.cancel(strict.judge(request).asked.digest)))
    assert codes(late) == ["cos.not-pending"]
    assert _results(strict, request) == {"home 0": "signed before"}
