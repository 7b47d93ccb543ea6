"""Batch manifests: the digests of the files that hold a batch, signed by an officer as CMS signed data. Pure.

The content is what `sha256sum FILE...` prints; `openssl cms -sign -binary -nodetach -outform DER` signs it. One
signer, SHA-256, ECDSA on P-256, signed attributes: everything else CMS allows (RFC 5652) is refused.
"""

import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from smki.errors import InvalidInput, Refused

MAX_MANIFEST_OCTETS = 1 << 26
_SIGNED_DATA = x509.ObjectIdentifier("1.2.840.113549.1.7.2")
_DATA = x509.ObjectIdentifier("1.2.840.113549.1.7.1")
_CONTENT_TYPE = x509.ObjectIdentifier("1.2.840.113549.1.9.3")
_MESSAGE_DIGEST = x509.ObjectIdentifier("1.2.840.113549.1.9.4")
_SHA256 = x509.ObjectIdentifier("2.16.840.1.101.3.4.2.1")
_ECDSA_WITH_SHA256 = x509.ObjectIdentifier("1.2.840.10045.4.3.2")
_LINE = re.compile(rb"([0-9a-f]{64}) [ *][^\n]{1,4096}")


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
    certificates: Annotated[asn1.SetOf[x509.Certificate] | None, asn1.Implicit(0)]
    signers: asn1.SetOf[_SignerInfo]


@asn1.sequence
class _ContentInfo:
    oid: x509.ObjectIdentifier
    signed_data: Annotated[_SignedData, asn1.Explicit(0)]


@dataclass(frozen=True, slots=True)
class Manifest:
    """What was signed, and which of the keys asked about signed it."""

    signer: int
    digests: frozenset[bytes]


def open_manifest(data: bytes, keys: Sequence[ec.EllipticCurvePublicKey]) -> Manifest:
    """Believe a manifest that one of `keys` signed; the certificates it brings along are not looked at."""
    if len(data) > MAX_MANIFEST_OCTETS:
        raise _form(f"{len(data)} octets, and {MAX_MANIFEST_OCTETS} is the limit")
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
    return Manifest(_signer(info, keys), _digests(signed.content.octets))


def _form(reason: str) -> InvalidInput:
    return InvalidInput(
        "manifest.form",
        f"the manifest cannot be read: {reason}",
        "sha256sum FILE > list; openssl cms -sign -binary -nodetach -outform DER -in list -signer CERT -inkey KEY",
    )


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
        raise Refused("manifest.digest", "the manifest's content was changed after signing", "have it signed again")


def _signer(info: _SignerInfo, keys: Sequence[ec.EllipticCurvePublicKey]) -> int:
    signed = asn1.encode_der(info.attributes)
    for number, key in enumerate(keys):
        try:
            key.verify(info.signature, signed, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            continue
        return number
    raise Refused(
        "manifest.signer",
        "no officer of this organisation signed the manifest",
        "see `smki org show` for its officers; sign with the key of an infrastructure certificate in force",
    )


def _digests(content: bytes) -> frozenset[bytes]:
    found = set()
    for line in content.splitlines():
        match = _LINE.fullmatch(line)
        if match is None:
            raise _form("a line is not as sha256sum prints it")
        found.add(bytes.fromhex(match[1].decode()))
    return frozenset(found)
