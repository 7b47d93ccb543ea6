"""Approving a plan: key custodians, enough of them, each once, lately, over the plan as it is.

An approval is the same signature as a ceremony's, by the key that the roll has for the officer. Custodians are the
officers whom recovery.toml names; who is no longer on the roll is no custodian either.
"""

from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric import ec

from smki.authority.ceremony.approval import Approvable, Quorate, add_approval, present_roll
from smki.authority.officers import Approval, Judged, Officer, judge, read_approvals
from smki.authority.recovery import Custody
from smki.authority.workspace import Workspace
from smki.errors import Refused
from smki.parties.recovery.file import PlanFile
from smki.parties.recovery.plan import Plan

_FORM = "%Y-%m-%dT%H:%M:%SZ"


def custody(workspace: Workspace, file: PlanFile) -> Custody:
    """Who keeps the key that a plan uses."""
    policy = workspace.policies.recovery
    return policy.contingency if file.is_contingency else policy.recovery


def custodians(workspace: Workspace, file: PlanFile) -> tuple[Officer, ...]:
    named = custody(workspace, file).custodians
    return tuple(officer for officer in present_roll(workspace) if officer.name in named)


def approve_plan(
    workspace: Workspace, plan: Plan, name: str, key: ec.EllipticCurvePrivateKey, sha256: str
) -> Approval:
    """Add one custodian's approval to those beside the plan. What breaks a rule is not approved."""
    plan.refuse_if_faulty()
    file = plan.file
    roll = custodians(workspace, file)
    if name not in {officer.name for officer in roll}:
        raise Refused(
            "recovery.no-custodian",
            f"{name!r} is no key custodian",
            "have one approve whom policies/recovery.toml names, and who is on the roll (`smki officer list`)",
        )
    return add_approval(workspace, Approvable(file.path, file.sha256, roll), name, key, sha256)


def quorate(workspace: Workspace, file: PlanFile) -> Quorate:
    """Judge every approval beside the plan."""
    now, lasts = workspace.clock(), workspace.policies.recovery.lasts
    roll = custodians(workspace, file)
    approvals = read_approvals(file.path)
    # What is too old is set apart before counting, so that an approval given anew is no second one.
    late = {item: fault for item in approvals if (fault := _time_fault(item, now - lasts, now)) is not None}
    judged = judge([item for item in approvals if item not in late], roll, file.sha256, workspace.store.workspace_id)
    faulty = tuple(Judged(item, fault) for item, fault in late.items())
    words = {"not an officer on the roll": "not a key custodian"}
    named = tuple(Judged(item.approval, words.get(item.fault or "", item.fault)) for item in judged)
    return Quorate((*named, *faulty), custody(workspace, file).approvals)


def _time_fault(approval: Approval, since: datetime, now: datetime) -> str | None:
    """The time is part of what was signed; one that lies ahead is as good as none."""
    try:
        at = datetime.strptime(approval.at, _FORM).replace(tzinfo=UTC)
    except ValueError:
        return "it bears no time"
    if at > now:
        return f"it is of {approval.at}, which is to come"
    return f"it was given at {approval.at}, and has expired" if at < since else None


def refuse_unless_quorate(workspace: Workspace, file: PlanFile) -> Quorate:
    """The approvals that let a plan run; or why it does not."""
    found = quorate(workspace, file)
    if not found.reached:
        faults = "".join(f"; {item.approval.officer}: {item.fault}" for item in found.judged if not item.counts)
        noun = "contingency" if file.is_contingency else "recovery"
        raise Refused(
            "recovery.quorum",
            f"{len(found.counted)} of {found.needed} approvals by key custodians count{faults}",
            f"have custodians look at the plan as it is, and approve it with `smki {noun} approve`",
        )
    return found
