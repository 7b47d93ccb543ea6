"""Deciding about what is held: an officer of each side signs to release it, one of either rejects it for good.

A release only says that something may go. Whether it goes is asked when it is handed out, by every other rule, with
both signatures checked again (`smki.parties.broker.releases`); until then a rejection still ends it.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from cryptography.hazmat.primitives.asymmetric import ec

from smki.authority.log import act, seal
from smki.authority.workspace import Workspace
from smki.entity import EntityId
from smki.errors import InvalidInput, Refused
from smki.parties.anomaly.seen import KEPT, OUTSIDE_AREAS, UNITS
from smki.parties.broker.confirmation import Confirmation, items_of, read_confirmation, set_digest
from smki.parties.broker.officers import Voice, broker_officers, person, sign_as_officer, signers, users_officers
from smki.parties.broker.releases import Releases, may_speak
from smki.pki.signed_data import SignedData, read_signed_data
from smki.store.admission_records import (
    Capacity,
    ConfirmationRecord,
    Decision,
    QuarantineRecord,
    QuarantineState,
    TallyRow,
)
from smki.store.transaction import Transaction

MIN_HEX = 8
_AHEAD = timedelta(minutes=5)  # by how much an officer's clock may be before ours
_SEE = "see `smki broker quarantine list`"


@dataclass(frozen=True, slots=True)
class Decided:
    """What one signed word did."""

    decision: Decision
    officer: str
    capacity: Capacity
    items: int
    ready: int
    """How many of them both sides have released now."""
    fresh: bool
    """Or else it was on record before."""


def chosen(
    workspace: Workspace, names: Iterable[str], state: QuarantineState | None = "waiting"
) -> list[QuarantineRecord]:
    """What is meant by patterns, and by beginnings of digests; those in one state, or in any.

    Of a pattern that is larger than a batch, its oldest: whoever holds up so much shall not be past deciding about.
    """
    store, most = workspace.store.quarantine, workspace.policies.broker.largest_batch
    found: dict[bytes, QuarantineRecord] = {}
    for name in names:
        records = (
            store.of_pattern(name, most, state=state) or store.of_pattern(name, 1) or _beginning(workspace, name)
        )
        if state is not None:
            fit = [one for one in records if one.state == state]
            if not fit and records:
                raise Refused(f"quarantine.{records[0].state}", f"{name[:80]} is {records[0].state}", _SEE)
            records = tuple(fit)
        found.update((one.digest, one) for one in records)
    if not 1 <= len(found) <= most:
        raise InvalidInput("quarantine.count", f"{len(found)} commands", f"name 1 to {most}: {_SEE}")
    return list(found.values())


def _beginning(workspace: Workspace, start: str) -> tuple[QuarantineRecord, ...]:
    text = start.lower()
    is_hex = MIN_HEX <= len(text) <= hashlib.sha256().digest_size * 2 and set(text) <= set("0123456789abcdef")
    records = workspace.store.quarantine.beginning(text) if is_hex else ()
    if len(records) != 1:
        raise InvalidInput(
            "quarantine.unknown",
            f"no pattern is called {start[:80]!r}, and {len(records)} digests begin so",
            f"give a pattern, or {MIN_HEX} digits or more of one digest: {_SEE}",
        )
    return records


def draft(
    workspace: Workspace, records: Sequence[QuarantineRecord], decision: Decision, officer: str, reason: str
) -> Confirmation:
    """The text that an officer signs."""
    if not reason.strip():
        raise InvalidInput("quarantine.reason", "no reason is given", "say why, in a few words")
    made = Confirmation(
        workspace=workspace.store.workspace_id.hex(),
        decision=decision,
        officer=officer,
        made_at=workspace.clock(),
        reason=reason,
        items=items_of(records, workspace.policies.use_cases),
    )
    read_confirmation(made.content(), workspace.policies.broker.largest_batch)  # what we could not read, nobody signs
    return made


def confirm(content: bytes, key: ec.EllipticCurvePrivateKey, most: int) -> bytes:
    """Sign a text that was drafted, at an officer's own desk: CMS."""
    said = read_confirmation(content, most)
    return sign_as_officer(content, said.officer, key, said.made_at)


@dataclass(frozen=True, slots=True)
class _Said:
    """A word that may be put on record."""

    said: Confirmation
    signed: SignedData
    voice: Voice
    record: ConfirmationRecord
    items: tuple[QuarantineRecord, ...] = field(repr=False)


def decide(workspace: Workspace, file: bytes) -> Decided:
    """Put one officer's signed word on record. A rejection holds at once, a release once both sides gave it."""
    signed = read_signed_data(file)
    said = read_confirmation(signed.content, workspace.policies.broker.largest_batch)
    items = _items(workspace, said)
    word = _judged(workspace, file, said, signed, items)
    store = workspace.store
    fresh = store.confirmations.one(word.record.digest) is None
    if fresh:
        facts = _facts(word)
        kind = "quarantine.confirmed" if said.decision == "release" else "quarantine.rejected"
        with act(workspace, kind, **facts) as tx:
            tx.lock()
            _write(workspace, tx, word)
        seal(workspace)
    ready = {}
    if said.decision == "release":
        ready = Releases(workspace).released(store.confirmations, items, workspace.clock())
    return Decided(said.decision, said.officer, word.voice.capacity, len(items), len(ready), fresh)


def _items(workspace: Workspace, said: Confirmation) -> tuple[QuarantineRecord, ...]:
    """The commands it names, which must be held and be what it calls them."""
    if said.workspace != workspace.store.workspace_id.hex():
        raise Refused("quarantine.workspace", "it was drafted for another workspace", "draft it here")
    known = workspace.store.quarantine.known(said.digests)
    if len(known) != len(said.items):
        raise InvalidInput("quarantine.unknown", f"{len(said.items) - len(known)} of its commands are not here", _SEE)
    records = tuple(known[digest] for digest in said.digests)
    if items_of(records, workspace.policies.use_cases) != said.items:
        raise Refused("quarantine.words", "it calls a command something else than it is", "draft it again, sign that")
    return records


def _judged(
    workspace: Workspace, file: bytes, said: Confirmation, signed: SignedData, items: tuple[QuarantineRecord, ...]
) -> _Said:
    now, lasts = workspace.clock(), workspace.policies.broker.confirmed_for
    if not said.made_at - _AHEAD <= now < said.made_at + lasts:
        raise Refused(
            "quarantine.age",
            f"it was made at {said.made_at:%Y-%m-%dT%H:%M:%SZ}, and counts for {lasts}",
            "have it drafted and signed anew",
        )
    voice = _signer(workspace, said, signed, {one.originator for one in items})
    if not all(may_speak(voice, one) for one in items):
        raise Refused("quarantine.submitter", f"{voice.name} handed them in", "have somebody else decide")
    record = ConfirmationRecord(
        digest=hashlib.sha256(file).digest(),
        decision=said.decision,
        capacity=voice.capacity,
        officer=said.officer,
        organisation=voice.organisation,
        items=len(items),
        at=said.made_at,
        until=said.made_at + lasts,
        file=file,
    )
    return _Said(said, signed, voice, record, items)


def _signer(workspace: Workspace, said: Confirmation, signed: SignedData, originators: set[EntityId]) -> Voice:
    """Who signed it; of a user's officers one who speaks for every command in it."""

    def signed_by(officers: Iterable[Voice]) -> tuple[Voice, ...]:
        return signers(signed, [one for one in officers if one.name == said.officer])

    first, *others = (
        signed_by(users_officers(workspace, one)) for one in sorted(originators, key=lambda one: one.octets)
    )
    users = [one for one in first if all(any(one.is_same_person(it) for it in theirs) for theirs in others)]
    found = (*users, *signed_by(broker_officers(workspace)))
    if not found:
        raise Refused(
            "quarantine.signer",
            f"no key of an officer called {said.officer!r} signed it: of those the commands are from, or on the roll",
            "sign with the officer's own key, not the one that signs commands: see `smki org show`",
        )
    return found[0]


def _facts(word: _Said) -> dict[str, object]:
    """What the log says: enough to check the signature by the file that is kept."""
    return {
        "decision": word.said.decision,
        "capacity": word.voice.capacity,
        "officer": word.voice.name,
        "organisation": word.voice.organisation,
        "reason": word.said.reason,
        "made_at": f"{word.said.made_at:%Y-%m-%dT%H:%M:%SZ}",
        "items": len(word.items),
        "items_sha256": set_digest(word.said.digests),
        "patterns": sorted({one.pattern for one in word.items}),
        "file_sha256": word.record.digest.hex(),
        "signed_attributes": word.signed.attributes.hex(),
        "signature": word.signed.signature.hex(),
    }


def _write(workspace: Workspace, tx: Transaction, word: _Said) -> None:
    """The lock is held: what others decided is known."""
    digests = word.said.digests
    states = set(tx.quarantine.states(digests).values())
    for state in ("rejected", "released"):
        if state in states:
            raise Refused(f"quarantine.{state}", f"some of them are {state}", _SEE)
    tx.put_confirmation(word.record, digests)
    if word.said.decision == "reject":
        tx.close_quarantine(digests, "rejected")
        tx.add_tallies(_tallies(workspace, word.items))
    else:
        _refuse_same_person(tx, word)


def _refuse_same_person(tx: Transaction, word: _Said) -> None:
    """Told at once; that it does not count is seen to when something is released."""
    about = tx.confirmations.about(word.said.digests)
    others = {one for found in about.values() for one in found} - {word.record.digest}
    for other in others:
        record = tx.confirmations.one(other)
        if record is None or record.capacity == word.voice.capacity or record.decision != "release":
            continue
        same_key = read_signed_data(record.file).is_signed_by(word.voice.key)
        if same_key or person(record.officer) == person(word.voice.name):
            raise Refused(
                "quarantine.same-person", f"{word.voice.name} confirmed for the other side", "have another one decide"
            )


def _tallies(workspace: Workspace, records: Iterable[QuarantineRecord]) -> list[TallyRow]:
    """What was held is refused instead, where it was counted."""
    by_area = workspace.policies.anomaly.by_area
    now = int(workspace.clock().timestamp())
    sums: dict[tuple[int, int, bytes, int, int, int], int] = {}
    for one in records:
        area = one.area if one.code in by_area else OUTSIDE_AREAS
        then = int(one.at.timestamp())
        for level, unit in enumerate(UNITS):
            if now - then < KEPT[level]:
                key = level, then - then % unit, one.originator.octets, int(one.role), one.code, area
                sums[key] = sums.get(key, 0) + 1
    return [TallyRow(*key, 0, -count, count) for key, count in sums.items()]


def acknowledge(workspace: Workspace, patterns: Sequence[str]) -> dict[str, int]:
    """Somebody knows of these, as many as came so far: the watch is quiet until there are more."""
    sizes = {pattern: ever for pattern, _, ever, _, _ in workspace.store.quarantine.open_patterns()}
    for pattern in patterns:
        if pattern not in sizes:
            raise InvalidInput("quarantine.unknown", f"no pattern {pattern[:80]!r} waits", _SEE)
    found = {pattern: sizes[pattern] for pattern in patterns}
    with act(workspace, "quarantine.acknowledged", patterns=found) as tx:
        for pattern, count in found.items():
            tx.acknowledge(pattern, count, workspace.person.name)
    seal(workspace)
    return found
