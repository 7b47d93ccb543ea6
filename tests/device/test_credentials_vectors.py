"""Every published command about credentials: made again from its values, and obeyed as the published device did."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from smki.device.cells import Cell
from smki.device.credentials import advance
from smki.device.modes import ROOT_CELL, RULES_BY_CODE, named
from smki.device.receive import receive
from smki.device.state import DeviceKeys, DeviceState
from smki.device.update import CANCELLED, CredentialUpdate, read_update
from smki.entity import KeyUsage
from smki.gbcs.message import Message, read_message
from smki.gbcs.payload.credentials import UpdateAlert, UpdateOutcome, UpdateResponse
from smki.gbcs.payload.declared import read_declared, shorten_lengths
from smki.gbcs.protection import signature_holds
from tests.device.recovered import root_of
from tests.device.vectors import BorrowedKey, TestWorld
from tests.vectors_folder import read_json, vectors

pytestmark = pytest.mark.vectors
AT = datetime(2016, 6, 1, tzinfo=UTC)
_REQUEST, _INSTALL = 0x000A, 0x000B
_POINT_OCTETS = 65


@cache
def everything() -> dict[str, dict[str, Any]]:
    found = {}
    for path in sorted(vectors("gbcs").glob("*.json")):
        for case in json.loads(path.read_text()).get("vectors", []):
            if case["expected"]["parse"] == "ok":
                found[case["name"]] = case
    return found


def message_of(case: dict[str, Any]) -> Message:
    return read_message(bytes.fromhex(case["message_hex"]))


def updates() -> list[dict[str, Any]]:
    kinds = {"command", "pre-command"}
    cases = [case for case in everything().values() if case["kind"] in kinds]
    return [case for case in cases if message_of(case).header.code in RULES_BY_CODE]


def related(case: dict[str, Any], kind: str) -> Message | None:
    names = [name for name in case.get("related") or () if name in everything()]
    found = [everything()[name] for name in names if everything()[name]["kind"] == kind]
    return message_of(found[0]) if found else None


@cache
def published() -> dict[bytes, bytes]:
    """Every certificate of an organisation, by the identifier of its key."""
    found = {}
    for key in read_json("gbcs", "keys.json")["keys"]:
        if "certificate_pem" in key:
            read = x509.load_pem_x509_certificate(key["certificate_pem"].encode())
            digest = read.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
            found[digest] = read.public_bytes(Encoding.DER)
    return found


def ready(case: dict[str, Any], outcome: UpdateOutcome) -> tuple[DeviceState, DeviceKeys] | None:
    """The device as it was: each cell filled with what the published outcome says it held before."""
    device = TestWorld().device(case["header"])
    update = read_update(message_of(case).payload)
    if device is None:
        return None
    state, keys = device
    cells = dict(state.cells)
    for one in outcome.replacements:
        name = named(one.cell)
        if name is None or one.existing_subject_key_identifier not in published():
            return None
        cells[name] = Cell.of(published()[one.existing_subject_key_identifier], name)
    cells[ROOT_CELL] = Cell.of(root_of(x509.load_der_x509_certificate(update.path[0])), ROOT_CELL)
    return replace(state, cells=cells), keys


def outcome_of(payload: bytes) -> UpdateOutcome | None:
    return read_declared(UpdateResponse, shorten_lengths(payload)).payload.outcome


def test_every_update_is_made_again_from_its_values() -> None:
    cases = updates()
    for case in cases:
        message = message_of(case)
        update = read_update(message.payload)
        same = CredentialUpdate(**{name: getattr(update, name) for name in update.__dataclass_fields__})
        made = same.command(message.header.originator, message.header.target)
        assert made.payload == message.payload, case["name"]
        assert made.header == replace(message.header, counter=update.counter), case["name"]
    assert cases


def test_devices_answer_updates_as_the_published_ones_did() -> None:
    compared = 0
    for case in updates():
        response = related(case, "response")
        told = None if response is None else outcome_of(response.payload)
        if case["kind"] != "command" or response is None or told is None:
            continue
        device = ready(case, told)
        if device is None:
            continue
        state, keys = device
        found = receive(state, keys, bytes.fromhex(case["message_hex"]), AT)
        assert found.verdict.accepted, (case["name"], found.verdict)
        assert found.answer is not None
        assert read_message(found.answer).payload == shorten_lengths(response.payload), case["name"]
        for one in told.replacements:
            name = named(one.cell)
            assert name is not None
            assert found.state.cells[name].key_identifier == one.replacing_subject_key_identifier
        compared += 1
    assert compared


def test_devices_put_off_tell_and_take_back_as_the_published_ones_did() -> None:
    told = cancelled = 0
    for case in updates():
        update, alert = read_update(message_of(case).payload), related(case, "alert")
        response = related(case, "response")
        if case["kind"] != "command" or update.at is None or response is None:
            continue
        notice = None if alert is None else read_declared(UpdateAlert, shorten_lengths(alert.payload)).payload
        device = TestWorld().device(case["header"]) if notice is None else ready(case, notice.outcome)
        if device is None:
            continue
        state, keys = device
        found = receive(state, keys, bytes.fromhex(case["message_hex"]), AT)
        assert found.answer is not None
        assert read_message(found.answer).payload == response.payload, case["name"]
        if update.at == CANCELLED:
            assert not found.state.pending
            cancelled += 1
        elif alert is not None:
            assert not advance(found.state, found.keys, AT).alerts
            # At their time these certificates have expired: the published device believed its clock to be earlier.
            due = replace(update, disapply_time=True).encode()
            waiting = tuple(replace(one, payload=due) for one in found.state.pending)
            later = advance(replace(found.state, pending=waiting), found.keys, update.at)
            sent = read_message(later.alerts[0])
            assert sent.payload == shorten_lengths(alert.payload), case["name"]
            assert sent.header == alert.header, case["name"]
            assert signature_holds(sent, keys.signing.public_key())
            told += 1
    assert told
    assert cancelled


def test_own_keys_are_asked_for_and_installed_as_published() -> None:
    compared = 0
    for case in everything().values():
        response = related(case, "response")
        if case["kind"] != "command" or response is None or int(case["header"]["message_code"], 16) > _INSTALL:
            continue
        code = message_of(case).header.code
        device = TestWorld().device(case["header"])
        if device is None or code not in {_REQUEST, _INSTALL}:
            continue
        state, keys = device
        state = replace(state, own=own_certificates(case["header"]["recipient_eui64"]))
        if code == _INSTALL:
            keys = replace(keys, asked=waiting(message_of(case).payload))
        found = receive(state, keys, bytes.fromhex(case["message_hex"]), AT)
        assert found.answer is not None
        ours = read_message(found.answer).payload
        if code == _REQUEST:
            assert_same_form(ours, response.payload)
        elif response.payload == b"\x02\x01\x00":
            assert ours == response.payload, case["name"]
            assert found.state.own[KeyUsage.DIGITAL_SIGNATURE] == message_of(case).payload
        compared += 1
    assert compared


def own_certificates(entity: str) -> dict[KeyUsage, bytes]:
    found = {}
    for key in read_json("gbcs", "keys.json")["keys"]:
        if key["entity"] == "device" and key["eui64"] == entity:
            usage = KeyUsage.DIGITAL_SIGNATURE if key["usage"] == "DS" else KeyUsage.KEY_AGREEMENT
            read = x509.load_pem_x509_certificate(key["certificate_pem"].encode())
            found[usage] = read.public_bytes(Encoding.DER)
    return found


def waiting(certificate: bytes) -> dict[KeyUsage, ec.EllipticCurvePrivateKey]:
    """The pair that a published certificate is for, as far as it was published: its public half."""
    key = x509.load_der_x509_certificate(certificate).public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    return {KeyUsage.DIGITAL_SIGNATURE: BorrowedKey(key, [])}


def assert_same_form(ours: bytes, theirs: bytes) -> None:
    one, other = x509.load_der_x509_csr(ours), x509.load_der_x509_csr(theirs)
    assert one.is_signature_valid
    assert one.subject == other.subject
    places = [request.tbs_certrequest_bytes.index(point_in(request)) for request in (one, other)]
    parts = [
        request.tbs_certrequest_bytes[:place] + request.tbs_certrequest_bytes[place + _POINT_OCTETS :]
        for request, place in zip((one, other), places, strict=True)
    ]
    assert parts[0] == parts[1]


def point_in(request: x509.CertificateSigningRequest) -> bytes:
    from smki.pki.keyid import point_of

    key = request.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    return point_of(key)
