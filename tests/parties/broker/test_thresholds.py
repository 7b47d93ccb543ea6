"""Thresholds in files that officers signed: by whom, how strict, in which order."""

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from smki.authority.policies import load_policies
from smki.authority.registration import dismiss
from smki.authority.workspace import SHIPPED, Workspace
from smki.entity import EntityId, RemotePartyRole
from smki.errors import IntegrityFailure, InvalidInput, Refused, SmkiError
from smki.parties.broker.desk import BrokerDesk
from smki.parties.broker.officers import sign_as_officer
from smki.parties.broker.threshold_file import EXAMPLES, read_thresholds
from smki.parties.broker.thresholds import InForce, Known, Set, doubted, on_record, set_thresholds
from smki.parties.outcome import Outcome
from smki.store.admission_records import ThresholdRecord
from smki.store.records import Act, CeremonyRecord
from tests.house import NOW, roll
from tests.parties.broker.deciders import ALICE, BOB, CAROL, Officer, officer_of, organisation, put_roll
from tests.parties.broker.world import User, World, codes, run

DAY = timedelta(days=1)
USE_CASES = load_policies(SHIPPED / "policies").use_cases


@pytest.fixture
def workspace(world: World) -> Workspace:
    put_roll(world.house.workspace)
    return world.house.workspace


@pytest.fixture
def ann(workspace: Workspace, supplier: User) -> Officer:
    return officer_of(workspace, organisation(workspace, supplier.role, supplier.entity))


def utc(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def text(
    owner: EntityId | str, serial: int, *tables: str, since: datetime = NOW, until: datetime = NOW + 90 * DAY
) -> str:
    head = f'form = "smki-broker-thresholds/1"\nowner = "{owner}"\nserial = {serial}\n'
    return head + f"since = {utc(since)}\nuntil = {utc(until)}\n" + "".join(tables)


def limit(name: str = "a", count: int = 5, window: str = "1h", use_cases: str = '"ECS44"', more: str = "") -> str:
    return f'[[limit]]\nname = "{name}"\nuse_cases = [{use_cases}]\ncount = {count}\nwindow = "{window}"\n{more}\n'


def value(most: int, least: int = 0) -> str:
    lines = f'name = "v"\nuse_cases = ["ECS44"]\npath = "1. x"\nleast = {least}\nmost = {most}\n'
    return f"[[value]]\n{lines}"


def campaign(
    name: str = "c", count: int = 10, use_cases: str = '"ECS44"', until: datetime = NOW + timedelta(days=1)
) -> str:
    return (
        f'[[campaign]]\nname = "{name}"\nuse_cases = [{use_cases}]\ncount = {count}\n'
        f"since = {utc(NOW - timedelta(hours=1))}\nuntil = {utc(until)}\n"
    )


def put(workspace: Workspace, content: str, *officers: Officer) -> Set:
    files = [sign_as_officer(content.encode(), one.name, one.key, NOW) for one in officers]
    return set_thresholds(workspace, files)


def code_of(work: Callable[[], object]) -> str:
    with pytest.raises(SmkiError) as caught:
        work()
    assert caught.value.remedy
    return caught.value.code


def test_a_user_s_own_threshold_holds_its_commands(world: World, workspace: Workspace, supplier: User) -> None:
    owner = organisation(workspace, supplier.role, supplier.entity)
    done = put(workspace, text(supplier.entity, 1, limit(count=2)), officer_of(workspace, owner))
    assert (done.thresholds.key, done.looser) == (str(supplier.entity), ())
    assert [one.words for one in done.signers] == [f"Ann Ash of {owner}"]
    results = _submit(world, supplier, 4)
    assert [one.result for one in results] == ["admitted"] * 2 + ["held"] * 2
    assert {code for one in results[2:] for code in codes(one)} == {"anomaly.threshold"}
    other = world.user(RemotePartyRole.SUPPLIER)
    assert {one.result for one in _submit(world, other, 4)} == {"admitted"}


def _submit(world: World, user: User, number: int) -> list[Outcome]:
    """By a broker whose limits are those that officers set."""
    sent = [user.arming(5, meter) for meter in world.devices(number, user)]
    desk = BrokerDesk(world.house.workspace, world.broker.holder.entity, world.agreement(), world.others)
    return run(desk, lambda desk: desk.submit(sent))


@pytest.mark.requirement("R-ANO-3")
def test_who_may_sign_what(workspace: Workspace, supplier: User, ann: Officer, world: World) -> None:
    other = world.user(RemotePartyRole.SUPPLIER)
    neighbour = officer_of(workspace, organisation(workspace, other.role, other.entity), "Neil Orr")
    own = text(supplier.entity, 1, limit())
    thief = Officer("Ann Ash", supplier.key)
    assert code_of(lambda: put(workspace, own, neighbour)) == "thresholds.signer"
    assert code_of(lambda: put(workspace, own, thief)) == "thresholds.signer"
    assert code_of(lambda: put(workspace, own, ALICE)) == "thresholds.signatures"
    assert code_of(lambda: put(workspace, text("global", 1, limit()), ann)) == "thresholds.signer"
    announced = text(supplier.entity, 1, campaign())
    for alone in ((ann,), (ALICE,), (ALICE, BOB), (ann, ann)):
        assert code_of(lambda alone=alone: put(workspace, announced, *alone)) == "thresholds.signatures"  # type: ignore[misc]
    assert put(workspace, announced, ann, ALICE).thresholds.kind == "campaign"


def test_files_of_one_set_say_the_same(workspace: Workspace, supplier: User, ann: Officer) -> None:
    one, two = (
        sign_as_officer(text(supplier.entity, 1, limit(count=count)).encode(), who.name, who.key, NOW)
        for count, who in ((5, ann), (6, ALICE))
    )
    assert code_of(lambda: set_thresholds(workspace, [one, two])) == "thresholds.content"
    assert code_of(lambda: set_thresholds(workspace, [])) == "thresholds.count"
    assert code_of(lambda: set_thresholds(workspace, [one] * 5)) == "thresholds.count"
    over = text(supplier.entity, 1, limit(), since=NOW - timedelta(days=2), until=NOW)
    assert code_of(lambda: put(workspace, over, ann)) == "thresholds.over"


@pytest.mark.requirement("R-ANO-3")
def test_an_older_file_does_not_come_back(workspace: Workspace, supplier: User, ann: Officer) -> None:
    put(workspace, text(supplier.entity, 7, limit(count=5)), ann)
    for serial in (1, 7):
        loose = text(supplier.entity, serial, limit(count=900))
        assert code_of(lambda loose=loose: put(workspace, loose, ann, ALICE)) == "thresholds.serial"  # type: ignore[misc]
    put(workspace, text(supplier.entity, 8, limit(count=4), until=NOW + timedelta(days=91)), ann)


@pytest.mark.requirement("R-ANO-3")
@pytest.mark.parametrize(
    ("after", "looser"),
    [
        ((limit(count=4), value(10)), False),
        ((limit(window="2h"), value(9, 1)), False),
        ((limit(use_cases='"critical"'), value(10)), False),
        ((limit(), value(10), limit("b", 1)), False),
        ((limit(count=6), value(10)), True),
        ((limit(window="30m"), value(10)), True),
        ((limit(use_cases='"ECS43"'), value(10)), True),
        ((limit(),), True),
        ((limit(), value(11)), True),
        ((limit("b", 1, use_cases='"ECS43"'), value(10)), True),
    ],
)
def test_what_holds_less_needs_a_second_person(
    workspace: Workspace, supplier: User, ann: Officer, after: tuple[str, ...], looser: bool
) -> None:
    put(workspace, text(supplier.entity, 1, limit(), value(10)), ann)
    content = text(supplier.entity, 2, *after)
    if looser:
        assert code_of(lambda: put(workspace, content, ann)) == "thresholds.signatures"
        assert code_of(lambda: put(workspace, content, ann, ann)) == "thresholds.signatures"
        namesake = Officer("bob", BOB.key)
        assert put(workspace, content, ann, namesake).looser
    else:
        assert put(workspace, content, ann).looser == ()


def test_ending_earlier_is_holding_less(workspace: Workspace, supplier: User, ann: Officer) -> None:
    put(workspace, text(supplier.entity, 1, limit()), ann)
    sooner = text(supplier.entity, 2, limit(), until=NOW + timedelta(days=89))
    assert code_of(lambda: put(workspace, sooner, ann)) == "thresholds.signatures"
    (reason,) = put(workspace, sooner, ann, ALICE).looser
    assert "ends" in reason


@pytest.mark.requirement("R-ANO-3")
def test_the_broker_s_own_are_the_roll_s(world: World, workspace: Workspace, supplier: User) -> None:
    in_force = InForce(workspace)
    before = in_force()
    strict = text("global", 1, limit("all", 50_000, use_cases='"ECS44"', more='roles = ["supplier"]\nof = "all"'))
    put(workspace, strict, ALICE)
    (one,) = in_force().everyone
    assert in_force() is in_force()
    assert in_force() is not before
    assert (one.of, one.roles) == ("all", frozenset({RemotePartyRole.SUPPLIER}))
    loose = text("global", 2, limit("all", 60_000, use_cases='"ECS44"', more='roles = ["supplier"]\nof = "all"'))
    assert code_of(lambda: put(workspace, loose, ALICE)) == "thresholds.signatures"
    assert put(workspace, loose, ALICE, BOB).looser


def test_limits_come_and_go_with_their_times(world: World, workspace: Workspace, supplier: User) -> None:
    ann = officer_of(workspace, organisation(workspace, supplier.role, supplier.entity))
    in_force = InForce(workspace)
    put(workspace, text(supplier.entity, 1, limit(count=9), until=NOW + timedelta(hours=2)), ann)
    put(
        workspace,
        text(supplier.entity, 2, limit(count=8), since=NOW + timedelta(hours=1), until=NOW + timedelta(hours=3)),
        ann,
    )
    seen = []
    for hours in (0, 1, 2, 3):
        world.moments[0] = NOW + timedelta(hours=hours)
        seen.append([one.count for one in in_force().own.get(supplier.entity, ())])
    assert seen == [[9], [8], [8], []], "what is over does not give way to an older one"


def test_a_campaign_lifts_a_habit_for_a_while(world: World, workspace: Workspace, supplier: User) -> None:
    ann = officer_of(workspace, organisation(workspace, supplier.role, supplier.entity))
    in_force = InForce(workspace)
    put(workspace, text(supplier.entity, 1, campaign()), ann, ALICE)
    (one,) = (item for item in in_force().campaigns if item.originator == supplier.entity)
    assert (one.count, one.codes) == (10, frozenset({0x0051}))
    put(workspace, text(supplier.entity, 2, campaign(count=0), campaign("other")), ann, ALICE)
    found = {item.name: item.count for item in in_force().campaigns if item.originator == supplier.entity}
    assert found == {"c": 0, "other": 10}, "one of the same name replaces it"
    world.moments[0] = NOW + timedelta(days=89)
    assert any(item.originator == supplier.entity for item in in_force().campaigns), "habits leave it out"
    world.moments[0] = NOW + timedelta(days=92)
    assert not any(item.originator == supplier.entity for item in in_force().campaigns)


@pytest.mark.requirement("R-ANO-2")
def test_a_value_limit_is_asked_of_payloads(world: World, workspace: Workspace, supplier: User) -> None:
    ann = officer_of(workspace, organisation(workspace, supplier.role, supplier.entity))
    path = "1. Execute Supply state script table (Script table): execute"
    table = f'[[value]]\nname = "script"\nuse_cases = ["ECS44"]\npath = "{path}"\nmost = 53\n'
    put(workspace, text(supplier.entity, 1, table), ann)
    (done,) = _submit(world, supplier, 1)
    assert codes(done) == ["anomaly.value"]


# What a file may not say


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ("", "settings.missing-key"),
        ("nothing", "settings.syntax"),
        (text("global", 1), "thresholds.form"),
        (text("global", 0, limit()), "thresholds.form"),
        (text("nobody", 1, limit()), "entity.form"),
        (text("global", 1, limit(), limit()), "thresholds.form"),
        (text("global", 1, limit("")), "thresholds.form"),
        (text("global", 1, limit(more="unknown = 1")), "settings.unknown-key"),
        (text("global", 1, limit(use_cases="")), "thresholds.form"),
        (text("global", 1, limit(use_cases='"nothing"')), "gbcs.use-case"),
        (text("global", 1, limit(window="8d")), "limits.window"),
        (text("global", 1, limit(window="soon")), "policy.stretch"),
        (text("global", 1, limit(count=-1)), "limits.count"),
        (text("global", 1, limit(more="warn = 5")), "thresholds.form"),
        (text("global", 1, limit(more='roles = ["king"]')), "entity.role"),
        (text("global", 1, limit(count=10_001, use_cases='"supply off"')), "thresholds.ceiling"),
        (text("global", 1, limit(count=20_001, use_cases='"ECS43"', more='of = "all"')), "thresholds.ceiling"),
        (text("global", 1, campaign()), "thresholds.form"),
        (text("90-B3-D5-1F-30-01-00-00", 1, campaign(), limit()), "thresholds.form"),
        (text("90-B3-D5-1F-30-01-00-00", 1, campaign(use_cases='"*"')), "thresholds.form"),
        (text("90-B3-D5-1F-30-01-00-00", 1, campaign(use_cases='"ECS43"')), "limits.campaign"),
        (text("90-B3-D5-1F-30-01-00-00", 1, campaign(until=NOW + timedelta(days=8))), "limits.campaign"),
        (text("90-B3-D5-1F-30-01-00-00", 1, limit(more='of = "all"')), "thresholds.form"),
        (text("90-B3-D5-1F-30-01-00-00", 1, limit(more='roles = ["supplier"]')), "thresholds.form"),
        (text("global", 1, limit(), until=NOW), "thresholds.form"),
        (text("global", 1, limit()).replace("Z\n", "\n"), "thresholds.form"),
        (text("global", 1, '[[value]]\nname = "v"\nuse_cases = ["*"]\npath = "x"\nmost = 1\n'), "thresholds.form"),
        (text("global", 1, '[[value]]\nname = "v"\nuse_cases = ["ECS44"]\npath = "x"\n'), "thresholds.form"),
        ("#" * ((1 << 18) + 1), "thresholds.form"),
        ("serial = " + "9" * 5000, "settings.syntax"),
        (text("global", 1, limit()).replace("2026-11-21T12:00:00Z", "0001-01-01T00:00:00+14:00"), "thresholds.form"),
        (text("global", 1, limit(), until=datetime(9999, 12, 31, tzinfo=UTC)), "thresholds.form"),
        (text("global", 1, value(1).replace("most = 1", "most = nan")), "thresholds.form"),
        (text("global", 1, value(1).replace("most = 1", "most = inf")), "thresholds.form"),
        (text("global", 1, value(1).replace("1. x", r"1. \u001b[2J")), "thresholds.form"),
        (text("global", 1, value(1).replace("1. x", r"1. \u202e")), "thresholds.form"),
    ],
)
def test_what_a_file_may_not_say(workspace: Workspace, content: str, code: str) -> None:
    assert code_of(lambda: put(workspace, content, ALICE, BOB)) == code


def test_a_user_s_own_is_no_looser_than_the_broker_s(workspace: Workspace, supplier: User, ann: Officer) -> None:
    for use_cases, count in (('"critical"', 20_001), ('"supply off"', 2_501), ('"ECS43"', 2_501)):
        content = text(supplier.entity, 1, limit(use_cases=use_cases, count=count, window="24h"))
        assert code_of(lambda content=content: put(workspace, content, ann)) == "thresholds.looser"  # type: ignore[misc]
    put(workspace, text(supplier.entity, 1, limit(use_cases='"supply off"', count=2_500, window="24h")), ann)


def test_the_examples_that_are_drafted_can_be_set(workspace: Workspace, supplier: User) -> None:
    for kind, example in EXAMPLES.items():
        week = utc(NOW + timedelta(days=7))
        content = example.format(owner=supplier.entity, since=utc(NOW), until="2027-11-21T00:00:00Z", week=week)
        assert read_thresholds(content.encode(), workspace.policies.use_cases).kind == kind


@settings(max_examples=50)
@given(st.text(max_size=100))
def test_whatever_is_signed_is_read_or_refused(content: str) -> None:
    with pytest.raises((InvalidInput, Refused)):
        read_thresholds(content.encode(), USE_CASES)


# What somebody writes into the store


def _planted(workspace: Workspace, content: str, *officers: Officer, at: datetime = NOW) -> None:
    with workspace.store.act(Act("test", "tester", NOW)) as tx:
        for one in officers:
            file = sign_as_officer(content.encode(), one.name, one.key, NOW)
            tx.put_threshold(ThresholdRecord("global", at, hashlib.sha256(file).digest(), file))


def _ends(workspace: Workspace, supplier: User) -> list[int]:
    return sorted(one.count for one in InForce(workspace)().own.get(supplier.entity, ()))


@pytest.mark.requirement("R-SPC-7")
def test_what_was_written_into_the_store_by_hand_loosens_nothing(
    workspace: Workspace, supplier: User, ann: Officer
) -> None:
    """Not with another key, nor with the one signature that was not enough; whatever moment it says it was set."""
    put(workspace, text(supplier.entity, 1, limit(count=5)), ann)
    thief = Officer("Ann Ash", ec.generate_private_key(ec.SECP256R1()))
    _planted(workspace, text(supplier.entity, 2, limit(count=900)), thief)
    _planted(workspace, text(supplier.entity, 3, limit(count=901)), ann, at=NOW + 4000 * DAY)
    _planted(workspace, text(supplier.entity, 4, limit(count=902)), ann, ann, at=NOW - 4000 * DAY)
    _planted(workspace, text(supplier.entity, 4, campaign()), ann)
    assert _ends(workspace, supplier) == [5, 900, 901, 902], "the strict one holds, whatever stands beside it"
    assert not any(one.originator == supplier.entity for one in InForce(workspace)().campaigns)
    assert {one.thresholds.serial for one in doubted(on_record(workspace), NOW) if one.thresholds.owner} == {2, 3, 4}
    loose = text(supplier.entity, 5, limit(count=903))
    assert code_of(lambda: put(workspace, loose, ann)) == "thresholds.signatures"
    put(workspace, loose, ann, ALICE)
    assert _ends(workspace, supplier) == [903], "two people's word ends it"


def test_what_an_officer_signed_outlasts_the_office(workspace: Workspace, supplier: User, ann: Officer) -> None:
    put(workspace, text(supplier.entity, 1, limit(count=5)), ann)
    put(
        workspace,
        text(supplier.entity, 2, limit(count=7)),
        ann,
        officer_of(workspace, _owner(workspace, supplier), "Bea"),
    )
    dismiss(workspace, _owner(workspace, supplier), "Ann Ash")
    dismiss(workspace, _owner(workspace, supplier), "Bea")
    assert _ends(workspace, supplier) == [7]


def test_what_somebody_signed_who_left_the_roll_still_holds(workspace: Workspace) -> None:
    last = max((one.thresholds.serial for one in on_record(workspace) if one.thresholds.owner is None), default=0)
    put(workspace, text("global", last + 1, limit(count=800, window="24h"), until=NOW + 95 * DAY), ALICE, BOB)
    put_roll(workspace, CAROL)
    assert _of_serial(workspace, last + 1).believed is False, "nobody is known to have been on the roll"
    ceremony = roll(["alice", "bob"]).encode()
    with workspace.store.act(Act("test", "tester", NOW)) as tx:
        tx.begin_ceremony(CeremonyRecord(hashlib.sha256(ceremony).digest(), "officers", ceremony, "done", {}))
    assert _of_serial(workspace, last + 1).believed


def _of_serial(workspace: Workspace, serial: int) -> Known:
    (one,) = (
        item for item in on_record(workspace) if (item.thresholds.key, item.thresholds.serial) == ("global", serial)
    )
    return one


def _owner(workspace: Workspace, supplier: User) -> str:
    return workspace.store.organisations.owner_of(supplier.entity)


def test_no_officer_uses_up_the_numbers(workspace: Workspace, supplier: User, ann: Officer) -> None:
    put(workspace, text(supplier.entity, 1, limit(count=5)), ann)
    last = text(supplier.entity, 1 << 31, limit(count=5))
    assert code_of(lambda: put(workspace, last, ann)) == "thresholds.serial"
    put(workspace, text(supplier.entity, 1_000_001, limit(count=5)), ann)


def test_a_damaged_record_is_told(world: World, workspace: Workspace) -> None:
    store = workspace.store
    before = store.quarantine.threshold_count()

    def damaged() -> None:
        with store.act(Act("test", "tester", NOW)) as tx:
            tx.put_threshold(ThresholdRecord("global", NOW, bytes(32), b"nonsense"))
            InForce(workspace)()

    with pytest.raises(IntegrityFailure, match=r"thresholds\.stored"):
        damaged()
    assert store.quarantine.threshold_count() == before
