"""What users announced: taken once each, in the order of their numbers; believed for their signatures, not the store.

An announcement counts while a key that its user's officers registered holds for it, and never by the key that signed
the command itself.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from smki.authority.anomaly import SUPPLY_OFF
from smki.authority.log import acts, seal
from smki.authority.workspace import Workspace
from smki.entity import EntityId
from smki.errors import InvalidInput, Refused
from smki.parties.announcement import Announcement, Unchecked, read_announcement
from smki.parties.anomaly.explain import Finding, finding
from smki.parties.anomaly.seen import Seen
from smki.parties.broker.judgement import Judged
from smki.parties.broker.thresholds import announcers, on_record
from smki.pki.keyid import key_hash
from smki.store.announcement_records import AnnouncedRow, TakenRecord
from smki.store.announcements import Announcements
from smki.store.quarantine import Quarantine

_AHEAD = 3600  # seconds that a user's clock may be ahead of ours
_REMEMBERED = 500_000  # digests of files that were read
_ASK_OFFICER = "have an officer of theirs sign thresholds with [announcements]: `smki broker thresholds`"
_File = tuple[bytes, bytes, int]
"""Whose it is, by which key, with which number."""
_Kind = tuple[bytes, int, int]
"""Originator, role, code."""
_UNANNOUNCED, _WAITING = "anomaly.unannounced", "anomaly.waiting"


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of one announcement."""

    said: Announcement
    record: TakenRecord
    again: bool
    """It was taken before."""
    missing: bool
    """It follows one that never came."""


def take_all(workspace: Workspace, files: Sequence[bytes]) -> list[Taken]:
    """Several, each for itself, in the order of their numbers: a later one leaves no room for an earlier."""
    return [take(workspace, data) for data in sorted(files, key=lambda data: read_announcement(data).number)]


def take(workspace: Workspace, data: bytes) -> Taken:
    """Take one announcement, whole or not at all."""
    unchecked = read_announcement(data)
    said, key = _believed(unchecked, _keys(workspace, unchecked.originator))  # who writes much keeps nobody waiting
    facts: list[dict[str, Any]] = []
    with acts(workspace, "announcement.taken", facts) as tx:
        tx.lock()  # who takes a key away was first, or waits until this is taken
        now, keys = workspace.clock(), _keys(workspace, unchecked.originator)
        if key not in keys:
            said, key = _believed(unchecked, keys)
        digest = hashlib.sha256(said.text().encode()).digest()
        until = now + workspace.policies.broker.announced_for
        record = TakenRecord(
            said.originator, key_hash(key), said.number, said.at, until, len(said.digests), digest, data
        )
        before = tx.announcements.taken(record.originator, record.key_hash, record.number)
        if before is not None and before.digest == digest:
            return Taken(said, before, again=True, missing=False)
        last = tx.announcements.last_taken(record.originator, record.key_hash)
        if last is not None and said.number <= last.number:
            raise Refused(
                "announcement.number",
                f"number {said.number}, and {last.number} was taken",
                "give files in the order of their numbers; what this one lists is held",
            )
        age = (now - said.at).total_seconds()
        if not -_AHEAD <= age <= workspace.policies.broker.announced_for.total_seconds():
            raise Refused(
                "announcement.time",
                f"it was made at {said.at:%Y-%m-%dT%H:%M:%SZ}, and it is {now:%Y-%m-%dT%H:%M:%SZ}",
                "set the clocks right; what an old file lists is held, unless it is made anew and signed",
            )
        tx.drop_announced(now)
        tx.take_announcement(record, said.digests)
        facts.append(
            {
                "originator": str(said.originator),
                "key": record.key_hash.hex(),
                "number": said.number,
                "count": record.items,
                "sha256": digest.hex(),
            }
        )
    seal(workspace)
    return Taken(said, record, again=False, missing=said.after != (0 if last is None else last.number))


def _keys(workspace: Workspace, originator: EntityId) -> frozenset[bytes]:
    return announcers(on_record(workspace), workspace.clock()).get(originator, frozenset())


def _believed(unchecked: Unchecked, keys: Iterable[bytes]) -> tuple[Announcement, bytes]:
    """What it says, and by which registered key."""
    keys = sorted(keys)
    if not keys:
        raise Refused("announcement.nobody", f"{unchecked.originator} has no announcing key here", _ASK_OFFICER)
    for key in keys:
        said = unchecked.signed_by(key)
        if said is not None:
            return said, key
    raise Refused(
        "announcement.signature",
        f"it is not signed by an announcing key of {unchecked.originator}",
        "take none from whoever made it; ask its user whether the key is another now",
    )


class Announced:
    """Looks up what was announced; each file is read, and its signature checked, once."""

    def __init__(self) -> None:
        self._files: dict[_File, frozenset[bytes]] = {}
        self._size = 0
        """How many digests those are."""

    def among(
        self,
        store: Announcements,
        asked: Mapping[bytes, Judged],
        keys: Mapping[EntityId, frozenset[bytes]],
        now: datetime,
    ) -> frozenset[bytes]:
        """Those of some commands that were announced, by the digests of what was submitted."""
        if not asked:
            return frozenset()
        hashes = {user.octets: {key_hash(key): key for key in known} for user, known in keys.items()}
        found = set()
        for row in store.announced([*asked], now):
            item, key = asked[row.digest], hashes.get(row.originator, {}).get(row.key_hash)
            assert item.signer is not None, "it was judged"
            if row.originator != item.message.header.originator.octets or key is None:
                continue
            if item.signer.certified.key_hash != row.key_hash and row.digest in self._listed(store, row, key):
                found.add(row.digest)
        return frozenset(found)

    def _listed(self, store: Announcements, row: AnnouncedRow, key: bytes) -> frozenset[bytes]:
        """What a file lists, by its signature: nobody writes a row beside it."""
        name = row.originator, row.key_hash, row.number
        if name not in self._files:
            record = store.taken(EntityId(row.originator), row.key_hash, row.number)
            self._files[name] = frozenset() if record is None else _digests(record, key)
            self._size += len(self._files[name])
            while self._size > _REMEMBERED and len(self._files) > 1:
                self._size -= len(self._files.pop(next(iter(self._files))))
        return self._files[name]


def _digests(record: TakenRecord, key: bytes) -> frozenset[bytes]:
    try:
        said = None if record.file is None else read_announcement(record.file).signed_by(key)
    except InvalidInput:
        return frozenset()
    if said is None or (said.originator, said.number) != (record.originator, record.number):
        return frozenset()
    return frozenset(said.digests)


def with_supply_off(seen: Seen, findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """What turns supply off is held as its user's officer signed for, whatever anomaly.toml says since then."""
    if seen.announced is not False or seen.code not in SUPPLY_OFF:
        return findings
    if any(one.holds and one.code == _UNANNOUNCED for one in findings):
        return findings
    message = "this user announces what it signs, and did not announce this"
    return (*findings, finding("not announced", "unannounced", seen, message, {}))


class Beside:
    """Of what waits, what waits for want of an announcement: for a thief's commands no announced one waits with them.

    The thief's next one is held for itself. So nothing passes that `waiting` is there to stop.
    """

    def __init__(self, quarantine: Quarantine) -> None:
        self._quarantine = quarantine
        self._before: dict[tuple[_Kind, int], int] = {}
        self._here: Counter[_Kind] = Counter()

    def hold(self, seen: Seen, findings: Sequence[Finding]) -> None:
        """One more that is held, and not in the store yet."""
        self._here[_kind(seen)] += any(one.code == _UNANNOUNCED for one in findings)

    def without(self, seen: Seen, findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
        """What is left to say of an announced command."""
        if not seen.announced:
            return findings
        return tuple(one for one in findings if one.code != _WAITING or self._is_enough(seen, dict(one.numbers)))

    def _is_enough(self, seen: Seen, numbers: Mapping[str, float]) -> bool:
        """Whether so many wait without those."""
        kind, since = _kind(seen), int(numbers["since"])
        if (kind, since) not in self._before:
            self._before[kind, since] = self._quarantine.waiting_for(
                seen.originator, seen.role, seen.code, _UNANNOUNCED, since
            )
        return numbers["waiting"] - self._before[kind, since] - self._here[kind] >= numbers["limit"]


def _kind(seen: Seen) -> _Kind:
    return seen.originator.octets, int(seen.role), seen.code


def as_submitted(item: Judged) -> bytes:
    """What its user announces it by."""
    return hashlib.sha256(item.message.encode()).digest()


def announces(item: Judged, keys: Mapping[EntityId, frozenset[bytes]]) -> bool:
    """Whether its user announces what it signs, and it is something that the user signed."""
    return bool(keys) and bool(item.message.signature) and item.message.header.originator in keys
