"""The desk: judged again, signed once, on record, numbered above all that was heard."""

from datetime import timedelta
from typing import Any

import pytest

from smki.authority.auditing import verify_log
from smki.device.modes import SUPPLIER_CELLS
from smki.device.update import MAX_COUNTER, CredentialUpdate, Floors, Put, read_update
from smki.entity import DeviceType, RemotePartyRole
from smki.gbcs.message import Protection, read_message
from smki.gbcs.payload.credentials import Mode
from smki.gbcs.protection import signature_holds
from smki.parties.cos.rules import MOST_FLOOR
from smki.parties.supplier import SigningDesk
from tests.house import NOW
from tests.parties.cos.world import (
    COS,
    NORTH,
    ROLE,
    SOUTH,
    Party,
    codes,
    device,
    entries,
    home,
    meter,
    north,
    point,
    south,
)
from tests.parties.people import issuing

DAY = timedelta(days=1)
LATER = NOW + 10 * DAY


def test_what_is_signed_is_what_was_asked(party: Party) -> None:
    request = south.request(home(at=LATER), floors=Floors(7, 1 << 32))
    (done,) = party.run(request)
    assert done.result == "signed"
    message = read_message(done.message)
    assert message.protection is Protection.SIGNATURE
    assert signature_holds(message, party.certificate.holder.public_key)
    assert (message.header.originator, message.header.target) == (COS, meter(0))
    said = read_update(message.payload)
    wanted = CredentialUpdate(
        mode=Mode.SUPPLIER_BY_TRANS_COS,
        counter=message.header.counter,
        puts=tuple(Put.into(*one) for one in zip(SUPPLIER_CELLS, south.trio, strict=True)),
        path=(issuing().der,),
        authorising=said.authorising,
        other_floors=((ROLE.SUPPLIER, Floors(7, 1 << 32)),),
        at=LATER,
    )
    assert message.payload == wanted.encode()
    assert str(said.authorising) == "transitionalCoS digitalSignature"
    assert done.as_report() == {
        "reference": "home 0",
        "device": str(meter(0)),
        "meter_point": str(point(0)),
        "result": "signed",
    }


@pytest.mark.requirement("R-AUD-6")
def test_each_signature_is_on_record_with_its_request(party: Party) -> None:
    request = south.request(home())
    judgement = party.judge(request)
    party.run(request)
    (taken,) = entries(party, "cos.taken")
    (signing,) = entries(party, "message.signing")
    assert taken["request"] == signing["expectation"] == judgement.asked.digest.hex()
    assert taken["supplier"] == str(SOUTH)
    assert signing["known_by"] == "judged by the change-of-supplier desk"
    (order,) = party.workspace.store.orders.find(batch=judgement.asked.digest)
    assert (order.state, order.device) == ("signed", meter(0))
    assert not verify_log(party.workspace.store).faults


def test_a_switch_with_two_cells_gets_two_certificates(party: Party) -> None:
    party.put(device(5, meter_point=point(0), kind=DeviceType.HCALCS))
    done = party.run(south.request(home()))
    assert [one.result for one in done] == ["signed"] * 2
    by_device = {one.device: one for one in done}
    said = [read_update(read_message(by_device[meter(number)].message).payload) for number in (0, 5)]
    assert [len(one.puts) for one in said] == [3, 2]
    assert [one.other_floors for one in said] == [((ROLE.SUPPLIER, Floors(0, 0)),), ((ROLE.SUPPLIER, Floors(0)),)]


def test_a_replay_is_told_and_signs_nothing(party: Party) -> None:
    request = south.request(home())
    first = party.run(request)
    again = party.run(request)
    assert [one.result for one in again] == ["signed before"]
    assert [one.message for one in again] == [one.message for one in first]
    resigned = party.run(south.sign(_content_of(party, request), at=NOW + timedelta(seconds=5)))
    assert [one.result for one in resigned] == ["signed before"], "the content is the request, not its signature"
    assert len(entries(party, "message.signing")) == 1
    assert len(entries(party, "cos.taken")) == 1


def _content_of(party: Party, request: bytes) -> bytes:
    return party.judge(request).received.signed.content


def test_an_old_request_does_not_bring_a_home_back(party: Party) -> None:
    """North had it; south has it now; north replays what it signed when it was registered."""
    party.settle(range(3, 4), NORTH, NOW - 3 * DAY)
    old = north.request(home(3), made=NOW - 2 * DAY)
    assert [one.result for one in party.run(old)] == ["signed"]
    party.register(3, (NOW - DAY, SOUTH))
    assert [one.result for one in party.run(south.request(home(3)))] == ["signed"]
    (done,) = party.run(old)
    assert (done.result, done.message) == ("refused", b"")
    assert set(codes(done)) == {"cos.not-registered", "cos.superseded"}


@pytest.mark.requirement("R-REP-2")
def test_a_good_suppliers_request_for_anothers_home_gets_nothing(party: Party) -> None:
    """Everything about it is right but that the home is not its own."""
    (done,) = party.run(north.request(home()))
    assert codes(done) == ["cos.not-registered"]
    assert not entries(party, "cos.taken")
    assert not list(party.workspace.store.orders.find())


@pytest.mark.requirement("R-REP-3")
def test_mixed_organisations_get_nothing(party: Party) -> None:
    mixed = (south.trio[0], north.trio[1], south.trio[2])
    (done,) = party.run(south.request(home(), trio=mixed))
    assert (done.result, done.message) == ("refused", b"")
    assert "cos.certificate-identity" in codes(done)


def test_what_may_be_is_signed_beside_what_may_not(party: Party) -> None:
    party.settle(range(1, 5))
    party.settle(range(5, 6), NORTH)
    done = {one.reference: one for one in party.run(south.request(*(home(number) for number in range(6))))}
    assert {one.result for one in done.values()} == {"signed", "refused"}
    assert codes(done["home 5"]) == ["cos.not-registered"]
    counters = [read_message(one.message).header.counter for one in done.values() if one.message]
    assert len(set(counters)) == 5, "each has a number of its own"


# Numbers


def test_numbers_go_on_above_all_that_devices_heard(party: Party) -> None:
    with_floor = device(4, counters={RemotePartyRole.TRANSITIONAL_COS: 5000})
    party.register(4, (NOW - DAY, SOUTH))
    party.put(with_floor)
    (done,) = party.run(south.request(home(4)))
    assert read_message(done.message).header.counter == 5001
    (done,) = party.run(south.request(home()))
    assert read_message(done.message).header.counter == 5002


def test_one_devices_word_does_not_use_up_the_numbers_of_all(party: Party) -> None:
    """Numbers are the key's: a meter that claims the highest counter is refused, and nobody else."""
    party.put(device(1, counters={RemotePartyRole.TRANSITIONAL_COS: MAX_COUNTER - 10}))
    party.settle(range(1, 3))
    done = {one.reference: one for one in party.run(south.request(*(home(number) for number in range(3))))}
    assert codes(done["home 1"]) == ["cos.counter-beyond"]
    counters = {read_message(done[name].message).header.counter for name in ("home 0", "home 2")}
    assert counters == {1, 2}
    party.settle(range(3, 4))
    assert [one.result for one in party.run(south.request(home(3)))] == ["signed"]


def test_a_key_that_went_past_the_bound_goes_on(party: Party) -> None:
    """Devices that heard a high number from us are no liars."""
    party.put(device(1, counters={RemotePartyRole.TRANSITIONAL_COS: MOST_FLOOR}))
    party.put(device(2, counters={RemotePartyRole.TRANSITIONAL_COS: MOST_FLOOR + 1}))
    party.settle(range(1, 3))
    assert [one.result for one in party.run(south.request(home(1)))] == ["signed"]
    (done,) = party.run(south.request(home(2)))
    assert read_message(done.message).header.counter == MOST_FLOOR + 2


def test_what_was_never_signed_and_overtaken_is_numbered_anew(party: Party) -> None:
    first = south.request(home())
    desk = party.desk
    _, done = desk.run(party.judge(first), first)
    # It dies after the orders are made and before any is signed.
    original = SigningDesk.judge
    try:
        SigningDesk.judge = _dies  # type: ignore[method-assign]
        with pytest.raises(KeyboardInterrupt):
            list(done)
    finally:
        SigningDesk.judge = original  # type: ignore[method-assign]
    party.settle(range(1, 2))
    assert [one.result for one in party.run(south.request(home(1)))] == ["signed"]
    (again,) = party.run(first)
    assert again.result == "signed"
    states = {order.state for order in party.workspace.store.orders.find(device=meter(0))}
    assert states == {"failed", "signed"}
    assert [one.result for one in party.run(first)] == ["signed before"]


def test_new_numbers_are_above_those_that_wait_for_their_signature(
    party: Party, monkeypatch: pytest.MonkeyPatch
) -> None:
    from smki.parties.cos import desk

    party.settle(range(1, 3))
    request = south.request(home(0), home(1), home(2))
    with monkeypatch.context() as patch:
        patch.setattr(desk, "PIECE", 1)
        _, done = party.desk.run(party.judge(request), request)
        assert next(done).result == "signed"
        patch.setattr(SigningDesk, "judge", _dies)
        with pytest.raises(KeyboardInterrupt):
            list(done)
    again = party.run(request)
    assert sorted(one.result for one in again) == ["signed", "signed", "signed before"]


def _dies(*_: Any, **__: Any) -> Any:
    raise KeyboardInterrupt
