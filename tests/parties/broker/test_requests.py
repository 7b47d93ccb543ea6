"""Requests for commands that are not critical: signed by their user, made by the broker in whose name it must be."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from smki.entity import DeviceType, EntityId, RemotePartyRole
from smki.errors import InvalidInput, Refused
from smki.gbcs.agreement import agree
from smki.gbcs.header import Supplementary
from smki.gbcs.message import Protection, read_message
from smki.parties.anomaly.limits import Limit, Limits
from smki.parties.broker import consents
from tests.house import NOW
from tests.parties.broker.deciders import both_release
from tests.parties.broker.world import AGREES, User, World, codes, run
from tests.parties.people import BROKER, certificate

POINT = "1900000777001"


def asked(target: EntityId, counter: int, use_case: str = "ECS17b", **more: str) -> str:
    return json.dumps(
        {"use_case": use_case, "target": str(target), "counter": str(counter), "payload": _payload(counter)} | more
    )


def _payload(counter: int) -> str:
    """A read of the clock's time, numbered as its message."""
    return f"d920{counter.to_bytes(8)[-3:].hex()}00010100080000010000ff020100"


def test_a_user_whom_the_device_knows_speaks_for_itself(world: World, supplier: User, operator: User) -> None:
    meter = world.device(supplier, operator)
    for user in (supplier, operator):
        (done,) = world.ask(user.asking([asked(meter, 5)]))
        assert (done.result, done.faults) == ("admitted", ())
        header = read_message(done.message).header
        assert (header.originator, header.counter, header.supplementary) == (user.entity, 5, None)
        assert read_message(done.message).protection is Protection.MAC
        assert world.holds_for_device(done.message)


def test_the_broker_speaks_for_whom_the_device_does_not_know(world: World, supplier: User) -> None:
    hub = world.device(supplier, kind=DeviceType.CHF)
    first, second = (supplier.asking([asked(hub, counter, "0x0001")]) for counter in (500, 501))
    (done,), (later,) = world.ask(first), world.ask(second)
    headers = [read_message(one.message).header for one in (done, later)]
    assert [header.originator for header in headers] == [BROKER, BROKER]
    assert [header.counter for header in headers] == [0, 1], "numbers of the broker's own"
    assert [header.supplementary for header in headers] == [
        Supplementary(supplier.entity, 500),
        Supplementary(supplier.entity, 501),
    ]
    assert read_message(later.message).payload[2:5] == b"\0\0\1", "the payload repeats the broker's number"
    assert world.holds_for_device(later.message)
    (again,) = world.ask(first)
    assert (again.result, again.message) == ("admitted before", done.message)
    (back,) = world.ask(supplier.asking([asked(hub, 499, "0x0001")]))
    assert codes(back) == ["broker.counter"]
    record = world.house.workspace.store.admissions.last([hub])
    assert {key[0]: one.counter for key, one in record.items()} == {BROKER.octets: 1, supplier.entity.octets: 501}


@pytest.mark.requirement("R-NTK-4")
def test_an_other_user_needs_a_consent_and_its_key(world: World, supplier: User) -> None:
    other = world.user(RemotePartyRole.OTHER)
    meter, second = world.device(supplier, point=POINT), world.device(supplier)
    reading = other.asking([asked(meter, 5, "ECS22b")])
    (without,) = world.ask(reading)
    assert codes(without) == ["broker.consent"]
    consents.add(world.house.workspace, other.entity, [POINT], NOW, NOW + timedelta(days=9))
    (done,) = world.ask(reading)
    header = read_message(done.message).header
    assert (header.originator, header.supplementary) == (BROKER, Supplementary(other.entity, 5))
    (neighbour,) = world.ask(other.asking([asked(second, 5, "ECS22b")]))
    assert codes(neighbour) == ["broker.consent"]
    (more,) = world.ask(other.asking([asked(meter, 6, "ECS21b")]))
    assert codes(more) == ["broker.certificate", "broker.role"]


def test_what_is_encrypted_is_asked_with_the_user_s_certificate(world: World, supplier: User) -> None:
    other = world.user(RemotePartyRole.OTHER)
    meter = world.device(supplier, kind=DeviceType.GPF)
    consents.add(world.house.workspace, other.entity, [str(meter)], NOW, None)
    reading = other.asking([asked(meter, 5, "GCS61")])
    (without,) = world.ask(reading)
    assert codes(without) == ["broker.certificate"]
    key = world.keys[meter]
    one = certificate(key.public_key(), other.entity, RemotePartyRole.OTHER, AGREES)
    world.others.append(one)
    (done,) = world.ask(reading)
    assert done.result == "admitted", done.faults
    extra = read_message(done.message).header.supplementary
    assert extra is not None
    assert extra.certificate is not None
    with agree(key, world.broker.holder.public_key):
        assert world.holds_for_device(done.message)


@pytest.mark.requirement("R-CRT-3")
def test_a_critical_command_is_not_made_of_a_request(world: World, supplier: User) -> None:
    (done,) = world.ask(supplier.asking([asked(world.device(supplier), 5, "ECS44")]))
    assert codes(done) == ["broker.protection"]


def test_each_line_is_judged_for_itself(world: World, supplier: User) -> None:
    meter = world.device(supplier)
    lines = [
        asked(meter, 5, reference="fine"),
        "no JSON",
        asked(meter, 6, surplus="?"),
        asked(meter, 6, use_case="CS02b"),
        asked(meter, 6).replace('"6"', '"-1"'),
        asked(meter, 6, payload="zz"),
        asked(meter, 7, use_case="ECS99"),
    ]
    done = world.ask(supplier.asking(lines))
    assert (done[0].reference, done[0].result) == ("fine", "admitted")
    assert [codes(one) for one in done[1:]] == [["broker.form"]] * 6


@pytest.mark.requirement("R-ROL-6")
def test_a_file_is_its_signer_s_own(world: World, supplier: User) -> None:
    other = world.user(RemotePartyRole.SUPPLIER)
    with pytest.raises(Refused, match=r"broker\.signer"):
        world.ask(supplier.asking([], user=other.entity))
    with pytest.raises(Refused, match=r"broker\.signature"):
        world.ask(replace(supplier, key=other.key).asking([]))
    with pytest.raises(InvalidInput, match=r"cms\.form"):
        world.ask(b"plain text")
    stranger = world.user(RemotePartyRole.SUPPLIER)
    world.others.remove(stranger.certificate)
    (done,) = world.ask(stranger.asking([asked(world.device(supplier), 5)]))
    assert codes(done) == ["broker.responsible"], "its authority says who it is"
    late = world.user(RemotePartyRole.SUPPLIER, days=0)
    (done,) = world.ask(late.asking([asked(world.device(late), 5)]))
    assert codes(done) == ["broker.expired"]


def test_a_request_that_is_held_is_released_as_it_was(world: World, supplier: User) -> None:
    hub = world.device(supplier, kind=DeviceType.CHF)
    world.limits = Limits(own={supplier.entity: (Limit("none", None, 0, timedelta(hours=1)),)})
    (held,) = world.ask(supplier.asking([asked(hub, 5, "0x0001")]))
    assert held.result == "held"
    store = world.house.workspace.store
    (waiting,) = (item for item in store.quarantine.in_state("waiting", 99) if item.originator == supplier.entity)
    both_release(world.house.workspace, [waiting])
    (done,) = run(world.desk(), lambda desk: desk.release([waiting]))
    assert done.result == "admitted"
    assert read_message(done.message).header.originator == BROKER
    assert world.holds_for_device(done.message)
