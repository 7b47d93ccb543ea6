"""Requests: the form devices send, every rule with its code, and whatever a stranger may send instead."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from smki.entity import EntityId, KeyUsage, RemotePartyRole
from smki.pki.device_request import device_form, device_request
from smki.pki.keyid import key_hash, point_of
from smki.pki.name import hardware_module_name, organisation_name
from smki.pki.oid import parse_oid
from smki.pki.profile import Profile, read_profile
from smki.pki.request import MAX_REQUEST_OCTETS, Request, RequestReader, Unfit
from smki.pki.usages import key_usage
from tests.vectors_folder import read_json, vectors

POLICIES = Path(__file__).parent.parent.parent / "policies" / "profiles"
ENTITY = EntityId.parse("00-DB-12-34-56-78-90-A0")
KEY = ec.generate_private_key(ec.SECP256R1())
Signer = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def profile(name: str) -> Profile:
    return read_profile((POLICIES / f"{name}.toml").read_bytes(), f"profiles/{name}.toml").value


DEVICE, ORGANISATION, OFFICER = profile("device"), profile("organisation"), profile("officer")
READER = RequestReader(DEVICE, frozenset())


def codes(der: bytes, reader: RequestReader = READER) -> set[str]:
    judged = reader.read(der)
    return {fault.code for fault in judged.faults} if isinstance(judged, Unfit) else set()


def csr(
    key: Signer = KEY,
    *,
    usage: x509.KeyUsage | None = None,
    usage_critical: bool = True,
    names: list[x509.GeneralName] | None = None,
    subject: x509.Name | None = None,
    more: tuple[tuple[x509.ExtensionType, bool], ...] = (),
    algorithm: hashes.HashAlgorithm | None = None,
) -> bytes:
    """A device's request, but for what is said."""
    assert DEVICE.hardware_type is not None
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject or x509.Name([]))
    builder = builder.add_extension(usage or key_usage(KeyUsage.DIGITAL_SIGNATURE), usage_critical)
    wanted = names or [hardware_module_name(DEVICE.hardware_type, ENTITY)]
    builder = builder.add_extension(x509.SubjectAlternativeName(wanted), critical=True)
    for extension, critical in more:
        builder = builder.add_extension(extension, critical)
    return builder.sign(key, algorithm or hashes.SHA256()).public_bytes(Encoding.DER)  # type: ignore[arg-type]


@pytest.mark.parametrize("usage", KeyUsage)
def test_a_devices_request_is_read(usage: KeyUsage) -> None:
    der = device_request(DEVICE, ENTITY, usage, KEY)
    assert device_form(DEVICE).match(der) is not None
    judged = READER.read(der)
    assert isinstance(judged, Request)
    assert (judged.usage, judged.entity, judged.point) == (usage, ENTITY, point_of(KEY.public_key()))
    assert READER._read_slowly(der) == judged, "the quick way and the thorough one agree"


@pytest.mark.vectors
def test_real_devices_ask_in_exactly_this_form() -> None:
    """Every request that a real device sent in a message is recognised by its octets."""
    found = 0
    form = device_form(DEVICE)
    for text in _strings(read_json("gbcs", "rtds.json")):
        octets = bytes.fromhex(text) if len(text) % 2 == 0 and _is_hex(text) else b""
        start = octets.find(form.before_point)
        if start > 0:
            header = 4 if octets[start - 4] == 0x30 else 3
            der = octets[start - header :]
            length = int.from_bytes(der[2:4]) + 4 if header == 4 else der[2] + 3
            judged = READER.read(der[:length])
            assert isinstance(judged, Request), judged
            assert form.match(der[:length]) is not None
            assert READER._read_slowly(der[:length]) == judged
            found += 1
    assert found


def _strings(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for item in items for text in _strings(item)]


def _is_hex(text: str) -> bool:
    return len(text) > 200 and set(text) <= set("0123456789abcdefABCDEF")


def flipped(name: str) -> x509.KeyUsage:
    every = {
        "digital_signature": True, "content_commitment": False, "key_encipherment": False,
        "data_encipherment": False, "key_agreement": False, "key_cert_sign": False, "crl_sign": False,
        "encipher_only": False, "decipher_only": False,
    }  # fmt: skip
    return x509.KeyUsage(**{**every, name: not every[name]})


SMALL = ec.derive_private_key(7, ec.SECP256R1())
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
OTHER_TYPE = x509.ObjectIdentifier("1.2.3.4")


@pytest.mark.requirement("R-LEA-1", "R-SUB-1", "R-SUB-2", "R-SUB-4", "R-UID-2")
@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda: csr(rsa.generate_private_key(65537, 2048)), "key.algorithm"),
        (lambda: csr(ec.generate_private_key(ec.SECP384R1())), "key.algorithm"),
        (lambda: csr(ec.generate_private_key(ec.SECP256K1())), "key.algorithm"),
        (lambda: csr(SMALL), "key.weak"),
        (lambda: csr(ec.derive_private_key(ORDER - 7, ec.SECP256R1())), "key.weak"),
        (lambda: csr(algorithm=hashes.SHA384()), "request.algorithm"),
        (lambda: csr(usage=flipped("key_agreement")), "usage.one"),
        (lambda: csr(usage=flipped("digital_signature")), "usage.one"),
        (lambda: csr(usage=flipped("key_cert_sign")), "usage.one"),
        (lambda: csr(usage=flipped("crl_sign")), "usage.one"),
        (lambda: csr(usage=flipped("key_encipherment")), "usage.one"),
        (lambda: csr(usage_critical=False), "request.critical"),
        (lambda: csr(more=((x509.BasicConstraints(ca=True, path_length=None), True),)), "request.extension"),
        (lambda: csr(more=((x509.OCSPNoCheck(), False),)), "request.extension"),
        (lambda: csr(names=[x509.DNSName("meter.example")]), "san.form"),
        (lambda: csr(names=[hardware_module_name(OTHER_TYPE, ENTITY)]), "san.form"),
        (lambda: csr(names=[x509.OtherName(OTHER_TYPE, b"\x05\x00")]), "san.form"),
        (lambda: csr(subject=x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "meter")])), "subject.form"),
        (lambda: b"", "request.form"),
        (lambda: b"\x30\x80\x00\x00", "request.form"),
        (lambda: bytes(MAX_REQUEST_OCTETS + 1), "request.size"),
        (lambda: device_request(DEVICE, ENTITY, KeyUsage.KEY_AGREEMENT, KEY) + b"\x00", "request.form"),
        (lambda: _with_signature(csr(), b"\x01"), "request.possession"),
        (lambda: _with_point(csr(), bytes(64)), "key.point"),
    ],
)  # fmt: skip
def test_each_broken_rule_has_its_code(make: Callable[[], bytes], code: str) -> None:
    der = make()
    assert code in codes(der)
    for fault in READER.read(der).faults:  # type: ignore[union-attr]
        assert fault.message
        assert fault.remedy


def _with_signature(der: bytes, end: bytes) -> bytes:
    return der[: -len(end)] + bytes((der[-1] ^ end[0],))


def _with_point(der: bytes, coordinates: bytes) -> bytes:
    point = point_of(KEY.public_key())
    return der.replace(point, b"\x04" + coordinates)


def test_every_broken_rule_is_told_not_the_first_only() -> None:
    der = csr(
        SMALL,
        usage=flipped("key_cert_sign"),
        usage_critical=False,
        names=[x509.DNSName("x")],
        subject=x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "meter")]),
        more=((x509.OCSPNoCheck(), False),),
    )
    der = der[:-1] + bytes((der[-1] ^ 1,))
    assert codes(der) == {
        "key.weak", "usage.one", "request.critical", "san.form", "subject.form", "request.extension",
        "request.possession",
    }  # fmt: skip


@pytest.mark.requirement("R-SUB-2")
def test_attributes_beyond_the_profile_are_refused() -> None:
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    builder = builder.add_attribute(x509.oid.AttributeOID.CHALLENGE_PASSWORD, b"secret")
    assert "request.attributes" in codes(builder.sign(KEY, hashes.SHA256()).public_bytes(Encoding.DER))


@pytest.mark.requirement("R-SUB-4")
def test_a_blocked_key_is_refused() -> None:
    spki = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200") + point_of(KEY.public_key())
    reader = RequestReader(DEVICE, frozenset({key_hash(spki)}))
    assert codes(csr(), reader) == {"key.blocked"}
    assert codes(csr(ec.generate_private_key(ec.SECP256R1())), reader) == set()


def test_another_order_of_extensions_is_the_same_request() -> None:
    """Firmware may build it otherwise: what is asked counts, and nothing else is copied."""
    assert DEVICE.hardware_type is not None
    name = hardware_module_name(DEVICE.hardware_type, ENTITY)
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    builder = builder.add_extension(x509.SubjectAlternativeName([name]), critical=True)
    builder = builder.add_extension(key_usage(KeyUsage.KEY_AGREEMENT), critical=True)
    der = builder.sign(KEY, hashes.SHA256()).public_bytes(Encoding.DER)
    assert device_form(DEVICE).match(der) is None
    judged = READER.read(der)
    assert isinstance(judged, Request)
    assert (judged.usage, judged.entity) == (KeyUsage.KEY_AGREEMENT, ENTITY)


# Organisations and officers


def organisation_csr(name: x509.Name, usage: x509.KeyUsage | None = None) -> bytes:
    builder = x509.CertificateSigningRequestBuilder().subject_name(name)
    builder = builder.add_extension(usage or key_usage(KeyUsage.DIGITAL_SIGNATURE), critical=True)
    return builder.sign(KEY, hashes.SHA256()).public_bytes(Encoding.DER)


def test_an_organisations_request_is_read() -> None:
    reader = RequestReader(ORGANISATION, frozenset())
    for common_name in (None, "North Supply"):
        judged = reader.read(organisation_csr(organisation_name(RemotePartyRole.SUPPLIER, ENTITY, common_name)))
        assert isinstance(judged, Request)
        assert (judged.role, judged.entity, judged.common_name) == (RemotePartyRole.SUPPLIER, ENTITY, common_name)


def _unit(text: str) -> x509.NameAttribute[str]:
    return x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, text, _ASN1Type.UTF8String)


def _unique(octets: bytes) -> x509.NameAttribute[bytes]:
    return x509.NameAttribute(NameOID.X500_UNIQUE_IDENTIFIER, octets, _ASN1Type.BitString)


@pytest.mark.requirement("R-UID-2")
@pytest.mark.parametrize(
    ("subject", "code"),
    [
        (x509.Name([]), "subject.form"),
        (x509.Name([_unit("02")]), "subject.form"),
        (x509.Name([_unique(b"\x00" + ENTITY.octets), _unit("02")]), "subject.form"),
        (x509.Name([_unit("137"), _unique(b"\x00" + ENTITY.octets)]), "subject.role"),
        (x509.Name([_unit("2"), _unique(b"\x00" + ENTITY.octets)]), "subject.role"),
        (x509.Name([_unit("02"), _unique(b"\x00" + ENTITY.octets[1:])]), "subject.form"),
        (x509.Name([_unit("02"), _unique(b"\x01" + ENTITY.octets)]), "subject.form"),
        (
            x509.Name([x509.RelativeDistinguishedName([_unit("02"), _unique(b"\x00" + ENTITY.octets)])]),
            "subject.form",
        ),
    ],
)  # fmt: skip
def test_an_organisations_subject_is_exactly_the_profiles(subject: x509.Name, code: str) -> None:
    assert codes(organisation_csr(subject), RequestReader(ORGANISATION, frozenset())) == {code}


def test_an_officers_request_needs_no_extension_and_never_agrees_keys() -> None:
    reader = RequestReader(OFFICER, frozenset())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Ann Ash")])
    plain = x509.CertificateSigningRequestBuilder().subject_name(name).sign(KEY, hashes.SHA256())
    judged = reader.read(plain.public_bytes(Encoding.DER))
    assert isinstance(judged, Request)
    assert (judged.common_name, judged.usage) == ("Ann Ash", KeyUsage.DIGITAL_SIGNATURE)
    assert codes(organisation_csr(name, key_usage(KeyUsage.KEY_AGREEMENT)), reader) == {"usage.one"}


# Strangers


@pytest.mark.vectors
def test_malformed_requests_are_refused_each_with_a_code() -> None:
    folder = vectors("malformed", "csr")
    readers = [RequestReader(item, frozenset()) for item in (DEVICE, ORGANISATION, OFFICER)]
    index = {Path(item["file"]).name: item for item in read_json("malformed", "index.json")["files"]}
    seen = 0
    for path in sorted(folder.iterdir()):
        for reader in readers:
            judged = reader.read(path.read_bytes())
            assert isinstance(judged, Unfit), path.name
            assert judged.faults
        seen += index[path.name]["kind"] == "csr"
    assert seen == len(list(folder.iterdir()))


SEEDS = [
    device_request(DEVICE, ENTITY, KeyUsage.DIGITAL_SIGNATURE, KEY),
    device_request(DEVICE, ENTITY, KeyUsage.KEY_AGREEMENT, KEY),
    organisation_csr(organisation_name(RemotePartyRole.SUPPLIER, ENTITY, "North Supply")),
]
READERS = [READER, READER, RequestReader(ORGANISATION, frozenset())]


@pytest.mark.requirement("R-LAY-3")
@pytest.mark.slow(11)
@settings(max_examples=10_000, deadline=None)
@given(st.data())
def test_ten_thousand_mutations_are_refused_or_judged(data: st.DataObject) -> None:
    """Octets changed, left out, doubled, put in: a verdict with codes, or a request that is what it says."""
    which = data.draw(st.integers(0, len(SEEDS) - 1))
    dice = random.Random(data.draw(st.integers(0, 1 << 62)))  # noqa: S311 - mutations, not secrets
    der = bytearray(SEEDS[which])
    for _ in range(dice.randint(1, 4)):
        at = dice.randrange(len(der) + 1)
        match dice.randrange(4):
            case 0:
                der[at : at + 1] = bytes((dice.randrange(256),))
            case 1:
                del der[at : at + dice.randint(1, 8)]
            case 2:
                der[at:at] = dice.randbytes(dice.randint(1, 8))
            case _:
                der[at:at] = der[at : at + dice.randint(1, 64)]
    judged = READERS[which].read(bytes(der))
    if isinstance(judged, Unfit):
        assert judged.faults
        assert all(fault.code and fault.message and fault.remedy for fault in judged.faults)
    else:
        # A request that survives is one: pyca reads it, and its signature holds.
        assert x509.load_der_x509_csr(bytes(der)).is_signature_valid
        assert bytes(der) == SEEDS[which]


def test_oids_of_the_policies_are_read() -> None:
    assert parse_oid("1.2.826.0.1.8641679.1.2.2.1", "here") == DEVICE.hardware_type
