"""Whatever orders come, in whatever order: no cell is empty, no home is of two suppliers, no counter goes back."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from smki.device.cells import CellName
from smki.device.holders import party
from smki.device.modes import ROOT_CELL, RULES, SUPPLIER_CELLS
from smki.device.receive import Received
from smki.device.state import read_state, write_state
from smki.device.update import CANCELLED, Floors, Put
from smki.entity import EntityId, RemotePartyRole
from smki.gbcs.payload.credentials import Mode
from tests.device.home import (
    BROKER,
    COS,
    FIRST,
    NORTH,
    OPERATOR,
    OTHER_OPERATOR,
    RECOVERY,
    SECOND,
    SOUTH,
    Home,
    Party,
    authority,
    link,
    names,
    update,
)

pytestmark = pytest.mark.requirement("R-REP-3")

WEST = Party(EntityId.parse("90-B3-D5-1F-30-05-00-00"), RemotePartyRole.SUPPLIER)
EVERYONE = (RECOVERY, BROKER, COS, NORTH, SOUTH, WEST, OPERATOR, OTHER_OPERATOR)
_SUPPLIER = RemotePartyRole.SUPPLIER
_counters = st.integers(0, 60)
_floors = st.none() | st.integers(0, 60)
_roots = st.sampled_from((FIRST, SECOND))


@st.composite
def puts(draw: st.DrawFn) -> list[Put]:
    """Whole sets, parts of sets, mixtures; certificates of anyone below either root."""
    if draw(st.booleans()):
        one, under = draw(st.sampled_from((NORTH, SOUTH, WEST))), draw(_roots)
        found = [one.put(name, under) for name in SUPPLIER_CELLS]
        return found[: draw(st.integers(1, 3))] if draw(st.integers(0, 4)) == 0 else found
    cells = draw(st.lists(st.sampled_from(names()), min_size=1, max_size=4, unique=True))
    return [draw(_put(name)) for name in cells]


@st.composite
def _put(draw: st.DrawFn, name: CellName) -> Put:
    if name == ROOT_CELL:
        return Put.into(name, authority(draw(_roots)).root.der)
    fitting = [one for one in EVERYONE if one.role is name.role]
    anyone = not fitting or draw(st.integers(0, 5)) == 0
    one = draw(st.sampled_from(EVERYONE if anyone else fitting))
    return one.put(name, draw(_roots))


class Credentials(RuleBasedStateMachine):
    """One meter and everyone who may, or may not, change what it believes."""

    def __init__(self) -> None:
        super().__init__()
        self.home = Home()
        self.heard: dict[tuple[RemotePartyRole, EntityId], int] = {}

    def obeyed(self, who: EntityId, role: RemotePartyRole, counter: int, found: Received) -> None:
        if found.verdict.step.name == "ACT":  # it passed the checks, so its counter is used up
            assert counter > self.heard.get((role, who), -1)
            self.heard[role, who] = counter

    @rule(who=st.sampled_from((NORTH, SOUTH, WEST)), counter=_counters)
    def command(self, who: Party, counter: int) -> None:
        due = [one for one in self.home.state.pending if one.at <= self.home.at]
        holder = self.home.holder(SUPPLIER_CELLS[0])
        found = self.home.command(who, counter)
        self.obeyed(who.entity, RemotePartyRole.SUPPLIER, counter, found)
        if found.verdict.accepted and not due:
            assert holder == who.entity

    @rule(
        who=st.sampled_from(EVERYONE),
        mode=st.sampled_from([mode for mode in Mode if mode is not Mode.ANY_BY_CONTINGENCY]),
        what=puts(),
        counter=_counters,
        floors=st.tuples(_floors, _floors, _floors),
        when=st.sampled_from((None, None, timedelta(hours=1), timedelta(hours=5), CANCELLED)),
        mac=st.booleans(),
        links=st.booleans(),
    )
    def order(
        self,
        who: Party,
        mode: Mode,
        what: list[Put],
        counter: int,
        floors: tuple[int | None, int | None, int | None],
        when: Any,
        *,
        mac: bool,
        links: bool,
    ) -> None:
        at = self.home.at + when if isinstance(when, timedelta) else when
        roles = {one.name.role for one in what if one.name is not None}
        own, top_up, other = floors
        others = None if other is None else tuple((role, Floors(other, top_up)) for role in sorted(roles))
        path = (authority(FIRST).issuing.der, authority(SECOND).issuing.der, *((link(),) if links else ()))
        said = update(mode, counter, what, path=path, at=at, own_floor=own, own_top_up_floor=top_up)
        found = self.home.order(who, replace(said, other_floors=others), mac=mac)
        authorising = RULES[mode].authorising
        assert authorising is not None
        self.obeyed(who.entity, authorising.role, counter, found)

    @rule(
        mode=st.sampled_from((Mode.SUPPLIER_BY_TRANS_COS, Mode.SUPPLIER_BY_SUPPLIER, Mode.ROOT_BY_SUPPLIER)),
        new=st.sampled_from((NORTH, SOUTH, WEST)),
        under=_roots,
        step=st.integers(1, 3),
        floor=_floors,
        hours=st.none() | st.integers(0, 4),
        parts=st.sampled_from((3, 3, 1, 2)),
    )
    def honest(
        self, mode: Mode, new: Party, under: str, step: int, floor: int | None, hours: int | None, parts: int
    ) -> None:
        """As those in the cells would order it; now and then a part of it."""
        authorising = RULES[mode].authorising
        assert authorising is not None
        who = next(one for one in EVERYONE if one.entity == self.home.holder(authorising))
        root = Put.into(ROOT_CELL, authority(under).root.der)
        what = [root] if mode is Mode.ROOT_BY_SUPPLIER else [new.put(name, under) for name in SUPPLIER_CELLS][:parts]
        counter = self.home.state.counters[authorising.role] + step
        at = None if hours is None else self.home.at + timedelta(hours=hours)
        others = None if floor is None or mode is Mode.ROOT_BY_SUPPLIER else ((_SUPPLIER, Floors(floor, floor)),)
        said = update(mode, counter, what, path=(authority(under).issuing.der, link()), at=at, other_floors=others)
        due = any(one.at <= self.home.at for one in self.home.state.pending)
        found = self.home.order(who, said)
        assert found.verdict.accepted or due
        self.obeyed(who.entity, authorising.role, counter, found)

    @rule(what=puts(), counter=_counters, mine=_roots, opened=_roots)
    def contingency(self, what: list[Put], counter: int, mine: str, opened: str) -> None:
        path = (authority(FIRST).issuing.der, authority(SECOND).issuing.der)
        symmetric = authority(opened).symmetric
        said = update(Mode.ANY_BY_CONTINGENCY, counter, what, path=path, symmetric_key=symmetric)
        held = self.home.state.cells[ROOT_CELL].certificate
        # What was put off until now comes first, and may be another root.
        due = any(one.at <= self.home.at for one in self.home.state.pending)
        found = self.home.contingency(said, authority(mine).contingency)
        if found.verdict.accepted:
            assert mine == opened
            assert due or held == authority(mine).root.der

    @rule(hours=st.integers(0, 3))
    def wait(self, hours: int) -> None:
        self.home.at += timedelta(hours=hours)

    @rule()
    def restart(self) -> None:
        self.home.state, self.home.keys = read_state(write_state(self.home.state, self.home.keys))

    @invariant()
    def every_cell_is_filled(self) -> None:
        assert set(self.home.state.cells) == set(names())

    @invariant()
    def no_home_is_of_two_suppliers(self) -> None:
        assert len({self.home.holder(name) for name in SUPPLIER_CELLS}) == 1

    @invariant()
    def no_counter_goes_back(self) -> None:
        for (role, entity), counter in self.heard.items():
            if party(self.home.state.cells, role) == entity:
                assert self.home.state.counters[role] >= counter


TestCredentials = Credentials.TestCase
TestCredentials.settings = settings(
    max_examples=40, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
