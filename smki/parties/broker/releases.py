"""Whether officers of both sides released a command: believed for their signatures, not because the store says so."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from smki.authority.workspace import Workspace
from smki.entity import EntityId
from smki.errors import InvalidInput
from smki.parties.broker.confirmation import Confirmation, read_confirmation
from smki.parties.broker.officers import Voice, broker_officers, person, signers, users_officers
from smki.pki.signed_data import SignedData, read_signed_data
from smki.store.admission_records import Capacity, ConfirmationRecord, QuarantineRecord
from smki.store.confirmations import Confirmations


@dataclass(frozen=True, eq=False)
class _Word:
    """One confirmation as it was read: what it says, of which commands."""

    record: ConfirmationRecord
    signed: SignedData
    said: Confirmation
    items: frozenset[bytes]


class Releases:
    """Reads each confirmation once; whose it is, and whether it still counts, is asked again for each chunk."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._words: dict[bytes, _Word | None] = {}

    def released(
        self, store: Confirmations, records: Iterable[QuarantineRecord], now: datetime
    ) -> dict[bytes, tuple[bytes, bytes]]:
        """Of those that both sides released: by which two confirmations, the originator's first."""
        waiting = {one.digest: one for one in records if one.state == "waiting"}
        about = store.about([*waiting])
        voices: dict[tuple[Capacity, EntityId | None], Sequence[Voice]] = {}
        whose: dict[tuple[bytes, EntityId], Voice | None] = {}
        found: dict[bytes, tuple[bytes, bytes]] = {}
        for digest, confirmations in about.items():
            record = waiting[digest]
            valid: list[tuple[bytes, Voice]] = []
            for one in confirmations:
                key = one, record.originator
                if key not in whose:
                    whose[key] = self._voice(store, one, record.originator, voices, now)
                voice, word = whose[key], self._words[one]
                if voice is not None and word is not None and digest in word.items and may_speak(voice, record):
                    valid.append((one, voice))
            pair = _pair(valid)
            if pair is not None and not any(self._rejects(one, digest) for one in confirmations):
                found[digest] = pair
        return found

    def _rejects(self, confirmation: bytes, digest: bytes) -> bool:
        """A rejection on record holds, whatever the store calls the command since."""
        word = self._words[confirmation]
        return word is not None and word.said.decision == "reject" and digest in word.items

    def _voice(
        self,
        store: Confirmations,
        digest: bytes,
        originator: EntityId,
        voices: dict[tuple[Capacity, EntityId | None], Sequence[Voice]],
        now: datetime,
    ) -> Voice | None:
        """Who says so, for one originator's commands; None where it does not count now."""
        if digest not in self._words:
            self._words[digest] = self._read(store, digest)
        word = self._words[digest]
        if word is None or word.said.decision != "release" or word.said.workspace != self._own:
            return None
        if not word.said.made_at <= now < word.said.made_at + self._workspace.policies.broker.confirmed_for:
            return None
        capacity = word.record.capacity
        key = capacity, originator if capacity == "originator" else None
        if key not in voices:
            ask = users_officers(self._workspace, originator) if capacity == "originator" else None
            voices[key] = broker_officers(self._workspace) if ask is None else ask
        named = [one for one in voices[key] if one.name == word.said.officer]
        return next(iter(signers(word.signed, named)), None)

    @property
    def _own(self) -> str:
        return self._workspace.store.workspace_id.hex()

    def _read(self, store: Confirmations, digest: bytes) -> _Word | None:
        record = store.one(digest)
        if record is None:
            return None
        try:
            signed = read_signed_data(record.file)
            said = read_confirmation(signed.content, self._workspace.policies.broker.largest_batch)
        except InvalidInput:
            return None
        return _Word(record, signed, said, frozenset(said.digests))


def may_speak(voice: Voice, record: QuarantineRecord) -> bool:
    """Who handed a command in does not decide about it."""
    return all(person(one.get("submitted_by", "")) != person(voice.name) for one in record.decisions)


def _pair(valid: Sequence[tuple[bytes, Voice]]) -> tuple[bytes, bytes] | None:
    """One of each side, by two people."""
    for mine, theirs in ((one, two) for one in valid for two in valid):
        sides = mine[1].capacity, theirs[1].capacity
        if sides == ("originator", "broker") and not mine[1].is_same_person(theirs[1]):
            return mine[0], theirs[0]
    return None
