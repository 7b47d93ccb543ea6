"""Joins on the home network: every outcome there is, by the commands that bring it about."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives.asymmetric import ec

from smki.device import establishment
from smki.device.cells import CellName, CellUse
from smki.device.establishment import Answer, Offer, Peer, Responder, link_key
from smki.device.join_rules import LIMIT, JoinRules, Method, Pair
from smki.device.joins import shared_with
from smki.device.network import Entry, Network
from smki.device.state import read_state, write_state
from smki.entity import EntityId, KeyUsage, RemotePartyRole
from smki.errors import Refused
from smki.gbcs.agreement import agree
from smki.gbcs.message import Protection, read_message
from smki.gbcs.payload.declared import read_declared, write_declared
from smki.gbcs.payload.joins import (
    CS03A1,
    CS03C,
    CS07,
    GCS59,
    JoinCode,
    JoinMethod,
    LogAlert,
    LogEntry,
    LogResponse,
    NamedDevice,
    NothingCommand,
    Restore,
    RestoreCommand,
    RestoreResponse,
    UnjoinCode,
)
from smki.gbcs.protection import mac_holds
from tests.device.desk import key
from tests.device.family import AT, DEVICES, DISPLAY, KIND, Air, Family, certified, device_keys
from tests.parties.people import BROKER

A1, A2, B, C = JoinMethod.A_INITIATOR, JoinMethod.A_RESPONDER, JoinMethod.B, JoinMethod.C
STRANGER = EntityId.parse("00-DB-12-34-56-78-90-EE")


@pytest.fixture
def home() -> Family:
    return Family()


# Method C


def test_both_ends_of_method_c_hold_the_same_secret_and_nobody_else(home: Family) -> None:
    home.join_gas()
    gsme, ppmid = home.states[KIND.GSME], home.states[KIND.PPMID]
    with (
        shared_with(gsme, home.keys[KIND.GSME], ppmid.device) as one,
        shared_with(ppmid, home.keys[KIND.PPMID], gsme.device) as other,
    ):
        assert one is not None
        assert other is not None
        assert one.derive(b"x", b"y", 32) == other.derive(b"x", b"y", 32)
    with shared_with(home.states[KIND.ESME], home.keys[KIND.ESME], ppmid.device) as none:
        assert none is None


def test_no_secret_is_in_the_file_or_in_words(home: Family) -> None:
    home.join_gas()
    state, keys = home.states[KIND.GSME], home.keys[KIND.GSME]
    secret = keys.agreement.exchange(ec.ECDH(), home.keys[KIND.PPMID].agreement.public_key())
    file = write_state(state, keys)
    assert read_state(file)[0].network == state.network
    for text in (secret.hex(), secret.hex().upper()):
        assert text not in file.decode()
        assert text not in repr(state) + repr(keys)


def test_leaving_ends_the_secret_on_both_sides(home: Family) -> None:
    home.join_gas()
    assert home.unjoin(KIND.GSME, C, DEVICES[KIND.PPMID]) is UnjoinCode.SUCCESS
    state = home.states[KIND.GSME]
    assert state.network.log == ()
    with shared_with(state, home.keys[KIND.GSME], DEVICES[KIND.PPMID]) as none:
        assert none is None
    assert home.unjoin(KIND.GSME, C, DEVICES[KIND.PPMID]) is UnjoinCode.NOT_IN_DEVICE_LOG


def test_a_secret_is_overwritten_when_its_join_ends(home: Family) -> None:
    home.join_gas()
    with shared_with(home.states[KIND.GSME], home.keys[KIND.GSME], DEVICES[KIND.PPMID]) as secret:
        kept = secret
    assert kept is not None
    assert kept.derive(b"", b"", 16)
    assert home.unjoin(KIND.GSME, C, DEVICES[KIND.PPMID]) is UnjoinCode.SUCCESS
    with pytest.raises(Refused):
        kept.derive(b"", b"", 16)


def test_a_join_that_took_a_signature_is_not_undone_without_one(home: Family) -> None:
    home.join_gas()
    assert home.unjoin(KIND.GSME, B, DEVICES[KIND.PPMID]) is UnjoinCode.OTHER_FAILURE
    assert home.states[KIND.GSME].network.find(DEVICES[KIND.PPMID])


def test_a_new_certificate_takes_another_join(home: Family) -> None:
    """The log names the same device; what is shared is shared with its new key."""
    home.join_gas()
    renewed = ec.generate_private_key(ec.SECP256R1())
    assert home.join(KIND.GSME, C, KIND.PPMID, carried=certified(renewed, DEVICES[KIND.PPMID])) is JoinCode.SUCCESS
    assert len(home.states[KIND.GSME].network.log) == 1
    gsme = home.keys[KIND.GSME]
    with shared_with(home.states[KIND.GSME], gsme, DEVICES[KIND.PPMID]) as secret:
        assert secret is not None
        with agree(renewed, gsme.agreement.public_key()) as theirs:
            assert secret.derive(b"x", b"y", 32) == theirs.derive(b"x", b"y", 32)


def other_usage(home: Family) -> bytes:
    return home.states[KIND.PPMID].own[KeyUsage.DIGITAL_SIGNATURE]


def other_device(home: Family) -> bytes:
    return home.states[KIND.HCALCS].own[KeyUsage.KEY_AGREEMENT]


def organisation(home: Family) -> bytes:
    return next(cell.certificate for name, cell in home.states[KIND.GSME].cells.items() if name.role == 4)


@pytest.mark.parametrize("make", [other_usage, other_device, organisation, lambda _: b""])
def test_a_certificate_that_is_not_the_others_is_refused(home: Family, make: Callable[[Family], bytes]) -> None:
    """Code 11: of another usage, device or kind; and none at all."""
    before = home.states[KIND.GSME].network.log
    found = home.join(KIND.GSME, C, KIND.PPMID, carried=make(home))
    assert found is JoinCode.INVALID_OR_MISSING_CERTIFICATE
    assert home.states[KIND.GSME].network.log == before


def test_a_certificate_comes_with_method_c_alone(home: Family) -> None:
    carried = home.states[KIND.HCALCS].own[KeyUsage.KEY_AGREEMENT]
    assert home.join(KIND.ESME, A1, KIND.HCALCS, carried=carried) is JoinCode.INVALID_OR_MISSING_CERTIFICATE


# Methods A and B


def join_switch(home: Family) -> None:
    """In the order that method A has: first the other, then the meter, which begins."""
    assert home.join(KIND.HCALCS, A2, KIND.ESME) is JoinCode.SUCCESS
    assert home.join(KIND.ESME, A1, KIND.HCALCS) is JoinCode.SUCCESS


def test_both_ends_of_method_a_hold_the_same_key(home: Family) -> None:
    join_switch(home)
    ends = [
        home.states[kind].network.find(DEVICES[other])
        for kind, other in ((KIND.ESME, KIND.HCALCS), (KIND.HCALCS, KIND.ESME))
    ]
    keys = []
    for kind, entry in zip((KIND.ESME, KIND.HCALCS), ends, strict=True):
        assert entry is not None
        assert entry.partner is not None
        keys.append(link_key(home.keys[kind].secrets, entry.partner))
    assert keys[0] == keys[1]
    assert len(keys[0]) == 16
    again = read_state(write_state(home.states[KIND.ESME], home.keys[KIND.ESME]))[0]
    assert again.network == home.states[KIND.ESME].network
    assert keys[0].hex() not in write_state(again, home.keys[KIND.ESME]).decode()


def test_the_meter_first_finds_nobody(home: Family) -> None:
    assert home.join(KIND.ESME, A1, KIND.HCALCS) is JoinCode.NO_RESPONSE
    assert home.states[KIND.ESME].network.log == ()
    assert home.states[KIND.HCALCS].network.log == ()


def test_every_join_gives_another_key(home: Family) -> None:
    join_switch(home)
    first = home.states[KIND.ESME].network.log
    assert home.join(KIND.ESME, A1, KIND.HCALCS) is JoinCode.SUCCESS
    assert home.states[KIND.ESME].network.log != first


def test_method_b_tells_one(home: Family) -> None:
    assert home.join(KIND.GSME, B, KIND.GPF) is JoinCode.SUCCESS
    assert home.states[KIND.GPF].network.log == ()
    assert home.join(KIND.ESME, B, KIND.TYPE_2) is JoinCode.SUCCESS
    entry = home.states[KIND.ESME].network.find(DISPLAY)
    assert entry is not None
    assert entry.partner is not None
    assert home.display.partner is not None
    theirs = link_key(home.display._own.agreement, home.display.partner[1])
    assert link_key(home.keys[KIND.ESME].secrets, entry.partner) == theirs
    assert home.unjoin(KIND.ESME, B, DISPLAY) is UnjoinCode.SUCCESS


# Every code


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


def stranger() -> bytes:
    return certified(device_keys(STRANGER).agreement, STRANGER)


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


def test_one_that_is_busy(home: Family) -> None:
    """Code 6: the other has begun with somebody, and has not ended."""
    offer = Offer(STRANGER, KIND.ESME, KIND.TYPE_2, stranger(), bytes(16))
    assert isinstance(home.display.answer(offer), Answer)
    assert home.join(KIND.ESME, B, KIND.TYPE_2) is JoinCode.NO_RESOURCES
    assert not home.display.confirm(bytes(32))
    assert home.join(KIND.ESME, B, KIND.TYPE_2) is JoinCode.SUCCESS


@pytest.mark.parametrize("code", [JoinCode.NO_PARTNER_LINK_KEY, JoinCode.NO_RESPONSE])
def test_one_that_cannot_be_reached(home: Family, code: JoinCode) -> None:
    """Codes 12 and 13: the hub does not introduce it; it does not answer."""
    assert home.join(KIND.ESME, B, KIND.TYPE_2, air=Air(home, {DISPLAY: code})) is code
    assert home.states[KIND.ESME].network.log == ()


def test_the_code_of_another_method(home: Family) -> None:
    """Code 1."""
    assert home.join(KIND.ESME, A2, KIND.HCALCS, code=CS03A1) is JoinCode.INVALID_MESSAGE_CODE
    assert home.join(KIND.GSME, B, KIND.GPF, code=CS03C) is JoinCode.INVALID_MESSAGE_CODE


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
    join_switch(home)
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


def test_all_codes_are_in_this_file() -> None:
    from pathlib import Path

    text = Path(__file__).read_text(encoding="utf-8")
    assert [code for code in JoinCode if f"JoinCode.{code.name}" not in text] == []


def test_a_device_without_rules_joins_nobody(home: Family) -> None:
    home.states[KIND.GSME] = replace(home.states[KIND.GSME], network=Network())
    assert home.join(KIND.GSME, C, KIND.PPMID) is JoinCode.INVALID_METHOD_AND_ROLE


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


# Logs


def test_the_log_is_read(home: Family) -> None:
    home.join_gas()
    assert home.join(KIND.GSME, B, KIND.GPF) is JoinCode.SUCCESS
    message = home.command(KIND.GSME, CS07, write_declared(NothingCommand(payload=asn1.Null())), signed=False)
    found = home.give(KIND.GSME, message.encode())
    assert found.answer is not None
    log = read_declared(LogResponse, read_message(found.answer).payload).payload
    entries = log.entries or []
    assert [(one.device, one.device_type) for one in entries] == [
        (DEVICES[KIND.PPMID].octets, NamedDevice.PPMID),
        (DEVICES[KIND.GPF].octets, NamedDevice.GPF),
    ]


def test_a_proxys_log_goes_to_the_next_proxy(home: Family) -> None:
    """GCS62 tells it, GCS59 gives it back; no key comes with it."""
    found = home.join(KIND.GPF, B, KIND.TYPE_2)
    assert found is JoinCode.SUCCESS
    message = home.command(KIND.GPF, GCS59, restoring(entry(STRANGER, NamedDevice.PPMID)), signed=False)
    done = home.give(KIND.GPF, message.encode())
    (octets,) = done.alerts
    alert = read_message(octets)
    assert (alert.header.target, alert.protection) == (BROKER, Protection.MAC)
    broker = key(CellName(RemotePartyRole.ACCESS_CONTROL_BROKER, CellUse.KEY_AGREEMENT))
    with agree(broker, home.keys[KIND.GPF].agreement.public_key()) as secret:
        assert mac_holds(alert, secret)
    told = read_declared(LogAlert, alert.payload).payload
    assert (told.alert_code, told.backup_date_time.as_datetime()) == (0x8071, AT)
    assert [one.device for one in told.entries] == [DISPLAY.octets, STRANGER.octets]

    following = Family()
    message = following.command(
        KIND.GPF, GCS59, write_declared(RestoreCommand(payload=Restore(entries=told.entries))), signed=False
    )
    restored = following.give(KIND.GPF, message.encode())
    log = following.states[KIND.GPF].network.log
    assert [one.device for one in log] == [DISPLAY, STRANGER]
    assert [one.partner for one in log] == [None, None]
    assert len(restored.alerts) == 1
    assert following.join(KIND.GPF, B, KIND.TYPE_2) is JoinCode.SUCCESS


def entry(device: EntityId, kind: NamedDevice) -> LogEntry:
    return LogEntry(device=device.octets, device_type=kind)


def restoring(*entries: LogEntry) -> bytes:
    return write_declared(RestoreCommand(payload=Restore(entries=list(entries))))


def test_what_cannot_be_restored_is_told_one_by_one(home: Family) -> None:
    state = home.states[KIND.GPF]
    few = replace(state.network.rules, capacity={KIND.GPF: 1})
    home.states[KIND.GPF] = replace(state, network=replace(state.network, rules=few))
    asked = restoring(
        entry(STRANGER, NamedDevice.ESME),
        entry(STRANGER, NamedDevice.PPMID),
        entry(STRANGER, NamedDevice.TYPE_2),
        entry(DISPLAY, NamedDevice.TYPE_2),
    )
    found = home.give(KIND.GPF, home.command(KIND.GPF, GCS59, asked, signed=False).encode())
    assert found.answer is not None
    outcomes = read_declared(RestoreResponse, read_message(found.answer).payload).payload.outcomes
    assert [one.code for one in outcomes] == [
        JoinCode.INVALID_METHOD_AND_ROLE,
        JoinCode.SUCCESS,
        JoinCode.INCOMPATIBLE_WITH_EXISTING_ENTRY,
        JoinCode.DEVICE_LOG_FULL,
    ]


def test_a_stranger_is_not_answered(home: Family) -> None:
    """Whoever the log does not name, and method B does not allow, hears nothing of a device's key."""
    offer = Offer(STRANGER, KIND.ESME, KIND.HCALCS, stranger(), bytes(16))
    reached = Air(home).reach(DEVICES[KIND.HCALCS])
    assert isinstance(reached, Responder)
    assert reached.answer(offer) is JoinCode.NO_RESPONSE
    assert offer.suite == establishment.SUITE
