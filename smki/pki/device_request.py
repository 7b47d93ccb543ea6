"""The device's request, octet for octet: made as devices make it, and recognised by its fixed octets. Pure."""

from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from smki.entity import EUI64_OCTETS, EntityId, KeyUsage
from smki.pki.der import BIT_STRING, SEQUENCE, tlv
from smki.pki.keyid import POINT_OCTETS, point_of
from smki.pki.name import EMPTY, hardware_module_name
from smki.pki.profile import Profile
from smki.pki.template import ECDSA_WITH_SHA256, key_usage

_LEAST_OCTETS = 200
_SPECIMEN_SCALAR = 0x5A5A  # any private key whose octets stand nowhere else


@dataclass(frozen=True, slots=True)
class Found:
    signed: bytes
    point: bytes
    entity: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class DeviceForm:
    """The one form in which devices ask (as their answer to CS02c): fixed octets around key and EUI-64.

    A hundred thousand such requests come at a time. Comparing the fixed octets says all that parsing would.
    """

    usage: KeyUsage
    before_point: bytes
    between: bytes
    after_entity: bytes

    def match(self, der: bytes) -> Found | None:
        header = {0x81: 3, 0x82: 4}.get(der[1], 0) if len(der) > _LEAST_OCTETS else 0
        if not header:
            return None
        point = header + len(self.before_point)
        between = point + POINT_OCTETS
        entity = between + len(self.between)
        after = entity + EUI64_OCTETS
        end = after + len(self.after_entity)
        algorithm = end + len(ECDSA_WITH_SHA256)
        signature = der[algorithm + 3 :]
        # Rebuilding says that the lengths are the shortest, and that nothing follows.
        whole = self.before_point + der[point:between] + self.between + der[entity:after] + self.after_entity
        if tlv(SEQUENCE, whole + ECDSA_WITH_SHA256 + tlv(BIT_STRING, b"\x00" + signature)) != der:
            return None
        return Found(whole, der[point:between], der[entity:after], signature)


def device_forms(profile: Profile) -> tuple[DeviceForm, ...]:
    """Cut a specimen of pyca's for each usage where key and EUI-64 stand."""
    key = ec.derive_private_key(_SPECIMEN_SCALAR, ec.SECP256R1())
    entity = EntityId(b"\xa5\x5a" * 4)
    point = point_of(key.public_key())
    forms = []
    for usage in KeyUsage:
        csr = x509.load_der_x509_csr(device_request(profile, entity, usage, key))
        before, rest = csr.tbs_certrequest_bytes.split(point)
        between, after = rest.split(entity.octets)
        forms.append(DeviceForm(usage, before, between, after))
    return tuple(forms)


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
