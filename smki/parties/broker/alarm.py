"""What the watch tells a person: patterns that are new or grow, at once; and again, until somebody says they know."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal

from smki.authority.workspace import Workspace
from smki.errors import IntegrityFailure
from smki.parties.broker.thresholds import doubted, on_record

News = Literal["new", "grown", "still waiting"]


@dataclass(frozen=True, slots=True)
class Alert:
    """One pattern that somebody must look at."""

    news: News
    pattern: str
    waiting: int
    more: int
    """How many came since it was last told, or since somebody said they know."""
    first: datetime
    last: datetime
    why: tuple[str, ...] = ()


@dataclass
class Alarm:
    """What was told, and when. A watch that is started again tells everything again."""

    again: timedelta
    _told: dict[str, tuple[int, datetime]] = field(default_factory=dict)

    def told(self) -> dict[str, tuple[int, datetime]]:
        return dict(self._told)

    def tell_again(self, told: dict[str, tuple[int, datetime]]) -> None:
        """As it was before a step that nobody heard of."""
        self._told = told

    def step(
        self, now: datetime, patterns: Iterable[tuple[str, int, int, datetime, datetime]], seen: Mapping[str, int]
    ) -> list[Alert]:
        """What is to be told now. `patterns`: name, how many wait, how many ever came, the first, the last.

        `seen` is how many had come when somebody said they know. What came is counted, not what waits: whoever
        rejects ten thousand hears of the next one.
        """
        found, names = [], set()
        for pattern, waiting, ever, first, last in patterns:
            names.add(pattern)
            known, (told, at) = seen.get(pattern, 0), self._told.get(pattern, (0, now))
            if ever <= known:
                self._told[pattern] = ever, now
            elif ever > told or not timedelta() <= now - at < self.again:  # nor does a clock put back keep it quiet
                news: News = "still waiting" if ever <= told else "grown" if max(told, known) else "new"
                found.append(Alert(news, pattern, waiting, ever - max(told, known), first, last))
                self._told[pattern] = ever, now
        for pattern in set(self._told) - names:
            del self._told[pattern]
        return found


def look(workspace: Workspace, alarm: Alarm) -> list[Alert]:
    """Look into the store once. Where that fails, nothing counts as told."""
    store, told = workspace.store, alarm.told()
    try:
        patterns, seen = store.quarantine.open_patterns(), store.confirmations.seen()
        return [_explained(workspace, one) for one in alarm.step(workspace.clock(), patterns, seen)]
    except (ValueError, LookupError, TypeError) as error:  # what somebody wrote into a row
        alarm.tell_again(told)
        raise IntegrityFailure(
            "quarantine.stored", f"what is held cannot be read: {error!r:.200}", "restore from a backup"
        ) from None
    except BaseException:
        alarm.tell_again(told)
        raise


class Doubts:
    """Thresholds that stand in the store without the signatures they need: each is told once by a watch."""

    def __init__(self) -> None:
        self._count = 0
        self._told: set[tuple[str, int]] = set()

    def look(self, workspace: Workspace) -> list[tuple[str, int]]:
        """Whose, and of which serial number. Read again when their number is another one."""
        count = workspace.store.quarantine.threshold_count()
        if count == self._count:
            return []
        found = {
            (one.thresholds.key, one.thresholds.serial) for one in doubted(on_record(workspace), workspace.clock())
        }
        self._count, fresh = count, sorted(found - self._told)
        self._told |= found
        return fresh


def _explained(workspace: Workspace, alert: Alert) -> Alert:
    """With what was found about the first of it."""
    records = workspace.store.quarantine.of_pattern(alert.pattern, 1)
    why = [f"{one['detector']}: {one['message']}" for record in records for one in record.findings if one["holds"]]
    return replace(alert, why=(*why,))
