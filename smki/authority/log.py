"""Every act goes through here: one audit entry in the transaction of the change, then a signed checkpoint.

An entry says which act, by whom, when, under which policies. A checkpoint is the log's size and root hash signed by
the audit key in its token; it follows the act, so that an act is never lost for want of a signature.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from smki.authority.officers import read_public_key
from smki.authority.publication import alone_in, publish, published
from smki.authority.workspace import Workspace
from smki.errors import IntegrityFailure
from smki.hsm.key import HsmPrivateKey
from smki.pki.public_key import spki_of
from smki.store.note import Checkpoint, read_checkpoint, sign_checkpoint, verifier_key
from smki.store.records import Act
from smki.store.transaction import Transaction

AUDIT_KEY_LABEL = "audit"
CHECKPOINT, VERIFIER_KEY = "audit/checkpoint", "audit/verifier-key"
KEY_ID_OCTETS = 16


@contextmanager
def act(workspace: Workspace, kind: str, /, **facts: Any) -> Iterator[Transaction]:
    """Do one thing, and log it, or neither. `facts` may be completed inside."""
    digest = workspace.policies.digest
    if kind != "policies.adopted" and workspace.store.policies_digest != digest:
        adopt_policies(workspace)
    record = Act(kind, workspace.person.name, workspace.clock(), {**facts, "policies": digest})
    with workspace.store.act(record) as transaction:
        yield transaction


@contextmanager
def acts(workspace: Workspace, kind: str, each: Iterable[dict[str, Any]], /) -> Iterator[Transaction]:
    """Do many things of one kind at once, an entry each. `each` is read when the block ends."""
    digest = workspace.policies.digest
    if workspace.store.policies_digest != digest:
        adopt_policies(workspace)
    now = workspace.clock()
    entries: list[Act] = []
    with workspace.store.acts(entries, now) as transaction:
        yield transaction
        entries.extend(Act(kind, workspace.person.name, now, {**facts, "policies": digest}) for facts in each)


def adopt_policies(workspace: Workspace) -> bool:
    """Log the digest of every policy file, when any of them is not as last logged."""
    policies = workspace.policies
    if workspace.store.policies_digest == policies.digest:
        return False
    policies.read_all()
    with act(workspace, "policies.adopted", environment=policies.environment, files=policies.digests) as tx:
        tx.adopt_policies(policies.digest)
    return True


def record_audit_key(workspace: Workspace) -> bool:
    """Make the key that signs checkpoints, once."""
    if workspace.store.audit_key is not None:
        return False
    token = workspace.open_token(workspace.audit_token)
    found = [info for info in token.key_pairs() if info.label == AUDIT_KEY_LABEL]
    # A kill between making and recording leaves the key: it has signed nothing, and is taken up.
    key = (
        token.find_key(label=AUDIT_KEY_LABEL)
        if found
        else token.generate_key(AUDIT_KEY_LABEL, os.urandom(KEY_ID_OCTETS), "sign")
    )
    spki = spki_of(key.public_key())
    with act(workspace, "audit.key-made", token=workspace.audit_token, public_key=spki.hex()) as tx:
        tx.set_audit_key(spki)
    return True


def audit_key(workspace: Workspace) -> HsmPrivateKey:
    """The key that signs checkpoints, proven to be the one on record."""
    spki = workspace.store.audit_key
    if spki is None:
        raise IntegrityFailure("audit.no-key", "no audit key is on record", "run `smki init`")
    token = workspace.open_token(workspace.audit_token)
    return token.find_key(label=AUDIT_KEY_LABEL, public_key=read_public_key(spki, "the audit log"))


def seal(workspace: Workspace) -> None:
    """Sign the log as it now stands, and publish the checkpoint."""
    store = workspace.store
    size = store.audit_size()
    note = store.checkpoint(size)
    if note is None:
        key = audit_key(workspace)
        spki = spki_of(key.public_key())
        # The last published checkpoint is the one a changed database cannot take back: nothing is signed against it.
        for before in (published(workspace, CHECKPOINT), store.latest_checkpoint()):
            if before is not None:
                store.refuse_fork(read_checkpoint(before, spki))
        checkpoint = Checkpoint(store.origin, size, store.audit_root(size))
        note = sign_checkpoint(checkpoint, spki, lambda data: key.sign(data, ec.ECDSA(hashes.SHA256())))
        store.add_checkpoint(checkpoint, note)
        publish(workspace, VERIFIER_KEY, f"{verifier_key(store.origin, spki)}\n".encode())
    bring_checkpoint(workspace, note)


def bring_checkpoint(workspace: Workspace, note: str) -> None:
    """Publish a checkpoint that is on record, unless a newer is published.

    Who signed the log may come to publish it after another who signed a longer one, or have died before.
    """
    with alone_in(workspace, CHECKPOINT):
        there = published(workspace, CHECKPOINT)
        if there == note:
            return
        spki = workspace.store.audit_key
        if there is not None and spki is not None:
            held = read_checkpoint(there, spki)
            workspace.store.refuse_fork(held)
            if held.size >= read_checkpoint(note, spki).size:
                return
        publish(workspace, CHECKPOINT, note.encode())
