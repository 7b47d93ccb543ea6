"""GBZ payloads in words: every one of the vectors, some checked by hand, and what is not one refused."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smki.errors import InvalidInput
from smki.gbcs.payload.gbz import read_gbz
from smki.gbcs.payload.names import Names
from smki.gbcs.payload.tree import Node, Payload, leaves
from tests.gbcs.payload_vectors import altered, names, read_or_refuse, vector, vectors_of

_NO_NAMES = Names({}, {}, {}, {}, {}, {})


def read(text: str) -> Payload:
    return read_gbz(bytes.fromhex(text), names())


def component(frame: str, cluster: str = "0702") -> str:
    """A payload of one component that holds this frame."""
    octets = bytes.fromhex(frame)
    return f"0109 01 01 {cluster} {len(octets):04x} {octets.hex()}"


@pytest.mark.vectors
def test_close_valve() -> None:
    (node,) = read_gbz(vector("gbz", "GCS32_7.2_SUCCESS_COMMAND").payload, names()).nodes
    assert node == Node(
        "Metering: Change Supply",
        children=(
            Node("frame", "client to server, sequence 0"),
            Node("provider", "0"),
            Node("issuer event", "473385600"),
            Node("requested", "0 (not specified)"),
            Node("implementation", "0 (now)"),
            Node("proposed supply status", "0 (off)"),
            Node("supply control bits", "0x01"),
        ),
    )


@pytest.mark.vectors
@pytest.mark.parametrize(
    ("case", "tariff", "prices", "currency"),
    [
        ("IMMEDIATE_TOU_SUCCESS", "0 (now)", "0 (now)", "826 (GBP)"),
        ("FUTURE_DATED_BLOCK_SUCCESS", "2030-01-15T09:00:00Z", "2030-01-15T09:00:00Z", "826 (GBP)"),
        ("CANCELLATION_BLOCK_SUCCESS", "FFFFFFFF (cancel)", "FFFFFFFE (cancel)", "978 (EUR)"),
    ],
)
def test_price(case: str, tariff: str, prices: str, currency: str) -> None:
    told = leaves(read_gbz(vector("gbz", f"GCS01b_1.2.1_{case}_COMMAND").payload, names()).nodes)
    assert told["Price: Publish Tariff Information / start"] == tariff
    assert told["Price: Publish Tariff Information / currency"] == currency
    assert told["Price: Publish Tariff Information / standing charge"] == "22465"
    assert told["Price: Publish Price Matrix / start"] == prices
    assert told["Price: Publish Price Matrix / prices / price 1 / price"] == "9600"


@pytest.mark.vectors
def test_payment_mode() -> None:
    told = leaves(read_gbz(vector("gbz", "GCS02_1.6_CANCELLATION_SUCCESS_COMMAND").payload, names()).nodes)
    assert told["Prepayment: Change Payment Mode / proposed payment control configuration"] == (
        "0x0c94 (credit management enabled, credit display enabled, contactor fitted, debt configuration,"
        " emergency debt configuration)"
    )
    assert told["Prepayment: Change Payment Mode / cut off value"] == "-1 (unchanged)"


@pytest.mark.vectors
def test_future_dated_alert() -> None:
    payload = vector("gbz", "GCS02_1.6_8F66_FUTURE_DATED_SUCCESS_ALERT_CHANGE_PAYMENT_MODE").payload
    assert read_gbz(payload, names()).nodes == (
        Node("Alert", "8F66 (Future dated command executed)"),
        Node("time", "2030-01-15T09:00:00Z"),
        Node("command", "message code 006C, counter 1001: Prepayment: Change Payment Mode"),
    )


@pytest.mark.vectors
def test_attributes_read() -> None:
    told = leaves(read_gbz(vector("gbz", "GCS21a_6.2.8_ERROR_RESPONSE").payload, names()).nodes)
    assert told["Price: Read Attributes Response / calorific value"] == "567"
    assert told["Metering: Read Attributes Response / flow stabilisation period / status"] == "192 (hardware failure)"


@pytest.mark.vectors
def test_encrypted_components_and_what_they_hold() -> None:
    answered = vector("gbz", "GCS13b_4.1.4_SUCCESS_RELIABLE_GSME_RESPONSE")
    closed = leaves(read_gbz(answered.payload, names()).nodes)
    assert closed["Metering: Read Attributes Response / body"].startswith("encrypted, ")
    opened = leaves(read_gbz(answered.payload, names(), decrypted=dict(answered.plaintexts)).nodes)
    body = "Metering: Read Attributes Response / body / decrypted / "
    assert opened[body + "divisor"] == "1000"
    assert body + "block 4 summation delivered" in opened


@pytest.mark.vectors
def test_every_payload_is_read_to_its_end() -> None:
    for each in vectors_of("gbz"):
        try:
            read = read_gbz(each.payload, names())
            opened = read_gbz(each.payload, names(), decrypted=dict(each.plaintexts))
        except InvalidInput:
            assert each.is_altered, each.name
            continue
        if each.is_altered:
            continue
        assert read.encrypted == each.blocks, each.name
        assert read.counter_bits is None
        assert len(leaves(opened.nodes)) > len(leaves(read.nodes)) or not each.plaintexts, each.name


@pytest.mark.vectors
def test_nothing_of_a_command_is_without_a_name() -> None:
    """A person who signs should not read numbers of clusters and commands, nor octets."""
    for each in vectors_of("gbz"):
        if "command" in each.kind and not each.is_altered:
            for node in read_gbz(each.payload, names()).nodes:
                assert "0x" not in node.name, (each.name, node.name)
                assert not {"body", "further octets"} & {child.name for child in node.children}, each.name


@pytest.mark.vectors
def test_every_prefix_and_every_addition_is_refused() -> None:
    for each in vectors_of("gbz"):
        # What else alert 81A0 tells has no form that is known, so a part of it is as good as all.
        if each.is_altered or len(each.payload) > 400 or each.name.startswith("MIIWA"):
            continue
        for length in range(len(each.payload)):
            with pytest.raises(InvalidInput):
                read_gbz(each.payload[:length], names())
        with pytest.raises(InvalidInput):
            read_gbz(each.payload + b"\x00", names())


@pytest.mark.vectors
@settings(max_examples=300, deadline=None)
@given(st.data())
def test_altered_payloads_are_read_or_refused(data: st.DataObject) -> None:
    read_or_refuse(read_gbz, altered(data, "gbz"))


@settings(max_examples=500, deadline=None)
@given(
    st.integers(0, 0x0B), st.sampled_from(["0000", "0700", "0702", "0705", "0708", "0709"]), st.binary(max_size=100)
)
def test_any_frame_is_read_or_refused(command: int, cluster: str, body: bytes) -> None:
    for control in ("00", "01", "08", "09"):
        read_or_refuse(read_gbz, bytes.fromhex(component(f"{control} 00 {command:02x} {body.hex()}", cluster)))


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60))
def test_any_octets_are_read_or_refused(octets: bytes) -> None:
    read_or_refuse(read_gbz, octets)
    read_or_refuse(read_gbz, b"\x01\x09" + octets)


@pytest.mark.parametrize(
    ("kind", "octets", "said"),
    [
        ("00", "", "no value"),
        ("08", "0f", "0x0f"),
        ("10", "01", "true"),
        ("10", "02", "0x02, neither true nor false"),
        ("19", "0102", "0x0201"),
        ("21", "0102", "513"),
        ("28", "ff", "-1"),
        ("30", "02", "2"),
        ("38", "0102", "0102"),
        ("39", "0000803f", "1.0"),
        ("3a", "000000000000f03f", "1.0"),
        ("41", "024142", "4142"),
        ("42", "024142", '"AB"'),
        ("42", "ff", "no string"),
        ("42", "00", "empty"),
        ("44", "02004142", '"AB"'),
        ("e0", "0c1e0000", "12:30:00"),
        ("e0", "ff63ffff", "ff63ffff"),
        ("e1", "730101ff", "2015-01-01"),
        ("e1", "ff0101ff", "any year-01-01"),
        ("e2", "804a371c", "2015-01-01T00:00:00Z"),
        ("e2", "ffffffff", "FFFFFFFF (not specified)"),
        ("f0", "a0907856341234db", "DB-34-12-34-56-78-90-A0"),
    ],
)
def test_attribute_types(kind: str, octets: str, said: str) -> None:
    told = leaves(read(component(f"08 00 0a 0100 {kind} {octets}")).nodes)
    assert told["Metering: Report Attributes / attribute 0x0001"] == said


def test_collections_of_values() -> None:
    array = leaves(read(component("08 00 0a 0100 48 20 0200 0102")).nodes)
    assert array["Metering: Report Attributes / attribute 0x0001 / 2"] == "2"
    structure = leaves(read(component("08 00 0a 0100 4c 0200 2001 1000")).nodes)
    assert structure["Metering: Report Attributes / attribute 0x0001 / 2"] == "false"


def test_general_commands() -> None:
    written = leaves(read(component("00 00 02 1400 30 02")).nodes)
    assert written["Metering: Write Attributes / supply status"] == "2 (on)"
    assert (
        leaves(read(component("08 00 04 00")).nodes)["Metering: Write Attributes Response / status"] == "0 (success)"
    )
    refused = leaves(read(component("08 00 04 88 1400")).nodes)
    assert refused["Metering: Write Attributes Response / supply status / status"] == "136 (read only)"
    reported = leaves(read(component("00 00 06 00 0000 25 0100 0200 000000000300")).nodes)
    assert reported["Metering: Configure Reporting / current summation delivered / at most every seconds"] == "2"
    assert "Metering: Configure Reporting / current summation delivered / at a change of" in reported
    expected = leaves(read(component("00 00 06 01 0000 0a00")).nodes)
    assert (
        expected["Metering: Configure Reporting / current summation delivered / report expected within seconds"]
        == "10"
    )
    assert (
        leaves(read(component("08 00 07 00")).nodes)["Metering: Configure Reporting Response / status"]
        == "0 (success)"
    )
    answer = leaves(read(component("08 00 07 86 00 0000")).nodes)
    assert "Metering: Configure Reporting Response / current summation delivered / direction" in answer
    assert leaves(read(component("00 00 0c 000010")).nodes)["Metering: Discover Attributes / body"] == "000010"


def test_block_thresholds_are_counted_by_the_low_bits() -> None:
    issued = "00000000 804a371c 00000000 01000000 00 01 00"
    told = leaves(read(component(f"09 00 06 {issued} 12 010000000000 020000000000", "0700")).nodes)
    assert told["Price: Publish Block Thresholds / tiers / tier 1 / thresholds / threshold 2"] == "2"


def test_what_has_no_name_is_told_by_its_number() -> None:
    frame = component("01 05 0b 00000000 804a371c 00000000 00000000 00 01")
    (node,) = read_gbz(bytes.fromhex(frame), _NO_NAMES).nodes
    assert node.name == "cluster 0x0702: command 0x0b"
    assert node.children == (
        Node("frame", "client to server, sequence 5"),
        Node("body", "00000000804a371c00000000000000000001"),
    )
    maker = leaves(read(component("05 3412 00 0b aa")).nodes)
    assert maker["Metering: command 0x0b / frame"] == "client to server, sequence 0, manufacturer 0x1234"
    assert maker["Metering: command 0x0b / body"] == "aa"


def test_from_date_time() -> None:
    told = leaves(read("0109 01 11 0702 0009 1c374a80 00 00 00 0003").nodes)
    assert told["Metering: Read Attributes / from"] == "2015-01-01T00:00:00Z"
    assert told["Metering: Read Attributes / attribute"] == "0x0300 unit of measure"


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        ("", "the profile should be 0109"),
        ("0104 01", "the profile should be 0109"),
        ("0109 00", "says nothing"),
        ("0109 01 00 0702 0005 00 00 00 0003", "wrong on being the last"),
        ("0109 02 01 0702 0005 00 00 00 0003", "wrong on being the last"),
        ("0109 01 05 0702 0005 00 00 00 0003", "unknown bits"),
        ("0109 01 01 0702 0006 00 00 00 0003", "6 octets should follow"),
        ("0109 01 01 0702 0004 00 00 00 0003", "2 octets should follow"),
        ("0109 01 01 0702 0002 00 00", "1 octets should follow"),
        ("0109 01 01 0702 0003 02 00 00", "no frame of ZCL"),
        ("0109 01 03 0702 000b 00 00 18 00 01 0004 31000000", "should hold 31 00000000"),
        ("0109 01 01 0702 0007 08 00 0a 0100 77 00", "no type of ZigBee data"),
        ("0109 01 01 0702 0009 08 00 0a 0100 48 00 0100", "collection of nothing"),
        ("0109 01 01 0702 0009 08 00 0a 0100 48 20 0100", "1 elements are announced"),
        ("0109 00 8f30 1c374a80 00", "announces 0 parts"),
        ("0109 01 8f30 1c374a80", "announces 1 parts"),
        ("0109 00 8f30 1c37", "4 octets should follow"),
    ],
)
def test_payloads_refused(payload: str, why: str) -> None:
    with pytest.raises(InvalidInput, match=why):
        read(payload)


def test_a_known_command_of_a_wrong_length_shows_what_is_too_much() -> None:
    told = leaves(read(component("01 00 0d 804a371c 03 03 00 03 aabb")).nodes)
    assert told["Metering: Set Supply Status / further octets"] == "aabb"


def test_plaintext_without_a_block_is_refused() -> None:
    with pytest.raises(InvalidInput, match="no encrypted block"):
        read_gbz(bytes.fromhex(component("00 00 00 0003")), names(), decrypted={9: b""})


def test_nested_collections_are_bounded() -> None:
    deep = "4c0100" * 30 + "2001"
    with pytest.raises(InvalidInput, match="nested deeper"):
        read(component(f"08 00 0a 0100 {deep}"))
