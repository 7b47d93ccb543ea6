"""Certification requests (PKCS#10): what is asked, and every rule the request breaks. Pure.

It decides form and possession: that the request is of its kind's one form, and that the key asked for signed it.
It refuses to know who asks, and whether they may.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtensionOID, NameOID

from smki.entity import EUI64_OCTETS, EntityId, KeyUsage, RemotePartyRole
from smki.errors import InvalidInput
from smki.pki.device_request import Found, device_form
from smki.pki.keyid import P256_SPKI, key_hash, point_of
from smki.pki.kind import Kind
from smki.pki.name import entity_of, hardware_module_name, is_common_name
from smki.pki.profile import Profile
from smki.pki.public_key import read_point
from smki.pki.signature import ECDSA_WITH_SHA256, OF_DATA
from smki.pki.usages import one_usage
from smki.pki.verdict import Fault

MAX_REQUEST_OCTETS = 4096  # a device's has 280, an organisation's some 350
MAX_TOLD, MAX_OID = 5, 64
WEAK_SCALARS = 256  # a private key this close to zero, on either side, is a mistake or a bait


class Request(msgspec.Struct, frozen=True, gc=False):
    """A request that broke no rule of form: what it asks for, and the point of the key that signed it.

    A struct and not a dataclass: millions are made in one process and sent to another.
    """

    digest: bytes
    point: bytes
    key_hash: bytes
    usage: KeyUsage
    entity: EntityId | None = None
    role: RemotePartyRole | None = None
    common_name: str | None = None


@dataclass(frozen=True, slots=True)
class Unfit:
    """A request that is refused whoever asks."""

    digest: bytes
    faults: tuple[Fault, ...]


class RequestReader:
    """Reads the requests of one profile."""

    def __init__(self, profile: Profile, blocked: frozenset[bytes]) -> None:
        self._profile = profile
        self._blocked = blocked
        self._form = device_form(profile) if profile.kind is Kind.DEVICE else None

    def read(self, der: bytes) -> Request | Unfit:
        """Judge one request."""
        found = None if self._form is None else self._form.match(der)
        return self._read_slowly(der) if found is None else self._judge_device(der, found)

    def _judge_device(self, der: bytes, found: Found) -> Request | Unfit:
        """A request that is a device's, octet for octet: what is left is its key."""
        digest = hashlib.sha256(der).digest()
        key = read_point(found.point)
        if key is None:
            return Unfit(digest, (_fault("key.point", "the public key is no point of P-256"),))
        faults = list(_key_faults(found.point, self._blocked))
        try:
            key.verify(found.signature, found.signed, OF_DATA)
        except InvalidSignature:
            faults.append(_no_possession())
        if faults:
            return Unfit(digest, tuple(faults))
        return Request(digest, found.point, key_hash(P256_SPKI + found.point), found.usage, EntityId(found.entity))

    def _read_slowly(self, der: bytes) -> Request | Unfit:
        """Any other request: find every rule it breaks."""
        digest = hashlib.sha256(der).digest()
        if len(der) > MAX_REQUEST_OCTETS:
            return Unfit(
                digest, (_fault("request.size", f"{len(der)} octets, and {MAX_REQUEST_OCTETS} is the limit"),)
            )
        try:
            csr = x509.load_der_x509_csr(der)
            key = csr.public_key()
            parts = _Parts(csr, der)
        except UnsupportedAlgorithm:
            return Unfit(digest, (_fault("key.algorithm", "the public key is not on P-256"),))
        except Exception as error:  # noqa: BLE001 - pyca's parser has several families of errors
            return Unfit(digest, (_fault("request.form", f"no PKCS#10 request in DER: {type(error).__name__}"),))
        asked = _Asked()
        faults = [*_form_faults(parts), *_key_rules(parts, key, self._blocked)]
        faults += _extension_faults(parts, self._profile, asked)
        faults += _SUBJECTS[self._profile.kind](csr.subject, asked)
        if faults or asked.usage is None or not isinstance(key, ec.EllipticCurvePublicKey):
            return Unfit(digest, tuple(faults))
        point = point_of(key)
        known_by = key_hash(P256_SPKI + point)
        return Request(digest, point, known_by, asked.usage, asked.entity, asked.role, asked.common_name)


@dataclass(slots=True)
class _Asked:
    """What a request turned out to ask, as far as it was read."""

    usage: KeyUsage | None = None
    entity: EntityId | None = None
    role: RemotePartyRole | None = None
    common_name: str | None = None


class _Parts:
    """A parsed request, every lazy part of it read once."""

    def __init__(self, csr: x509.CertificateSigningRequest, der: bytes) -> None:
        self.der = der
        self.csr = csr
        self.signed = csr.tbs_certrequest_bytes
        self.attributes = list(csr.attributes)
        self.extensions = list(csr.extensions)
        self.subject = list(csr.subject)
        self.algorithm = csr.signature_algorithm_oid
        self.encoded = csr.public_bytes(Encoding.DER)

    @property
    def after_signed(self) -> bytes:
        """The algorithm and the signature."""
        return self.der[self.der.index(self.signed) + len(self.signed) :]

    def possessed(self) -> bool:
        try:
            return self.csr.is_signature_valid
        except (UnsupportedAlgorithm, InvalidSignature, ValueError, TypeError):
            return False


# Rules, each with its code

_REMEDIES = {
    "request.size": "send the request alone, without what came with it",
    "request.form": "make it as `smki device request` or `openssl req` does, and send DER or PEM",
    "request.encoding": "encode it in DER: one length, one order, nothing after the end",
    "request.algorithm": "sign the request with ecdsa-with-SHA256, without parameters",
    "request.possession": "sign the request with the private half of the key it asks for",
    "request.attributes": "send one attribute, extensionRequest, with what the profile lists",
    "request.extension": "ask for nothing beyond the profile: what else is asked is never copied",
    "request.critical": "mark keyUsage and subjectAltName critical, as devices do",
    "key.algorithm": "make a key on P-256 (prime256v1)",
    "key.point": "make a new key pair; send its point uncompressed",
    "key.weak": "make a new key pair with a good source of randomness",
    "key.blocked": "make a new key pair: this one is known to others",
    "usage.one": "ask for exactly one of digitalSignature and keyAgreement",
    "subject.form": "write the subject as the profile does",
    "subject.role": "write the role as two hexadecimal digits, such as 02 for a supplier",
    "san.form": "send one otherName: a hardwareModuleName of the profile's hwType with the EUI-64 as hwSerialNum",
}


def _fault(code: str, message: str) -> Fault:
    return Fault(code, message, _REMEDIES[code])


def _no_possession() -> Fault:
    return _fault("request.possession", "the request is not signed by the key it asks for")


def _form_faults(parts: _Parts) -> Iterator[Fault]:
    if parts.encoded != parts.der:
        yield _fault("request.encoding", "the request is not in its one DER form")
    if not parts.after_signed.startswith(ECDSA_WITH_SHA256):
        yield _fault("request.algorithm", f"signed with {parts.algorithm.dotted_string} or with parameters")
    if not parts.possessed():
        yield _no_possession()
    wrong = [item.oid.dotted_string for item in parts.attributes if item.oid != _EXTENSION_REQUEST]
    if wrong or len(parts.attributes) > 1:
        yield _fault("request.attributes", f"attributes beyond the profile: {_some(wrong) or 'one is twice there'}")


_EXTENSION_REQUEST = x509.ObjectIdentifier("1.2.840.113549.1.9.14")  # RFC 2985 5.4.2


def _key_rules(parts: _Parts, key: object, blocked: frozenset[bytes]) -> Iterator[Fault]:
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        yield _fault("key.algorithm", "the public key is not on P-256")
        return
    point = point_of(key)
    if P256_SPKI + point not in parts.signed:
        yield _fault("key.point", "the public key is not an uncompressed point of the named curve")
    yield from _key_faults(point, blocked)


def _key_faults(point: bytes, blocked: frozenset[bytes]) -> Iterator[Fault]:
    if point[1:33] in _weak_abscissas():
        yield _fault("key.weak", "the private key can be guessed")
    if blocked and key_hash(P256_SPKI + point) in blocked:
        yield _fault("key.blocked", "the key is on the list of blocked keys")


@cache
def _weak_abscissas() -> frozenset[bytes]:
    """The x of k times the base point, for each small k; minus k has the same."""
    return frozenset(
        point_of(ec.derive_private_key(scalar, ec.SECP256R1()).public_key())[1:33]
        for scalar in range(1, WEAK_SCALARS + 1)
    )


def _extension_faults(parts: _Parts, profile: Profile, asked: _Asked) -> Iterator[Fault]:
    device = profile.kind is Kind.DEVICE
    allowed = {ExtensionOID.KEY_USAGE} | ({ExtensionOID.SUBJECT_ALTERNATIVE_NAME} if device else set())
    beyond = [item.oid.dotted_string for item in parts.extensions if item.oid not in allowed]
    if beyond:
        yield _fault("request.extension", f"extensions beyond the profile: {_some(beyond)}")
    if device and not all(item.critical for item in parts.extensions if item.oid in allowed):
        yield _fault("request.critical", "keyUsage or subjectAltName is not critical")
    values = {item.oid: item.value for item in parts.extensions}
    asked.usage = _usage(values.get(ExtensionOID.KEY_USAGE), profile)
    if asked.usage is None:
        yield _fault("usage.one", "not exactly one key usage that this profile knows")
    if device:
        asked.entity = _hardware_serial(values.get(ExtensionOID.SUBJECT_ALTERNATIVE_NAME), profile)
        if asked.entity is None:
            yield _fault("san.form", "the subjectAltName is not one hardwareModuleName of the profile")


def _some(oids: list[str]) -> str:
    """A few of them: whoever sends a hundred need not read them all."""
    return ", ".join(oid[:MAX_OID] for oid in oids[:MAX_TOLD]) + (", ..." if len(oids) > MAX_TOLD else "")


def _usage(value: x509.ExtensionType | None, profile: Profile) -> KeyUsage | None:
    signing_only = profile.kind is Kind.INFRASTRUCTURE
    if value is None and signing_only:
        return KeyUsage.DIGITAL_SIGNATURE
    if not isinstance(value, x509.KeyUsage) or (value.key_agreement and (value.encipher_only or value.decipher_only)):
        return None
    usage = one_usage(value)
    return None if signing_only and usage is KeyUsage.KEY_AGREEMENT else usage


def _hardware_serial(value: x509.ExtensionType | None, profile: Profile) -> EntityId | None:
    assert profile.hardware_type is not None, "a device profile has one"
    names = list(value) if isinstance(value, x509.SubjectAlternativeName) else []
    if len(names) != 1 or not isinstance(names[0], x509.OtherName) or len(names[0].value) < EUI64_OCTETS:
        return None
    entity = EntityId(names[0].value[-EUI64_OCTETS:])
    return entity if names[0] == hardware_module_name(profile.hardware_type, entity) else None


# Subjects


def _device_subject(subject: x509.Name, _: _Asked) -> Iterator[Fault]:
    if len(subject.rdns):
        yield _fault("subject.form", "a device's subject is empty")


def _organisation_subject(subject: x509.Name, asked: _Asked) -> Iterator[Fault]:
    types = [[attribute.oid for attribute in rdn] for rdn in subject.rdns]
    tail = [[NameOID.ORGANIZATIONAL_UNIT_NAME], [NameOID.X500_UNIQUE_IDENTIFIER]]
    if types not in (tail, [[NameOID.COMMON_NAME], *tail]):
        yield _fault("subject.form", "the subject is not [CN,] OU, x500UniqueIdentifier, one attribute in each RDN")
        return
    *names, unit, unique = [attribute.value for attribute in subject]
    if names:
        asked.common_name = str(names[0])
    try:
        asked.role = RemotePartyRole.from_organisational_unit(str(unit))
    except InvalidInput:
        yield _fault("subject.role", f"OU {str(unit)[:20]!r} names no role")
    asked.entity = entity_of(unique)
    if asked.entity is None:
        yield _fault("subject.form", "the x500UniqueIdentifier is not a BIT STRING of an EUI-64")


def _infrastructure_subject(subject: x509.Name, asked: _Asked) -> Iterator[Fault]:
    if [[attribute.oid for attribute in rdn] for rdn in subject.rdns] != [[NameOID.COMMON_NAME]]:
        yield _fault("subject.form", "the subject is not one common name")
        return
    (name,) = subject
    asked.common_name = str(name.value)
    if not is_common_name(asked.common_name):
        yield _fault("subject.form", "the common name is not 1 to 64 printable characters")


_SUBJECTS: dict[Kind, Callable[[x509.Name, _Asked], Iterator[Fault]]] = {
    Kind.DEVICE: _device_subject,
    Kind.ORGANISATION: _organisation_subject,
    Kind.INFRASTRUCTURE: _infrastructure_subject,
}
