"""The outer structure of certificates and CRLs, read strictly: what is checked before any value is looked at."""

from typing import Annotated

from cryptography import x509
from cryptography.hazmat import asn1

from smki.errors import InvalidInput
from smki.pki.der import SEQUENCE, tlv


@asn1.sequence
class RawExtension:
    """RFC 5280 4.1."""

    oid: x509.ObjectIdentifier
    critical: Annotated[bool, asn1.Default(value=False)]
    value: bytes


@asn1.sequence
class RawTbs:
    """TBSCertificate of RFC 5280 4.1."""

    version: Annotated[int, asn1.Explicit(0), asn1.Default(0)]
    serial: int
    algorithm: asn1.TLV
    issuer: asn1.TLV
    validity: asn1.TLV
    subject: asn1.TLV
    spki: asn1.TLV
    issuer_unique_id: Annotated[asn1.BitString | None, asn1.Implicit(1)]
    subject_unique_id: Annotated[asn1.BitString | None, asn1.Implicit(2)]
    extensions: Annotated[list[RawExtension] | None, asn1.Explicit(3)]


@asn1.sequence
class RawCertificate:
    """Certificate of RFC 5280 4.1."""

    tbs: RawTbs
    algorithm: asn1.TLV
    signature: asn1.BitString


@asn1.sequence
class RawCrl:
    """CertificateList of RFC 5280 5.1; its entries may be a million and are left to pyca."""

    tbs: asn1.TLV
    algorithm: asn1.TLV
    signature: asn1.BitString


@asn1.sequence
class _Mapping:
    issuer: x509.ObjectIdentifier
    subject: x509.ObjectIdentifier


@asn1.sequence
class _Mappings:
    # A list cannot be decoded by itself; the extension's value is put in a sequence of one.
    items: Annotated[list[_Mapping], asn1.Size(1, None)]


@asn1.sequence
class _Subtree:
    base: asn1.TLV
    minimum: Annotated[int, asn1.Implicit(0), asn1.Default(0)]
    maximum: Annotated[int | None, asn1.Implicit(1)]


@asn1.sequence
class _NameConstraints:
    permitted: Annotated[list[_Subtree] | None, asn1.Implicit(0)]
    excluded: Annotated[list[_Subtree] | None, asn1.Implicit(1)]


def fault(code: str, message: str) -> InvalidInput:
    return InvalidInput(f"path.{code}", message, "have the certificate or CRL made again by its issuer")


def check_whole(signature: asn1.BitString) -> None:
    """A signature is octets: with bits left out at its end, the same signature would stand in other octets."""
    if signature.padding_bits():
        raise fault("form", "a signature that is not whole octets (RFC 5280 4.1.1.3)")


def read_structure(der: bytes) -> RawCertificate:
    """The outer structure, if it is DER: a default written out or a length not in its shortest form is refused."""
    try:
        raw = asn1.decode_der(RawCertificate, der)
        same = asn1.encode_der(raw) == der
    except (ValueError, TypeError, OverflowError):
        raise fault("form", "not a certificate in DER (RFC 5280 4.1)") from None
    if not same:
        raise fault("form", "not in the one form DER allows (X.690 10, 11)")
    check_whole(raw.signature)
    return raw


def read_mappings(value: bytes) -> tuple[tuple[x509.ObjectIdentifier, x509.ObjectIdentifier], ...]:
    """Policy mappings (RFC 5280 4.2.1.5): policies of the issuer, each with an equal of the subject's."""
    decoded = asn1.decode_der(_Mappings, tlv(SEQUENCE, value))
    return tuple((item.issuer, item.subject) for item in decoded.items)


def check_subtrees(value: bytes) -> None:
    """Refuse what RFC 5280 4.2.1.10 does not let a CA write: distances, and constraints that are none."""
    decoded = asn1.decode_der(_NameConstraints, value)
    lists = [subtrees for subtrees in (decoded.permitted, decoded.excluded) if subtrees is not None]
    if not lists or not all(lists):
        raise ValueError("name constraints without a subtree")
    if any(subtree.minimum != 0 or subtree.maximum is not None for subtrees in lists for subtree in subtrees):
        raise ValueError("a subtree with a distance")
