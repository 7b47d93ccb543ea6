"""Auditing ourselves: recompute the log from its entries and hold it against everything that was signed."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from smki.errors import IntegrityFailure, InvalidInput, SmkiError
from smki.store import merkle
from smki.store.entry import canonical
from smki.store.note import read_checkpoint, verifier_key
from smki.store.store import Store
from smki.words import counted

EXPORT_FORMAT = "smki-audit/1"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a verification found; no fault means the log is whole."""

    entries: int
    checkpoints: int
    sealed: int
    faults: tuple[str, ...]


def verify_log(store: Store, published: str | None = None) -> Verdict:
    """Recompute every hash and check every checkpoint's signature, the one last published too."""
    faults: list[str] = []
    spki = store.audit_key
    notes = store.checkpoints()
    count = store.audit_size()  # after the checkpoints: others may be appending
    wanted: dict[int, bytes] = {}
    for note in [*(note for _, note in notes), *([published] if published else [])]:
        try:
            if spki is None:
                raise IntegrityFailure("audit.no-key", "no audit key is on record", "run `smki init`")
            checkpoint = read_checkpoint(note, spki)
        except SmkiError as error:
            faults.append(f"a checkpoint is not good: {error.message}")
            continue
        if checkpoint.origin != store.origin:
            faults.append(f"a checkpoint speaks of another log: {checkpoint.origin}")
        elif wanted.setdefault(checkpoint.size, checkpoint.root) != checkpoint.root:
            faults.append(f"two checkpoints signed {checkpoint.size} entries and differ")
    if not notes and count:
        faults.append("there is no checkpoint: nothing vouches for the log")
    tree = merkle.Frontier()
    for entry in store.audit_entries(-(1 << 63), count):
        faults.extend(_entry_faults(store, entry.seq, tree.size, entry.body))
        tree.append(entry.body)
        if tree.size in wanted and tree.root() != wanted[tree.size]:
            faults.append(f"the first {tree.size} entries are not those the checkpoint signed")
    faults.extend(
        f"a checkpoint signed {counted(size, 'entry', 'entries')}, and there are {count}"
        for size in wanted
        if size > count
    )
    return Verdict(count, len(notes), min(max(wanted, default=0), count), tuple(faults))


def _entry_faults(store: Store, seq: int, place: int, body: bytes) -> Iterator[str]:
    if seq != place:
        yield f"entry {place} is missing: the next is {seq}"
        return
    try:
        fields = json.loads(body)
        if canonical(fields) != body or fields["seq"] != seq:
            yield f"entry {seq} is not in its one form"
    except (ValueError, TypeError, KeyError, RecursionError):
        yield f"entry {seq} cannot be read"
    try:
        # Every subtree that this entry completes: proofs and the next checkpoint are made of them.
        for level, index, digest in merkle.completed_by(seq, merkle.leaf_hash(body), store.audit_node):
            if store.audit_node(level, index) != digest:
                yield f"entry {seq}, or the tree above it, was changed"
                return
    except SmkiError as error:
        yield error.message


def export_log(store: Store) -> Iterator[str]:
    """The whole log as lines of JSON: a head, every entry's exact text, every checkpoint."""
    spki = store.audit_key
    head: dict[str, Any] = {"format": EXPORT_FORMAT, "origin": store.origin}
    if spki is not None:
        head["verifier_key"] = verifier_key(store.origin, spki)
    yield json.dumps(head)
    size = store.audit_size()  # others go on acting: no checkpoint of theirs signs what is not here
    for entry in store.audit_entries(0, size):
        yield json.dumps({"entry": entry.body.decode()}, ensure_ascii=False)
    for signed, note in store.checkpoints():
        if signed <= size:
            yield json.dumps({"checkpoint": note}, ensure_ascii=False)


def _last_signed(store: Store) -> tuple[str, bytes]:
    """The last checkpoint, and the key that signed it."""
    note, spki = store.latest_checkpoint(), store.audit_key
    if note is None or spki is None:
        raise InvalidInput("audit.no-checkpoint", "the log was never signed", "run any act, or `smki init`")
    return note, spki


def prove_entry(store: Store, seq: int) -> dict[str, Any]:
    """That an entry is in the log: its text, its path, and the signed checkpoint the path leads to."""
    note, spki = _last_signed(store)
    checkpoint = read_checkpoint(note, spki)
    if not 0 <= seq < checkpoint.size:
        raise InvalidInput(
            "audit.no-entry", f"entry {seq} is not among the {checkpoint.size} signed", "see `smki audit list`"
        )
    entry = next(store.audit_entries(seq, seq + 1))
    path = merkle.inclusion_proof(seq, checkpoint.size, store.audit_node)
    return {
        "format": "smki-audit-proof/1",
        "entry": entry.body.decode(),
        "seq": seq,
        "path": [step.hex() for step in path],
        "checkpoint": note,
    }


def prove_growth(store: Store, old: str) -> dict[str, Any]:
    """That the log, as last signed, begins with all that an older checkpoint signed."""
    note, spki = _last_signed(store)
    before, now = read_checkpoint(old, spki), read_checkpoint(note, spki)
    store.refuse_fork(before)
    if not 0 < before.size <= now.size:
        raise InvalidInput("audit.not-older", f"that checkpoint has {before.size} entries", "give an older one")
    path = merkle.consistency_proof(before.size, now.size, store.audit_node)
    return {
        "format": "smki-audit-growth/1",
        "from": old,
        "path": [step.hex() for step in path],
        "checkpoint": note,
    }
