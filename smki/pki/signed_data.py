"""CMS signed data of the one form used here: one signer, ECDSA with SHA-256, signed attributes, the content inside.

`openssl cms -sign -binary -nodetach` writes it and `openssl cms -verify` reads it; everything else that CMS allows
(RFC 5652) is refused. Pure.
"""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from smki.errors import InvalidInput
from smki.pki.der import tlv

MAX_SIGNED_OCTETS = 1 << 27
_SIGNED_DATA = x509.ObjectIdentifier("1.2.840.113549.1.7.2")
_DATA = x509.ObjectIdentifier("1.2.840.113549.1.7.1")
_CONTENT_TYPE = x509.ObjectIdentifier("1.2.840.113549.1.9.3")
_MESSAGE_DIGEST = x509.ObjectIdentifier("1.2.840.113549.1.9.4")
_SIGNING_TIME = x509.ObjectIdentifier("1.2.840.113549.1.9.5")
_SHA256 = x509.ObjectIdentifier("2.16.840.1.101.3.4.2.1")
_ECDSA_WITH_SHA256 = x509.ObjectIdentifier("1.2.840.10045.4.3.2")
_VERSION = 1  # RFC 5652 5.1: plain data, a signer named by issuer and serial number


@asn1.sequence
class _Algorithm:
    oid: x509.ObjectIdentifier
    parameters: asn1.Null | None


@asn1.sequence
class _Content:
    oid: x509.ObjectIdentifier
    octets: Annotated[bytes, asn1.Explicit(0)]


@asn1.sequence
class _Signer:
    issuer: asn1.TLV
    serial: int


@asn1.sequence
class _Attribute:
    oid: x509.ObjectIdentifier
    values: asn1.SetOf[asn1.TLV]


@asn1.sequence
class _SignerInfo:
    version: int
    signer: _Signer
    digest_algorithm: _Algorithm
    attributes: Annotated[asn1.SetOf[_Attribute], asn1.Implicit(0)]
    signature_algorithm: _Algorithm
    signature: bytes


@asn1.sequence
class _SignedData:
    version: int
    digest_algorithms: asn1.SetOf[_Algorithm]
    content: _Content
    certificates: Annotated[asn1.SetOf[asn1.TLV] | None, asn1.Implicit(0)]
    crls: Annotated[asn1.SetOf[asn1.TLV] | None, asn1.Implicit(1)]
    signers: asn1.SetOf[_SignerInfo]


@asn1.sequence
class _ContentInfo:
    oid: x509.ObjectIdentifier
    signed_data: Annotated[_SignedData, asn1.Explicit(0)]


@dataclass(frozen=True, slots=True)
class SignedData:
    """What was signed, what came along, and the signature: believed once the signature is checked, and not before."""

    content: bytes
    certificates: tuple[bytes, ...]
    crls: tuple[bytes, ...]
    attributes: bytes
    """The signed attributes, whose digest of the content was found right."""
    signature: bytes

    def is_signed_by(self, key: ec.EllipticCurvePublicKey) -> bool:
        try:
            key.verify(self.signature, self.attributes, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            return False
        return True


def read_signed_data(data: bytes) -> SignedData:
    """Read it; `cms.form` says that it is of another form, `cms.digest` that its content is not what was signed."""
    if len(data) > MAX_SIGNED_OCTETS:
        raise _form(f"{len(data)} octets, and {MAX_SIGNED_OCTETS} is the limit")
    try:
        outer = asn1.decode_der(_ContentInfo, data)
    except ValueError:
        raise _form("it is not CMS signed data in DER with one content and signed attributes") from None
    signed = outer.signed_data
    infos = signed.signers.as_list()
    if outer.oid != _SIGNED_DATA or signed.content.oid != _DATA or len(infos) != 1:
        raise _form("it is not one signer's signed data")
    (info,) = infos
    if info.digest_algorithm.oid != _SHA256 or info.signature_algorithm.oid != _ECDSA_WITH_SHA256:
        raise _form("it is not signed by ECDSA with SHA-256")
    _check_attributes(info, signed.content.octets)
    return SignedData(
        content=signed.content.octets,
        certificates=_octets(signed.certificates),
        crls=_octets(signed.crls),
        attributes=asn1.encode_der(info.attributes),
        signature=info.signature,
    )


def _octets(elements: "asn1.SetOf[asn1.TLV] | None") -> tuple[bytes, ...]:
    found = [] if elements is None else elements.as_list()
    return tuple(tlv(element.tag_bytes[0], bytes(element.data)) for element in found)


def _check_attributes(info: _SignerInfo, content: bytes) -> None:
    """Exactly one content type and one message digest, and they are this content's (RFC 5652 5.4)."""
    values: dict[x509.ObjectIdentifier, list[bytes]] = {}
    for attribute in info.attributes.as_list():
        found = [asn1.encode_der(value) for value in attribute.values.as_list()]
        values.setdefault(attribute.oid, []).extend(found)
    digest = asn1.encode_der(hashlib.sha256(content).digest())
    if values.get(_CONTENT_TYPE) != [asn1.encode_der(_DATA)]:
        raise _form("its content type is not signed")
    if len(values.get(_MESSAGE_DIGEST, [])) != 1 or not hmac.compare_digest(values[_MESSAGE_DIGEST][0], digest):
        raise InvalidInput("cms.digest", "the content was changed after signing", "have it signed again")


def make_signed_data(
    content: bytes,
    signer: x509.Certificate,
    key: ec.EllipticCurvePrivateKey,
    at: datetime,
    *,
    certificates: Sequence[bytes] = (),
    crls: Sequence[bytes] = (),
) -> bytes:
    """Sign content, with certificates and CRLs beside it; the key may live in an HSM."""
    attributes = asn1.SetOf(
        [
            _attribute(_CONTENT_TYPE, asn1.encode_der(_DATA)),
            _attribute(_SIGNING_TIME, asn1.encode_der(asn1.UTCTime(at.replace(microsecond=0)))),
            _attribute(_MESSAGE_DIGEST, asn1.encode_der(hashlib.sha256(content).digest())),
        ]
    )
    info = _SignerInfo(
        version=_VERSION,
        signer=_Signer(issuer=_element(signer.issuer.public_bytes()), serial=signer.serial_number),
        digest_algorithm=_Algorithm(oid=_SHA256, parameters=None),
        attributes=attributes,
        signature_algorithm=_Algorithm(oid=_ECDSA_WITH_SHA256, parameters=None),
        signature=key.sign(asn1.encode_der(attributes), ec.ECDSA(hashes.SHA256())),
    )
    signed = _SignedData(
        version=_VERSION,
        digest_algorithms=asn1.SetOf([_Algorithm(oid=_SHA256, parameters=None)]),
        content=_Content(oid=_DATA, octets=content),
        certificates=asn1.SetOf([_element(der) for der in certificates]) if certificates else None,
        crls=asn1.SetOf([_element(der) for der in crls]) if crls else None,
        signers=asn1.SetOf([info]),
    )
    return asn1.encode_der(_ContentInfo(oid=_SIGNED_DATA, signed_data=signed))


def _attribute(oid: x509.ObjectIdentifier, value: bytes) -> _Attribute:
    return _Attribute(oid=oid, values=asn1.SetOf([_element(value)]))


def _element(der: bytes) -> asn1.TLV:
    return asn1.decode_der(asn1.TLV, der)


def _form(reason: str) -> InvalidInput:
    return InvalidInput("cms.form", reason, "openssl cms -sign -binary -nodetach -outform DER ... makes it")
