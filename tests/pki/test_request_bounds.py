"""Requests at the edge of what is taken: each rule broken alone, and the last that breaks none."""

from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import AttributeOID, NameOID

from smki.entity import EntityId, KeyUsage, RemotePartyRole
from smki.pki.der import BIT_STRING, SEQUENCE, tlv
from smki.pki.device_request import device_form, device_request
from smki.pki.keyid import POINT_OCTETS, key_hash, point_of
from smki.pki.name import EMPTY, hardware_module_name, organisation_name
from smki.pki.profile import Profile
from smki.pki.public_key import read_point, read_spki, spki_of
from smki.pki.request import Request, RequestReader, Unfit
from smki.pki.signature import ECDSA_WITH_SHA256, holds
from smki.pki.usages import key_usage
from tests.pki.hierarchy import PROFILES
from tests.pki.path_made import key, usage

DEVICE, ORGANISATION, OFFICER, SYSTEM = (PROFILES[one] for one in ("device", "organisation", "officer", "system"))
ENTITY = EntityId.parse("00-DB-12-34-56-78-90-A0")
KEY = key(300)
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
assert DEVICE.hardware_type is not None
NAME = hardware_module_name(DEVICE.hardware_type, ENTITY)
ASKED = (key_usage(KeyUsage.DIGITAL_SIGNATURE), True)
NAMED = (x509.SubjectAlternativeName([NAME]), True)


def csr(
    *extensions: tuple[x509.ExtensionType, bool], subject: x509.Name = EMPTY, signer: Any = KEY,
    attributes: tuple[tuple[x509.ObjectIdentifier, bytes], ...] = (), algorithm: Any = None,
) -> bytes:  # fmt: skip
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    for oid, value in attributes:
        builder = builder.add_attribute(oid, value)
    return builder.sign(signer, algorithm).public_bytes(Encoding.DER)


def device(*extensions: tuple[x509.ExtensionType, bool], **more: Any) -> bytes:
    return csr(*(extensions or (ASKED, NAMED)), **{"algorithm": hashes.SHA256(), **more})


def told(der: bytes, profile: Profile = DEVICE, blocked: frozenset[bytes] = frozenset()) -> dict[str, str]:
    judged = RequestReader(profile, blocked).read(der)
    return {fault.code: fault.message for fault in judged.faults} if isinstance(judged, Unfit) else {}


def content(element: bytes) -> bytes:
    return element[{0x81: 3, 0x82: 4}.get(element[1], 2) :]


# Devices


@pytest.mark.parametrize(
    ("der", "code"),
    [
        (device(ASKED), "san.form"),
        (device(ASKED, (NAMED[0], False)), "request.critical"),
        (device((ASKED[0], False), NAMED), "request.critical"),
        (device(NAMED), "usage.one"),
        (device((usage("digital_signature", "key_agreement"), True), NAMED), "usage.one"),
        (device((usage("key_agreement", "encipher_only"), True), NAMED), "usage.one"),
        (device((usage("key_agreement", "decipher_only"), True), NAMED), "usage.one"),
        (device(ASKED, (x509.SubjectAlternativeName([NAME, NAME]), True)), "san.form"),
        (device(ASKED, (x509.SubjectAlternativeName([x509.DNSName("a.example")]), True)), "san.form"),
        (
            device(ASKED, (x509.SubjectAlternativeName([x509.OtherName(NAME.type_id, tlv(4, bytes(5)))]), True)),
            "san.form",
        ),
        (
            device(ASKED, (x509.SubjectAlternativeName([x509.OtherName(NAME.type_id, tlv(4, bytes(6)))]), True)),
            "san.form",
        ),
        (device(ASKED, NAMED, (x509.OCSPNoCheck(), False)), "request.extension"),
        (device(ASKED, NAMED, attributes=((AttributeOID.CHALLENGE_PASSWORD, b"x"),)), "request.attributes"),
        (device(subject=x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "meter")])), "subject.form"),
        (device(algorithm=hashes.SHA384()), "request.algorithm"),
    ],
)
def test_a_device_breaks_one_rule_and_is_told_that_alone(der: bytes, code: str) -> None:
    assert told(device()) == {}
    assert set(told(der)) == {code}


@pytest.mark.parametrize("scalar", [1, 255, 256, ORDER - 256, ORDER - 1])
def test_a_key_near_nought_is_weak(scalar: int) -> None:
    assert set(told(device(signer=ec.derive_private_key(scalar, ec.SECP256R1())))) == {"key.weak"}


@pytest.mark.parametrize("scalar", [257, ORDER - 257])
def test_a_key_a_little_further_is_not(scalar: int) -> None:
    assert told(device(signer=ec.derive_private_key(scalar, ec.SECP256R1()))) == {}


@pytest.mark.parametrize(
    "signer", [ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32)), ec.derive_private_key(300, ec.SECP384R1())]
)
def test_a_key_of_another_kind_is_none(signer: Any) -> None:
    algorithm = None if isinstance(signer, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    assert "key.algorithm" in told(device(signer=signer, algorithm=algorithm))


def test_a_blocked_key_is_refused_in_whatever_form_it_is_sent() -> None:
    blocked = frozenset({key_hash(spki_of(KEY.public_key()))})
    for der in (device(), device(NAMED, ASKED)):
        assert set(told(der, blocked=blocked)) == {"key.blocked"}
        assert told(der, blocked=frozenset({key_hash(b"another")})) == {}


@pytest.mark.parametrize(("more", "expected"), [(0, "request.extension"), (1, "request.size")])
def test_a_request_has_at_most_4096_octets(more: int, expected: str) -> None:
    def made(filled: int) -> bytes:
        return device(
            ASKED, NAMED, (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3"), bytes(filled)), False)
        )

    # A signature has 70 to 72 octets, as it comes: one in two or three has 71.
    room = 4096 + more - max(len(made(3700)) for _ in range(20)) + 3700 + 1
    der = next(der for der in (made(room) for _ in range(100)) if len(der) == 4096 + more)
    assert set(told(der)) == {expected}


def test_so_much_of_what_is_not_taken_is_told() -> None:
    def strange(count: int) -> list[tuple[x509.ExtensionType, bool]]:
        return [
            (x509.UnrecognizedExtension(x509.ObjectIdentifier(f"1.2.3.{n}"), b"\x05\x00"), False)
            for n in range(count)
        ]

    five = ", ".join(f"1.2.3.{n}" for n in range(5))
    assert told(device(ASKED, NAMED, *strange(5)))["request.extension"] == f"extensions beyond the profile: {five}"
    assert (
        told(device(ASKED, NAMED, *strange(6)))["request.extension"] == f"extensions beyond the profile: {five}, ..."
    )
    long = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2." + ".".join(["111111111"] * 8)), b"\x05\x00")
    shown = told(device(ASKED, NAMED, (long, False)))["request.extension"].partition(": ")[2]
    assert shown == long.oid.dotted_string[:64] != long.oid.dotted_string


def _signed(body: bytes, algorithm: bytes = ECDSA_WITH_SHA256) -> bytes:
    signed = tlv(SEQUENCE, body)
    signature = KEY.sign(signed, ec.ECDSA(hashes.SHA256()))
    return tlv(SEQUENCE, signed + algorithm + tlv(BIT_STRING, b"\x00" + signature))


BODY = content(x509.load_der_x509_csr(device()).tbs_certrequest_bytes)


def test_a_request_that_is_put_together_unchanged_is_read() -> None:
    assert told(_signed(BODY)) == {}


def test_an_attribute_stands_once() -> None:
    at = BODY.index(b"\xa0", BODY.index(point_of(KEY.public_key())) + POINT_OCTETS)
    attribute = content(BODY[at:])
    assert told(_signed(BODY[:at] + tlv(0xA0, attribute + attribute)))


@pytest.mark.parametrize(
    ("algorithm", "code"),
    [("300c06082a8648ce3d0403020500", "request.form"), ("300a06082a8648ce3d040303", "request.algorithm")],
)
def test_the_algorithm_is_the_one_and_has_no_parameters(algorithm: str, code: str) -> None:
    assert code in told(_signed(BODY, bytes.fromhex(algorithm)))


def test_a_point_is_uncompressed() -> None:
    whole = point_of(KEY.public_key())
    compressed = bytes((2 + whole[-1] % 2,)) + whole[1:33]
    spki = tlv(SEQUENCE, bytes.fromhex("301306072a8648ce3d020106082a8648ce3d030107") + tlv(3, b"\x00" + compressed))
    assert set(told(_signed(BODY.replace(spki_of(KEY.public_key()), spki)))) == {"key.point"}


# The one form in which devices ask


@pytest.mark.parametrize("asked", list(KeyUsage))
def test_a_devices_form_is_recognised_by_each_of_its_fixed_octets(asked: KeyUsage) -> None:
    form, der = device_form(DEVICE), device_request(DEVICE, ENTITY, asked, KEY)
    found = form.match(der)
    assert found is not None
    assert (found.usage, found.point, found.entity) == (asked, point_of(KEY.public_key()), ENTITY.octets)
    assert holds(found.signature, found.signed, KEY.public_key())
    free = set[int]()
    for part in (found.point, found.entity, found.signature):
        free |= set(range(der.rindex(part), der.rindex(part) + len(part)))
    for at in range(len(der)):
        changed = der[:at] + bytes((der[at] ^ 1,)) + der[at + 1 :]
        assert (form.match(changed) is not None) is (at in free), at
    for cut in range(len(der)):
        assert form.match(der[:cut]) is None
    assert form.match(der + b"\x00") is None


def test_a_length_is_written_in_its_shortest_form() -> None:
    """X.690 10.1: what is recognised is DER."""
    form = device_form(DEVICE)
    body = content(device_request(DEVICE, ENTITY, KeyUsage.KEY_AGREEMENT, KEY))
    assert form.match(tlv(SEQUENCE, body)) is not None
    length = len(body).to_bytes(2)
    for head in (b"\x30\x83\x00" + length, b"\x30\x80", b"\x31\x82" + length, b"\x30\x84\x00\x00" + length):
        assert form.match(head + body) is None


# Organisations, officers and systems

UNIT = x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "02")
UNIQUE = x509.NameAttribute(NameOID.X500_UNIQUE_IDENTIFIER, b"\x00" + ENTITY.octets, _ASN1Type.BitString)


@pytest.mark.parametrize("asked", list(KeyUsage))
def test_an_organisation_asks_for_one_key(asked: KeyUsage) -> None:
    subject = organisation_name(RemotePartyRole.NETWORK_OPERATOR, ENTITY, "North")
    for critical in (True, False):
        der = csr((key_usage(asked), critical), subject=subject, algorithm=hashes.SHA256())
        judged = RequestReader(ORGANISATION, frozenset()).read(der)
        assert isinstance(judged, Request)
        assert (judged.usage, judged.role, judged.entity) == (asked, RemotePartyRole.NETWORK_OPERATOR, ENTITY)
        assert (judged.common_name, judged.point) == ("North", point_of(KEY.public_key()))
        assert judged.key_hash == key_hash(spki_of(KEY.public_key()))
    with_name = csr(ASKED, NAMED, subject=subject, algorithm=hashes.SHA256())
    assert set(told(with_name, ORGANISATION)) == {"request.extension"}
    assert set(told(csr(subject=subject, algorithm=hashes.SHA256()), ORGANISATION)) == {"usage.one"}


@pytest.mark.parametrize("profile", [OFFICER, SYSTEM])
def test_an_officer_or_a_system_has_one_name_and_signs(profile: Profile) -> None:
    def asked(*extensions: Any, names: tuple[str, ...] = ("Ann Ash",)) -> dict[str, str]:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, one) for one in names])
        return told(csr(*extensions, subject=subject, algorithm=hashes.SHA256()), profile)

    assert asked() == asked(ASKED) == {}
    assert set(asked((key_usage(KeyUsage.KEY_AGREEMENT), True))) == {"usage.one"}
    assert set(asked((key_usage(None), True))) == {"usage.one"}
    assert set(asked(NAMED)) == {"request.extension"}
    assert set(asked(names=())) == set(asked(names=("A", "B"))) == {"subject.form"}
    assert asked(names=("A" * 64,)) == {}
    assert set(asked(names=(" A",))) == {"subject.form"}


def test_an_organisations_subject_stops_at_its_form() -> None:
    for attributes in ([UNIT], [UNIQUE], []):
        der = csr(ASKED, subject=x509.Name(attributes), algorithm=hashes.SHA256())
        assert set(told(der, ORGANISATION)) == {"subject.form"}


# Public keys


def test_a_point_is_on_the_curve_and_in_its_one_form() -> None:
    point = point_of(KEY.public_key())
    assert read_point(point) == KEY.public_key()
    for wrong in (b"", point[:-1], point + b"\x00", b"\x02" + point[1:33], b"\x06" + point[1:], b"\x04" + bytes(64)):
        assert read_point(wrong) is None


def test_a_public_key_is_on_p_256_and_in_its_one_form() -> None:
    spki = spki_of(KEY.public_key())
    assert read_spki(spki) == KEY.public_key()
    whole = point_of(KEY.public_key())
    compressed = bytes((2 + whole[-1] % 2,)) + whole[1:33]
    others = (
        spki_of(ec.derive_private_key(300, ec.SECP384R1()).public_key()),
        rsa.generate_private_key(65537, 1024).public_key().public_bytes(  # noqa: S505 - it is to be refused
            Encoding.DER, PublicFormat.SubjectPublicKeyInfo
        ),
        tlv(SEQUENCE, bytes.fromhex("301306072a8648ce3d020106082a8648ce3d030107") + tlv(3, b"\x00" + compressed)),
        spki + b"\x00",
        b"",
    )  # fmt: skip
    for wrong in others:
        assert read_spki(wrong) is None
