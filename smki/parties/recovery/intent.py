"""What stands before a plan's first signature: the intent on record with its counters, and the key that signs."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from smki.authority.ceremony.approval import Quorate
from smki.authority.contingency import open_contingency
from smki.authority.log import act
from smki.authority.standing import Watch
from smki.authority.workspace import Workspace
from smki.entity import KeyUsage, RemotePartyRole
from smki.errors import Refused
from smki.parties.changes import Change
from smki.parties.keys import refuse_unless_in_use, token_key
from smki.parties.recovery.file import RecoveryTable, Situation
from smki.parties.recovery.plan import Plan
from smki.pki.holder import Holder
from smki.pki.keyid import key_hash
from smki.pki.public_key import spki_of
from smki.store.records import CeremonyRecord
from smki.words import utc

if TYPE_CHECKING:
    from smki.hsm.key import HsmPrivateKey

KINDS = ("recovery", "contingency")


@dataclass(frozen=True)
class Hand:
    """Who signs: as records name them, as messages name them, and the key."""

    key_hash: bytes
    serial: str
    holder: Holder
    key: "HsmPrivateKey | None"
    """None: the commands are handed out to be signed by another."""
    changes: dict[Situation, Change]
    watch: Watch | None = None
    """On the certificate that signs; the contingency has none."""


def plan_key_hash(workspace: Workspace, plan: Plan) -> bytes:
    """Of the key that signs, as the record of counters has it."""
    if plan.signer is not None:
        return plan.signer.key_hash
    record = workspace.store.contingency(plan.file.table.root)
    assert record is not None, "a plan without it is faulty"
    return key_hash(record.public_key)


def facts_of(plan: Plan, approvals: Quorate) -> dict[str, Any]:
    table = plan.file.table
    return {
        "sha256": plan.file.sha256.hex(),
        "purpose": table.purpose,
        "compromised": table.compromise.what,
        "method": plan.method,
        "devices": plan.devices.count,
        "approvals": [approval.as_json() for approval in approvals.counted],
    }


def begin(workspace: Workspace, plan: Plan, approvals: Quorate) -> int:
    """The first of the plan's counters: taken when it is begun, the same whenever it is gone on with."""
    file, store = plan.file, workspace.store
    known = store.ceremony(file.sha256)
    if known is not None:
        if known.detail.get("superseded_by"):
            raise Refused("recovery.superseded", "another plan was begun in place of this one", "run that one")
        return int(known.detail["first_counter"])
    key = plan_key_hash(workspace, plan)
    least = plan.first_counter if plan.signer is not None else workspace.policies.recovery.first_counter
    superseded = _under_way(workspace, plan, key)
    kind = "contingency" if file.is_contingency else "recovery"
    with act(workspace, f"{kind}.started", **facts_of(plan, approvals), **_given_up(superseded)) as tx:
        tx.lock()
        given_up = (int(one.detail["first_counter"]) + int(one.detail["devices"]) for one in superseded)
        first = max(least, store.signatures.last_counter(key) + 1, *given_up)
        detail = {
            "first_counter": str(first),
            "devices": plan.devices.count,
            "key": key.hex(),
            "started_at": utc(workspace.clock()),
        }
        for other in superseded:
            tx.advance_ceremony(other.sha256, "started", "done", {**other.detail, "superseded_by": file.sha256.hex()})
        tx.begin_ceremony(CeremonyRecord(file.sha256, kind, file.octets, "started", detail))
    return first


def _under_way(workspace: Workspace, plan: Plan, key: bytes) -> tuple[CeremonyRecord, ...]:
    """Two plans at once would take each other's counters: one is finished, or given up for the other."""
    found = [
        record
        for kind in KINDS
        for record in workspace.store.ceremonies(kind)
        if record.state == "started" and record.detail.get("key") == key.hex()
    ]
    for record in found:
        if record.sha256.hex() != plan.file.table.supersedes:
            raise Refused(
                "recovery.under-way",
                f"a plan with the same key is not finished: {record.sha256.hex()[:16]}",
                "finish it, or name it in the new plan's `supersedes`",
            )
    return tuple(found)


def _given_up(superseded: tuple[CeremonyRecord, ...]) -> dict[str, Any]:
    return {"supersedes": superseded[0].sha256.hex()} if superseded else {}


# The key


def hand_of(workspace: Workspace, plan: Plan) -> Hand:
    if plan.signer is None:
        return _contingency_hand(workspace, plan)
    table, one = plan.file.table, plan.signer
    assert isinstance(table, RecoveryTable), "only these have a signer"
    watch = refuse_unless_in_use(workspace, one, KeyUsage.DIGITAL_SIGNATURE)
    key = None
    if not plan.is_handed_out:
        assert table.signer.token is not None, "a plan without it is faulty"
        assert table.signer.key is not None, "a plan without it is faulty"
        key = token_key(workspace, table.signer.token, table.signer.key, one)
    return Hand(one.key_hash, one.serial, one.holder, key, plan.changes(None), watch)


def _contingency_hand(workspace: Workspace, plan: Plan) -> Hand:
    """From here on the symmetric key is in this process's memory, and in the commands; the log says so before."""
    root = plan.file.table.root
    record = workspace.store.contingency(root)
    assert record is not None, "a plan without it is faulty"
    with act(workspace, "contingency.revealed", authority=root, token=record.token, plan=plan.file.sha256.hex()):
        pass
    opened = open_contingency(workspace, root)
    speaker = Holder(plan.originator, RemotePartyRole.ROOT, KeyUsage.DIGITAL_SIGNATURE, opened.public_key)
    return Hand(
        key_hash=key_hash(spki_of(opened.public_key)),
        serial=f"contingency key of {root}",
        holder=speaker,
        key=opened.key,
        changes=plan.changes(opened.secret),
    )
