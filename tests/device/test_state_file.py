"""What a device remembers: how much of it, and that its file holds all of it or is no file of a device."""

import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from operator import methodcaller
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from smki.device.network import Entry, Hub, Listed, Network, Partner, Removed
from smki.device.state import DeviceKeys, DeviceState, LogLine, Past, Pending, new_state, read_state, write_state
from smki.device.update import Floors
from smki.entity import DeviceType, EntityId, KeyUsage, RemotePartyRole
from smki.errors import IntegrityFailure, InvalidInput, Refused
from smki.gbcs.agreement import KeyInfo, Purpose, SharedSecret
from smki.gbcs.payload.joins import JoinMethod
from tests.device.home import AT, COS, NORTH, SOUTH, Home, meter
from tests.device.test_credentials import change_of_supplier
from tests.device.test_hostile_credentials import bundle
from tests.parties.people import METER

OTHER = EntityId.parse("00-DB-12-34-56-78-90-A5")
LATER = AT + timedelta(days=1)


@cache
def full() -> tuple[DeviceState, DeviceKeys]:
    """A device that remembers something of every kind."""
    asked = {KeyUsage.KEY_AGREEMENT: ec.derive_private_key(7, ec.SECP256R1())}
    hub = Hub(
        bytes(range(8)),
        (Listed(OTHER, b"code", b"key", AT, LATER), Listed(METER)),
        (Removed(OTHER, b"gone"),),
        90,
    )
    network = Network(
        rules=replace(meter().network.rules, removed=3, not_listed=2, full=4, issuers=(b"\x30\x00",)),
        log=(Entry(OTHER, DeviceType.PPMID, JoinMethod.C, Partner(b"certificate", b"said")),
             Entry(METER, DeviceType.ESME, JoinMethod.B)),
        heard={OTHER: 12, METER: 1 << 63},
        awaited=((OTHER, 3), (METER, 4)),
        hub=hub,
    )  # fmt: skip
    state = replace(
        meter(),
        bundle=3,
        tokens=(5, 8),
        token_floor=4,
        own_counter=77,
        values={"class 1 0-0:1.0.0.255 2": b"\x11\x01"},
        log=(LogLine("2026-11-21T12:00:00Z", "accepted", "é"), LogLine("2026-11-21T12:00:01Z", "no", "two")),
        pending=(Pending(LATER, COS.entity, change_of_supplier(1, at=LATER).encode()),),
        past={
            Past(RemotePartyRole.SUPPLIER, SOUTH.entity): Floors(6, 7),
            Past(RemotePartyRole.RECOVERY, COS.entity): Floors(8),
        },
        network=network,
    )
    return state, replace(Home().keys, asked=asked)


def test_everything_that_a_device_knows_survives_its_file() -> None:
    state, keys = full()
    again, kept = read_state(write_state(state, keys))
    for one in fields(DeviceState):
        if one.name not in {"use_cases", "past"}:
            assert getattr(again, one.name) == getattr(state, one.name), one.name
    assert list(again.past) == list(state.past)
    assert [(one.counter, one.top_up) for one in again.past.values()] == [(6, 7), (8, 0)]
    assert [row.code for row in again.use_cases.all] == [row.code for row in state.use_cases.all]
    pairs = [(kept.signing, keys.signing), (kept.agreement, keys.agreement)]
    pairs += [(kept.asked[usage], key) for usage, key in keys.asked.items()]
    assert all(one.private_numbers() == other.private_numbers() for one, other in pairs)
    assert len(kept.asked) == 1


def test_a_file_of_a_device_is_lines_of_ascii_with_its_keys_in_order() -> None:
    octets = write_state(*full())
    assert octets.isascii()
    assert octets.endswith(b"}\n")
    assert octets.count(b"\n") == 1
    told = json.loads(octets)
    assert sorted(told) == ["form", "sha256", "state"]
    assert told["form"] == "smki-device-state/1"
    body = json.dumps(told["state"], sort_keys=True, separators=(",", ":")).encode()
    assert told["sha256"] == hashlib.sha256(body).hexdigest()


# What is no file of a device


def changed(change: Callable[[dict[str, Any]], object]) -> bytes:
    """A file that says something else, and whose digest is right."""
    told = json.loads(write_state(*full()))
    change(told["state"])
    body = json.dumps(told["state"], sort_keys=True, separators=(",", ":")).encode()
    told["sha256"] = hashlib.sha256(body).hexdigest()
    return json.dumps(told).encode()


def refused(octets: bytes) -> str:
    with pytest.raises(InvalidInput) as refusal:
        read_state(octets)
    assert refusal.value.code == "device.state"
    return refusal.value.message


def test_nothing_may_be_left_out() -> None:
    names = list(json.loads(write_state(*full()))["state"])
    assert len(names) == len(fields(DeviceState)) + 1  # its keys
    for name in names:
        assert "KeyError" in refused(changed(methodcaller("pop", name))), name


def _other_key() -> str:
    key = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32))
    return base64.b64encode(key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())).decode()


def _strange_key() -> str:
    key = ec.derive_private_key(7, ec.SECP256R1())
    der = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    known, strange = bytes.fromhex("2a8648ce3d030107"), bytes.fromhex("2a8648ce3d03017f")
    assert known in der
    return base64.b64encode(der.replace(known, strange)).decode()


WRONG: dict[str, Callable[[dict[str, Any]], object]] = {
    "a key of another kind": lambda told: told["keys"].update(signing=_other_key()),
    "a key on a curve that nobody knows": lambda told: told["keys"].update(signing=_strange_key()),
    "a number that is none": lambda told: told.update(more=float("nan")),
    "a key that is none": lambda told: told["keys"].update(agreement="MAA="),
    "octets that are not base64": lambda told: told["own"].update(digitalSignature="MA A="),
    "an order that is none": lambda told: told["pending"][0].__setitem__(2, "MAA="),
    "a time without a zone": lambda told: told["pending"][0].__setitem__(0, "2026-11-22T12:00:00"),
    "a log line of two words": lambda told: told["log"][0].pop(),
    "a list of cells": lambda told: told.update(cells=[]),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_says_something_else_is_no_file_of_a_device(name: str) -> None:
    with pytest.raises(InvalidInput):
        read_state(changed(WRONG[name]))


def test_a_file_is_of_its_form_whole_and_no_larger_than_sixteen_mebibytes() -> None:
    octets = write_state(*full())
    assert "known here" in refused(octets.replace(b"smki-device-state/1", b"smki-device-state/2"))
    with pytest.raises(IntegrityFailure) as failure:
        read_state(octets.replace(b'"token_floor":"4"', b'"token_floor":"3"'))
    assert failure.value.code == "device.state-changed"
    padded = octets.rstrip() + b" " * (16_777_216 - len(octets.rstrip()))
    assert read_state(padded)[0].token_floor == 4
    assert "is the limit" in refused(padded + b" ")


# How much is kept


def test_the_last_thousand_lines_of_the_log_are_kept() -> None:
    lines = tuple(LogLine("2026-11-21T12:00:00Z", "code", str(number)) for number in range(999))
    state = replace(meter(), log=lines).logged(datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC), "accepted", "new")
    assert (len(state.log), state.log[0].text) == (1000, "0")
    assert state.log[-1] == LogLine("2026-03-04T05:06:07Z", "accepted", "new")
    state = state.logged(AT, "accepted", "newer")
    assert (len(state.log), state.log[0].text, state.log[-1].text) == (1000, "1", "newer")


def _gave_up(secret: SharedSecret) -> bool:
    try:
        secret.message_key(KeyInfo(METER, Purpose.COMMAND, 1, OTHER))
    except Refused:
        return True
    return False


def test_sixteen_secrets_stay_in_memory_and_none_where_none_is_wanted() -> None:
    key = ec.derive_private_key(9, ec.SECP256R1())
    peers = [ec.derive_private_key(100 + number, ec.SECP256R1()).public_key() for number in range(17)]
    for keep, lost in ((None, 1), (0, 17)):
        keys = DeviceKeys(key, key) if keep is None else DeviceKeys(key, key, keep=keep)
        kept = []
        for number, peer in enumerate(peers):
            with keys.secrets.with_peer(peer, bytes((number,))) as secret:
                assert not _gave_up(secret)
                kept.append(secret)
        assert [_gave_up(one) for one in kept] == [number < lost for number in range(17)]


def test_no_private_key_is_in_the_text_that_is_made_of_keys() -> None:
    text = repr(full()[1])
    assert "PrivateKey" not in text
    assert "make" not in text


# The first bundle


def test_a_new_device_is_what_its_bundle_says() -> None:
    home = Home()
    given = replace(bundle(home, NORTH), version=12, top_up_floor=30, counters={RemotePartyRole.SUPPLIER: 40})
    state = new_state(given, home.keys)
    assert (state.bundle, state.token_floor, dict(state.counters), state.own_counter) == (
        12, 30, {RemotePartyRole.SUPPLIER: 40}, 1,
    )  # fmt: skip
    assert (state.device, state.kind, state.cells, state.own) == (METER, given.kind, given.cells, given.own)
    assert (state.tokens, state.log, state.pending, state.network.rules) == ((), (), (), given.joins)
    assert new_state(given, home.keys, 500).own_counter == 500
    other = ec.derive_private_key(9, ec.SECP256R1())
    for keys in (replace(home.keys, signing=other), replace(home.keys, agreement=other)):
        with pytest.raises(Refused) as refusal:
            new_state(given, keys)
        assert refusal.value.code == "bundle.key"
