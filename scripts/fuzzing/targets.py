"""The parsers, each with seeds to begin from. A target may raise what is documented; anything else is a find."""

import base64
import json
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from smki.errors import SmkiError

VECTORS = Path(os.environ.get("SMKI_VECTORS", Path(__file__).parent.parent.parent.parent / "shared" / "vectors"))
NOW = datetime(2026, 11, 21, tzinfo=UTC)
Target = Callable[[bytes], object]


def _message() -> Target:
    from dataclasses import replace

    from smki.gbcs.message import read_message

    def target(octets: bytes) -> None:
        message = read_message(octets)
        assert replace(message).encode() == octets, "read, and written otherwise"

    return target


def _words() -> Target:
    from smki.authority.policies import load_policies
    from smki.authority.workspace import SHIPPED
    from smki.gbcs.message import read_message
    from smki.gbcs.words import Vocabulary, as_json, read

    policies = load_policies(SHIPPED / "policies")
    vocabulary = Vocabulary(policies.use_cases, policies.names)
    return lambda octets: as_json(read(read_message(octets), vocabulary), vocabulary)


def _device() -> Target:
    from smki.device.receive import receive
    from tests.device.desk import esme, keys

    state = esme()
    return lambda octets: receive(state, keys(), octets, NOW)


def _certificate() -> Target:
    from smki.pki.path import PathCertificate

    def target(octets: bytes) -> None:
        assert PathCertificate.read(octets).der == octets

    return target


def _crl() -> Target:
    from smki.pki.path import PathCrl

    return PathCrl.read


def _request() -> Target:
    from smki.authority.policies import load_policies
    from smki.authority.workspace import SHIPPED
    from smki.pki.kind import Kind
    from smki.pki.request import RequestReader

    profile = load_policies(SHIPPED / "policies").issuance.rule(Kind.DEVICE).profile
    return RequestReader(profile, frozenset()).read


def _signed_data() -> Target:
    from smki.pki.signed_data import read_signed_data

    return read_signed_data


def _state() -> Target:
    from smki.device.state import read_state

    return read_state


def _block() -> Target:
    from smki.gbcs.block_transfer import join, read_block

    def target(octets: bytes) -> None:
        block = read_block(octets)
        assert join([block]) == block.data, "joined otherwise"

    return target


def _update() -> Target:
    from smki.device.replacing import judge
    from smki.device.update import read_update
    from tests.device.home import cells

    def target(octets: bytes) -> None:
        update = read_update(octets)
        assert update.encode() == octets, "read, and written otherwise"
        judge(cells(), update, NOW)

    return target


def _ocsp() -> Target:
    from smki.authority.ocsp.http import BadHttp, HttpReader
    from smki.pki.ocsp import read_query

    def target(octets: bytes) -> None:
        """First as HTTP, then as the request alone."""
        reader = HttpReader(4096)
        reader.feed(octets)
        with suppress(BadHttp):
            while (request := reader.take()) is not None:
                with suppress(SmkiError):
                    read_query(request.octets, 16)
        query = read_query(octets, 16)
        if query.plain is not None:
            assert read_query(query.plain, 1).asked == query.asked, "shortened, and read otherwise"

    return target


TARGETS: dict[str, Callable[[], Target]] = {
    "message": _message,
    "words": _words,
    "device": _device,
    "certificate": _certificate,
    "crl": _crl,
    "request": _request,
    "signed-data": _signed_data,
    "state": _state,
    "block": _block,
    "update": _update,
    "ocsp": _ocsp,
}


def quiet(target: Target) -> Callable[[bytes], None]:
    """The documented errors are no finds."""

    def run(octets: bytes) -> None:
        with suppress(SmkiError):
            target(octets)

    return run


def seeds(name: str) -> Iterator[bytes]:
    """Good and bad examples of what a target reads."""
    if name in {"message", "words", "device"}:
        yield from _messages()
    if name == "block":
        from smki.gbcs.block_transfer import segment

        for message in _messages():
            yield next(segment(message, 1024)).encode()
    good = {"certificate": "certs", "crl": "crls"}.get(name)
    if good is not None:
        paths = json.loads((VECTORS / "pkits-p256" / "pkits.json").read_text())
        yield from (base64.b64decode(octets) for octets in paths[good].values())
    folder = {"certificate": "cert", "crl": "crl", "request": "csr"}.get(name)
    if folder is not None:
        for path in sorted((VECTORS / "malformed" / folder).glob("*.der")):
            yield path.read_bytes()
    makers = {"signed-data": _signed_example, "ocsp": _ocsp_requests, "update": _updates, "state": _state_example}
    if name in makers:
        yield from makers[name]()


def _messages() -> Iterator[bytes]:
    for path in sorted(VECTORS.glob("gbcs/*.json")):
        for case in json.loads(path.read_text()).get("vectors", []):
            yield bytes.fromhex(case["message_hex"])


def _updates() -> Iterator[bytes]:
    from smki.device.modes import RULES_BY_CODE
    from smki.errors import InvalidInput
    from smki.gbcs.header import Cra
    from smki.gbcs.message import read_message

    for octets in _messages():
        with suppress(InvalidInput):
            message = read_message(octets)
            if message.header.cra is Cra.COMMAND and message.header.code in RULES_BY_CODE:
                yield message.payload


def _ocsp_requests() -> Iterator[bytes]:
    from smki.pki.ocsp import IssuerId, cert_id, plain_request

    for algorithm, length in (("sha1", 20), ("sha256", 32)):
        octets = plain_request(cert_id(IssuerId(algorithm, bytes(length), bytes(length)), 1 << 126))
        yield octets
        yield b"GET /" + base64.b64encode(octets) + b" HTTP/1.1\r\nHost: a\r\n\r\n"
        head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/ocsp-request\r\nContent-Length: %d\r\n\r\n"
        yield head % len(octets) + octets


def _state_example() -> Iterator[bytes]:
    from smki.device.state import write_state
    from tests.device.desk import esme, keys

    yield write_state(esme(), keys())


def _signed_example() -> Iterator[bytes]:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding

    from smki.pki.signed_data import make_signed_data

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(NOW).not_valid_after(NOW.replace(year=2030))
    certificate = builder.sign(key, hashes.SHA256())
    yield make_signed_data(b"{}", certificate, key, NOW, certificates=[certificate.public_bytes(Encoding.DER)])
