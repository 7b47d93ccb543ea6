"""Every outcome of a join that is none, and what whoever meddles with one gets."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from smki.device.establishment import Answer, Offer, Peer
from smki.device.join_rules import LIMIT, JoinRules, Method, Pair
from smki.device.network import Entry, Network
from smki.entity import EntityId
from smki.errors import Refused
from smki.gbcs.payload.joins import (
    CS03A1,
    CS03C,
    JoinCode,
    JoinMethod,
    UnjoinCode,
)
from tests.device.family import DEVICES, DISPLAY, KIND, STRANGER, Air, Family, stranger

A1, A2, B, C = JoinMethod.A_INITIATOR, JoinMethod.A_RESPONDER, JoinMethod.B, JoinMethod.C


@pytest.fixture
def home() -> Family:
    return Family()


@dataclass
class Meddler:
    """Somebody between the two."""

    peer: Peer
    change: Callable[[Answer], Answer]
    proof: Callable[[bytes], bytes] = lambda proof: proof
    offer: Callable[[Offer], Offer] = lambda offer: offer

    def answer(self, offer: Offer) -> Answer | JoinCode:
        found = self.peer.answer(self.offer(offer))
        return found if isinstance(found, JoinCode) else self.change(found)

    def confirm(self, confirmation: bytes) -> bool:
        return self.peer.confirm(self.proof(confirmation))


@dataclass
class Between(Air):
    """A radio with somebody in it."""

    change: Callable[[Answer], Answer] = lambda answer: answer
    proof: Callable[[bytes], bytes] = lambda proof: proof
    offer: Callable[[Offer], Offer] = lambda offer: offer

    def reach(self, device: EntityId) -> Peer | JoinCode:
        found = super().reach(device)
        return found if isinstance(found, JoinCode) else Meddler(found, self.change, self.proof, self.offer)


def first_bit(octets: bytes) -> bytes:
    return bytes((octets[0] ^ 1,)) + octets[1:]


BETWEEN: dict[str, tuple[JoinCode, dict[str, Callable[..., object]]]] = {
    "another suite": (JoinCode.UNSUPPORTED_SUITE, {"change": lambda one: replace(one, suite=2)}),
    "another suite is offered": (JoinCode.UNSUPPORTED_SUITE, {"offer": lambda one: replace(one, suite=2)}),
    "a stranger's certificate": (JoinCode.BAD_MESSAGE, {"change": lambda one: replace(one, certificate=stranger())}),
    "no certificate": (JoinCode.BAD_MESSAGE, {"change": lambda one: replace(one, certificate=b"0")}),
    "a long certificate": (JoinCode.BAD_MESSAGE, {"change": lambda one: replace(one, certificate=bytes(5000))}),
    "a short nonce": (JoinCode.BAD_MESSAGE, {"change": lambda one: replace(one, nonce=b"1")}),
    "another nonce": (JoinCode.BAD_KEY_CONFIRM, {"change": lambda one: replace(one, nonce=first_bit(one.nonce))}),
    "another nonce is offered": (
        JoinCode.BAD_KEY_CONFIRM,
        {"offer": lambda one: replace(one, nonce=first_bit(one.nonce))},
    ),
    "it is taken for another kind": (JoinCode.NO_RESPONSE, {"offer": lambda one: replace(one, named=KIND.PPMID)}),
    "it says that it is another kind": (JoinCode.NO_RESPONSE, {"offer": lambda one: replace(one, kind=KIND.GSME)}),
    "another proof": (
        JoinCode.BAD_KEY_CONFIRM,
        {"change": lambda one: replace(one, confirmation=first_bit(one.confirmation))},
    ),
    "our proof is changed": (JoinCode.BAD_KEY_CONFIRM, {"proof": first_bit}),
    "our proof is theirs": (JoinCode.BAD_KEY_CONFIRM, {"proof": lambda _: b""}),
}


@pytest.mark.parametrize("name", BETWEEN)
def test_whoever_meddles_gets_no_key(home: Family, name: str) -> None:
    """Codes 8, 9 and 10, and neither side holds a secret after them."""
    code, how = BETWEEN[name]
    assert home.join(KIND.HCALCS, A2, KIND.ESME) is JoinCode.SUCCESS
    air = Between(home, **how)  # type: ignore[arg-type]
    assert home.join(KIND.ESME, A1, KIND.HCALCS, air=air) is code
    assert home.states[KIND.ESME].network.log == ()
    entry = home.states[KIND.HCALCS].network.find(DEVICES[KIND.ESME])
    assert entry == Entry(DEVICES[KIND.ESME], KIND.ESME, A2)


def test_an_unknown_issuer(home: Family) -> None:
    """Code 7, as each end says it."""
    assert home.join(KIND.HCALCS, A2, KIND.ESME) is JoinCode.SUCCESS
    for kind in (KIND.ESME, KIND.HCALCS):
        state = home.states[kind]
        home.states[kind] = replace(
            state, network=replace(state.network, rules=replace(state.network.rules, issuers=()))
        )
        assert home.join(KIND.ESME, A1, KIND.HCALCS) is JoinCode.UNKNOWN_ISSUER
        home.states[kind] = state
    assert home.join(KIND.ESME, A1, KIND.HCALCS) is JoinCode.SUCCESS


def test_one_that_falls_silent_keeps_nobody_out(home: Family) -> None:
    """The other has begun with somebody who never ends it: the next one is answered, and the first proves nothing."""
    offer = Offer(STRANGER, KIND.ESME, KIND.TYPE_2, stranger(), bytes(16))
    assert isinstance(home.display.answer(offer), Answer)
    assert home.join(KIND.ESME, B, KIND.TYPE_2) is JoinCode.SUCCESS
    assert home.display.partner is not None
    assert home.display.partner[0] == DEVICES[KIND.ESME]
    assert not home.display.confirm(bytes(32))


def test_an_offer_that_is_refused_replaces_none(home: Family) -> None:
    bad = Offer(STRANGER, KIND.ESME, KIND.TYPE_2, b"0", bytes(16))

    def interrupted(answer: Answer) -> Answer:
        assert home.display.answer(bad) is JoinCode.BAD_MESSAGE
        return answer

    assert home.join(KIND.ESME, B, KIND.TYPE_2, air=Between(home, change=interrupted)) is JoinCode.SUCCESS


@pytest.mark.parametrize("code", [JoinCode.NO_RESOURCES, JoinCode.NO_PARTNER_LINK_KEY, JoinCode.NO_RESPONSE])
def test_one_that_cannot_be_reached(home: Family, code: JoinCode) -> None:
    """Codes 6, 12 and 13: it is busy; the hub does not introduce it; it does not answer."""
    assert home.join(KIND.ESME, B, KIND.TYPE_2, air=Air(home, {DISPLAY: code})) is code
    assert home.states[KIND.ESME].network.log == ()


def test_the_code_of_another_method(home: Family) -> None:
    """Code 1."""
    assert home.join(KIND.ESME, A2, KIND.HCALCS, code=CS03A1) is JoinCode.INVALID_MESSAGE_CODE
    assert home.join(KIND.GSME, B, KIND.GPF, code=CS03C) is JoinCode.INVALID_MESSAGE_CODE


@pytest.mark.requirement("R-ROL-7")
@pytest.mark.parametrize(
    ("kind", "method", "other"),
    [
        (KIND.ESME, A1, KIND.GSME),
        (KIND.ESME, A1, KIND.TYPE_2),
        (KIND.ESME, B, KIND.PPMID),
        (KIND.GSME, B, KIND.PPMID),
        (KIND.GSME, B, KIND.TYPE_2),
        (KIND.GSME, C, KIND.ESME),
        (KIND.PPMID, C, KIND.ESME),
        (KIND.PPMID, A2, KIND.GSME),
        (KIND.HCALCS, A2, KIND.GSME),
        (KIND.ESME, A1, KIND.CHF),
    ],
)
def test_pairs_that_are_none(home: Family, kind: KIND, method: JoinMethod, other: KIND) -> None:
    """Code 2."""
    assert home.join(kind, method, other) is JoinCode.INVALID_METHOD_AND_ROLE


def test_nobody_is_joined_with_itself(home: Family) -> None:
    assert home.join(KIND.GSME, B, KIND.GPF, entity=DEVICES[KIND.GSME]) is JoinCode.INVALID_METHOD_AND_ROLE


def test_a_device_is_of_one_kind(home: Family) -> None:
    """Code 3: the log knows it as something else."""
    home.join_switch()
    other = DEVICES[KIND.HCALCS]
    assert home.join(KIND.ESME, B, KIND.TYPE_2, entity=other) is JoinCode.INCOMPATIBLE_WITH_EXISTING_ENTRY
    assert home.join(KIND.ESME, A1, KIND.PPMID, entity=other) is JoinCode.INCOMPATIBLE_WITH_EXISTING_ENTRY


def test_a_full_log(home: Family) -> None:
    """Code 4; one that is in it already is joined again."""
    state = home.states[KIND.HCALCS]
    few = replace(state.network.rules, capacity={KIND.HCALCS: 1})
    home.states[KIND.HCALCS] = replace(state, network=replace(state.network, rules=few))
    assert home.join(KIND.HCALCS, A2, KIND.ESME) is JoinCode.SUCCESS
    assert home.join(KIND.HCALCS, A2, KIND.ESME, entity=STRANGER) is JoinCode.DEVICE_LOG_FULL
    assert home.join(KIND.HCALCS, A2, KIND.ESME) is JoinCode.SUCCESS


def test_a_log_that_cannot_be_written(home: Family) -> None:
    """Code 5, and an unjoin that could not be."""
    home.join_gas()
    home.writes = False
    assert home.join(KIND.HCALCS, A2, KIND.ESME) is JoinCode.WRITE_FAILURE
    assert home.states[KIND.HCALCS].network.log == ()
    assert home.unjoin(KIND.GSME, C, DEVICES[KIND.PPMID]) is UnjoinCode.OTHER_FAILURE


def test_nobody_is_left_with_a_key_that_could_not_be_kept(home: Family) -> None:
    """The other end hears nothing from a device whose memory takes no more."""
    assert home.join(KIND.HCALCS, A2, KIND.ESME) is JoinCode.SUCCESS
    home.writes = False
    air = Air(home)
    assert home.join(KIND.ESME, A1, KIND.HCALCS, air=air) is JoinCode.WRITE_FAILURE
    assert air.reached == []
    entry = home.states[KIND.HCALCS].network.find(DEVICES[KIND.ESME])
    assert entry is not None
    assert entry.partner is None


def test_all_codes_are_in_these_files() -> None:
    from pathlib import Path

    text = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_joins*.py"))
    assert [code for code in JoinCode if f"JoinCode.{code.name}" not in text] == []


def test_a_device_without_rules_joins_nobody(home: Family) -> None:
    home.states[KIND.GSME] = replace(home.states[KIND.GSME], network=Network())
    assert home.join(KIND.GSME, C, KIND.PPMID) is JoinCode.INVALID_METHOD_AND_ROLE


@pytest.mark.requirement("R-ROL-7")
def test_no_rule_goes_beyond_the_limit() -> None:
    assert JoinRules(LIMIT)
    for method in Method:
        for first in KIND:
            for second in KIND:
                pair = Pair(method, first, second)
                if pair not in LIMIT:
                    with pytest.raises(Refused):
                        JoinRules(frozenset({pair}))


def test_a_proof_without_an_offer_is_none(home: Family) -> None:
    assert not home.display.confirm(bytes(32))


def test_a_device_without_a_certificate_establishes_nothing(home: Family) -> None:
    home.states[KIND.ESME] = replace(home.states[KIND.ESME], own={})
    assert home.join(KIND.ESME, B, KIND.TYPE_2) is JoinCode.NO_RESOURCES
