"""A communications hub's whitelist: who is let in, who is known again, and how the next hub comes to know it."""

import os
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smki.device.cells import CellName, CellUse
from smki.device.hub import admit, with_key
from smki.device.receive import Received
from smki.device.state import read_state, write_state
from smki.entity import EntityId, RemotePartyRole
from smki.errors import InvalidInput
from smki.gbcs.agreement import agree
from smki.gbcs.header import MessageCode, encode_length
from smki.gbcs.install_code import InstallCode, mmo_hash
from smki.gbcs.message import Protection, read_message
from smki.gbcs.payload import hub as wire
from smki.gbcs.payload.access import Access, read_request, write_response
from smki.gbcs.payload.dlms import read_dlms
from smki.gbcs.protection import mac_holds
from tests.device.desk import key, policies
from tests.device.family import AT, DEVICES, KIND, Family
from tests.parties.people import BROKER

CODE = InstallCode.parse("83FED3407A939723A5C639B26916D505C3B5")
METER = DEVICES[KIND.ESME]
SECONDS = 90


@pytest.fixture
def home() -> Family:
    return Family()


def order(home: Family, code: int, payload: bytes) -> Received:
    return home.give(KIND.CHF, home.command(KIND.CHF, MessageCode(code), payload, signed=False).encode())


def listing(home: Family, device: EntityId = METER, code: InstallCode = CODE) -> Received:
    return order(home, wire.CCS01, wire.register(home.counter + 1, device, code, SECONDS))


def results(found: Received) -> bytes:
    """The results at the end of an access response: those of actions and of what is set."""
    assert found.answer is not None
    return read_message(found.answer).payload[-6:]


def listed(home: Family) -> list[EntityId]:
    return [one.device for one in home.states[KIND.CHF].network.hub.listed]


def let_in(home: Family, device: EntityId, link_key: bytes, seconds: float) -> bool:
    done = admit(home.states[KIND.CHF], home.keys[KIND.CHF], device, link_key, AT + timedelta(seconds=seconds))
    if done is not None:
        home.states[KIND.CHF] = done.state
    return done is not None


def test_a_device_is_listed_and_told(home: Family) -> None:
    found = listing(home)
    assert results(found) == bytes.fromhex("030002000200")
    assert found.changes[0] == f"put {METER} on the whitelist"
    (octets,) = found.alerts
    alert = read_message(octets)
    assert (alert.header.code, alert.header.target, alert.protection) == (0x0018, BROKER, Protection.MAC)
    broker = key(CellName(RemotePartyRole.ACCESS_CONTROL_BROKER, CellUse.KEY_AGREEMENT))
    with agree(broker, home.keys[KIND.CHF].agreement.public_key()) as secret:
        assert mac_holds(alert, secret)
    assert wire.read_whitelist_alert(alert.payload).devices == (wire.BackedUp(METER),)


def test_one_that_is_listed_stays_as_it_was(home: Family) -> None:
    listing(home)
    before = home.states[KIND.CHF].network.hub
    found = listing(home, code=InstallCode(bytes(16)))
    assert results(found) == bytes.fromhex("030002000200")
    assert found.alerts == ()
    assert home.states[KIND.CHF].network.hub.listed[0].code_hash == before.listed[0].code_hash


@pytest.mark.requirement("R-NTK-5")
def test_neither_code_nor_key_is_in_the_file(home: Family) -> None:
    listing(home)
    state, keys = home.states[KIND.CHF], home.keys[KIND.CHF]
    file = write_state(state, keys)
    again = read_state(file)[0]
    assert again.network == state.network
    for secret in (CODE.octets, CODE.printed, CODE.link_key):
        assert secret.hex() not in file.decode()
        assert secret.hex() not in repr(state)


def test_the_door_opens_to_the_right_key_in_time(home: Family) -> None:
    assert not let_in(home, METER, CODE.link_key, 1)
    listing(home)
    assert not let_in(home, METER, os.urandom(16), 1)
    assert not let_in(home, DEVICES[KIND.GSME], CODE.link_key, 1)
    assert not let_in(home, METER, CODE.link_key, SECONDS)
    assert not let_in(home, METER, CODE.link_key, -1)
    assert let_in(home, METER, CODE.link_key, SECONDS - 1)
    assert not let_in(home, METER, CODE.link_key, SECONDS - 1), "once it is in, the door is closed"
    assert home.states[KIND.CHF].network.hub.listed[0].key_hash == mmo_hash(CODE.link_key)


def test_one_that_comes_back_is_known_by_its_old_key_first(home: Family) -> None:
    """In the first half of its time; in the second by its install code."""
    listing(home)
    new = os.urandom(16)
    assert let_in(home, METER, CODE.link_key, 1)
    rekeyed = with_key(home.states[KIND.CHF], home.keys[KIND.CHF], METER, new, AT)
    assert rekeyed is not None
    assert len(rekeyed.alerts) == 1, "a link key that changed is told"
    home.states[KIND.CHF] = rekeyed.state
    order(home, wire.CCS02, wire.unregister(home.counter + 1, METER))
    assert listed(home) == []
    assert home.states[KIND.CHF].network.hub.removed[0].key_hash == mmo_hash(new)
    listing(home)
    waiting = home.states[KIND.CHF]
    assert not let_in(home, METER, CODE.link_key, 10)
    assert not let_in(home, METER, new, 50)
    assert let_in(home, METER, new, 10)
    home.states[KIND.CHF] = waiting
    assert let_in(home, METER, CODE.link_key, 50)


def test_fifteen_are_remembered(home: Family) -> None:
    for number in range(17):
        device = EntityId(bytes((0, 0xDB, 0x12, 0, 0, 0, 1, number)))
        listing(home, device)
        assert let_in(home, device, CODE.link_key, 1)
        found = order(home, wire.CCS02, wire.unregister(home.counter + 1, device))
        assert results(found)[-2:] == bytes.fromhex("0300")
        assert len(found.alerts) == 1
    kept = [one.device.octets[-1] for one in home.states[KIND.CHF].network.hub.removed]
    assert kept == list(range(2, 17))


def test_one_that_is_not_listed_cannot_be_removed(home: Family) -> None:
    found = order(home, wire.CCS02, wire.unregister(home.counter + 1, METER))
    assert results(found)[-2:] == bytes.fromhex("0301")
    assert found.alerts == ()


def test_there_is_an_end_to_the_list(home: Family) -> None:
    capacity = home.states[KIND.CHF].network.rules.capacity[KIND.CHF]
    for number in range(capacity):
        listing(home, EntityId(bytes((0, 0xDB, 0x12, 0, 0, 0, 1, number))))
    found = listing(home)
    assert results(found) == bytes.fromhex("03fa02000200")
    assert METER not in listed(home)


def test_the_next_hub_is_given_what_the_last_one_told(home: Family) -> None:
    """CS14 goes out, CCS03 comes in."""
    listing(home)
    assert let_in(home, METER, CODE.link_key, 1)
    found = listing(home, DEVICES[KIND.GSME])
    backup = wire.read_whitelist_alert(read_message(found.alerts[0]).payload)
    assert [bool(one.key_hash) for one in backup.devices] == [True, False]
    following = Family()
    restored = order(following, wire.CCS03, wire.restore(following.counter + 1, backup))
    assert results(restored)[-2:] == bytes.fromhex("0300")
    assert listed(following) == [METER, DEVICES[KIND.GSME]]
    assert len(restored.alerts) == 1
    again = wire.read_whitelist_alert(read_message(restored.alerts[0]).payload)
    assert again.devices == backup.devices


def test_a_list_that_is_too_long_is_not_taken_in_part(home: Family) -> None:
    many = tuple(wire.BackedUp(EntityId(bytes((0, 0xDB, 0x12, 0, 0, 0, 1, n)))) for n in range(40))
    found = order(home, wire.CCS03, wire.restore(home.counter + 1, wire.Backup(bytes(12), bytes(8), many)))
    assert results(found)[-2:] == bytes.fromhex("03fa")
    assert listed(home) == []


def test_who_is_listed_can_be_read(home: Family) -> None:
    listing(home)
    found = order(home, wire.CCS06, wire.read_devices(home.counter + 1))
    assert found.answer is not None
    assert METER.octets in read_message(found.answer).payload
    assert read_dlms(read_message(found.answer).payload, policies().names).nodes


def test_other_objects_are_not_the_whitelist(home: Family) -> None:
    other = wire.read_devices(home.counter + 1).replace(bytes.fromhex("006800001e0300ff"), bytes(8))
    assert order(home, wire.CCS06, other).verdict.code == "receive.payload"


def test_a_command_asks_what_its_code_says_and_no_more(home: Family) -> None:
    """Who may send a command goes by its code: a read that lists a device would be another's command."""
    listing(home)
    backup = wire.Backup(bytes(12), bytes(8), (wire.BackedUp(DEVICES[KIND.GSME]),))
    before = home.states[KIND.CHF].network.hub
    for mine, payload in (
        (wire.CCS01, lambda counter: wire.register(counter, DEVICES[KIND.GSME], CODE, SECONDS)),
        (wire.CCS02, lambda counter: wire.unregister(counter, METER)),
        (wire.CCS03, lambda counter: wire.restore(counter, backup)),
        (wire.CCS06, wire.read_devices),
    ):
        for code in (wire.CCS01, wire.CCS02, wire.CCS03, wire.CCS06):
            if code != mine:
                found = order(home, code, payload(home.counter + 1))
                assert (found.verdict.code, found.alerts) == ("receive.payload", ())
    assert home.states[KIND.CHF].network.hub == before


def test_nothing_is_done_of_a_command_that_asks_one_thing_too_many(home: Family) -> None:
    """The door is not even opened, whatever stands before the thing that is not allowed."""
    payload = wire.register(home.counter + 1, METER, CODE, SECONDS)
    place = bytes.fromhex("006800001e0300ff")
    opening, removing = bytes((2,)) + place + bytes((2,)), bytes((3,)) + place + bytes((2,))
    assert payload.count(opening) == 1
    found = order(home, wire.CCS01, payload.replace(opening, removing))
    assert found.verdict.code == "receive.payload"
    assert listed(home) == []


def test_one_that_asks_too_much_is_refused(home: Family) -> None:
    """A count above 127 takes another octet, in which no answer was ever seen."""
    one = wire.read_devices(home.counter + 1)
    start, wanted = one[:6], one[7:17]
    for count, code in ((127, "accepted"), (128, "receive.payload"), (300, "receive.payload")):
        said = encode_length(count)
        payload = start + said + wanted * count + said + bytes(count)
        assert order(home, wire.CCS06, payload).verdict.code == code


def test_counts_of_answers_are_lengths() -> None:
    answered = [(Access.GET, b"\0", 0)] * 200
    data = write_response(wire.read_devices(1), answered)
    assert data == bytes.fromhex("da200000010000 81c8") + bytes(200) + bytes.fromhex("81c8") + bytes((1, 0)) * 200


@pytest.mark.parametrize(
    ("form", "other"),
    [
        ("02040908", "01040908"),  # an array, and no structure
        ("1601", "1600"),  # a key of another kind than an install code
        ("0910", "0a10"),  # the code as text
        ("1600", "1100"),  # no word on whether more follows
        ("12005a", "10005a"),  # a time that could be below nought
        ("03ff", "11ff"),  # the door is to be neither open nor closed
    ],
)
def test_forms_that_are_no_registration(home: Family, form: str, other: str) -> None:
    payload = wire.register(home.counter + 1, METER, CODE, SECONDS)
    assert payload.count(bytes.fromhex(form)) == 1
    broken = payload.replace(bytes.fromhex(form), bytes.fromhex(other))
    assert order(home, wire.CCS01, broken).verdict.code == "receive.payload"
    assert listed(home) == []


@pytest.mark.parametrize("seconds", [0, -1, 65536])
def test_times_that_cannot_be_said(seconds: int) -> None:
    with pytest.raises(InvalidInput):
        wire.register(1, METER, CODE, seconds)


def test_short_codes_are_not_for_hubs() -> None:
    with pytest.raises(InvalidInput):
        wire.register(1, METER, InstallCode(bytes(8)), SECONDS)


entities = st.binary(min_size=8, max_size=8).map(EntityId)


@given(st.lists(entities, unique=True, max_size=20), st.data())
def test_backups_are_read_as_written(devices: list[EntityId], data: st.DataObject) -> None:
    hashes = st.sampled_from((b"", bytes(range(16))))
    backup = wire.Backup(
        data.draw(st.binary(min_size=12, max_size=12)),
        data.draw(st.binary(min_size=8, max_size=8)),
        tuple(wire.BackedUp(one, data.draw(hashes)) for one in devices),
    )
    counter = data.draw(st.integers(0, 1 << 64))
    assert wire.read_whitelist_alert(wire.whitelist_alert(counter, bytes(12), backup)) == backup
    (asked,) = read_request(wire.restore(counter, backup))
    assert wire.Backup.of(asked.value) == backup


def test_a_device_stands_once_in_a_backup() -> None:
    with pytest.raises(InvalidInput):
        wire.Backup(bytes(12), bytes(8), (wire.BackedUp(METER), wire.BackedUp(METER)))
    with pytest.raises(InvalidInput):
        wire.BackedUp(METER, b"1")


def test_a_new_state_goes_through_its_file(home: Family) -> None:
    listing(home)
    state = replace(home.states[KIND.CHF])
    assert read_state(write_state(state, home.keys[KIND.CHF]))[0].network.hub == state.network.hub
