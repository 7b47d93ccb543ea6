"""How many of what, by whom, since when: tallies in seconds, minutes and hours, and sums over windows that slide.

A window of up to an hour is counted in seconds, a longer one in minutes; both begin at the whole stretch before their
first moment, so that they count a stretch too much rather than too little. Time only goes forward: a command whose
moment lies before one that was counted is counted with that one. UTC everywhere; nothing here knows of summer time.

One process keeps one `Counts`. Before it judges it takes in, under the store's lock, what others wrote (`renew`);
afterwards the store takes what is new (`changes`). If that is not committed, the `Counts` is dropped and loaded anew.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Self

from smki.authority.anomaly import SUPPLY_OFF, Detectors
from smki.errors import Unavailable
from smki.parties.anomaly.habit import Earlier, Habit, HabitQuery, earlier, habit_of
from smki.parties.anomaly.scope import Key, Scope, Spells, Window
from smki.parties.anomaly.seen import HOURS, KEPT, OUTSIDE_AREAS, SECONDS, UNITS, Outcome, Seen, Tally, TallyLike

_ADMITTED, _HELD, _REFUSED = 0, 1, 2
_PLACE = {"admitted": _ADMITTED, "held": _HELD, "refused": _REFUSED}
_HOUR, _DAY, _DAY_HOURS = UNITS[HOURS], 86_400, 24
_FURTHEST_BACK = 3600  # a clock that is further behind than this is not a neighbour's, but wrong
_STEPS = 8

_Rows = tuple[dict[int, list[int]], dict[int, list[int]], dict[int, list[int]]]


class _Series:
    """The commands of one key: what the present second has so far, and the windows that they count in."""

    __slots__ = ("admitted", "held", "now", "second", "spells")

    def __init__(self) -> None:
        self.second = -1
        self.now = [0, 0, 0]
        self.admitted: list[Window] = []
        self.held: list[Window] = []
        self.spells: list[Window] = []
        """Of what was admitted, those that count stretches."""

    def windows(self, scope: Scope) -> list[Window]:
        """Those of the same kind."""
        return self.spells if scope.spell else self.held if scope.held else self.admitted


class Counts:
    """Everything that is counted, of everybody."""

    def __init__(self) -> None:
        self._rows: dict[Key, _Rows] = {}
        self._series: dict[Key, _Series] = {}
        self._unsettled: list[tuple[Key, _Series]] = []
        self._settled: list[tuple[Key, int, list[int]]] = []
        self._windows: dict[tuple[Any, ...], Window] = {}
        self._days: dict[bytes, set[int]] = {}
        self._habits: dict[tuple[Any, ...], Earlier] = {}
        self._usual: dict[tuple[Any, ...], Habit] = {}
        self._deltas: dict[tuple[Key, int, int], list[int]] = {}
        self.recent: dict[bytes, deque[tuple[int, int]]] = {}
        """What was admitted to each device since `changes` was last asked for."""
        self._remembered: frozenset[int] = frozenset()
        self.by_area = SUPPLY_OFF
        """Codes that are counted by area; others are counted as of none."""
        self._moment: datetime | None = None
        self._latest = self._pruned = self._habits_of = 0
        self.plans: dict[Key, Any] = {}
        self.shared: dict[Key, Any] = {}
        """What `judge` worked out for each key, and what of it is the same in every area."""
        self.plans_for: tuple[object, object] = (None, None)
        """The limits and the detectors that it worked them out from."""

    @classmethod
    def load(cls, rows: Iterable[TallyLike]) -> Self:
        """What the store has of each level: of everybody, as far back as `KEPT` says."""
        found = cls()
        found.renew(rows)
        return found

    def renew(self, rows: Iterable[TallyLike]) -> None:
        """Others wrote: these are the sums that stand in the store now, and nothing here is waiting to go there."""
        self._flush()
        for row in rows:
            key: Key = (row.originator, row.code, row.area << 8 | row.role)
            levels = self._levels(key)
            known = levels[row.level].get(row.since, (0, 0, 0))
            more = (row.admitted - known[0], row.held - known[1], row.refused - known[2])
            if any(more):
                self._put(key, row.level, row.since, more)
            if row.level == SECONDS:
                self._latest = max(self._latest, row.since)

    def second(self, moment: datetime) -> int:
        """The second that it counts in: never before the latest."""
        if moment is self._moment:
            return self._latest
        self._moment, second = moment, int(moment.timestamp())
        if second < self._latest:
            if self._latest - second > _FURTHEST_BACK:
                raise Unavailable(
                    "anomaly.clock",
                    f"commands were counted up to {spoken(self._latest)}, and it is said to be {spoken(second)}",
                    "set this machine's clock right, or wait until that time has come",
                )
        else:
            self._latest = second
        return self._latest

    @property
    def latest(self) -> int:
        """The last second that anything was counted in; 0: nothing was."""
        return self._latest

    def add(self, seen: Seen, outcome: Outcome = "admitted") -> None:
        """One command more."""
        area = seen.area if seen.code in self.by_area else OUTSIDE_AREAS
        key = seen.originator.octets, seen.code, area << 8 | seen.role
        series = self._series.get(key)
        if series is None:
            series = self._begin(key)
        second = self.second(seen.at)
        if series.second != second:
            self._settle(key, series)
            series.second = second
            self._unsettled.append((key, series))
        if outcome == "admitted":
            series.now[0] += 1
            for window in series.admitted:
                window.total += 1
                last = window.stretches[-1]
                if second - last[0] < window.unit:
                    last[1] += 1
                else:
                    window.stretches.append([second - second % window.unit, 1])
            for spells in series.spells:
                spells.put(second, 1)
            if seen.code in self._remembered:
                steps = self.recent.setdefault(seen.target.octets, deque(maxlen=_STEPS))
                steps.append((seen.code, second))
        else:
            series.now[_PLACE[outcome]] += 1
            if outcome == "held":
                for window in series.held:
                    window.put(second - second % window.unit, 1)

    def decide(self, seen: Seen, at: datetime, *, released: bool) -> None:
        """What was held waits no more: `seen` as it was held. What is released is admitted now, and makes habit."""
        self._flush()
        area = seen.area if seen.code in self.by_area else OUTSIDE_AREAS
        key: Key = (seen.originator.octets, seen.code, area << 8 | seen.role)
        then, now = int(seen.at.timestamp()), self.second(at)
        for level, unit in enumerate(UNITS):
            if now - then < KEPT[level]:
                self._note(key, level, then - then % unit, (0, -1, 0 if released else 1))
        if released:
            self.add(Seen(at, seen.originator, seen.role, seen.code, seen.target, seen.area))

    def changes(self) -> tuple[Tally, ...]:
        """What was added since this was last asked for, and is now to be added to what the store has."""
        self._flush()
        for key, second, more in self._settled:
            for level, unit in enumerate(UNITS):
                _add(self._deltas.setdefault((key, level, second - second % unit), [0, 0, 0]), more)
        self._settled.clear()
        found = tuple(
            Tally(level, since, key[0], key[2] & 0xFF, key[1], key[2] >> 8, *delta)
            for (key, level, since), delta in self._deltas.items()
        )
        self._deltas.clear()
        self.recent.clear()  # the store knows them now
        if self._latest - self._pruned >= _HOUR:
            self._prune()
        return found

    def within(self, scope: Scope, moment: datetime) -> int:
        """How many a window counts, summed anew."""
        self._flush()
        begin, place = scope.begin(self.second(moment)), _HELD if scope.held else _ADMITTED
        found = (
            (since, row[place])
            for key, levels in self._rows.items()
            if scope.covers(key)
            for since, row in levels[scope.level].items()
            if since >= begin
        )
        return (
            len({since // scope.spell for since, number in found if number})
            if scope.spell
            else sum(number for _, number in found)
        )

    def window(self, scope: Scope) -> Window:
        """The sum that slides with it; the same for all who ask for the same."""
        found = self._windows.get(scope.identity)
        if found is None:
            self._flush()
            found = self._windows[scope.identity] = Spells(scope) if scope.spell else Window(scope)
            begin, place, sums = scope.begin(self._latest), _HELD if scope.held else _ADMITTED, dict[int, int]()
            for key, levels in self._rows.items():
                if scope.covers(key):
                    for since, row in levels[scope.level].items():
                        if since >= begin and row[place]:
                            sums[since] = sums.get(since, 0) + row[place]
            for since in sorted(sums):
                found.put(since, sums[since])
            for key, series in self._series.items():
                if scope.covers(key):
                    series.windows(scope).append(found)
        return found

    def habit(self, query: HabitQuery) -> Habit:
        """What is usual; see `smki.parties.anomaly.habit`."""
        if self._habits_of != query.second // _HOUR:
            if self._habits_of // _DAY_HOURS != query.second // _DAY:
                self._habits.clear()
            self._habits_of = query.second // _HOUR
            self._usual.clear()
        usual = self._usual.get(query.scope.identity)
        if usual is None:
            usual = self._usual[query.scope.identity] = habit_of(query, self._earlier(query))
        return usual

    def _earlier(self, query: HabitQuery) -> Earlier:
        known = query.scope.originator, query.scope.codes, query.scope.roles
        found = self._habits.get(known)
        if found is None:
            self._flush()
            covered = ((key, levels[HOURS]) for key, levels in self._rows.items() if query.scope.covers(key))
            originator = query.scope.originator
            days = self._days.get(originator, set()) if originator else set().union(*self._days.values())
            found = self._habits[known] = earlier(query, days, covered)
        return found

    def between(self, scope: Scope, since: int, until: int) -> int:
        """How many were admitted from one second to another, as far as the scope's window reaches."""
        self._flush()
        since = max(since, scope.begin(self._latest))
        return sum(
            row[_ADMITTED]
            for key, levels in self._rows.items()
            if scope.covers(key)
            for begin, row in levels[scope.level].items()
            if since <= begin < until
        )

    def plan_for(self, limits: object, detectors: Detectors) -> None:
        """Others decide from now on."""
        self.plans.clear()
        self.shared.clear()
        self.by_area = detectors.by_area
        self._habits.clear()
        self._usual.clear()
        self.plans_for = (limits, detectors)
        self._remembered = detectors.remembered

    def steps(self, seen: Seen) -> Sequence[tuple[int, int]]:
        """The last codes admitted to its target, and their seconds: the store's, then those of this chunk."""
        before = [(code, int(at.timestamp())) for code, at in seen.before]
        return [*before, *self.recent.get(seen.target.octets, ())]

    def rows(self) -> Iterator[Tally]:
        """Everything, as the store would have it."""
        self._flush()
        for key, levels in self._rows.items():
            for level, kept in enumerate(levels):
                for since, row in kept.items():
                    yield Tally(level, since, key[0], key[2] & 0xFF, key[1], key[2] >> 8, *row)

    def _prune(self) -> None:
        """Let go of what no window and no habit reaches: of seconds each hour, of the others each day."""
        every = self._latest // _DAY != self._pruned // _DAY
        self._pruned = self._latest
        for levels in self._rows.values():
            for level, kept in enumerate(levels):
                if level == SECONDS or every:
                    oldest = self._latest - KEPT[level]
                    for since in [since for since in kept if since < oldest]:
                        del kept[since]

    def _levels(self, key: Key) -> _Rows:
        found = self._rows.get(key)
        if found is None:
            found = self._rows[key] = ({}, {}, {})
        return found

    def _begin(self, key: Key) -> _Series:
        series = self._series[key] = _Series()
        for window in self._windows.values():
            if window.scope.covers(key):
                series.windows(window.scope).append(window)
        return series

    def _flush(self) -> None:
        for key, series in self._unsettled:
            self._settle(key, series)
            series.second = -1
        self._unsettled.clear()

    def _settle(self, key: Key, series: _Series) -> None:
        """What its second had goes into the tallies; windows have it already."""
        if any(series.now):
            for level, unit in enumerate(UNITS):
                self._tally(key, level, series.second - series.second % unit, series.now)
            self._settled.append((key, series.second, series.now))
            series.now = [0, 0, 0]

    def _note(self, key: Key, level: int, since: int, more: Sequence[int]) -> None:
        self._put(key, level, since, more)
        _add(self._deltas.setdefault((key, level, since), [0, 0, 0]), more)

    def _tally(self, key: Key, level: int, since: int, more: Sequence[int]) -> None:
        rows = self._levels(key)[level]
        row = rows.get(since)
        if row is None:
            rows[since] = [*more]
        else:
            _add(row, more)
        if level == HOURS and more[_ADMITTED] > 0:
            self._days.setdefault(key[0], set()).add(since // _DAY)

    def _put(self, key: Key, level: int, since: int, more: Sequence[int]) -> None:
        """Into the tallies, and into the windows that count in stretches of this level."""
        self._tally(key, level, since, more)
        series = self._series.get(key) or self._begin(key)
        for place, windows in ((_ADMITTED, series.admitted), (_ADMITTED, series.spells), (_HELD, series.held)):
            for window in windows:
                if window.scope.level == level and more[place] and since >= window.scope.begin(self._latest):
                    window.put(since, more[place])


def _add(row: list[int], more: Sequence[int]) -> None:
    row[0] += more[0]
    row[1] += more[1]
    row[2] += more[2]


def spoken(second: int) -> str:
    return f"{datetime.fromtimestamp(second, UTC):%Y-%m-%dT%H:%M:%SZ}"
