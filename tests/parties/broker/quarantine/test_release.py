"""At release every other rule is asked again, and nothing is believed because it stands in the store."""

from datetime import timedelta

import pytest

from smki.parties.anomaly.limits import Limits
from smki.parties.broker.showing import shown
from smki.parties.intake import Given
from smki.pki.status import Status
from smki.store.admission_records import Capacity, ConfirmationRecord
from smki.store.estate_records import DeviceStatus
from smki.store.records import Act
from tests.parties.broker.deciders import ALICE, BOB, Officer
from tests.parties.broker.holding import counters, hand_out, hold, state
from tests.parties.broker.world import User, World, codes

_SIDES: tuple[tuple[int, Capacity], ...] = ((1, "originator"), (2, "broker"))


@pytest.mark.requirement("R-ANO-4")
def test_what_changed_since_is_seen_at_release(world: World, supplier: User, ann: Officer) -> None:
    workspace = world.house.workspace
    withdrawn, overtaken, fine = held = hold(world, supplier, 3)
    for officer in (ann, ALICE):
        officer.decides(workspace, held)
    world.limits = Limits()
    newer = supplier.arming(next(counters), overtaken.target)
    assert [one.result for one in world.submit(newer)] == ["admitted"]
    found = workspace.store.estate.device(withdrawn.target)
    assert found is not None
    with workspace.store.act(Act("test", "tester", world.moments[0])) as tx:
        tx.change_device(found, DeviceStatus.WITHDRAWN, found.meter_point)
    would = dict(shown(workspace, held, world.others).would)
    assert would == {"refused: broker.device-state": 1, "refused: broker.counter": 1, "admitted": 1}
    done = {one.reference: (one.result, codes(one)) for one in hand_out(world)}
    assert done == {
        withdrawn.reference: ("refused", ["broker.device-state"]),
        overtaken.reference: ("refused", ["broker.counter"]),
        fine.reference: ("admitted", []),
    }
    assert [state(world, one) for one in held] == ["waiting", "waiting", "released"]


def test_the_signing_key_s_revocation_is_seen_at_release(world: World, supplier: User, ann: Officer) -> None:
    workspace = world.house.workspace
    held = hold(world, supplier)
    for officer in (ann, ALICE):
        officer.decides(workspace, held)
    world.register_certificate(supplier, Status.REVOKED)
    assert [codes(done) for done in hand_out(world)] == [["broker.revoked"]]
    assert state(world, held[0]) == "waiting"


def test_a_rejection_outlasts_what_the_store_says(world: World, supplier: User, ann: Officer) -> None:
    workspace = world.house.workspace
    held = hold(world, supplier, 2)
    for officer in (ann, ALICE):
        officer.decides(workspace, held)
    BOB.decides(workspace, held[:1], "reject")
    workspace.store._engine.execute("UPDATE quarantine SET state = 0 WHERE digest = ?", (held[0].digest,))
    done = {one.reference: one.result for one in hand_out(world)}
    assert done == {held[0].reference: "held", held[1].reference: "admitted"}


@pytest.mark.requirement("R-SPC-7")
def test_a_forged_state_in_the_store_releases_nothing(world: World, supplier: User) -> None:
    """Words are believed for their signatures: not because a row says released, or names an officer."""
    workspace = world.house.workspace
    named, called = hold(world, supplier, 2)
    now = world.moments[0]
    forged = [
        ConfirmationRecord(bytes([n]) * 32, "release", side, "alice", "", 1, now, now + timedelta(days=1), b"x")
        for n, side in _SIDES
    ]
    with workspace.store.act(Act("test", "tester", now)) as tx:
        for one in forged:
            tx.put_confirmation(one, [named.digest])
        tx.close_quarantine([called.digest], "released")
    assert [one.result for one in hand_out(world)] == ["held"]
    assert [one.result for one in world.submit(Given("again", called.octets))] == ["held"]
