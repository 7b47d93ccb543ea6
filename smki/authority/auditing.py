"""Auditing ourselves: recompute the log from its entries and hold it against everything that was signed."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from smki.errors import InvalidInput, SmkiError
from smki.store import merkle
from smki.store.note import read_checkpoint, verifier_key
from smki.store.store import Store

EXPORT_FORMAT = "smki-audit/1"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a verification found; no fault means the log is whole."""

    entries: int
    checkpoints: int
    sealed: int
    faults: tuple[str, ...]


def verify_log(store: Store) -> Verdict:
    """Recompute every hash and check every checkpoint's signature."""
    faults: list[str] = []
    spki = store.audit_key
    sealed = 0
    notes = store.checkpoints()
    wanted: dict[int, bytes] = {}
    for size, note in notes:
        try:
            if spki is None:
                raise InvalidInput("audit.no-key", "no audit key is on record", "run `smki init`")
            checkpoint = read_checkpoint(note, spki)
        except SmkiError as error:
            faults.append(f"checkpoint {size}: {error.message}")
            continue
        if checkpoint.size != size or checkpoint.origin != store.origin:
            faults.append(f"checkpoint {size} speaks of another log or size")
        wanted[checkpoint.size] = checkpoint.root
        sealed = max(sealed, checkpoint.size)
    count = 0
    spine: list[tuple[int, bytes]] = []
    for entry in store.audit_entries():
        faults.extend(_entry_faults(store, entry.seq, count, entry.body))
        count += 1
        _grow(spine, merkle.leaf_hash(entry.body))
        if count in wanted and _fold(spine) != wanted.pop(count):
            faults.append(f"the first {count} entries are not those the checkpoint signed")
    faults.extend(f"checkpoint {size} signed more entries than there are" for size in wanted if size > count)
    return Verdict(count, len(notes), sealed, tuple(faults))


def _entry_faults(store: Store, seq: int, place: int, body: bytes) -> Iterator[str]:
    if seq != place:
        yield f"entry {place} is missing: the next is {seq}"
    try:
        fields = json.loads(body)
        canonical = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        if canonical != body or fields["seq"] != seq:
            yield f"entry {seq} is not in its one form"
    except (ValueError, TypeError, KeyError):
        yield f"entry {seq} cannot be read"
    try:
        if store.audit_node(0, seq) != merkle.leaf_hash(body):
            yield f"entry {seq} was changed"
    except SmkiError as error:
        yield error.message


def _grow(spine: list[tuple[int, bytes]], digest: bytes) -> None:
    level = 0
    while spine and spine[-1][0] == level:
        digest = merkle.node_hash(spine.pop()[1], digest)
        level += 1
    spine.append((level, digest))


def _fold(spine: list[tuple[int, bytes]]) -> bytes:
    digest = spine[-1][1]
    for _, left in reversed(spine[:-1]):
        digest = merkle.node_hash(left, digest)
    return digest


def export_log(store: Store) -> Iterator[str]:
    """The whole log as lines of JSON: a head, every entry's exact text, every checkpoint."""
    spki = store.audit_key
    head: dict[str, Any] = {"format": EXPORT_FORMAT, "origin": store.origin}
    if spki is not None:
        head["verifier_key"] = verifier_key(store.origin, spki)
    yield json.dumps(head)
    for entry in store.audit_entries():
        yield json.dumps({"entry": entry.body.decode()}, ensure_ascii=False)
    for _, note in store.checkpoints():
        yield json.dumps({"checkpoint": note}, ensure_ascii=False)


def prove_entry(store: Store, seq: int) -> dict[str, Any]:
    """That an entry is in the log: its text, its path, and the signed checkpoint the path leads to."""
    note = store.latest_checkpoint()
    spki = store.audit_key
    if note is None or spki is None:
        raise InvalidInput("audit.no-checkpoint", "the log was never signed", "run any act, or `smki init`")
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
