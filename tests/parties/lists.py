"""Revocation lists of the throwaway authority of these tests."""

from datetime import datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from smki.authority.lists_intake import Taken, take_in
from smki.authority.workspace import Workspace
from smki.parties.keys import Certified
from smki.pki.keyid import KeyIdentifier
from tests.house import NOW
from tests.parties.people import issuing
from tests.pki.hierarchy import Made

DAY = timedelta(days=1)


def made_list(
    *serials: int,
    number: int = 1,
    signer: Made | None = None,
    since: datetime = NOW - timedelta(hours=1),
    until: datetime = NOW + DAY,
    base: int | None = None,
    compromised: datetime | None = None,
    more: tuple[tuple[x509.ExtensionType, bool], ...] = (),
) -> bytes:
    """A list with these serial numbers; of the issuing authority, unless another is given."""
    by = signer or issuing()
    keys = x509.AuthorityKeyIdentifier(KeyIdentifier.of(by.key.public_key()).octets, None, None)
    builder: Any = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(by.name)
        .last_update(since)
        .next_update(until)
        .add_extension(x509.CRLNumber(number), critical=False)
        .add_extension(keys, critical=False)
    )
    if base is not None:
        builder = builder.add_extension(x509.DeltaCRLIndicator(base), critical=True)
    for extension, critical in more:
        builder = builder.add_extension(extension, critical=critical)
    for serial in serials:
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(since)
        entry = entry.add_extension(x509.CRLReason(x509.ReasonFlags.key_compromise), critical=False)
        if compromised is not None:
            entry = entry.add_extension(x509.InvalidityDate(compromised.replace(tzinfo=None)), critical=False)
        builder = builder.add_revoked_certificate(entry.build())
    der: bytes = builder.sign(by.key, hashes.SHA256()).public_bytes(Encoding.DER)
    return der


def revoke(workspace: Workspace, *certificates: Certified, number: int = 1) -> Taken:
    """What a user hears: the authority's newest list names these."""
    return take_in(workspace, made_list(*(one.certificate.serial_number for one in certificates), number=number))
