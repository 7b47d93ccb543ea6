"""Revoking: in pieces, each whole in one transaction with an entry of the log for each certificate.

What is revoked stays so: nothing here or elsewhere takes it back. Killed, the same command goes on where it ended.
"""

import hashlib
from collections.abc import Generator, Sequence
from datetime import datetime
from typing import Any

from smki.authority.log import act, acts, seal
from smki.authority.revocation.alone import refuse_more
from smki.authority.revocation.plan import Plan, ground_body
from smki.authority.second_officer import check_grant
from smki.authority.workspace import Workspace
from smki.errors import Refused
from smki.pki.kind import Kind
from smki.store.records import HoldRecord, RevocationRecord
from smki.store.revocations import Target
from smki.words import utc

PIECE = 5000  # certificates in one transaction: everybody else waits while it is written
_PURPOSE = "revocations"


def revoke(workspace: Workspace, plan: Plan) -> Generator[list[RevocationRecord]]:
    """Do what a plan says, unless an officer has to look first; what each piece did, as it is on record.

    Close it at the end.
    """
    granted = _grant(workspace, plan)
    if not plan.revoke:
        return
    body = ground_body({**plan.core, "granted": granted})
    ground = hashlib.sha256(body.encode()).digest()
    _record_ground(workspace, plan, ground, body)
    by_issuer: dict[int, list[Target]] = {}
    for one in plan.revoke:
        by_issuer.setdefault(one.issuer, []).append(one)
    try:
        for issuer, targets in by_issuer.items():
            for start in range(0, len(targets), PIECE):
                yield _piece(workspace, plan, ground, granted, issuer, targets[start : start + PIECE])
    finally:
        seal(workspace)


def _record_ground(workspace: Workspace, plan: Plan, ground: bytes, body: str) -> None:
    """Who asked and why is on record, and in the log, before anything is done for it."""
    if workspace.store.revocations.ground(ground):
        return
    facts = {**plan.core, "ground": ground.hex(), "certificates": len(plan.whole)}
    with act(workspace, "revocation.asked", **facts) as tx:
        tx.put_ground(ground, body)


def _piece(
    workspace: Workspace, plan: Plan, ground: bytes, granted: str, issuer: int, targets: Sequence[Target]
) -> list[RevocationRecord]:
    facts: list[dict[str, Any]] = []
    with acts(workspace, "certificate.revoked", facts) as tx:
        tx.lock()
        # Another run may have been here since: what it revoked is not revoked again.
        gone = workspace.store.revocations.among(issuer, [one.serial for one in targets])
        now, asked = workspace.clock(), plan.asked
        targets = [one for one in targets if one.serial not in gone]
        if not granted:
            _refuse_more(workspace, plan, targets, now)
        number = tx.next_revocation(issuer)
        records = [
            RevocationRecord(
                number=place,
                issuer=issuer,
                serial=one.serial,
                at=now,
                reason=asked.reason,
                ground=ground,
                compromised_at=asked.compromised_at,
                not_after=one.not_after,
            )
            for place, one in enumerate(targets, number)
        ]
        if records:
            tx.put_revocations(records)
        facts += [_facts(plan, record) for record in records]
    return records


def _facts(plan: Plan, record: RevocationRecord) -> dict[str, Any]:
    return {
        "serial": str(record.serial),
        "authority": plan.names[record.issuer],
        "number": record.number,
        "reason": record.reason.word,
        "compromised_at": "" if record.compromised_at is None else utc(record.compromised_at),
        "ground": record.ground.hex(),
    }


# The second officer


def _refuse_more(workspace: Workspace, plan: Plan, targets: Sequence[Target], now: datetime) -> None:
    """What no officer looked at stays within what passes in a day, whatever others did since it was planned."""
    by_kind: dict[Kind, list[Target]] = {}
    rules = {rule.kind: rule for rule in plan.rules.values()}
    for one in targets:
        by_kind.setdefault(plan.rules[one.issuer, one.profile].kind, []).append(one)
    for kind, these in by_kind.items():
        refuse_more(workspace, rules[kind], {one.issuer for one in these}, len(these), now)


def _grant(workspace: Workspace, plan: Plan) -> str:
    """The hold under which it is granted; empty where nobody has to look."""
    if not plan.held_for or not plan.revoke:
        return ""
    known = workspace.store.holds.one(plan.digest) or _hold(workspace, plan)
    name = known.digest.hex()[:16]
    if known.state == "waiting":
        raise Refused(
            "approve.needed",
            f"{known.words} {'waits' if known.items == 1 else 'wait'} for an officer: {'; '.join(known.reasons)}",
            f"smki approve grant {name} --officer NAME --key FILE, then run the same again",
        )
    if known.state == "refused":
        raise Refused("approve.refused", f"an officer refused {known.words}", f"smki approve show {name}")
    check_grant(workspace, known)
    granted = str(known.decision.get("officer"))
    if any(one.name == granted and plan.asker.is_officer(one) for one in workspace.store.officers()):
        raise Refused("approve.same-person", f"{granted} asked for it", "have another officer look at it")
    return known.digest.hex()


def _hold(workspace: Workspace, plan: Plan) -> HoldRecord:
    record = HoldRecord(
        digest=plan.digest,
        purpose=_PURPOSE,
        items=len(plan.whole),
        reasons=plan.held_for,
        state="waiting",
        asked_by=workspace.person.name,
        asked_at=workspace.clock(),
        decision={},
    )
    facts = {"hold": record.digest.hex(), "purpose": record.purpose, "items": record.items, **plan.core}
    with act(workspace, "hold.asked", **facts, held_for=list(record.reasons)) as tx:
        # Named after this hold: what is refused now may be asked for again with better reasons.
        tx.put_hold(record, [(_item(record, one), _words(plan, one)) for one in plan.whole])
    seal(workspace)
    return record


def _item(record: HoldRecord, one: Target) -> bytes:
    return hashlib.sha256(record.digest + one.issuer.to_bytes(4) + one.serial.octets).digest()


def _words(plan: Plan, one: Target) -> str:
    """One line for the officer who looks at it."""
    what = " ".join(
        str(part)
        for part in (
            "a burnt number" if one.profile is None else one.profile,
            "" if one.role is None else one.role.word,
            "" if one.usage is None else one.usage.value,
            "" if one.entity is None else one.entity,
        )
        if part
    )
    return f"{one.serial} {what}: {plan.asked.reason.word}, asked by {plan.asker.words}"[:400]
