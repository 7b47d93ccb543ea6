"""A PPMID and its gas meter: tokens over the home's network, once each, from the one that is joined."""

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from smki.device import own_keys
from smki.device import verdict as rules
from smki.device.bundle import Bundle
from smki.device.holders import apply_bundle
from smki.device.household import emergency_credit, top_up
from smki.device.join_rules import NO_RULES
from smki.device.network import HEARD_KEPT, Entry
from smki.device.state import read_state, write_state
from smki.entity import EntityId, KeyUsage
from smki.errors import Refused
from smki.gbcs.agreement import agree
from smki.gbcs.header import Cra
from smki.gbcs.message import Message, Protection, read_message
from smki.gbcs.payload.credentials import CertificateCommand
from smki.gbcs.payload.declared import element, write_declared
from smki.gbcs.payload.joins import JoinMethod, UnjoinCode
from smki.gbcs.protection import add_mac
from smki.gbcs.top_up import Utrn
from tests.device.family import DEVICES, KIND, Family, certified
from tests.parties.people import SUPPLIER

GSME, PPMID = DEVICES[KIND.GSME], DEVICES[KIND.PPMID]


@pytest.fixture
def home() -> Family:
    made = Family()
    made.join_gas()
    return made


def hand_in(home: Family, utrn: Utrn) -> Message:
    home.states[KIND.PPMID], message = top_up(home.states[KIND.PPMID], home.keys[KIND.PPMID], GSME, utrn)
    return message


def test_a_token_pays_and_the_answer_is_believed(home: Family) -> None:
    message = hand_in(home, home.token(7))
    assert (message.protection, message.header.originator) == (Protection.MAC, PPMID)
    found = home.give(KIND.GSME, message.encode())
    assert found.verdict.accepted
    assert found.changes == ("paid 10 pounds, token number 7",)
    assert found.alerts == ()
    assert found.answer is not None
    answer = read_message(found.answer)
    assert (answer.header.cra, answer.header.target, answer.protection) == (Cra.RESPONSE, PPMID, Protection.MAC)
    heard = home.give(KIND.PPMID, found.answer)
    assert heard.verdict.accepted
    assert heard.changes == ("the meter says: accepted, 1000 pence",)
    again = home.give(KIND.PPMID, found.answer)
    assert again.verdict.code == "receive.counter", "an answer is heard once"


def test_a_command_is_obeyed_once(home: Family) -> None:
    message = hand_in(home, home.token(7)).encode()
    assert home.give(KIND.GSME, message).verdict.accepted
    again = home.give(KIND.GSME, message)
    assert (again.verdict.code, again.changes) == ("receive.counter", ())
    assert again.answer is not None
    alert = read_message(again.answer)
    assert (alert.header.cra, alert.header.target) == (Cra.ALERT, SUPPLIER)


@pytest.mark.requirement("R-CTR-6")
def test_a_token_pays_once_whoever_brings_it(home: Family) -> None:
    token = home.token(7)
    assert home.give(KIND.GSME, hand_in(home, token).encode()).verdict.accepted
    found = home.give(KIND.GSME, hand_in(home, token).encode())
    assert (found.verdict.code, len(found.alerts)) == ("receive.token-used", 1)
    assert found.answer is not None
    heard = home.give(KIND.PPMID, found.answer)
    assert heard.changes == ("the meter says: refused: used before",)
    assert home.states[KIND.GSME].tokens == (7,)


def test_a_token_of_somebody_elses_does_not_pay(home: Family) -> None:
    token = home.token(7)
    home.keys[KIND.GSME].secrets.forget()
    other = replace(home.states[KIND.GSME], cells={})
    home.states[KIND.GSME] = other
    found = home.give(KIND.GSME, hand_in(home, token).encode())
    assert found.verdict.code == "receive.token"
    assert found.answer is not None
    assert home.give(KIND.PPMID, found.answer).changes == ("the meter says: refused: an invalid top-up",)


def test_emergency_credit(home: Family) -> None:
    home.states[KIND.PPMID], message = emergency_credit(home.states[KIND.PPMID], home.keys[KIND.PPMID], GSME)
    found = home.give(KIND.GSME, message.encode())
    assert found.changes == ("activated emergency credit",)
    assert found.answer is not None
    assert home.give(KIND.PPMID, found.answer).changes == ("the meter says: emergency credit is on",)


def test_every_octet_counts(home: Family) -> None:
    message = hand_in(home, home.token(7)).encode()
    before = home.states[KIND.GSME]
    for at in range(len(message)):
        changed = message[:at] + bytes((message[at] ^ 1,)) + message[at + 1 :]
        found = home.give(KIND.GSME, changed)
        assert not found.verdict.accepted, at
        assert home.states[KIND.GSME].tokens == before.tokens
        assert home.states[KIND.GSME].network == before.network
    assert home.give(KIND.GSME, message).verdict.accepted


def test_without_a_join_there_is_nothing_to_say(home: Family) -> None:
    alone = Family()
    with pytest.raises(Refused) as refused:
        hand_in(alone, alone.token(1))
    assert refused.value.code == "home.not-joined"
    found = alone.give(KIND.GSME, hand_in(home, home.token(1)).encode())
    assert found.verdict.code == "receive.not-joined"


def test_after_leaving_nothing_is_obeyed_and_after_joining_again_nothing_old(home: Family) -> None:
    """The same certificates give the same secret: the meter goes on counting where it was."""
    first, kept = hand_in(home, home.token(1)).encode(), hand_in(home, home.token(2)).encode()
    assert home.give(KIND.GSME, first).verdict.accepted
    assert home.give(KIND.GSME, kept).verdict.accepted
    assert home.unjoin(KIND.GSME, JoinMethod.C, PPMID) is UnjoinCode.SUCCESS
    assert home.give(KIND.GSME, kept).verdict.code == "receive.not-joined"
    home.join_gas()
    assert home.give(KIND.GSME, kept).verdict.code == "receive.counter"
    assert home.give(KIND.GSME, hand_in(home, home.token(3)).encode()).verdict.accepted


def test_only_a_ppmid_sends_such_commands(home: Family) -> None:
    """A device that is joined in another way, or a forger with a key of its own."""
    state = home.states[KIND.GSME]
    home.states[KIND.GSME] = replace(
        state, network=state.network.without(PPMID).with_entry(Entry(PPMID, KIND.GPF, JoinMethod.B))
    )
    message = hand_in(home, home.token(1))
    assert home.give(KIND.GSME, message.encode()).verdict.code == "receive.not-joined"
    home.states[KIND.GSME] = state
    forger = ec.generate_private_key(ec.SECP256R1())
    with agree(forger, home.keys[KIND.GSME].agreement.public_key()) as secret:
        forged = add_mac(replace(message, mac=None), secret)
    assert home.give(KIND.GSME, forged.encode()).verdict.code == "receive.mac"
    signed = replace(message, mac=None, signature=bytes(64))
    assert home.give(KIND.GSME, signed.encode()).verdict.code == "receive.protection"


@pytest.mark.parametrize("changes", [GSME, PPMID])
def test_a_device_with_a_new_key_is_joined_anew(home: Family, changes: object) -> None:
    """CS02d: what was agreed with the old key is over, on whichever side it changes."""
    kind = KIND.GSME if changes == GSME else KIND.PPMID
    pair = ec.generate_private_key(ec.SECP256R1())
    keys = replace(home.keys[kind], asked={KeyUsage.KEY_AGREEMENT: pair})
    der = certified(pair, DEVICES[kind])
    before = home.token(1), hand_in(home, home.token(2))
    done = own_keys.install(home.states[kind], keys, write_declared(CertificateCommand(payload=element(der))))
    assert done.keys is not None
    home.states[kind], home.keys[kind] = done.state, done.keys
    assert home.states[kind].network.log[0].partner is None
    if kind is KIND.GSME:
        found = home.give(KIND.GSME, before[1].encode())
        assert found.verdict.code == "receive.not-joined"
    else:
        with pytest.raises(Refused):
            hand_in(home, before[0])
    home.join_gas()
    assert home.give(KIND.GSME, hand_in(home, home.token(3)).encode()).verdict.accepted


@pytest.mark.parametrize(("renewed", "permitted"), [(False, True), (True, True), (False, False)])
def test_a_bundle_with_another_certificate_or_other_rules_ends_what_was_shared(
    home: Family, renewed: bool, permitted: bool
) -> None:
    """With the same ones it goes on; the rules are the bundle's either way."""
    state, keys = home.states[KIND.GSME], home.keys[KIND.GSME]
    own = dict(state.own)
    if renewed:
        own[KeyUsage.KEY_AGREEMENT] = certified(keys.agreement, GSME)
    bundle = Bundle(
        version=state.bundle + 1,
        device=GSME,
        kind=KIND.GSME,
        cells=state.cells,
        counters=state.counters,
        top_up_floor=0,
        own=own,
        certificates=(),
        crls=(),
        use_cases=state.use_cases,
        joins=state.network.rules if permitted else NO_RULES,
        manifest={},
    )
    message = hand_in(home, home.token(1)).encode()
    home.states[KIND.GSME] = apply_bundle(state, bundle, keys)
    assert home.states[KIND.GSME].network.rules is bundle.joins
    goes_on = permitted and not renewed
    assert home.give(KIND.GSME, message).verdict.code == ("accepted" if goes_on else "receive.not-joined")


def test_it_goes_on_from_its_file(home: Family) -> None:
    message = hand_in(home, home.token(7)).encode()
    for kind in (KIND.GSME, KIND.PPMID):
        home.states[kind], home.keys[kind] = read_state(write_state(home.states[kind], home.keys[kind]))
    found = home.give(KIND.GSME, message)
    assert found.verdict.accepted
    home.states[KIND.GSME], home.keys[KIND.GSME] = read_state(
        write_state(home.states[KIND.GSME], home.keys[KIND.GSME])
    )
    assert home.give(KIND.GSME, message).verdict.code == "receive.counter"
    assert found.answer is not None
    assert home.give(KIND.PPMID, found.answer).verdict.accepted


@pytest.mark.parametrize(
    "payload",
    [
        "",
        "0109",
        "010900",
        "01090101070500190100040214" + "31" * 19,
        "01090101070500180100040213" + "31" * 19,
        "01090101070500190900040214" + "31" * 20,
        "01090101070200190100040214" + "31" * 20,
        "d92000000100",
    ],
)
def test_what_is_no_such_command_is_used_up_and_told(home: Family, payload: str) -> None:
    message = hand_in(home, home.token(7))
    with agree(home.keys[KIND.PPMID].agreement, home.keys[KIND.GSME].agreement.public_key()) as secret:
        other = add_mac(replace(message, payload=bytes.fromhex(payload), mac=None), secret)
    found = home.give(KIND.GSME, other.encode())
    assert (found.verdict.code, len(found.alerts)) == ("receive.payload", 1)
    assert home.give(KIND.GSME, message.encode()).verdict.code == "receive.counter"


def test_however_many_are_heard_of_nobody_joined_is_forgotten(home: Family) -> None:
    message = hand_in(home, home.token(1)).encode()
    assert home.give(KIND.GSME, message).verdict.accepted
    network = home.states[KIND.GSME].network
    for number in range(2 * HEARD_KEPT):
        network = network.having_heard(EntityId(number.to_bytes(8)), 1)
    assert len(network.heard) <= HEARD_KEPT + 1
    home.states[KIND.GSME] = replace(home.states[KIND.GSME], network=network)
    assert home.give(KIND.GSME, message).verdict.code == rules.REPLAY.code
