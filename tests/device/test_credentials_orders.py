"""Orders about credentials: who is named, which counters follow, what waits, and what is told of it."""

from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509

from smki.device import verdict as rules
from smki.device.cells import NOBODY, Cell, CellName, CellUse
from smki.device.credentials import ALL_REPLACED, SOME_NOT, advance
from smki.device.modes import BROKER_CELL, ROOT_CELL, SUPPLIER_CELLS
from smki.device.update import CANCELLED, CredentialUpdate, Floors, Put
from smki.gbcs.message import read_message
from smki.gbcs.payload.credentials import CellIdentifier, CellUsage, Mode, StatusCode, UpdateAlert, UpdateResponse
from smki.gbcs.payload.declared import KEY_CERT_SIGN, read_declared
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
    SOUTH,
    Home,
    Party,
    authority,
    operator_set,
    supplier_set,
    update,
)
from tests.device.test_credentials import change_of_supplier, statuses
from tests.device.test_replacing import Certificate
from tests.parties.people import METER

BY_OPERATOR, BY_RECOVERY = Mode.NETWORK_OPERATOR_BY_NETWORK_OPERATOR, Mode.ANY_EXCEPT_ABNORMAL_ROOT_BY_RECOVERY
NOWHERE = CellIdentifier(role=ROLE.NETWORK_OPERATOR, key_usage=KEY_CERT_SIGN, cell_usage=CellUsage.PREPAYMENT_TOP_UP)
LATER = AT + timedelta(hours=1)


def _bad() -> Put:
    """For the operator's cell for signatures: another operator's, for key agreement."""
    name = CellName(ROLE.NETWORK_OPERATOR, CellUse.DIGITAL_SIGNATURE)
    return Put.into(name, OTHER_OPERATOR.certificate(CellUse.KEY_AGREEMENT))


def test_the_broker_who_names_a_cell_names_its_own() -> None:
    renewed = Party(BROKER.entity, ROLE.ACCESS_CONTROL_BROKER)
    for cell in (None, SUPPLIER_CELLS[0]):
        home = Home()
        what = update(Mode.ACCESS_CONTROL_BROKER_BY_ACB, 1, [renewed.put(BROKER_CELL)], authorising=cell)
        found = home.send(home.protect(what.command(BROKER.entity, METER)))
        assert found.verdict.accepted == (cell is None)
        assert cell is None or found.verdict.code == rules.CREDENTIALS.code


def test_a_cell_that_is_in_no_device_is_answered_and_the_others_are_filled() -> None:
    home = Home()
    odd = Put(NOWHERE, OTHER_OPERATOR.certificate(CellUse.KEY_AGREEMENT))
    own = ((ROLE.NETWORK_OPERATOR, Floors(5)),)
    found = home.order(OPERATOR, update(BY_OPERATOR, 1, [odd, *operator_set(OTHER_OPERATOR)], other_floors=own))
    assert statuses(found) == [StatusCode.TRUST_ANCHOR_NOT_FOUND, StatusCode.SUCCESS, StatusCode.SUCCESS]
    assert found.changes[0].startswith("a cell no device has stays:")
    assert found.changes[1] == f"cell networkOperator digitalSignature now holds {OTHER_OPERATOR.entity}"
    assert found.answer is not None
    outcome = read_declared(UpdateResponse, read_message(found.answer).payload).payload.outcome
    assert outcome is not None
    nowhere, signs, _ = outcome.replacements
    assert nowhere.existing_subject_unique_id == nowhere.replacing_subject_unique_id == NOBODY.octets
    assert signs.existing_subject_unique_id == OPERATOR.entity.octets
    assert signs.replacing_subject_unique_id == OTHER_OPERATOR.entity.octets


def test_what_stays_is_told_as_it_was() -> None:
    found = Home().order(OPERATOR, update(BY_OPERATOR, 1, [_bad()]))
    assert found.answer is not None
    outcome = read_declared(UpdateResponse, read_message(found.answer).payload).payload.outcome
    assert outcome is not None
    (one,) = outcome.replacements
    assert one.existing_subject_unique_id == one.replacing_subject_unique_id == OPERATOR.entity.octets


# Counters


def _counter(who: Party, what: CredentialUpdate, role: ROLE, mac: bool = True) -> int:
    home = Home()
    home.state = replace(home.state, counters={**home.state.counters, role: 10})
    assert home.order(who, what, mac=mac).verdict.accepted
    return home.state.counters[role]


def test_ones_own_counter_follows_ones_own_certificates_and_only_those() -> None:
    same = Party(OPERATOR.entity, ROLE.NETWORK_OPERATOR)
    assert _counter(OPERATOR, update(BY_OPERATOR, 11, operator_set(same), own_floor=70), ROLE.NETWORK_OPERATOR) == 70
    assert _counter(OPERATOR, update(BY_OPERATOR, 11, [_bad()], own_floor=70), ROLE.NETWORK_OPERATOR) == 11


def test_who_replaces_others_may_set_its_own_counter_all_the_same() -> None:
    assert _counter(COS, change_of_supplier(11, own_floor=70), ROLE.TRANSITIONAL_COS) == 70
    recovered = update(BY_RECOVERY, 11, operator_set(OTHER_OPERATOR), own_floor=70)
    assert _counter(RECOVERY, recovered, ROLE.RECOVERY, mac=False) == 70


# What waits


def _waiting(home: Home) -> None:
    """Two orders in two modes, the later one first."""
    home.order(COS, change_of_supplier(1, at=LATER + timedelta(hours=1)))
    home.order(OPERATOR, update(BY_OPERATOR, 1, operator_set(OTHER_OPERATOR), at=LATER))
    assert len(home.state.pending) == 2


def test_taking_back_in_one_mode_leaves_the_others_waiting_and_says_whether_one_was_there() -> None:
    home = Home()
    _waiting(home)
    found = home.order(COS, change_of_supplier(2, at=CANCELLED))
    assert found.changes == ("supplierByTransCoS will not happen",)
    assert [one.at for one in home.state.pending] == [LATER]
    found = home.order(COS, change_of_supplier(3, at=CANCELLED))
    assert found.changes == ("no supplierByTransCoS was waiting",)
    assert [one.at for one in home.state.pending] == [LATER]


def test_what_is_due_is_done_earliest_first_and_each_is_told() -> None:
    home = Home()
    _waiting(home)
    home.state = replace(home.state, pending=home.state.pending[::-1])
    first = advance(home.state, home.keys, LATER)
    assert len(first.alerts) == len(first.state.pending) == 1
    both = advance(home.state, home.keys, LATER + timedelta(days=1))
    told = [read_message(octets).header.target for octets in both.alerts]
    assert told == [OPERATOR.entity, COS.entity]
    names = (CellName(ROLE.NETWORK_OPERATOR, CellUse.DIGITAL_SIGNATURE), SUPPLIER_CELLS[0])
    assert [both.state.cells[name].entity for name in names] == [OTHER_OPERATOR.entity, SOUTH.entity]
    assert len(both.changes) == 5
    assert not both.state.pending


@pytest.mark.parametrize("good", [True, False])
def test_one_failure_is_enough_to_tell_that_not_all_was_done(good: bool) -> None:
    home = Home()
    signs, agrees = operator_set(OTHER_OPERATOR)
    home.order(OPERATOR, update(BY_OPERATOR, 1, [signs if good else _bad(), agrees], at=LATER))
    (alert,) = advance(home.state, home.keys, LATER).alerts
    notice = read_declared(UpdateAlert, read_message(alert).payload).payload
    assert notice.alert_code == (ALL_REPLACED if good else SOME_NOT)


# The contingency


def test_a_root_without_a_contingency_key_obeys_no_contingency() -> None:
    home, first = Home(), authority(FIRST)
    plain = Certificate(subject=first.root.name, issuer=first.root.name, key=first.root.key, signer=first.root.key)
    home.state = replace(home.state, cells={**home.state.cells, ROOT_CELL: Cell.of(plain.der(), ROOT_CELL)})
    root = x509.load_der_x509_certificate(plain.der())
    assert root.subject == root.issuer
    what = update(Mode.ANY_BY_CONTINGENCY, 1, supplier_set(SOUTH), symmetric_key=first.symmetric)
    found = home.contingency(what, first.contingency).verdict
    assert (found.code, "no contingency key" in found.message) == (rules.SIGNATURE.code, True)
    assert home.holder(SUPPLIER_CELLS[0]) == NORTH.entity
