"""Approving a ceremony: who may, and what must stand before it runs."""

import json
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from smki.authority.ceremony.file import CeremonyFile, OfficersCeremony
from smki.authority.officers import (
    Approval,
    Judged,
    Officer,
    approvals_path,
    approve,
    judge,
    read_approvals,
    read_officer,
    read_public_key,
)
from smki.authority.safe_files import write_over
from smki.authority.workspace import Workspace
from smki.errors import Refused


@dataclass(frozen=True, slots=True)
class Quorate:
    """The approvals beside a ceremony file, judged, and how many are needed."""

    judged: tuple[Judged, ...]
    needed: int

    @property
    def counted(self) -> tuple[Approval, ...]:
        return tuple(item.approval for item in self.judged if item.counts)

    @property
    def reached(self) -> bool:
        return len(self.counted) >= self.needed

    def refuse_if_short(self) -> None:
        if self.reached:
            return
        faults = [f"{item.approval.officer}: {item.fault}" for item in self.judged if not item.counts]
        changed = any("changed" in (item.fault or "") for item in self.judged)
        raise Refused(
            "ceremony.changed" if changed else "ceremony.quorum",
            f"{len(self.counted)} of {self.needed} approvals count" + "".join(f"; {fault}" for fault in faults),
            "have officers check the file as it now is, and approve it with `smki ceremony approve`",
        )


def present_roll(workspace: Workspace) -> tuple[Officer, ...]:
    """The officers on the roll now."""
    return tuple(
        Officer(record.name, read_public_key(record.public_key, record.name)) for record in workspace.store.officers()
    )


def proposed_roll(plan: OfficersCeremony) -> tuple[Officer, ...]:
    """The officers a ceremony would enrol."""
    return tuple(read_officer(officer.name, officer.public_key) for officer in plan.officers)


def judges(workspace: Workspace, ceremony: CeremonyFile) -> tuple[tuple[Officer, ...], int]:
    """Whose approvals count, and how many are needed.

    The first roll approves itself, every member of it: each thereby proves to hold the key. After that the roll in
    force decides, also over its own replacement.
    """
    plan = ceremony.plan
    quorum = workspace.policies.quorum
    roll = present_roll(workspace)
    if isinstance(plan, OfficersCeremony):
        if not roll:
            proposed = proposed_roll(plan)
            return proposed, max(len(proposed), quorum.approvals)
        return roll, quorum.approvals
    return roll, max(plan.approvals, quorum.approvals)


def quorate(workspace: Workspace, ceremony: CeremonyFile) -> Quorate:
    """Judge every approval beside the file."""
    roll, needed = judges(workspace, ceremony)
    approvals = read_approvals(ceremony.path)
    return Quorate(judge(approvals, roll, ceremony.sha256, workspace.store.workspace_id), needed)


def approve_ceremony(
    workspace: Workspace, ceremony: CeremonyFile, name: str, key: ec.EllipticCurvePrivateKey, sha256: str
) -> Approval:
    """Add one officer's approval to those beside the file."""
    roll, _ = judges(workspace, ceremony)
    return add_approval(workspace, Approvable(ceremony.path, ceremony.sha256, roll), name, key, sha256)


@dataclass(frozen=True, slots=True)
class Approvable:
    """A file that officers approve, and those who may."""

    path: Path
    sha256: bytes
    roll: tuple[Officer, ...]


def add_approval(
    workspace: Workspace, item: Approvable, name: str, key: ec.EllipticCurvePrivateKey, sha256: str
) -> Approval:
    """Sign what an officer checked, and keep the approval beside the file; `sha256` is what they say they checked."""
    if sha256.lower() != item.sha256.hex():
        raise Refused(
            "ceremony.other-digest",
            f"{item.path.name} has another SHA-256 than the one you checked",
            "check the file again, and approve what it is now",
        )
    officer = next((officer for officer in item.roll if officer.name == name), None)
    if officer is None:
        raise Refused(
            "officer.unknown", f"{name!r} is not an officer who may approve this", "see `smki officer list`"
        )
    if officer.public_key.public_numbers() != key.public_key().public_numbers():
        raise Refused("officer.other-key", f"this key is not the one on the roll for {name}", "use your own key")
    approval = approve(name, key, item.sha256, workspace.store.workspace_id, workspace.clock())
    others = [other for other in read_approvals(item.path) if other.officer != name]
    lines = "".join(json.dumps(kept.as_json()) + "\n" for kept in [*others, approval])
    write_over(approvals_path(item.path), lines.encode(), 0o644)
    return approval
