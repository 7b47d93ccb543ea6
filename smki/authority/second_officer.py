"""The second officer's word: a signature over one thing that waits, that grants it or refuses it.

What is decided may be a batch of requests or signatures held; which of them is part of what is signed, and so is the
word: who refused has not signed anything that grants.
"""

import hashlib
from typing import Any, Literal

from cryptography.hazmat.primitives.asymmetric import ec

from smki.authority.log import act, seal
from smki.authority.officers import Approval, Officer, approve, judge, read_approval, read_public_key
from smki.authority.workspace import Workspace
from smki.errors import InvalidInput, Refused
from smki.store.records import BatchRecord, HoldRecord
from smki.words import counted

MIN_HEX = 8
Waiting = BatchRecord | HoldRecord
Decision = Literal["granted", "refused"]


def waiting(workspace: Workspace) -> tuple[Waiting, ...]:
    """Everything that waits or ever waited, the oldest first."""
    found: list[Waiting] = [*workspace.store.organisations.batches(), *workspace.store.holds.all()]
    return tuple(sorted(found, key=lambda item: item.asked_at))


def find_waiting(workspace: Workspace, start: str) -> Waiting:
    """The one whose digest begins so."""
    found = [item for item in waiting(workspace) if item.digest.hex().startswith(start.lower())]
    if len(start) < MIN_HEX or len(found) != 1:
        raise InvalidInput(
            "approve.unknown",
            f"{counted(len(found), 'digest')} of what waits or waited begin with {start[:64]!r}",
            f"give {MIN_HEX} digits or more of one in `smki approve list`",
        )
    return found[0]


def decision(
    workspace: Workspace, item: Waiting, officer: str, key: ec.EllipticCurvePrivateKey, state: Decision, reason: str
) -> dict[str, Any]:
    """An officer's decision, signed and checked, as it is put on record."""
    if officer == item.asked_by:
        raise Refused("approve.same-person", f"{officer} asked for it", "have another officer look at it")
    approval = approve(officer, key, _signed_for(item, state), workspace.store.workspace_id, workspace.clock())
    _check(workspace, approval, item, state)
    return {**approval.as_json(), "reason": reason}


def check_grant(workspace: Workspace, item: Waiting) -> None:
    """A grant is believed for its signature, not because the store says so."""
    _check(workspace, read_approval(item.decision), item, "granted")


def decide_hold(
    workspace: Workspace, hold: HoldRecord, officer: str, key: ec.EllipticCurvePrivateKey, grant: bool, reason: str
) -> None:
    """Let go of what is held, or refuse it for good."""
    state: Decision = "granted" if grant else "refused"
    decided = decision(workspace, hold, officer, key, state, reason)
    with act(workspace, f"hold.{state}", hold=hold.digest.hex(), purpose=hold.purpose, **decided) as tx:
        tx.decide_hold(hold.digest, state, decided)
    seal(workspace)


def _signed_for(item: Waiting, state: Decision) -> bytes:
    word = "batch" if isinstance(item, BatchRecord) else "hold"
    return hashlib.sha256(f"smki {word} {state} {item.digest.hex()}\n".encode()).digest()


def _check(workspace: Workspace, approval: Approval, item: Waiting, state: Decision) -> None:
    roll = [Officer(one.name, read_public_key(one.public_key, one.name)) for one in workspace.store.officers()]
    (judged,) = judge([approval], roll, _signed_for(item, state), workspace.store.workspace_id)
    if judged.fault is not None:
        raise Refused("approve.officer", f"{approval.officer}: {judged.fault}", "have an officer on the roll decide")
