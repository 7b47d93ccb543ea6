"""A hub's whitelist on the wire: octets as published messages have them, and what is none (CCS01 to CCS06, CS14)."""

from collections.abc import Callable
from typing import Any

import pytest

from smki.entity import EntityId
from smki.errors import InvalidInput
from smki.gbcs.install_code import InstallCode
from smki.gbcs.payload import hub
from smki.gbcs.payload.access import read_request
from smki.gbcs.payload.cosem_data import Value, read_value
from smki.gbcs.payload.octets import Cursor

METER, OTHER = EntityId.parse("00-DB-12-34-56-78-90-A0"), EntityId.parse("00-DB-12-34-56-78-90-A1")
CODE = InstallCode.parse("83FED3407A939723A5C639B26916D505C3B5")
AT, NETWORK, HASH = bytes(range(12)), bytes(range(8)), bytes(range(16))
WHOLE = hub.Backup(AT, NETWORK, (hub.BackedUp(METER, HASH), hub.BackedUp(OTHER)))
PLACE = "006800001e0300ff"
LISTED = f"0102 0202 0908{METER.octets.hex()} 0910{HASH.hex()} 0202 0908{OTHER.octets.hex()} 0900"
STRUCTURE = f"0203 090c{AT.hex()} 0908{NETWORK.hex()} {LISTED}"


def value(octets: str) -> Value:
    return read_value(Cursor(bytes.fromhex(octets), "big"))


def refused(make: Callable[..., Any], *args: Any) -> str:
    with pytest.raises(InvalidInput) as refusal:
        make(*args)
    assert refusal.value.code == "hub.form"
    return refusal.value.message


def test_commands_are_their_octets() -> None:
    """Counter in the low 24 bits of the invoke-id; one structure, one time, one boolean."""
    entry = f"0204 0908{METER.octets.hex()} 1601 0910{CODE.octets.hex()} 1600"
    for made, octets in (
        (
            hub.register(0x05000007, METER, CODE, 1),
            f"d920000007 00 03 03{PLACE}01 02{PLACE}03 02{PLACE}02 03 {entry} 120001 03ff",
        ),
        (
            hub.register(7, METER, CODE, 65_535),
            f"d920000007 00 03 03{PLACE}01 02{PLACE}03 02{PLACE}02 03 {entry} 12ffff 03ff",
        ),
        (hub.unregister(8, METER), f"d920000008 00 01 03{PLACE}02 01 0908{METER.octets.hex()}"),
        (hub.restore(9, WHOLE), f"d920000009 00 01 03{PLACE}05 01 {STRUCTURE}"),
        (hub.read_devices(10), f"d92000000a 00 01 01{PLACE}04 01 00"),
    ):
        assert made.hex() == octets.replace(" ", "")
        assert all(hub.is_network_control(one) for one in read_request(made))
    other = bytes.fromhex(f"d92000000a0001 01{PLACE}04 01 00".replace(" ", "").replace(PLACE, "006800001e0301ff"))
    assert not any(hub.is_network_control(one) for one in read_request(other))
    assert hub.CCS01 == 0x0001
    assert [int(code) for code in (hub.CCS02, hub.CCS03, hub.CCS06, hub.CS14)] == [0x0002, 0x0003, 0x010F, 0x0018]


def test_what_a_hub_does_not_take_is_not_made() -> None:
    short = InstallCode(bytes(12))
    assert "12 octets" in refused(hub.register, 1, METER, short, 1)
    for seconds in (0, -1, 65_536):
        assert f"{seconds} seconds" in refused(hub.register, 1, METER, CODE, seconds)


def test_a_whitelist_is_read_as_it_was_written() -> None:
    assert hub.Backup.of(value(STRUCTURE)) == WHOLE
    assert hub.Backup.of(value(hub.Backup(AT, NETWORK, ()).encode().hex())).devices == ()
    alert = hub.whitelist_alert(0x05000007, AT, WHOLE)
    assert alert.hex() == f"0f20000007 00 0203 128f12 090c{AT.hex()} {STRUCTURE}".replace(" ", "")
    assert hub.read_whitelist_alert(alert) == WHOLE


def test_a_whitelist_has_a_time_a_network_and_each_device_once() -> None:
    many = tuple(hub.BackedUp(EntityId(number.to_bytes(8))) for number in range(128))
    assert len(hub.Backup(AT, NETWORK, many[:127]).devices) == 127
    for args in ((AT[:-1], NETWORK, ()), (AT + b"\0", NETWORK, ()), (AT, NETWORK[:-1], ()), (AT, NETWORK, many)):
        assert "another date-time" in refused(hub.Backup, *args)
    assert "stands twice" in refused(hub.Backup, AT, NETWORK, (hub.BackedUp(METER), hub.BackedUp(METER, HASH)))
    for size in (1, 15, 17):
        assert f"{size} octets" in refused(hub.BackedUp, METER, bytes(size))


@pytest.mark.parametrize(
    ("octets", "said"),
    [
        ("00", "no structure of 3"),
        (STRUCTURE.replace("0203", "0103", 1), "no structure of 3"),
        (f"0202 090c{AT.hex()} 0908{NETWORK.hex()}", "no structure of 3"),
        (f"0203 090c{AT.hex()} 0908{NETWORK.hex()} 0200", "no list of devices"),
        (f"0203 090c{AT.hex()} 0908{NETWORK.hex()} 0101 0908{METER.octets.hex()}", "no structure of 2"),
        (f"0203 00 0908{NETWORK.hex()} 0100", "no octet-string"),
        (f"0203 0a02 6162 0908{NETWORK.hex()} 0100", "no octet-string"),
    ],
)
def test_what_is_no_whitelist_is_refused(octets: str, said: str) -> None:
    assert said in refused(hub.Backup.of, value(octets))


def test_what_is_no_registration_is_refused() -> None:
    device, code = f"0908{METER.octets.hex()}", f"0910{CODE.octets.hex()}"
    assert hub.read_registration(value(f"0204 {device} 1601 {code} 1600")) == hub.Registration(METER, CODE)
    assert hub.read_registration(value(f"0204 {device} 1601 {code} 1605")) == hub.Registration(METER, CODE)
    for octets, said in (
        (f"0203 {device} 1601 {code}", "no structure of 4"),
        (f"0204 {device} 1602 {code} 1600", "no install code"),
        (f"0204 {device} 1101 {code} 1600", "no install code"),
        (f"0204 {device} 1601 {code} 1100", "no install code"),
        (f"0204 {device} 1601 090f{CODE.octets.hex()[2:]} 1600", "15 octets"),
        (f"0204 {device} 1601 090c{bytes(12).hex()} 1600", "12 octets"),
        (f"0204 {device} 1601 00 1600", "no octet-string"),
    ):
        assert said in refused(hub.read_registration, value(octets))


def test_a_time_to_join_in_is_a_number_of_seconds() -> None:
    assert hub.read_seconds(value("12005a")) == 90
    for octets in ("115a", "00", "0902005a"):
        assert "no time" in refused(hub.read_seconds, value(octets))


def test_only_the_alert_of_a_whitelist_tells_one() -> None:
    alert = hub.whitelist_alert(7, AT, WHOLE)
    assert "another alert" in refused(hub.read_whitelist_alert, alert.replace(b"\x8f\x12", b"\x8f\x13", 1))
    for wrong in (alert + b"\0", b"\xd9" + alert[1:], alert[:5] + b"\1" + alert[6:], alert[:-1], b""):
        with pytest.raises(InvalidInput):
            hub.read_whitelist_alert(wrong)
