"""Watching: lists made on time, on event within seconds, after whatever died; a cry before one lapses.

One look asks the store and the folder, and makes what is due. What fails is tried again after a pause that doubles,
and told again once an hour as long as it lasts.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from smki.authority.publication.act import Outcome, publish_lists
from smki.authority.publication.schedule import schedule
from smki.authority.workspace import Workspace
from smki.errors import SmkiError
from smki.pki.verdict import Fault

Tell = Callable[..., None]
_FIRST_PAUSE, _LONGEST_PAUSE = timedelta(seconds=5), timedelta(minutes=5)
_TOLD_AGAIN = timedelta(hours=1)
_STORE = ""  # in place of an authority's name


@dataclass(slots=True)
class Watch:
    """What one service remembers between looks: nothing that matters, so that any may take its place."""

    workspace: Workspace
    tell: Tell
    is_ended: Callable[[], bool] = lambda: False
    """Whether it was told to end: it makes no other list then."""
    _failures: dict[str, int] = field(default_factory=dict)
    _not_before: dict[str, datetime] = field(default_factory=dict)
    _told: dict[tuple[str, str, str], datetime] = field(default_factory=dict)

    def look(self) -> bool:
        """Make what is due and can be made; whether all is well."""
        now = self.workspace.clock()
        if self._waits(_STORE, now):
            return False
        try:
            well = self._look(now)
        except SmkiError as error:
            self._failed(_STORE, Fault.of(error), now)
            return False
        self._recovered(_STORE)
        return well

    def _look(self, now: datetime) -> bool:
        every = schedule(self.workspace)
        names = tuple(one.authority.name for one in every if not self._waits(one.authority.name, now))
        well = len(names) == len(every)
        if names:
            begun = time.monotonic()
            run = publish_lists(self.workspace, names, enough=self.is_ended)
            for outcome in run.outcomes:
                self._told_outcome(outcome, time.monotonic() - begun, now)
            if run.around is not None:
                self._cry("published", "crl.site", run.around.message, run.around.code, now)
            well = well and not run.faults
        if self.is_ended():  # lists that were left to whoever comes next are no alarm
            return well
        for lists in schedule(self.workspace):
            for alarm in () if lists.has_ended else lists.alarms:
                well = False
                self._cry(lists.authority.name, alarm.code, alarm.message, alarm.code, now)
        return well

    def _told_outcome(self, outcome: Outcome, seconds: float, now: datetime) -> None:
        name = outcome.authority.name
        if outcome.record is not None:
            record = outcome.record
            self.tell(
                "crl.published", level="info", authority=name, kind="delta" if record.is_delta else "complete",
                number=record.number, entries=record.entries, octets=record.size, seconds=round(seconds, 2),
            )  # fmt: skip
        elif outcome.written:
            self.tell("crl.written", level="info", authority=name, files=list(outcome.written))
        if outcome.fault is None:
            self._recovered(name)
        else:
            self._failed(name, outcome.fault, now)

    def _failed(self, name: str, fault: Fault, now: datetime) -> None:
        count = self._failures[name] = self._failures.get(name, 0) + 1
        pause = min(_FIRST_PAUSE * (1 << min(count - 1, 16)), _LONGEST_PAUSE)
        self._not_before[name] = now + pause
        self._cry(name, "crl.failed", f"{fault.message}; {fault.remedy}", fault.code, now)

    def _recovered(self, name: str) -> None:
        if self._failures.pop(name, 0):
            self.tell("crl.recovered", level="info", authority=name or None)
        self._not_before.pop(name, None)
        self._told = {key: at for key, at in self._told.items() if key[0] != name or key[1] != "crl.failed"}

    def _waits(self, name: str, now: datetime) -> bool:
        until = self._not_before.get(name)
        return until is not None and now < until <= now + _LONGEST_PAUSE  # a clock that went back does not stop us

    def _cry(self, name: str, event: str, message: str, code: str, now: datetime) -> None:
        last = self._told.get((name, event, code))  # a list that differs is not kept quiet by a token that was away
        if last is not None and last <= now < last + _TOLD_AGAIN:
            return
        self._told[name, event, code] = now
        self.tell(event, level="error", authority=name or None, code=code, message=message)
