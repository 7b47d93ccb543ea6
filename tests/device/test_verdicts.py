"""What a meter says of every kind of wrong command: a table, and the rules that hold between its rows."""

import subprocess
import sys
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from smki.device import verdict as rules
from smki.device.cells import CellName, CellUse
from smki.device.receive import Received
from smki.device.state import TOKENS_KEPT, DeviceState, read_state, write_state
from smki.entity import EntityId, RemotePartyRole
from smki.errors import IntegrityFailure, InvalidInput
from smki.gbcs.header import Cra, Header, MessageCode
from smki.gbcs.message import Message, Protection, read_message
from smki.gbcs.payload.credentials import CellIdentifier, CellUsage, DetailsCommand, DetailsRequest, DetailsResponse
from smki.gbcs.payload.declared import DIGITAL_SIGNATURE, KEY_AGREEMENT, read_declared, write_declared
from smki.gbcs.payload.firmware import Activation, ActivationCommand
from smki.gbcs.protection import sign, signature_holds
from smki.gbcs.use_case import UseCases
from tests.device.desk import (
    PARTIES,
    READ,
    Desk,
    changed,
    command,
    filled,
    key,
    keys,
    paying,
    signer,
    unsigned,
    with_mac,
)
from tests.parties.people import BROKER, METER, SUPPLIER, arming

STRANGER = ec.generate_private_key(ec.SECP256R1())
OPERATOR, COS = PARTIES[RemotePartyRole.NETWORK_OPERATOR], PARTIES[RemotePartyRole.TRANSITIONAL_COS]
BROKER_AGREES = CellName(RemotePartyRole.ACCESS_CONTROL_BROKER, CellUse.KEY_AGREEMENT)
SUPPLIER_AGREES = CellName(RemotePartyRole.SUPPLIER, CellUse.KEY_AGREEMENT)
SUPPLIER_SIGNS = CellName(RemotePartyRole.SUPPLIER, CellUse.DIGITAL_SIGNATURE)
TABLE = Path(__file__).parent.parent / "golden" / "device-verdicts.toml"
Case = Callable[[Desk], Message | bytes]


def details(role: RemotePartyRole, originator: EntityId, usage: Any) -> Message:
    """CS02a: what is in the cells of supplier and WAN provider?"""
    cell = CellIdentifier(role=role, key_usage=usage, cell_usage=CellUsage.MANAGEMENT)
    roles = [RemotePartyRole.SUPPLIER, RemotePartyRole.WAN_PROVIDER]
    payload = write_declared(DetailsCommand(payload=DetailsRequest(authorising_cell=cell, roles=roles)))
    return Message(Header(Cra.COMMAND, 1000, originator, METER, MessageCode(0x0008)), payload)


def flipped(octets: bytes, place: int) -> bytes:
    return octets[:place] + bytes((octets[place] ^ 1,)) + octets[place + 1 :]


def second(first: Message | bytes, then: Message | bytes | None = None) -> Case:
    def case(desk: Desk) -> Message | bytes:
        assert desk.receive(first).verdict.accepted
        return first if then is None else then

    return case


def replaced(desk: Desk) -> Message:
    """The supplier's cells hold another's certificates: signed by the one before."""
    cells = {**desk.state.cells, SUPPLIER_SIGNS: filled(SUPPLIER_SIGNS, SUPPLIER, STRANGER)}
    desk.state = replace(desk.state, cells=cells)
    return command()


def broken_payload(desk: Desk) -> Message:
    del desk
    message = arming(1000)
    return with_mac(sign(replace(message, payload=message.payload[:-1]), signer()))


def old_token(desk: Desk) -> Message:
    desk.state = replace(desk.state, token_floor=50)
    return paying(50)


def new_firmware(desk: Desk) -> Message:
    del desk
    asked = Activation(image_hash=bytes(32), originator_counter=1000, execution_date_time=None)
    header = Header(Cra.COMMAND, 1000, SUPPLIER, METER, MessageCode(0x0012))
    return with_mac(sign(Message(header, write_declared(ActivationCommand(payload=asked))), signer()))


def for_gas_only(desk: Desk) -> Message:
    """A meter that was only told of electricity's use cases."""
    known = {row.code: row for row in desk.state.use_cases.all if row.code != 0x0081}
    desk.state = replace(desk.state, use_cases=UseCases(known))
    return command(code=0x0081)


PRE = arming(1000)
CASES: dict[str, Case] = {
    "a critical command as it should be": lambda _: command(),
    "a reading as it should be": lambda _: unsigned(),
    "a token as it should be": lambda _: paying(7),
    "credentials read by the broker": lambda _: with_mac(
        details(RemotePartyRole.ACCESS_CONTROL_BROKER, BROKER, KEY_AGREEMENT)
    ),
    "credentials read by the CoS party's signature": lambda _: sign(
        details(RemotePartyRole.TRANSITIONAL_COS, COS, DIGITAL_SIGNATURE), signer(RemotePartyRole.TRANSITIONAL_COS)
    ),
    "the last octet is missing": lambda _: command().encode()[:-1],
    "an octet is over": lambda _: command().encode() + b"\0",
    "it is a response": lambda _: sign(changed(PRE, cra=Cra.RESPONSE), signer()),
    "its use case is unknown": lambda _: command(code=0x9999),
    "its use case is another kind of device's": for_gas_only,
    "it is for another device": lambda _: with_mac(
        sign(changed(PRE, target=EntityId(METER.octets[:-1] + b"\1")), signer())
    ),
    "its originator is in no cell": lambda _: with_mac(
        sign(changed(PRE, originator=EntityId(b"\x90" + bytes(7))), STRANGER)
    ),
    "its originator has another role": lambda _: with_mac(
        sign(changed(PRE, originator=OPERATOR), signer(RemotePartyRole.NETWORK_OPERATOR))
    ),
    "the broker orders what a supplier may": lambda _: with_mac(sign(changed(PRE, originator=BROKER), STRANGER)),
    "it comes a second time": second(command()),
    "it is older than the last": second(command(1000), command(999)),
    "its counter is changed": lambda _: changed(command(), counter=1001),
    "one bit of its MAC is changed": lambda _: flipped(command().encode(), len(command().encode()) - 1),
    "its MAC is by another broker": lambda _: with_mac(sign(PRE, signer()), STRANGER),
    "its MAC is by the supplier": lambda _: with_mac(sign(PRE, signer()), key(SUPPLIER_AGREES)),
    "one bit of its signature is changed": lambda _: with_mac(
        replace(sign(PRE, signer()), signature=flipped(sign(PRE, signer()).signature or b"", 40))
    ),
    "its payload is changed and the MAC made anew": lambda _: with_mac(
        replace(sign(PRE, signer()), payload=PRE.payload[:-1] + b"\x34")
    ),
    "it is signed by the network operator": lambda _: with_mac(sign(PRE, signer(RemotePartyRole.NETWORK_OPERATOR))),
    "it is signed with the key agreement key": lambda _: with_mac(sign(PRE, key(SUPPLIER_AGREES))),
    "it is signed by the supplier before": replaced,
    "its signature is stripped, the MAC made anew": lambda _: with_mac(replace(PRE, signature=b"")),
    "its MAC is stripped": lambda _: sign(PRE, signer()),
    "both are stripped": lambda _: PRE,
    "a reading is signed": lambda _: with_mac(sign(arming(1000, code=READ), signer())),
    "its payload is not of its form": broken_payload,
    "a token comes a second time": second(paying(7)),
    "a token older than all that are kept": old_token,
    "a token by another supplier": lambda _: paying(7, mine=STRANGER),
    "a token with the management key": lambda _: paying(7, mine=key(SUPPLIER_AGREES)),
    "a token's counter has a lower half": lambda _: with_mac(
        changed(replace(paying(7), signature=None, mac=None), counter=(7 << 32) + 1)
    ),
    "firmware, which this device does not act on": new_firmware,
}


def rows() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = tomllib.loads(TABLE.read_text(encoding="utf-8"))["case"]
    return found


def test_the_table_and_the_cases_are_the_same() -> None:
    assert sorted(row["name"] for row in rows()) == sorted(CASES)


@pytest.mark.requirement("R-LAY-1", "R-E2E-1", "R-CRT-2", "R-ROL-1", "R-UID-4", "R-CTR-1", "R-VER-1")
@pytest.mark.parametrize("row", rows(), ids=lambda row: row["name"])
def test_the_verdict(row: dict[str, Any]) -> None:
    desk = Desk()
    message = CASES[row["name"]](desk)
    before = desk.state
    found = desk.receive(message)
    assert (found.verdict.code, found.verdict.step) == (row["verdict"], row["step"]), found.verdict.message
    alert = row.get("alert")
    assert found.verdict.alert == (None if alert is None else int(alert, 16))
    _check_answer(found, alert)
    if found.verdict.step < 9:
        assert (found.state.counters, found.state.tokens, found.state.cells) == (
            before.counters,
            before.tokens,
            before.cells,
        )
        assert not found.changes
    assert found.state.log[-1].code == row["verdict"]


def _check_answer(found: Received, alert: str | None) -> None:
    if found.verdict.accepted:
        assert found.answer is not None
        assert read_message(found.answer).header.cra is Cra.RESPONSE
    elif alert is None:
        assert found.answer is None
    else:
        assert found.answer is not None
        told = read_message(found.answer)
        assert (told.header.cra, told.header.target, told.protection) == (Cra.ALERT, SUPPLIER, Protection.SIGNATURE)
        assert signature_holds(told, keys().signing.public_key())
        assert bytes.fromhex(alert) in told.payload


@pytest.mark.requirement("R-CTR-1")
def test_a_counter_is_used_up_even_when_the_act_fails() -> None:
    desk = Desk()
    assert desk.receive(new_firmware(desk)).verdict.code == "receive.not-done"
    assert desk.receive(command(1000)).verdict.code == "receive.counter"
    assert desk.receive(command(1001)).verdict.accepted


@pytest.mark.requirement("R-CTR-2")
def test_roles_count_apart_and_so_do_tokens() -> None:
    desk = Desk()
    assert desk.receive(command(1000)).verdict.accepted
    assert desk.receive(paying(1)).verdict.accepted
    assert desk.receive(
        with_mac(details(RemotePartyRole.ACCESS_CONTROL_BROKER, BROKER, KEY_AGREEMENT))
    ).verdict.accepted
    assert desk.state.counters[RemotePartyRole.SUPPLIER] == 1000
    assert desk.state.counters[RemotePartyRole.ACCESS_CONTROL_BROKER] == 1000
    assert desk.receive(command(1001)).verdict.accepted


def test_tokens_are_kept_in_order_and_the_oldest_are_used_up() -> None:
    desk = Desk()
    for number in range(TOKENS_KEPT + 5, 0, -1):
        desk.receive(paying(number))
    assert len(desk.state.tokens) == TOKENS_KEPT
    assert desk.state.tokens == tuple(range(6, TOKENS_KEPT + 6))
    assert desk.state.token_floor == 5
    for number in (1, 5, 6, TOKENS_KEPT + 5):
        assert desk.receive(paying(number)).verdict.code == "receive.token-used"


def test_a_kept_secret_is_the_brokers_whose_certificate_is_in_the_cell() -> None:
    desk = Desk()
    assert desk.receive(command(1000)).verdict.accepted
    cells = {**desk.state.cells, BROKER_AGREES: filled(BROKER_AGREES, BROKER, STRANGER)}
    desk.state = replace(desk.state, cells=cells)
    assert desk.receive(command(1001)).verdict.code == rules.MAC.code
    assert desk.receive(with_mac(sign(arming(1002), signer()), STRANGER)).verdict.accepted


def test_credentials_are_answered_from_the_cells() -> None:
    desk = Desk()
    found = desk.receive(with_mac(details(RemotePartyRole.ACCESS_CONTROL_BROKER, BROKER, KEY_AGREEMENT)))
    assert found.answer is not None
    response = read_message(found.answer)
    assert response.protection is Protection.MAC
    supplier, absent = read_declared(DetailsResponse, response.payload).payload
    assert supplier.cells is not None
    assert [cell.subject_unique_id for cell in supplier.cells] == [SUPPLIER.octets] * 3
    assert [cell.cell_usage for cell in supplier.cells] == [
        CellUsage.MANAGEMENT,
        CellUsage.MANAGEMENT,
        CellUsage.PREPAYMENT_TOP_UP,
    ]
    assert (absent.cells, bytes(absent.status_code.data)) == (None, bytes((25,)))


@pytest.mark.requirement("R-VER-4")
def test_a_state_survives_its_file_and_nothing_else_does() -> None:
    desk = Desk()
    desk.receive(command())
    desk.receive(paying(3))
    octets = write_state(desk.state, keys())
    again, kept = read_state(octets)
    assert _plain(again) == _plain(desk.state)
    assert kept.signing.public_key() == keys().signing.public_key()
    assert write_state(again, kept) == octets
    altered = octets.replace(b'"supplier":"1000"', b'"supplier":"0001"')
    assert altered != octets
    with pytest.raises(IntegrityFailure):
        read_state(altered)
    for wrong in (
        b"",
        b"{}",
        octets[:-100],
        b"[" * 100_000,
        octets.replace(b"smki-device-state/1", b"smki-device-state/9"),
    ):
        with pytest.raises(InvalidInput):
            read_state(wrong)
    scalar = kept.signing.private_numbers().private_value
    assert not [text for text in (str(scalar), f"{scalar:x}", "object") if text in repr(kept)]


def _plain(state: DeviceState) -> Any:
    return [
        getattr(state, name)
        for name in ("device", "kind", "cells", "counters", "tokens", "own_counter", "log", "values")
    ]


@pytest.mark.requirement("R-LAY-3")
@settings(max_examples=300)
@given(st.data())
def test_whatever_comes_in_ends_in_a_verdict(data: st.DataObject) -> None:
    whole = command().encode()
    octets = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 4))):
        octets[data.draw(st.integers(0, len(octets) - 1))] ^= data.draw(st.integers(1, 255))
    cut = data.draw(st.integers(0, len(octets)))
    desk = Desk()
    for item in (bytes(octets), bytes(octets[:cut])):
        same = item == whole
        assert desk.receive(item).verdict.accepted == same
        if same:
            return
    assert desk.receive(command()).verdict.accepted


@pytest.mark.requirement("R-E2E-5")
def test_it_needs_nothing_but_cryptography() -> None:
    """In a fresh interpreter: no HSM, terminal, database, or other package that a device has not."""
    script = (
        "import sys; before = set(sys.modules); import smki.device, smki.gbcs.message; "
        "print('\\n'.join(sorted({name.partition('.')[0] for name in set(sys.modules) - before})))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    allowed = {"smki", "cryptography", "_cffi_backend", "_openssl"}
    foreign = set(done.stdout.split()) - set(sys.stdlib_module_names) - allowed
    assert not foreign
    assert not {"sqlite3", "tomllib"} & set(done.stdout.split())
    script = "import sys, smki.device; print([name for name in sys.modules if name.startswith('smki.')])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    for room in ("smki.hsm", "smki.store", "smki.authority", "smki.parties", "smki.cli", "smki.settings"):
        assert f"'{room}" not in done.stdout, room
