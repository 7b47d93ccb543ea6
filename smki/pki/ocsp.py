"""OCSP requests and answers as octets (RFC 6960, RFC 5019, RFC 9654). Pure.

Requests come from anywhere: bounded, strict, and never another error than ours. Answers are put together from parts
that are DER already, so that many can be signed at once; a test holds them against pyca's builder octet for octet.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from functools import lru_cache
from typing import Annotated

from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import OCSPExtensionOID

from smki.errors import InvalidInput
from smki.pki.der import BIT_STRING, OCTET_STRING, SEQUENCE, tlv
from smki.pki.keyid import point_of
from smki.pki.reason import Reason
from smki.pki.signature import ECDSA_WITH_SHA256

MAX_REQUEST_OCTETS = 1 << 16  # of any policy; a request for one certificate has some 80
MAX_NONCE_OCTETS = 128  # RFC 9654 2.1
MAX_SERIAL_OCTETS = 20  # RFC 5280 4.1.2.2
_MAX_EXTENSIONS = 8
_SHA1 = x509.ObjectIdentifier("1.3.14.3.2.26")
_SHA256 = x509.ObjectIdentifier("2.16.840.1.101.3.4.2.1")
_HASHES = {_SHA1: "sha1", _SHA256: "sha256"}
_BASIC = bytes.fromhex("06092b0601050507300101")  # id-pkix-ocsp-basic
_NONCE = bytes.fromhex("06092b0601050507300102")  # id-pkix-ocsp-nonce
_ENUMERATED, _GENERALIZED_TIME = 0x0A, 0x18
_GOOD, _UNKNOWN = tlv(0x80, b""), tlv(0x82, b"")
_REVOKED = 0xA1
_SUCCESS = tlv(_ENUMERATED, b"\x00")
_BY_KEY = 0xA2


class Failure(IntEnum):
    """Answers that nobody signs (RFC 6960 4.2.1)."""

    MALFORMED = 1
    INTERNAL = 2
    TRY_LATER = 3
    UNAUTHORIZED = 6

    @property
    def octets(self) -> bytes:
        return tlv(SEQUENCE, tlv(_ENUMERATED, bytes((self.value,))))


@asn1.sequence
class _Algorithm:
    oid: x509.ObjectIdentifier
    parameters: asn1.Null | None


@asn1.sequence
class _CertId:
    algorithm: _Algorithm
    name_hash: bytes
    key_hash: bytes
    serial: int


@asn1.sequence
class _Extension:
    oid: x509.ObjectIdentifier
    critical: Annotated[bool, asn1.Default(False)]
    value: bytes


@asn1.sequence
class _Request:
    cert_id: asn1.TLV
    extensions: Annotated[list[_Extension] | None, asn1.Explicit(0)]


@asn1.sequence
class _ToBeSigned:
    version: Annotated[int, asn1.Explicit(0), asn1.Default(0)]
    # A list of anything under this tag has the octets of one thing, tagged explicitly; who asks does not matter here.
    requestor: Annotated[list[asn1.TLV] | None, asn1.Implicit(1)]
    requests: list[_Request]
    extensions: Annotated[list[_Extension] | None, asn1.Explicit(2)]


@asn1.sequence
class _OcspRequest:
    to_be_signed: _ToBeSigned
    # Whether a request is signed does not matter either: everybody is answered (RFC 6960 4.1.2).
    signature: Annotated[list[asn1.TLV] | None, asn1.Implicit(0)]


@dataclass(frozen=True, slots=True)
class IssuerId:
    """An issuer as a request names it: by digests of its name and its key."""

    algorithm: str
    name_hash: bytes
    key_hash: bytes


@dataclass(frozen=True, slots=True)
class Asked:
    """One certificate asked about."""

    cert_id: bytes
    """As it stands in the request; the answer repeats it."""
    issuer: IssuerId | None
    """None: named by a digest that nobody here makes."""
    serial: int


@dataclass(frozen=True, slots=True)
class Query:
    """A request that was read."""

    asked: tuple[Asked, ...]
    nonce: bytes | None

    @property
    def plain(self) -> bytes | None:
        """The shortest request for the same one certificate: under this an answer is kept."""
        return plain_request(self.asked[0].cert_id) if self.nonce is None and len(self.asked) == 1 else None


def plain_request(cert_id: bytes) -> bytes:
    """Ask for one certificate and nothing else."""
    return tlv(SEQUENCE, tlv(SEQUENCE, tlv(SEQUENCE, tlv(SEQUENCE, cert_id))))


def read_query(octets: bytes, most: int) -> Query:
    """Read a request for at most so many certificates."""
    if len(octets) > MAX_REQUEST_OCTETS:
        raise _malformed(f"{len(octets)} octets")
    try:
        request = asn1.decode_der(_OcspRequest, octets)
        body = request.to_be_signed
        asked = tuple(_asked(item) for item in body.requests) if len(body.requests) <= most else ()
    except (ValueError, TypeError, OverflowError) as error:
        raise _malformed(str(error)[:80]) from None
    if body.version != 0 or len(body.requestor or ()) > 1 or len(request.signature or ()) > 1:
        raise _malformed("not of version 1")
    if not asked:
        raise _malformed(f"{len(body.requests)} certificates, and 1 to {most} are answered")
    return Query(asked, _nonce(body.extensions or []))


def _asked(request: _Request) -> Asked:
    _refuse_critical(request.extensions or [])
    octets = tlv(request.cert_id.tag_bytes[0], bytes(request.cert_id.data))
    found = asn1.decode_der(_CertId, octets)
    if found.serial.bit_length() >= 8 * MAX_SERIAL_OCTETS:
        raise _malformed("a serial number of more than 20 octets")
    algorithm = _HASHES.get(found.algorithm.oid)
    issuer = None if algorithm is None else IssuerId(algorithm, found.name_hash, found.key_hash)
    return Asked(octets, issuer, found.serial)


def _refuse_critical(extensions: Sequence[_Extension]) -> None:
    """What is critical and not understood is not passed over (RFC 6960 4.4)."""
    if len(extensions) > _MAX_EXTENSIONS:
        raise _malformed(f"{len(extensions)} extensions")
    if any(item.critical for item in extensions):
        raise _malformed("a critical extension that is not understood")


def _nonce(extensions: Sequence[_Extension]) -> bytes | None:
    _refuse_critical([item for item in extensions if item.oid != OCSPExtensionOID.NONCE])
    found = [item.value for item in extensions if item.oid == OCSPExtensionOID.NONCE]
    if not found:
        return None
    try:
        nonce = asn1.decode_der(bytes, found[0])
    except ValueError:
        raise _malformed("a nonce that is no OCTET STRING") from None
    if len(found) > 1 or not 1 <= len(nonce) <= MAX_NONCE_OCTETS:
        raise _malformed(f"{len(found)} nonces, the first of {len(nonce)} octets")  # RFC 9654 2.1
    return nonce


def _malformed(reason: str) -> InvalidInput:
    return InvalidInput("ocsp.request", f"no OCSP request: {reason}", "ask as RFC 6960 and RFC 9654 say")


def issuer_ids(name: x509.Name, key: ec.EllipticCurvePublicKey) -> tuple[IssuerId, ...]:
    """How requests may name an issuer: the digests of its name and of its key's bits (RFC 6960 4.1.1)."""
    octets, point = name.public_bytes(), point_of(key)
    # SHA-1 names an issuer here and protects nothing: RFC 5019 2.1.1 fixes it.
    return tuple(
        IssuerId(
            algorithm,
            hashlib.new(algorithm, octets, usedforsecurity=False).digest(),
            hashlib.new(algorithm, point, usedforsecurity=False).digest(),
        )
        for algorithm in _HASHES.values()
    )


def cert_id(issuer: IssuerId, serial: int) -> bytes:
    """A certificate as a request names it, as the common clients write it: with NULL parameters."""
    oid = next(oid for oid, algorithm in _HASHES.items() if algorithm == issuer.algorithm)
    algorithm = tlv(SEQUENCE, asn1.encode_der(oid) + b"\x05\x00")
    digests = tlv(OCTET_STRING, issuer.name_hash) + tlv(OCTET_STRING, issuer.key_hash)
    return tlv(SEQUENCE, algorithm + digests + asn1.encode_der(serial))


# Answers


@dataclass(frozen=True, slots=True)
class Revoked:
    """Since when, and why."""

    at: datetime
    reason: Reason


@dataclass(frozen=True, slots=True)
class Responder:
    """Who signs: what all its answers begin and end with."""

    name: bytes
    """By the digest of its key (RFC 6960 4.2.1)."""
    certificates: bytes

    @classmethod
    def of(cls, certificate: bytes, key: ec.EllipticCurvePublicKey) -> "Responder":
        digest = hashlib.sha1(point_of(key), usedforsecurity=False).digest()
        return cls(tlv(_BY_KEY, tlv(OCTET_STRING, digest)), tlv(0xA0, tlv(SEQUENCE, certificate)))


CertStatus = Revoked | bool
"""Revoked; good (True); or never issued by us (False)."""


def single(cert_id: bytes, standing: CertStatus, this_update: datetime, next_update: datetime) -> bytes:
    """What is said of one certificate (RFC 6960 4.2.1)."""
    if isinstance(standing, Revoked):
        # Unspecified is said by saying nothing, as in a list (RFC 5280 5.3.1).
        code = bytes((standing.reason.value,))
        reason = tlv(0xA0, tlv(_ENUMERATED, code)) if standing.reason is not Reason.UNSPECIFIED else b""
        status = tlv(_REVOKED, _time(standing.at) + reason)
    else:
        status = _GOOD if standing else _UNKNOWN
    return tlv(SEQUENCE, cert_id + status + _time(this_update) + tlv(0xA0, _time(next_update)))


def to_be_signed(responder: Responder, made_at: datetime, singles: Sequence[bytes], nonce: bytes | None) -> bytes:
    """The octets a responder signs."""
    body = responder.name + _time(made_at) + tlv(SEQUENCE, b"".join(singles))
    if nonce is not None:
        extension = tlv(SEQUENCE, _NONCE + tlv(OCTET_STRING, tlv(OCTET_STRING, nonce)))
        body += tlv(0xA1, tlv(SEQUENCE, extension))
    return tlv(SEQUENCE, body)


def assemble(responder: Responder, signed: bytes, signature: bytes) -> bytes:
    """The whole answer; the responder's certificate is in it, so that a client needs nothing but the authority's."""
    basic = tlv(SEQUENCE, signed + ECDSA_WITH_SHA256 + tlv(BIT_STRING, b"\x00" + signature) + responder.certificates)
    return tlv(SEQUENCE, _SUCCESS + tlv(0xA0, tlv(SEQUENCE, _BASIC + tlv(OCTET_STRING, basic))))


@lru_cache(256)
def _time(moment: datetime) -> bytes:
    """Answers made together share their times."""
    return tlv(_GENERALIZED_TIME, moment.astimezone(UTC).strftime("%Y%m%d%H%M%SZ").encode())
