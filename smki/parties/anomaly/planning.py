"""Which windows guard the commands of one key, with which numbers: worked out once an hour, not for each command."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from math import sqrt

from smki.authority.anomaly import (
    SUPPLY_OFF,
    AreaRule,
    CountRule,
    Detectors,
    MixRule,
    RateRule,
    Rule,
    SequenceRule,
    SurgeRule,
    UnannouncedRule,
    ValueRule,
    WaitingRule,
)
from smki.parties.anomaly.counts import Counts
from smki.parties.anomaly.explain import Finding, finding, length_of, time_of
from smki.parties.anomaly.habit import HabitQuery
from smki.parties.anomaly.limits import Campaign, Limit, Limits
from smki.parties.anomaly.scope import Scope, Spells, Window
from smki.parties.anomaly.seen import OUTSIDE_AREAS, Seen, is_at
from smki.parties.anomaly.sequence import senseless
from smki.parties.anomaly.surge import surge_of

_HOUR = 3600
Explain = Callable[[Seen, int], Finding | None]
Guard = tuple[Window, int, Explain]
"""While a window's sum is below the number, there is nothing to explain."""
Look = Callable[[Seen], Finding | None]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked of the commands of one key, until the next hour or the edge of a campaign."""

    until: int
    guards: tuple[Guard, ...]
    values: tuple[Look, ...]
    """What is asked of each command that has values of its payload with it."""
    sequences: tuple[Look, ...]
    """What is asked of each command to a device that was sent something before."""
    unannounced: tuple[Look, ...]
    """What is asked of each command that its user did not announce, where the user does."""


@dataclass(frozen=True, slots=True)
class Planner:
    """One key's commands, at a moment."""

    seen: Seen
    second: int
    counts: Counts
    limits: Limits
    detectors: Detectors

    def plan(self) -> Plan:
        """What is the same in every area is worked out once for all of them."""
        known = self.seen.originator.octets, self.seen.code, int(self.seen.role)
        shared: Plan | None = self.counts.shared.get(known)
        if shared is None or self.second >= shared.until:
            shared = self.counts.shared[known] = self._shared()
        rules = self.detectors.covering(self.seen.code, self.seen.role) if self.seen.area != OUTSIDE_AREAS else ()
        local = [self._of_area(rule) for rule in rules if isinstance(rule, AreaRule)]
        return replace(shared, guards=(*shared.guards, *local)) if local else shared

    def _shared(self) -> Plan:
        rules = self.detectors.covering(self.seen.code, self.seen.role)
        guards = [guard for rule in rules for guard in self._of_rule(rule)]
        guards += [guard for limit in self._limits() for guard in self._of_limit(limit)]
        guards += [self._of_campaign(one) for one in self._running() if self.seen.code in one.codes]
        edges = [edge for one in self.limits.campaigns for edge in span(one) if edge > self.second]
        until = min([self.second - self.second % _HOUR + _HOUR, *edges])
        return Plan(
            until,
            tuple(guards),
            tuple(self._values(rules)),
            tuple(self._sequences(rules)),
            tuple(partial(_unannounced, rule) for rule in rules if isinstance(rule, UnannouncedRule)),
        )

    def _running(self) -> Iterator[Campaign]:
        for one in self.limits.campaigns:
            since, until = span(one)
            if one.originator == self.seen.originator and since <= self.second < until:
                yield one

    def _scope(self, of: str, window: timedelta, codes: frozenset[int] | None, rule: Rule | Limit) -> Scope:
        if of == "all":
            return Scope(window, None, codes, rule.roles)
        return Scope(window, self.seen.originator, codes, frozenset({self.seen.role}))

    def _of_rule(self, rule: Rule) -> Iterator[Guard]:
        match rule:
            case CountRule():
                scope = self._scope(rule.of, rule.window, rule.codes, rule)
                yield self._counted(scope, rule.name, "count", rule.count, holds=rule.holds)
            case RateRule():
                yield self._rated(rule)
            case SurgeRule() if self.seen.code in SUPPLY_OFF or not self._in_campaign(rule, rule.windows[-1]):
                yield from self._surged(rule)
            case MixRule() if self.seen.code in SUPPLY_OFF or not self._in_campaign(rule, rule.window):
                scope = self._scope("each", rule.window, self._compared(rule, rule.window), rule)
                yield self.counts.window(scope), rule.least - 1, partial(self._mixed, rule, scope)
            case WaitingRule():
                codes = frozenset({self.seen.code})
                scope = Scope(rule.window, self.seen.originator, codes, frozenset({self.seen.role}), held=True)
                yield self.counts.window(scope), rule.count, partial(_waiting, rule, self.counts.window(scope))
            case _:
                return

    def _of_area(self, rule: AreaRule) -> Guard:
        scope = self._scope(rule.of, rule.window, rule.codes, rule).of_area(self.seen.area)
        return self._counted(scope, rule.name, "area", rule.count, holds=rule.holds)

    def _counted(self, scope: Scope, name: str, kind: str, count: int, *, holds: bool) -> Guard:
        window, most = self.counts.window(scope), count + self._raised(scope)
        return self._beside(scope, (window, most, partial(_too_many, name, kind, window, most, holds)))

    def _rated(self, rule: RateRule) -> Guard:
        scope = self._scope(rule.of, rule.window, rule.codes, rule)
        query = HabitQuery(scope, self.second, self.detectors.habit, self.limits.campaigns)
        days, usual, _ = self.counts.habit(query)
        is_new = days < self.detectors.habit.learning
        expected = usual * min(1.0, scope.seconds / _HOUR)
        chance = rule.spread * sqrt(expected)
        most = rule.start if is_new else max(rule.least, int(rule.factor * expected + chance))
        most += self._raised(scope)
        window = self.counts.window(scope)
        facts = {
            "usual": usual,
            "factor": rule.factor,
            "spread": rule.spread,
            "least": rule.least,
            "start": rule.start,
            "days": days,
        }
        guard = self._beside(scope, (window, most, partial(_too_quick, rule, window, most, facts, is_new)))
        return guard if rule.of == "each" else self._above(rule, guard)

    def _above(self, rule: RateRule, guard: Guard) -> Guard:
        """Too many of all together hold whoever is above its own habit: nobody else waits for a thief."""
        own = self._scope("each", rule.window, rule.codes, rule)
        days, usual, _ = self.counts.habit(HabitQuery(own, self.second, self.detectors.habit, self.limits.campaigns))
        if days < self.detectors.habit.learning:
            return guard
        (window, most, explain), theirs = guard, self.counts.window(own)
        expected = int(usual * min(1.0, own.seconds / _HOUR))

        def explained(seen: Seen, second: int) -> Finding | None:
            return explain(seen, second) if theirs.at(second) >= expected else None

        return window, most, explained

    def _mixed(self, rule: MixRule, scope: Scope, seen: Seen, second: int) -> Finding | None:
        whole = Scope(rule.window, seen.originator, None, frozenset({seen.role}))
        these, every = self.counts.window(scope).at(second) + 1, self.counts.window(whole).at(second) + 1
        policy, campaigns = self.detectors.habit, self.limits.campaigns
        days, usual, _ = self.counts.habit(HabitQuery(scope, second, policy, campaigns))
        _, usually, _ = self.counts.habit(HabitQuery(whole, second, policy, campaigns))
        known = usual / usually if usually and days >= policy.learning else 0.0
        most = max(rule.share, rule.factor * known)
        if these / every <= most:
            return None
        return finding(
            rule.name,
            "mix",
            seen,
            f"{these} of the {every} commands in {length_of(scope.seconds)} from this user are of this kind,"
            f" {these / every:.0%}; it may be {most:.0%}, and is {known:.0%} usually",
            {"these": these, "all": every, "most": most, "usual": known},
            holds=rule.holds,
        )

    def _surged(self, rule: SurgeRule) -> Iterator[Guard]:
        longest = rule.windows[-1]
        codes, whose = self._compared(rule, longest), frozenset({self.seen.role})
        scope = Scope(longest, self.seen.originator, codes, whose, spell=rule.spell)
        habit = self.counts.habit(HabitQuery(scope, self.second, self.detectors.habit, self.limits.campaigns))
        spells = self.counts.window(scope)
        assert isinstance(spells, Spells), "its scope says so"
        surge = surge_of(rule, spells, habit, self.detectors.habit.learning)
        if surge is not None:
            yield spells, surge.least, surge.explain

    def _compared(self, rule: MixRule | SurgeRule, window: timedelta) -> frozenset[int] | None:
        """Beside a campaign, whose own are as many as they are, still what turns supply off."""
        if not self._in_campaign(rule, window):
            return rule.codes
        return SUPPLY_OFF if rule.codes is None else rule.codes & SUPPLY_OFF

    def _in_campaign(self, rule: MixRule | SurgeRule, window: timedelta) -> bool:
        """Whether one is in its window: it changes what is sent beside what."""
        length = int(window.total_seconds())
        return any(
            one.originator == self.seen.originator
            and (rule.codes is None or one.codes & rule.codes)
            and span(one)[0] <= self.second < span(one)[1] + length + _HOUR
            for one in self.limits.campaigns
        )

    def _raised(self, scope: Scope) -> int:
        """What campaigns add: all of one that runs, and of one that is over what it used; see `_beside`."""
        more = 0
        for one in self.limits.campaigns:
            since, until = span(one)
            codes = one.codes if scope.codes is None else one.codes & scope.codes
            if not codes or scope.originator not in {None, one.originator.octets} or self.second < since:
                continue
            if self.second < until:
                more += 0 if self.seen.code in SUPPLY_OFF else one.count
            elif self.second < until + scope.seconds + _HOUR:
                used = Scope(timedelta(seconds=scope.seconds), one.originator, codes, None, scope.area)
                more += min(one.count, self.counts.between(used, since, until))
        return more

    def _beside(self, scope: Scope, guard: Guard) -> Guard:
        """What turns supply off is given no room by a campaign that runs: what that used is not counted, no more."""
        if self.seen.code not in SUPPLY_OFF:
            return guard
        used = [
            (
                self.counts.window(Scope(timedelta(seconds=scope.seconds), one.originator, codes, None, scope.area)),
                one,
            )
            for one in self._running_in(scope)
            if (codes := one.codes if scope.codes is None else one.codes & scope.codes)
        ]
        if not used:
            return guard
        window, most, explain = guard

        def explained(seen: Seen, second: int) -> Finding | None:
            beside = sum(min(one.count, theirs.at(second)) for theirs, one in used)
            return explain(seen, second) if window.total - beside >= most else None

        return window, most, explained

    def _running_in(self, scope: Scope) -> Iterator[Campaign]:
        """Those of whomever it counts."""
        for one in self.limits.campaigns:
            since, until = span(one)
            if scope.originator in {None, one.originator.octets} and since <= self.second < until:
                yield one

    def _of_campaign(self, one: Campaign) -> Guard:
        """As many as were announced, in as long a time."""
        window = self.counts.window(Scope(one.until - one.since, one.originator, one.codes))
        return window, one.count, partial(_too_many, one.name, "campaign", window, one.count, True)

    def _limits(self) -> Iterator[Limit]:
        for one in (*self.limits.own.get(self.seen.originator, ()), *self.limits.everyone):
            if (one.codes is None or self.seen.code in one.codes) and (
                one.roles is None or self.seen.role in one.roles
            ):
                yield one

    def _of_limit(self, one: Limit) -> Iterator[Guard]:
        scope = self._scope(one.of, one.window, one.codes, one)
        yield self._counted(scope, one.name, "threshold", one.count, holds=True)
        if one.warn is not None and one.warn < one.count:
            yield self._counted(scope, one.name, "threshold", one.warn, holds=False)

    def _values(self, rules: Iterable[Rule]) -> Iterator[Look]:
        for rule in rules:
            if isinstance(rule, ValueRule):
                yield partial(_out_of_range, rule.name, rule.path, rule.least, rule.most, rule.holds)
        for one in self.limits.values:
            if self.seen.code in one.codes:
                yield partial(_out_of_range, one.name, one.path, one.least, one.most, True)

    def _sequences(self, rules: Iterable[Rule]) -> Iterator[Look]:
        for rule in rules:
            if isinstance(rule, SequenceRule):
                yield partial(senseless, rule, self.counts)


def span(one: Campaign) -> tuple[int, int]:
    return int(one.since.timestamp()), int(one.until.timestamp())


def _too_many(name: str, kind: str, window: Window, most: int, holds: bool, seen: Seen, _: int) -> Finding:
    scope = window.scope
    whose = "all users" if scope.originator is None else "this user"
    where = "" if scope.area is None else f" in area {scope.area}"
    return finding(
        name,
        kind,
        seen,
        f"with it {window.total + 1} from {whose}{where} in {length_of(scope.seconds)} since {time_of(window.since)};"
        f" the limit is {most}",
        {"count": window.total + 1, "limit": most, "window": scope.seconds, "since": window.since},
        holds=holds,
    )


def _too_quick(
    rule: RateRule, window: Window, most: int, facts: dict[str, float], is_new: bool, seen: Seen, _: int
) -> Finding:  # fmt: skip
    whose = "all users together" if rule.of == "all" else "this user"
    length = length_of(window.scope.seconds)
    hours = "in an hour" if window.scope.seconds <= _HOUR else f"in {length}"
    why = (
        f"a user with {facts['days']} days of history may {rule.start}"
        if is_new
        else f"usual at this time of such days are {facts['usual']} {hours}, and the limit is {most}"
    )
    return finding(
        rule.name,
        "rate",
        seen,
        f"with it {window.total + 1} from {whose} in {length} since {time_of(window.since)}; {why}",
        {"count": window.total + 1, "limit": most, "window": window.scope.seconds, "since": window.since, **facts},
        holds=rule.holds,
    )


def _waiting(rule: WaitingRule, window: Window, seen: Seen, _: int) -> Finding:
    return finding(
        rule.name,
        "waiting",
        seen,
        f"{window.total} of this use case from this user wait for a person since {time_of(window.since)}",
        {"waiting": window.total, "limit": rule.count, "window": window.scope.seconds, "since": window.since},
        holds=rule.holds,
    )


def _unannounced(rule: UnannouncedRule, seen: Seen) -> Finding:
    message = "this user announces what it signs, and did not announce this"
    return finding(rule.name, "unannounced", seen, message, {}, holds=rule.holds)


def _out_of_range(
    name: str, path: str, least: float | None, most: float | None, holds: bool, seen: Seen
) -> Finding | None:  # fmt: skip
    for found, number in seen.values:
        if is_at(found, path):
            if (least is None or number >= least) and (most is None or number <= most):
                continue
            bounds = {key: value for key, value in (("least", least), ("most", most)) if value is not None}
            said = ", ".join(f"{key} {value:g}" for key, value in bounds.items())
            message = f"{found!r} is {number:g}; allowed: {said}"
            return finding(name, "value", seen, message, {"value": number, **bounds}, holds=holds)
    return None
