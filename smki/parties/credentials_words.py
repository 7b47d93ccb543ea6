"""Credentials messages in words: mode, cell by cell, from whom to whom, floors, when."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from smki.device.modes import RULES, RULES_BY_CODE, named
from smki.device.update import CANCELLED, CredentialUpdate, Floors, Put, read_update
from smki.entity import EntityId, RemotePartyRole
from smki.errors import InvalidInput
from smki.gbcs.header import Cra
from smki.gbcs.message import Message
from smki.gbcs.payload.credentials import CertificateCommand, DetailsCommand, OwnKeyCommand
from smki.gbcs.payload.declared import DIGITAL_SIGNATURE, KEY_AGREEMENT, element_octets, read_declared
from smki.gbcs.payload.tree import Node
from smki.gbcs.words import Vocabulary, form_of
from smki.parties.answers import Answer, Details, Holding, OwnKey, PutOff, Replaced, is_answer, read_answer
from smki.parties.asking import INSTALL_KEY, READ_CELLS, READ_CELLS_WITH_LOAD, READ_KEY, REQUEST_KEY
from smki.parties.change_rules import own_role
from smki.pki.holder import holder, load_certificate
from smki.pki.keyid import KeyIdentifier


@dataclass(frozen=True)
class Words:
    """One message: for a person, and for a program."""

    form: str
    message: Message
    lines: tuple[Node, ...]

    @property
    def tree(self) -> Node:
        return Node(self.form, "", self.lines)

    def as_json(self) -> dict[str, Any]:
        return {
            "form": self.form,
            "protection": self.message.protection.value,
            "code": str(self.message.header.code),
            **{node.name.replace(" ", "_"): _plain(node) for node in self.lines},
        }


def _plain(node: Node) -> Any:
    """A node as JSON: a value, or what is below it by name."""
    if not node.children:
        return node.value
    below = {child.name.replace(" ", "_"): _plain(child) for child in node.children}
    return {"is": node.value, **below} if node.value else below


def words_of(message: Message, vocabulary: Vocabulary) -> Words:
    """Put a command, response or alert about credentials into words; anything else is refused."""
    if message.header.cra is Cra.COMMAND:
        return Words(form_of(message), message, tuple(_command(message, vocabulary)))
    if is_answer(message):
        answer = read_answer(message)
        return Words(form_of(message), message, tuple(_answer(message, answer, vocabulary)))
    raise _other(message)


def _other(message: Message) -> InvalidInput:
    return InvalidInput(
        "credentials.other", f"{message.header.code} is not about credentials", "see `smki message show`"
    )


def _head(message: Message, what: str, vocabulary: Vocabulary) -> Iterator[Node]:
    header = message.header
    yield Node("what", what)
    yield Node("from", _party(header.originator, vocabulary))
    yield Node("to", _party(header.target, vocabulary))
    yield Node("counter", str(header.counter))


def _party(entity: EntityId, vocabulary: Vocabulary) -> str:
    name = vocabulary.party_name(entity)
    return f"{name} ({entity})" if name else str(entity)


# Commands


def _command(message: Message, vocabulary: Vocabulary) -> Iterator[Node]:
    code = message.header.code
    if code in RULES_BY_CODE:
        update = read_update(message.payload)
        yield from _head(message, RULES[update.mode].word, vocabulary)
        yield from _update(update, vocabulary)
    elif code in {READ_CELLS, READ_CELLS_WITH_LOAD}:
        wanted = read_declared(DetailsCommand, message.payload).payload
        yield from _head(message, "read cells", vocabulary)
        yield Node("authority", str(named(wanted.authorising_cell) or "a cell that no device has"))
        yield Node("roles", ", ".join(role.word for role in wanted.roles))
    elif code in {REQUEST_KEY, READ_KEY}:
        bits = read_declared(OwnKeyCommand, message.payload).payload.key_usage
        usage = {DIGITAL_SIGNATURE.as_bytes(): "digitalSignature", KEY_AGREEMENT.as_bytes(): "keyAgreement"}
        what = "make a new key and ask for its certificate" if code == REQUEST_KEY else "tell its own certificate"
        yield from _head(message, what, vocabulary)
        yield Node("usage", usage.get(bits.as_bytes(), "of no usage that devices have"))
    elif code == INSTALL_KEY:
        der = element_octets(read_declared(CertificateCommand, message.payload).payload)
        yield from _head(message, "install its own certificate", vocabulary)
        yield Node("certificate", _certificate(der, vocabulary))
    else:
        raise _other(message)


def _update(update: CredentialUpdate, vocabulary: Vocabulary) -> Iterator[Node]:
    contingency = RULES[update.mode].authorising is None
    unnamed = "the contingency key" if contingency else "the broker's MAC"
    yield Node("authority", unnamed if update.authorising is None else str(update.authorising))
    yield Node("when", _when(update.at))
    if update.disapply_time:
        yield Node("time checks", "not applied")
    yield Node("cells", "", tuple(_put(one, vocabulary) for one in update.puts))
    floors = tuple(_floors(update))
    yield Node("floors", "" if floors else "none", floors)
    path = tuple(Node(f"{place}", _authority(der)) for place, der in enumerate(update.path, 1))
    yield Node("path", "" if path else "none", path)


def _when(at: datetime | None) -> str:
    if at is None:
        return "at once"
    return "never: takes back what was put off" if at == CANCELLED else f"{at:%Y-%m-%dT%H:%M:%SZ}"


def _put(one: Put, vocabulary: Vocabulary) -> Node:
    return Node(str(one.name or "a cell that no device has"), _certificate(one.certificate, vocabulary))


def _floors(update: CredentialUpdate) -> Iterator[Node]:
    if update.own_floor is not None:
        own = own_role(RULES[update.mode])
        yield _floor(own, Floors(update.own_floor, update.own_top_up_floor))
    for role, floors in update.other_floors or ():
        yield _floor(role, floors)


def _floor(role: RemotePartyRole, floors: Floors) -> Node:
    top_up = "" if floors.top_up is None else f", top-ups {floors.top_up}"
    return Node(role.word, f"{floors.counter}{top_up}")


def _certificate(der: bytes, vocabulary: Vocabulary) -> str:
    """Whose, in which role, by which key, until when."""
    try:
        one = load_certificate(der, "it")
    except InvalidInput:
        return f"no certificate: {der.hex()}"
    end = f"until {one.not_valid_after_utc:%Y-%m-%d}"
    with suppress(InvalidInput):
        who = holder(one, "it")
        role = "" if who.role is None else f", {who.role.word}"
        key = KeyIdentifier.of(who.public_key)
        return f"{_party(who.entity, vocabulary)}{role}, key {key}, certificate {one.serial_number:032X}, {end}"
    return f"{_authority(der)}, {end}"


def _authority(der: bytes) -> str:
    try:
        one = load_certificate(der, "it")
        return f"{one.subject.rfc4514_string()}, certificate {one.serial_number:032X}"
    except (InvalidInput, ValueError):
        return f"no certificate: {der.hex()}"


# Answers


def _answer(message: Message, answer: Answer, vocabulary: Vocabulary) -> Iterator[Node]:
    rule = RULES_BY_CODE.get(answer.code)
    use_case = vocabulary.use_cases.get(answer.code)
    title = str(answer.code) if use_case is None else use_case.title
    yield from _head(message, title if rule is None else rule.word, vocabulary)
    if message.header.cra is Cra.ALERT:
        yield Node("of command", str(answer.counter))
    match answer.said:
        case PutOff():
            yield Node("answer", "taken: it waits for its time, or takes back what waited")
        case Replaced() as said:
            if said.alert is not None and said.executed_at is not None:
                yield Node("alert", f"{said.alert:04X} executed at {said.executed_at:%Y-%m-%dT%H:%M:%SZ}")
            yield Node(
                "cells",
                "",
                tuple(
                    Node(
                        str(one.cell or "a cell that no device has"),
                        one.word,
                        (Node("from", _holding(one.before, vocabulary)), Node("to", _holding(one.after, vocabulary))),
                    )
                    for one in said.cells
                ),
            )
            floors = tuple(_floor(role, one) for role, one in said.floors)
            yield Node("floors", "" if floors else "none", floors)
        case Details() as said:
            for one in said.roles:
                held = tuple(Node(str(name), _holding(item, vocabulary)) for name, item in one.cells)
                counter = "" if one.counter is None else f", counter {one.counter}"
                yield Node(one.role.word, f"{one.word}{counter}", held)
        case OwnKey() as said:
            shown = (
                said.word
                if said.octets is None or answer.code == REQUEST_KEY
                else _certificate(said.octets, vocabulary)
            )
            yield Node("answer", shown)


def _holding(one: Holding, vocabulary: Vocabulary) -> str:
    return f"{_party(one.organisation, vocabulary)}, key {one.key_identifier.hex().upper()}"
