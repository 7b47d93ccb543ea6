"""Commands that are admitted: once each, by their counters, with the MAC that their devices check."""

import json
from datetime import timedelta

import pytest

from smki.gbcs.message import Protection, read_message
from smki.gbcs.protection import digest_to_sign
from smki.parties.intake import Given
from tests.house import NOW
from tests.parties.broker.world import User, World, codes, run
from tests.parties.people import arming


def test_a_command_that_breaks_no_rule_gets_its_mac(world: World, supplier: User) -> None:
    meter = world.device(supplier)
    (done,) = world.submit(supplier.arming(5, meter))
    assert (done.result, done.faults, done.delivery) == ("admitted", (), "network")
    assert read_message(done.message).protection is Protection.BOTH
    assert world.holds_for_device(done.message)
    record = world.house.workspace.store.admissions.known({1: (5, [_digest(done.message)])})[_digest(done.message)]
    assert (record.originator, record.target, record.counter) == (supplier.entity, meter, 5)
    assert record.serial.hex().upper() == supplier.certificate.serial
    entries = [json.loads(entry.body) for entry in world.house.workspace.store.audit_entries()]
    admitted = [entry["facts"] for entry in entries if entry["act"] == "broker.admitted"]
    assert (admitted[-1]["admitted"], admitted[-1]["held"], admitted[-1]["refused"]) == (1, 0, 0)
    assert [entry["facts"]["count"] for entry in entries if entry["act"] == "broker.handed-out"][-1] == 1


def _digest(octets: bytes) -> bytes:
    return digest_to_sign(read_message(octets))


def test_local_delivery_is_said_and_the_command_is_the_same(world: World, supplier: User) -> None:
    given = supplier.arming(5, world.device(supplier))
    (local,) = world.submit(given, local=True)
    (again,) = world.submit(given)
    assert (local.delivery, again.delivery) == ("local", "network")
    assert local.message == again.message


@pytest.mark.requirement("R-CTR-4")
def test_the_same_again_gives_the_same_and_counts_once(world: World, supplier: User) -> None:
    meters = world.devices(3, supplier)
    given = [supplier.arming(7, meter) for meter in meters]
    first = world.submit(*given)
    size = world.house.workspace.store.audit_size()
    second = world.submit(*given)
    assert [one.result for one in second] == ["admitted before"] * 3
    assert [one.message for one in second] == [one.message for one in first]
    assert world.house.workspace.store.audit_size() == size, "nothing was written"
    resigned = [supplier.arming(7, meter) for meter in meters]  # ECDSA draws a nonce: another signature
    assert [one.message for one in world.submit(*resigned)] == [one.message for one in first]
    (mixed, fresh) = world.submit(given[0], supplier.arming(8, meters[0]))
    assert (mixed.result, fresh.result) == ("admitted before", "admitted")
    tallies = world.house.workspace.store.admissions.tallies_of(supplier.entity, 2, 0)
    assert sum(row.admitted for row in tallies) == 4


def test_a_long_series_is_found_again_from_anywhere(world: World, supplier: User) -> None:
    meters = world.devices(2, supplier)
    given = [supplier.arming(number, meters[number % 2]) for number in range(1, 13)]
    first = world.submit(*given[:5]) + world.submit(*given[5:])
    assert {one.result for one in first} == {"admitted"}
    again = world.submit(*given)
    assert [(one.result, one.message) for one in again] == [("admitted before", one.message) for one in first]
    (middle, other, last) = world.submit(given[4], supplier.arming(4, meters[0]), given[11])
    assert (middle.message, last.message) == (first[4].message, first[11].message)
    assert other.result == "admitted before", "signed anew, and the same"
    stranger = supplier.signed(arming(3, target=meters[0], originator=supplier.entity))
    assert codes(world.submit(stranger)[0]) == ["broker.counter"], "of the other's numbers none counts"


@pytest.mark.requirement("R-CTR-4")
def test_counters_go_on_and_nothing_comes_twice_in_a_run(world: World, supplier: User) -> None:
    meter, other = world.devices(2, supplier)
    done = world.submit(
        supplier.arming(5, meter),
        supplier.arming(5, meter),
        supplier.arming(4, meter),
        supplier.arming(4, other),
        supplier.arming(6, meter),
    )
    assert [(one.result, codes(one)) for one in done] == [
        ("admitted", []),
        ("refused", ["broker.duplicate"]),
        ("refused", ["broker.counter"]),
        ("admitted", []),
        ("admitted", []),
    ]


def test_what_was_handed_out_long_ago_is_a_duplicate(world: World, supplier: User) -> None:
    given = supplier.arming(5, world.device(supplier))
    world.submit(given)
    world.moments[0] = NOW + timedelta(days=8)
    (late,) = world.submit(given)
    assert (late.result, codes(late)) == ("refused", ["broker.duplicate"])


def test_what_a_run_did_not_hand_out_is_handed_out_later(world: World, supplier: User) -> None:
    meters = world.devices(3, supplier)
    given = [supplier.arming(9, meter) for meter in meters]
    abandoned = list(world.desk().submit(given, local=True))  # and it dies here
    store = world.house.workspace.store
    assert store.admissions.outgoing_count() == 3
    resumed = run(world.desk(), lambda desk: desk.admission.resume())
    assert {one.message for one in resumed} == {one.message for one in abandoned}
    assert {(one.result, one.delivery) for one in resumed} == {("admitted before", "local")}
    assert store.admissions.outgoing_count() == 0
    assert run(world.desk(), lambda desk: desk.admission.resume()) == []


@pytest.mark.parametrize("junk", [b"", b"\xdf", b"\xdd" * 40, b"{}"])
def test_what_is_no_message_is_refused_by_its_form(world: World, junk: bytes) -> None:
    (done,) = world.submit(Given("junk", junk))
    assert (done.result, codes(done), done.message) == ("refused", ["broker.form"], b"")
