"""What was put off is taken back, and what changes between judging and signing is seen."""

from datetime import timedelta
from typing import Any

import pytest

from smki.authority.log import act
from smki.device.update import CANCELLED, read_update
from smki.errors import Refused
from smki.gbcs.message import read_message
from smki.parties.cos.cancelling import by_officer, by_request
from smki.store.estate_records import Registered
from tests.house import NOW, OFFICERS
from tests.parties.cos.world import (
    NORTH,
    OPERATOR,
    SOUTH,
    Party,
    codes,
    entries,
    home,
    meter,
    north,
    point,
    south,
)

DAY = timedelta(days=1)
LATER = NOW + 10 * DAY


def _put_off(party: Party) -> bytes:
    party.settle(range(3))
    request = south.request(home(0, at=LATER), home(1, at=LATER), home(2))
    assert {one.result for one in party.run(request)} == {"signed"}
    return party.judge(request).asked.digest


def test_who_asked_takes_back_what_was_put_off(party: Party) -> None:
    digest = _put_off(party)
    file = south.cancel(digest, "home 0", "home 2", "home 9")
    done = {one.reference: one for one in party.cancel(by_request(party.workspace, file))}
    assert codes(done["home 2"]) == ["cos.not-pending"]
    assert codes(done["home 9"]) == ["cos.unknown-reference"]
    assert done["home 0"].result == "signed"
    back = read_message(done["home 0"].message)
    (order,) = party.workspace.store.orders.find(batch=digest, device=meter(0))
    first = read_update(back.payload)
    assert first.at == CANCELLED
    assert back.header.counter > order.counter
    assert [put.certificate for put in first.puts] == list(south.trio)
    again = {one.reference: one.result for one in party.cancel(by_request(party.workspace, file))}
    assert again["home 0"] == "signed before"
    (twice,) = party.cancel(
        by_request(party.workspace, south.cancel(digest, "home 0", made=NOW - timedelta(hours=1)))
    )
    assert codes(twice) == ["cos.cancelled"]


def test_what_was_taken_back_does_not_come_again(party: Party) -> None:
    party.settle(range(3))
    request = south.request(home(0, at=LATER))
    party.run(request)
    digest = party.judge(request).asked.digest
    assert [one.result for one in party.cancel(by_request(party.workspace, south.cancel(digest)))] == ["signed"]
    (done,) = party.run(request)
    assert codes(done) == ["cos.cancelled"]
    anew = south.request(home(0, at=LATER), made=NOW + timedelta(seconds=1))
    assert [one.result for one in party.run(anew)] == ["signed"]


def test_taking_back_what_was_overtaken_takes_nothing_of_anothers(party: Party) -> None:
    """A device knows one change that was put off: a late "never mind" must not undo who came after."""
    party.settle(range(7, 8), NORTH, NOW - 3 * DAY)
    first = north.request(home(7, at=LATER), made=NOW - timedelta(hours=2))
    assert [one.result for one in party.run(first)] == ["signed"]
    party.register(7, (NOW - DAY, SOUTH))
    assert [one.result for one in party.run(south.request(home(7, at=LATER)))] == ["signed"]
    late = north.cancel(party.judge(first).asked.digest)
    (done,) = party.cancel(by_request(party.workspace, late))
    assert (codes(done), done.message) == (["cos.superseded"], b"")


@pytest.mark.requirement("R-REP-5")
def test_nobody_else_takes_it_back(party: Party) -> None:
    digest = _put_off(party)
    for file, code in (
        (north.cancel(digest), "cos.not-yours"),
        (south.cancel(digest, signer=north.signer), "cos.signature"),
        (south.cancel(b"\7" * 32), "cos.unknown-request"),
        (south.cancel(digest, made=NOW - 8 * DAY), "cos.stale"),
    ):
        cancellation = by_request(party.workspace, file)
        assert code in codes(cancellation)
        assert not party.cancel(cancellation)
    assert len(entries(party, "message.signing")) == 3


def test_an_officer_takes_it_back_and_signs_for_that(party: Party) -> None:
    party.house.enrol()
    digest = _put_off(party)
    found = by_officer(party.workspace, digest.hex()[:12], (), ("bob", OFFICERS["bob"]), "wrong list")
    results = {one.reference: one.result for one in party.cancel(found)}
    assert results == {"home 0": "signed", "home 1": "signed", "home 2": "refused"}
    (ordered,) = entries(party, "cos.cancel-ordered")
    assert (ordered["officer"], ordered["reason"], ordered["cancels"]) == ("bob", "wrong list", digest.hex())
    with pytest.raises(Refused, match=r"cos\.officer"):
        by_officer(party.workspace, digest.hex(), (), ("alice", OFFICERS["bob"]), "")
    with pytest.raises(Refused, match=r"cos\.officer"):
        by_officer(party.workspace, digest.hex(), (), ("mallory", OFFICERS["bob"]), "")


def test_registration_data_of_today_decides_again_at_the_run(party: Party) -> None:
    """Checked in the morning, another's by noon."""
    request = south.request(home())
    assert not party.verdicts(request)[0].faults
    with_north = Registered(NORTH, OPERATOR, NOW - timedelta(hours=1))
    with act(party.workspace, "test.registered") as tx:
        tx.put_registrations([(point(0), with_north)])
    (done,) = party.run(request)
    assert codes(done) == ["cos.not-registered"]


def test_what_was_done_at_once_leaves_what_waits_to_be_taken_back(party: Party) -> None:
    """On a device only another command that was put off replaces one that waits."""
    party.settle(range(7, 8), NORTH)
    party.register(7, (NOW + 9 * DAY, SOUTH))
    waiting = south.request(home(7, at=LATER))
    assert [one.result for one in party.run(waiting)] == ["signed"]
    at_once = north.request(home(7), made=NOW + timedelta(minutes=1))
    assert [one.result for one in party.run(at_once)] == ["signed"]
    back = south.cancel(party.judge(waiting).asked.digest)
    (done,) = party.cancel(by_request(party.workspace, back))
    assert done.result == "signed"
    assert read_update(read_message(done.message).payload).at == CANCELLED


def test_a_device_that_was_moved_is_taken_back_with_its_request(party: Party) -> None:
    digest = _put_off(party)
    record = party.workspace.store.estate.device(meter(1))
    with act(party.workspace, "test.moved") as tx:
        tx.change_device(record, record.status, point(9))
    (named,) = party.cancel(by_request(party.workspace, south.cancel(digest, "home 1")))
    assert codes(named) == ["cos.device-elsewhere"], "its name leads to no device any more"
    done = {one.device: one for one in party.cancel(by_request(party.workspace, south.cancel(digest)))}
    assert [done[meter(number)].result for number in range(3)] == ["signed", "signed", "refused"]
    assert done[meter(1)].as_message()["reference"] == str(meter(1))
    assert (done[meter(1)].reference, done[meter(1)].meter_point) == ("", str(point(9)))


def _registered_meanwhile(party: Party) -> None:
    party.register(0, (NOW - timedelta(hours=1), NORTH))


def test_a_run_judges_each_piece_just_before_it_signs(party: Party) -> None:
    """A long run's first verdicts are minutes old: who asked later, and has the home by now, wins."""
    request = south.request(home())
    _, done = party.desk.run(party.judge(request), request)
    _registered_meanwhile(party)
    later = north.request(home(), made=NOW + timedelta(minutes=1))
    assert [one.result for one in party.run(later)] == ["signed"]
    (refused,) = list(done)
    assert (refused.result, refused.message) == ("refused", b"")
    assert set(codes(refused)) == {"cos.not-registered", "cos.superseded"}
    assert len(list(party.workspace.store.orders.find())) == 1


def test_what_changes_while_orders_are_made_is_seen_before_they_are_signed(
    party: Party, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The registration import comes between the verdict and the order; the other home is signed for."""
    from smki.parties.cos.commands import Commands

    party.settle(range(1, 2))
    request = south.request(home(0), home(1))
    original = Commands._made

    def made(self: Commands, wanted: Any) -> Any:
        _registered_meanwhile(party)
        return original(self, wanted)

    with monkeypatch.context() as patch:
        patch.setattr(Commands, "_made", made)
        done = {one.reference: one for one in party.run(request)}
    assert (done["home 0"].result, codes(done["home 0"])) == ("refused", ["cos.not-registered"])
    assert done["home 1"].result == "signed"
    (given_up,) = party.workspace.store.orders.find(device=meter(0))
    assert (given_up.state, given_up.outcome) == ("failed", "never signed: not allowed any more")
    last = party.workspace.store.signatures.last_counter(party.certificate.key_hash)
    assert last >= given_up.counter, "no other run signs it any more"
    # What was never signed stands in nobody's way.
    (ours,) = party.run(north.request(home(0), made=NOW - timedelta(minutes=1)))
    assert ours.result == "signed"


def test_taking_back_is_judged_again_too(party: Party) -> None:
    digest = _put_off(party)
    _, done = party.desk.cancel(by_request(party.workspace, south.cancel(digest, "home 0")))
    anew = south.request(home(0, at=LATER), made=NOW + timedelta(minutes=1))
    assert [one.result for one in party.run(anew)] == ["signed"]
    assert [codes(one) for one in done] == [["cos.superseded"]]
