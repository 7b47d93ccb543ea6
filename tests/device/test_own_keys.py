"""A device changes its own keys: asked, certified, installed, read back; and nothing else gets in."""

from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from smki.device.cells import CellUse
from smki.device.modes import BROKER_CELL
from smki.device.network import Entry, Network, Partner
from smki.entity import DeviceType, EntityId, KeyUsage
from smki.errors import Refused
from smki.gbcs.agreement import KeyInfo, Purpose
from smki.gbcs.header import Cra, Header, MessageCode
from smki.gbcs.message import Message, read_message
from smki.gbcs.payload.credentials import (
    CertificateCode,
    CertificateCommand,
    KeyUsageWanted,
    OwnKeyCommand,
)
from smki.gbcs.payload.declared import (
    DIGITAL_SIGNATURE,
    KEY_AGREEMENT,
    KEY_CERT_SIGN,
    element,
    write_declared,
)
from smki.gbcs.payload.joins import JoinMethod
from smki.gbcs.protection import sign, signature_holds
from smki.pki.name import authority_name
from tests.device.home import (
    AT,
    NORTH,
    ROLE,
    Home,
    Party,
    device_certificate,
)
from tests.parties.people import METER


def own_key(code: int, counter: int, payload: bytes) -> Message:
    message = Message(Header(Cra.COMMAND, counter, NORTH.entity, METER, MessageCode(code)), payload)
    return sign(message, NORTH.key(CellUse.DIGITAL_SIGNATURE))


def wanted(bits: object) -> bytes:
    return write_declared(OwnKeyCommand(payload=KeyUsageWanted(key_usage=bits)))  # type: ignore[arg-type]


def install(home: Home, counter: int, certificate: bytes) -> CertificateCode:
    payload = write_declared(CertificateCommand(payload=element(certificate)))
    found = home.send(home.protect(own_key(0x000B, counter, payload)))
    assert found.answer is not None
    return CertificateCode(read_message(found.answer).payload[-1])


@pytest.mark.requirement("R-REP-6", "R-UID-4")
def test_a_device_changes_its_own_key_when_its_certificate_has_come() -> None:
    home = Home()
    old = home.keys.signing.public_key()
    certificate = device_certificate(old, KeyUsage.DIGITAL_SIGNATURE)
    assert install(home, 1, certificate) is CertificateCode.NO_CORRESPONDING_KEY_PAIR_GENERATED
    found = home.send(home.protect(own_key(0x000A, 2, wanted(DIGITAL_SIGNATURE))))
    assert found.answer is not None
    assert signature_holds(read_message(found.answer), old)
    request = x509.load_der_x509_csr(read_message(found.answer).payload)
    assert request.is_signature_valid
    key = request.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert install(home, 3, certificate) is CertificateCode.WRONG_PUBLIC_KEY
    other = device_certificate(key, KeyUsage.DIGITAL_SIGNATURE, EntityId(METER.octets[:-1] + b"\1"))
    assert install(home, 4, other) is CertificateCode.WRONG_DEVICE_IDENTITY
    assert install(home, 5, device_certificate(key, KeyUsage.KEY_AGREEMENT)) is (
        CertificateCode.NO_CORRESPONDING_KEY_PAIR_GENERATED
    )
    assert install(home, 6, NORTH.certificate(CellUse.DIGITAL_SIGNATURE)) is CertificateCode.WRONG_DEVICE_IDENTITY
    assert install(home, 7, b"\x30\x03\x02\x01\x01") is CertificateCode.INVALID_CERTIFICATE
    assert home.keys.signing.public_key() == old
    renewed = device_certificate(key, KeyUsage.DIGITAL_SIGNATURE)
    assert install(home, 8, renewed) is CertificateCode.SUCCESS
    assert home.keys.signing.public_key() == key
    assert not home.keys.asked
    found = home.send(home.protect(own_key(0x000C, 9, wanted(DIGITAL_SIGNATURE))))
    assert found.answer is not None
    assert read_message(found.answer).payload == renewed
    assert signature_holds(read_message(found.answer), key)


def test_a_device_makes_no_pair_for_another_use() -> None:
    for code in (0x000A, 0x000C):
        home = Home()
        found = home.send(home.protect(own_key(code, 1, wanted(KEY_CERT_SIGN))))
        assert found.answer is not None
        assert read_message(found.answer).payload == b"\x02\x01\x01"
        assert not home.keys.asked


@pytest.mark.requirement("R-REP-6")
def test_a_new_pair_gives_up_the_one_before() -> None:
    home = Home()
    home.send(home.protect(own_key(0x000A, 1, wanted(KEY_AGREEMENT))))
    first = home.keys.asked[KeyUsage.KEY_AGREEMENT].public_key()
    home.send(home.protect(own_key(0x000A, 2, wanted(KEY_AGREEMENT))))
    assert install(home, 3, device_certificate(first, KeyUsage.KEY_AGREEMENT)) is CertificateCode.WRONG_PUBLIC_KEY
    second = home.keys.asked[KeyUsage.KEY_AGREEMENT].public_key()
    assert install(home, 4, device_certificate(second, KeyUsage.KEY_AGREEMENT)) is CertificateCode.SUCCESS
    assert home.keys.agreement.public_key() == second
    assert home.command(NORTH, 5).verdict.accepted


def ask(home: Home, counter: int, bits: object = KEY_AGREEMENT) -> ec.EllipticCurvePublicKey:
    """Have it make a pair, and give what the request that it answers is for."""
    found = home.send(home.protect(own_key(0x000A, counter, wanted(bits))))
    assert found.answer is not None
    request = x509.load_der_x509_csr(read_message(found.answer).payload)
    key = request.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    return key


def odd(key: ec.EllipticCurvePublicKey, bits: tuple[int, ...] | None, more: int = 0) -> bytes:
    """A certificate in the device's name, of no profile; with these bits of key usage, or without any."""
    like = x509.load_der_x509_certificate(device_certificate(key, KeyUsage.KEY_AGREEMENT))
    name = like.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    made = x509.CertificateBuilder().subject_name(x509.Name([])).issuer_name(authority_name(ROLE.ROOT, "ZA"))
    made = made.public_key(key).serial_number(5).not_valid_before(AT).not_valid_after(AT + timedelta(days=1))
    made = made.add_extension(name, critical=True)
    if more:
        made = made.add_extension(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3"), bytes(more)), False)
    if bits is not None:
        made = made.add_extension(x509.KeyUsage(*(bit in bits for bit in range(9))), critical=True)
    return made.sign(ec.derive_private_key(7, ec.SECP256R1()), hashes.SHA256()).public_bytes(Encoding.DER)


def test_a_certificate_is_for_one_use_and_of_the_profile_of_devices() -> None:
    home = Home()
    key = ask(home, 1)
    for counter, bits, code in (
        (2, None, CertificateCode.INVALID_KEY_USAGE),
        (3, (0, 4), CertificateCode.INVALID_KEY_USAGE),
        (4, (4,), CertificateCode.INVALID_CERTIFICATE),
    ):
        assert install(home, counter, odd(key, bits)) is code
    party = Party(METER, ROLE.SUPPLIER).certificate(CellUse.KEY_AGREEMENT)
    assert install(home, 6, party) is CertificateCode.WRONG_DEVICE_IDENTITY
    assert list(home.keys.asked) == [KeyUsage.KEY_AGREEMENT]
    good = device_certificate(key, KeyUsage.KEY_AGREEMENT)
    assert install(home, 7, good) is CertificateCode.SUCCESS


def test_a_certificate_of_more_than_4096_octets_is_not_looked_at() -> None:
    home = Home()
    key = ask(home, 1)
    for counter, size, code in (
        (2, 4096, CertificateCode.INVALID_KEY_USAGE),
        (3, 4097, CertificateCode.INVALID_CERTIFICATE),
    ):
        more = 3500
        while len(der := odd(key, None, more)) != size:  # how long a signature is written changes
            more += size - len(der)
        assert install(home, counter, der) is code


def test_both_keys_are_changed_each_by_itself() -> None:
    home = Home()
    agrees, signs = ask(home, 1), ask(home, 2, DIGITAL_SIGNATURE)
    assert install(home, 3, device_certificate(agrees, KeyUsage.KEY_AGREEMENT)) is CertificateCode.SUCCESS
    assert list(home.keys.asked) == [KeyUsage.DIGITAL_SIGNATURE]
    assert set(home.state.own) == set(KeyUsage)
    assert install(home, 4, device_certificate(signs, KeyUsage.DIGITAL_SIGNATURE)) is CertificateCode.SUCCESS
    assert (home.keys.agreement.public_key(), home.keys.signing.public_key()) == (agrees, signs)


def test_a_request_names_the_device_and_the_use() -> None:
    home = Home()
    found = home.send(home.protect(own_key(0x000A, 1, wanted(KEY_AGREEMENT))))
    assert found.answer is not None
    request = x509.load_der_x509_csr(read_message(found.answer).payload)
    own = x509.load_der_x509_certificate(home.state.own[KeyUsage.KEY_AGREEMENT])
    assert request.is_signature_valid
    assert request.subject == x509.Name([])
    kinds = (x509.KeyUsage, x509.SubjectAlternativeName)
    assert [one.critical for one in request.extensions] == [True, True]
    for kind in kinds:
        mine, theirs = (one.extensions.get_extension_for_class(kind).value for one in (request, own))
        assert mine == theirs
    assert found.changes == ("made a pair for keyAgreement, and asks for its certificate",)


def test_a_device_without_a_certificate_has_nothing_to_show_and_nothing_to_ask_with() -> None:
    home = Home()
    home.state = replace(home.state, own={KeyUsage.DIGITAL_SIGNATURE: home.state.own[KeyUsage.DIGITAL_SIGNATURE]})
    for code, counter, told in ((0x000A, 1, 3), (0x000C, 2, 2)):
        found = home.send(home.protect(own_key(code, counter, wanted(KEY_AGREEMENT))))
        assert found.answer is not None
        assert read_message(found.answer).payload == bytes((2, 1, told))
    assert not home.keys.asked


@pytest.mark.parametrize(
    ("bits", "usage"), [(KEY_AGREEMENT, KeyUsage.KEY_AGREEMENT), (DIGITAL_SIGNATURE, KeyUsage.DIGITAL_SIGNATURE)]
)
def test_what_was_agreed_with_the_old_key_is_over_and_nothing_else(bits: object, usage: KeyUsage) -> None:
    other = EntityId.parse("00-DB-12-34-56-78-90-A5")
    entry = Entry(other, DeviceType.PPMID, JoinMethod.C, Partner(b"certificate"))
    home = Home()
    home.state = replace(home.state, network=Network(log=(entry,), awaited=((other, 5),)))
    before = home.keys
    broker = home.state.cells[BROKER_CELL]
    key = ask(home, 1, bits)
    with home.keys.secrets.with_peer(broker.public_key, broker.certificate) as secret:
        assert secret.message_key(KeyInfo(METER, Purpose.COMMAND, 1, other))
    assert install(home, 2, device_certificate(key, usage)) is CertificateCode.SUCCESS
    with pytest.raises(Refused):
        secret.message_key(KeyInfo(METER, Purpose.COMMAND, 1, other))
    agrees = usage is KeyUsage.KEY_AGREEMENT
    assert home.state.network.log == ((replace(entry, partner=None) if agrees else entry),)
    assert home.state.network.awaited == (() if agrees else ((other, 5),))
    assert (home.keys.signing == before.signing) == agrees
    assert (home.keys.agreement == before.agreement) != agrees
