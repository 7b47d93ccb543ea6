"""Responders: who of those ever appointed may answer now, and for whom."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec

from smki.authority.hierarchy import certificate_of
from smki.authority.workspace import Workspace
from smki.errors import IntegrityFailure
from smki.pki.lint import read_certificate
from smki.pki.status import Status
from smki.store.records import AuthorityRecord, CertificateRecord
from smki.store.responders import ResponderRecord

State = Literal["answers", "not yet", "expired", "not in use", "revoked"]


@dataclass(frozen=True, slots=True)
class Appointed:
    """A responder whose certificate was issued."""

    record: ResponderRecord
    authority: AuthorityRecord
    certificate: CertificateRecord

    def may_answer(self, now: datetime) -> bool:
        return self.certificate.not_before <= now and self.certificate.status_at(now) is Status.IN_USE

    def state(self, now: datetime) -> State:
        certificate = self.certificate
        match certificate.status_at(now):
            case Status.REVOKED:
                return "revoked"
            case Status.EXPIRED:
                return "expired"
            case Status.IN_USE:
                return "answers" if certificate.not_before <= now else "not yet"
            case _:
                return "not in use"

    def as_json(self, now: datetime) -> dict[str, Any]:
        return {
            "authority": self.authority.name,
            "token": self.record.token,
            "serial": str(self.record.serial),
            "not_before": self.certificate.not_before,
            "not_after": self.certificate.not_after,
            "state": self.state(now),
        }


def appointed(workspace: Workspace) -> list[Appointed]:
    """Every responder, the newest of each authority first."""
    store = workspace.store
    authorities = {record.number: record for record in store.authorities()}
    found = []
    for record in reversed(store.responders.all()):
        certificate = store.certificates.get(record.issuer, record.serial)
        if certificate is not None:
            found.append(Appointed(record, authorities[record.issuer], certificate))
    return found


def public_key_of(workspace: Workspace, responder: Appointed) -> ec.EllipticCurvePublicKey:
    """The key a responder's certificate names, once the certificate is proven to be its authority's own delegation.

    What the authority itself issued, for this use, is all that a client believes (RFC 6960 4.2.2.2): a row that names
    another's certificate would make answers that are believed by nobody, or by those who look less closely.
    """
    issuer = read_certificate(certificate_of(workspace, responder.authority).der)
    certificate = read_certificate(responder.certificate.der)
    try:
        certificate.verify_directly_issued_by(issuer)
        usages = list(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        usages = []
    key = certificate.public_key()
    if usages != [x509.oid.ExtendedKeyUsageOID.OCSP_SIGNING] or not isinstance(key, ec.EllipticCurvePublicKey):
        raise IntegrityFailure(
            "ocsp.not-delegated",
            f"certificate {responder.record.serial} does not let its key answer for {responder.authority.name}",
            "find out who changed the store; appoint a responder with `smki ocsp appoint`",
        )
    return key
