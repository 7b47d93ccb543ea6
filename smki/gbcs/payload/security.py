"""Which use case has which declared payload, and what such a payload says in words (GBCS 11, 13)."""

import dataclasses
import hashlib
from collections.abc import Iterator
from contextlib import suppress
from enum import IntEnum
from typing import Any

from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives.serialization import Encoding

from smki.entity import EUI64_OCTETS, EntityId, RemotePartyRole
from smki.errors import InvalidInput
from smki.gbcs.header import Cra, MessageCode
from smki.gbcs.payload import credentials, firmware, joins
from smki.gbcs.payload.credentials import CS02A, CS02C, CS02D, CS02E, CS02F
from smki.gbcs.payload.declared import (
    DIGITAL_SIGNATURE,
    ENUMERATED,
    KEY_AGREEMENT,
    KEY_CERT_SIGN,
    Outcome,
    element_octets,
    enumerated_value,
    read_declared,
    shorten_lengths,
    unfit,
)
from smki.gbcs.payload.firmware import CS06, CS06_ALERT, CS08, CS09, GCS28
from smki.gbcs.payload.joins import CS04AC, CS04B, CS07, GCS59, GCS62, JOIN_CODES
from smki.gbcs.payload.tree import Node, Payload
from smki.pki.describe import describe
from smki.pki.holder import UNREADABLE

_COMMAND, _RESPONSE, _ALERT = Cra.COMMAND, Cra.RESPONSE, Cra.ALERT
_UPDATE = (*range(0x0100, 0x010A), 0x0125, 0x0126)  # CS02b, a code for each mode, and CS02g
_UPDATE_ALERTS = (0x00CB, 0x0124)
_JOINS, _UNJOINS = tuple(JOIN_CODES.values()), (CS04AC, CS04B)

DECLARED: dict[tuple[int, Cra], type] = {
    **dict.fromkeys(((code, _COMMAND) for code in (CS02A, CS02F)), credentials.DetailsCommand),
    **dict.fromkeys(((code, _RESPONSE) for code in (CS02A, CS02F)), credentials.DetailsResponse),
    **dict.fromkeys(((code, _COMMAND) for code in (CS02C, CS02E)), credentials.OwnKeyCommand),
    **dict.fromkeys(((code, _RESPONSE) for code in (CS02C, CS02E)), credentials.OwnKeyResponse),
    (CS02D, _COMMAND): credentials.CertificateCommand,
    (CS02D, _RESPONSE): credentials.CodeResponse,
    **dict.fromkeys(((code, _COMMAND) for code in _UPDATE), credentials.UpdateCommand),
    **dict.fromkeys(((code, _RESPONSE) for code in _UPDATE), credentials.UpdateResponse),
    **dict.fromkeys(((code, _ALERT) for code in _UPDATE_ALERTS), credentials.UpdateAlert),
    **dict.fromkeys(((code, _COMMAND) for code in _JOINS), joins.JoinCommand),
    **dict.fromkeys(((code, _COMMAND) for code in _UNJOINS), joins.UnjoinCommand),
    **dict.fromkeys(((code, _RESPONSE) for code in (*_JOINS, *_UNJOINS)), credentials.CodeResponse),
    **dict.fromkeys(((code, _COMMAND) for code in (CS07, CS08)), joins.NothingCommand),
    (CS07, _RESPONSE): joins.LogResponse,
    (GCS59, _COMMAND): joins.RestoreCommand,
    (GCS59, _RESPONSE): joins.RestoreResponse,
    (GCS62, _ALERT): joins.LogAlert,
    (CS06, _COMMAND): firmware.ActivationCommand,
    (CS06, _RESPONSE): firmware.ActivationResponse,
    (CS06_ALERT, _ALERT): firmware.ActivationAlert,
    (CS08, _RESPONSE): firmware.HanVersionResponse,
    (CS09, _ALERT): firmware.HanActivationAlert,
    (GCS28, _COMMAND): firmware.ClockCommand,
    (GCS28, _RESPONSE): firmware.ClockResponse,
}
"""Declared payloads by message code and kind of message."""

HAS_SECRET = MessageCode(0x0109)
"""CS02b by the contingency: it brings the symmetric key that opens the contingency key."""
_SECRETS = {"symmetric_key"}
EXPLICIT_DEFAULT = "explicit default cell usage"
"""Hubs and meters in service write `management` out in responses to CS02a, which DER leaves out (X.690 11.5)."""
LONG_LENGTHS = "lengths of two octets"
"""Reference devices write lengths of 128 to 255 as 82 00 xx, which DER writes as 81 xx (X.690 10.1)."""
_WITH_DEFAULT: dict[type, type] = {credentials.DetailsResponse: credentials.DetailsResponseWithDefault}


def read_security(payload: bytes, code: MessageCode, cra: Cra) -> tuple[Any, str | None]:
    """The declared value of a payload, and by which name it departs from DER, if it does.

    Two departures are read, each alone and only from devices: nothing that a user or a broker makes is read twice.
    """
    kind = DECLARED.get((int(code), cra))
    if kind is None:
        raise unfit(f"no declaration for {code} {cra.name.lower()}")
    try:
        return read_declared(kind, payload), None
    except InvalidInput:
        if cra is Cra.COMMAND:
            raise
        if kind in _WITH_DEFAULT and _reads(_WITH_DEFAULT[kind], payload):
            return read_declared(_WITH_DEFAULT[kind], payload), EXPLICIT_DEFAULT
        return read_declared(kind, shorten_lengths(payload)), LONG_LENGTHS


def _reads(kind: type, payload: bytes) -> bool:
    try:
        read_declared(kind, payload)
    except InvalidInput:
        return False
    return True


def security_words(payload: bytes, code: MessageCode, cra: Cra) -> Payload:
    """What a payload in ASN.1 says."""
    value, departure = read_security(payload, code, cra)
    nodes = tuple(_nodes("payload", value.payload, code))
    if len(nodes) == 1 and nodes[0].children and not nodes[0].value:
        nodes = nodes[0].children
    if departure is not None:
        nodes += (Node("not as DER has it", departure),)
    return Payload(nodes)


def _nodes(name: str, value: Any, code: MessageCode) -> Iterator[Node]:
    """One node for one field; none for what is absent."""
    words = name.replace("_", " ")
    if value is None:
        return
    if hasattr(type(value), "__asn1_root__") and dataclasses.is_dataclass(value):
        yield Node(words, "", tuple(_fields(value, code)))
    elif isinstance(value, list):
        yield Node(words, "" if value else "none", tuple(node for item in value for node in _item(item, code)))
    else:
        yield _leaf(name, words, value, code)


def _fields(value: Any, code: MessageCode) -> Iterator[Node]:
    for field in dataclasses.fields(value):
        yield from _nodes(field.name, getattr(value, field.name), code)


def _item(item: Any, code: MessageCode) -> Iterator[Node]:
    return _nodes(type(item).__name__ if dataclasses.is_dataclass(item) else "item", item, code)


def _leaf(name: str, words: str, value: Any, code: MessageCode) -> Node:
    match value:
        case RemotePartyRole():
            return Node(words, value.word)
        case IntEnum():
            return Node(words, value.name.lower().replace("_", " "))
        case int():
            return Node(words, _number(name, value, code))
        case asn1.BitString():
            return Node(words, _key_usage(value))
        case asn1.GeneralizedTime():
            moment = value.as_datetime()
            shown = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
            return Node(words, f"{shown} (cancels)" if shown == _CANCELS else shown)
        case asn1.Null():
            return Node(words, "nothing more")
        case bytes():
            return Node(words, _octets(name, value))
        case x509.Certificate():
            return _certificate(words, value.public_bytes(Encoding.DER))
        case asn1.TLV():
            return _element(words, name, value, code)
    raise unfit(f"{words} is of a kind that has no words")


def hidden(secret: bytes) -> str:
    """A secret in words: whoever compares sees another one, and nobody sees it."""
    return f"hidden, {len(secret)} octets, SHA-256 {hashlib.sha256(secret).hexdigest()}"


def _octets(name: str, value: bytes) -> str:
    if name in _SECRETS:
        return hidden(value)
    return str(EntityId(value)) if _is_entity(name, value) else value.hex()


def _is_entity(name: str, value: bytes) -> bool:
    return len(value) == EUI64_OCTETS and "identifier" not in name


def _key_usage(bits: asn1.BitString) -> str:
    if bits == DIGITAL_SIGNATURE:
        return "digitalSignature"
    if bits == KEY_AGREEMENT:
        return "keyAgreement"
    return "keyCertSign" if bits == KEY_CERT_SIGN else f"bits {bits.as_bytes().hex()} less {bits.padding_bits()}"


def _element(words: str, name: str, value: asn1.TLV, code: MessageCode) -> Node:
    octets = element_octets(value)
    if value.tag_bytes == bytes((ENUMERATED,)):
        return Node(words, credentials.StatusCode.told(enumerated_value(value)))
    if octets[:2] == b"\x02\x01":
        return Node("code", _OWN_KEY_CODES.get(code, Outcome).told(octets[2]))
    return _certificate(words if name != "payload" else "certificate", octets)


def _certificate(words: str, der: bytes) -> Node:
    """A certificate or a request in words; what is neither as its octets, so that nothing is hidden."""
    with suppress(InvalidInput):
        return Node(words, "", tuple(Node(key, text) for key, text in describe(der)))
    with suppress(ValueError, *UNREADABLE):
        good = (
            "its signature holds" if x509.load_der_x509_csr(der).is_signature_valid else "its signature does not hold"
        )
        return Node("certification request", good, (Node("octets", der.hex()),))
    return Node(words, f"no certificate: {der.hex()}")


# Numbers that stand for words


def _number(name: str, value: int, code: MessageCode) -> str:
    if name == "alert_code":
        return f"{value:04X} {_ALERTS.get(value, '')}".rstrip()
    if name == "status" and code == GCS28:
        return firmware.ClockStatus.told(value)
    if name in {"code", "payload"}:
        return _CODES.get(code, Outcome).told(value)
    return str(value)


_CANCELS = "9999-12-31T23:59:59Z"
_CODES: dict[int, type[Outcome]] = {
    **dict.fromkeys((*_JOINS, GCS59), joins.JoinCode),
    **dict.fromkeys(_UNJOINS, joins.UnjoinCode),
    CS02D: credentials.CertificateCode,
    **dict.fromkeys((CS06, CS06_ALERT), firmware.ActivationCode),
    CS07: joins.ReadLogCode,
}
_OWN_KEY_CODES: dict[int, type[Outcome]] = {CS02C: credentials.RequestCode, CS02E: credentials.ProvideCode}
_ALERTS = {
    0x8071: "GPF device log changed",
    0x8F66: "future-dated command actioned",
    0x8F67: "future-dated command not successfully actioned",
    0x8F8B: "firmware activated",
}
