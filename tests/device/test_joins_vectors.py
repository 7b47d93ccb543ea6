"""Every published message about joins, logs and whitelists: read, written again, obeyed as published."""

import dataclasses
import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from smki.device.establishment import Party, Peer, Responder, Surroundings
from smki.device.household import PCS01, PCS02
from smki.device.join_rules import NAMED
from smki.device.joins import act_on
from smki.device.network import Entry, Hub, Listed, Network
from smki.device.receive import receive
from smki.device.state import DeviceKeys, DeviceState
from smki.entity import DeviceType, EntityId, KeyUsage
from smki.gbcs.agreement import Agreement
from smki.gbcs.header import Cra
from smki.gbcs.message import Message, read_message
from smki.gbcs.payload import hub as wire
from smki.gbcs.payload import joins
from smki.gbcs.payload.access import read_request
from smki.gbcs.payload.credentials import CodeResponse
from smki.gbcs.payload.declared import read_declared, write_declared
from smki.gbcs.payload.joins import JoinCode, JoinMethod
from smki.gbcs.payload.security import DECLARED, read_security
from smki.gbcs.top_up import Utrn
from smki.pki.holder import Holder, holder
from tests.device.desk import policies
from tests.device.family import certified
from tests.device.vectors import BorrowedKey, TestWorld
from tests.parties.people import issuing
from tests.vectors_folder import read_json, vectors

pytestmark = pytest.mark.vectors
AT = datetime(2015, 1, 1, tzinfo=UTC)
ABOUT = {
    *joins.JOIN_CODES.values(),
    *joins.UNJOIN_CODES.values(),
    joins.CS07,
    joins.GCS59,
    joins.GCS62,
    wire.CCS01,
    wire.CCS02,
    wire.CCS03,
    wire.CCS06,
    wire.CS14,
    PCS01,
    PCS02,
}
_DLMS = {wire.CCS01, wire.CCS02, wire.CCS03, wire.CCS06, wire.CS14}


@cache
def everything() -> dict[str, dict[str, Any]]:
    found = {}
    for path in sorted(vectors("gbcs").glob("*.json")):
        for case in json.loads(path.read_text()).get("vectors", []):
            if case["expected"]["parse"] == "ok" and message_of(case).header.code in ABOUT:
                found[case["name"]] = case
    return found


def message_of(case: dict[str, Any]) -> Message:
    return read_message(bytes.fromhex(case["message_hex"]))


def published() -> list[tuple[str, Message]]:
    return [(name, message_of(case)) for name, case in everything().items() if case["origin"] != "derived"]


def test_each_is_read_and_written_again() -> None:
    assert everything()
    for name, case in everything().items():
        message = message_of(case)
        assert message.encode().hex() == case["message_hex"], name
        kind = DECLARED.get((int(message.header.code), message.header.cra))
        if kind is None:
            continue
        value, departure = read_security(message.payload, message.header.code, message.header.cra)
        if departure is None:
            assert write_declared(value) == message.payload, name


def test_each_is_made_again_from_its_values() -> None:
    makers = {Cra.COMMAND: made_command, Cra.ALERT: made_alert}
    compared = 0
    for name, message in published():
        maker = makers.get(message.header.cra)
        if maker is None:
            continue
        made = maker(message)
        if made is not None:
            assert made == message.payload, name
            compared += 1
    assert compared


def made_command(message: Message) -> bytes | None:
    """The payload, from what it says."""
    code, counter = message.header.code, message.header.counter
    if code in _DLMS:
        values = [item.value for item in read_request(message.payload)]
        if code == wire.CCS01:
            one = wire.read_registration(values[0])
            return wire.register(counter, one.device, one.code, wire.read_seconds(values[1]))
        if code == wire.CCS02:
            return wire.unregister(counter, wire.entity(values[0]))
        if code == wire.CCS03:
            return wire.restore(counter, wire.Backup.of(values[0]))
        return wire.read_devices(counter)
    if code in joins.JOIN_CODES.values():
        said = read_declared(joins.JoinCommand, message.payload).payload
        assert NAMED[said.other_device_type]
        assert (said.other_device_certificate is not None) is (said.method is JoinMethod.C)
        return write_declared(joins.JoinCommand(payload=replace_fields(said)))
    if code in joins.UNJOIN_CODES.values():
        entity = EntityId(read_declared(joins.UnjoinCommand, message.payload).payload)
        return write_declared(joins.UnjoinCommand(payload=entity.octets))
    return None


def replace_fields(said: joins.Join) -> joins.Join:
    certificate = said.other_device_certificate
    der = None if certificate is None else certificate.public_bytes(Encoding.DER)
    return joins.Join(
        method=JoinMethod(said.method),
        other_device=EntityId(said.other_device).octets,
        other_device_type=joins.NamedDevice(said.other_device_type),
        other_device_certificate=None if der is None else x509.load_der_x509_certificate(der),
    )


def made_alert(message: Message) -> bytes | None:
    if message.header.code != wire.CS14:
        return None
    backup = wire.read_whitelist_alert(message.payload)
    return wire.whitelist_alert(message.header.counter, backup.at, backup)


def test_join_commands_have_the_one_code_of_their_method() -> None:
    for name, message in published():
        if message.header.cra is Cra.COMMAND and message.header.code in joins.JOIN_CODES.values():
            said = read_declared(joins.JoinCommand, message.payload).payload
            assert joins.JOIN_CODES[said.method] == message.header.code, name


# Obeyed


@cache
def devices() -> dict[tuple[str, str], bytes]:
    """Every certificate of a device that was published, by its EUI-64 and usage."""
    found = {}
    for one in read_json("gbcs", "keys.json")["keys"]:
        if one["entity"] == "device":
            read = x509.load_pem_x509_certificate(one["certificate_pem"].encode())
            found[one["eui64"], one["usage"]] = read.public_bytes(Encoding.DER)
    return found


def private_keys() -> list[ec.EllipticCurvePrivateKey]:
    return [
        ec.derive_private_key(int(one["private_key_hex"], 16), ec.SECP256R1())
        for one in read_json("gbcs", "keys.json")["keys"]
        if one["private_key_hex"]
    ]


class Neighbour:
    """The one device a published join names, at the other end of the radio. Its key was published in part at most,
    so it has one of its own."""

    def __init__(self, entity: EntityId, kind: DeviceType, issuers: tuple[x509.Certificate, ...]) -> None:
        mine = ec.generate_private_key(ec.SECP256R1())
        party = Party(entity, kind, certified(mine, entity), Agreement(mine), issuers)
        self._entity = entity
        self._responder = Responder(party, fixed, lambda _: True)

    def reach(self, device: EntityId) -> Peer | JoinCode:
        return self._responder if device == self._entity else JoinCode.NO_RESPONSE


def fixed(octets: int) -> bytes:
    return hashlib.sha256(b"vectors").digest()[:octets]


def ready(case: dict[str, Any], message: Message, response: Message) -> tuple[DeviceState, DeviceKeys] | None:
    """The device as the published answer says it was: its log before, as far as that shows."""
    found = TestWorld().device(case["header"])
    if found is None:
        return None
    state, keys = found
    entity = case["header"]["recipient_eui64"]
    mine = next((one for one in private_keys() if one.public_key() == keys.agreement.public_key()), None)
    if mine is not None:
        keys = DeviceKeys(keys.signing, mine)
        state = replace(state, own={KeyUsage.KEY_AGREEMENT: certified(mine, EntityId.parse(entity))})
    rules = policies().joins.rules
    network = Network(replace(rules, issuers=(issuing().der,)))
    return replace(state, network=before(network, message, response)), keys


def before(network: Network, message: Message, response: Message) -> Network:
    code = message.header.code
    if code in joins.UNJOIN_CODES.values() and response.payload == b"\x02\x01\x00":
        method = JoinMethod.B if code == joins.CS04B else JoinMethod.A_INITIATOR
        other = EntityId(read_declared(joins.UnjoinCommand, message.payload).payload)
        return network.with_entry(Entry(other, DeviceType.HCALCS, method))
    if code == joins.CS07:
        for one in read_declared(joins.LogResponse, response.payload).payload.entries or ():
            network = network.with_entry(Entry(EntityId(one.device), NAMED[one.device_type], JoinMethod.B))
    if code == wire.CCS02 and response.payload[-1:] == b"\0":
        gone = wire.entity(read_request(message.payload)[0].value)
        return replace(network, hub=Hub(listed=(Listed(gone),)))
    return network


def is_reproducible(message: Message, response: Message) -> bool:
    """Figures that a radio measured, and faults of a part that broke, are in no message that went before."""
    if message.header.code == wire.CCS06:
        return False
    return not (message.header.code == wire.CCS01 and response.payload[-1:] != b"\0")


def answer_to(case: dict[str, Any], message: Message) -> Message | None:
    """The published answer: the response with the same counter, from the one it is for."""
    for other in everything().values():
        found = message_of(other)
        asked, told = message.header, found.header
        same = (told.counter, told.code, told.originator) == (asked.counter, asked.code, asked.target)
        if told.cra is Cra.RESPONSE and same:
            return found
    return None


def test_each_is_obeyed_as_the_published_device_did() -> None:
    compared = 0
    for name, case in everything().items():
        message = message_of(case)
        published = answer_to(case, message) if case["kind"] == "command" else None
        if published is None or not is_reproducible(message, published):
            continue
        expected = case["expected"]
        if expected["mac"].get("valid") is not True or expected["signature"].get("valid") is False:
            continue
        made = ready(case, message, published)
        if made is None:
            continue
        state, keys = made
        other = neighbour(message, state)
        around = Surroundings(other, fixed) if other is not None else Surroundings()
        found = receive(state, keys, message.encode(), AT, around)
        assert found.verdict.accepted, (name, found.verdict)
        assert found.answer is not None
        answer = read_message(found.answer).payload
        if names_another(message):
            # A published device took the certificate of a device that its join does not name. Ours does not: nothing
            # else says whose key this is. Named rightly, it is answered as published.
            assert answer == write_declared(CodeResponse(payload=JoinCode.INVALID_OR_MISSING_CERTIFICATE)), name
            answer = act_on(state, keys, message.header.code, named_rightly(message), around, AT).payload
        assert answer == published.payload, (name, found.changes)
        compared += 1
    assert compared


def carried(message: Message) -> Holder | None:
    """Whose certificate came along."""
    if message.header.code != joins.CS03C:
        return None
    certificate = read_declared(joins.JoinCommand, message.payload).payload.other_device_certificate
    assert certificate is not None
    return holder(certificate, "the certificate that came along")


def names_another(message: Message) -> bool:
    who = carried(message)
    said = None if who is None else read_declared(joins.JoinCommand, message.payload).payload
    return who is not None and said is not None and who.entity.octets != said.other_device


def named_rightly(message: Message) -> bytes:
    who = carried(message)
    assert who is not None
    said = read_declared(joins.JoinCommand, message.payload).payload
    return write_declared(joins.JoinCommand(payload=dataclasses.replace(said, other_device=who.entity.octets)))


def neighbour(message: Message, state: DeviceState) -> Neighbour | None:
    if message.header.code not in joins.JOIN_CODES.values():
        return None
    said = read_declared(joins.JoinCommand, message.payload).payload
    return Neighbour(EntityId(said.other_device), NAMED[said.other_device_type], state.network.rules.issuing)


def test_published_tokens_over_the_home_network_are_tokens() -> None:
    for name, message in published():
        if message.header.code == PCS01 and message.header.cra is Cra.COMMAND:
            assert Utrn(message.payload[-20:].decode()).value >= 0, name


def test_a_key_that_was_published_in_part_agrees_by_its_peer() -> None:
    """What these tests stand on: both ways round, the published keys give one secret."""
    mine, theirs = private_keys()[:2]
    borrowed = BorrowedKey(mine.public_key(), [theirs])
    assert borrowed.exchange(ec.ECDH(), theirs.public_key()) == mine.exchange(ec.ECDH(), theirs.public_key())
