"""A dry run: what a ceremony would make, what the linters say of it, and what still stands in its way."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smki.authority.ceremony.approval import quorate
from smki.authority.ceremony.file import AuthorityCeremony, CeremonyFile, OfficersCeremony, read_ceremony
from smki.authority.ceremony.plan import make_plan, rehearse
from smki.authority.workspace import Workspace
from smki.errors import SmkiError
from smki.pki.describe import describe
from smki.pki.lint import Severity

_UNKNOWN_YET = {"serial", "SHA-256", "subject key identifier", "public key (secp256r1)", "wrapped contingency key"}
Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Check:
    """What a person must see before approving."""

    purpose: str
    sha256: str
    facts: Pairs
    certificate: Pairs
    to_be_signed: str
    findings: tuple[tuple[str, str, str], ...]
    approvals: Pairs
    needed: int
    obstacles: tuple[str, ...]

    @property
    def may_run(self) -> bool:
        return not self.obstacles

    def as_json(self) -> dict[str, Any]:
        return {
            "purpose": self.purpose,
            "sha256": self.sha256,
            "facts": dict(self.facts),
            "certificate": dict(self.certificate),
            "to_be_signed": self.to_be_signed,
            "findings": [{"severity": s, "code": c, "message": m} for s, c, m in self.findings],
            "approvals": [{"officer": officer, "verdict": verdict} for officer, verdict in self.approvals],
            "approvals_needed": self.needed,
            "obstacles": list(self.obstacles),
        }


def check_ceremony(workspace: Workspace, path: Path) -> Check:
    """Look at a ceremony file without making anything."""
    ceremony = read_ceremony(path)
    plan = ceremony.plan
    if isinstance(plan, OfficersCeremony):
        facts: Pairs = tuple((f"officer {o.name}", o.public_key) for o in plan.officers)
        return _check(workspace, ceremony, facts, (), "", (), [])
    return _check_authority(workspace, ceremony, plan)


def _check_authority(workspace: Workspace, ceremony: CeremonyFile, file: AuthorityCeremony) -> Check:
    facts: list[tuple[str, str]] = [
        ("authority", f"{file.name} ({file.tier} of hierarchy {file.hierarchy})"),
        ("key kept in", f"token {file.token}"),
        ("signed by", file.signed_by or "itself"),
    ]
    if file.contingency is not None:
        facts.append(("contingency keys in", f"token {file.contingency.token}, wrapped by {file.contingency.wrap}"))
    if file.succeeds is not None:
        facts.append(("succeeds", f"{file.succeeds}, with a link certificate each way"))
    try:
        plan = make_plan(workspace, file, workspace.clock().date())
        template, specimen, found = rehearse(plan)
    except SmkiError as error:
        return _check(workspace, ceremony, tuple(facts), (), "", (), [f"{error.message}: {error.remedy}"])
    fixed = set(_UNKNOWN_YET)
    fields = tuple((n, "?? (made in the ceremony)" if n in fixed else v) for n, v in describe(specimen))
    if file.valid_from is None:
        facts.append(("valid from", "the day it is run; shown as if that were today"))
    octets = "".join(
        piece.hex() + ("" if hole is None else "??" * _length(hole))
        for piece, hole in zip(template.pieces, (*template.holes, None), strict=True)
    )
    findings = tuple((f.severity.name, f.code, f.message) for f in found)
    faults = [f"{f.code}: {f.message}" for f in found if f.severity >= Severity.ERROR]
    existing = workspace.store.ceremony(ceremony.sha256) is None and workspace.store.authority(file.name) is not None
    if existing:
        faults.append(f"there is an authority {file.name} already")
    return _check(workspace, ceremony, tuple(facts), fields, octets, findings, faults)


def _length(hole: str) -> int:
    return {"serial": 16, "public_key": 65, "key_identifier": 8, "entity": 8}.get(hole, 13)


def _check(
    workspace: Workspace,
    ceremony: CeremonyFile,
    facts: Pairs,
    certificate: Pairs,
    octets: str,
    findings: tuple[tuple[str, str, str], ...],
    obstacles: list[str],
) -> Check:
    approvals = quorate(workspace, ceremony)
    if not approvals.reached:
        obstacles = [*obstacles, f"{len(approvals.counted)} of {approvals.needed} approvals"]
    return Check(
        purpose=ceremony.plan.purpose,
        sha256=ceremony.sha256.hex(),
        facts=facts,
        certificate=certificate,
        to_be_signed=octets,
        findings=findings,
        approvals=tuple((item.approval.officer, item.fault or "counts") for item in approvals.judged),
        needed=approvals.needed,
        obstacles=tuple(obstacles),
    )
