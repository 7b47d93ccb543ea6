"""More at once than chance brings, in some stretch of time: what a `surge` detector compares.

It counts in how many spells of a stretch anything was sent, not how much: so a job of several, which a user sends now
and then, is no surge. How many spells are too many follows from the user's own mean in that hour, by Poisson's law.
"""

from dataclasses import dataclass

from smki.authority.anomaly import SurgeRule
from smki.parties.anomaly.chance import most_by_chance
from smki.parties.anomaly.explain import Finding, finding, length_of, time_of
from smki.parties.anomaly.habit import Habit
from smki.parties.anomaly.scope import Spells
from smki.parties.anomaly.seen import HOURS, UNITS, Seen


@dataclass(frozen=True, slots=True)
class Surge:
    """One detector's limits for one user in one hour."""

    rule: SurgeRule
    spells: Spells
    limits: tuple[tuple[int, int, float], ...]
    """How long, how many spells of it at most, how many commands are usual: the shortest first."""
    days: int | None
    """Of a user without a habit, how many it has."""

    @property
    def least(self) -> int:
        """With fewer in the longest, there are not too many in any."""
        return min(most for _, most, _ in self.limits)

    def explain(self, seen: Seen, second: int) -> Finding | None:
        unit = self.spells.unit
        now = second - second % unit
        for length, most, usual in self.limits:
            busy = self.spells.busy((second - length) // unit * unit)
            count = len(busy) + (self.spells.stretches[-1][0] != now)
            if count > most:
                return self._found(seen, length, count, most, usual, busy[-1] if busy else now)
        return None

    def _found(self, seen: Seen, length: int, count: int, most: int, usual: float, since: int) -> Finding:
        rule, unit = self.rule, self.spells.unit
        whose = "usual are" if self.days is None else f"a user with {self.days} days of history may send"
        return finding(
            rule.name,
            "surge",
            seen,
            f"with it {count} spells of {length_of(unit)} in {length_of(length)} have some from this user since"
            f" {time_of(since)}; {whose} {usual:.2g} commands in {length_of(length)}, and the limit is {most} spells",
            {
                "count": count,
                "limit": most,
                "window": length,
                "since": since,
                "usual": usual,
                "spell": unit,
                "least": rule.least,
                "chance": rule.chance,
            },
            holds=rule.holds,
        )


def surge_of(rule: SurgeRule, spells: Spells, habit: Habit, learning: int) -> Surge | None:
    """None where no number of spells would be too many: so much is usual that other detectors see it first."""
    is_new, limits = habit.days < learning, []
    hourly = rule.start if is_new else habit.mean
    for window in rule.windows:
        length = int(window.total_seconds())
        usual = hourly * length / UNITS[HOURS]
        most = most_by_chance(usual, rule.chance, length // spells.unit)
        if most is not None:
            limits.append((length, max(most, rule.least), usual))
    return Surge(rule, spells, tuple(limits), habit.days if is_new else None) if limits else None
