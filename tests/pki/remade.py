"""Certificates of ours made again, with one thing otherwise."""

from collections.abc import Sequence
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from tests.pki.hierarchy import Made

Extension = tuple[x509.ExtensionType, bool]


def remade(
    made: Made,
    signer: Made,
    *more: Extension,
    without: Sequence[type[x509.ExtensionType]] = (),
    issuer: x509.Name | None = None,
    subject: x509.Name | None = None,
    serial: int | None = None,
    end: datetime | None = None,
    public: ec.EllipticCurvePublicKey | rsa.RSAPublicKey | None = None,
    algorithm: hashes.SHA256 | hashes.SHA384 | None = None,
    backwards: bool = False,
) -> bytes:
    """What is given stands in place of what was there, or at the end if nothing was."""
    old = x509.load_der_x509_certificate(made.der)
    builder = (
        x509.CertificateBuilder()
        .issuer_name(old.issuer if issuer is None else issuer)
        .subject_name(old.subject if subject is None else subject)
        .serial_number(serial or old.serial_number)
        .not_valid_before(old.not_valid_before_utc)
        .not_valid_after(end or old.not_valid_after_utc)
        .public_key(public or made.key.public_key())
    )
    stated = {
        one.oid: (one.value, one.critical) for one in old.extensions if not isinstance(one.value, tuple(without))
    }
    stated |= {value.oid: (value, critical) for value, critical in more}
    for value, critical in reversed(stated.values()) if backwards else stated.values():
        builder = builder.add_extension(value, critical)
    return builder.sign(signer.key, algorithm or hashes.SHA256()).public_bytes(Encoding.DER)


def stated(made: Made, kind: type[x509.ExtensionType]) -> x509.ExtensionType:
    extensions = x509.load_der_x509_certificate(made.der).extensions
    return next(one.value for one in extensions if isinstance(one.value, kind))
