"""What is asked of the authority in one run, and what became of each request."""

import base64
import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from smki.authority.hierarchy import certificate_of
from smki.authority.issuance.policy import IssuingRule
from smki.authority.workspace import Workspace
from smki.errors import Refused
from smki.pki.status import Status
from smki.pki.validity import Validity
from smki.pki.verdict import Fault
from smki.store.records import AuthorityRecord, CertificateRecord, OrganisationRecord

_PURPOSE = b"smki batch v1"


@dataclass(frozen=True, slots=True)
class Order:
    """Who asks, for which kind, signed by which authority."""

    subscriber: OrganisationRecord
    rule: IssuingRule
    authority: AuthorityRecord
    renews: CertificateRecord | None = None

    def batch(self, requests: bytes) -> bytes:
        """The name of a batch: the same requests of the same organisation are the same batch."""
        renewed = b"" if self.renews is None else self.renews.serial.octets
        parts = (_PURPOSE, str(self.subscriber.number).encode(), self.rule.kind.value.encode(), renewed, requests)
        return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).digest()


def order(
    workspace: Workspace, subscriber: OrganisationRecord, rule: IssuingRule, renews: CertificateRecord | None = None
) -> Order:
    """An order to the authority that issues now."""
    for authority in workspace.store.authorities():
        if authority.issuing and authority.hierarchy == rule.hierarchy.name:
            refuse_revoked(workspace, authority)
            _check_lifetime(rule, authority, workspace.clock())
            return Order(subscriber, rule, authority, renews)
    raise Refused(
        "authority.none",
        f"no authority issues {rule.kind.value} certificates",
        f"run the ceremonies of hierarchy {rule.hierarchy.name}",
    )


def refuse_revoked(workspace: Workspace, authority: AuthorityRecord) -> None:
    """A key in wrong hands signs nothing more here either."""
    certificate = certificate_of(workspace, authority)
    if certificate.status is Status.REVOKED:
        raise Refused(
            "authority.revoked",
            f"authority {authority.name} is revoked",
            "hold the ceremony of its successor: issuing moves to it by itself",
        )


def _check_lifetime(rule: IssuingRule, authority: AuthorityRecord, now: datetime) -> None:
    """Nothing is issued by an authority that has expired, or that would expire first (but for what has no end)."""
    end = now if rule.years is None else Validity.years(now.astimezone(UTC).date(), rule.years).not_after
    assert authority.not_after is not None, "an authority that issues has its certificate"
    if end > authority.not_after:
        raise Refused(
            "authority.too-old",
            f"authority {authority.name} ends {authority.not_after:%Y-%m-%d}, before what it would issue",
            "hold the ceremony of its successor: issuing moves to it by itself",
        )


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """What became of one request. Without faults and certificate it was a dry run: it would be answered.

    A struct, because a run makes a million of them.
    """

    number: int
    reference: str
    request: bytes
    certificate: CertificateRecord | None = None
    again: bool = False
    """Issued before for the very same request, and handed out once more."""
    faults: tuple[Fault, ...] = ()

    def as_json(self) -> dict[str, Any]:
        record = self.certificate
        data: dict[str, Any] = {
            "number": self.number,
            "reference": self.reference,
            "request": self.request.hex(),
            "result": self.result,
        }
        if record is not None:
            data |= {
                "serial": str(record.serial),
                "entity": None if record.entity is None else str(record.entity),
                "usage": None if record.usage is None else record.usage.value,
                "certificate": base64.b64encode(record.der).decode(),
            }
        if self.faults:
            data["faults"] = [fault.as_json() for fault in self.faults]
        return data

    @property
    def result(self) -> str:
        if self.faults:
            return "refused"
        if self.certificate is None:
            return "would issue"
        return "issued before" if self.again else "issued"
