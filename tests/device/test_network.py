"""What a device remembers of its home network: how many, in which order, and what ends with a join."""

import binascii

import pytest

from smki.device.join_rules import LIMIT, JoinRules, Method, Pair
from smki.device.network import Entry, Hub, Listed, Network, Partner, from_base64, read_moment
from smki.entity import DeviceType, EntityId
from smki.gbcs.payload.joins import JoinMethod

KIND = DeviceType
PARTNER = Partner(b"certificate")


def device(number: int) -> EntityId:
    return EntityId(number.to_bytes(8))


def entry(number: int, kind: DeviceType = KIND.PPMID, method: JoinMethod = JoinMethod.C) -> Entry:
    return Entry(device(number), kind, method, PARTNER)


LOG = (entry(1), entry(2, KIND.GPF, JoinMethod.B), entry(3))
WHOLE = Network(JoinRules(LIMIT), LOG, awaited=((device(1), 5), (device(2), 6), (device(1), 7)))


def test_sixty_four_devices_are_remembered_by_their_counters_the_latest_last() -> None:
    network = Network()
    for number in range(66):
        network = network.having_heard(device(number), 100 + number)
    assert network.heard == {device(number): 100 + number for number in range(2, 66)}
    again = network.having_heard(device(30), 500)
    assert list(again.heard) == [device(number) for number in (*range(2, 30), *range(31, 66), 30)]
    assert again.heard[device(30)] == 500


def test_nobody_who_is_joined_is_forgotten() -> None:
    network = Network(log=tuple(entry(number) for number in range(70)))
    for number in range(70):
        network = network.having_heard(device(number), number)
    assert len(network.heard) == 70
    network = network.having_heard(device(99), 1)
    assert set(network.heard) == {*(device(number) for number in range(70)), device(99)}
    later = network.having_heard(device(98), 2)
    assert device(99) not in later.heard
    assert len(later.heard) == 71


def test_sixteen_commands_await_their_answers() -> None:
    network = Network()
    for number in range(17):
        network = network.awaiting(device(1), number)
    assert network.awaited == tuple((device(1), number) for number in range(1, 17))
    after = network.answered(device(1), 5).answered(device(2), 6)
    assert after.awaited == tuple((device(1), number) for number in range(1, 17) if number != 5)


def test_one_that_leaves_is_forgotten_with_what_it_was_to_answer() -> None:
    after = WHOLE.without(device(1))
    assert (after.log, after.awaited) == (LOG[1:], ((device(2), 6),))
    assert WHOLE.find(device(3)) == LOG[2]
    assert WHOLE.find(device(4)) is None


def test_one_that_joins_again_stands_where_it_stood() -> None:
    new = Entry(device(2), KIND.GPF, JoinMethod.B)
    assert WHOLE.with_entry(new).log == (LOG[0], new, LOG[2])
    assert WHOLE.with_entry(entry(9)).log == (*LOG, entry(9))


def test_rules_that_no_longer_permit_a_join_end_what_it_shared() -> None:
    """A gas meter with a PPMID by method C, and with a gas proxy by method B."""
    fewer = JoinRules(frozenset({Pair(Method.B, KIND.GSME, KIND.GPF)}))
    after = WHOLE.under(fewer, KIND.GSME)
    assert [one.partner for one in after.log] == [None, PARTNER, None]
    assert [one.device for one in after.log] == [one.device for one in LOG]
    assert (after.awaited, after.rules) == (((device(2), 6),), fewer)
    assert WHOLE.under(JoinRules(LIMIT), KIND.GSME) == WHOLE
    over = WHOLE.without_secrets()
    assert ([one.partner for one in over.log], over.awaited) == ([None] * 3, ())


def test_a_hub_finds_whom_it_lists() -> None:
    hub = Hub(listed=(Listed(device(1)), Listed(device(2), b"code")))
    assert hub.find(device(2)) == Listed(device(2), b"code")
    assert hub.find(device(3)) is None
    assert hub.network == bytes(8)


def test_no_certificate_is_in_the_text_that_is_made_of_a_partner() -> None:
    assert "certificate" not in repr(PARTNER)


def test_times_have_zones_and_octets_are_base64_and_nothing_else() -> None:
    assert read_moment("2026-11-21T12:00:00+00:00").tzinfo is not None
    with pytest.raises(ValueError, match=r"^$"):
        read_moment("2026-11-21T12:00:00")
    assert from_base64("MAA=") == b"\x30\x00"
    for text in ("MA A=", "MAA", "MAA=\n", "M-A="):
        with pytest.raises(binascii.Error):
            from_base64(text)
