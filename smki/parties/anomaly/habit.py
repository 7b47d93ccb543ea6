"""What somebody's habit is, from what was admitted in earlier weeks.

For each earlier day of the same kind (Monday to Friday, or the weekend): how many in as many whole hours ending with
the same hour of the day, or the hour before or after it (people move their clocks, and are late). Of the days not the
highest number is the habit but one a few places below, and the last days do not count at all: an attack that nobody
noticed would have to go on for as long to be taken for a habit. Campaigns that were announced are left out.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import accumulate

from smki.authority.anomaly import HabitPolicy
from smki.parties.anomaly.limits import Campaign
from smki.parties.anomaly.scope import Key, Scope

_HOUR, _DAY = 3600, 24
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


def habit_of(
    query: HabitQuery, days: Collection[int], rows: Iterable[tuple[Key, Mapping[int, list[int]]]]
) -> tuple[int, int]:
    """How many of the days that count had traffic of any kind, and the most that is usual in the window.

    `days` are those with traffic, `rows` the hours of the keys that are asked about.
    """
    present = query.second // _HOUR
    first = present - query.policy.history * _DAY - _DAY * (query.scope.seconds // _HOUR // _DAY + 2)
    settled = present - query.policy.settle * _DAY
    hourly = [0] * (settled - first + _DAY)
    for key, hours in rows:
        left_out = query.campaign_hours(key)
        for since, row in hours.items():
            hour = since // _HOUR
            if first <= hour < first + len(hourly) and hour not in left_out:
                hourly[hour - first] += row[0]
    begin = present // _DAY - query.policy.history
    return sum(begin <= day <= settled // _DAY for day in days), _usual(query, hourly, present - first)


def _usual(query: HabitQuery, hourly: list[int], present: int) -> int:
    length = max(1, -(-query.scope.seconds // _HOUR))
    sums = [0, *accumulate(hourly)]
    kind = _is_weekend(query.second // _HOUR)
    found = []
    for back in range(query.policy.settle, query.policy.history + 1):
        if _is_weekend(query.second // _HOUR - back * _DAY) is kind:
            end = present - back * _DAY + 1
            found.append(max(sums[last] - sums[last - length] for last in (end - 1, end, end + 1)))
    found.sort(reverse=True)
    return found[query.policy.rank - 1] if len(found) >= query.policy.rank else 0


def _is_weekend(hour: int) -> bool:
    return (hour // _DAY + _FIRST_WEEKDAY) % 7 >= _WEEKEND
