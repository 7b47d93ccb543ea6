"""What travels between parties and devices: messages, their payloads and blocks; what a device keeps and is given."""

import base64
import hashlib
import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from scripts.fuzzing.target import NOW, VECTORS, Run, Target
from smki.errors import InvalidInput, SmkiError
from tests.pki.hierarchy import Made


def _message() -> Run:
    from smki.gbcs.message import read_message

    def run(octets: bytes) -> None:
        message = read_message(octets)
        assert replace(message).encode() == octets, "read, and written otherwise"

    return run


def _words() -> Run:
    from smki.gbcs.message import read_message
    from smki.gbcs.words import Vocabulary, as_json, read
    from smki.parties.credentials_words import words_of
    from tests.device.desk import policies

    vocabulary = Vocabulary(policies().use_cases, policies().names)

    def run(octets: bytes) -> None:
        message = read_message(octets)
        with suppress(SmkiError):
            words_of(message, vocabulary).as_json()
        as_json(read(message, vocabulary), vocabulary)

    return run


def _device() -> Run:
    from smki.device.receive import receive
    from smki.entity import DeviceType
    from tests.device.desk import esme, keys
    from tests.device.family import DEVICES, device, device_keys

    hub = device(DeviceType.CHF)
    homes = ((esme(), keys()), (hub, device_keys(DEVICES[DeviceType.CHF])))

    def run(octets: bytes) -> None:
        for state, own in homes:
            receive(state, own, octets, NOW)

    return run


def _inside() -> Run:
    """Payloads past the checks of who sent them: a device would come here with a message it believes."""
    from smki.gbcs.message import read_message
    from smki.gbcs.payload.access import read_request
    from smki.gbcs.payload.credentials import CertificateCommand, OwnKeyCommand
    from smki.gbcs.payload.declared import element, element_octets, enumerated, read_declared
    from smki.gbcs.payload.dlms import read_data
    from smki.gbcs.payload.hub import read_whitelist_alert
    from smki.gbcs.payload.joins import LogAlert
    from smki.parties.han_alerts import read_alert
    from tests.device.desk import policies

    names = policies().names

    def run(octets: bytes) -> None:
        message = read_message(octets)
        payload = message.payload
        for read in (read_request, read_whitelist_alert, lambda data: read_data(data, names)):
            with suppress(SmkiError):
                read(payload)
        for kind in (OwnKeyCommand, LogAlert):
            with suppress(SmkiError):
                read_declared(kind, payload)
        with suppress(SmkiError):
            der = element_octets(read_declared(CertificateCommand, payload).payload)
            assert element_octets(element(der)) == der, "an element that is written otherwise"
        enumerated(payload[0] & 0x7F if payload else 0)
        read_alert(octets, "input", message.header.code)

    return run


def _attributes() -> Run:
    """ZigBee's general commands: one octet says which, two of which cluster."""
    from smki.gbcs.payload.foundation import Foundation
    from smki.gbcs.payload.octets import Cursor
    from tests.device.desk import policies

    names = policies().names

    def run(octets: bytes) -> None:
        command, cluster = octets[:1], int.from_bytes(octets[1:3], "little")
        for to_client in (True, False):
            Foundation(names, cluster, to_client=to_client).read(
                Cursor(octets[3:], "little"), int.from_bytes(command)
            )

    return run


def _block() -> Run:
    from smki.gbcs.block_transfer import join, read_block

    def run(octets: bytes) -> None:
        block = read_block(octets)
        assert join([block]) == block.data, "joined otherwise"

    return run


def _update() -> Run:
    from smki.device.replacing import judge
    from smki.device.update import read_update
    from tests.device.home import cells

    def run(octets: bytes) -> None:
        update = read_update(octets)
        assert update.encode() == octets, "read, and written otherwise"
        judge(cells(), update, NOW)

    return run


def _state() -> Run:
    """As it came, and with the digest made right, so that what is inside is read."""
    from smki.device.state import read_state, write_state

    def run(octets: bytes) -> None:
        with suppress(ValueError, TypeError, KeyError, RecursionError):
            file = json.loads(octets)
            body = json.dumps(file["state"], sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
            file["sha256"] = hashlib.sha256(body).hexdigest()
            octets = json.dumps(file).encode()
        written = write_state(*read_state(octets))
        assert write_state(*read_state(written)) == written, "written, and read otherwise"

    return run


@cache
def _installers() -> tuple[Made, Made, Made]:
    """Root, issuing authority and certificate of those who install devices."""
    from tests.pki.hierarchy import make

    root = make("root-infrastructure", None)
    issuing = make("issuing-infrastructure", root)
    return root, issuing, make("officer", issuing)


def _bundle() -> Run:
    """The manifest is signed by someone who is believed: what else it says is not."""
    from smki.device.bundle import open_bundle
    from smki.pki.path import PathCertificate, TrustAnchor
    from smki.pki.signed_data import make_signed_data
    from tests.device.desk import esme, own

    root, issuing, officer = _installers()
    anchors = [TrustAnchor.of_certificate(PathCertificate.read(root.der))]
    beside = [officer.der, issuing.der, *own().values()]
    beside += [cell.certificate for cell in esme().cells.values() if cell.certificate not in beside]
    signer = x509.load_der_x509_certificate(officer.der)

    def run(octets: bytes) -> None:
        open_bundle(make_signed_data(octets, signer, officer.key, NOW, certificates=beside), anchors, NOW)

    return run


def _vectors() -> Run:
    """A laboratory's vectors and keys."""
    from smki.gbcs.conformance import Report, read_document, read_keys, run
    from tests.device.desk import policies

    known = read_keys((VECTORS / "gbcs" / "keys.json").read_bytes(), "keys")

    def both(octets: bytes) -> None:
        with suppress(SmkiError):
            read_keys(octets, "input")
        run(read_document(octets, "input"), known, policies().names, Report())

    return both


# Seeds


def messages() -> Iterator[bytes]:
    for path in sorted(VECTORS.glob("gbcs/*.json")):
        for case in json.loads(path.read_text()).get("vectors", []):
            yield bytes.fromhex(case["message_hex"])


def _blocks() -> Iterator[bytes]:
    from smki.gbcs.block_transfer import segment

    for message in messages():
        yield next(segment(message, 1024)).encode()


def _updates() -> Iterator[bytes]:
    from smki.device.modes import RULES_BY_CODE
    from smki.gbcs.header import Cra
    from smki.gbcs.message import read_message

    for octets in messages():
        with suppress(InvalidInput):
            message = read_message(octets)
            if message.header.cra is Cra.COMMAND and message.header.code in RULES_BY_CODE:
                yield message.payload


def _believed() -> Iterator[bytes]:
    """Messages of ours besides: a device acts on these."""
    from tests.device.desk import command, paying, unsigned

    yield from messages()
    yield from (one.encode() for one in (command(), unsigned(), paying(1)))


def _states() -> Iterator[bytes]:
    from smki.device.network import Listed
    from smki.device.state import Pending, write_state
    from smki.entity import DeviceType, KeyUsage
    from tests.device.desk import esme, keys
    from tests.device.family import DEVICES, Family, device_keys
    from tests.parties.people import SUPPLIER

    update = next(_updates())
    asked = {KeyUsage.KEY_AGREEMENT: ec.derive_private_key(8, ec.SECP256R1())}
    state = replace(esme(), values={"x": b"\1"}, pending=(Pending(NOW, SUPPLIER, update),))
    yield write_state(state, replace(keys(), asked=asked))
    home = Family()
    home.join_gas()
    hub = home.states[DeviceType.CHF]
    listed = Listed(DEVICES[DeviceType.GSME], bytes(16), bytes(16), NOW, NOW)
    network = replace(hub.network, hub=replace(hub.network.hub, listed=(listed,)))
    yield write_state(replace(hub, network=network), device_keys(hub.device))
    yield write_state(home.states[DeviceType.GSME], device_keys(DEVICES[DeviceType.GSME]))


def _reports() -> Iterator[bytes]:
    """A report of an attribute of each type that there is, one after another, and in an array."""
    for kind in range(256):
        yield b"\x0a\x02\x07" + b"\0\0" + bytes((kind,)) + bytes(16)
    yield b"\x01\x02\x07" + b"\0\0\0\x48\x21\2\0" + bytes(4)
    yield b"\x06\x02\x07" + b"\0\0\0\x21" + bytes(8)


def _manifests() -> Iterator[bytes]:
    from smki.device.bundle import FORM, use_cases_as_json
    from smki.device.network import rules_as_json
    from smki.entity import DeviceType
    from tests.device.desk import esme, own
    from tests.device.family import rules

    def digest(der: bytes) -> str:
        return hashlib.sha256(der).hexdigest()

    state = esme()
    fields: dict[str, object] = {
        "form": FORM,
        "version": "1",
        "device": str(state.device),
        "device_type": state.kind.value,
        "cells": {str(name): digest(cell.certificate) for name, cell in state.cells.items()},
        "counters": {role.word: "0" for role in state.counters},
        "top_up_floor": "0",
        "own": {usage.value: digest(der) for usage, der in own().items()},
        "certificates": [],
        "crls": [],
        "use_cases": dict(list(use_cases_as_json(state.use_cases, DeviceType.ESME).items())),
        "joins": rules_as_json(rules()),
    }
    yield json.dumps(fields).encode()


def _documents() -> Iterator[bytes]:
    """Of each file its first few vectors: they are long."""
    for path in sorted(VECTORS.glob("gbcs/*.json")):
        document = json.loads(path.read_text())
        yield json.dumps({k: v[:6] if isinstance(v, list) else v for k, v in document.items()}).encode()


def _texts_of_messages() -> Iterator[bytes]:
    """As people and programs hand messages in."""
    some = list(messages())[:3]
    yield some[0]
    yield some[0].hex().encode()
    yield b"\n".join(base64.b64encode(one) for one in some)
    yield b"".join(
        json.dumps({"reference": str(n), "message": one.hex()}).encode() + b"\n" for n, one in enumerate(some)
    )


def _handed_in() -> Run:
    import io

    from smki.parties.intake import given, given_as_argument

    def run(octets: bytes) -> None:
        for one in given(["-"], io.BytesIO(octets)):
            one.reference.encode()
        typed = given_as_argument(octets.decode(errors="surrogateescape"))
        assert typed is None or typed.octets, "a message of nothing"

    return run


TARGETS = {
    "message": Target(_message, messages),
    "words": Target(_words, messages),
    "device": Target(_device, _believed),
    "payload": Target(_inside, messages),
    "attributes": Target(_attributes, _reports),
    "block": Target(_block, _blocks),
    "update": Target(_update, _updates),
    "state": Target(_state, _states),
    "bundle": Target(_bundle, _manifests),
    "vectors": Target(_vectors, _documents),
    "handed-in": Target(_handed_in, _texts_of_messages),
}
