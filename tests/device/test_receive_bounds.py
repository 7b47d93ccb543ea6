"""Commands at the edge of what a device obeys: what it lacks, what was never numbered, what counts apart."""

from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding

from smki.device import verdict as rules
from smki.device.cells import Cell, CellName, CellUse
from smki.device.modes import BROKER_CELL, ROOT_CELL
from smki.device.verdict import ACCEPTED, Step, Verdict
from smki.entity import KeyUsage, RemotePartyRole
from smki.errors import InvalidInput
from smki.gbcs.header import Cra
from smki.pki.keyid import KeyIdentifier
from smki.pki.name import authority_name
from tests.device.desk import NOW, Desk, command, own, paying, with_mac
from tests.parties.people import arming

SUPPLIER = RemotePartyRole.SUPPLIER


def test_who_was_never_heard_may_begin_with_nought() -> None:
    desk = Desk()
    desk.state = replace(desk.state, counters={})
    assert desk.receive(command(0)).verdict.accepted
    assert desk.receive(command(0)).verdict.code == rules.REPLAY.code
    assert desk.receive(command(1)).verdict.accepted


def test_what_is_refused_for_its_protection_is_told_what_it_lacks() -> None:
    found = Desk().receive(arming(1000)).verdict
    assert (found.code, found.step) == (rules.PROTECTION.code, Step.PROTECTION)
    assert found.message.endswith("demands signature+mac, and it carries none")


def test_commands_numbered_above_all_tokens_stop_no_token() -> None:
    desk = Desk()
    desk.state = replace(desk.state, counters={**desk.state.counters, SUPPLIER: 1 << 62})
    assert desk.receive(paying(7)).verdict.accepted
    assert desk.state.counters[SUPPLIER] == 1 << 62


def test_a_code_under_which_only_devices_speak_is_no_command() -> None:
    desk = Desk()
    (alone, *_) = (row for row in desk.state.use_cases.all if Cra.COMMAND not in row.protections)
    found = desk.receive(with_mac(arming(1000, code=alone.code))).verdict
    assert (found.code, found.step) == (rules.USE_CASE.code, Step.USE_CASE)


def test_without_a_broker_no_mac_holds() -> None:
    desk = Desk()
    message = command()
    desk.state = replace(desk.state, cells={n: c for n, c in desk.state.cells.items() if n != BROKER_CELL})
    found = desk.receive(message).verdict
    assert (found.code, "no cell" in found.message) == (rules.MAC.code, True)


def test_a_verdict_is_a_fault_unless_all_was_well() -> None:
    assert Verdict(ACCEPTED, Step.ACT, "done").fault is None
    fault = Verdict.of(rules.REPLAY, "again").fault
    assert fault is not None
    assert (fault.code, fault.message, fault.remedy) == (rules.REPLAY.code, "again", rules.REPLAY.remedy)


# What a cell takes


def _root(key: ec.EllipticCurvePrivateKey, identifier: bytes | None) -> bytes:
    name = authority_name(RemotePartyRole.ROOT, "ZA")
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(5).not_valid_before(NOW).not_valid_after(NOW + timedelta(days=1))
    if identifier is not None:
        made = made.add_extension(x509.SubjectKeyIdentifier(identifier), critical=False)
    return made.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


def test_a_cell_takes_keys_on_p256_with_identifiers_of_8_octets() -> None:
    good, other = ec.derive_private_key(7, ec.SECP256R1()), ec.derive_private_key(7, ec.SECP384R1())
    identifier = KeyIdentifier.of(good.public_key()).octets
    assert Cell.of(_root(good, identifier), ROOT_CELL).key_identifier == identifier
    for key, octets, said in (
        (other, identifier, "P-256"),
        (good, None, "no key identifier"),
        (good, identifier[:7], "8 octets"),
        (good, identifier + b"\0", "8 octets"),
    ):
        with pytest.raises(InvalidInput, match=said) as refusal:
            Cell.of(_root(key, octets), ROOT_CELL)
        assert refusal.value.code == "cell.key"


def test_a_cell_takes_no_other_kind_of_key() -> None:
    signer = ec.derive_private_key(7, ec.SECP256R1())
    name = authority_name(RemotePartyRole.ROOT, "ZA")
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name)
    made = made.public_key(ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key())
    made = made.serial_number(5).not_valid_before(NOW).not_valid_after(NOW + timedelta(days=1))
    with pytest.raises(InvalidInput, match="P-256"):
        Cell.of(made.sign(signer, hashes.SHA256()).public_bytes(Encoding.DER), ROOT_CELL)


def test_a_device_is_no_party_whatever_its_key_is_for() -> None:
    for usage, use in (
        (KeyUsage.DIGITAL_SIGNATURE, CellUse.DIGITAL_SIGNATURE),
        (KeyUsage.KEY_AGREEMENT, CellUse.TOP_UP),
    ):
        with pytest.raises(InvalidInput) as refusal:
            Cell.of(own()[usage], CellName(SUPPLIER, use))
        assert refusal.value.code == "cell.usage"


def test_cells_are_named_by_role_and_use() -> None:
    name = CellName(SUPPLIER, CellUse.TOP_UP)
    assert CellName.parse(str(name)) == name
    for text in ("supplier", "supplier nothing", "supplier  keyAgreement"):
        with pytest.raises(InvalidInput) as refusal:
            CellName.parse(text)
        assert refusal.value.code == "cell.name"
