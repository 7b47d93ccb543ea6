"""Answers that lie, come twice, or belong to nobody; cells that are read; a device's own keys."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.asn1 import GeneralizedTime, Null
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from smki.device.cells import CellName
from smki.device.modes import SUPPLIER_CELLS
from smki.device.update import CANCELLED, MAX_COUNTER, Floors, counter_change
from smki.entity import EntityId, KeyUsage, RemotePartyRole
from smki.gbcs.agreement import Agreement
from smki.gbcs.message import Message, read_message
from smki.gbcs.payload.credentials import Mode, UpdateAlert, UpdateAnswer, UpdateNotice, UpdateOutcome, UpdateResponse
from smki.gbcs.payload.declared import read_declared, write_declared
from smki.gbcs.protection import sign
from smki.gbcs.verdict import KeyRing
from smki.parties.asking import Asked, Asking, ask, install_key, read_cells, read_key, request_key
from smki.parties.changes import Change
from smki.parties.intake import Given
from smki.parties.issued import Requested, requests_in
from smki.parties.keys import certified
from smki.parties.outcomes import OutcomeDesk, Told
from smki.parties.read_back import take_read_backs
from tests.device.desk import filled, key, keys, own, with_mac
from tests.house import NOW, House
from tests.parties.changing import BATCH, COS, OTHER, Meter, in_inventory, made, places, ring, rotation, told
from tests.parties.people import BROKER, METER, SUPPLIER, believe, certificate

_ROLE = RemotePartyRole
BROKER_KA = CellName.parse("accessControlBroker keyAgreement")


@pytest.fixture
def world(house: House) -> House:
    believe(house.home)
    return house


def asked(house: House, asking: Asking) -> Message:
    (one,) = ask(house.workspace, [asking], BATCH)
    assert isinstance(one, Asked)
    assert one.faults == ()
    return one.asking.message


def codes(answers: list[Told]) -> set[str]:
    return {fault.code for one in answers for fault in one.faults}


def forged(answer: bytes) -> bytes:
    """The same answer by a key that is not the device's."""
    message = read_message(answer)
    return sign(replace(message, signature=None), ec.generate_private_key(ec.SECP256R1())).encode()


@pytest.mark.requirement("R-E2E-4")
def test_an_answer_that_the_device_did_not_sign(world: House) -> None:
    meter = Meter()
    in_inventory(world, meter.state)
    before = world.workspace.store.estate.device(METER)
    answer = meter.obey(made(world, rotation()).message)
    size = world.workspace.store.audit_size()
    assert codes(told(world, forged(answer))) == {"outcome.unproven"}
    assert world.workspace.store.estate.device(METER) == before
    assert world.workspace.store.orders.counts(BATCH) == {"made": 1}
    assert world.workspace.store.audit_size() == size


@pytest.mark.requirement("R-E2E-4")
def test_an_answer_to_nothing_that_was_asked(world: House) -> None:
    meter = Meter()
    believe_nothing = rotation()
    one = made(world, believe_nothing)
    with_other_counter = Message(replace(one.message.header, counter=2000), one.message.payload)
    assert with_other_counter.header.counter == 2000
    answer = meter.obey(one.message)
    message = read_message(answer)
    moved = sign(Message(replace(message.header, counter=1999), message.payload), keys().signing).encode()
    assert codes(told(world, moved)) == {"outcome.no-order"}
    command = one.message.encode()
    assert codes(told(world, command)) == {"outcome.kind"}
    assert codes(told(world, b"\xdf\x09")) == {"gbcs.form"}


def test_an_answer_about_other_certificates(world: House) -> None:
    """A device that says it put what nobody sent: its counter and mode are right, what it holds is not."""
    first, second = rotation(), rotation()
    made(world, first, 1000)
    other = made(world, second, 1001)
    message = read_message(Meter().obey(other.message))
    payload = message.payload.replace((1001).to_bytes(2), (1000).to_bytes(2))
    lie = sign(Message(replace(message.header, counter=1000), payload), keys().signing).encode()
    assert codes(told(world, lie)) == {"outcome.contradicts"}


def test_answers_are_recorded_once(world: House) -> None:
    answer = Meter().obey(made(world, rotation()).message)
    found = told(world, answer, answer)
    assert [(one.state, one.before) for one in found] == [("done", False), ("done", True)]
    entries = [entry.body for entry in world.workspace.store.audit_entries()]
    assert sum(b'"credentials.outcome"' in body for body in entries) == 1


# Counters that a device tells


def saying(answer: bytes, *floors: tuple[RemotePartyRole, Floors]) -> bytes:
    """The meter's own answer, signed by it, but for the counters it tells of."""
    message = read_message(answer)
    said = read_declared(UpdateResponse, message.payload).payload
    assert said.outcome is not None
    outcome = UpdateOutcome(
        originator_counter=said.outcome.originator_counter,
        mode=said.outcome.mode,
        counter_changes=[counter_change(*one) for one in floors],
        replacements=said.outcome.replacements,
    )
    payload = write_declared(UpdateResponse(payload=UpdateAnswer(command_accepted=Null(), outcome=outcome)))
    return sign(Message(message.header, payload), keys().signing).encode()


LIES = {
    "of a role that was not named": ((_ROLE.SUPPLIER, Floors(7, 9)), (_ROLE.TRANSITIONAL_COS, Floors(8))),
    "of a role that no cell has": ((_ROLE.ROOT, Floors(0)),),
    "higher": ((_ROLE.SUPPLIER, Floors(8, 9)),),
    "none higher": ((_ROLE.SUPPLIER, Floors(MAX_COUNTER, 9)),),
    "of other top-ups": ((_ROLE.SUPPLIER, Floors(7, 10)),),
    "of no top-ups": ((_ROLE.SUPPLIER, Floors(7)),),
}


@pytest.mark.requirement("R-CTR-5")
@pytest.mark.parametrize("lie", LIES)
def test_counters_that_nobody_ordered_are_not_believed(world: House, lie: str) -> None:
    """One meter could otherwise use up all numbers of a party that speaks to every home."""
    meter = Meter()
    in_inventory(world, meter.state)
    before = world.workspace.store.estate.device(METER)
    floors = ((_ROLE.SUPPLIER, Floors(7, 9)),)
    change = Change(Mode.SUPPLIER_BY_TRANS_COS, COS, places(SUPPLIER_CELLS, OTHER), other_floors=floors)
    answer = meter.obey(made(world, change, 5).message, _ROLE.TRANSITIONAL_COS)
    assert codes(told(world, saying(answer, *LIES[lie]))) == {"outcome.contradicts"}
    assert world.workspace.store.estate.device(METER) == before
    assert told(world, saying(answer, *floors))[0].state == "done"
    believed = world.workspace.store.estate.device(METER)
    assert believed is not None
    assert believed.counters == {_ROLE.SUPPLIER: 7}


# Answers that were kept back


DS = SUPPLIER_CELLS[0]
LATER = NOW + timedelta(days=3)


def to_other(**more: object) -> Change:
    """A change of supplier."""
    floors = ((_ROLE.SUPPLIER, Floors(0, 0)),)
    plain = Change(Mode.SUPPLIER_BY_TRANS_COS, COS, places(SUPPLIER_CELLS, OTHER), other_floors=floors)
    return replace(plain, **more)  # type: ignore[arg-type]


def holder_of(house: House) -> EntityId:
    device = house.workspace.store.estate.device(METER)
    assert device is not None
    return device.cells[DS].holds


@pytest.mark.parametrize("seconds", [0, 5], ids=["in the same second", "later"])
def test_an_old_answer_closes_its_order_and_changes_nothing(world: House, seconds: int) -> None:
    """The supplier's own renewal, told after the change to another supplier was."""
    meter = Meter()
    in_inventory(world, meter.state)
    old = meter.obey(made(world, rotation()).message)
    world.workspace.clock = lambda: NOW + timedelta(seconds=seconds)
    new = meter.obey(made(world, to_other(), 5).message, _ROLE.TRANSITIONAL_COS)
    assert [one.state for one in told(world, new)] == ["done"]
    before = world.workspace.store.estate.device(METER)
    (answer,) = told(world, old)
    assert (answer.state, "older than what is believed" in answer.words) == ("done", True)
    assert world.workspace.store.estate.device(METER) == before
    assert holder_of(world) == OTHER


def test_answers_of_one_chunk_are_held_against_each_other(world: House) -> None:
    meter = Meter()
    in_inventory(world, meter.state)
    first = meter.obey(made(world, to_other(), 5).message, _ROLE.TRANSITIONAL_COS)
    back = to_other(places=places(SUPPLIER_CELLS, SUPPLIER))
    second = meter.obey(made(world, back, 6).message, _ROLE.TRANSITIONAL_COS)
    assert [one.state for one in told(world, second, first)] == ["done", "done"]
    assert holder_of(world) == SUPPLIER
    assert meter.state.cells[DS].entity == SUPPLIER


def test_answers_in_their_order_are_believed_one_after_another(world: House) -> None:
    meter = Meter()
    in_inventory(world, meter.state)
    first = meter.obey(made(world, rotation()).message)
    second = meter.obey(made(world, to_other(), 5).message, _ROLE.TRANSITIONAL_COS)
    told(world, first, second)
    assert holder_of(world) == OTHER


def test_what_was_taken_back_does_not_wait_again(world: House) -> None:
    meter = Meter()
    in_inventory(world, meter.state)
    order = made(world, to_other(at=LATER), 5)
    waits = meter.obey(order.message, _ROLE.TRANSITIONAL_COS)
    kept = meter.wait(to_other(at=LATER))
    assert told(world, waits)[0].state == "accepted"
    taken = Meter(keys=meter.keys)
    taken.obey(order.message, _ROLE.TRANSITIONAL_COS)
    told(world, taken.obey(made(world, to_other(at=CANCELLED), 6).message, _ROLE.TRANSITIONAL_COS))
    (again,) = told(world, waits)
    assert (again.state, again.before) == ("cancelled", True)
    assert holder_of(world) == SUPPLIER
    (faster,) = told(world, kept)
    assert (faster.state, holder_of(world)) == ("done", OTHER)


@pytest.mark.requirement("R-TIM-3")
@pytest.mark.parametrize("year", [1, 9999])
def test_a_devices_clock_does_not_date_what_is_believed(world: House, year: int) -> None:
    """What is believed since a time to come could be proven by no later answer."""
    meter = Meter()
    in_inventory(world, meter.state)
    change = to_other(at=LATER)
    told(world, meter.obey(made(world, change, 5).message, _ROLE.TRANSITIONAL_COS))
    message = read_message(meter.wait(change))
    said = read_declared(UpdateAlert, message.payload).payload
    at = GeneralizedTime(datetime(year, 12, 31, tzinfo=UTC))
    notice = UpdateNotice(alert_code=said.alert_code, execution_date_time=at, outcome=said.outcome)
    payload = write_declared(UpdateAlert(payload=notice))
    lie = sign(Message(message.header, payload), keys().signing).encode()
    world.workspace.clock = lambda: LATER
    assert [one.state for one in told(world, lie)] == ["done"]
    device = world.workspace.store.estate.device(METER)
    assert device is not None
    assert NOW <= device.cells[DS].since <= LATER


def asked_of(world: House, meter: Meter, counter: int) -> bytes:
    """The meter's answer to what is in its supplier's cells."""
    asking = read_cells(world.workspace, (COS, _ROLE.TRANSITIONAL_COS), METER, counter, (_ROLE.SUPPLIER,))
    return meter.obey(asked(world, asking), _ROLE.TRANSITIONAL_COS, mac=False)


@pytest.mark.parametrize("way", ["outcome", "proven"])
def test_cells_that_were_read_before_they_changed(world: House, way: str) -> None:
    meter = Meter()
    in_inventory(world, meter.state)
    old = asked_of(world, meter, 4)
    told(world, meter.obey(made(world, to_other(), 5).message, _ROLE.TRANSITIONAL_COS))
    before = world.workspace.store.estate.device(METER)
    new = asked_of(world, meter, 6)
    if way == "outcome":
        assert [one.state for one in told(world, old)] == ["done"]
    else:
        (found,) = take_read_backs(world.workspace, ring(), iter([Given("old", old)]), NOW)
        assert found.fault is not None
        assert found.fault.code == "inventory.older-proof"
    assert world.workspace.store.estate.device(METER) == before
    assert told(world, new)[0].words == "read"
    after = world.workspace.store.estate.device(METER)
    assert after is not None
    assert after.cells[DS].proven_at == NOW


def test_an_answer_from_elsewhere_needs_a_word_of_its_time(world: House) -> None:
    meter = Meter()
    in_inventory(world, meter.state)
    asking = read_cells(world.workspace, (COS, _ROLE.TRANSITIONAL_COS), METER, 4, (_ROLE.SUPPLIER,))
    octets = meter.obey(asking.message, _ROLE.TRANSITIONAL_COS, mac=False)

    def taken(at: datetime | None) -> str:
        (found,) = take_read_backs(world.workspace, ring(), iter([Given("it", octets)]), at)
        return "" if found.fault is None else found.fault.code

    assert taken(None) == "read-back.time"
    assert taken(NOW + timedelta(seconds=1)) == "read-back.time"
    assert taken(NOW - timedelta(seconds=1)) == "inventory.older-proof"
    assert taken(NOW) == ""


# Reading cells


def test_cells_that_are_read_are_believed(world: House) -> None:
    meter = Meter()
    in_inventory(world, meter.state)
    roles = (_ROLE.SUPPLIER, _ROLE.TRANSITIONAL_COS)
    asking = read_cells(world.workspace, (COS, _ROLE.TRANSITIONAL_COS), METER, 10, roles)
    (answer,) = told(world, meter.obey(asked(world, asking), _ROLE.TRANSITIONAL_COS, mac=False))
    assert (answer.state, len(answer.rows)) == ("done", 4)
    believed = world.workspace.store.estate.device(METER)
    assert believed is not None
    assert believed.proof is not None
    assert believed.cells[SUPPLIER_CELLS[0]].proven_at is not None


def test_a_role_that_a_device_does_not_hold(world: House) -> None:
    asking = read_cells(world.workspace, (COS, _ROLE.TRANSITIONAL_COS), METER, 10, (_ROLE.WAN_PROVIDER,))
    (answer,) = told(world, Meter().obey(asked(world, asking), _ROLE.TRANSITIONAL_COS, mac=False))
    assert (answer.state, answer.words) == ("failed", "wanProvider: trust anchor not found")


def test_a_mac_is_checked_with_our_own_key(world: House) -> None:
    asking = read_cells(world.workspace, (BROKER, _ROLE.ACCESS_CONTROL_BROKER), METER, 10, (_ROLE.SUPPLIER,))
    given = [Given("it", Meter().take(with_mac(asked(world, asking))))]
    assert codes(list(OutcomeDesk(world.workspace, ring()).take(given))) == {"outcome.unproven"}
    broker = certified(filled(BROKER_KA).certificate, "the broker's").known
    known = [*(certified(der, "the meter's").known for der in own().values()), broker]
    (answer,) = OutcomeDesk(world.workspace, KeyRing(known, {BROKER: Agreement(key(BROKER_KA))})).take(given)
    assert answer.state == "done"


def test_who_may_not_read(world: House) -> None:
    asking = read_cells(world.workspace, (COS, _ROLE.RECOVERY), METER, 10, (_ROLE.SUPPLIER, _ROLE.SUPPLIER))
    assert {fault.code for fault in asking.faults} == {"credentials.role", "credentials.roles"}
    (one,) = ask(world.workspace, [asking], BATCH)
    assert one.faults == asking.faults
    assert list(world.workspace.store.orders.find()) == []


# A device's own keys


def test_a_rotation_of_a_devices_own_key(world: House) -> None:
    usage, meter = KeyUsage.KEY_AGREEMENT, Meter()
    response = meter.obey(asked(world, request_key(SUPPLIER, METER, 1000, usage)))
    (request,) = requests_in(world.workspace, ring(), [Given("it", response)])
    assert isinstance(request, Requested)
    assert told(world, response)[0].state == "done"
    public_key = x509.load_der_x509_csr(request.request).public_key()
    assert isinstance(public_key, ec.EllipticCurvePublicKey)
    der = certificate(public_key, METER, None, usage).certificate.public_bytes(Encoding.DER)
    answer = meter.obey(asked(world, install_key(world.workspace, SUPPLIER, 1001, der)))
    assert told(world, answer)[0].words == "success"
    back = meter.take(with_new_mac(meter, asked(world, read_key(SUPPLIER, METER, 1002, usage))))
    (answered,) = told(world, back)
    assert answered.state == "done"
    assert answered.words.endswith("as issued")


def with_new_mac(meter: Meter, message: Message) -> Message:
    """The broker's MAC for the key that the meter has now."""
    from smki.gbcs.agreement import agree
    from smki.gbcs.protection import add_mac
    from tests.device.desk import signer

    with agree(key(BROKER_KA), meter.keys.agreement.public_key()) as secret:
        return add_mac(sign(message, signer()), secret)


def test_a_certificate_that_nobody_issued(world: House) -> None:
    response = Meter().obey(asked(world, read_key(SUPPLIER, METER, 1000, KeyUsage.DIGITAL_SIGNATURE)))
    (answer,) = told(world, response)
    assert (answer.state, "not issued" in answer.words) == ("failed", True)


@pytest.mark.requirement("R-REP-6")
def test_a_request_by_another_device(world: House) -> None:
    response = Meter().obey(asked(world, request_key(SUPPLIER, METER, 1000, KeyUsage.DIGITAL_SIGNATURE)))
    message = read_message(response)
    other = EntityId.parse("00-DB-12-34-56-78-90-A1")
    mine = ec.generate_private_key(ec.SECP256R1())
    moved = sign(Message(replace(message.header, originator=other), message.payload), mine).encode()
    known = certificate(mine.public_key(), other, None).known
    (found,) = requests_in(world.workspace, KeyRing([known]), [Given("it", moved)])
    assert isinstance(found, Told)
    assert codes([found]) == {"outcome.other-device"}
    (found,) = requests_in(world.workspace, ring(), [Given("it", forged(response))])
    assert isinstance(found, Told)
    assert codes([found]) == {"outcome.unproven"}


def test_only_a_devices_own_certificate_is_installed(world: House) -> None:
    mine = ec.generate_private_key(ec.SECP256R1()).public_key()
    der = certificate(mine, SUPPLIER, _ROLE.SUPPLIER).certificate.public_bytes(Encoding.DER)
    asking = install_key(world.workspace, BROKER, 1000, der)
    assert {fault.code for fault in asking.faults} == {"credentials.own"}
