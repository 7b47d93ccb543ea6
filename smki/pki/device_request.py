"""The device's request, octet for octet: made as devices make it, and recognised by its fixed octets. Pure."""

from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from smki.entity import EUI64_OCTETS, EntityId, KeyUsage
from smki.pki.der import BIT_STRING, SEQUENCE
from smki.pki.keyid import POINT_OCTETS, point_of
from smki.pki.name import EMPTY, hardware_module_name
from smki.pki.profile import Profile
from smki.pki.signature import ECDSA_WITH_SHA256
from smki.pki.usages import key_usage

_SPECIMEN_SCALAR = 0x5A5A  # any private key whose octets stand nowhere else
_SHORT, _ONE_OCTET, _TWO_OCTETS = 0x80, 0x81, 0x82  # forms of a DER length (X.690 8.1.3)


@dataclass(frozen=True, slots=True)
class Found:
    """What a device's request holds between its fixed octets."""

    usage: KeyUsage
    signed: bytes
    point: bytes
    entity: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class DeviceForm:
    """The one form in which devices ask (as their answer to CS02c): fixed octets around key and EUI-64.

    A hundred thousand such requests come at a time. Comparing the fixed octets says all that parsing would.
    """

    before_point: bytes
    between: dict[bytes, KeyUsage]
    """What stands between key and EUI-64, which says what the key is for."""
    between_octets: int
    after_entity: bytes
    """Up to the signature's BIT STRING."""

    def match(self, der: bytes) -> Found | None:
        """Take a request apart, if it is in this form and in its one DER encoding."""
        start = _content(der)
        point = start + len(self.before_point)
        between = point + POINT_OCTETS
        entity = between + self.between_octets
        after = entity + EUI64_OCTETS
        bits = after + len(self.after_entity)
        usage = self.between.get(der[between:entity])
        if (
            usage is None
            or der[start:point] != self.before_point
            or der[after:bits] != self.after_entity
            or der[bits : bits + 3] != bytes((BIT_STRING, (len(der) - bits - 2) & 0xFF, 0))
            or len(der) - bits - 2 >= _SHORT
        ):
            return None
        signed = der[start : bits - len(ECDSA_WITH_SHA256)]
        return Found(usage, signed, der[point:between], der[entity:after], der[bits + 3 :])


def _content(der: bytes) -> int:
    """Where the content of the outer SEQUENCE begins, if its length is the shortest and right; else its end."""
    if len(der) > _SHORT and der[0] == SEQUENCE:
        if der[1] == _TWO_OCTETS and _SHORT * 2 <= int.from_bytes(der[2:4]) == len(der) - 4:
            return 4
        if der[1] == _ONE_OCTET and _SHORT <= der[2] == len(der) - 3:
            return 3
    return len(der)


def device_form(profile: Profile) -> DeviceForm:
    """Cut specimens of pyca's where key and EUI-64 stand."""
    key = ec.derive_private_key(_SPECIMEN_SCALAR, ec.SECP256R1())
    entity = EntityId(b"\xa5\x5a" * 4)
    between: dict[bytes, KeyUsage] = {}
    for usage in KeyUsage:
        csr = x509.load_der_x509_csr(device_request(profile, entity, usage, key))
        before, rest = csr.tbs_certrequest_bytes.split(point_of(key.public_key()))
        middle, after = rest.split(entity.octets)
        between[middle] = usage
    return DeviceForm(before, between, len(middle), after + ECDSA_WITH_SHA256)


def device_request(profile: Profile, entity: EntityId, usage: KeyUsage, key: ec.EllipticCurvePrivateKey) -> bytes:
    """Ask as devices do (GBCS CS02c): empty subject, both extensions critical, signed by the key asked for."""
    assert profile.hardware_type is not None, "a device profile has one"
    name = hardware_module_name(profile.hardware_type, entity)
    return (
        x509.CertificateSigningRequestBuilder()
        .subject_name(EMPTY)
        .add_extension(key_usage(usage), critical=True)
        .add_extension(x509.SubjectAlternativeName([name]), critical=True)
        .sign(key, hashes.SHA256())
        .public_bytes(Encoding.DER)
    )
