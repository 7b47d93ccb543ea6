"""Certificates after they were issued: finding them, showing them, and what becomes of them."""

import base64
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

from smki.authority.hierarchy import certificate_of, pem
from smki.authority.issuance.order import Order, order
from smki.authority.log import act, seal
from smki.authority.registration import named
from smki.authority.safe_files import new_folder, read_bounded, write_new
from smki.authority.workspace import Workspace
from smki.entity import EntityId, KeyUsage
from smki.errors import InvalidInput, Refused
from smki.pki.kind import Kind
from smki.pki.serial import SERIAL_OCTETS, Serial
from smki.pki.status import Status
from smki.store.certificates import Query
from smki.store.records import CertificateRecord, RevocationRecord

_NONE: Mapping[bytes, RevocationRecord] = MappingProxyType({})
_MAX_KEY_FILE_OCTETS = 1 << 16
_DAYS = re.compile(r"([1-9][0-9]{0,4})d")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a person says of the certificates meant."""

    serial: str | None = None
    entity: str | None = None
    key: Path | None = None
    organisation: str | None = None
    usage: str | None = None
    status: str | None = None
    since: str | None = None
    until: str | None = None
    expiring: str | None = None


def find(workspace: Workspace, wanted: Wanted) -> Iterator[CertificateRecord]:
    """Every certificate meant."""
    now = workspace.clock()
    query = Query(
        serial=Serial.parse(wanted.serial) if wanted.serial else None,
        entity=EntityId.parse(wanted.entity) if wanted.entity else None,
        key_hash=_key_hash(wanted.key) if wanted.key else None,
        subscriber=named(workspace, wanted.organisation).number if wanted.organisation else None,
        usage=KeyUsage(wanted.usage) if wanted.usage else None,
        status=Status.parse(wanted.status) if wanted.status else None,
        issued_from=_day(wanted.since) if wanted.since else None,
        issued_before=_day(wanted.until, after=1) if wanted.until else None,
        expiring_before=now + _days(wanted.expiring) if wanted.expiring else None,
        now=now,
    )
    return workspace.store.certificates.find(query)


def _day(text: str, after: int = 0) -> datetime:
    try:
        day = datetime.combine(date.fromisoformat(text), time(), UTC)
        return day + timedelta(days=after)
    except (ValueError, OverflowError):
        raise InvalidInput("find.date", f"{text[:20]!r} is no date", "write it as 2026-11-21") from None


def _days(text: str) -> timedelta:
    match = _DAYS.fullmatch(text)
    if match is None:
        raise InvalidInput("find.days", f"{text[:20]!r} is no number of days", "write it as 90d")
    return timedelta(days=int(match[1]))


def _key_hash(path: Path) -> bytes:
    """Of a public key, a request or a certificate, as PEM or DER."""
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization

    from smki.pki.keyid import key_hash

    data = read_bounded(path, _MAX_KEY_FILE_OCTETS, "find", "name a file with a public key")
    readers: tuple[Any, ...] = (
        serialization.load_pem_public_key,
        serialization.load_der_public_key,
        lambda octets: x509.load_pem_x509_csr(octets).public_key(),
        lambda octets: x509.load_der_x509_csr(octets).public_key(),
        lambda octets: x509.load_pem_x509_certificate(octets).public_key(),
        lambda octets: x509.load_der_x509_certificate(octets).public_key(),
    )
    for read in readers:
        with suppress(ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion):  # the next may read it
            key = read(data)
            spki = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
            return key_hash(spki)
    raise InvalidInput("find.key", f"{path} holds no public key", "name a key, request or certificate")


def one(workspace: Workspace, text: str) -> CertificateRecord:
    """The certificate with a serial number, or the only one of an EUI-64."""
    digits = text.replace("-", "")
    by_serial = len(digits) == 2 * SERIAL_OCTETS
    found = list(find(workspace, Wanted(serial=digits) if by_serial else Wanted(entity=text)))
    if len(found) != 1:
        raise InvalidInput(
            "cert.which",
            f"{len(found)} certificates fit {text[:40]!r}",
            "give the serial number: `smki cert find` shows it",
        )
    return found[0]


def revocations_of(workspace: Workspace, found: Iterable[CertificateRecord]) -> dict[bytes, RevocationRecord]:
    """When and why those of them were revoked that were; by the SHA-256 of the certificate."""
    by_issuer: dict[int, dict[Serial, bytes]] = {}
    for record in found:
        if record.status is Status.REVOKED:
            by_issuer.setdefault(record.issuer, {})[record.serial] = hashlib.sha256(record.der).digest()
    return {
        digests[serial]: one
        for issuer, digests in by_issuer.items()
        for serial, one in workspace.store.revocations.many(issuer, list(digests)).items()
    }


def as_json(
    workspace: Workspace,
    record: CertificateRecord,
    organisation: str,
    revocations: Mapping[bytes, RevocationRecord] = _NONE,
) -> dict[str, Any]:
    """A certificate for programs."""
    status = record.status_at(workspace.clock())
    revoked = revocations.get(hashlib.sha256(record.der).digest())
    return {
        "serial": str(record.serial),
        "entity": None if record.entity is None else str(record.entity),
        "usage": None if record.usage is None else record.usage.value,
        "role": None if record.role is None else record.role.word,
        "organisation": organisation or None,
        "profile": record.profile,
        "status": status.value,
        "status_letter": status.letter,
        "not_before": record.not_before,
        "not_after": record.not_after,
        "revoked_at": None if revoked is None else revoked.at,
        "revocation_reason": None if revoked is None else revoked.reason.word,
        "compromised_at": None if revoked is None else revoked.compromised_at,
        "certificate": base64.b64encode(record.der).decode(),
    }


def export_chain(workspace: Workspace, wanted: Wanted, path: Path) -> None:
    """Write one certificate and those above it, up to the root, as PEM."""
    found = list(find(workspace, wanted))
    if len(found) != 1:
        raise InvalidInput("cert.which", f"{len(found)} certificates fit", "ask for one: by its serial number")
    authorities = {item.number: item for item in workspace.store.authorities()}
    names = {item.name: item for item in authorities.values()}
    chain = [found[0].der]
    issuer = authorities.get(found[0].issuer)
    while issuer is not None:
        chain.append(certificate_of(workspace, issuer).der)
        issuer = names[issuer.issuer] if issuer.issuer else None
    write_new(path, b"".join(pem(der) for der in chain))


def export(workspace: Workspace, wanted: Wanted, folder: Path, *, der: bool) -> int:
    """Write every certificate meant into a new folder, each under its serial number."""
    count = 0
    with new_folder(folder) as inside:
        for record in find(workspace, wanted):
            data = record.der if der else pem(record.der)
            (inside / f"{record.serial}.{'der' if der else 'pem'}").write_bytes(data)
            count += 1
    return count


# What becomes of a certificate


def renewal(workspace: Workspace, record: CertificateRecord) -> Order:
    """An order for a new key in place of a certificate's."""
    status = record.status_at(workspace.clock())
    if record.subscriber is None or record.entity is None:
        raise Refused(
            "renewal.kind",
            "only certificates of organisations and devices are renewed",
            "issue a new one",
        )
    if status is Status.REVOKED:
        raise Refused("renewal.revoked", "a revoked certificate is not renewed", "ask for a new one")
    subscriber = workspace.store.organisations.numbered(record.subscriber)
    assert subscriber is not None, "certificates name organisations on record"
    kind = Kind.DEVICE if record.role is None else Kind.ORGANISATION
    return order(workspace, subscriber, workspace.policies.issuance.rule(kind), renews=record)


def set_status(workspace: Workspace, record: CertificateRecord, status: Status) -> list[CertificateRecord]:
    """Change a certificate's status; whom it replaces in use goes out of use in the same act. Gives those."""
    now = workspace.clock()
    current = record.status_at(now)
    if status is Status.REVOKED:
        raise Refused("status.revoke", "a certificate is revoked with its reason, by its own act", "smki cert revoke")
    if not current.may_become(status):
        raise Refused(
            "status.transition",
            f"a certificate that is {current.value} cannot become {status.value}",
            "pending becomes in use or not in use; in use becomes not in use; nothing comes back",
        )
    replaced: list[CertificateRecord] = []
    serials: list[str] = []
    facts = {"serial": str(record.serial), "old": current.value, "new": status.value, "replaced": serials}
    with act(workspace, "certificate.status", **facts) as tx:
        tx.lock()
        if status is Status.IN_USE:
            replaced = _to_replace(workspace, record)
            serials += [str(item.serial) for item in replaced]
        for item in replaced:
            tx.set_status(item, Status.NOT_IN_USE)
        tx.set_status(record, status)
    seal(workspace)
    return replaced


def _to_replace(workspace: Workspace, record: CertificateRecord) -> list[CertificateRecord]:
    """The oldest in use beyond what may be in use beside the new one."""
    if record.entity is None or record.usage is None:
        return []
    now = workspace.clock()
    same = [
        item
        for item in workspace.store.certificates.of_entity(record.entity)
        if item.usage == record.usage and item.status_at(now) is Status.IN_USE
    ]
    kind = Kind.DEVICE if record.role is None else Kind.ORGANISATION
    limit = workspace.policies.issuance.rule(kind).in_use_limit(record.role, record.usage)
    same.sort(key=lambda item: (item.not_before, item.serial))
    return same[: max(0, len(same) - limit + 1)]
