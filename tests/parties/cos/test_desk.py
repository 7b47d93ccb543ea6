"""The desk: judged again, held where it is many, signed once, taken back; and no way around it."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from smki.authority.auditing import verify_log
from smki.authority.log import act
from smki.authority.policies import load_policies
from smki.authority.second_officer import decide_hold
from smki.authority.workspace import SHIPPED
from smki.device.modes import SUPPLIER_CELLS
from smki.device.update import CANCELLED, MAX_COUNTER, CredentialUpdate, Floors, Put, read_update
from smki.entity import DeviceType, RemotePartyRole
from smki.errors import Refused, SmkiError
from smki.gbcs.header import MessageCode
from smki.gbcs.message import Message, Protection, read_message
from smki.gbcs.payload.credentials import Mode
from smki.gbcs.protection import digest_to_sign, signature_holds
from smki.parties.cos.cancelling import by_officer, by_request
from smki.parties.cos.desk import CosDesk
from smki.parties.cos.rules import MOST_FLOOR
from smki.parties.signing_rules import Shown
from smki.parties.supplier import SigningDesk
from smki.store.estate_records import Registered
from tests.house import NOW, OFFICERS, House, founded
from tests.parties.cos.world import (
    COS,
    NORTH,
    OPERATOR,
    ROLE,
    SOUTH,
    Party,
    codes,
    device,
    home,
    meter,
    north,
    point,
    south,
)
from tests.parties.people import User, arming, certificate, given, issuing

DAY = timedelta(days=1)
LATER = NOW + 10 * DAY


def entries(party: Party, kind: str) -> list[dict[str, Any]]:
    bodies = (json.loads(entry.body) for entry in party.workspace.store.audit_entries())
    return [body["facts"] for body in bodies if body["act"] == kind]


def policy(house: House, old: str, new: str) -> None:
    path = house.home / "policies" / "cos.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    house.workspace.__dict__.pop("policies", None)


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


def test_a_good_suppliers_request_for_anothers_home_gets_nothing(party: Party) -> None:
    """Everything about it is right but that the home is not its own."""
    (done,) = party.run(north.request(home()))
    assert codes(done) == ["cos.not-registered"]
    assert not entries(party, "cos.taken")
    assert not list(party.workspace.store.orders.find())


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


# Thresholds


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
        ('"if given"', '"never"'),
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


# Side doors


def _change(party: Party, counter: int = 900) -> Message:
    """A change of supplier that is right in every octet, and that no desk has judged."""
    from smki.device.modes import RULES

    update = CredentialUpdate(
        mode=Mode.SUPPLIER_BY_TRANS_COS,
        counter=counter,
        puts=tuple(Put.into(*one) for one in zip(SUPPLIER_CELLS, south.trio, strict=True)),
        path=(issuing().der,),
        authorising=RULES[Mode.SUPPLIER_BY_TRANS_COS].authorising,
        other_floors=((ROLE.SUPPLIER, Floors(0, 0)),),
    )
    return update.command(COS, meter(0))


def test_message_sign_changes_no_supplier(party: Party) -> None:
    desk = SigningDesk(party.workspace, "keys", "cos", party.certificate)
    (outcome,) = list(desk.sign(desk.judge([given(_change(party))], None), Shown.SEEN))
    assert (outcome.result, outcome.message) == ("refused", b"")
    assert codes(outcome) == ["sign.cos-unjudged"]
    vouched = {digest_to_sign(_change(party, 901)): b""}
    (outcome,) = list(desk.sign(desk.judge([given(_change(party))], None, vouched), Shown.JUDGED))
    assert codes(outcome) == ["sign.cos-unjudged"], "another command's judgement serves for none"


@pytest.mark.parametrize("code", [0x0050, 0x0008, 0x0100, 0x0102, 0x0108, 0x0109, 0x0126])
def test_the_partys_key_signs_nothing_else_whatever_a_policy_says(party: Party, code: int) -> None:
    """CS02a (0x0008) is one that the shipped table of use cases lets it send."""
    desk = SigningDesk(party.workspace, "keys", "cos", party.certificate)
    message = replace(
        arming(5, originator=COS), header=replace(arming(5, originator=COS).header, code=MessageCode(code))
    )
    (outcome,) = list(desk.sign(desk.judge([given(message)], None), Shown.SEEN))
    assert "sign.cos-mode" in codes(outcome)
    assert not outcome.message


def test_the_partys_key_replaces_its_own_certificate(party: Party) -> None:
    from smki.device.cells import CellName
    from smki.device.modes import RULES
    from tests.parties.cos.world import der

    update = CredentialUpdate(
        mode=Mode.TRANS_COS_BY_TRANS_COS,
        counter=5,
        puts=(Put.into(CellName.parse("transitionalCoS digitalSignature"), der(party.certificate)),),
        path=(issuing().der,),
        authorising=RULES[Mode.TRANS_COS_BY_TRANS_COS].authorising,
    )
    desk = SigningDesk(party.workspace, "keys", "cos", party.certificate)
    (outcome,) = list(desk.sign(desk.judge([given(update.command(COS, meter(0)))], None), Shown.SEEN))
    assert outcome.result == "signed"


def test_no_other_role_sits_at_the_desk(party: Party) -> None:
    made = party.workspace.open_token("keys").generate_key("ds", b"1" * 16, "sign")
    one = certificate(made.public_key(), SOUTH, ROLE.SUPPLIER)
    with pytest.raises(Refused, match=r"cos\.role"):
        CosDesk(party.workspace, "keys", "ds", one)


def test_a_supplier_signs_no_change_of_supplier_even_vouched_for(tmp_path: Path) -> None:
    with founded(tmp_path / "user", kind="user") as house:
        user = User(house)
        message = replace(arming(1), header=replace(arming(1).header, code=MessageCode(0x0107)))
        vouched = {digest_to_sign(message): b""}
        (outcome,) = list(user.desk.sign(user.desk.judge([given(message)], None, vouched), Shown.JUDGED))
        assert "sign.cos-unjudged" in codes(outcome)


# Taking back


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
