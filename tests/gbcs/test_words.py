"""A message in words, for the person who signs it and for programs: every part of it, and nothing that is hidden."""

import hashlib
from dataclasses import replace
from functools import cache

import pytest

from smki.authority.policies import load_policies
from smki.authority.workspace import SHIPPED
from smki.entity import EntityId
from smki.errors import InvalidInput
from smki.gbcs.header import Cra, Header, MessageCode, Supplementary
from smki.gbcs.message import Message
from smki.gbcs.payload.operations import operations
from smki.gbcs.payload.tree import Node, leaves
from smki.gbcs.words import (
    Vocabulary,
    as_json,
    counter_agrees,
    date_time_words,
    encrypted_blocks,
    form_of,
    payload_kind,
    read,
    tree_of,
)
from tests.parties.people import METER, SUPPLIER, arming

BROKER = EntityId.parse("90-B3-D5-1F-30-00-00-02")
ARM, NOBODYS, CONTINGENCY = MessageCode(0x0051), MessageCode(0x9999), MessageCode(0x0109)
SIGNATURE, MAC = bytes(range(64)), bytes(range(12))
CERTIFICATE = b"\x30\x82\x01\x00" + bytes(256)
DATE = bytes.fromhex("07df0102ff0304050080 00ff".replace(" ", ""))


@cache
def vocabulary() -> Vocabulary:
    policies = load_policies(SHIPPED / "policies")
    return Vocabulary(policies.use_cases, policies.names, lambda one: "North" if one == SUPPLIER else "")


def lines(node: Node, depth: int = 0) -> list[str]:
    told = [f"{'  ' * depth}{node.name}: {node.value}"]
    return told + [line for child in node.children for line in lines(child, depth + 1)]


def command(extra: Supplementary | None = None, signature: bytes | None = None, mac: bytes | None = None) -> Message:
    message = arming(7)
    return replace(message, header=replace(message.header, supplementary=extra), signature=signature, mac=mac)


def test_a_message_is_called_by_its_kind_and_by_what_protects_it() -> None:
    plain = arming(1)
    assert form_of(plain) == "pre-command"
    assert form_of(replace(plain, signature=SIGNATURE)) == "signed pre-command"
    assert form_of(replace(plain, signature=b"", mac=MAC)) == "command"
    assert form_of(replace(plain, signature=SIGNATURE, mac=MAC)) == "command"
    for cra in (Cra.RESPONSE, Cra.ALERT):
        header = replace(plain.header, cra=cra)
        assert form_of(replace(plain, header=header, signature=SIGNATURE)) == cra.name.lower()


def test_a_command_as_a_person_reads_it() -> None:
    extra = Supplementary(SUPPLIER, 9, certificate=CERTIFICATE)
    message = command(extra, signature=SIGNATURE, mac=MAC)
    told = lines(tree_of(read(message, vocabulary()), vocabulary()))
    head = [line for line in told if not line.startswith("      ")]
    title = vocabulary().use_cases[ARM].label
    assert told[:5] == [
        "command: ",
        f"  use case: 0x0051 {title}, critical",
        f"  from: {SUPPLIER} (North)",
        f"  to: {METER}",
        "  counter: 7",
    ]
    assert told[5:8] == [
        f"  for: {SUPPLIER} (North)",
        "    its counter: 9",
        f"    its certificate: 260 octets, SHA-256 {hashlib.sha256(CERTIFICATE).hexdigest()}",
    ]
    assert told[8] == "  payload: dlms"
    assert head[-2:] == [f"  signature: {SIGNATURE.hex()}", f"  MAC: {MAC.hex()}"]
    assert len(told) > 11


def test_a_response_of_nobodys_use_case_as_a_person_reads_it() -> None:
    header = Header(Cra.RESPONSE, 8, METER, BROKER, NOBODYS, Supplementary(SUPPLIER, 9, 10), DATE)
    message = Message(header, b"\x01\x02", b"", MAC)
    reading = read(message, vocabulary())
    assert lines(tree_of(reading, vocabulary())) == [
        "response: ",
        "  use case: 0x9999 (unknown use case)",
        f"  from: {METER}",
        f"  to: {BROKER}",
        "  counter: 8",
        "  made at: 2015-01-02T03:04:05",
        f"  for: {SUPPLIER} (North)",
        "    its counter: 9",
        "    device's counter for it: 10",
        "  payload: unknown",
        "    octets: 0102",
        "  not understood: a payload of no known kind",
        f"  MAC: {MAC.hex()}",
    ]


def test_a_message_that_nobody_supplements_as_a_person_reads_it() -> None:
    told = lines(tree_of(read(command(), vocabulary()), vocabulary()))
    assert [line.split(":")[0] for line in told if not line.startswith("    ")] == [
        "pre-command", "  use case", "  from", "  to", "  counter", "  payload",
    ]  # fmt: skip
    reading = arming(7, code=MessageCode(0x0027))
    assert ", not critical" in lines(tree_of(read(reading, vocabulary()), vocabulary()))[1]


def test_a_command_as_a_program_is_told() -> None:
    extra = Supplementary(SUPPLIER, 9, certificate=CERTIFICATE)
    message = command(extra, signature=SIGNATURE, mac=MAC)
    reading = read(message, vocabulary())
    told = as_json(reading, vocabulary())
    row = vocabulary().use_cases[ARM]
    assert told["use_case"] == {
        "code": "0x0051", "name": row.name, "title": row.title, "category": row.category, "critical": True,
    }  # fmt: skip
    assert (told["form"], told["protection"], told["counter"]) == ("command", "signature+mac", "7")
    assert told["originator"] == {"id": str(SUPPLIER), "name": "North"}
    assert told["target"] == {"id": str(METER), "name": ""}
    assert told["supplementary"] == {
        "party": {"id": str(SUPPLIER), "name": "North"}, "counter": "9", "certificate": CERTIFICATE.hex(),
    }  # fmt: skip
    assert told["payload"] == {
        "kind": "dlms", "encrypted_parts": 0, "tree": [node.as_json() for node in reading.payload.nodes],
    }  # fmt: skip
    assert told["values"] == reading.values
    assert (told["signature"], told["mac"]) == (SIGNATURE.hex(), MAC.hex())
    assert told["signed_sha256"] == hashlib.sha256(message.signed_octets).hexdigest()
    assert "date_time" not in told


def test_a_response_that_is_not_understood_as_a_program_is_told() -> None:
    header = Header(Cra.RESPONSE, 8, METER, BROKER, NOBODYS, Supplementary(SUPPLIER, 9, 10), DATE)
    told = as_json(read(Message(header, b"\x01", b"", MAC), vocabulary()), vocabulary())
    assert told["use_case"] == {
        "code": "0x9999", "name": "", "title": "unknown", "category": "unknown", "critical": None,
    }  # fmt: skip
    assert told["date_time"] == "2015-01-02T03:04:05"
    assert told["supplementary"] == {
        "party": {"id": str(SUPPLIER), "name": "North"}, "counter": "9", "originator_counter": "10",
    }  # fmt: skip
    assert told["payload"]["fault"] == {"code": "gbcs.payload", "message": "a payload of no known kind"}
    assert told["payload"]["tree"] == [{"name": "octets", "value": "01"}]
    assert "signature" not in told
    plain = as_json(read(command(), vocabulary()), vocabulary())
    assert not {"signature", "mac", "supplementary", "date_time"} & set(plain)
    assert "fault" not in plain["payload"]


def test_whoever_compares_sees_what_is_asked_in_order_and_for_whom() -> None:
    plain = read(command(), vocabulary()).values
    assert [name for name in plain if name.startswith("form of")] == ["form of 1"]
    assert any(name.startswith("1. ") for name in plain)
    extra = Supplementary(SUPPLIER, 9, certificate=CERTIFICATE)
    digest = hashlib.sha256(CERTIFICATE).hexdigest()
    mine = {"for": str(SUPPLIER), "for, its counter": "9", "for, its certificate": digest}
    assert read(command(extra), vocabulary()).values == {**plain, **mine}
    header = Header(Cra.ALERT, 8, METER, BROKER, NOBODYS, Supplementary(SUPPLIER))
    alert = Message(header, b"\x01", SIGNATURE)
    assert read(alert, vocabulary()).values == {"for": str(SUPPLIER), "octets": "01"}
    assert read(replace(alert, header=replace(header, supplementary=None)), vocabulary()).values == {"octets": "01"}


def test_a_response_asks_nothing() -> None:
    """Even if its payload is that of a command."""
    asking = arming(7)
    reading = read(
        replace(asking, header=replace(asking.header, cra=Cra.RESPONSE), signature=SIGNATURE), vocabulary()
    )
    assert (reading.operations, reading.kind) == ((), "dlms")
    assert len(read(asking, vocabulary()).operations) == len(operations(asking.payload)) == 1


def test_a_secret_that_cannot_be_read_is_not_shown_either() -> None:
    """The contingency's order brings a key; another order's octets are all there is to show of it."""
    octets = b"\x30\x01hush"
    for code, shown in (
        (CONTINGENCY, f"hidden, 6 octets, SHA-256 {hashlib.sha256(octets).hexdigest()}"),
        (MessageCode(0x0107), octets.hex()),
    ):
        reading = read(Message(Header(Cra.COMMAND, 1, SUPPLIER, METER, code), octets), vocabulary())
        assert reading.fault is not None
        assert reading.payload.nodes == (Node("octets", shown),)


# Kinds of payload, encrypted parts, counters, dates


def test_a_payload_is_of_its_codes_kind_or_of_what_it_begins_with() -> None:
    def kind(octets: bytes, code: MessageCode = NOBODYS, cra: Cra = Cra.COMMAND) -> str:
        return payload_kind(Message(Header(cra, 1, SUPPLIER, METER, code), octets))

    for first, found in ((0xD9, "dlms"), (0xDA, "dlms"), (0x0F, "dlms"), (0xD8, "unknown"), (0x00, "unknown")):
        assert kind(bytes((first,))) == found
    assert kind(b"") == "unknown"
    assert kind(bytes.fromhex("0109")) == "gbz"
    assert kind(bytes.fromhex("0108")) == "unknown"
    assert kind(b"\xd9", CONTINGENCY) == "asn1"
    for cra in Cra:
        assert kind(b"\xd9", ARM, cra) == "dlms"


def test_only_payloads_of_dlms_and_gbz_have_encrypted_parts() -> None:
    for code, octets in ((CONTINGENCY, b"\x30\x00"), (NOBODYS, b"\x01"), (ARM, arming(1).payload)):
        message = Message(Header(Cra.COMMAND, 1, SUPPLIER, METER, code), octets)
        assert encrypted_blocks(message, vocabulary().names) == ()
    with pytest.raises(InvalidInput):
        encrypted_blocks(Message(Header(Cra.COMMAND, 1, SUPPLIER, METER, ARM), b"\xd9\x20"), vocabulary().names)


def test_a_counter_that_a_payload_repeats_is_its_messages() -> None:
    for counter, agrees in ((7, True), (8, False), (7 | 5 << 24, True), (7 | 1 << 23, False)):
        message = arming(7)
        other = replace(message, header=replace(message.header, counter=counter))
        assert counter_agrees(read(other, vocabulary())) == agrees, counter
    unknown = Message(Header(Cra.COMMAND, 1, SUPPLIER, METER, NOBODYS), b"\x01")
    assert counter_agrees(read(unknown, vocabulary()))


@pytest.mark.parametrize(
    ("octets", "words"),
    [
        ("07df0102ff030405008000ff", "2015-01-02T03:04:05"),
        ("ffff0102ff030405008000ff", "****-01-02T03:04:05"),
        ("00ffffffffffffffff8000ff", "0255-**-**T**:**:**"),
        ("07df0c1f01173b3b008000ff", "2015-12-31T23:59:59"),
    ],
)
def test_a_date_and_time_leaves_open_what_it_does_not_say(octets: str, words: str) -> None:
    assert date_time_words(bytes.fromhex(octets)) == words


# Trees


def test_no_two_paths_of_a_tree_are_one() -> None:
    tree = (
        Node("a", "1", (Node("b", "2"), Node("b", "3"), Node("c"))),
        Node("a", "4"),
        Node("a / b", "5"),
        Node("a[2]", "6"),
        Node("a\\", "7"),
        Node("d", "", (Node("b", "8"),)),
    )
    assert leaves(tree) == {
        "a": "1", "a / b": "2", "a / b[2]": "3", "a[2]": "4",
        "a \\/ b": "5", "a\\[2]": "6", "a\\\\": "7", "d / b": "8",
    }  # fmt: skip
    assert tree[0].as_json() == {
        "name": "a", "value": "1",
        "children": [{"name": "b", "value": "2"}, {"name": "b", "value": "3"}, {"name": "c"}],
    }  # fmt: skip
