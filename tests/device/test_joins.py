"""Joins on the home network: every outcome there is, by the commands that bring it about."""

from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from smki.device.establishment import link_key
from smki.device.joins import shared_with
from smki.device.state import read_state, write_state
from smki.entity import KeyUsage
from smki.errors import Refused
from smki.gbcs.agreement import agree
from smki.gbcs.payload.joins import (
    JoinCode,
    JoinMethod,
    UnjoinCode,
)
from tests.device.family import DEVICES, DISPLAY, KIND, Family, certified

A1, A2, B, C = JoinMethod.A_INITIATOR, JoinMethod.A_RESPONDER, JoinMethod.B, JoinMethod.C


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


@pytest.mark.requirement("R-NTK-5")
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


@pytest.mark.requirement("R-NTK-5")
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


def test_both_ends_of_method_a_hold_the_same_key(home: Family) -> None:
    home.join_switch()
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
    home.join_switch()
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
