"""From held to let go: by two words of two sides, once, and by nothing less."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import given as drawn
from hypothesis import strategies as st

from smki.authority.auditing import verify_log
from smki.gbcs.message import read_message
from smki.parties.anomaly.limits import Limit, Limits
from smki.parties.broker.quarantine import chosen, decide, draft
from smki.parties.intake import Given
from smki.store.admission_records import QuarantineRecord
from tests.parties.broker.deciders import ALICE, BOB, Officer
from tests.parties.broker.holding import code_of, counters, hand_out, hold, state
from tests.parties.broker.world import User, World


@pytest.mark.requirement("R-ANO-4")
def test_two_words_of_two_sides_let_it_go_once(world: World, supplier: User, ann: Officer) -> None:
    workspace = world.house.workspace
    held = hold(world, supplier, 3)
    first = ann.decides(workspace, held)
    assert (first.capacity, first.items, first.ready) == ("originator", 3, 0)
    assert hand_out(world) == []
    second = ALICE.decides(workspace, held[:2])
    assert (second.capacity, second.items, second.ready) == ("broker", 2, 2)
    done = hand_out(world)
    assert [one.result for one in done] == ["admitted"] * 2
    assert all(world.holds_for_device(one.message) for one in done)
    assert [state(world, one) for one in held] == ["released", "released", "waiting"]
    assert hand_out(world) == []
    (row,) = workspace.store.admissions.tallies_of(supplier.entity, 2, 0)
    assert (row.admitted, row.held, row.refused) == (2, 1, 0)
    entries = [json.loads(entry.body) for entry in workspace.store.audit_entries()]
    confirmed = [entry["facts"] for entry in entries if entry["act"] == "quarantine.confirmed"][-2:]
    assert [(one["officer"], one["capacity"], one["items"]) for one in confirmed] == [
        ("Ann Ash", "originator", 3),
        ("alice", "broker", 2),
    ]
    assert all(len(bytes.fromhex(one["signature"])) > 64 for one in confirmed)
    (released,) = [entry["facts"] for entry in entries if entry["facts"].get("released")][-1:]
    assert released["released"] == 2
    assert set(released["confirmations"]) == {one["file_sha256"] for one in confirmed}
    assert not verify_log(workspace.store).faults


def test_the_originator_may_hand_it_in_again_instead(world: World, supplier: User, ann: Officer) -> None:
    (held,) = hold(world, supplier)
    given = Given("again", held.octets)
    assert [one.result for one in world.submit(given)] == ["held"]
    ann.decides(world.house.workspace, [held])
    ALICE.decides(world.house.workspace, [held])
    assert [one.result for one in world.submit(given)] == ["admitted"]
    assert hand_out(world) == []


def test_several_for_one_device_go_out_by_theircounters(world: World, supplier: User, ann: Officer) -> None:
    world.limits = Limits(own={supplier.entity: (Limit("none", None, 0, timedelta(hours=1)),)})
    meter = world.device(supplier)
    world.submit(*(supplier.arming(next(counters), meter) for _ in range(12)))
    waiting = world.house.workspace.store.quarantine.in_state("waiting", 10_000)
    held = [one for one in waiting if one.target == meter]
    ann.decides(world.house.workspace, held)
    ALICE.decides(world.house.workspace, held)
    done = hand_out(world)
    numbers = [read_message(one.message).header.counter for one in done]
    assert (len(numbers), numbers) == (12, sorted(numbers))


def test_the_same_word_again_changes_nothing(world: World, supplier: User, ann: Officer) -> None:
    workspace = world.house.workspace
    held = hold(world, supplier)
    word = ann.word(workspace, held)
    assert decide(workspace, word).fresh
    size = workspace.store.audit_size()
    assert not decide(workspace, word).fresh
    assert workspace.store.audit_size() == size
    assert hand_out(world) == [], "and counts once"


@pytest.mark.requirement("R-ANO-4")
def test_one_of_either_side_rejects_for_good(world: World, supplier: User, ann: Officer) -> None:
    workspace = world.house.workspace
    held = hold(world, supplier, 2)
    for officer in (ann, ALICE):
        officer.decides(workspace, held)
    ann.decides(workspace, held[:1], "reject")
    BOB.decides(workspace, held[1:], "reject")
    assert hand_out(world) == []
    assert [state(world, one) for one in held] == ["rejected"] * 2
    assert code_of(lambda: chosen(workspace, [held[0].digest.hex()])) == "quarantine.rejected"
    late = ALICE.signs(replace(draft(workspace, held, "release", "alice", "late")))
    assert code_of(lambda: decide(workspace, late)) == "quarantine.rejected"
    (row,) = workspace.store.admissions.tallies_of(supplier.entity, 2, 0)
    assert (row.admitted, row.held, row.refused) == (0, 0, 2)


def test_what_went_out_is_not_rejected(world: World, supplier: User, ann: Officer) -> None:
    workspace = world.house.workspace
    held = hold(world, supplier)
    late = BOB.word(workspace, held, "reject")
    for officer in (ann, ALICE):
        officer.decides(workspace, held)
    hand_out(world)
    assert code_of(lambda: decide(workspace, late)) == "quarantine.released"
    assert code_of(lambda: chosen(workspace, [held[0].digest.hex()])) == "quarantine.released"


_STEPS = st.lists(st.sampled_from(["ann", "alice", "other", "reject", "hours", "hand out"]), min_size=1, max_size=9)


@pytest.fixture
def endless(world: World, supplier: User, ann: Officer) -> tuple[World, User, Officer]:
    return world, supplier, ann


@pytest.mark.requirement("R-ANO-4")
@pytest.mark.slow(8)
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@drawn(_STEPS)
def test_no_order_lets_a_command_out_without_two_words(
    endless: tuple[World, User, Officer], steps: list[str]
) -> None:
    world, supplier, ann = endless
    workspace = world.house.workspace
    held, other = hold(world, supplier, 2)
    words: dict[str, object] = {}
    over = ""
    for step in steps:
        now = world.moments[0]
        match step:
            case "hours":
                world.moments[0] += timedelta(hours=13)
            case "hand out":
                out = held.digest in _handed(world, held)
                lasting = {side for side, at in words.items() if now < at + timedelta(hours=24)}  # type: ignore[operator]
                assert out == (not over and lasting == {"ann", "alice"})
                over = "released" if out else over
            case "other":
                ann.decides(workspace, [other])  # a word about another command
            case "reject":
                if over:
                    assert code_of(lambda: ALICE.decides(workspace, [held], "reject")) == f"quarantine.{over}"
                else:
                    ALICE.decides(workspace, [held], "reject")
                    over = "rejected"
            case _:
                officer = ann if step == "ann" else ALICE
                if over:
                    assert code_of(lambda officer=officer: officer.decides(workspace, [held])) == (  # type: ignore[misc]
                        f"quarantine.{over}"
                    )
                else:
                    officer.decides(workspace, [held])
                    words[step] = now
    ALICE.decides(workspace, [other] if over else [held, other], "reject")


def _handed(world: World, held: QuarantineRecord) -> set[bytes]:
    done = [read_message(one.message).header for one in hand_out(world) if one.result == "admitted"]
    return {held.digest for header in done if (header.target, header.counter) == (held.target, held.counter)}
