"""From the supplier's request to the meter: signed, sealed by the broker, obeyed."""

from contextlib import closing
from dataclasses import replace
from datetime import timedelta

import pytest

from smki.device.cells import Cell, CellName
from smki.device.credentials import advance
from smki.device.modes import SUPPLIER_CELLS
from smki.device.update import Floors
from smki.entity import RemotePartyRole
from smki.gbcs.header import Cra
from smki.gbcs.message import read_message
from smki.gbcs.protection import sign
from smki.parties.cos.cancelling import by_request
from tests.device.desk import Desk, command, esme, keys, with_mac
from tests.house import NOW
from tests.parties.cos.world import COS, SOUTH, Party, der, home, key, meter, south
from tests.parties.people import METER, arming

LATER = NOW + timedelta(days=10)


def meter_that_knows(party: Party) -> Desk:
    """It has this party's certificate where its change-of-supplier party stands."""
    state = esme()
    name = CellName.parse("transitionalCoS digitalSignature")
    cells = {**state.cells, name: Cell.of(der(party.certificate), name)}
    return Desk(replace(state, cells=cells))


def commands(party: Party, request: bytes) -> list[bytes]:
    _, done = party.desk.run(party.judge(request), request)
    with closing(done):
        return [with_mac(read_message(one.message)).encode() for one in done]


def holders(desk: Desk) -> list[object]:
    return [desk.state.cells[name].entity for name in SUPPLIER_CELLS]


@pytest.mark.requirement("R-REP-1")
def test_the_meter_has_the_new_supplier_in_all_its_cells(party: Party) -> None:
    desk = meter_that_knows(party)
    assert meter(0) == METER
    (order,) = commands(party, south.request(home(), floors=Floors(50, 7 << 32)))
    found = desk.receive(order)
    assert found.verdict.accepted, found.verdict
    assert holders(desk) == [SOUTH] * 3
    assert [desk.state.cells[name].certificate for name in SUPPLIER_CELLS] == list(south.trio)
    assert not desk.receive(command(5000)).verdict.accepted, "the old supplier hears no more"
    signing = key("south digitalSignature")
    low = with_mac(sign(arming(50, originator=SOUTH), signing))
    assert not desk.receive(low).verdict.accepted, "below the floor"
    assert desk.receive(with_mac(sign(arming(51, originator=SOUTH), signing))).verdict.accepted
    assert desk.state.counters[RemotePartyRole.TRANSITIONAL_COS] > 0
    assert not desk.receive(order).verdict.accepted, "no command serves twice"


def test_what_is_put_off_happens_on_the_day(party: Party) -> None:
    desk = meter_that_knows(party)
    (order,) = commands(party, south.request(home(at=LATER)))
    found = desk.receive(order)
    assert found.verdict.accepted
    assert SOUTH not in holders(desk)
    due = advance(desk.state, keys(), LATER)
    assert [due.state.cells[name].entity for name in SUPPLIER_CELLS] == [SOUTH] * 3
    (alert,) = due.alerts
    header = read_message(alert).header
    assert (header.cra, header.target) == (Cra.ALERT, COS)


def test_what_is_taken_back_never_happens(party: Party) -> None:
    desk = meter_that_knows(party)
    request = south.request(home(at=LATER))
    (order,) = commands(party, request)
    assert desk.receive(order).verdict.accepted
    digest = party.judge(request).asked.digest
    (back,) = party.cancel(by_request(party.workspace, south.cancel(digest)))
    assert desk.receive(with_mac(read_message(back.message)).encode()).verdict.accepted
    due = advance(desk.state, keys(), LATER + timedelta(days=1))
    assert not due.alerts
    assert SOUTH not in [due.state.cells[name].entity for name in SUPPLIER_CELLS]
