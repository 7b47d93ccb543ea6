"""Every published message about credentials: shown in words, and each command made again from its values."""

import json
from collections.abc import Iterator

import pytest

from smki.authority.policies import load_policies
from smki.authority.workspace import SHIPPED
from smki.device.modes import RULES_BY_CODE, named
from smki.device.update import CredentialUpdate, Put, read_update
from smki.entity import DeviceType, KeyUsage
from smki.errors import InvalidInput
from smki.gbcs.header import Cra
from smki.gbcs.message import Message, read_message
from smki.gbcs.payload.credentials import DetailsCommand, OwnKeyCommand
from smki.gbcs.payload.declared import read_declared
from smki.gbcs.payload.tree import leaves
from smki.gbcs.words import Vocabulary, read
from smki.parties.answers import is_answer
from smki.parties.asking import Asking, install_key, read_cells, read_key, request_key
from smki.parties.credentials_words import words_of
from smki.parties.expecting import Expecting
from tests.house import House
from tests.vectors_folder import vectors

pytestmark = pytest.mark.vectors
_WITH_LOAD, _REQUEST, _INSTALL, _BACK = 0x011B, 0x000A, 0x000B, 0x000C
_CELLS = {0x0008, _WITH_LOAD}


def messages() -> Iterator[tuple[str, bool, Message]]:
    """All that can be read, from every file of messages; whether the payload may have been altered."""
    for path in sorted(vectors("gbcs").glob("*.json")):
        for case in json.loads(path.read_text()).get("vectors", []):
            if case["expected"]["parse"] == "ok":
                message = read_message(bytes.fromhex(case["message_hex"]))
                code = message.header.code
                own = code in RULES_BY_CODE or int(code) in {*_CELLS, _REQUEST, _INSTALL, _BACK}
                if is_answer(message) or (own and message.header.cra is Cra.COMMAND):
                    yield case["name"], case["origin"] == "derived", message


def vocabulary() -> Vocabulary:
    policies = load_policies(SHIPPED / "policies")
    return Vocabulary(policies.use_cases, policies.names)


def test_every_one_is_shown() -> None:
    words, seen = vocabulary(), 0
    for name, altered, message in messages():
        try:
            found = words_of(message, words)
        except InvalidInput:
            assert altered, name
            continue
        shown = " ".join(leaves((found.tree,)).values())
        assert str(message.header.target) in shown, name
        assert "no certificate" not in shown or altered, name
        assert json.loads(json.dumps(found.as_json()))["counter"] == str(message.header.counter)
        seen += 1
    assert seen


def test_every_update_is_made_again_from_its_values() -> None:
    seen = 0
    for name, altered, message in messages():
        if message.header.cra is not Cra.COMMAND or message.header.code not in RULES_BY_CODE:
            continue
        try:
            said = read_update(message.payload)
        except InvalidInput:
            assert altered, name
            continue
        again = CredentialUpdate(
            mode=said.mode,
            counter=said.counter,
            puts=tuple(Put.into(one.name, one.certificate) for one in said.puts if one.name is not None),
            path=said.path,
            authorising=said.authorising,
            disapply_time=said.disapply_time,
            own_floor=said.own_floor,
            own_top_up_floor=said.own_top_up_floor,
            other_floors=said.other_floors,
            at=said.at,
            symmetric_key=said.symmetric_key,
        )
        made = again.command(message.header.originator, message.header.target)
        assert made.payload == message.payload, name
        assert made.grouped == message.grouped or altered, name
        seen += 1
    assert seen


def test_every_other_command_is_made_again_from_its_values(house: House) -> None:
    seen = 0
    for name, altered, message in messages():
        if message.header.cra is not Cra.COMMAND or message.header.code in RULES_BY_CODE:
            continue
        try:
            made = again(house, message).message
        except InvalidInput:
            assert altered, name
            continue
        assert made.grouped == message.grouped or altered, name
        seen += 1
    assert seen


def again(house: House, message: Message) -> Asking:
    header, code = message.header, int(message.header.code)
    if code in _CELLS:
        wanted = read_declared(DetailsCommand, message.payload).payload
        cell = named(wanted.authorising_cell)
        assert cell is not None
        who = header.originator, cell.role
        kind = DeviceType.SAPC if code == _WITH_LOAD else None
        return read_cells(house.workspace, who, header.target, header.counter, tuple(wanted.roles), kind)
    if code == _INSTALL:
        return install_key(house.workspace, header.originator, header.counter, message.payload)
    bits = read_declared(OwnKeyCommand, message.payload).payload.key_usage
    usage = KeyUsage.DIGITAL_SIGNATURE if bits.as_bytes() == b"\x80" else KeyUsage.KEY_AGREEMENT
    make = request_key if code == _REQUEST else read_key
    return make(header.originator, header.target, header.counter, usage)


def test_what_is_expected_is_what_is_read() -> None:
    """The words of one command serve all that differ in device and counter, and only those."""
    words = vocabulary()
    expecting = Expecting(words)
    for name, altered, message in messages():
        if message.header.cra is Cra.COMMAND and not altered:
            found = expecting.of(message, (message.header.code, message.payload))
            assert found["values"] == read(message, words).values, name
