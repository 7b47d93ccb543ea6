"""Signing commands: every rule with its code, and what is on record afterwards."""

import json
import time
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from smki.authority.second_officer import decide_hold
from smki.entity import EntityId, KeyUsage, RemotePartyRole
from smki.errors import InvalidInput, Refused, SmkiError
from smki.gbcs.header import Cra, MessageCode
from smki.gbcs.message import Message, Protection, read_message
from smki.gbcs.protection import signature_holds
from smki.gbcs.words import read
from smki.parties.expectation import Expectations, read_expectations
from smki.parties.intake import Given
from smki.parties.outcome import Outcome
from smki.parties.signing_rules import Shown, Unfit
from smki.parties.supplier import SigningDesk, vocabulary
from tests.house import NOW, OFFICERS, House, founded, opened
from tests.parties.people import BROKER, ECS43, METER, SUPPLIER, User, arming, certificate, given
from tests.postgres import shared
from tests.prefork import Prefork


def signed(desk: SigningDesk, messages: Iterable[Given], expected: Expectations | None = None) -> list[Outcome]:
    return list(desk.sign(desk.judge(messages, expected), Shown.SEEN if expected is None else Shown.COMPARED))


def codes(outcome: Outcome) -> list[str]:
    return [fault.code for fault in outcome.faults]


def entries(house: House, kind: str) -> list[dict[str, Any]]:
    bodies = (json.loads(entry.body) for entry in house.workspace.store.audit_entries())
    return [body for body in bodies if body["act"] == kind]


def asked_for(user: User, message: Message, **changes: Any) -> dict[str, Any]:
    """What a user's system would have asked, for a message that is right."""
    reading = read(message, vocabulary(user.house.workspace))
    assert reading.use_case is not None
    wanted = {
        "use_case": reading.use_case.name,
        "target": str(message.header.target),
        "counter": str(message.header.counter),
        "values": reading.values,
    }
    return {**wanted, **changes}


def expectations(folder: Path, *items: dict[str, Any]) -> Expectations:
    path = folder / f"asked-{time.monotonic_ns()}.json"
    path.write_text(json.dumps(list(items)))
    return read_expectations(path)


@pytest.mark.requirement("R-AUD-6")
def test_a_command_is_signed_and_the_signature_is_on_record(user: User, tmp_path: Path) -> None:
    message = arming(1000)
    expected = expectations(tmp_path, asked_for(user, message))
    (outcome,) = signed(user.desk, [given(message, "ours")], expected)
    assert (outcome.reference, outcome.result) == ("ours", "signed")
    made = read_message(outcome.message)
    assert made.protection is Protection.SIGNATURE
    assert made.grouped == message.grouped
    assert signature_holds(made, user.certificate.holder.public_key)
    (entry,) = entries(user.house, "message.signing")
    facts = entry["facts"]
    assert facts["digest"] == _digest(message)
    assert (facts["counter"], facts["target"], facts["use_case"]) == ("1000", str(METER), "0x0051")
    assert (facts["certificate"], len(facts["expectation"])) == (user.certificate.serial, 64)
    assert entry["actor"] == "tester"
    assert len(entries(user.house, "message.signed")) == 1


def _digest(message: Message) -> str:
    from smki.gbcs.protection import digest_to_sign

    return digest_to_sign(message).hex()


def test_the_null_signature_of_a_pre_command_is_dropped(user: User) -> None:
    message = replace(arming(1000), signature=b"")
    (outcome,) = signed(user.desk, [given(message)])
    assert read_message(outcome.message).grouped == message.grouped


def test_the_same_again_is_handed_out_and_nothing_is_signed_twice(user: User) -> None:
    first = signed(user.desk, [given(arming(number)) for number in (7, 5, 6)])
    assert [item.reference for item in first] == ["5", "6", "7"], "in the order of counters"
    again = signed(user.desk, [given(arming(number)) for number in (5, 6, 7, 8)])
    assert [item.result for item in again] == ["signed before"] * 3 + ["signed"]
    assert [item.message for item in again[:3]] == [item.message for item in first]
    assert len(entries(user.house, "message.signing")) == 4


@pytest.mark.requirement("R-CTR-3")
def test_counters_only_go_up(user: User) -> None:
    signed(user.desk, [given(arming(100))])
    other = EntityId.parse("00-DB-12-34-56-78-90-A7")
    for message in (arming(99), arming(100, target=other)):
        (outcome,) = signed(user.desk, [given(message)])
        assert codes(outcome) == ["sign.counter"]
    twins = signed(user.desk, [given(arming(101)), given(arming(101, target=other))])
    assert sorted(item.result for item in twins) == ["refused", "signed"]
    (above,) = signed(user.desk, [given(arming(5000))])
    assert above.result == "signed", "gaps are allowed"


RULES: list[tuple[str, Any]] = [
    ("gbcs.form", Given("x", b"\xdf" + bytes(60))),
    ("sign.protected", replace(arming(1), signature=b"\1" * 64)),
    ("sign.protected", replace(arming(1), signature=b"", mac=b"\1" * 12)),
    ("sign.kind", replace(arming(1), header=replace(arming(1).header, cra=Cra.RESPONSE), signature=b"\1" * 64)),
    ("sign.payload", replace(arming(1), payload=arming(1).payload + b"\0")),
    ("sign.payload", replace(arming(1), payload=b"\x99 what is this")),
    ("sign.payload-counter", replace(arming(2), header=arming(1).header)),
    ("sign.originator", arming(1, originator=BROKER)),
    ("sign.target", arming(1, target=EntityId(bytes(8)))),
    ("sign.target", arming(1, target=EntityId(b"\1" + bytes(7)))),
    ("sign.target", arming(1, target=SUPPLIER)),
    ("sign.use-case", arming(1, code=MessageCode(0x9999))),
    ("sign.not-critical", arming(1, code=MessageCode(0x0027))),
    ("sign.role", arming(1, code=MessageCode(0x0103))),
]


@pytest.mark.requirement("R-LAY-1", "R-E2E-3", "R-ROL-1", "R-UID-4", "R-VER-1")
@pytest.mark.parametrize(("code", "message"), RULES)
def test_each_rule_has_its_code(user: User, code: str, message: Message | Given) -> None:
    item = message if isinstance(message, Given) else given(message)
    (outcome,) = signed(user.desk, [item])
    assert outcome.result == "refused"
    assert code in codes(outcome)
    assert not outcome.message
    assert not entries(user.house, "message.signing")


def test_all_broken_rules_are_told_not_the_first(user: User) -> None:
    message = arming(1, originator=BROKER, target=EntityId(bytes(8)), code=MessageCode(0x0027))
    (outcome,) = signed(user.desk, [given(message)])
    assert {"sign.originator", "sign.target", "sign.not-critical"} <= set(codes(outcome))


@pytest.mark.requirement("R-E2E-3")
def test_a_difference_in_anything_asked_is_refused(user: User, tmp_path: Path) -> None:
    message = arming(1000)
    right = asked_for(user, message)
    path = next(iter(right["values"]))
    changes: list[dict[str, Any]] = [
        {"use_case": "ECS43"},
        {"originator": str(BROKER)},
        {"values": {**right["values"], path: "another"}},
        {"values": {}},
        {"values": {**right["values"], "and": "more"}},
    ]
    for change in changes:
        (outcome,) = signed(user.desk, [given(message)], expectations(tmp_path, {**right, **change}))
        assert codes(outcome) == ["sign.expectation"], change
    for change in ({"counter": "1001"}, {"target": "00-DB-12-34-56-78-90-A7"}):
        (outcome,) = signed(user.desk, [given(message)], expectations(tmp_path, {**right, **change}))
        assert codes(outcome) == ["sign.not-asked"], change
    assert not entries(user.house, "message.signing")


def test_what_is_no_expectation_is_refused(tmp_path: Path, user: User) -> None:
    right = asked_for(user, arming(1))
    for text in ("", "{}", "[{}]", "{", json.dumps({**right, "more": 1}), json.dumps({**right, "counter": "-1"})):
        path = tmp_path / "asked.json"
        path.write_text(text)
        with pytest.raises(InvalidInput):
            read_expectations(path)
    with pytest.raises(InvalidInput):
        expectations(tmp_path, right, right)
    (tmp_path / "asked.json").write_text(f"{json.dumps(right)}\n{json.dumps({**right, 'counter': '2'})}\n")
    assert len(read_expectations(tmp_path / "asked.json")._items) == 2


@pytest.mark.requirement("R-CRT-4")
def test_above_a_threshold_everything_waits_for_a_second_officer(house: House, user: User) -> None:
    house.enrol()
    many = [given(arming(number, code=ECS43)) for number in range(1, 121)]
    held = signed(user.desk, many)
    assert {item.result for item in held} == {"held"}
    assert codes(held[0]) == ["approve.needed"]
    assert not entries(house, "message.signing")
    (hold,) = house.workspace.store.holds.all()
    assert (hold.items, hold.state) == (120, "waiting")
    assert {item.result for item in signed(user.desk, many)} == {"held"}
    assert len(house.workspace.store.holds.all()) == 1, "asked once"
    decide_hold(house.workspace, hold, "alice", OFFICERS["alice"], True, "storm")
    assert {item.result for item in signed(user.desk, many)} == {"signed"}
    assert {item.result for item in signed(user.desk, many)} == {"signed before"}
    (after,) = signed(user.desk, [given(arming(500, code=ECS43))])
    assert after.result == "held", "the window is full"
    (other,) = signed(user.desk, [given(arming(501))])
    assert other.result == "signed", "another use case has room"


@pytest.mark.requirement("R-CRT-4")
def test_small_runs_add_up_and_the_window_moves_on(tmp_path: Path) -> None:
    now = [NOW]
    with founded(tmp_path / "user", lambda: now[0], kind="user") as house:
        user = User(house)
        for start in range(0, 100, 25):
            batch = [given(arming(start + number, code=ECS43)) for number in range(25)]
            assert {item.result for item in signed(user.desk, batch)} == {"signed"}
        (outcome,) = signed(user.desk, [given(arming(100, code=ECS43))])
        assert outcome.result == "held"
        now[0] += timedelta(hours=24, seconds=1)
        (outcome,) = signed(user.desk, [given(arming(101, code=ECS43))])
        assert outcome.result == "signed"


def test_what_an_officer_refused_is_never_signed(house: House, user: User) -> None:
    house.enrol()
    many = [given(arming(number, code=ECS43)) for number in range(1, 121)]
    signed(user.desk, many)
    (hold,) = house.workspace.store.holds.all()
    decide_hold(house.workspace, hold, "bob", OFFICERS["bob"], False, "not ordered")
    assert {(item.result, *codes(item)) for item in signed(user.desk, many)} == {("refused", "approve.refused")}
    with pytest.raises(Refused):
        decide_hold(house.workspace, hold, "alice", OFFICERS["alice"], True, "")


@pytest.mark.requirement("R-SPC-7")
def test_a_grant_that_nobody_signed_grants_nothing(house: House, user: User) -> None:
    """Whoever can write to the database cannot let commands be signed."""
    house.enrol()
    many = [given(arming(number, code=ECS43)) for number in range(1, 121)]
    signed(user.desk, many)
    (hold,) = house.workspace.store.holds.all()
    decide_hold(house.workspace, hold, "alice", OFFICERS["alice"], False, "no")
    connection = house.workspace.store._engine.connection
    connection.execute("UPDATE hold SET state = 'granted'")
    with pytest.raises(Refused, match=r"approve\.officer"):
        signed(user.desk, many)


def test_certificates_that_do_not_serve(user: User) -> None:
    key = user.certificate.holder.public_key
    workspace = user.house.workspace
    past, future = NOW - timedelta(days=30), NOW + timedelta(days=1)
    for one, code in (
        (certificate(key, SUPPLIER, RemotePartyRole.SUPPLIER, KeyUsage.KEY_AGREEMENT), "key.usage"),
        (certificate(key, SUPPLIER, RemotePartyRole.SUPPLIER, since=past, days=7), "key.expired"),
        (certificate(key, SUPPLIER, RemotePartyRole.SUPPLIER, since=future), "key.expired"),
    ):
        with pytest.raises(Refused, match=code):
            SigningDesk(workspace, "keys", "ds", one)
    other = User(user.house, label="another")
    with pytest.raises(SmkiError) as caught:
        SigningDesk(workspace, "keys", "ds", other.certificate)
    assert caught.value.code == "hsm.token-changed" or caught.value.code.startswith("hsm.key")


def test_judging_needs_no_memory_and_tells_of_each(user: User) -> None:
    judged = user.desk.judge([given(arming(1)), Given("bad", b"\xdd")], None)
    assert [isinstance(item, Unfit) for item in judged] == [False, True]


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def store_url(request: pytest.FixtureRequest) -> str | None:
    return None if request.param == "sqlite" else shared().fresh()


@pytest.mark.requirement("R-CTR-3", "R-AUD-6")
@pytest.mark.slow(10)
def test_killed_anywhere_it_signs_nothing_twice_and_loses_nothing(
    tmp_path: Path, store_url: str | None, prefork: Prefork
) -> None:
    """Kills with SIGKILL: each signature is on record, each counter used once, the log whole, the run complete."""
    from tests.parties.killed import COUNT, finish, prepare

    home = tmp_path / "user"
    prepare(home, tmp_path / "user.der", store_url)
    begun = 0
    watcher = opened(home)

    def reserved() -> int:
        connection = watcher.workspace.store._engine
        return int(connection.execute("SELECT COUNT(*) FROM signature").fetchone()[0])

    for attempt in range(20):
        process = prefork.start("tests.parties.killed:sign_again", home, tmp_path / "user.der")
        before = reserved()
        while process.poll() is None and reserved() == before:
            time.sleep(0.002)  # until it has begun to sign: to die before that proves nothing
        time.sleep(0.005 * (attempt % 7))
        begun += process.kill()
        if reserved() == COUNT:
            break
    assert begun, "no run was killed while it signed"
    watcher.workspace.close()
    outcomes, signing = finish(home, tmp_path / "user.der")
    assert {item.result for item in outcomes} <= {"signed", "signed before"}
    assert len(outcomes) == COUNT
    assert len({item.message for item in outcomes}) == COUNT
    assert sorted(int(item["facts"]["counter"]) for item in signing) == list(range(1, COUNT + 1)), "each counter once"
