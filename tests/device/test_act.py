"""What a device does when a command is good, and the octets of what it says of it: responses and alerts."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from cryptography.hazmat import asn1

from smki.device import verdict as rules
from smki.device.answer import response_header
from smki.device.cells import CellName, CellUse
from smki.device.receive import Received
from smki.entity import RemotePartyRole
from smki.gbcs.header import Cra, Header, MessageCode, Supplementary
from smki.gbcs.message import Message, Protection, read_message
from smki.gbcs.payload.declared import read_declared, write_declared
from smki.gbcs.payload.firmware import GCS28, ClockCommand, ClockResponse, ClockStatus, Interval
from smki.gbcs.protection import sign, signature_holds
from tests.device.desk import READ, Desk, command, keys, signer, with_mac
from tests.device.family import AT, KIND, Family
from tests.parties.people import BROKER, METER, SUPPLIER, arming

SUPPLIER_SIGNS = CellName(RemotePartyRole.SUPPLIER, CellUse.DIGITAL_SIGNATURE)
NOON = "07ea0b15ff0c000000" + "8000ff"  # the 21st of November 2026: no day of the week, deviation not said
FREEZE = MessageCode(0x006F)  # GCS05: the supplier signs it, a gas meter knows it


def answered(found: Received) -> Message:
    assert found.answer is not None
    return read_message(found.answer)


# DLMS


def asking(payload: str, counter: int = 1000) -> Message:
    plain = arming(counter)
    return with_mac(sign(replace(plain, payload=bytes.fromhex(payload)), signer()))


def test_what_is_set_is_read_again_and_what_is_executed_is_told() -> None:
    register, other, script = "0001 0000010000ff 02", "0001 0000010000ff 03", "0009 00000a006aff 01"
    desk = Desk()
    found = desk.receive(
        asking(f"d9 20000001 00 04 02{register} 01{register} 01{other} 03{script} 04 1105 00 00 120036")
    )
    assert found.verdict.accepted
    answer = answered(found)
    # The same invoke-id; four data; four results: set, read, an object that is unknown, executed.
    assert answer.payload.hex(" ") == bytes.fromhex("da 20000001 00 00 04 00 1105 00 00 04 0200 0100 0104 0300").hex(
        " "
    )
    assert found.changes == (
        "set class 1 0-0:1.0.0.255 2 to 1105", "executed class 9 0-0:10.0.106.255 1 with 120036",
    )  # fmt: skip
    assert dict(desk.state.values) == {"class 1 0-0:1.0.0.255 2": b"\x11\x05"}
    found = desk.receive(asking(f"d9 20000002 00 02 01{register} 02{other} 02 00 1106", 1001))
    assert answered(found).payload.endswith(bytes.fromhex("02 1105 00 02 0100 0200"))
    assert len(desk.state.values) == 2


def test_a_response_has_its_commands_counter_and_names_turned_round() -> None:
    desk = Desk()
    answer = answered(desk.receive(command(1000)))
    header = answer.header
    assert (header.cra, header.counter, header.originator, header.target, header.code) == (
        Cra.RESPONSE, 1000, METER, SUPPLIER, 0x0051,
    )  # fmt: skip
    assert (header.supplementary, answer.protection) == (None, Protection.SIGNATURE)
    assert signature_holds(answer, keys().signing.public_key())
    assert desk.state.own_counter == 1
    row = desk.state.use_cases[READ]
    assert row.dated == bool(answered(desk.receive(with_mac(arming(1001, code=READ)))).header.date_time)


@pytest.mark.parametrize("payload", ["", "00", "d8", "0108 00", "30 03 020101"])
def test_what_this_device_does_not_act_on_is_not_done(payload: str) -> None:
    found = Desk().receive(asking(payload))
    assert (found.verdict.code, found.changes) == (rules.NOT_DONE.code, ())


def test_a_payload_that_is_not_of_its_form_is_not_done_either() -> None:
    for payload in ("d9", "d9 20000001 00 01", "0109 01", "d9 20000001 00 00 00 00"):
        assert Desk().receive(asking(payload)).verdict.code == rules.PAYLOAD.code


# Alerts


def test_an_alert_of_an_electricity_meter_is_a_data_notification() -> None:
    """Green Book 9.4.6.6: the low 24 bits of the device's own counter, a structure of code and time."""
    desk = Desk()
    desk.state = replace(desk.state, own_counter=0x05000007)
    for counter in (0x05000007, 0x05000008):
        alert = answered(desk.receive(command().encode()[:-1]))
        assert alert.header == Header(Cra.ALERT, counter, METER, SUPPLIER, MessageCode(0x1000))
        invoke = f"20{counter & 0xFFFFFF:06x}"
        assert alert.payload.hex() == f"0f{invoke}00" + "0202128f1e" + "090c" + NOON
        assert signature_holds(alert, keys().signing.public_key())
    assert desk.state.own_counter == 0x05000009


def test_an_alert_of_a_gas_meter_is_a_code_and_seconds_since_2000() -> None:
    home = Family()
    alert = answered(home.give(KIND.GSME, b"\0"))
    seconds = int((AT - datetime.fromisoformat("2000-01-01T00:00:00+00:00")).total_seconds())
    assert alert.payload == bytes.fromhex("0109 8f1e") + seconds.to_bytes(4)


def test_without_a_supplier_nobody_is_told() -> None:
    desk = Desk()
    cells = {name: cell for name, cell in desk.state.cells.items() if name != SUPPLIER_SIGNS}
    desk.state = replace(desk.state, cells=cells)
    found = desk.receive(b"\0")
    assert (found.answer, found.state.own_counter) == (None, 1)
    assert found.state.log[-1].code == rules.FORM.code


# GBZ


def gas(home: Family, payload: str, code: MessageCode = FREEZE) -> Received:
    return home.give(KIND.GSME, home.command(KIND.GSME, code, bytes.fromhex(payload), signed=True).encode())


def test_a_gas_meter_answers_each_zigbee_command() -> None:
    """By a default response, or by naming what it has no attribute of (ZCL 2.4.12, 2.5.2)."""
    home = Family()
    read, specific = "00 0702 0007 00 05 00 0000 0100", "00 0703 0003 01 05 00"
    executed = "01 0705 0005 00 06 0b aabb"
    found = gas(home, f"0109 03 {read} {specific} {executed}")
    assert found.verdict.accepted, found.verdict
    told = "00 0702 0009 08 00 01 000086 010086", "00 0703 0005 08 00 0b 00 00", "01 0705 0005 08 00 0b 0b 00"
    assert answered(found).payload.hex(" ") == bytes.fromhex(f"0109 03 {' '.join(told)}").hex(" ")
    assert found.changes == (
        "executed cluster 0x0703 command 0x00 with ", "executed cluster 0x0705 command 0x0B with aabb",
    )  # fmt: skip


# The clock of a gas meter


@pytest.mark.parametrize(
    ("start", "end", "reliable"),
    [(0, 0, True), (-1, 1, True), (1, 2, False), (-2, -1, False), (0, 1, True), (-1, 0, True)],
)
def test_a_clock_is_reliable_between_the_times_that_it_is_given(start: int, end: int, reliable: bool) -> None:
    home = Family()
    first, last = (asn1.GeneralizedTime(AT + timedelta(seconds=one)) for one in (start, end))
    payload = write_declared(
        ClockCommand(payload=Interval(validity_interval_start=first, validity_interval_end=last))
    )
    found = gas(home, payload.hex(), GCS28)
    told = read_declared(ClockResponse, answered(found).payload).payload
    assert told.status == (ClockStatus.RELIABLE if reliable else ClockStatus.UNRELIABLE)
    assert told.device_time.as_datetime() == AT
    assert found.changes == (f"the clock is {'reliable' if reliable else 'unreliable'}",)


def test_a_response_says_again_for_whom_it_was_asked() -> None:
    """GBCS 7.2.7: with a counter of the device's own where it is to encrypt for somebody it does not know."""
    state = replace(Desk().state, own_counter=7)
    certificate = b"\x30\x82\x01\x00" + bytes(256)
    for asked, told in (
        (None, None),
        (Supplementary(SUPPLIER, 9), Supplementary(SUPPLIER, 9)),
        (Supplementary(SUPPLIER, 9, certificate=certificate), Supplementary(SUPPLIER, 9, 7)),
    ):
        message = Message(Header(Cra.COMMAND, 1, BROKER, METER, READ, asked), b"")
        assert response_header(state, message, state.use_cases[READ], AT).supplementary == told
