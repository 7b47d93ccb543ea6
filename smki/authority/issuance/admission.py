"""Letting a batch in: known by its digest, signed for where that is asked, held for an officer where flagged."""

from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from smki.authority.issuance.intake import Intake
from smki.authority.issuance.order import Order
from smki.authority.log import act, seal
from smki.authority.registration import officers_in_force
from smki.authority.second_officer import Decision, check_grant, decision
from smki.authority.workspace import Workspace
from smki.errors import InvalidInput, Refused
from smki.pki.kind import Kind
from smki.pki.manifest import MAX_MANIFEST_OCTETS, open_manifest
from smki.pki.request import Request, RequestReader
from smki.store.records import BatchRecord
from smki.words import counted


def month_of(moment: datetime) -> int:
    """2026-11 as 202611."""
    return moment.year * 100 + moment.month


def admit(workspace: Workspace, order: Order, intake: Intake, manifest: Path | None) -> bytes:
    """Let a batch in, and name it; or say why it has to wait."""
    signer = _check_manifest(workspace, order, intake, manifest)
    batch = order.batch(intake.digest)
    # Looked at every time: what a batch asks may read otherwise under other policies.
    roles = _held_roles(workspace, order, intake)
    known = workspace.store.organisations.batch(batch)
    if known is None or (roles and known.state == "admitted"):
        known = _put(workspace, order, intake, batch, roles, signer)
    if known.state == "waiting":
        name = batch.hex()[:16]
        raise Refused(
            "approve.needed",
            f"batch {name} of {counted(known.count, 'request')} waits for an officer: {'; '.join(known.reasons)}",
            f"smki approve grant {name} --officer NAME --key FILE, then run the same again",
        )
    if known.state == "refused":
        raise Refused("approve.refused", f"an officer refused batch {batch.hex()[:16]}", "see `smki approve show`")
    if known.state == "granted":
        check_grant(workspace, known)
    return batch


def _put(
    workspace: Workspace, order: Order, intake: Intake, batch: bytes, roles: list[str], signer: str | None
) -> BatchRecord:
    """Put the batch on record; whether it is within the agreed volume is seen while nobody else can add to that."""
    now = workspace.clock()
    reasons = [*roles]
    with act(
        workspace,
        "batch.received",
        batch=batch.hex(),
        organisation=order.subscriber.name,
        certificates=order.rule.kind.value,
        requests=intake.count,
        requests_sha256=intake.digest.hex(),
        waits_for=reasons,
        signed_by=signer or "",
    ) as tx:
        tx.lock()
        known = workspace.store.organisations.batch(batch)
        if known is not None and not (roles and known.state == "admitted"):
            return known  # another run was first
        if known is None and order.rule.kind is Kind.DEVICE:
            reasons += _above_volume(workspace, order, intake.count)
        record = BatchRecord(
            digest=batch,
            organisation=order.subscriber.number,
            kind=order.rule.kind,
            count=intake.count,
            reasons=tuple(reasons),
            state="waiting" if reasons else "admitted",
            asked_by=workspace.person.name,
            asked_at=now,
            decision={},
        )
        tx.put_batch(record)
        if not reasons and order.rule.kind is Kind.DEVICE:
            tx.add_volume(order.subscriber.number, month_of(now), intake.count)
    seal(workspace)
    return record


def _above_volume(workspace: Workspace, order: Order, count: int) -> list[str]:
    issued = workspace.store.organisations.issued_in(order.subscriber.number, month_of(workspace.clock()))
    if issued + count <= order.subscriber.volume:
        return []
    return [f"{counted(count, 'request')} after {issued} this month, and {order.subscriber.volume} were agreed"]


def _held_roles(workspace: Workspace, order: Order, intake: Intake) -> list[str]:
    """The roles in a batch that an officer has to look at first."""
    held = order.rule.approve_roles
    if not held:
        return []
    reader = RequestReader(order.rule.profile, workspace.policies.issuance.blocked)
    read = (reader.read(asked.der) for asked in intake)
    roles = {item.role for item in read if isinstance(item, Request) and item.role in held}
    return [f"certificates of role {role.word}" for role in sorted(role for role in roles if role is not None)]


# Manifests


def _check_manifest(workspace: Workspace, order: Order, intake: Intake, manifest: Path | None) -> str | None:
    """Who of the organisation signed for these files."""
    if manifest is None:
        if order.rule.manifest_required:
            raise Refused(
                "manifest.missing",
                "requests of this kind are signed by an officer of the organisation",
                "give --manifest: docs/issuing.md says how one is made",
            )
        return None
    officers = officers_in_force(workspace, order.subscriber)
    opened = open_manifest(_octets(manifest), [key for _, key in officers])
    missing = set(intake.files) - opened.digests
    if missing or len(opened.digests) != len(set(intake.files)):
        raise Refused(
            "manifest.files",
            f"the manifest lists {counted(len(opened.digests), 'file')}, and lacks {len(missing)} of those handed in",
            "hand in exactly the files that were signed for",
        )
    return officers[opened.signer][0].name


def _octets(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_MANIFEST_OCTETS + 1)
    except OSError as error:
        raise InvalidInput("manifest.unreadable", f"{path}: {error.strerror}", "name the manifest") from None


def decide_batch(
    workspace: Workspace, batch: BatchRecord, officer: str, key: ec.EllipticCurvePrivateKey, grant: bool, reason: str
) -> None:
    """Grant or refuse a batch that waits, signed by an officer on the roll."""
    now = workspace.clock()
    state: Decision = "granted" if grant else "refused"
    decided = decision(workspace, batch, officer, key, state, reason)
    with act(workspace, f"batch.{state}", batch=batch.digest.hex(), **decided) as tx:
        tx.decide(batch.digest, state, decided)
        if grant and batch.kind is Kind.DEVICE:
            tx.add_volume(batch.organisation, month_of(now), batch.count)
    seal(workspace)
