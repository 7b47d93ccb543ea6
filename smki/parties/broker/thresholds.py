"""Which thresholds are in force, and who may set them: files that officers signed, kept with their octets.

One officer's signature is enough for what only holds more. What holds less needs a second person's: for the broker's
own thresholds another officer on the roll, for a user's another officer of either side. A campaign is signed by both
sides. Serial numbers only grow, so that no older and looser file comes back.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from smki.authority.anomaly import CountRule
from smki.authority.log import act, seal
from smki.authority.workspace import Workspace
from smki.entity import EntityId
from smki.errors import IntegrityFailure, InvalidInput, Refused
from smki.parties.anomaly.limits import NO_LIMITS, Campaign, Limit, Limits, ValueLimit
from smki.parties.broker.officers import Voice, broker_officers, once_officers, signers, users_officers
from smki.parties.broker.threshold_file import Thresholds, read_thresholds
from smki.pki.signed_data import SignedData, read_signed_data
from smki.store.admission_records import ThresholdRecord

_REMEMBERED = timedelta(days=90)  # of campaigns that are over: habits leave them out
_MOST_FILES = 4
_FARTHEST = 1_000_000  # from one serial number to the next
_NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, eq=False)
class Known:
    """One set of thresholds on record."""

    thresholds: Thresholds
    at: datetime
    files: int
    believed: bool
    """Whether those signed it who must. What is not believed lifts nothing, and takes no other's place."""


@dataclass(frozen=True, eq=False)
class Set:
    """What `set_thresholds` did."""

    thresholds: Thresholds
    signers: tuple[Voice, ...]
    looser: tuple[str, ...]
    """What it loosens."""


def on_record(workspace: Workspace) -> list[Known]:
    """Every file that was ever set, by its row and serial number: judged anew, whoever wrote it into the store."""
    found: dict[tuple[str, int, bytes], list[tuple[ThresholdRecord, SignedData]]] = {}
    read: dict[tuple[str, int, bytes], Thresholds] = {}
    for record in workspace.store.quarantine.thresholds():
        try:
            signed = read_signed_data(record.file)
            one = read_thresholds(signed.content, workspace.policies.use_cases)
        except (InvalidInput, Refused) as error:
            raise IntegrityFailure(
                "thresholds.stored",
                f"thresholds of {record.owner} on record: {error.message}",
                "restore from a backup",
            ) from None
        key = one.key, one.serial, signed.content
        read[key] = one
        found.setdefault(key, []).append((record, signed))
    rows: dict[str, list[Known]] = {}
    who: dict[tuple[EntityId | None, bool], tuple[Voice, ...]] = {}
    for key in sorted(read):
        records = found[key]
        at = min(workspace.clock(), *(record.since for record, _ in records))
        files = [signed for _, signed in records]
        before = rows.setdefault(read[key].key, [])
        believed = _is_believed(workspace, before, read[key], files, at, who)
        before.append(Known(read[key], at, len(files), believed))
    return [one for row in rows.values() for one in row]


def _is_believed(
    workspace: Workspace,
    before: Sequence[Known],
    one: Thresholds,
    files: Sequence[SignedData],
    at: datetime,
    who: dict[tuple[EntityId | None, bool], tuple[Voice, ...]],
) -> bool:
    """By officers of today, or else by any who ever were; as many as it needs after what was set before it."""
    if any(item.believed and item.thresholds.serial >= one.serial for item in before):
        return False
    looser = any(_loosened(at, before, one))
    for once in (False, True):
        if (one.owner, once) not in who:
            past = once_officers(workspace, one.owner) if once else ()
            who[one.owner, once] = (*_may_sign(workspace, one.owner), *past)
        voices = [named[0] for item in files if (named := signers(item, who[one.owner, once]))]
        if _is_enough(one, _people(voices), looser=looser):
            return True
    return False


def in_force(known: Iterable[Known], now: datetime) -> list[Thresholds]:
    """Of each row the highest serial that has begun, unless it is over: an older one does not come back.

    What is not believed holds as well, until something higher is set: whoever writes into the store loosens nothing.
    """
    latest: dict[str, Thresholds] = {}
    begun = [one for one in known if one.thresholds.since <= now and one.thresholds.kind != "campaign"]
    for one in begun:
        if one.believed:
            latest[one.thresholds.key] = one.thresholds
    beside = [
        one.thresholds
        for one in begun
        if not one.believed
        and (one.thresholds.key not in latest or latest[one.thresholds.key].serial <= one.thresholds.serial)
    ]
    return [one for one in (*latest.values(), *beside) if now < one.until]


def doubted(known: Iterable[Known], now: datetime) -> list[Known]:
    """What is on record without the signatures it needs, and is not over: somebody must look how it came there."""
    return [one for one in known if not one.believed and now < one.thresholds.until]


def campaigns(known: Iterable[Known], now: datetime) -> tuple[Campaign, ...]:
    """The latest of each name, until nobody's habit reaches back to it."""
    latest: dict[tuple[str, str], Campaign] = {}
    for one in known:
        for campaign in one.thresholds.campaigns if one.believed else ():
            latest[one.thresholds.key, campaign.name] = campaign
    return tuple(one for one in latest.values() if now < one.until + _REMEMBERED)


def announcers(known: Iterable[Known], now: datetime) -> dict[EntityId, frozenset[bytes]]:
    """Who announces, and by which keys. One that stands in the store without the signatures it needs is no key."""
    known = list(known)
    believed = {id(one.thresholds) for one in known if one.believed}
    found: dict[EntityId, frozenset[bytes]] = {}
    for one in in_force(known, now):
        if one.owner is not None and one.announcing_keys:
            keys = one.announcing_keys if id(one) in believed else frozenset()
            found[one.owner] = found.get(one.owner, frozenset()) | keys
    return found


class InForce:
    """The limits of this moment: the same value while nothing changed, asked for before each chunk."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._known: list[Known] = []
        self._count = -1
        self._until = _NEVER
        self._limits = NO_LIMITS

    def __call__(self) -> Limits:
        now, count = self._workspace.clock(), self._workspace.store.quarantine.threshold_count()
        if count != self._count:
            self._known = on_record(self._workspace)
            self._limits, self._count = self._of(now), count
        elif now >= self._until:
            self._limits = self._of(now)
        return self._limits

    def _of(self, now: datetime) -> Limits:
        edges = [edge for one in self._known for edge in (one.thresholds.since, one.thresholds.until)]
        edges += [one.until + _REMEMBERED for one in campaigns(self._known, now)]
        self._until = min((edge for edge in edges if edge > now), default=_NEVER)
        current = in_force(self._known, now)
        own: dict[EntityId, tuple[Limit, ...]] = {}
        for one in current:
            if one.owner is not None:
                own[one.owner] = (*own.get(one.owner, ()), *one.limits)
        limits = Limits(
            own=own,
            everyone=tuple(limit for one in current if one.owner is None for limit in one.limits),
            values=tuple(value for one in current for value in one.values),
            campaigns=campaigns(self._known, now),
            announcers=announcers(self._known, now),
        )
        return limits if limits.are_some else NO_LIMITS


def set_thresholds(workspace: Workspace, files: Sequence[bytes]) -> Set:
    """Put thresholds on record that were signed once or several times: the same content in each file."""
    if not 1 <= len(files) <= _MOST_FILES:
        raise InvalidInput("thresholds.count", f"{len(files)} files", f"give 1 to {_MOST_FILES} over one content")
    signed = [read_signed_data(file) for file in files]
    if len({one.content for one in signed}) != 1:
        raise Refused("thresholds.content", "the files do not say the same", "have one content signed by each")
    thresholds = read_thresholds(signed[0].content, workspace.policies.use_cases)
    if thresholds.until <= workspace.clock():
        raise Refused("thresholds.over", f"they hold until {thresholds.until}", "give a later end")
    voices = _voices(workspace, thresholds, signed)
    digest = hashlib.sha256(signed[0].content).digest()
    facts = {
        "owner": thresholds.key,
        "serial": thresholds.serial,
        "sha256": digest.hex(),
        "signed_by": [one.words for one in voices],
        "signatures": [one.signature.hex() for one in signed],
    }
    with act(workspace, "thresholds.set", **facts) as tx:
        tx.lock()
        record = on_record(workspace)
        known = [one for one in record if one.thresholds.key == thresholds.key]
        last = max((one.thresholds.serial for one in known), default=0)
        if thresholds.serial <= last:
            raise Refused("thresholds.serial", f"serial {thresholds.serial}, and {last} was set", "number it higher")
        if thresholds.serial > last + _FARTHEST:  # one officer leaves the others no number to undo it with
            raise Refused(
                "thresholds.serial", f"serial {thresholds.serial}, far above {last}", f"go on by {_FARTHEST} at most"
            )
        looser = tuple(_loosened(workspace.clock(), known, thresholds))
        _check_signers(workspace, thresholds, voices, looser)
        _check_stricter(workspace, record, thresholds)
        _check_announcements(workspace, thresholds)
        for file in files:
            name = hashlib.sha256(file).digest()
            tx.put_threshold(ThresholdRecord(thresholds.key, workspace.clock(), name, file))
    seal(workspace)
    return Set(thresholds, voices, looser)


def _voices(workspace: Workspace, thresholds: Thresholds, signed: Sequence[SignedData]) -> tuple[Voice, ...]:
    """Who signed each; two signatures of one person are one."""
    who = _may_sign(workspace, thresholds.owner)
    found: list[Voice] = []
    for one in signed:
        known = signers(one, who)
        if not known:
            raise Refused(
                "thresholds.signer",
                f"it is signed by no officer of {thresholds.owner or 'the roll'}, nor of the broker",
                "sign with an officer's own key: see `smki org show` and `smki officer list`",
            )
        found.append(known[0])
    return _people(found)


def _may_sign(workspace: Workspace, owner: EntityId | None) -> tuple[Voice, ...]:
    own = () if owner is None else users_officers(workspace, owner)
    return *own, *broker_officers(workspace)


def _people(voices: Iterable[Voice]) -> tuple[Voice, ...]:
    """Each person once."""
    found: list[Voice] = []
    for one in voices:
        if not any(one.is_same_person(other) for other in found):
            found.append(one)
    return tuple(found)


def _is_enough(thresholds: Thresholds, voices: Sequence[Voice], *, looser: bool) -> bool:
    own = sum(one.capacity == "originator" for one in voices)
    brokers = len(voices) - own
    if thresholds.kind == "global":
        return brokers >= (2 if looser else 1)
    if thresholds.kind == "own":
        return own >= 1 and len(voices) >= (2 if looser else 1)
    return own >= 1 and brokers >= 1


def _check_signers(
    workspace: Workspace, thresholds: Thresholds, voices: Sequence[Voice], looser: Sequence[str]
) -> None:
    if _is_enough(thresholds, voices, looser=bool(looser)):
        return
    whose = (
        "the broker's roll" if thresholds.owner is None else workspace.store.organisations.owner_of(thresholds.owner)
    )
    needed = {
        "global": f"two officers on {whose}" if looser else f"an officer on {whose}",
        "own": f"an officer of {whose or thresholds.owner}"
        + (", and a second officer of either side" if looser else ""),
        "campaign": f"an officer of {whose or thresholds.owner}, and one on the broker's roll",
    }[thresholds.kind]
    why = f", because it loosens: {'; '.join(looser[:3])}" if looser else ""
    raise Refused(
        "thresholds.signatures", f"it needs the signature of {needed}{why}", "have each sign the same content"
    )


def _loosened(now: datetime, known: Sequence[Known], new: Thresholds) -> Iterable[str]:
    """What held something until now, or will, and would hold less."""
    if new.kind == "campaign":
        return
    current = [one for one in in_force(known, now) if one.key == new.key]
    ahead = [one.thresholds for one in known if one.thresholds.since > now]
    for old in (*current, *ahead):
        if new.until < old.until:
            yield f"it ends at {new.until:%Y-%m-%dT%H:%M:%SZ}, before serial {old.serial} does"
        for limit in old.limits:
            if not any(_covers(one, limit) for one in new.limits):
                yield f"{limit.name!r} of serial {old.serial}"
        for value in old.values:
            if not any(_bounds(one, value) for one in new.values):
                yield f"{value.name!r} of serial {old.serial}"
        if old.announcing_keys and not frozenset() < new.announcing_keys <= old.announcing_keys:
            yield f"the announcing keys of serial {old.serial}"


def _covers(new: Limit, old: Limit) -> bool:
    """Whether whatever the old one held, the new one holds."""
    return (
        new.of == old.of
        and (new.codes is None or (old.codes is not None and old.codes <= new.codes))
        and (new.roles is None or (old.roles is not None and old.roles <= new.roles))
        and new.window >= old.window
        and new.count <= old.count
    )


def _bounds(new: ValueLimit, old: ValueLimit) -> bool:
    least = old.least is None or (new.least is not None and new.least >= old.least)
    most = old.most is None or (new.most is not None and new.most <= old.most)
    return old.codes <= new.codes and new.path == old.path and least and most


def _check_announcements(workspace: Workspace, thresholds: Thresholds) -> None:
    """Nobody relies on announcements where nothing would be held for want of one."""
    if thresholds.announcing_keys and not workspace.policies.anomaly.holds_unannounced:
        raise Refused(
            "thresholds.announcements",
            'no detector of kind "unannounced" in anomaly.toml holds what turns supply off, of users in every role',
            "add the one that is shipped",
        )


def _check_stricter(workspace: Workspace, known: Iterable[Known], thresholds: Thresholds) -> None:
    """A user's own limit that can never hold anything would only look like one."""
    if thresholds.kind != "own":
        return
    current = [one for one in in_force(known, workspace.clock()) if one.owner is None]
    broker = [
        Limit(rule.name, rule.codes, rule.count, rule.window, None, rule.roles, rule.of)
        for rule in workspace.policies.anomaly.rules
        if isinstance(rule, CountRule) and rule.holds
    ]
    for own in thresholds.limits:
        for other in (*(limit for one in current for limit in one.limits), *broker):
            everyone = other.of == "each" and other.roles is None and own.count > other.count
            if everyone and _covers(Limit("", other.codes, own.count, other.window), own):
                raise Refused(
                    "thresholds.looser",
                    f"{own.name!r} holds at {own.count}, and the broker's {other.name!r} at {other.count}",
                    f"give {other.count} at most, or leave it out",
                )
