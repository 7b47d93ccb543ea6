"""What may be made of commands about credentials, and what devices and records make of it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from smki.authority.log import act
from smki.device.cells import CellName
from smki.device.modes import SUPPLIER_CELLS
from smki.device.update import CANCELLED, Floors, read_update
from smki.entity import DeviceType, EntityId, RemotePartyRole
from smki.gbcs.payload.credentials import Mode
from smki.parties.credentials import Change, Made, Unfit, UpdateRequest, make
from smki.store.estate_records import DeviceRecord, DeviceStatus
from tests.house import NOW, House
from tests.parties.changing import (
    BATCH,
    COS,
    FLOORS,
    LOAD_CELLS,
    OPERATOR,
    OPERATOR_CELLS,
    OTHER,
    Meter,
    codes,
    in_inventory,
    key_identifier,
    made,
    place,
    places,
    rotation,
    told,
    with_broker_inside,
)
from tests.parties.people import BROKER, METER, SUPPLIER, believe

_ROLE = RemotePartyRole
DS = SUPPLIER_CELLS[0]


@pytest.fixture
def world(house: House) -> House:
    believe(house.home)
    return house


@pytest.mark.requirement("R-REP-7")
def test_a_rotation_from_command_to_belief(world: House) -> None:
    meter = Meter()
    in_inventory(world, meter.state)
    change = rotation(floors=FLOORS)
    one = made(world, change)
    order = world.workspace.store.orders.one(one.digest)
    assert order is not None
    assert (order.state, order.mode, order.device, order.counter) == ("made", change.mode, METER, 1000)
    (answer,) = told(world, meter.obey(one.message))
    assert (answer.state, answer.faults) == ("done", ())
    assert [meter.holding(item.cell) for item in change.places] == [key_identifier(item) for item in change.places]
    believed = world.workspace.store.estate.device(METER)
    assert believed is not None
    assert believed.cells[DS].key_identifier == meter.holding(DS)
    assert believed.cells[DS].serial is not None
    assert world.workspace.store.orders.counts(BATCH) == {"done": 1}


@pytest.mark.requirement("R-REP-7")
def test_belief_waits_for_the_device(world: House) -> None:
    meter = Meter()
    in_inventory(world, meter.state)
    made(world, rotation())
    believed = world.workspace.store.estate.device(METER)
    assert believed is not None
    assert believed.cells[DS].key_identifier == meter.holding(DS)


def test_a_change_of_supplier_and_the_counters_after_it(world: House) -> None:
    meter = Meter()
    in_inventory(world, meter.state)
    change = Change(
        Mode.SUPPLIER_BY_TRANS_COS, COS, places(SUPPLIER_CELLS, OTHER), other_floors=((_ROLE.SUPPLIER, Floors(7, 3)),)
    )
    one = made(world, change, 6001)
    (answer,) = told(world, meter.obey(one.message, _ROLE.TRANSITIONAL_COS))
    assert answer.state == "done"
    believed = world.workspace.store.estate.device(METER)
    assert believed is not None
    assert (believed.cells[DS].holds, believed.counters[_ROLE.SUPPLIER]) == (OTHER, 7)
    mine = Change(Mode.SUPPLIER_BY_SUPPLIER, OTHER, places(SUPPLIER_CELLS, OTHER))
    assert codes(world, mine, 7) == {"credentials.counter"}
    assert codes(world, mine, 8) == set()


def test_a_handover_from_the_broker(world: House) -> None:
    meter = Meter(with_broker_inside(Meter().state))
    change = Change(Mode.SUPPLIER_BY_SUPPLIER, BROKER, places(SUPPLIER_CELLS, SUPPLIER), floors=FLOORS, handover=True)
    assert codes(world, replace(change, handover=False)) == {"credentials.organisation"}
    assert codes(world, replace(change, floors=None)) == {"credentials.floor"}
    (answer,) = told(world, meter.obey(made(world, change, 1300).message))
    assert answer.state == "done"
    before = {row.before.organisation for row in answer.rows if row.before is not None}
    assert before == {BROKER}
    assert meter.state.cells[DS].entity == SUPPLIER


def test_put_off_told_later_and_taken_back(world: House) -> None:
    meter = Meter()
    later = NOW + timedelta(days=30)
    change = rotation(at=later)
    one = made(world, change)
    taken = meter.obey(one.message)
    assert [item.state for item in told(world, taken)] == ["accepted"]
    assert [item.before for item in told(world, taken)] == [True]
    alert = meter.wait(change)
    (answer,) = told(world, alert)
    assert (answer.state, answer.order and answer.order.digest) == ("done", one.digest)
    assert [item.before for item in told(world, alert, alert)] == [True, True]


def test_a_cancellation_voids_what_waited(world: House) -> None:
    meter, later = Meter(), NOW + timedelta(days=30)
    waiting = made(world, rotation(at=later))
    told(world, meter.obey(waiting.message))
    back = made(world, rotation(at=CANCELLED), 1001)
    assert [item.state for item in told(world, meter.obey(back.message))] == ["done"]
    order = world.workspace.store.orders.one(waiting.digest)
    assert order is not None
    assert order.state == "cancelled"
    assert meter.state.pending == ()


def test_one_cell_that_failed(world: House) -> None:
    meter = Meter()
    cells = {name: cell for name, cell in meter.state.cells.items() if name != OPERATOR_CELLS[1]}
    change = Change(Mode.NETWORK_OPERATOR_BY_NETWORK_OPERATOR, OPERATOR, places(OPERATOR_CELLS, OPERATOR))
    in_inventory(world, meter.state)
    before = meter.holding(OPERATOR_CELLS[1])
    meter.state = replace(meter.state, cells=cells)
    (answer,) = told(world, meter.obey(made(world, change).message, _ROLE.NETWORK_OPERATOR))
    assert (answer.state, answer.words) == ("partly", "networkOperator keyAgreement: trust anchor not found")
    believed = world.workspace.store.estate.device(METER)
    assert believed is not None
    assert believed.cells[OPERATOR_CELLS[0]].key_identifier == meter.holding(OPERATOR_CELLS[0])
    assert believed.cells[OPERATOR_CELLS[1]].key_identifier == before


ONE = place(DS, SUPPLIER)
WRONG = {
    "credentials.set": rotation(places=places(SUPPLIER_CELLS[:2], SUPPLIER)),
    "credentials.mixed": rotation(
        places=(*places(SUPPLIER_CELLS[:2], SUPPLIER), place(SUPPLIER_CELLS[2], OTHER)), floors=FLOORS, handover=True
    ),
    "credentials.organisation": rotation(places=places(SUPPLIER_CELLS, OTHER), floors=FLOORS),
    "credentials.target": rotation(places=(*rotation().places, *places(OPERATOR_CELLS, OPERATOR))),
    "credentials.twice": rotation(places=(*rotation().places, ONE)),
    "credentials.role": rotation(places=places(SUPPLIER_CELLS, SUPPLIER, _ROLE.NETWORK_OPERATOR)),
    "credentials.broker": rotation(
        places=places(SUPPLIER_CELLS, BROKER, _ROLE.ACCESS_CONTROL_BROKER), originator=BROKER
    ),
    "credentials.floor": Change(Mode.SUPPLIER_BY_TRANS_COS, COS, places(SUPPLIER_CELLS, OTHER)),
    "credentials.time": rotation(at=NOW - timedelta(seconds=1)),
    "credentials.expires": rotation(at=NOW + timedelta(days=400)),
    "credentials.handover": Change(
        Mode.TRANS_COS_BY_TRANS_COS, COS, (place("transitionalCoS digitalSignature", COS),), handover=True
    ),
    "credentials.contingency": rotation(symmetric_key=bytes(32)),
    "credentials.empty": rotation(places=()),
    "key.expired": rotation(places=tuple(place(name, SUPPLIER, days=0) for name in SUPPLIER_CELLS)),
    "cell.usage": rotation(places=(replace(ONE, cell=SUPPLIER_CELLS[1]), *rotation().places[::2])),
}


@pytest.mark.parametrize("code", WRONG)
def test_what_is_not_made(world: House, code: str) -> None:
    assert code in codes(world, WRONG[code])
    assert list(world.workspace.store.orders.find()) == []


def test_certificates_of_strangers_are_not_put_anywhere(house: House) -> None:
    assert {"key.chain", "credentials.path"} <= codes(house, rotation())


def test_load_controllers_may_be_anybody(world: House) -> None:
    change = Change(
        Mode.LOAD_CONTROLLER_BY_SUPPLIER,
        SUPPLIER,
        places(LOAD_CELLS, SUPPLIER, _ROLE.SUPPLIER),
        other_floors=((_ROLE.LOAD_CONTROLLER, Floors(0)),),
    )
    assert codes(world, change, kind=DeviceType.SAPC) == set()
    assert codes(world, change, 1001, kind=DeviceType.GSME) == {"credentials.device"}
    assert codes(world, replace(change, other_floors=()), 1001) == {"credentials.floor"}


def test_recovery_puts_the_broker_where_suppliers_were(world: House) -> None:
    recovery = EntityId.parse("90-B3-D5-1F-30-00-00-01")
    broker = places(SUPPLIER_CELLS, BROKER, _ROLE.ACCESS_CONTROL_BROKER)
    change = Change(
        Mode.ANY_EXCEPT_ABNORMAL_ROOT_BY_RECOVERY, recovery, broker, other_floors=((_ROLE.SUPPLIER, FLOORS),)
    )
    meter = Meter()
    (answer,) = told(world, meter.obey(made(world, change).message, _ROLE.RECOVERY, mac=False))
    assert answer.state == "done"
    elsewhere = places([CellName.parse("transitionalCoS digitalSignature")], BROKER, _ROLE.ACCESS_CONTROL_BROKER)
    both = replace(
        change, places=(*broker, *elsewhere), other_floors=(*change.other_floors, (_ROLE.TRANSITIONAL_COS, Floors(0)))
    )
    assert codes(world, both, 1001) == {"credentials.broker"}


def test_the_broker_names_its_authority_to_hubs_alone(world: House) -> None:
    ka, ds = (CellName.parse(f"accessControlBroker {use}") for use in ("keyAgreement", "digitalSignature"))
    change = Change(Mode.ACCESS_CONTROL_BROKER_BY_ACB, BROKER, places([ka], BROKER))
    assert read_update(made(world, change, kind=DeviceType.ESME).message.payload).authorising is None
    assert codes(world, change, 1001, kind=DeviceType.CHF) == {"credentials.set"}
    hub = replace(change, places=places([ka, ds], BROKER))
    assert read_update(made(world, hub, 1001, kind=DeviceType.CHF).message.payload).authorising == ds
    assert codes(world, hub, 1002, kind=DeviceType.ESME) == {"credentials.no-cell"}


def test_counters_go_up_and_the_same_is_made_once(world: House) -> None:
    change = rotation()
    first = made(world, change)
    again = made(world, change)
    assert (first.before, again.before, again.octets) == (False, True, first.octets)
    assert codes(world, change, 999) == {"credentials.counter"}
    assert codes(world, replace(change, disapply_time=True), 1000) == {"credentials.counter"}
    assert codes(world, change, 1 << 63) == {"credentials.form"}
    entries = [entry.body for entry in world.workspace.store.audit_entries()]
    assert sum(b'"credentials.made"' in body for body in entries) == 1


def test_a_run_that_stopped_is_finished_by_the_next(world: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smki.parties.credentials.CHUNK", 10)
    change, first = rotation(), int.from_bytes(METER.octets)
    asked = [UpdateRequest(change, EntityId((first + n).to_bytes(8)), 1000 + n) for n in range(25)]
    stopped = make(world.workspace, asked, BATCH)
    some = [next(stopped) for _ in range(12)]
    stopped.close()
    assert world.workspace.store.orders.counts(BATCH) == {"made": 20}
    done = [one for one in make(world.workspace, asked, BATCH) if isinstance(one, Made)]
    assert [one.before for one in done] == [True] * 20 + [False] * 5
    assert [one.digest for one in done[:12]] == [one.digest for one in some if isinstance(one, Made)]


def test_nobody_commands_what_is_gone(world: House) -> None:
    record = DeviceRecord(METER, DeviceType.ESME, DeviceStatus.WITHDRAWN, None, {}, {})
    with act(world.workspace, "test.device") as tx:
        tx.put_devices([record])
    assert codes(world, rotation()) == {"credentials.device"}


def test_the_key_of_the_contingency_is_on_no_record(world: House) -> None:
    secret = bytes(range(32))
    change = rotation(symmetric_key=secret)
    assert secret.hex() not in repr(change)
    assert repr(secret) not in repr(change)
    (one,) = make(world.workspace, [UpdateRequest(change, METER, 1)], BATCH)
    assert isinstance(one, Unfit)
    assert repr(secret) not in repr(one)
