"""What a hub or a device in the home tries, with good keys and certificates of its own, against a meter beside it."""

from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from smki.entity import EntityId
from smki.gbcs.agreement import agree
from smki.gbcs.header import MessageCode
from smki.gbcs.message import Message
from smki.gbcs.protection import add_mac, sign
from tests.device.desk import READ
from tests.device.family import DEVICES, KIND, Family
from tests.parties.people import BROKER, SUPPLIER, arming

ESME = DEVICES[KIND.ESME]


@pytest.fixture
def home() -> Family:
    made = Family()
    made.join_gas()
    return made


def mac_by(home: Family, mine: ec.EllipticCurvePrivateKey, message: Message) -> Message:
    with agree(mine, home.keys[KIND.ESME].agreement.public_key()) as secret:
        return add_mac(message, secret)


@pytest.mark.parametrize("kind", [KIND.CHF, KIND.PPMID])
def test_a_neighbours_good_keys_command_no_meter(home: Family, kind: KIND) -> None:
    """In its own name, in the supplier's, in the broker's; signed and MACed by its own keys, or MACed alone."""
    its = home.keys[kind]
    before = home.states[KIND.ESME]
    for originator in (DEVICES[kind], SUPPLIER, BROKER):
        critical = sign(arming(5000, target=ESME, originator=originator), its.signing)
        reading = arming(5000, code=READ, target=ESME, originator=originator)
        for message in (critical, mac_by(home, its.agreement, critical), mac_by(home, its.agreement, reading)):
            found = home.give(KIND.ESME, message.encode())
            assert not found.verdict.accepted, originator
            assert not found.changes
    after = home.states[KIND.ESME]
    assert (after.counters, after.cells) == (before.counters, before.cells)


@pytest.mark.requirement("R-E2E-2")
def test_a_hub_that_changes_what_it_carries_is_found_out(home: Family) -> None:
    """Any octet of a command, and what it is for: another home's meter, another use case, another number."""
    good = home.command(KIND.ESME, MessageCode(0x0051), arming(1001, target=ESME).payload, signed=True)
    octets = good.encode()
    for place in range(0, len(octets), 3):
        changed = octets[:place] + bytes((octets[place] ^ 1,)) + octets[place + 1 :]
        assert not home.give(KIND.ESME, changed).verdict.accepted, place
    changes: list[dict[str, Any]] = [
        {"target": EntityId(ESME.octets[:-1] + b"\1")},
        {"code": MessageCode(0x0050)},
        {"counter": 1002},
    ]
    for change in changes:
        moved = replace(good, header=replace(good.header, **change))
        assert not home.give(KIND.ESME, moved.encode()).verdict.accepted, change
    assert home.give(KIND.ESME, octets).verdict.accepted, "as it was sent"
    assert home.give(KIND.ESME, octets).verdict.code == "receive.counter", "and not once more"
