"""A device changes its own keys: asked, certified, installed, read back; and nothing else gets in."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from smki.device.cells import CellUse
from smki.entity import EntityId, KeyUsage
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
from smki.gbcs.protection import sign, signature_holds
from tests.device.home import (
    NORTH,
    Home,
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
    from cryptography import x509

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
