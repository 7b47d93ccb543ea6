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
from smki.errors import IntegrityFailure, InvalidInput, Refused
from smki.parties.anomaly.limits import NO_LIMITS, Campaign, Limit, Limits, ValueLimit
from smki.parties.broker.officers import Voice, broker_officers, signers, users_officers
from smki.parties.broker.threshold_file import Thresholds, read_thresholds
from smki.pki.signed_data import SignedData, read_signed_data
from smki.store.admission_records import ThresholdRecord

_REMEMBERED = timedelta(days=90)  # of campaigns that are over: habits leave them out
_MOST_FILES = 4
_NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, eq=False)
class Known:
    """One set of thresholds on record, whoever signed it."""

    thresholds: Thresholds
    at: datetime
    files: int


@dataclass(frozen=True, eq=False)
class Set:
    """What `set_thresholds` did."""

    thresholds: Thresholds
    signers: tuple[Voice, ...]
    looser: tuple[str, ...]
    """What it loosens."""


def on_record(workspace: Workspace) -> list[Known]:
    """Every file that was ever set, by its row and serial number."""
    found: dict[tuple[str, int], Known] = {}
    for record in workspace.store.quarantine.thresholds():
        try:
            one = read_thresholds(read_signed_data(record.file).content, workspace.policies.use_cases)
        except (InvalidInput, Refused) as error:
            raise IntegrityFailure(
                "thresholds.stored",
                f"thresholds of {record.owner} on record: {error.message}",
                "restore from a backup",
            ) from None
        before = found.get((one.key, one.serial))
        found[one.key, one.serial] = Known(one, record.since, 1 if before is None else before.files + 1)
    return sorted(found.values(), key=lambda known: (known.thresholds.key, known.thresholds.serial))


def in_force(known: Iterable[Known], now: datetime) -> dict[str, Thresholds]:
    """Of each row the highest serial that has begun, unless it is over: an older one does not come back."""
    latest: dict[str, Thresholds] = {}
    for one in known:
        if one.thresholds.since <= now and one.thresholds.kind != "campaign":
            latest[one.thresholds.key] = one.thresholds
    return {key: one for key, one in latest.items() if now < one.until}


def campaigns(known: Iterable[Known], now: datetime) -> tuple[Campaign, ...]:
    """The latest of each name, until nobody's habit reaches back to it."""
    latest: dict[tuple[str, str], Campaign] = {}
    for one in known:
        for campaign in one.thresholds.campaigns:
            latest[one.thresholds.key, campaign.name] = campaign
    return tuple(one for one in latest.values() if now < one.until + _REMEMBERED)


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
        current = in_force(self._known, now).values()
        limits = Limits(
            own={one.owner: one.limits for one in current if one.owner is not None},
            everyone=tuple(limit for one in current if one.owner is None for limit in one.limits),
            values=tuple(value for one in current for value in one.values),
            campaigns=campaigns(self._known, now),
        )
        return limits if limits.own or limits.everyone or limits.values or limits.campaigns else NO_LIMITS


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
        known = [one for one in on_record(workspace) if one.thresholds.key == thresholds.key]
        last = max((one.thresholds.serial for one in known), default=0)
        if thresholds.serial <= last:
            raise Refused("thresholds.serial", f"serial {thresholds.serial}, and {last} was set", "number it higher")
        looser = tuple(_loosened(workspace, known, thresholds))
        _check_signers(workspace, thresholds, voices, looser)
        _check_stricter(workspace, thresholds)
        for file in files:
            name = hashlib.sha256(file).digest()
            tx.put_threshold(ThresholdRecord(thresholds.key, workspace.clock(), name, file))
    seal(workspace)
    return Set(thresholds, voices, looser)


def _voices(workspace: Workspace, thresholds: Thresholds, signed: Sequence[SignedData]) -> tuple[Voice, ...]:
    """Who signed each; two signatures of one person are one."""
    who = broker_officers(workspace)
    if thresholds.owner is not None:
        who = (*users_officers(workspace, thresholds.owner), *who)
    found: list[Voice] = []
    for one in signed:
        known = signers(one, who)
        if not known:
            raise Refused(
                "thresholds.signer",
                f"it is signed by no officer of {thresholds.owner or 'the roll'}, nor of the broker",
                "sign with an officer's own key: see `smki org show` and `smki officer list`",
            )
        if not any(known[0].is_same_person(other) for other in found):
            found.append(known[0])
    return tuple(found)


def _check_signers(
    workspace: Workspace, thresholds: Thresholds, voices: Sequence[Voice], looser: Sequence[str]
) -> None:
    own = sum(one.capacity == "originator" for one in voices)
    brokers = len(voices) - own
    whose = (
        "the broker's roll" if thresholds.owner is None else workspace.store.organisations.owner_of(thresholds.owner)
    )
    if thresholds.kind == "global":
        enough = brokers >= (2 if looser else 1)
    elif thresholds.kind == "own":
        enough = own >= 1 and len(voices) >= (2 if looser else 1)
    else:
        enough = own >= 1 and brokers >= 1
    if enough:
        return
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


def _loosened(workspace: Workspace, known: Sequence[Known], new: Thresholds) -> Iterable[str]:
    """What held something until now, or will, and would hold less."""
    if new.kind == "campaign":
        return
    now = workspace.clock()
    current = in_force(known, now).get(new.key)
    ahead = [one.thresholds for one in known if one.thresholds.since > now]
    for old in (*([] if current is None else [current]), *ahead):
        if new.until < old.until:
            yield f"it ends at {new.until:%Y-%m-%dT%H:%M:%SZ}, before serial {old.serial} does"
        for limit in old.limits:
            if not any(_covers(one, limit) for one in new.limits):
                yield f"{limit.name!r} of serial {old.serial}"
        for value in old.values:
            if not any(_bounds(one, value) for one in new.values):
                yield f"{value.name!r} of serial {old.serial}"


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


def _check_stricter(workspace: Workspace, thresholds: Thresholds) -> None:
    """A user's own limit that can never hold anything would only look like one."""
    if thresholds.kind != "own":
        return
    current = in_force(on_record(workspace), workspace.clock()).get("global")
    broker = [
        Limit(rule.name, rule.codes, rule.count, rule.window, None, rule.roles, rule.of)
        for rule in workspace.policies.anomaly.rules
        if isinstance(rule, CountRule) and rule.holds
    ]
    for own in thresholds.limits:
        for other in (*(() if current is None else current.limits), *broker):
            everyone = other.of == "each" and other.roles is None and own.count > other.count
            if everyone and _covers(Limit("", other.codes, own.count, other.window), own):
                raise Refused(
                    "thresholds.looser",
                    f"{own.name!r} holds at {own.count}, and the broker's {other.name!r} at {other.count}",
                    f"give {other.count} at most, or leave it out",
                )
