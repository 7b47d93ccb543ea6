"""Whether the protections of a message hold, as people are told: each by itself, and what it was checked with."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache

from cryptography.hazmat.primitives.asymmetric import ec

from smki.authority.policies import load_policies
from smki.authority.workspace import SHIPPED
from smki.entity import EntityId, KeyUsage, RemotePartyRole
from smki.gbcs.agreement import Agreement, agree
from smki.gbcs.header import Cra, Header, MessageCode
from smki.gbcs.message import Message
from smki.gbcs.protection import add_mac, sign
from smki.gbcs.use_case import UseCases
from smki.gbcs.verdict import Check, KeyRing, Known, verify
from smki.pki.holder import Holder
from smki.pki.keyid import point_of
from smki.pki.verdict import Fault

AT = datetime(2026, 11, 21, tzinfo=UTC)
SUPPLIER, METER = EntityId.parse("90-B3-D5-1F-30-01-00-00"), EntityId.parse("00-DB-12-34-56-78-90-A0")
BROKER, OTHER = EntityId.parse("90-B3-D5-1F-30-00-00-02"), EntityId.parse("90-B3-D5-1F-30-00-00-03")
SIGNER, BROKERS, METERS, STRANGER = (ec.derive_private_key(4711 + number, ec.SECP256R1()) for number in range(4))
ARM, READ, NOBODYS = MessageCode(0x0051), MessageCode(0x0027), MessageCode(0x9999)
ROLE, USAGE = RemotePartyRole, KeyUsage
GONE = Fault("test.revoked", "it was revoked", "use another")


@cache
def use_cases() -> UseCases:
    return load_policies(SHIPPED / "policies").use_cases


def known(
    name: str, entity: EntityId, role: RemotePartyRole | None, usage: KeyUsage, key: ec.EllipticCurvePrivateKey,
    against: Fault | None = None,
) -> Known:  # fmt: skip
    return Known(name, Holder(entity, role, usage, key.public_key()), AT, AT + timedelta(days=1), against=against)


SUPPLIERS = known("S1", SUPPLIER, ROLE.SUPPLIER, USAGE.DIGITAL_SIGNATURE, SIGNER)
ANOTHER = known("S2", SUPPLIER, ROLE.SUPPLIER, USAGE.DIGITAL_SIGNATURE, STRANGER)
BROKER_AGREES = known("B1", BROKER, ROLE.ACCESS_CONTROL_BROKER, USAGE.KEY_AGREEMENT, BROKERS)
METER_AGREES = known("M1", METER, None, USAGE.KEY_AGREEMENT, METERS)
EVERYONE = (SUPPLIERS, BROKER_AGREES, METER_AGREES)


def plain(code: MessageCode = ARM, cra: Cra = Cra.COMMAND) -> Message:
    """A command to the meter, or what the meter says to the supplier."""
    pair = (SUPPLIER, METER) if cra is Cra.COMMAND else (METER, SUPPLIER)
    return Message(Header(cra, 7, *pair, code), b"payload")


def with_mac(message: Message, mine: ec.EllipticCurvePrivateKey = BROKERS) -> Message:
    with agree(mine, METERS.public_key()) as secret:
        return add_mac(message, secret)


def ring(*certificates: Known, **agreements: Agreement) -> KeyRing:
    named = {"broker": BROKER, "meter": METER, "supplier": SUPPLIER}
    return KeyRing(certificates or EVERYONE, {named[name]: one for name, one in agreements.items()})


def said(message: Message, keys: KeyRing | None = None) -> list[tuple[str, str, str, str]]:
    found = verify(message, use_cases(), keys or ring(broker=Agreement(BROKERS)))
    return [(one.what, one.answer, one.certificate, "" if one.fault is None else one.fault.code) for one in found]


def why(message: Message, keys: KeyRing | None = None) -> str:
    """Of the last check."""
    fault = verify(message, use_cases(), keys or ring())[-1].fault
    assert fault is not None
    return fault.message


WHOLE = with_mac(sign(plain(), SIGNER))
FORM = ("form", "holds", "", "")
SIGNED = ("signature", "holds", "S1", "")


def test_a_whole_message_holds_in_all_its_parts() -> None:
    assert said(WHOLE) == [FORM, SIGNED, ("MAC", "holds", f"{BROKER} with M1", "")]
    assert said(WHOLE, ring(meter=Agreement(METERS))) == [FORM, SIGNED, ("MAC", "holds", f"{METER} with B1", "")]


def test_what_is_on_its_way_lacks_something_and_is_not_wrong() -> None:
    """A pre-command has no broker's MAC yet, and the first of them no signature."""
    for message, lacks, also in (
        (plain(), "signature and MAC", []),
        (sign(plain(), SIGNER), "its MAC", [SIGNED]),
        (plain(READ), "its MAC", []),
    ):
        assert said(message) == [("form", "not checked", "", "message.incomplete"), *also]
        fault = verify(message, use_cases(), ring())[0].fault
        assert fault is not None
        assert fault.message == f"it still lacks {lacks if lacks.startswith('its') else f'its {lacks}'}"


def test_a_form_that_the_use_case_has_not_is_wrong() -> None:
    unknown = with_mac(plain(NOBODYS))
    assert said(unknown)[0] == ("form", "fails", "", "message.use-case")
    for message, words in (
        (sign(plain(READ), SIGNER), "a command of ECS17b "),
        (with_mac(plain()), " has signature+mac, and this one mac"),
        (with_mac(plain(cra=Cra.RESPONSE)), " has signature, and this one mac"),
        (sign(plain(READ, Cra.ALERT), METERS), " has no such message, and this one signature"),
    ):
        first = verify(message, use_cases(), ring())[0]
        assert (first.what, first.answer, first.fault and first.fault.code) == ("form", "fails", "message.protection")
        assert first.fault is not None
        assert words in first.fault.message


def test_a_signature_is_by_one_of_its_originators_keys() -> None:
    message = sign(plain(), SIGNER)
    assert said(message, ring(ANOTHER, SUPPLIERS))[-1] == SIGNED
    assert said(message, ring(ANOTHER))[-1] == ("signature", "fails", "", "message.signature")
    assert f"not by {SUPPLIER}, with any of 1 certificates" in why(message, ring(ANOTHER))
    elsewhere = replace(SUPPLIERS, holder=replace(SUPPLIERS.holder, entity=OTHER))
    for keys in (ring(METER_AGREES), ring(elsewhere)):
        assert said(message, keys)[-1] == ("signature", "not checked", "", "message.unknown-key")
        assert f"no digital signature certificate of {SUPPLIER}" in why(message, keys)


def test_what_only_a_revoked_certificate_proves_is_not_proven() -> None:
    revoked = replace(SUPPLIERS, name="S9", against=GONE)
    assert said(sign(plain(), SIGNER), ring(revoked))[-1] == ("signature", "fails", "S9", "test.revoked")
    gone = replace(METER_AGREES, name="M9", against=GONE)
    keys = ring(BROKER_AGREES, gone, broker=Agreement(BROKERS))
    assert said(with_mac(plain(READ)), keys)[-1] == ("MAC", "fails", f"{BROKER} with M9", "test.revoked")


def test_a_mac_is_that_of_its_two_parties() -> None:
    message = with_mac(plain(READ))
    assert said(message)[-1] == ("MAC", "holds", f"{BROKER} with M1", "")
    by_stranger = with_mac(plain(READ), STRANGER)
    assert said(by_stranger)[-1] == ("MAC", "fails", "", "message.mac")
    for keys in (
        ring(),
        ring(METER_AGREES, broker=Agreement(BROKERS)),
        ring(BROKER_AGREES, broker=Agreement(BROKERS)),
    ):
        assert said(message, keys)[-1] == ("MAC", "not checked", "", "message.unknown-key")
    assert why(message).endswith(f"{BROKER} with {METER}")
    assert why(message, ring(METER_AGREES)).endswith("the access control broker")


def test_what_a_meter_answers_has_its_own_mac_for_the_one_it_answers() -> None:
    with agree(METERS, SIGNER.public_key()) as secret:
        message = add_mac(plain(READ, Cra.RESPONSE), secret)
    agrees = known("S3", SUPPLIER, ROLE.SUPPLIER, USAGE.KEY_AGREEMENT, SIGNER)
    assert said(message, ring(*EVERYONE, agrees, supplier=Agreement(SIGNER)))[-1] == (
        "MAC", "holds", f"{SUPPLIER} with M1", "",
    )  # fmt: skip
    assert said(message, ring(*EVERYONE, agrees, meter=Agreement(METERS)))[-1][2] == f"{METER} with S3"
    assert why(message).endswith(f"{METER} with {SUPPLIER}")


# What is known


def test_a_key_is_known_once_and_what_speaks_against_it_stays() -> None:
    keys = ring(SUPPLIERS)
    again = replace(SUPPLIERS, name="S4")
    keys.add([again, ANOTHER])
    assert [one.name for one in keys.of(SUPPLIER, USAGE.DIGITAL_SIGNATURE)] == ["S1", "S2"]
    keys.add([replace(again, against=GONE)])
    keys.add([again])
    assert [one.name for one in keys.of(SUPPLIER, USAGE.DIGITAL_SIGNATURE)] == ["S4", "S2"]
    assert keys.of(SUPPLIER, USAGE.DIGITAL_SIGNATURE)[0].against == GONE
    assert keys.of(SUPPLIER, USAGE.KEY_AGREEMENT) == ()


def test_every_broker_is_known_and_nobody_else() -> None:
    second = known("B2", OTHER, ROLE.ACCESS_CONTROL_BROKER, USAGE.DIGITAL_SIGNATURE, STRANGER)
    assert ring(second, *EVERYONE).brokers() == (BROKER, OTHER)
    assert ring(SUPPLIERS, METER_AGREES).brokers() == ()


def test_a_certificate_is_valid_from_its_first_second_to_its_last() -> None:
    one, second = SUPPLIERS, timedelta(seconds=1)
    times = (one.not_before - second, one.not_before, one.not_after, one.not_after + second)
    assert [one.is_valid(at) for at in times] == [False, True, True, False]
    assert one.point == point_of(SIGNER.public_key())
    assert "certificate" not in repr(replace(one, octets=b"certificate"))


def test_programs_are_told_what_there_is_to_tell() -> None:
    assert Check("form", "holds").as_json() == {"check": "form", "answer": "holds"}
    assert Check("MAC", "fails", "x", GONE).as_json() == {
        "check": "MAC", "answer": "fails", "certificate": "x", "fault": GONE.as_json(),
    }  # fmt: skip
