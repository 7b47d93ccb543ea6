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
from smki.gbcs.payload.declared import (
    DIGITAL_SIGNATURE,
    ENUMERATED,
    KEY_AGREEMENT,
    KEY_CERT_SIGN,
    element_octets,
    enumerated_value,
    read_declared,
    shorten_lengths,
    unfit,
)
from smki.gbcs.payload.tree import Node, Payload
from smki.pki.describe import describe
from smki.pki.holder import UNREADABLE

_COMMAND, _RESPONSE, _ALERT = Cra.COMMAND, Cra.RESPONSE, Cra.ALERT
_UPDATE = (*range(0x0100, 0x010A), 0x0125, 0x0126)

DECLARED: dict[tuple[int, Cra], type] = {
    (0x0008, _COMMAND): credentials.DetailsCommand,
    (0x0008, _RESPONSE): credentials.DetailsResponse,
    (0x000A, _COMMAND): credentials.OwnKeyCommand,
    (0x000A, _RESPONSE): credentials.OwnKeyResponse,
    (0x000B, _COMMAND): credentials.CertificateCommand,
    (0x000B, _RESPONSE): credentials.CodeResponse,
    (0x000C, _COMMAND): credentials.OwnKeyCommand,
    (0x000C, _RESPONSE): credentials.OwnKeyResponse,
    **dict.fromkeys(((code, _COMMAND) for code in (0x000D, 0x000E, 0x00AB, 0x00AF)), joins.JoinCommand),
    **dict.fromkeys(((code, _COMMAND) for code in (0x000F, 0x0010)), joins.UnjoinCommand),
    **dict.fromkeys(
        ((code, _RESPONSE) for code in (0x000D, 0x000E, 0x000F, 0x0010, 0x00AB, 0x00AF)), credentials.CodeResponse
    ),
    (0x0012, _COMMAND): firmware.ActivationCommand,
    (0x0012, _RESPONSE): firmware.ActivationResponse,
    (0x0013, _COMMAND): joins.NothingCommand,
    (0x0013, _RESPONSE): joins.LogResponse,
    (0x007F, _COMMAND): firmware.ClockCommand,
    (0x007F, _RESPONSE): firmware.ClockResponse,
    (0x008C, _COMMAND): joins.RestoreCommand,
    (0x008C, _RESPONSE): joins.RestoreResponse,
    (0x00B2, _ALERT): joins.LogAlert,
    (0x00CA, _ALERT): firmware.ActivationAlert,
    (0x00CB, _ALERT): credentials.UpdateAlert,
    **dict.fromkeys(((code, _COMMAND) for code in _UPDATE), credentials.UpdateCommand),
    **dict.fromkeys(((code, _RESPONSE) for code in _UPDATE), credentials.UpdateResponse),
    (0x011B, _COMMAND): credentials.DetailsCommand,
    (0x011B, _RESPONSE): credentials.DetailsResponse,
    (0x0124, _ALERT): credentials.UpdateAlert,
    (0x0129, _COMMAND): joins.NothingCommand,
    (0x0129, _RESPONSE): firmware.HanVersionResponse,
    (0x012B, _ALERT): firmware.HanActivationAlert,
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
        number = enumerated_value(value)
        return Node(words, _STATUS.get(number, f"status {number}"))
    if octets[:2] == b"\x02\x01":
        return Node("code", _named(_OWN_KEY_CODES.get(int(code), {}), octets[2]))
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


def _named(table: dict[int, str], number: int) -> str:
    return table.get(number, f"code {number}")


def _number(name: str, value: int, code: MessageCode) -> str:
    if name == "alert_code":
        return f"{value:04X} {_ALERTS.get(value, '')}".rstrip()
    if name == "status" and int(code) == 0x007F:
        return _named({0: "reliable", 1: "invalid", 2: "unreliable"}, value)
    if name in {"code", "payload"}:
        return _named(_CODES.get(int(code), {}), value)
    return str(value)


_CANCELS = "9999-12-31T23:59:59Z"
_STATUS = {
    0: "success",
    5: "bad certificate",
    10: "no trust anchor",
    17: "insufficient memory",
    25: "trust anchor not found",
    30: "resources busy",
    127: "other",
}
_JOIN_CODES = dict(
    enumerate(
        (
            "success",
            "invalid message code for join method and role",
            "invalid join method and role",
            "incompatible with existing entry",
            "device log full",
            "write failure",
            "key agreement: no resources",
            "key agreement: unknown issuer",
            "key agreement: unsupported suite",
            "key agreement: bad message",
            "key agreement: bad key confirm",
            "invalid or missing certificate",
            "no partner link key received",
            "no CBKE response",
        )
    )
)
_UNJOIN_CODES = {0: "success", 1: "not in device log", 2: "other failure"}
_ACTIVATION_CODES = {0: "success", 1: "no image held", 2: "hash mismatch", 3: "activation failure"}
_CODES: dict[int, dict[int, str]] = {
    **dict.fromkeys((0x000D, 0x000E, 0x00AB, 0x00AF, 0x008C), _JOIN_CODES),
    **dict.fromkeys((0x000F, 0x0010), _UNJOIN_CODES),
    0x000B: dict(
        enumerate(
            (
                "success",
                "invalid certificate",
                "wrong device identity",
                "invalid key usage",
                "no corresponding key pair generated",
                "wrong public key",
                "certificate storage failed",
                "private key change failed",
            )
        )
    ),
    **dict.fromkeys((0x0012, 0x00CA), _ACTIVATION_CODES),
    0x0013: {0: "success", 1: "read failure"},
}
_OWN_KEY_CODES: dict[int, dict[int, str]] = {
    0x000A: {1: "invalid key usage", 2: "key pair generation failed", 3: "certification request production failed"},
    0x000C: {1: "invalid key usage", 2: "no certificate held", 3: "certificate retrieval failure"},
}
_ALERTS = {
    0x8071: "GPF device log changed",
    0x8F66: "future-dated command actioned",
    0x8F67: "future-dated command not successfully actioned",
    0x8F8B: "firmware activated",
}
