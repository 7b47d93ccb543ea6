"""The broker's MAC, encrypted responses, and top-up tokens, with keys in a token."""

import json
import os
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from smki.entity import EntityId, KeyUsage, RemotePartyRole
from smki.errors import Refused
from smki.gbcs.agreement import Agreement, agree
from smki.gbcs.header import Cra, Header, MessageCode
from smki.gbcs.message import Message, Protection, read_message
from smki.gbcs.protection import add_mac, encrypt, mac_holds, sign
from smki.gbcs.top_up import ValueClass
from smki.gbcs.verdict import Check, KeyRing, verify
from smki.gbcs.words import Vocabulary
from smki.parties.broker.mac import MacDesk, seal_all
from smki.parties.intake import Given
from smki.parties.keys import Certified
from smki.parties.prepayment import check, make
from smki.parties.reader import open_message
from smki.parties.supplier import vocabulary
from tests.house import House
from tests.parties.people import BROKER, METER, SUPPLIER, User, arming, certificate, given

METER_KEY = ec.generate_private_key(ec.SECP256R1())
SUPPLIER_KEY = ec.generate_private_key(ec.SECP256R1())
METER_CERTIFICATE = certificate(METER_KEY.public_key(), METER, None, KeyUsage.KEY_AGREEMENT)
SUPPLIER_AGREES = certificate(SUPPLIER_KEY.public_key(), SUPPLIER, RemotePartyRole.SUPPLIER, KeyUsage.KEY_AGREEMENT)


@pytest.fixture
def broker(house: House) -> Certified:
    key = house.workspace.open_token("keys").generate_key("broker", os.urandom(16), "agree")
    return certificate(key.public_key(), BROKER, RemotePartyRole.ACCESS_CONTROL_BROKER, KeyUsage.KEY_AGREEMENT)


def ring_of(*items: Certified) -> KeyRing:
    return KeyRing([item.known for item in items])


def desk(house: House, broker: Certified, ring: KeyRing) -> MacDesk:
    key = house.workspace.open_token("keys").find_key(label="broker", public_key=broker.holder.public_key)
    return MacDesk(vocabulary(house.workspace), Agreement(key), ring.of)


def test_a_signed_command_gets_the_mac_that_its_device_checks(house: House, user: User, broker: Certified) -> None:
    key = house.workspace.open_token("keys").find_key(label="ds", public_key=user.certificate.holder.public_key)
    signed = sign(arming(5), key)
    place = desk(house, broker, ring_of(user.certificate, SUPPLIER_AGREES, METER_CERTIFICATE))
    (sealed,) = seal_all(house.workspace, place, [given(signed)])
    message = read_message(sealed.message)
    assert message.protection is Protection.BOTH
    with agree(METER_KEY, broker.holder.public_key) as secret:
        assert mac_holds(message, secret)
    entries = [json.loads(entry.body) for entry in house.workspace.store.audit_entries()]
    assert [entry["facts"]["count"] for entry in entries if entry["act"] == "message.mac-added"] == [1]
    checks = verify(
        message,
        house.workspace.policies.use_cases,
        KeyRing([user.certificate.known, METER_CERTIFICATE.known, broker.known], {METER: Agreement(METER_KEY)}),
    )
    assert [(item.what, item.answer) for item in checks] == [
        ("form", "holds"),
        ("signature", "holds"),
        ("MAC", "holds"),
    ]


def test_a_read_gets_its_mac_without_a_signature(house: House, user: User, broker: Certified) -> None:
    read = arming(6, code=MessageCode(0x0027))
    place = desk(house, broker, ring_of(user.certificate, SUPPLIER_AGREES, METER_CERTIFICATE))
    assert read_message(place.seal(given(read)).message).protection is Protection.MAC


def test_the_broker_adds_no_mac_to_what_it_should_not(house: House, user: User, broker: Certified) -> None:
    place = desk(house, broker, ring_of(user.certificate, SUPPLIER_AGREES, METER_CERTIFICATE))
    forged = sign(arming(7), ec.generate_private_key(ec.SECP256R1()))
    response = Message(Header(Cra.RESPONSE, 7, METER, SUPPLIER, MessageCode(0x0051)), b"", b"\1" * 64)
    other = EntityId.parse("00-DB-12-34-56-78-90-A7")
    cases = [
        (given(arming(7)), "mac.protection"),
        (given(arming(7, code=MessageCode(0x9999))), "mac.protection"),
        (given(forged), "message.signature"),
        (given(sign(arming(7, originator=BROKER), METER_KEY)), "message.unknown-key"),
        (given(response), "mac.kind"),
        (given(replace(arming(7), signature=b"", mac=bytes(12))), "mac.kind"),
        (given(arming(7, code=MessageCode(0x0027), target=other)), "mac.device"),
        (Given("junk", b"\xdf"), "gbcs.form"),
    ]
    for item, code in cases:
        sealed = place.seal(item)
        assert (sealed.result, sealed.message) == ("refused", b"")
        assert code in [fault.code for fault in sealed.faults], code


def test_verification_says_what_fails_and_what_it_cannot_know(house: House, user: User, broker: Certified) -> None:
    use_cases = house.workspace.policies.use_cases
    with agree(METER_KEY, broker.holder.public_key) as secret:
        message = add_mac(sign(arming(5), METER_KEY), secret)
        stripped = add_mac(arming(5), secret)

    def answers(item: Message, ring: KeyRing) -> dict[str, tuple[str, str]]:
        return {one.what: (one.answer, one.fault.code if one.fault else "") for one in verify(item, use_cases, ring)}

    assert answers(message, ring_of()) == {
        "form": ("holds", ""),
        "signature": ("not checked", "message.unknown-key"),
        "MAC": ("not checked", "message.unknown-key"),
    }
    ours = KeyRing([user.certificate.known, METER_CERTIFICATE.known, broker.known], {METER: Agreement(SUPPLIER_KEY)})
    assert answers(message, ours)["signature"] == ("fails", "message.signature")
    assert answers(message, ours)["MAC"] == ("fails", "message.mac")
    assert answers(stripped, ours)["form"] == ("fails", "message.protection")
    unknown = replace(arming(5), header=replace(arming(5).header, code=MessageCode(0x9999)))
    assert answers(unknown, ours)["form"] == ("fails", "message.use-case")


def response(block_for: ec.EllipticCurvePrivateKey, *, mac_by: ec.EllipticCurvePrivateKey) -> Message:
    """A response to an energy read with one encrypted part, as the reference set has it."""
    header = Header(Cra.RESPONSE, 1000, METER, SUPPLIER, MessageCode(0x0027), date_time=bytes(12))
    plaintext = bytes.fromhex("02010204060000000a02020f00161e060000000a02020f001620")
    with agree(METER_KEY, block_for.public_key()) as secret:
        block = encrypt(plaintext, header, secret)
    start = bytes.fromhex(
        "da200003e80000010202010102021602020509090400000000000003e8090800db1234567890a0090890b3d51f30010000"
        "09000202160202020901020900"
    )
    payload = start + bytes((0x09, len(block))) + block + bytes.fromhex("010300")
    with agree(mac_by, SUPPLIER_KEY.public_key()) as secret:
        return add_mac(Message(header, payload), secret)


def opening(message: Message, words: Vocabulary) -> dict[str, str]:
    ring = KeyRing([METER_CERTIFICATE.known, SUPPLIER_AGREES.known], {SUPPLIER: Agreement(SUPPLIER_KEY)})
    checks = verify(message, words.use_cases, ring)
    return open_message(message, checks, ring, SUPPLIER, words).values


@pytest.mark.requirement("R-NTK-3")
def test_encrypted_parts_open_for_whom_they_are_and_only_when_proven(house: House) -> None:
    words = vocabulary(house.workspace)
    whole = response(SUPPLIER_KEY, mac_by=METER_KEY)
    values = opening(whole, words)
    assert any(value.startswith("10") for value in values.values()), values
    with pytest.raises(Refused, match=r"decrypt\.unproven"):
        opening(response(SUPPLIER_KEY, mac_by=ec.generate_private_key(ec.SECP256R1())), words)
    with pytest.raises(Refused, match=r"gbcs\.decrypt"):
        opening(response(ec.generate_private_key(ec.SECP256R1()), mac_by=METER_KEY), words)
    ring = KeyRing([METER_CERTIFICATE.known], {BROKER: Agreement(SUPPLIER_KEY)})
    proven = (Check("form", "holds"), Check("MAC", "holds"))
    with pytest.raises(Refused, match=r"decrypt\.recipient"):
        open_message(whole, proven, ring, BROKER, words)
    with pytest.raises(Refused, match=r"decrypt\.certificate"):
        open_message(whole, proven, KeyRing([], {SUPPLIER: Agreement(SUPPLIER_KEY)}), SUPPLIER, words)
    as_command = Message(replace(whole.header, cra=Cra.COMMAND, date_time=b""), whole.payload)
    for message, checks in ((whole, ()), (whole, proven[:1]), (as_command, proven)):
        with pytest.raises(Refused, match=r"decrypt\.unproven"):
            open_message(message, checks, ring, SUPPLIER, words)


@pytest.mark.requirement("R-NTK-6", "R-CTR-6")
def test_tokens_have_numbers_that_are_used_once(house: House) -> None:
    workspace = house.workspace
    ten = (10, ValueClass.POUNDS)
    with agree(SUPPLIER_KEY, METER_KEY.public_key()) as secret:
        first, utrn = make(workspace, SUPPLIER_AGREES, secret, METER, ten, None)
        second, _ = make(workspace, SUPPLIER_AGREES, secret, METER, ten, None)
        assert (first.number, second.number) == (1, 2)
        with pytest.raises(Refused, match=r"sign\.counter"):
            make(workspace, SUPPLIER_AGREES, secret, METER, ten, 2)
        far, _ = make(workspace, SUPPLIER_AGREES, secret, METER, ten, 900)
        assert far.number == 900
        assert check(SUPPLIER, secret, METER, utrn, 5) == first
        with pytest.raises(Refused, match=r"topup\.not-authentic"):
            check(SUPPLIER, secret, METER, utrn, 900)
        with pytest.raises(Refused, match=r"topup\.not-authentic"):
            check(SUPPLIER, secret, EntityId.parse("00-DB-12-34-56-78-90-A7"), utrn, 5)
    bodies = b"".join(entry.body for entry in workspace.store.audit_entries())
    assert utrn.digits.encode() not in bodies, "whoever reads the log has no token"
    assert bodies.count(b'"topup.made"') == 3


def test_certificates_are_told_apart_by_their_keys() -> None:
    twin = replace(METER_CERTIFICATE.known, name="another name")
    ring = KeyRing([METER_CERTIFICATE.known, twin])
    assert len(ring.of(METER, KeyUsage.KEY_AGREEMENT)) == 1
    assert ring.of(METER, KeyUsage.DIGITAL_SIGNATURE) == ()
