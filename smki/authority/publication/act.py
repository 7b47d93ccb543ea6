"""Publishing lists: a number set aside, the list made, recorded with its octets, written where the world reads.

1. The number is set aside, with its entry in the log, before anything is signed. It is spent, whatever happens.
2. The list is made, linted, signed in the HSM, read back, compared. Until here a death leaves only a spent number.
3. One transaction records the list, its octets and the entry in the log, unless a newer list was recorded meanwhile.
4. The folder is brought up to what the store has. A death before this is made good by whoever looks next.

Revoking makes no list: a list follows it, here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from smki.authority.log import act, acts, seal
from smki.authority.publication.folder import bring_up, held
from smki.authority.publication.making import made
from smki.authority.publication.schedule import Lists, lists_of, publishers
from smki.authority.publication.site import is_behind, refresh_site, refuse_behind
from smki.authority.workspace import Workspace
from smki.errors import IntegrityFailure, Refused, SmkiError
from smki.pki.verdict import Fault
from smki.store.records import AuthorityRecord, CrlRecord
from smki.store.transaction import Transaction
from smki.words import utc


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one authority's list."""

    authority: AuthorityRecord
    record: CrlRecord | None = None
    """The list that was made."""
    written: tuple[str, ...] = ()
    overtaken: bool = False
    """Another publisher was first, and this one gave its list up."""
    fault: Fault | None = None

    def as_json(self) -> dict[str, Any]:
        record = self.record
        return {
            "authority": self.authority.name,
            "published": None if record is None else as_json(record),
            "written": list(self.written),
            "overtaken": self.overtaken,
            "fault": None if self.fault is None else self.fault.as_json(),
        }


class _Overtaken(Exception):
    """Another publisher was first."""


def as_json(record: CrlRecord) -> dict[str, Any]:
    return {
        "kind": "delta" if record.is_delta else "complete",
        "number": record.number,
        "base": record.base,
        "this_update": record.this_update,
        "next_update": record.next_update,
        "contains": record.scope.value,
        "entries": record.entries,
        "octets": record.size,
        "sha256": record.sha256,
    }


@dataclass(frozen=True, slots=True)
class Run:
    """What became of all of them, and of what is published around them."""

    outcomes: tuple[Outcome, ...]
    around: Fault | None = None

    @property
    def faults(self) -> tuple[Fault, ...]:
        found = [outcome.fault for outcome in self.outcomes if outcome.fault is not None]
        return (*found, self.around) if self.around is not None else tuple(found)


def publish_lists(
    workspace: Workspace,
    names: tuple[str, ...] = (),
    *,
    even_if_not_due: bool = False,
    enough: Callable[[], bool] = lambda: False,
) -> Run:
    """Make each list that is due, of all authorities or of those named. One that fails does not stop the others.

    `enough` is asked before each, and ends it.
    """
    authorities = publishers(workspace, names)
    outcomes = tuple(_one(workspace, authority, even_if_not_due) for authority in authorities if not enough())
    changed = any(outcome.record is not None or outcome.written for outcome in outcomes)
    try:
        # Whoever wrote the lists may have died before the manifest spoke of them.
        if not changed and (any(outcome.fault for outcome in outcomes) or not is_behind(workspace)):
            return Run(outcomes)
        seal(workspace)
        refresh_site(workspace)
    except (SmkiError, OSError) as error:  # the lists are out, which matters most
        return Run(outcomes, _fault(error))
    return Run(outcomes)


def _fault(error: SmkiError | OSError) -> Fault:
    if isinstance(error, OSError):  # of a folder that is not as we made it
        where = "" if error.filename is None else f"{error.filename}: "
        return Fault("file.read", f"{where}{error.strerror or error}", "mend the folder, or its permissions")
    return Fault.of(error)


def _one(workspace: Workspace, authority: AuthorityRecord, even_if_not_due: bool) -> Outcome:
    record, overtaken = None, False
    written: tuple[str, ...] = ()
    damage: IntegrityFailure | None = None
    try:
        refuse_behind(workspace)
        try:
            written = bring_up(workspace, authority)
        except IntegrityFailure as error:  # of the list before: no reason to make no other
            damage = error
        lists = lists_of(workspace, authority)
        if not lists.has_ended and (even_if_not_due or lists.is_due):
            try:
                record = _make(workspace, lists, delta=not even_if_not_due and lists.due.delta)
            except _Overtaken:
                overtaken = True
            written += bring_up(workspace, authority)
        elif damage is not None:
            raise damage
    except (SmkiError, OSError) as error:
        return Outcome(authority, record, written, overtaken, _fault(error))
    return Outcome(authority, record, tuple(dict.fromkeys(written)), overtaken)


def _make(workspace: Workspace, lists: Lists, *, delta: bool) -> CrlRecord:
    reserved = _reserve(workspace, lists, delta=delta)
    with made(workspace, lists.authority, reserved, lists.complete) as found:
        record = found.record
        with act(workspace, "crl.made", authority=lists.authority.name, **_facts(record)) as tx:
            _refuse_older(tx, record)
            tx.put_crl(record, found.pieces())
    return record


def _facts(record: CrlRecord) -> dict[str, Any]:
    """As the log says them."""
    words = {key: value for key, value in as_json(record).items() if value is not None}
    words |= {key: utc(words[key]) for key in ("this_update", "next_update")}
    if record.sha256 is None:  # not made yet
        words = {key: words[key] for key in ("kind", "number", "this_update", "next_update")}
        return words | {"covers": record.covers}
    return words | {"sha256": record.sha256.hex(), "covers": record.covers}


def _reserve(workspace: Workspace, lists: Lists, *, delta: bool) -> CrlRecord:
    """Set the next number aside: above every number on record, and every number in the folder."""
    authority, rule = lists.authority, lists.rule
    there = held(workspace, authority)
    entries: list[dict[str, Any]] = []
    with acts(workspace, "crl.number-reserved", entries) as tx:
        last = tx.last_crl_number(authority.number)
        number = 1 + max([last, *(one.number for one in there)])
        seen = 0 if lists.newest is None else lists.newest.number
        _refuse_overtaken(tx, authority.number, seen)
        _refuse_clock(tx, authority.number, lists.now, tuple(one.this_update for one in there))
        record = CrlRecord(
            issuer=authority.number,
            number=number,
            base=lists.complete.number if delta and lists.complete is not None else None,
            this_update=lists.now,
            next_update=lists.now + (rule.delta_valid if delta else rule.valid),
            covers=workspace.store.revocations.last_number(authority.number),
            scope=rule.scope,
        )
        tx.reserve_crl(record)
        entries.append({"authority": authority.name, **_facts(record)})
    return record


def _refuse_clock(tx: Transaction, issuer: int, now: datetime, others: tuple[datetime, ...] = ()) -> None:
    """No list says that it was made before the one it follows."""
    made_before = [one for delta in (False, True) if (one := tx.latest_crl(issuer, delta=delta)) is not None]
    last = max([*(one.this_update for one in made_before), *others], default=now)
    if now < last:
        raise Refused(
            "crl.clock",
            f"the clock says {utc(now)}, and the last list was made at {utc(last)}",
            "set the clock right; if that list was made ahead of its time, no other can be before that time",
        )


def _refuse_overtaken(tx: Transaction, issuer: int, number: int) -> None:
    for delta in (False, True):
        found = tx.latest_crl(issuer, delta=delta)
        if found is not None and found.number > number:
            raise _Overtaken


def _refuse_older(tx: Transaction, record: CrlRecord) -> None:
    """Whoever was overtaken while the HSM signed gives the list up."""
    tx.lock()
    _refuse_overtaken(tx, record.issuer, record.number)
    if record.is_delta:
        base = tx.latest_crl(record.issuer, delta=False)
        if base is None or base.number != record.base:
            raise _Overtaken
    _refuse_clock(tx, record.issuer, record.this_update)
