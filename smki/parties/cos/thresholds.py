"""How many homes change hands before a second officer looks: of each supplier, and of all together (cos.toml)."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from smki.authority.cos import CosThreshold
from smki.authority.log import act
from smki.authority.second_officer import check_grant
from smki.authority.workspace import Workspace
from smki.entity import EntityId
from smki.parties.supplier import fault_of
from smki.pki.verdict import Fault
from smki.store.records import HoldRecord

CODE = 0x0107
"""CS02b in mode supplierByTransCoS, whether it puts a change off, does it or takes it back."""


@dataclass(frozen=True, slots=True)
class Run:
    """What is about to be made: by whose key, for which request of whom, and what it was called to an officer."""

    key_hash: bytes
    request: bytes
    supplier: EntityId
    purpose: str

    @property
    def digest(self) -> bytes:
        """What names its hold."""
        return hashlib.sha256(b"smki change of supplier" + self.key_hash + self.request).digest()

    def item(self, device: EntityId) -> bytes:
        return hashlib.sha256(self.request + device.octets).digest()


Items = Callable[[], Sequence[tuple[EntityId, str]]]


def hold(workspace: Workspace, run: Run, fresh: int, items: Items) -> Fault | None:
    """Why a run has to wait, if it has to. `fresh` commands would be new; `items` says each of them in words."""
    known = workspace.store.holds.one(run.digest)
    if known is not None:
        if known.state != "granted":
            return fault_of(known)
        check_grant(workspace, known)
        return None
    reasons = tuple(
        reason for one in workspace.policies.cos.thresholds if (reason := _above(workspace, run, one, fresh))
    )
    if not reasons:
        return None
    found = items()
    record = HoldRecord(
        digest=run.digest,
        purpose=run.purpose,
        items=len(found),
        reasons=reasons,
        state="waiting",
        asked_by=workspace.person.name,
        asked_at=workspace.clock(),
        decision={},
    )
    facts = {
        "hold": record.digest.hex(),
        "purpose": record.purpose,
        "items": record.items,
        "reason": "; ".join(reasons),
    }
    with act(workspace, "hold.asked", request=run.request.hex(), **facts) as tx:
        tx.put_hold(record, [(run.item(device), words) for device, words in found])
    return fault_of(record)


def _above(workspace: Workspace, run: Run, one: CosThreshold, fresh: int) -> str:
    if not fresh or not one.covers(run.supplier):
        return ""
    whose = None if one.together else run.supplier
    before = workspace.store.supplier_changes.count_since(whose, CODE, workspace.clock() - one.window)
    if before + fresh <= one.count:
        return ""
    of = "all suppliers" if whose is None else str(whose)
    return f"{fresh} for {of} after {before} within {one.window}, and {one.count} are the threshold"
