"""The public key of an authority whose certificate nobody published, recovered from a signature of its own.

ECDSA leaves at most four candidates (SEC 1 4.1.6); the key identifier in what it signed says which one it is.
"""

import hashlib
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding

from smki.gbcs.protection import ORDER
from smki.pki.keyid import KeyIdentifier

_P = 2**256 - 2**224 + 2**192 + 2**96 - 1
_B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
_G = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)
Point = tuple[int, int]


def _add(one: Point | None, other: Point | None) -> Point | None:
    if one is None or other is None:
        return one or other
    (x1, y1), (x2, y2) = one, other
    if x1 == x2 and (y1 + y2) % _P == 0:
        return None
    slope = (3 * x1 * x1 - 3) * pow(2 * y1, -1, _P) if one == other else (y2 - y1) * pow(x2 - x1, -1, _P)
    x = (slope * slope - x1 - x2) % _P
    return x, (slope * (x1 - x) - y1) % _P


def _times(scalar: int, point: Point) -> Point | None:
    total: Point | None = None
    addend: Point | None = point
    while scalar:
        total = _add(total, addend) if scalar & 1 else total
        addend = _add(addend, addend)
        scalar >>= 1
    return total


def issuer_key(certificate: x509.Certificate) -> ec.EllipticCurvePublicKey:
    """Of whoever signed a certificate."""
    wanted = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    r, s = decode_dss_signature(certificate.signature)
    digest = int.from_bytes(hashlib.sha256(certificate.tbs_certificate_bytes).digest())
    for x in (r, r + ORDER):
        square = (pow(x, 3, _P) - 3 * x + _B) % _P
        root = pow(square, (_P + 1) // 4, _P)
        if x >= _P or root * root % _P != square:
            continue
        for y in (root, _P - root):
            inverse = pow(r, -1, ORDER)
            found = _add(_times(s * inverse % ORDER, (x, y)), _times(-digest * inverse % ORDER, _G))
            assert found is not None
            key = ec.EllipticCurvePublicNumbers(*found, ec.SECP256R1()).public_key()
            if KeyIdentifier.of(key).octets == wanted:
                key.verify(certificate.signature, certificate.tbs_certificate_bytes, ec.ECDSA(hashes.SHA256()))
                return key
    raise AssertionError("no candidate has the key identifier")


def root_of(issuing: x509.Certificate) -> bytes:
    """A certificate that names the root and its key, as a cell holds it. Its own signature is nobody's."""
    key = issuer_key(issuing)
    return (
        x509.CertificateBuilder()
        .subject_name(issuing.issuer)
        .issuer_name(issuing.issuer)
        .public_key(key)
        .serial_number(1)
        .not_valid_before(datetime(2015, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2065, 1, 1, tzinfo=UTC))
        .add_extension(x509.SubjectKeyIdentifier(KeyIdentifier.of(key).octets), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier(KeyIdentifier.of(key).octets, None, None), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
        .public_bytes(Encoding.DER)
    )
