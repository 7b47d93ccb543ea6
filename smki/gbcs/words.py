"""A message in words: what a person reads before signing it, and what a program compares (GBCS 7.2).

The values of a payload, by their paths in the tree, are what an expectation names: two messages that say the same
have the same values, and one that says anything else has not.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from smki.entity import EntityId
from smki.errors import InvalidInput
from smki.gbcs.header import Cra, Header
from smki.gbcs.message import Message, Protection
from smki.gbcs.payload.access import ACCESS_REQUEST, ACCESS_RESPONSE, DATA_NOTIFICATION
from smki.gbcs.payload.components import GBZ
from smki.gbcs.payload.dlms import read_dlms
from smki.gbcs.payload.gbz import read_gbz
from smki.gbcs.payload.names import Names
from smki.gbcs.payload.operations import Operation, operations
from smki.gbcs.payload.security import DECLARED, HAS_SECRET, hidden, security_words
from smki.gbcs.payload.tree import EncryptedBlock, Node, Payload, leaves
from smki.gbcs.protection import digest_to_sign
from smki.gbcs.use_case import UseCase, UseCases

_DLMS = {ACCESS_REQUEST, ACCESS_RESPONSE, DATA_NOTIFICATION}
_LOW_24_BITS = 0xFFFFFF
PayloadKind = Literal["dlms", "gbz", "asn1", "unknown"]


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What is needed to put messages into words: the table of use cases, names of objects, names of parties."""

    use_cases: UseCases
    names: Names
    party_name: Callable[[EntityId], str] = lambda _: ""


@dataclass(frozen=True, slots=True)
class Reading:
    """A message as read: what it is, and its payload as far as it could be read."""

    message: Message
    use_case: UseCase | None
    kind: PayloadKind
    payload: Payload
    fault: InvalidInput | None
    """Why the payload could not be read; its octets are then all that is shown of it."""
    operations: tuple[Operation, ...] = ()
    """What a command asks a device to do."""

    @property
    def values(self) -> dict[str, str]:
        """All it says, each value under its path; what is asked of a device is numbered, because order counts."""
        nodes = self.payload.nodes
        found: dict[str, str] = {}
        if self.operations:
            nodes = tuple(replace(node, name=f"{number}. {node.name}") for number, node in enumerate(nodes, 1))
            found = {f"form of {number}": one.form for number, one in enumerate(self.operations, 1)}
        return found | self._for_whom() | leaves(nodes)

    def _for_whom(self) -> dict[str, str]:
        """The user a broker speaks for is part of what is signed, and so of what is compared."""
        extra = self.message.header.supplementary
        if extra is None:
            return {}
        found = {"for": str(extra.party)}
        if extra.counter is not None:
            found["for, its counter"] = str(extra.counter)
        if extra.certificate is not None:
            found["for, its certificate"] = hashlib.sha256(extra.certificate).hexdigest()
        return found


def form_of(message: Message) -> str:
    """What a message is called."""
    if message.header.cra is not Cra.COMMAND:
        return message.header.cra.name.lower()
    return {
        Protection.NONE: "pre-command",
        Protection.SIGNATURE: "signed pre-command",
        Protection.MAC: "command",
        Protection.BOTH: "command",
    }[message.protection]


def read(message: Message, vocabulary: Vocabulary, decrypted: Mapping[int, bytes] | None = None) -> Reading:
    """Put a message into words. `decrypted` holds what its encrypted parts say, by their place in the payload."""
    header = message.header
    use_case = vocabulary.use_cases.get(header.code)
    kind = payload_kind(message)
    try:
        payload = _payload(message, kind, vocabulary.names, decrypted or {})
        asked = operations(message.payload) if header.cra is Cra.COMMAND else ()
    except InvalidInput as fault:
        octets = Node("octets", _octets(message))
        return Reading(message, use_case, kind, Payload((octets,)), fault)
    return Reading(message, use_case, kind, payload, None, asked)


def _octets(message: Message) -> str:
    """All there is to show of what cannot be read; where a secret belongs in it, by its hash."""
    return hidden(message.payload) if message.header.code == HAS_SECRET else message.payload.hex()


def payload_kind(message: Message) -> PayloadKind:
    if (int(message.header.code), message.header.cra) in DECLARED:
        return "asn1"
    if message.payload[: len(GBZ)] == GBZ:
        return "gbz"
    return "dlms" if message.payload[:1] and message.payload[0] in _DLMS else "unknown"


def _payload(message: Message, kind: PayloadKind, names: Names, decrypted: Mapping[int, bytes]) -> Payload:
    header = message.header
    if kind == "asn1":
        return security_words(message.payload, header.code, header.cra)
    if kind == "gbz":
        return read_gbz(message.payload, names, decrypted=decrypted)
    if kind == "dlms":
        return read_dlms(message.payload, names, decrypted=decrypted)
    raise InvalidInput("gbcs.payload", "a payload of no known kind", "ask its sender what it is")


def encrypted_blocks(message: Message, names: Names) -> tuple[EncryptedBlock, ...]:
    """Where a message's encrypted parts lie."""
    kind = payload_kind(message)
    return () if kind in {"asn1", "unknown"} else _payload(message, kind, names, {}).encrypted


def counter_agrees(reading: Reading) -> bool:
    """Whether a payload that repeats its message's counter repeats it rightly (GBCS 7.2.9, 11.5, 13.3)."""
    counter = reading.message.header.counter
    repeated = reading.payload.counter_bits
    if repeated is not None and repeated != counter & _LOW_24_BITS:
        return False
    return all(value == str(counter) for value in _repeated(reading.payload.nodes))


def _repeated(nodes: tuple[Node, ...]) -> Iterator[str]:
    for node in nodes:
        if node.name == "originator counter":
            yield node.value
        yield from _repeated(node.children)


# For programs and for people


def as_json(reading: Reading, vocabulary: Vocabulary) -> dict[str, Any]:
    """A message for programs; documented in docs/signing.md."""
    message, header = reading.message, reading.message.header
    told: dict[str, Any] = {
        "form": form_of(message),
        "protection": message.protection.value,
        "use_case": _use_case(reading.use_case, header),
        "originator": _party(header.originator, vocabulary),
        "target": _party(header.target, vocabulary),
        "counter": str(header.counter),
    }
    if header.date_time:
        told["date_time"] = date_time_words(header.date_time)
    if header.supplementary is not None:
        told["supplementary"] = _supplementary(header, vocabulary)
    told["payload"] = {
        "kind": reading.kind,
        "encrypted_parts": len(reading.payload.encrypted),
        "tree": [node.as_json() for node in reading.payload.nodes],
    }
    if reading.fault is not None:
        told["payload"]["fault"] = {"code": reading.fault.code, "message": reading.fault.message}
    told["values"] = reading.values
    if message.signature:
        told["signature"] = message.signature.hex()
    if message.mac is not None:
        told["mac"] = message.mac.hex()
    told["signed_sha256"] = digest_to_sign(message).hex()
    return told


def _use_case(use_case: UseCase | None, header: Header) -> dict[str, Any]:
    if use_case is None:
        return {"code": str(header.code), "name": "", "title": "unknown", "category": "unknown", "critical": None}
    return {
        "code": str(use_case.code),
        "name": use_case.name,
        "title": use_case.title,
        "category": use_case.category,
        "critical": use_case.critical,
    }


def _party(entity: EntityId, vocabulary: Vocabulary) -> dict[str, str]:
    return {"id": str(entity), "name": vocabulary.party_name(entity)}


def _supplementary(header: Header, vocabulary: Vocabulary) -> dict[str, Any]:
    extra = header.supplementary
    assert extra is not None, "the caller looked"
    told: dict[str, Any] = {"party": _party(extra.party, vocabulary)}
    for name, counter in (("counter", extra.counter), ("originator_counter", extra.originator_counter)):
        if counter is not None:
            told[name] = str(counter)
    if extra.certificate is not None:
        told["certificate"] = extra.certificate.hex()
    return told


def date_time_words(octets: bytes) -> str:
    """A DLMS date-time: `2015-01-01T00:00:00`, with stars for what it leaves open."""
    year = int.from_bytes(octets[:2])
    shown = [f"{year:04d}" if year != 0xFFFF else "****"]
    shown += [f"{value:02d}" if value != 0xFF else "**" for value in (*octets[2:4], *octets[5:8])]
    return f"{shown[0]}-{shown[1]}-{shown[2]}T{shown[3]}:{shown[4]}:{shown[5]}"


def tree_of(reading: Reading, vocabulary: Vocabulary) -> Node:
    """The whole message as one tree, for a person."""
    message, header = reading.message, reading.message.header
    label = f"{header.code} {reading.use_case.label}" if reading.use_case else f"{header.code} (unknown use case)"
    critical = {None: "", True: ", critical", False: ", not critical"}[
        None if reading.use_case is None else reading.use_case.critical
    ]
    top = [
        Node("use case", f"{label}{critical}"),
        Node("from", _shown(header.originator, vocabulary)),
        Node("to", _shown(header.target, vocabulary)),
        Node("counter", str(header.counter)),
    ]
    if header.date_time:
        top.append(Node("made at", date_time_words(header.date_time)))
    if header.supplementary is not None:
        top.append(Node("for", _shown(header.supplementary.party, vocabulary), _supplements(header)))
    sealed = f", {len(reading.payload.encrypted)} encrypted" if reading.payload.encrypted else ""
    top.append(Node("payload", f"{reading.kind}{sealed}", reading.payload.nodes))
    if reading.fault is not None:
        top.append(Node("not understood", reading.fault.message))
    if message.signature:
        top.append(Node("signature", message.signature.hex()))
    if message.mac is not None:
        top.append(Node("MAC", message.mac.hex()))
    return Node(form_of(message), "", tuple(top))


def _shown(entity: EntityId, vocabulary: Vocabulary) -> str:
    name = vocabulary.party_name(entity)
    return f"{entity} ({name})" if name else str(entity)


def _supplements(header: Header) -> tuple[Node, ...]:
    extra = header.supplementary
    assert extra is not None, "the caller looked"
    counters = (("its counter", extra.counter), ("device's counter for it", extra.originator_counter))
    nodes = [Node(name, str(counter)) for name, counter in counters if counter is not None]
    if extra.certificate is not None:
        digest = hashlib.sha256(extra.certificate).hexdigest()
        nodes.append(Node("its certificate", f"{len(extra.certificate)} octets, SHA-256 {digest}"))
    return tuple(nodes)
