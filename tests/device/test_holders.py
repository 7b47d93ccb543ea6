"""Roles change hands: nothing old is obeyed or paid again, and nobody bears another's numbers (GBCS 13.3, 14)."""

from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from smki.device import verdict as rules
from smki.device.bundle import Bundle
from smki.device.cells import Cell
from smki.device.holders import apply_bundle, heard, with_cells
from smki.device.modes import BROKER_CELL, ROOT_CELL, SUPPLIER_CELLS
from smki.device.state import TOKENS_KEPT, DeviceState
from smki.device.update import Floors, Put
from smki.entity import DeviceType, EntityId, KeyUsage
from smki.errors import Refused
from smki.gbcs.agreement import KeyInfo, Purpose
from smki.gbcs.payload.credentials import Mode
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
    device_certificate,
    link,
    meter,
    operator_set,
    party,
    supplier_set,
    update,
)
from tests.device.test_credentials import change_of_supplier
from tests.device.test_hostile_credentials import bundle
from tests.parties.people import METER

BY_OPERATOR, BY_RECOVERY = Mode.NETWORK_OPERATOR_BY_NETWORK_OPERATOR, Mode.ANY_EXCEPT_ABNORMAL_ROOT_BY_RECOVERY
WEST = party("05-00-00", ROLE.SUPPLIER)


def pays(home: Home, who: Party, number: int) -> bool:
    """Whether a token is paid; else it was used before."""
    found = home.pay(who, number).verdict
    assert found.accepted or found.code == rules.TOKEN_REPLAY.code, found
    return found.accepted


def hands_over(home: Home, counter: int, new: Party, floors: Floors) -> None:
    what = change_of_supplier(counter, new, other_floors=((ROLE.SUPPLIER, floors),))
    assert home.order(COS, what).verdict.accepted
    assert home.holder(SUPPLIER_CELLS[0]) == new.entity


def renews(home: Home, old: Party, counter: int, floor: int | None) -> Party:
    """A supplier puts new certificates of its own in place of its old ones; perhaps with a floor of its tokens."""
    new = Party(old.entity, old.role)
    what = update(Mode.SUPPLIER_BY_SUPPLIER, counter, supplier_set(new), own_floor=counter, own_top_up_floor=floor)
    assert home.order(old, what).verdict.accepted
    return new


# Prepayment tokens


def test_a_paid_token_stays_paid_whoever_else_changes() -> None:
    home = Home()
    assert pays(home, NORTH, 7)
    operator = OPERATOR
    for counter, new in ((1, OTHER_OPERATOR), (2, Party(OTHER_OPERATOR.entity, ROLE.NETWORK_OPERATOR))):
        what = update(BY_OPERATOR, counter, operator_set(new), own_floor=0, own_top_up_floor=50)
        assert home.order(operator, what).verdict.accepted
        assert not pays(home, NORTH, 7)
        assert pays(home, NORTH, 7 + counter)
        operator = new


def test_a_supplier_raises_the_floor_of_its_tokens_and_never_lowers_it() -> None:
    home = Home()
    assert pays(home, NORTH, 7)
    assert pays(home, NORTH, 60)
    first = renews(home, NORTH, 10, 50)
    assert not pays(home, first, 50)
    assert pays(home, first, 51)
    second = renews(home, first, 20, 20)
    assert not pays(home, second, 30)
    third = renews(home, second, 30, None)
    assert [pays(home, third, number) for number in (50, 51, 52, 60, 61)] == [False, False, True, False, True]


def test_tokens_below_a_floor_are_forgotten_and_their_number_brings_the_floor_no_lower() -> None:
    home = Home()
    home.state = replace(home.state, tokens=tuple(range(101, 101 + TOKENS_KEPT)))
    supplier = renews(home, NORTH, 10, 100 + TOKENS_KEPT)
    assert home.state.tokens == ()
    supplier = renews(home, supplier, 20, 1000)
    assert pays(home, supplier, 1001)
    assert not pays(home, supplier, 999)


def test_each_supplier_counts_its_tokens_for_itself() -> None:
    home = Home()
    assert pays(home, NORTH, 500)
    hands_over(home, 1, SOUTH, Floors(0, 3))
    assert [pays(home, SOUTH, number) for number in (3, 4)] == [False, True]
    hands_over(home, 2, NORTH, Floors(0, 0))
    assert [pays(home, NORTH, number) for number in (499, 500, 501)] == [False, False, True]
    hands_over(home, 3, SOUTH, Floors(0, 40))
    assert [pays(home, SOUTH, number) for number in (40, 41)] == [False, True]


def test_a_supplier_for_whose_tokens_no_floor_is_set_goes_on_above_those_that_were_paid() -> None:
    home = Home()
    assert pays(home, NORTH, 500)
    hands_over(home, 1, SOUTH, Floors(0))
    assert [pays(home, SOUTH, number) for number in (499, 500, 501)] == [False, False, True]


def test_a_broker_that_stands_in_begins_its_tokens_where_it_is_told() -> None:
    """It had other roles before, and has one now, in which there are no tokens."""
    home = Home()
    assert pays(home, NORTH, 500)
    for counter, role, cells in (
        (1, ROLE.NETWORK_OPERATOR, operator_set(OPERATOR)),
        (2, ROLE.SUPPLIER, supplier_set(SOUTH)),
    ):
        puts = [Put(one.cell, BROKER.certificate(one.name.use)) for one in cells if one.name is not None]
        floors = ((role, Floors(0, 0)),)
        what = update(BY_RECOVERY, counter, puts, other_floors=floors)
        assert home.order(RECOVERY, what, mac=False).verdict.accepted
    assert pays(home, BROKER, 1)
    assert not pays(home, BROKER, 1)


# Counters


def test_who_comes_begins_above_nobody_elses_counter() -> None:
    home = Home()
    assert home.command(NORTH, 500).verdict.accepted
    hands_over(home, 1, SOUTH, Floors(0))
    assert home.command(SOUTH, 30).verdict.accepted
    hands_over(home, 2, WEST, Floors(0))
    assert home.command(WEST, 1).verdict.accepted


def test_who_comes_without_a_floor_goes_on_above_the_one_before_who_is_remembered() -> None:
    home = Home()
    assert home.order(OPERATOR, update(BY_OPERATOR, 40, operator_set(OTHER_OPERATOR))).verdict.accepted
    back = operator_set(OPERATOR)
    assert home.order(OTHER_OPERATOR, update(BY_OPERATOR, 40, back)).verdict.code == rules.REPLAY.code
    assert home.order(OTHER_OPERATOR, update(BY_OPERATOR, 41, back, own_floor=0)).verdict.accepted
    assert home.state.counters[ROLE.NETWORK_OPERATOR] == 40
    assert home.order(OPERATOR, update(BY_OPERATOR, 40, operator_set(OPERATOR))).verdict.code == rules.REPLAY.code


def _entity(number: int) -> EntityId:
    return EntityId(b"\x90\xb3\xd5\x1f\x30\x06" + number.to_bytes(2))


def _succession(*suppliers: int) -> DeviceState:
    """A meter that had these suppliers, of whom each was heard with its own number and a thousand."""
    key = ec.derive_private_key(4711, ec.SECP256R1()).public_key()
    state = replace(meter(), cells={})
    for number in suppliers:
        cells = {SUPPLIER_CELLS[0]: Cell(number.to_bytes(2), _entity(number), bytes(8), key)}
        state = with_cells(state, cells, {ROLE.SUPPLIER: Floors(0, 0)})
        state = heard(state, ROLE.SUPPLIER, _entity(number), max(1000 + number, state.counters[ROLE.SUPPLIER]))
    return state


def _counter_of(state: DeviceState, number: int) -> int:
    """From where someone goes on who comes back."""
    key = ec.derive_private_key(4711, ec.SECP256R1()).public_key()
    cells = {SUPPLIER_CELLS[0]: Cell(b"again", _entity(number), bytes(8), key)}
    return with_cells(state, cells, {ROLE.SUPPLIER: Floors(0, 0)}).counters[ROLE.SUPPLIER]


def test_the_last_sixty_four_who_went_are_remembered() -> None:
    """A file of a device grows with no number of changes; and no home sees as many."""
    state = _succession(*range(66))
    assert [_counter_of(state, number) for number in (0, 1, 2, 64, 65)] == [0, 1001, 1002, 1064, 1065]


def test_who_went_twice_went_when_they_went_last() -> None:
    state = _succession(0, 1, 0, *range(2, 66))
    assert [_counter_of(state, number) for number in (1, 0, 2)] == [0, 1000, 1002]


# What waits


def test_what_the_contingency_put_off_is_void_with_the_root_that_has_its_key_and_with_no_other_cell() -> None:
    home, first = Home(), authority(FIRST)
    later = AT + timedelta(days=1)
    what = update(Mode.ANY_BY_CONTINGENCY, 1, supplier_set(SOUTH), symmetric_key=first.symmetric, at=later)
    assert home.contingency(what, first.contingency).verdict.accepted
    renewed = Party(BROKER.entity, ROLE.ACCESS_CONTROL_BROKER)
    home.order(RECOVERY, update(BY_RECOVERY, 1, [renewed.put(BROKER_CELL)]), mac=False)
    assert home.state.cells[BROKER_CELL].certificate == renewed.certificate(BROKER_CELL.use)
    assert len(home.state.pending) == 1
    root = Put.into(ROOT_CELL, authority(SECOND).root.der)
    home.order(RECOVERY, update(BY_RECOVERY, 2, [root], path=(link(),)), mac=False)
    assert home.state.cells[ROOT_CELL].certificate == authority(SECOND).root.der
    assert not home.state.pending


# A newer bundle


def _without_operator(one: Bundle) -> Bundle:
    counters = dict(one.counters)
    del counters[ROLE.NETWORK_OPERATOR]
    cells = {name: cell for name, cell in one.cells.items() if name.role is not ROLE.NETWORK_OPERATOR}
    return replace(one, cells=cells, counters=counters)


def test_who_is_left_out_of_a_bundle_comes_back_with_the_next_where_they_were() -> None:
    home = Home()
    home.state = replace(home.state, counters={**home.state.counters, ROLE.ROOT: 5000})
    with_operator = bundle(home, NORTH)
    assert home.order(OPERATOR, update(BY_OPERATOR, 40, operator_set(OPERATOR))).verdict.accepted
    home.state = apply_bundle(home.state, _without_operator(with_operator), home.keys)
    assert home.state.counters[ROLE.NETWORK_OPERATOR] == 40
    home.state = apply_bundle(home.state, replace(with_operator, version=3), home.keys)
    for counter, accepted in ((40, False), (41, True)):
        found = home.order(OPERATOR, update(BY_OPERATOR, counter, operator_set(OPERATOR))).verdict
        assert found.accepted == accepted, found


def test_who_was_never_heard_begins_where_the_bundle_says() -> None:
    home = Home()
    home.state = replace(home.state, counters={})
    home.state = apply_bundle(home.state, replace(bundle(home, NORTH), top_up_floor=50), home.keys)
    assert home.command(NORTH, 0).verdict.code == rules.REPLAY.code
    assert home.command(NORTH, 1).verdict.accepted
    assert [pays(home, NORTH, number) for number in (50, 51)] == [False, True]


def test_a_bundle_is_for_one_device_with_its_keys_and_newer_than_the_last() -> None:
    home = Home()
    good = bundle(home, SOUTH)
    strange = ec.derive_private_key(4711, ec.SECP256R1()).public_key()
    cases = [
        (replace(good, own={**good.own, usage: device_certificate(strange, usage)}), "bundle.key")
        for usage in KeyUsage
    ]
    cases += [
        (replace(good, device=EntityId(METER.octets[:-1] + b"\x01")), "bundle.device"),
        (replace(good, kind=DeviceType.GSME), "bundle.device"),
        (replace(good, version=home.state.bundle), "bundle.older"),
        (replace(good, version=home.state.bundle - 1), "bundle.older"),
    ]
    for wrong, code in cases:
        with pytest.raises(Refused) as refusal:
            apply_bundle(home.state, wrong, home.keys)
        assert refusal.value.code == code
    assert apply_bundle(home.state, good, home.keys).cells[SUPPLIER_CELLS[0]].entity == SOUTH.entity


def test_what_was_agreed_under_an_older_bundle_is_given_up() -> None:
    home = Home()
    broker = home.state.cells[BROKER_CELL]
    info = KeyInfo(METER, Purpose.COMMAND, 1, BROKER.entity)
    with home.keys.secrets.with_peer(broker.public_key, broker.certificate) as secret:
        assert secret.message_key(info)
    apply_bundle(home.state, bundle(home, NORTH), home.keys)
    with pytest.raises(Refused) as refusal:
        secret.message_key(info)
    assert refusal.value.code == "gbcs.secret"
