"""What somebody's habit is, from what was admitted in earlier weeks.

For each earlier day of the same kind (Monday to Friday, or the weekend): how many in as many whole hours ending with
the same hour of the day, or with the one before it. Of these days not the highest number is the habit but one a few
places below, and the last days do not count at all: an attack that nobody noticed would have to go on for as long to
be taken for a habit. Campaigns that were announced are left out.

What is usual on average is the mean of the same days, where none counts more than the one that is the habit.

Habits follow the clocks on people's walls. So hours are compared by those of Great Britain: an hour ahead of UTC from
the last Sunday of March to that of October, 01:00 UTC.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import accumulate
from typing import NamedTuple

from smki.authority.anomaly import HabitPolicy
from smki.parties.anomaly.limits import Campaign
from smki.parties.anomaly.scope import Key, Scope

_HOUR, _DAY = 3600, 24
_LONGEST_DAYS = 8  # the longest window, and an hour before it
_FIRST_WEEKDAY = 3  # 1970-01-01 was a Thursday
_WEEKEND = 5


@dataclass(frozen=True, slots=True)
class HabitQuery:
    """Whose habit, of what, for how long a time, ending when."""

    scope: Scope
    second: int
    policy: HabitPolicy
    campaigns: tuple[Campaign, ...] = ()

    def campaign_hours(self, key: Key) -> frozenset[int]:
        """Hours of its key that are no habit."""
        return frozenset(
            hour
            for one in self.campaigns
            if one.originator.octets == key[0] and key[1] in one.codes
            for hour in range(int(one.since.timestamp()) // _HOUR, (int(one.until.timestamp()) + _HOUR - 1) // _HOUR)
        )


@dataclass(frozen=True, slots=True)
class Earlier:
    """What a day needs to know of the days that are settled: it does not change while the day lasts."""

    first: int
    """The hour that the sums begin with."""
    sums: list[int]
    """How many until each hour."""
    days: frozenset[int]
    """Those of the days that count which had traffic of any kind."""


class Habit(NamedTuple):
    """What is usual in the window."""

    days: int
    """With traffic of any kind."""
    usual: int
    """The most."""
    mean: float
    """On average; one command more in all of the time than there was."""


def earlier(query: HabitQuery, days: Collection[int], rows: Iterable[tuple[Key, Mapping[int, list[int]]]]) -> Earlier:
    """`days` are those with traffic, `rows` the hours of the keys that are asked about."""
    today, policy = query.second // _HOUR // _DAY, query.policy
    first = (today - policy.history - _LONGEST_DAYS) * _DAY
    hourly = [0] * ((today - policy.settle + 1) * _DAY + 2 - first)
    for key, hours in rows:
        left_out = query.campaign_hours(key)
        for since, row in hours.items():
            hour = since // _HOUR
            if first <= hour < first + len(hourly) and hour not in left_out:
                hourly[hour - first] += row[0]
    counting = frozenset(day for day in days if today - policy.history <= day <= today - policy.settle)
    return Earlier(first, [0, *accumulate(hourly)], counting)


def habit_of(query: HabitQuery, known: Earlier) -> Habit:
    """From the days of the same kind, each in the hours that end with this one, and with the one before it."""
    hour, sums = query.second // _HOUR, known.sums
    length, summer = max(1, -(-query.scope.seconds // _HOUR)), is_summer(hour)
    kind = _is_weekend(hour + summer)
    ending, before, days = list[int](), list[int](), 0
    for back in range(query.policy.settle, query.policy.history + 1):
        then = hour - back * _DAY
        then += summer - is_summer(then)
        if _is_weekend(then + is_summer(then)) is kind:
            end = then + 1 - known.first
            ending.append(sums[end] - sums[end - length])
            before.append(sums[end - 1] - sums[end - 1 - length])
            days += then // _DAY in known.days
    highest = sorted(map(max, ending, before), reverse=True)
    usual = highest[query.policy.rank - 1] if len(highest) >= query.policy.rank else 0
    total = max(sum(min(one, usual) for one in numbers) for numbers in (ending, before))
    return Habit(len(known.days), usual, (total + 1) / max(1, days))


def is_summer(hour: int) -> int:
    """1 where clocks are an hour ahead of UTC, 0 where they are not; hours are counted since 1970."""
    year = datetime.fromtimestamp(hour * _HOUR, UTC).year
    begin, end = _changes(year)
    return int(begin <= hour < end)


@cache
def _changes(year: int) -> tuple[int, int]:
    lasts = (datetime(year, month, 31, 1, tzinfo=UTC) for month in (3, 10))
    spring, autumn = (last - timedelta(days=(last.weekday() + 1) % 7) for last in lasts)
    return int(spring.timestamp()) // _HOUR, int(autumn.timestamp()) // _HOUR


def _is_weekend(hour: int) -> bool:
    return (hour // _DAY + _FIRST_WEEKDAY) % 7 >= _WEEKEND
