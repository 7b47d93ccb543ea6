"""Running a ceremony: a few steps, each durable before the next begins.

    started     the intent is on record: which file, which key identifiers, which day
    keys-made   the keys are in their tokens, their public halves on record
    signing     serial numbers are reserved; from here the HSM may have signed
    done        the certificates are stored, the authority works

Whatever moment the machine dies at, the same command goes on from the last record. A run that died while signing has
its serial numbers burnt and draws new ones: what it may have signed is lost, and was never handed out.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date

from smki.authority.ceremony.approval import Quorate, proposed_roll, quorate
from smki.authority.ceremony.file import AuthorityCeremony, CeremonyFile, OfficersCeremony
from smki.authority.ceremony.making import Making
from smki.authority.ceremony.plan import make_plan, rehearse
from smki.authority.log import KEY_ID_OCTETS, act, seal
from smki.authority.publication.site import refresh_site
from smki.authority.workspace import Workspace
from smki.errors import Refused
from smki.pki.lint import refuse_faults
from smki.store.records import AuthorityRecord, CeremonyRecord, OfficerRecord


def run_ceremony(workspace: Workspace, ceremony: CeremonyFile) -> Iterator[str]:
    """Do what the file says, yielding a line a step."""
    with alone(workspace):
        record = workspace.store.ceremony(ceremony.sha256)
        if record is None or record.state != "done":
            approvals = quorate(workspace, ceremony)
            approvals.refuse_if_short()
            yield f"approved by {', '.join(approval.officer for approval in approvals.counted)}"
            if isinstance(ceremony.plan, OfficersCeremony):
                yield from _enrol(workspace, ceremony, ceremony.plan, approvals)
            else:
                yield from _make_authority(workspace, ceremony, ceremony.plan, approvals)
        else:
            yield "this ceremony was run before; nothing is made twice"
        if isinstance(ceremony.plan, AuthorityCeremony):
            refresh_site(workspace)
            yield f"published ca/{ceremony.plan.name}.pem"
        seal(workspace)


@contextmanager
def alone(workspace: Workspace) -> Iterator[None]:
    """One ceremony, or one plan that key custodians approved, at a time in a workspace."""
    descriptor = os.open(workspace.home / ".ceremony-lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Refused("ceremony.busy", "another ceremony is being run here", "wait for it to end") from None
        yield
    finally:
        os.close(descriptor)


def _facts(ceremony: CeremonyFile, approvals: Quorate) -> dict[str, object]:
    """What every entry of a ceremony's beginning says: the very file, and who approved it."""
    return {
        "sha256": ceremony.sha256.hex(),
        "purpose": ceremony.plan.purpose,
        "approvals": [approval.as_json() for approval in approvals.counted],
    }


def _enrol(workspace: Workspace, ceremony: CeremonyFile, plan: OfficersCeremony, approvals: Quorate) -> Iterator[str]:
    roll = proposed_roll(plan)
    wanted = workspace.policies.quorum.officers
    distinct = len({officer.name for officer in roll}), len({officer.spki for officer in roll})
    if len(roll) != wanted or distinct != (wanted, wanted):
        raise Refused(
            "officers.roll",
            f"the roll names {len(roll)} officers with {distinct[1]} keys, and policy wants {wanted} of each",
            "list each officer once, with a key of their own; policies/quorum.toml says how many",
        )
    names = [officer.name for officer in roll]
    with act(workspace, "officers.enrolled", officers=names, **_facts(ceremony, approvals)) as tx:
        tx.begin_ceremony(CeremonyRecord(ceremony.sha256, "officers", ceremony.octets, "done", {}))
        tx.replace_roll([OfficerRecord(officer.name, officer.spki) for officer in roll])
    yield f"enrolled {', '.join(names)}"


def _make_authority(
    workspace: Workspace, ceremony: CeremonyFile, file: AuthorityCeremony, approvals: Quorate
) -> Iterator[str]:
    record = workspace.store.ceremony(ceremony.sha256)
    if record is None:
        yield from _start(workspace, ceremony, file, approvals)
        record = workspace.store.ceremony(ceremony.sha256)
    else:
        yield f"going on from {record.state}"
    assert record is not None, "just begun"
    plan = make_plan(workspace, file, date.fromisoformat(record.detail["day"]))
    making = Making(workspace, ceremony, plan, record.detail)
    if record.state == "started":
        yield from making.make_keys()
    if record.state == "signing":
        yield from making.burn_and_reserve()
    else:
        yield from making.reserve()
    yield from making.sign_and_store()


def _start(
    workspace: Workspace, ceremony: CeremonyFile, file: AuthorityCeremony, approvals: Quorate
) -> Iterator[str]:
    """Refuse all that can be refused before anything is made; then put the intent on record."""
    if workspace.store.authority(file.name) is not None:
        raise Refused(
            "authority.exists", f"there is an authority {file.name}", "choose another name: nothing is overwritten"
        )
    today = workspace.clock().date()
    plan = make_plan(workspace, file, today)
    _, _, findings = rehearse(plan)
    refuse_faults(findings)
    yield "drafted and linted"
    tokens = [file.token, *(a.token for a in (plan.signer, plan.elder) if a is not None)]
    if file.contingency is not None:
        tokens.append(file.contingency.token)
    for name in tokens:
        workspace.open_token(name)
    if any(info.label == file.name for info in workspace.open_token(file.token).key_pairs()):
        raise Refused(
            "ceremony.key-exists",
            f"token {file.token} holds a key labelled {file.name}",
            "choose another name, or find out whose key it is",
        )
    detail = {"day": (file.valid_from or today).isoformat(), "key_id": os.urandom(KEY_ID_OCTETS).hex()}
    if file.contingency is not None:
        detail |= {name: os.urandom(KEY_ID_OCTETS).hex() for name in ("contingency_id", "secret_id")}
    authority = AuthorityRecord(
        number=len(workspace.store.authorities()) + 1,
        name=file.name,
        hierarchy=file.hierarchy,
        tier=file.tier,
        state="making",
        issuing=False,
        profile=plan.profile.name,
        subject=file.subject,
        token=file.token,
        key_id=bytes.fromhex(detail["key_id"]),
        public_key=None,
        issuer=file.signed_by,
        serial=None,
        not_after=None,
    )
    with act(workspace, "ceremony.started", authority=file.name, **_facts(ceremony, approvals), **detail) as tx:
        tx.begin_ceremony(CeremonyRecord(ceremony.sha256, "authority", ceremony.octets, "started", detail))
        tx.put_authority(authority)
    yield "intent recorded"
