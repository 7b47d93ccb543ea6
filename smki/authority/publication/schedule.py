"""Which list is due, when, and why: from what the store has, the policy and the time. Nothing is changed here."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from smki.authority.publication.lists import current
from smki.authority.publication.policy import ListRule
from smki.authority.workspace import Workspace
from smki.errors import InvalidInput
from smki.store.records import AuthorityRecord, CrlRecord


@dataclass(frozen=True, slots=True)
class Due:
    """A list that is to be made: when at the latest, when it can be, and why."""

    delta: bool
    at: datetime
    latest: datetime
    why: str


@dataclass(frozen=True, slots=True)
class Alarm:
    """A promise that is broken, or will be soon."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Lists:
    """An authority and its lists, at one moment."""

    authority: AuthorityRecord
    rule: ListRule
    complete: CrlRecord | None
    delta: CrlRecord | None
    """Where it says more than the complete list."""
    waiting_since: datetime | None
    """Since when there is a revocation that no list has."""
    now: datetime

    @property
    def newest(self) -> CrlRecord | None:
        return self.delta or self.complete

    @property
    def due(self) -> Due:
        """The next list."""
        complete, rule = self.complete, self.rule
        if complete is None:
            return Due(False, self.now, self.now, "there is none")
        if complete.scope is not rule.scope:
            return Due(False, self.now, self.now, f"it is to contain {rule.scope.value}")
        at = complete.this_update + rule.every
        regular = Due(False, at, at, f"every {words(rule.every)}")
        if rule.delta_every is None:
            return self._on_event(delta=False) or regular
        assert self.newest is not None, "there is a complete list"
        next_delta = self.newest.this_update + rule.delta_every
        # A complete list that is due says more than a delta.
        if regular.at > self.now:
            delta = Due(True, next_delta, next_delta, f"a delta every {words(rule.delta_every)}")
            return self._on_event(delta=True) or min(regular, delta, key=lambda due: due.at)
        return regular

    def _on_event(self, *, delta: bool) -> Due | None:
        if self.waiting_since is None:
            return None
        assert self.newest is not None, "there is a complete list"
        # A delta and a complete list of one moment would need one number (RFC 5280 5.2.3).
        at = max(self.waiting_since, self.newest.this_update + timedelta(seconds=1)) if delta else self.waiting_since
        return Due(delta, at, self.waiting_since + self.rule.within, "a revocation")

    @property
    def is_due(self) -> bool:
        return self.due.at <= self.now

    @property
    def has_ended(self) -> bool:
        """Its certificate has: nothing below it is valid, and nobody needs its list."""
        return self.authority.not_after is not None and self.authority.not_after < self.now

    @property
    def alarms(self) -> tuple[Alarm, ...]:
        """Promises that are broken, or will be soon."""
        if self.complete is None:
            return (Alarm("crl.missing", "it never had a list"),)
        found = []
        left = self.complete.next_update - self.now
        if left < timedelta():
            found.append(Alarm("crl.lapsed", f"its list ended {words(-left)} ago"))
        elif left < self.rule.cry:
            found.append(Alarm("crl.lapsing", f"its list ends in {words(left)}"))
        if self.complete.this_update > self.now:
            found.append(Alarm("crl.clock", f"its list is of {self.complete.this_update}, and it is not so late"))
        due = self.due
        if due.latest < self.now:
            found.append(Alarm("crl.late", f"a list was due {words(self.now - due.latest)} ago: {due.why}"))
        return tuple(found)


def words(length: timedelta) -> str:
    """A length of time as people say it: its two largest parts."""
    seconds = int(length.total_seconds())
    parts = [(seconds // 86400, "d"), (seconds // 3600 % 24, "h"), (seconds // 60 % 60, "m"), (seconds % 60, "s")]
    told = [f"{count}{unit}" for count, unit in parts if count]
    return " ".join(told[:2]) or "0s"


def lists_of(workspace: Workspace, authority: AuthorityRecord) -> Lists:
    found = current(workspace, authority)
    newest = found[-1] if found else None
    return Lists(
        authority=authority,
        rule=workspace.policies.publication.rule(authority),
        complete=next((one for one in found if not one.is_delta), None),
        delta=next((one for one in found if one.is_delta), None),
        waiting_since=(
            None if newest is None else workspace.store.crls.waiting_since(authority.number, newest.covers)
        ),
        now=workspace.clock().replace(microsecond=0),
    )


def publishers(workspace: Workspace, names: tuple[str, ...] = ()) -> tuple[AuthorityRecord, ...]:
    """The active authorities: all, or those named."""
    active = {one.name: one for one in workspace.store.authorities() if one.state == "active"}
    for name in names:
        if name not in active:
            raise InvalidInput("crl.authority", f"no active authority is called {name[:40]!r}", "see `smki ca tree`")
    return tuple(active[name] for name in dict.fromkeys(names or active))


def schedule(workspace: Workspace, names: tuple[str, ...] = ()) -> tuple[Lists, ...]:
    """Every list there is or is to be."""
    return tuple(lists_of(workspace, authority) for authority in publishers(workspace, names))
