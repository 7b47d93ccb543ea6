"""Credentials change as ordered, by whom it may be ordered, and in no other way."""

from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from smki.device import verdict as rules
from smki.device.cells import Cell, CellName, CellUse
from smki.device.credentials import ALL_REPLACED, SOME_NOT, advance
from smki.device.modes import ROOT_CELL, SUPPLIER_CELLS
from smki.device.receive import Received
from smki.device.state import read_state, write_state
from smki.device.update import CANCELLED, CredentialUpdate, Floors, Put
from smki.entity import EntityId
from smki.errors import InvalidInput
from smki.gbcs.header import Cra, Header, MessageCode
from smki.gbcs.message import Message, Protection, read_message
from smki.gbcs.payload.credentials import (
    CellIdentifier,
    CellUsage,
    Mode,
    StatusCode,
    UpdateAlert,
    UpdateResponse,
)
from smki.gbcs.payload.declared import (
    KEY_AGREEMENT,
    KEY_CERT_SIGN,
    enumerated_value,
    read_declared,
)
from smki.gbcs.protection import sign, signature_holds
from tests.device.home import (
    AT,
    BROKER,
    COS,
    FIRST,
    NORTH,
    OPERATOR,
    OTHER_OPERATOR,
    RECOVERY,
    ROLE,
    SECOND,
    SOUTH,
    Home,
    Party,
    authority,
    link,
    operator_set,
    supplier_set,
    update,
)
from tests.device.test_own_keys import own_key, wanted
from tests.parties.people import METER

NEW_SUPPLIER = ((ROLE.SUPPLIER, Floors(0, 0)),)
SUPPLIER_SIGNS, OPERATOR_SIGNS = SUPPLIER_CELLS[0], CellName(ROLE.NETWORK_OPERATOR, CellUse.DIGITAL_SIGNATURE)
MIDNIGHT = AT + timedelta(hours=12)


def change_of_supplier(counter: int, new: Party = SOUTH, **more: object) -> CredentialUpdate:
    more.setdefault("other_floors", NEW_SUPPLIER)
    return update(Mode.SUPPLIER_BY_TRANS_COS, counter, supplier_set(new), **more)  # type: ignore[arg-type]


def statuses(found: Received) -> list[StatusCode]:
    assert found.verdict.accepted, found.verdict
    assert found.answer is not None
    outcome = read_declared(UpdateResponse, read_message(found.answer).payload).payload.outcome
    assert outcome is not None
    return [StatusCode(enumerated_value(one.status_code)) for one in outcome.replacements]


@pytest.mark.requirement("R-REP-1")
def test_from_the_change_of_supplier_on_the_old_one_is_refused_and_the_new_one_obeyed() -> None:
    home = Home()
    assert home.command(NORTH, 500).verdict.accepted
    found = home.order(COS, change_of_supplier(1))
    assert statuses(found) == [StatusCode.SUCCESS] * 3
    assert found.answer is not None
    response = read_message(found.answer)
    assert response.header.target == COS.entity
    assert response.protection is Protection.SIGNATURE
    assert {home.holder(name) for name in SUPPLIER_CELLS} == {SOUTH.entity}
    assert home.command(NORTH, 501).verdict.code == rules.ORIGINATOR.code
    assert home.command(SOUTH, 1).verdict.accepted
    assert home.command(SOUTH, 1).verdict.code == rules.REPLAY.code


@pytest.mark.requirement("R-CTR-2")
def test_a_supplier_who_comes_back_goes_on_above_all_that_was_heard() -> None:
    home = Home()
    assert home.command(NORTH, 500).verdict.accepted
    home.order(COS, change_of_supplier(1))
    assert home.command(SOUTH, 30).verdict.accepted
    home.order(COS, change_of_supplier(2, NORTH))
    assert home.state.counters[ROLE.SUPPLIER] == 500
    assert home.command(NORTH, 500).verdict.code == rules.REPLAY.code
    assert home.command(NORTH, 501).verdict.accepted


REFUSED = {
    "a cell that is not the mode's": update(Mode.SUPPLIER_BY_TRANS_COS, 1, operator_set(OTHER_OPERATOR)),
    "the root": update(
        Mode.SUPPLIER_BY_TRANS_COS, 1, [Put.into(ROOT_CELL, authority(SECOND).root.der)], path=(link(),)
    ),
    "a cell twice": update(Mode.SUPPLIER_BY_TRANS_COS, 1, (*supplier_set(SOUTH), supplier_set(NORTH)[0])),
    "another's authority": change_of_supplier(1, authorising=SUPPLIER_SIGNS),
    "no authority": change_of_supplier(1, authorising=None),
    "another's counters": change_of_supplier(1, other_floors=((ROLE.NETWORK_OPERATOR, Floors(0)),)),
    "a key for the contingency": change_of_supplier(1, symmetric_key=bytes(32)),
}


@pytest.mark.requirement("R-ROL-5")
@pytest.mark.parametrize("what", REFUSED.values(), ids=REFUSED)
def test_nothing_is_done_of_an_order_that_goes_too_far(what: CredentialUpdate) -> None:
    home = Home()
    before = home.state.cells
    found = home.order(COS, what)
    assert (found.verdict.code, found.state.cells) == (rules.CREDENTIALS.code, before)


@pytest.mark.requirement("R-VER-3")
def test_a_payload_says_what_its_header_says() -> None:
    for said in (change_of_supplier(2), update(Mode.TRANS_COS_BY_TRANS_COS, 1, supplier_set(SOUTH))):
        home = Home()
        header = Header(Cra.COMMAND, 1, COS.entity, METER, MessageCode(0x0107))
        message = sign(Message(header, said.encode()), COS.key(CellUse.DIGITAL_SIGNATURE))
        assert home.send(home.protect(message)).verdict.code == rules.CREDENTIALS.code


@pytest.mark.requirement("R-E2E-1")
def test_only_the_one_in_the_cell_may_order_it() -> None:
    stranger = Party(EntityId.parse("90-B3-D5-1F-30-00-00-44"), ROLE.TRANSITIONAL_COS)
    for who, code in ((stranger, rules.ORIGINATOR), (NORTH, rules.ROLE), (OPERATOR, rules.ROLE)):
        assert Home().order(who, change_of_supplier(1)).verdict.code == code.code
    impostor = Party(COS.entity, ROLE.TRANSITIONAL_COS)
    assert Home().order(impostor, change_of_supplier(1)).verdict.code == rules.SIGNATURE.code
    assert Home().order(COS, change_of_supplier(1), mac=False).verdict.code == rules.PROTECTION.code


@pytest.mark.requirement("R-REP-4", "R-TIM-2")
def test_each_certificate_is_judged_for_itself() -> None:
    good, other = operator_set(OTHER_OPERATOR)
    elsewhere = OTHER_OPERATOR.certificate(CellUse.KEY_AGREEMENT, SECOND)
    expired = OTHER_OPERATOR.certificate(CellUse.KEY_AGREEMENT, FIRST, 10)
    name = other.name
    assert name is not None
    for bad, status in (
        (Put.into(name, elsewhere), StatusCode.NO_TRUST_ANCHOR),
        (Put.into(name, expired), StatusCode.BAD_CERTIFICATE),
        (Put.into(name, good.certificate), StatusCode.BAD_CERTIFICATE),
        (Put.into(name, NORTH.certificate(CellUse.KEY_AGREEMENT)), StatusCode.BAD_CERTIFICATE),
        (Put.into(name, BROKER.certificate(CellUse.KEY_AGREEMENT)), StatusCode.BAD_CERTIFICATE),
        (Put.into(name, b"\x30\x03\x02\x01\x01"), StatusCode.BAD_CERTIFICATE),
        (
            Put(
                CellIdentifier(role=ROLE.NETWORK_OPERATOR, key_usage=KEY_CERT_SIGN, cell_usage=CellUsage.MANAGEMENT),
                expired,
            ),
            StatusCode.TRUST_ANCHOR_NOT_FOUND,
        ),
    ):
        home = Home()
        found = home.order(OPERATOR, update(Mode.NETWORK_OPERATOR_BY_NETWORK_OPERATOR, 1, [bad, good]))
        assert statuses(found) == [status, StatusCode.SUCCESS]
        assert (home.holder(OPERATOR_SIGNS), home.holder(name)) == (OTHER_OPERATOR.entity, OPERATOR.entity)
    disapplied = update(
        Mode.NETWORK_OPERATOR_BY_NETWORK_OPERATOR, 1, [Put.into(name, expired), good], disapply_time=True
    )
    assert statuses(Home().order(OPERATOR, disapplied)) == [StatusCode.SUCCESS] * 2


@pytest.mark.requirement("R-REP-3")
def test_a_home_is_never_of_two_suppliers() -> None:
    whole = supplier_set(SOUTH)
    for puts in (whole[:1], whole[:2], (*whole[:2], supplier_set(NORTH)[2])):
        home = Home()
        found = home.order(COS, update(Mode.SUPPLIER_BY_TRANS_COS, 1, puts, other_floors=NEW_SUPPLIER))
        assert set(statuses(found)) == {StatusCode.OTHER}
        assert {home.holder(name) for name in SUPPLIER_CELLS} == {NORTH.entity}
    same = Party(NORTH.entity, ROLE.SUPPLIER)
    home = Home()
    assert statuses(home.order(COS, update(Mode.SUPPLIER_BY_TRANS_COS, 1, supplier_set(same)[:1]))) == [
        StatusCode.SUCCESS
    ]


# The root


@pytest.mark.requirement("R-SPC-3")
def test_a_root_follows_the_one_that_signed_it_and_no_other() -> None:
    put = Put.into(ROOT_CELL, authority(SECOND).root.der)
    for who, mode, mac in (
        (NORTH, Mode.ROOT_BY_SUPPLIER, True),
        (RECOVERY, Mode.ANY_EXCEPT_ABNORMAL_ROOT_BY_RECOVERY, False),
    ):
        home = Home()
        abnormal = update(mode, 1, [put])
        assert statuses(home.order(who, abnormal, mac=mac)) == [StatusCode.NO_TRUST_ANCHOR]
        normal = update(mode, 2, [put], path=(link(),))
        assert statuses(home.order(who, normal, mac=mac)) == [StatusCode.SUCCESS]
        assert home.state.cells[ROOT_CELL].certificate == authority(SECOND).root.der
        # Now certificates below the new root are good, and those below the old one are not.
        moved = update(Mode.SUPPLIER_BY_TRANS_COS, 3, supplier_set(SOUTH))
        assert set(statuses(home.order(COS, moved))) == {StatusCode.NO_TRUST_ANCHOR}
        path = (authority(SECOND).issuing.der,)
        moved = update(Mode.SUPPLIER_BY_TRANS_COS, 4, supplier_set(SOUTH, SECOND), path=path)
        assert set(statuses(home.order(COS, moved))) == {StatusCode.SUCCESS}


def everything_under(name: str) -> list[Put]:
    parties = (RECOVERY, COS, SOUTH, OPERATOR, BROKER)
    cells = Home().state.cells
    found = [one.put(cell, name) for one in parties for cell in cells if cell.role is one.role]
    return [Put.into(ROOT_CELL, authority(name).root.der), *found]


@pytest.mark.requirement("R-REC-2")
def test_the_contingency_replaces_everything_under_another_root() -> None:
    home = Home()
    first, second = authority(FIRST), authority(SECOND)
    what = update(
        Mode.ANY_BY_CONTINGENCY,
        5000,
        everything_under(SECOND),
        path=(second.issuing.der,),
        symmetric_key=first.symmetric,
        own_floor=0,
        other_floors=NEW_SUPPLIER,
    )
    refused = home.contingency(replace(what, symmetric_key=second.symmetric), first.contingency)
    assert refused.verdict.code == rules.SIGNATURE.code
    assert home.contingency(what, second.contingency).verdict.code == rules.SIGNATURE.code
    assert home.contingency(what, ec.generate_private_key(ec.SECP256R1())).verdict.code == rules.SIGNATURE.code
    assert home.contingency(replace(what, symmetric_key=None), first.contingency).verdict.code == rules.SIGNATURE.code
    assert set(statuses(home.contingency(what, first.contingency))) == {StatusCode.SUCCESS}
    assert home.contingency(what, first.contingency).verdict.step.name == "COUNTER"
    assert home.holder(SUPPLIER_SIGNS) == SOUTH.entity
    assert home.command(SOUTH, 1).verdict.accepted


def test_the_contingency_takes_nothing_from_the_old_root() -> None:
    home = Home()
    first = authority(FIRST)
    puts = [Put.into(ROOT_CELL, authority(SECOND).root.der), *supplier_set(SOUTH)]
    what = update(Mode.ANY_BY_CONTINGENCY, 1, puts, symmetric_key=first.symmetric)
    found = statuses(home.contingency(what, first.contingency))
    assert found == [StatusCode.SUCCESS, *[StatusCode.NO_TRUST_ANCHOR] * 3]


# Handover and recovery


@pytest.mark.requirement("R-REC-1")
def test_recovery_has_the_broker_stand_in_and_the_broker_hands_over() -> None:
    home = Home()
    stand_in = tuple(Put.into(name, BROKER.certificate(name.use)) for name in SUPPLIER_CELLS)
    by_cos = home.order(COS, update(Mode.SUPPLIER_BY_TRANS_COS, 1, stand_in))
    assert set(statuses(by_cos)) == {StatusCode.BAD_CERTIFICATE}
    recovery = update(Mode.ANY_EXCEPT_ABNORMAL_ROOT_BY_RECOVERY, 1, stand_in, own_floor=0, other_floors=NEW_SUPPLIER)
    assert set(statuses(home.order(RECOVERY, recovery, mac=False))) == {StatusCode.SUCCESS}
    assert home.command(NORTH, 900).verdict.code == rules.ORIGINATOR.code
    handover = update(Mode.SUPPLIER_BY_SUPPLIER, 1300, supplier_set(SOUTH), own_floor=0, own_top_up_floor=0)
    assert set(statuses(home.order(BROKER, handover))) == {StatusCode.SUCCESS}
    assert home.command(SOUTH, 1).verdict.accepted


def test_the_broker_replaces_its_own_by_a_mac_alone() -> None:
    home = Home()
    name = CellName(ROLE.ACCESS_CONTROL_BROKER, CellUse.KEY_AGREEMENT)
    renewed = Party(BROKER.entity, ROLE.ACCESS_CONTROL_BROKER)
    what = update(Mode.ACCESS_CONTROL_BROKER_BY_ACB, 1, [renewed.put(name)], authorising=None, own_floor=0)
    assert statuses(home.send(home.protect(what.command(BROKER.entity, METER)))) == [StatusCode.SUCCESS]
    assert home.command(NORTH, 1).verdict.code == rules.MAC.code


# Later


@pytest.mark.requirement("R-REP-5")
def test_what_is_put_off_happens_at_its_time_and_is_told() -> None:
    home = Home()
    found = home.order(COS, change_of_supplier(1, at=MIDNIGHT))
    assert found.answer is not None
    assert read_message(found.answer).payload == bytes.fromhex("30020500")
    assert home.command(NORTH, 2).verdict.accepted
    home.at = MIDNIGHT
    found = home.command(NORTH, 3)
    assert found.verdict.code == rules.ORIGINATOR.code
    alert = read_message(found.alerts[0])
    notice = read_declared(UpdateAlert, alert.payload).payload
    assert (alert.header.target, alert.header.code, notice.alert_code) == (COS.entity, 0x00CB, ALL_REPLACED)
    assert signature_holds(alert, home.keys.signing.public_key())
    assert home.command(SOUTH, 1).verdict.accepted
    assert not home.state.pending


def test_what_fails_when_it_is_due_is_told_so() -> None:
    home = Home()
    brief = SOUTH.certificate(CellUse.DIGITAL_SIGNATURE, FIRST, 31)
    puts = (Put.into(SUPPLIER_SIGNS, brief), *supplier_set(SOUTH)[1:])
    late = AT + timedelta(days=2)
    home.order(COS, update(Mode.SUPPLIER_BY_TRANS_COS, 1, puts, at=late, other_floors=NEW_SUPPLIER))
    told = advance(home.state, home.keys, late)
    notice = read_declared(UpdateAlert, read_message(told.alerts[0]).payload).payload
    assert notice.alert_code == SOME_NOT
    assert not notice.outcome.counter_changes
    assert {told.state.cells[name].entity for name in SUPPLIER_CELLS} == {NORTH.entity}


@pytest.mark.requirement("R-REP-5")
def test_what_is_put_off_is_taken_back_replaced_and_void_with_its_authority() -> None:
    home = Home()
    home.order(COS, change_of_supplier(1, at=MIDNIGHT))
    home.order(COS, change_of_supplier(2, at=MIDNIGHT + timedelta(days=1)))
    assert [one.at for one in home.state.pending] == [MIDNIGHT + timedelta(days=1)]
    home.order(COS, change_of_supplier(3, at=CANCELLED))
    assert not home.state.pending
    waiting = update(Mode.SUPPLIER_BY_SUPPLIER, 4, supplier_set(Party(NORTH.entity, ROLE.SUPPLIER)), at=MIDNIGHT)
    home.order(NORTH, waiting)
    assert home.state.pending
    home.order(COS, change_of_supplier(5))
    assert not home.state.pending
    home.at = MIDNIGHT
    assert home.command(SOUTH, 1).verdict.accepted


# What is kept


def test_what_waits_and_who_went_survive_the_file() -> None:
    home = Home()
    home.command(NORTH, 700)
    home.order(COS, change_of_supplier(1))
    home.order(COS, change_of_supplier(2, NORTH, at=MIDNIGHT))
    home.send(home.protect(own_key(0x000A, 3, wanted(KEY_AGREEMENT))))
    octets = write_state(home.state, home.keys)
    state, kept = read_state(octets)
    assert (state.pending, dict(state.past), state.counters) == (
        home.state.pending,
        dict(home.state.past),
        home.state.counters,
    )
    assert write_state(state, kept) == octets


def test_a_cell_takes_no_certificate_whose_key_has_another_name() -> None:
    with pytest.raises(InvalidInput, match="usage"):
        Cell.of(NORTH.certificate(CellUse.KEY_AGREEMENT), SUPPLIER_SIGNS)


def test_a_name_of_a_kind_that_nobody_knows_is_a_bad_certificate() -> None:
    """A BIT STRING where text belongs, under a name that a library refuses with an error of its own."""
    good = operator_set(OTHER_OPERATOR)
    unique = bytes.fromhex("060355042d0309")  # the unique identifier's name, and its BIT STRING
    der = good[0].certificate
    assert der.count(unique) == 1
    name = good[0].name
    assert name is not None
    odd = Put.into(name, der.replace(unique, bytes.fromhex("060355040a0309")))
    found = Home().order(OPERATOR, update(Mode.NETWORK_OPERATOR_BY_NETWORK_OPERATOR, 1, [odd, good[1]]))
    assert statuses(found) == [StatusCode.BAD_CERTIFICATE, StatusCode.SUCCESS]


def test_an_element_whose_tag_has_several_octets_is_no_certificate() -> None:
    odd = bytes.fromhex("bf814803020101")
    found = Home().order(COS, change_of_supplier(1, path=(odd,)))
    assert (found.verdict.code, "tag of several octets" in found.verdict.message) == (rules.PAYLOAD.code, True)
