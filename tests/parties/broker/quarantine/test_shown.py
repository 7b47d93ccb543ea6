"""What a person is shown of what is held, and how it is named."""

from dataclasses import replace

import pytest

from smki.parties.broker.quarantine import acknowledge, chosen
from smki.parties.broker.showing import patterns, shown
from tests.parties.broker.deciders import Officer
from tests.parties.broker.holding import code_of, hold
from tests.parties.broker.world import User, World


def test_things_are_named_by_pattern_or_digest(world: World, supplier: User) -> None:
    workspace = world.house.workspace
    held = hold(world, supplier, 2)
    assert {one.digest for one in chosen(workspace, [held[0].pattern])} == {one.digest for one in held}
    assert chosen(workspace, [held[0].digest.hex()[:16].upper(), held[0].digest.hex()]) == [held[0]]
    for name in ("", "abcdef", "no such pattern", "00" * 32, "0" * 65):
        assert code_of(lambda name=name: chosen(workspace, [name])) == "quarantine.unknown"  # type: ignore[misc]
    assert code_of(lambda: chosen(workspace, [])) == "quarantine.count"


def test_a_pattern_larger_than_a_batch_is_decided_in_parts(
    world: World, supplier: User, ann: Officer, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = world.house.workspace
    held = hold(world, supplier, 5)
    pattern = held[0].pattern
    monkeypatch.setitem(workspace.policies.__dict__, "broker", replace(workspace.policies.broker, largest_batch=2))
    seen: set[bytes] = set()
    for left in (5, 3, 1):
        assert workspace.store.quarantine.count("waiting") == left
        part = chosen(workspace, [pattern])
        assert len(part) == min(2, left)
        assert seen.isdisjoint(one.digest for one in part)
        seen |= {one.digest for one in part}
        ann.decides(workspace, part, "reject")
    assert code_of(lambda: chosen(workspace, [pattern])) == "quarantine.rejected"
    assert len(chosen(workspace, [pattern], None)) == 2


def test_patterns_are_shown_with_what_was_decided(world: World, supplier: User, ann: Officer) -> None:
    workspace = world.house.workspace
    held = hold(world, supplier, 3)
    ann.decides(workspace, held[:2])
    (line,) = (one for one in patterns(workspace, "waiting") if one.name == held[0].pattern)
    assert (line.count, line.confirmed, line.known) == (3, (2, 0), False)
    assert str(supplier.entity) in line.originator
    assert acknowledge(workspace, [line.name]) == {line.name: 3}
    (line,) = (one for one in patterns(workspace, "waiting") if one.name == held[0].pattern)
    assert line.known
    data = shown(workspace, held, world.others).as_json()
    assert data["states"] == {"waiting": 3}
    assert data["release_would"] == {"judged": 3, "admitted": 3}
    assert data["submitted_by"] == ["tester"]
    assert "54 (remote supply arm)" in data["values"].values()
    assert [(one["officer"], one["count"]) for one in data["confirmations"]] == [("Ann Ash", 2)]
    assert code_of(lambda: acknowledge(workspace, ["nothing"])) == "quarantine.unknown"
