"""Whatever commands come, in whatever order: only permitted pairs share a secret, and who left has none."""

from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from smki.device.establishment import link_key
from smki.device.household import emergency_credit, top_up
from smki.device.joins import shared_with
from smki.device.state import read_state, write_state
from smki.entity import DeviceType, EntityId
from smki.errors import Refused
from smki.gbcs.message import Message
from smki.gbcs.payload.joins import JOIN_CODES, JoinCode, JoinMethod, UnjoinCode
from tests.device.family import DEVICES, NAMED, Family

pytestmark = pytest.mark.requirement("R-ROL-7")

_C = JoinMethod.C
KINDS = [kind for kind in DEVICES if kind is not DeviceType.CHF]
PERMITTED = {
    (JoinMethod.A_INITIATOR, DeviceType.ESME, DeviceType.PPMID),
    (JoinMethod.A_INITIATOR, DeviceType.ESME, DeviceType.HCALCS),
    (JoinMethod.A_RESPONDER, DeviceType.PPMID, DeviceType.ESME),
    (JoinMethod.A_RESPONDER, DeviceType.HCALCS, DeviceType.ESME),
    (JoinMethod.B, DeviceType.ESME, DeviceType.TYPE_2),
    (JoinMethod.B, DeviceType.GSME, DeviceType.GPF),
    (JoinMethod.B, DeviceType.GPF, DeviceType.TYPE_2),
    (JoinMethod.B, DeviceType.GPF, DeviceType.PPMID),
    (_C, DeviceType.GSME, DeviceType.PPMID),
    (_C, DeviceType.PPMID, DeviceType.GSME),
}
"""Written down here again: what the tests hold against the house is not the house's own table."""
_can = {kind: [role for role in JoinMethod if any(one[:2] == (role, kind) for one in PERMITTED)] for kind in KINDS}
_kinds, _methods = st.sampled_from(KINDS), st.sampled_from(list(JoinMethod))


class Home(RuleBasedStateMachine):
    """A home, those who command it, and those who send what was sent before."""

    def __init__(self) -> None:
        super().__init__()
        self.family = Family()
        self.joined: dict[tuple[DeviceType, EntityId], JoinMethod] = {}
        self.sent: list[tuple[DeviceType, bytes]] = []
        self.paid = 0

    @rule(
        kind=_kinds,
        method=_methods,
        other=st.sampled_from(list(NAMED)),
        code=st.none() | st.sampled_from(list(JOIN_CODES.values())),
        entity=st.none() | st.sampled_from(list(NAMED.values())),
        carried=st.none() | st.sampled_from(KINDS),
    )
    def any_join(
        self, kind: DeviceType, method: JoinMethod, other: DeviceType, code: Any, entity: Any, carried: Any
    ) -> None:
        """Of anything with anything, by any code, with anybody's certificate."""
        der = None if carried is None else next(iter(self.family.states[carried].own.values()))
        if method is _C and der is None and other not in self.family.states:
            return
        found = self.family.try_to_join(kind, method, other, code=code, entity=entity, carried=der)
        if not found.verdict.accepted:
            assert found.verdict.code in {"receive.role", "receive.use-case"}
            return
        result = self.family.answered(found)
        named = entity or NAMED[other]
        if result == JoinCode.SUCCESS:
            assert (method, kind, other) in PERMITTED
            assert code in {None, JOIN_CODES[method]}
            self.joined[kind, named] = method

    @rule(which=st.sampled_from(sorted(PERMITTED, key=str)))
    def honest_join(self, which: tuple[JoinMethod, DeviceType, DeviceType]) -> None:
        method, kind, other = which
        if self.family.join(kind, method, other) is JoinCode.SUCCESS:
            self.joined[kind, NAMED[other]] = method

    @rule(kind=_kinds, method=_methods, entity=st.sampled_from(list(NAMED.values())))
    def leave(self, kind: DeviceType, method: JoinMethod, entity: EntityId) -> None:
        if self.family.unjoin(kind, method, entity) is UnjoinCode.SUCCESS:
            was = self.joined.pop((kind, entity))
            assert (was is JoinMethod.B) == (method is JoinMethod.B)

    @precondition(lambda self: self.joined)
    @rule(data=st.data())
    def honest_leave(self, data: st.DataObject) -> None:
        kind, entity = data.draw(st.sampled_from(sorted(self.joined, key=str)))
        assert self.family.unjoin(kind, self.joined.pop((kind, entity)), entity) is UnjoinCode.SUCCESS

    @rule(pounds=st.integers(1, 50), number=st.integers(1, 30), credit=st.booleans())
    def pay(self, pounds: int, number: int, *, credit: bool) -> None:
        ppmid, gsme = DeviceType.PPMID, DeviceType.GSME
        state, keys = self.family.states[ppmid], self.family.keys[ppmid]
        try:
            state, message = self._message(state, keys, credit, self.family.token(number, pounds))
        except Refused:
            assert self.joined.get((ppmid, DEVICES[gsme])) is not _C
            return
        self.family.states[ppmid] = state
        self.sent.append((gsme, message.encode()))
        used = number in self.family.states[gsme].tokens
        found = self.family.give(gsme, message.encode())
        both = self.joined.get((gsme, DEVICES[ppmid])) is _C
        assert found.verdict.accepted == (both and (credit or not used))
        if found.answer is not None and both:
            assert self.family.give(ppmid, found.answer).verdict.accepted

    def _message(self, state: Any, keys: Any, credit: bool, token: Any) -> tuple[Any, Message]:
        meter = DEVICES[DeviceType.GSME]
        return emergency_credit(state, keys, meter) if credit else top_up(state, keys, meter, token)

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def replay(self, data: st.DataObject) -> None:
        """Whatever was sent once, whoever left or came again since: it is never obeyed another time."""
        kind, octets = data.draw(st.sampled_from(self.sent))
        before = self.family.states[kind].tokens
        obeyed = self.family.give(kind, octets).verdict.accepted
        assert self.family.states[kind].tokens == before or obeyed
        if obeyed:  # it had not reached the meter: the two were not joined when it was sent
            self.sent.remove((kind, octets))
            assert self.joined.get((kind, DEVICES[DeviceType.PPMID])) is _C

    @rule(kind=_kinds)
    def restart(self, kind: DeviceType) -> None:
        states, keys = self.family.states, self.family.keys
        states[kind], keys[kind] = read_state(write_state(states[kind], keys[kind]))

    @invariant()
    def the_log_is_who_was_joined(self) -> None:
        for kind, state in self.family.states.items():
            known = {(kind, entry.device): entry.method for entry in state.network.log}
            assert known == {pair: method for pair, method in self.joined.items() if pair[0] is kind}

    @invariant()
    def only_permitted_pairs_share_a_secret(self) -> None:
        for kind, state in self.family.states.items():
            for other, entity in NAMED.items():
                entry = state.network.find(entity)
                with shared_with(state, self.family.keys[kind], entity) as secret:
                    assert (secret is not None) == (self.joined.get((kind, entity)) is _C)
                if entry is None:
                    continue
                assert (entry.method, kind, entry.kind) in PERMITTED
                if self._have_both(kind, other):
                    assert (entry.method, kind, other) in PERMITTED, "whatever they were told of each other"

    def _have_both(self, one: DeviceType, other: DeviceType) -> bool:
        """Whether two devices each hold something to agree from with the other."""
        if other not in self.family.states:
            return False
        ends = ((one, other), (other, one))
        entries = [self.family.states[kind].network.find(DEVICES[peer]) for kind, peer in ends]
        return all(entry is not None and entry.partner is not None for entry in entries)

    @invariant()
    def both_ends_have_the_same(self) -> None:
        states, keys = self.family.states, self.family.keys
        esme = states[DeviceType.ESME]
        for kind in (DeviceType.PPMID, DeviceType.HCALCS):
            mine, theirs = esme.network.find(DEVICES[kind]), states[kind].network.find(esme.device)
            if mine is None or theirs is None or mine.partner is None or theirs.partner is None:
                continue
            if mine.partner.transcript == theirs.partner.transcript:
                one = link_key(keys[DeviceType.ESME].secrets, mine.partner)
                assert one == link_key(keys[kind].secrets, theirs.partner)


TestHome = Home.TestCase
TestHome.settings = settings(
    max_examples=40, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
