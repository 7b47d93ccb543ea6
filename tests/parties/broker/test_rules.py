"""Each rule of the broker, broken once: its code, and nothing admitted."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from smki.entity import DeviceType, EntityId, RemotePartyRole
from smki.errors import Refused
from smki.gbcs.header import Cra, Header, MessageCode, Supplementary
from smki.gbcs.message import Message
from smki.gbcs.payload.credentials import CellIdentifier, CellUsage, Control, Mode, TimeChecks, Update, UpdateCommand
from smki.gbcs.payload.declared import DIGITAL_SIGNATURE, write_declared
from smki.meter_point import MeterPoint
from smki.parties.anomaly.limits import Limit, Limits
from smki.parties.broker import consents, rules
from smki.parties.broker.admission import CHUNK
from smki.parties.intake import Given
from smki.pki.status import Status
from smki.store.estate_records import DeviceStatus, Registered
from smki.store.records import Act
from tests.house import NOW
from tests.parties.broker.deciders import ALICE, both_release
from tests.parties.broker.world import User, World, codes, run
from tests.parties.people import BROKER, METER, arming

ECS43, ECS44 = MessageCode(0x0050), MessageCode(0x0051)


def refused(world: World, given: Given) -> list[str]:
    (done,) = world.submit(given)
    assert (done.result, done.message) == ("refused", b""), done
    return codes(done)


# What it is


def test_only_commands_without_a_mac_are_taken(world: World, supplier: User) -> None:
    meter = world.device(supplier)
    (done,) = world.submit(supplier.arming(5, meter))
    assert refused(world, Given("again", done.message)) == ["broker.kind"]
    response = Message(Header(Cra.RESPONSE, 5, meter, supplier.entity, ECS44), b"", b"\1" * 64)
    assert "broker.kind" in refused(world, Given("response", response.encode()))


@pytest.mark.requirement("R-LAY-1", "R-VER-1")
def test_nobody_s_command_is_nobody_s(world: World, supplier: User) -> None:
    meter = world.device(supplier)
    bare = arming(5, target=meter, originator=supplier.entity)
    assert refused(world, Given("bare", bare.encode())) == ["broker.unsigned"]
    read = arming(5, code=MessageCode(0x0027), target=meter, originator=supplier.entity)
    assert "broker.unsigned" in refused(world, Given("read", read.encode()))
    assert "broker.protection" in refused(world, supplier.signed(read))
    unknown = supplier.arming(5, meter, MessageCode(0x9999))
    assert refused(world, unknown) == ["broker.use-case"]


@pytest.mark.requirement("R-CRT-3")
def test_a_switch_is_not_opened_under_another_name(world: World, supplier: User) -> None:
    meter = world.device(supplier)
    opening = arming(6, code=ECS43, target=meter, originator=supplier.entity)
    disguised = replace(opening, header=replace(opening.header, code=ECS44))
    assert refused(world, supplier.signed(disguised)) == ["broker.operation"]
    other = replace(arming(9, target=meter), header=replace(opening.header, code=ECS44))
    assert refused(world, supplier.signed(other)) == ["broker.payload-counter"]
    junk = Message(opening.header, b"\xd9\x20\x00\x00\x06\x00junk")
    assert "broker.payload" in refused(world, supplier.signed(junk))


@pytest.mark.requirement("R-VER-3")
def test_a_mode_belongs_to_its_code(world: World, supplier: User) -> None:
    cell = CellIdentifier(role=RemotePartyRole.SUPPLIER, key_usage=DIGITAL_SIGNATURE, cell_usage=CellUsage.MANAGEMENT)
    control = Control(
        mode=Mode.NETWORK_OPERATOR_BY_NETWORK_OPERATOR,
        symmetric_key=None,
        time_checks=TimeChecks.APPLY,
        authorising_cell=cell,
        originator_counter=7,
        new_floor=None,
        new_special_floors=None,
        other_floors=None,
    )
    update = Update(control=control, replacements=[], path_certificates=[], execution_date_time=None)
    header = Header(Cra.COMMAND, 7, supplier.entity, world.device(supplier), MessageCode(0x0102))
    message = Message(header, write_declared(UpdateCommand(payload=update)))
    assert "broker.mode" in refused(world, supplier.signed(message))


def test_a_cached_payload_is_read_again_for_its_counter(world: World, supplier: User) -> None:
    meters = world.devices(2, supplier)
    fine = supplier.arming(5, meters[0])
    wrong = replace(
        arming(5), header=replace(arming(6).header, target=meters[1], originator=supplier.entity, code=ECS44)
    )
    done = world.submit(fine, supplier.signed(wrong))
    assert [codes(one) for one in done] == [[], ["broker.payload-counter"]]


# Who says it


@pytest.mark.requirement("R-ROL-2")
def test_a_stranger_is_not_believed(world: World, supplier: User) -> None:
    meter = world.device(supplier)
    stranger = world.user(RemotePartyRole.SUPPLIER)
    world.others.remove(stranger.certificate)
    assert refused(world, stranger.arming(5, meter)) == ["broker.originator"]
    forged = replace(stranger, entity=supplier.entity)
    assert refused(world, forged.arming(5, meter)) == ["broker.signature"]


def test_a_certificate_must_be_valid_and_of_an_authority(world: World, supplier: User) -> None:
    meter = world.device(supplier)
    late = world.user(RemotePartyRole.SUPPLIER, supplier.entity, days=0)
    assert refused(world, late.arming(5, meter)) == ["broker.expired"]


@pytest.mark.requirement("R-ROL-1")
def test_a_role_sends_what_is_its_own(world: World, supplier: User, operator: User) -> None:
    meter = world.device(supplier, operator)
    assert "broker.role" in refused(world, operator.arming(5, meter))


@pytest.mark.requirement("R-ROL-6")
def test_nobody_but_the_broker_speaks_for_others(world: World, supplier: User) -> None:
    meter = world.device(supplier)
    plain = arming(5, target=meter, originator=supplier.entity)
    named = replace(plain, header=replace(plain.header, supplementary=Supplementary(supplier.entity, 5)))
    assert "broker.supplementary" in refused(world, supplier.signed(named))


@pytest.mark.requirement("R-CTR-5")
def test_counters_are_not_used_up(world: World, supplier: User) -> None:
    assert "broker.counter-range" in refused(world, supplier.arming((1 << 64) - 1, world.device(supplier)))


@pytest.mark.requirement("R-LEA-4")
def test_the_broker_signs_only_where_a_device_knows_nobody_else(world: World, supplier: User) -> None:
    broker = world.broker_signs
    assert "broker.own" in refused(world, broker.arming(5, world.device(supplier)))


# Where it goes


@pytest.mark.requirement("R-ROL-4")
def test_a_target_is_in_the_inventory_and_of_the_right_kind(world: World, supplier: User) -> None:
    absent = EntityId.parse("00-DB-12-99-99-99-99-99")
    assert refused(world, supplier.arming(5, absent)) == ["broker.device-key", "broker.target"]
    gas = world.device(supplier, kind=DeviceType.GSME)
    assert "broker.target-kind" in refused(world, supplier.arming(5, gas))
    group = EntityId.parse("01-DB-12-99-99-99-99-99")
    assert "broker.target" in refused(world, supplier.arming(5, group))


@pytest.mark.requirement("R-ROL-4")
@pytest.mark.parametrize("status", [one for one in DeviceStatus if not one.is_installed] + [DeviceStatus.SUSPENDED])
def test_a_state_allows_what_the_policy_says(world: World, supplier: User, status: DeviceStatus) -> None:
    assert refused(world, supplier.arming(5, world.device(supplier, status=status))) == ["broker.device-state"]


def test_a_device_has_one_key(world: World, supplier: User) -> None:
    meter = world.device(supplier, known_key=False)
    assert refused(world, supplier.arming(5, meter)) == ["broker.device-key"]


# Whose it is


@pytest.mark.requirement("R-ROL-3")
def test_only_who_is_registered_commands_a_device(world: World, supplier: User) -> None:
    other = world.user(RemotePartyRole.SUPPLIER)
    meter = world.device(supplier)
    assert refused(world, other.arming(5, meter)) == ["broker.responsible"]
    assert refused(world, supplier.arming(5, world.device(None))) == ["broker.responsible"]
    assert refused(world, supplier.arming(5, world.device(supplier, point=""))) == ["broker.responsible"]


def _register(world: World, meter: EntityId, *rows: tuple[datetime, User]) -> None:
    store = world.house.workspace.store
    place = store.estate.places([meter])[meter].meter_point
    assert isinstance(place, MeterPoint)
    with store.act(Act("test", "tester", NOW)) as tx:
        tx.put_registrations([(place, Registered(user.entity, None, since)) for since, user in rows])


@pytest.mark.requirement("R-ROL-3")
def test_the_one_who_was_registered_is_no_more(world: World, supplier: User) -> None:
    other = world.user(RemotePartyRole.SUPPLIER)
    meter = world.device(supplier)
    _register(world, meter, (NOW - timedelta(days=1), other), (NOW + timedelta(days=1), supplier))
    assert refused(world, supplier.arming(5, meter)) == ["broker.responsible"]
    (done,) = world.submit(other.arming(5, meter))
    assert done.result == "admitted"


def activation(user: User, counter: int, meter: EntityId, at: str | None) -> Given:
    """CS06, to happen at a time."""
    header = Header(Cra.COMMAND, counter, user.entity, meter, MessageCode(0x0012))
    return user.signed(Message(header, _activation(counter, at)))


def _activation(counter: int, at: str | None) -> bytes:
    number = counter.to_bytes(2)
    inner = b"\x04\x20" + bytes(32) + b"\x02\x02" + number
    if at is not None:
        inner += b"\x18" + bytes((len(at),)) + at.encode()
    return b"\x30" + bytes((len(inner),)) + inner


@pytest.mark.requirement("R-ROL-3")
def test_what_counts_is_who_is_registered_when_it_takes_effect(world: World, supplier: User) -> None:
    other = world.user(RemotePartyRole.SUPPLIER)
    meter = world.device(supplier)
    _register(world, meter, (datetime(2027, 1, 1, tzinfo=NOW.tzinfo), other))
    assert refused(world, activation(supplier, 300, meter, "20270101000000Z")) == ["broker.responsible"]
    assert refused(world, activation(other, 300, meter, "20261231235959Z")) == ["broker.responsible"]
    done = world.submit(
        activation(supplier, 301, meter, "20261231235959Z"),
        activation(other, 301, meter, "20270101000000Z"),
        activation(supplier, 302, meter, "99991231235959Z"),
    )
    assert [(one.result, codes(one)) for one in done] == [("admitted", [])] * 3
    assert refused(world, activation(supplier, 303, meter, "20280101000000Z")) == [
        "broker.execution-date",
        "broker.responsible",
    ]


# How its certificate stands


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (Status.REVOKED, "broker.revoked"),
        (Status.NOT_IN_USE, "broker.not-in-use"),
        (Status.PENDING, "broker.not-in-use"),
    ],
)
def test_a_certificate_that_is_not_in_use_admits_nothing(
    world: World, supplier: User, status: Status, code: str
) -> None:
    meter = world.device(supplier)
    world.register_certificate(supplier, status)
    assert refused(world, supplier.arming(5, meter)) == [code]


@pytest.mark.requirement("R-REV-1")
def test_a_revocation_in_the_middle_of_a_run_stops_the_rest_of_it(world: World, supplier: User) -> None:
    meters = world.devices(2, supplier)
    given = iter([supplier.arming(number, meter) for number, meter in enumerate(meters, 1)])

    def coming() -> Iterator[Given]:
        for place in range(CHUNK):
            yield next(given) if place == 0 else Given("filler", b"")
        world.register_certificate(supplier, Status.REVOKED)
        yield next(given)

    done = run(world.desk(), lambda desk: desk.submit(coming()))
    assert (done[0].result, codes(done[-1])) == ("admitted", ["broker.revoked"])


@pytest.mark.requirement("R-ROL-2")
def test_a_certificate_of_an_authority_that_nobody_believes_admits_nothing(
    world: World, supplier: User, tmp_path: Path
) -> None:
    meter = world.device(supplier)
    for path in (world.house.home / "anchors").iterdir():
        path.rename(tmp_path / path.name)
    try:
        assert refused(world, supplier.arming(5, meter)) == ["broker.chain"]
    finally:
        for path in tmp_path.iterdir():
            path.rename(world.house.home / "anchors" / path.name)


# Whose right is a consent, and what the broker signs


@pytest.mark.requirement("R-NTK-4")
def test_a_load_controller_needs_a_consent(world: World, supplier: User) -> None:
    controller = world.user(RemotePartyRole.LOAD_CONTROLLER)
    meter = world.device(supplier, kind=DeviceType.SAPC)
    header = Header(Cra.COMMAND, 7, controller.entity, meter, MessageCode(0x011F))
    limiting = controller.signed(Message(header, arming(7).payload))
    assert "broker.consent" in refused(world, limiting)
    consents.add(world.house.workspace, controller.entity, [str(meter)], NOW, None)
    assert "broker.consent" not in refused(world, limiting), "what is left is that it arms a switch"
    consents.end(world.house.workspace, controller.entity, [str(meter)], NOW)
    assert "broker.consent" in refused(world, limiting)
    with pytest.raises(Refused, match=r"consent\.none"):
        consents.end(world.house.workspace, controller.entity, [str(meter)], NOW)


def _facts(
    world: World, user: User, kind: DeviceType, holders: dict[RemotePartyRole, EntityId | None]
) -> rules.Facts:
    meter = world.device(user, kind=kind, known_key=False)
    place = world.house.workspace.store.estate.places([meter])[meter]
    return rules.Facts(NOW, place, holders=holders)


@pytest.mark.requirement("R-LEA-4")
@pytest.mark.parametrize(
    ("code", "holders", "for_user", "may"),
    [
        (0x0102, {RemotePartyRole.SUPPLIER: BROKER}, False, True),
        (0x0103, {RemotePartyRole.SUPPLIER: BROKER}, False, False),
        (0x0102, {RemotePartyRole.SUPPLIER: METER}, False, False),
        (0x00AF, {RemotePartyRole.ACCESS_CONTROL_BROKER: None}, True, True),
        (0x00AF, {RemotePartyRole.ACCESS_CONTROL_BROKER: None}, False, False),
        (0x00AF, {RemotePartyRole.SUPPLIER: None}, True, False),
        (0x0051, {}, True, False),
    ],
)
def test_the_broker_signs_handovers_and_joins_of_devices_that_know_no_supplier(
    world: World,
    supplier: User,
    code: int,
    holders: dict[RemotePartyRole, EntityId | None],
    for_user: bool,
    may: bool,
) -> None:
    facts = _facts(world, supplier, DeviceType.PPMID, holders)
    extra = Supplementary(supplier.entity, 5) if for_user else None
    message = Message(Header(Cra.COMMAND, 5, BROKER, METER, MessageCode(code), extra), b"")
    row = world.house.workspace.policies.use_cases[MessageCode(code)]
    found = [fault.code for fault in rules.of_own(message, row, BROKER, facts)]
    assert found == ([] if may else ["broker.own"])


# What a person has decided


@pytest.mark.requirement("R-ANO-1")
def test_what_is_held_waits_and_what_was_decided_holds(world: World, supplier: User) -> None:
    world.limits = Limits(own={supplier.entity: (Limit("mine", frozenset({0x0051}), 2, timedelta(hours=1)),)})
    meters = world.devices(5, supplier)
    given = [supplier.arming(5, meter) for meter in meters]
    done = world.submit(*given)
    assert [one.result for one in done] == ["admitted"] * 2 + ["held"] * 3
    assert {code for one in done[2:] for code in codes(one)} == {"anomaly.threshold"}
    assert [one.result for one in world.submit(*given)] == ["admitted before"] * 2 + ["held"] * 3
    store = world.house.workspace.store
    waiting = [item for item in store.quarantine.in_state("waiting", 100) if item.originator == supplier.entity]
    assert len(waiting) == 3
    assert {item.octets for item in waiting} == {item.octets for item in given[2:]}
    assert len({item.pattern for item in waiting}) == 1
    both_release(world.house.workspace, waiting[:1])
    ALICE.decides(world.house.workspace, waiting[1:2], "reject")
    by_octets = {item.octets: place for place, item in enumerate(given)}
    again = world.submit(*given)
    released, rejected = (again[by_octets[item.octets]] for item in waiting[:2])
    assert (released.result, rejected.result) == ("admitted", "refused")
    assert codes(rejected) == ["broker.rejected"]
    tallies = store.admissions.tallies_of(supplier.entity, 2, 0)
    counted = [(row.admitted, row.held, row.refused) for row in tallies]
    assert counted == [(3, 1, 1)], "held once each, however often it is handed in, and then one or the other"


def test_what_is_released_is_judged_again(world: World, supplier: User) -> None:
    world.limits = Limits(own={supplier.entity: (Limit("none", None, 0, timedelta(hours=1)),)})
    fine, gone = world.devices(2, supplier)
    world.submit(supplier.arming(5, fine), supplier.arming(5, gone))
    store = world.house.workspace.store
    waiting = [item for item in store.quarantine.in_state("waiting", 100) if item.originator == supplier.entity]
    other = world.user(RemotePartyRole.SUPPLIER)
    _register(world, gone, (NOW - timedelta(days=1), other))
    both_release(world.house.workspace, waiting)
    done = run(world.desk(), lambda desk: desk.release(waiting))
    assert {item.target: codes(one) for item, one in zip(waiting, done, strict=True)} == {
        fine: [],
        gone: ["broker.responsible"],
    }
