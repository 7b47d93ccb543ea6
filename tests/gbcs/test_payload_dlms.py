"""DLMS COSEM payloads in words: every one of the vectors, some checked by hand, and what is not one refused."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from smki.errors import InvalidInput
from smki.gbcs.payload.dlms import read_dlms
from smki.gbcs.payload.names import Names
from smki.gbcs.payload.tree import EncryptedBlock, Node, Payload, leaves
from tests.gbcs.payload_vectors import Vector, altered, names, read_or_refuse, vector, vectors_of

_NO_NAMES = Names({}, {}, {}, {}, {}, {})
_SUPPLY = "Execute Supply state script table (Script table): execute"
# Access requests of GBCS 18.4 (ECS04b) and, by hand, of ECS42 and ECS43: script 51 or 52 of the supply state.
_ECS04B = "D92000000100030300700000130A00FF020300700000130A01FF020300700000130A02FF0203050000000005000000000500000000"
_ECS42 = "d9 20000001 00 01 03 0009 00000a006aff 01 01 12 0033"
_ECS43 = "d9 20000001 00 01 03 0009 00000a006aff 01 01 12 0034"


def read(text: str) -> Payload:
    return read_dlms(bytes.fromhex(text), names())


def test_open_load_switch() -> None:
    assert read(_ECS43) == Payload(
        (Node(_SUPPLY, "52 (remote supply disable)", (Node("object", "class 9, 0-0:10.0.106.255"),)),),
        counter_bits=1,
    )


def test_close_load_switch() -> None:
    assert leaves(read(_ECS42).nodes)[_SUPPLY] == "51 (remote supply enable)"


def test_disconnect_control_is_named_by_its_class() -> None:
    (node,) = read("d9 20000001 00 01 03 0046 0000600503ff 01 01 0f00").nodes
    assert (node.name, node.value) == ("Execute Disconnect control 0-0:96.5.3.255: remote_disconnect", "0")


def test_reset_meter_balance() -> None:
    assert leaves(read(_ECS04B).nodes) == {
        "Execute Meter balance (Credit): set_amount_to_value": "0",
        "Execute Meter balance (Credit): set_amount_to_value / object": "class 112, 0-0:19.10.0.255",
        "Execute Emergency credit (Credit): set_amount_to_value": "0",
        "Execute Emergency credit (Credit): set_amount_to_value / object": "class 112, 0-0:19.10.1.255",
        "Execute Accumulated debt (Credit): set_amount_to_value": "0",
        "Execute Accumulated debt (Credit): set_amount_to_value / object": "class 112, 0-0:19.10.2.255",
    }


def test_without_names_everything_is_still_told() -> None:
    told = leaves(read_dlms(bytes.fromhex(_ECS43), _NO_NAMES).nodes)
    assert told["Execute class 9 0-0:10.0.106.255: method 1"] == "52"


@pytest.mark.vectors
def test_future_dated_load_limit() -> None:
    told = leaves(read_dlms(vector("dlms", "ECS28a_6.4.1_FUTURE_DATED_SUCCESS_COMMAND").payload, names()).nodes)
    later = "2030-01-15 09:00:00"
    assert {path: value for path, value in told.items() if not path.endswith("object")} == {
        "Set Load limit supply state (Extended data): value_passive": "false",
        "Set Load limit power threshold (Extended data): value_passive": "6900",
        "Set Load limit period (Extended data): value_passive": "300",
        "Set Load limit restoration period (Extended data): value_passive": "30",
        "Set Load limit supply state (Extended data): activate_passive_value_time": later,
        "Set Load limit power threshold (Extended data): activate_passive_value_time": later,
        "Set Load limit period (Extended data): activate_passive_value_time": later,
        "Set Load limit restoration period (Extended data): activate_passive_value_time": later,
    }


@pytest.mark.vectors
@pytest.mark.parametrize(
    ("case", "when"),
    [
        ("IMMEDIATE_TOU", "all zero (at once)"),
        ("FUTURE_DATED_TOU_BLOCK", "2030-01-15 09:00:00"),
        ("CANCELLATION_TOU_BLOCK", "not specified (cancels)"),
    ],
)
def test_tariff_and_price(case: str, when: str) -> None:
    told = leaves(read_dlms(vector("dlms", f"ECS01a_1.1.1_{case}_SUCCESS_COMMAND").payload, names()).nodes)
    calendar = "Set Tariff switching table (Activity calendar): "
    charge = "Set Standing charge (Charge): unit_charge_passive"
    price = "Set Tariff prices (Charge): unit_charge_passive"
    assert told[calendar + "season_profile_passive / season 1 / season_profile_name"] == '"winter"'
    assert told[calendar + "season_profile_passive / season 2 / season_start"] == "2015-03-29 00:00:00"
    assert told[calendar + "week_profile_table_passive / week 1 / sunday"] == "3"
    assert told[calendar + "day_profile_table_passive / day 1 / day_schedule / action 2 / start_time"] == "07:00:00"
    assert told[charge + " / charges / charge 1 / charge_per_unit"] == "20000"
    assert told[charge + " / scaling / price_scale"] == "-5"
    assert told[price + " / commodity"] == "Active energy import (Register): value"
    assert told[price + " / charges / charge 1 / charge_per_unit"] == "2121"
    assert told["Set Standing charge (Charge): unit_charge_activation_time"] == when
    assert told[calendar + "activate_passive_calendar_time"] == when


@pytest.mark.vectors
def test_protected_reading_and_what_it_holds() -> None:
    asked = vector("dlms", "ECS17b_4.1.1_SINGLE_SUCCESS_COMMAND")
    method = "Execute Protected reading of energy registers (Data protection): get_protected_attributes"
    told = leaves(read_dlms(asked.payload, names()).nodes)
    assert told[method + " / objects / object 1"] == "Active energy import registers (Data): value"
    answered = vector("dlms", "ECS17b_4.1.1_SINGLE_SUCCESS_RESPONSE")
    closed = leaves(read_dlms(answered.payload, names()).nodes)
    data = "Result of execute / protected data / data"
    options = "Result of execute / protected data / protections / protection 1 / options"
    assert closed["Result of execute"] == "0 (success)"
    assert closed[data] == "encrypted, 43 octets"
    assert closed[options + " / recipient"] == "90-B3-D5-1F-30-01-00-00"
    assert not [path for path in closed if "decrypted" in path]
    opened = leaves(read_dlms(answered.payload, names(), decrypted=dict(answered.plaintexts)).nodes)
    assert opened[data + " / decrypted / 1 / 1"] == "10"
    assert opened[data + " / decrypted / 1 / 2 / 2"] == "30"


@pytest.mark.vectors
def test_alert_of_a_future_dated_command() -> None:
    payload = vector("dlms", "ECS08_2.1_8F66_FUTURE_DATED_SUCCESS_ALERT_CALENDAR").payload
    assert read_dlms(payload, names()).nodes == (
        Node("Alert", "8F66 (Future dated command executed)"),
        Node("time", "2030-01-15 09:00:00"),
        Node(
            "executed",
            "message code 001F, counter 1004: "
            "Non-disablement calendar activation (Extended data): activate_passive_value_time",
        ),
    )


@pytest.mark.vectors
def test_results_of_a_refusal() -> None:
    nodes = read_dlms(vector("dlms", "ECS17a_4.2_ERROR_RESPONSE").payload, names()).nodes
    assert [node.value for node in nodes] == [
        "0 (success)",
        "0 (success)",
        "1 (hardware fault)",
        "250 (other reason)",
    ]


@pytest.mark.vectors
def test_every_payload_is_read_to_its_end() -> None:
    for each in vectors_of("dlms"):
        try:
            read = read_dlms(each.payload, names())
            opened = read_dlms(each.payload, names(), decrypted=dict(each.plaintexts))
        except InvalidInput:
            assert each.is_altered, each.name
            continue
        if each.is_altered:
            continue
        assert read.encrypted == each.blocks, each.name
        # Whoever gave a message another counter, and named it POS, left its payload as it was.
        assert read.counter_bits == each.counter & 0xFFFFFF or each.name.startswith("POS"), each.name
        assert read.nodes, each.name
        assert len(leaves(opened.nodes)) > len(leaves(read.nodes)) or not each.plaintexts, each.name


@pytest.mark.vectors
def test_nothing_of_a_command_is_without_a_name() -> None:
    """A person who signs should not read numbers of classes and attributes."""
    for each in vectors_of("dlms"):
        if each.kind != "response" and not each.is_altered:
            for node in read_dlms(each.payload, names()).nodes:
                words = node.name.split()
                assert not {"class", "attribute", "method", "detail"} & set(words), (each.name, node.name)


@pytest.mark.vectors
@pytest.mark.slow(9)
def test_every_prefix_and_every_addition_is_refused() -> None:
    shortest: dict[str, Vector] = {}
    for each in vectors_of("dlms"):
        if not each.is_altered and len(each.payload) < 600:
            shortest.setdefault(each.name.split("_")[0] + each.kind, each)
    for each in shortest.values():
        for length in range(len(each.payload)):
            with pytest.raises(InvalidInput):
                read_dlms(each.payload[:length], names())
        with pytest.raises(InvalidInput, match="follow what should be the end"):
            read_dlms(each.payload + b"\x00", names())


@pytest.mark.vectors
@settings(max_examples=300, deadline=None)
@given(st.data())
def test_altered_payloads_are_read_or_refused(data: st.DataObject) -> None:
    read_or_refuse(read_dlms, altered(data, "dlms"))


@settings(max_examples=500, deadline=None)
@given(
    st.sampled_from([b"\xd9\x20\x00\x00\x01\x00", b"\xda\x20\x00\x00\x01\x00\x00", b"\x0f\x20\x00\x00\x01\x00", b""]),
    st.binary(max_size=200),
)
@example(b"", b"")
def test_any_octets_are_read_or_refused(start: bytes, octets: bytes) -> None:
    read_or_refuse(read_dlms, start + octets)


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        ("", "should follow"),
        ("c0", "begins no access request"),
        ("d9 40000001 00 00 00", "long-invoke-id"),
        ("d9 20000001 01 00 00 00", "no date-time"),
        ("d9 20000001 00 01 09 0009 00000a006aff 01 01 00", "none of get, set and action"),
        ("d9 20000001 00 01 01 0001 00000a006aff 02 00", "0 values belong to 1"),
        ("d9 20000001 00 01 01 0001 00000a006aff 02 01 1100", "attribute that is read"),
        ("da 20000001 00 01", "leaves out"),
        ("da 20000001 00 00 01 00 02 0100 0100", "number of results"),
        ("da 20000001 00 00 01 00 01 0400", "no kind of result"),
        ("0f 20000001 00 1100", "structure of code, time"),
    ],
)
def test_payloads_refused(payload: str, why: str) -> None:
    with pytest.raises(InvalidInput, match=why):
        read(payload)


def test_date_time_of_the_service() -> None:
    (moment, node) = read("da 20000001 0c07df0101ff000000008000ff 00 01 00 01 0100").nodes
    assert moment == Node("date-time", "2015-01-01 00:00:00")
    assert node == Node("Result of read", "0 (success)")


def test_plaintext_without_a_block_is_refused() -> None:
    with pytest.raises(InvalidInput, match="no encrypted block"):
        read_dlms(bytes.fromhex(_ECS43), names(), decrypted={3: b"\x00"})


@pytest.mark.vectors
def test_plaintext_that_is_no_value_is_refused() -> None:
    answered = vector("dlms", "ECS17b_4.1.1_SINGLE_SUCCESS_RESPONSE")
    (block,) = answered.blocks
    assert block == EncryptedBlock(64, 43)
    with pytest.raises(InvalidInput):
        read_dlms(answered.payload, names(), decrypted={64: b"\x11"})


def test_an_attribute_in_part() -> None:
    told = leaves(
        read(
            "d9 20000001 00 01 04 0007 0000620105ff 02 01"
            "0204 0204 120001 090600005e2c64ff 0f02 120000 061c313190 061c374a80 0100 01 00"
        ).nodes
    )
    part = "Read part of Billing data log of prepayment credits (Profile): buffer / selected by range (1)"
    assert told[part + " / restricting_object"] == "Log entry time (Data): value"
    assert told[part + " / from"] == "2014-12-27T09:00:00Z"
    assert told[part + " / selected_values"] == "empty"


def test_a_text_of_the_form_of_a_block_is_not_hidden() -> None:
    block = "3100000000" + "41" * 20
    (node,) = read(f"d9 20000001 00 01 02 0001 0002600d01ff 02 01 0919 {block}").nodes
    assert (node.name, node.value) == ("Set Supplier message (Data): value", block)
    told = leaves(
        read_dlms(bytes.fromhex(f"0f 20000001 00 0204 128f88 090c{'00' * 12} 0100 0919 {block}"), names()).nodes
    )
    assert told["detail 2"] == block


def test_a_number_too_great_for_a_date() -> None:
    told = leaves(
        read(
            "d9 20000001 00 01 04 0007 0000620105ff 02 01"
            "0204 0204 120001 090600005e2c64ff 0f02 120000 15ffffffffffffffff 061c374a80 0100 01 00"
        ).nodes
    )
    part = "Read part of Billing data log of prepayment credits (Profile): buffer / selected by range (1)"
    assert told[part + " / from"] == str(2**64 - 1)


def test_what_follows_a_known_alert_may_differ_from_its_shape() -> None:
    told = leaves(read("0f 20000001 00 0203 128f36 090c07df0101ff000000008000ff 1107").nodes)
    assert told == {
        "Alert": "8F36 (Supply outage of three minutes or more restored)",
        "time": "2015-01-01 00:00:00",
        "detail 1": "7",
    }
