"""Weeks of traffic past the detectors, and attackers with stolen keys in it: what is held, when, and what wrongly.

Simulated time, no HSM and no store: the counts, the shipped policies, and people who behave as people do.
"""

import random
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock
from pathlib import Path

from scripts.soaks.traffic_attacks import Robbery, Strategy
from scripts.soaks.traffic_users import SUPPLY, TARIFF, Event, User, day_of, history, users
from smki.authority.anomaly import Detectors
from smki.authority.policies import load_policies
from smki.parties.anomaly.counts import Counts
from smki.parties.anomaly.detectors import held, judge
from smki.parties.anomaly.explain import Finding
from smki.parties.anomaly.limits import Campaign, Limits
from smki.parties.anomaly.seen import Tally

POLICIES = Path(__file__).parent.parent.parent / "policies"
STARTS = (date(2026, 3, 17), date(2026, 10, 13), date(2026, 1, 20), date(2026, 6, 16), date(2026, 4, 21))
"""Tuesdays: a change of the clocks, month ends, bank holidays in the four weeks after some of them."""
_HISTORY = 84
_CHUNK = 512
Tell = Callable[[str], None]


@dataclass
class Broker:
    """What admits and holds."""

    counts: Counts
    limits: Limits
    detectors: Detectors
    announcing: bool = True
    """Whether those users announce who do."""
    judged: int = 0
    before: dict[bytes, deque[tuple[int, datetime]]] = field(default_factory=dict)

    def take(self, event: Event) -> tuple[Finding, ...]:
        steps = self.before.get(event.target.octets) if event.code in SUPPLY else None
        seen = event.seen(tuple(steps or ()), announcing=self.announcing)
        found = judge(seen, self.counts, self.limits, self.detectors)
        if seen.announced:  # it does not wait with a thief's, as in smki.parties.broker.announced
            found = tuple(one for one in found if one.code != "anomaly.waiting")
        waits = held(found)
        self.counts.add(seen, "held" if waits else "admitted")
        self.judged += 1
        if self.judged % _CHUNK == 0:
            self.counts.changes()
        if event.code in SUPPLY and not waits:
            self.before.setdefault(event.target.octets, deque(maxlen=4)).append((event.code, seen.at))
        return found


@dataclass
class Told:
    """What became of one attack."""

    strategy: Strategy
    excess: int = 0
    through: int = 0
    before_first: int | None = None
    """Commands of the attack that were admitted before the first was held; None: none ever was."""
    minutes: float = 0.0
    by: Counter[str] = field(default_factory=Counter)
    first_by: tuple[str, ...] = ()
    own_waiting: int = 0
    others_waiting: int = 0

    @property
    def is_prompt(self) -> bool:
        within = self.strategy.within
        return within is None or (self.before_first is not None and self.before_first <= within * self.excess)


@dataclass
class Country:
    """Everybody, with weeks behind them."""

    people: list[User]
    chance: random.Random
    detectors: Detectors
    start: date
    limits: Limits
    rows: list[Tally]

    def legitimate(self, day: date, seed: object) -> list[Event]:
        chance = random.Random(f"{seed} {day}")  # noqa: S311 (the same day again for each attack)
        return [event for user in self.people for event in day_of(user, day, chance, self.limits.campaigns)]


def country(seed: int, names: Collection[str] = ()) -> Country:
    """Everybody, or only those who are named."""
    chance = random.Random(seed)  # noqa: S311 (it repeats a run)
    start = STARTS[seed % len(STARTS)]
    people = [user for user in users(chance, start - timedelta(days=6)) if not names or user.name in names]
    detectors = load_policies(POLICIES).anomaly
    return Country(
        people, chance, detectors, start, _announced(people, start), history(people, start, _HISTORY, chance)
    )


def _announced(people: Iterable[User], start: date) -> Limits:
    """New prices on the first of the next month, sent the evening before to a share of all homes."""
    first = (start.replace(day=1) + timedelta(days=32)).replace(day=1)
    evening = datetime.combine(first - timedelta(days=1), clock(17), UTC)
    campaigns = tuple(
        Campaign(
            f"prices of {user.name}", user.entity, frozenset({TARIFF}), evening, evening + timedelta(hours=6), number
        )
        for user in people
        if (number := user.meters // 40) and user.name in {"giant", "middle", "tiny"}
    )
    return Limits(campaigns=campaigns)


def clean_weeks(
    there: Country, days: int, seed: int
) -> tuple[Broker, list[tuple[Event, tuple[Finding, ...]]], Counter[str]]:
    """Days without an attack: whatever is held is held wrongly."""
    broker = Broker(Counts.load(there.rows), there.limits, there.detectors)
    wrong, warned = [], Counter[str]()
    for number in range(days):
        day = there.start + timedelta(days=number)
        for event in sorted(there.legitimate(day, seed), key=lambda one: one.second):
            if found := broker.take(event):
                warned.update(one.detector for one in found if not one.holds)
                if held(found):
                    wrong.append((event, found))
    return broker, wrong, warned


def attack(there: Country, base: Sequence[Tally], after: int, strategy: Strategy, seed: int) -> Told:
    """The days after the clean ones, with an attacker among them."""
    day = there.start + timedelta(days=after)
    while day.weekday() in {0, 4, 5, 6}:
        day += timedelta(days=1)
    chance = random.Random(f"{seed} {strategy.name}")  # noqa: S311
    them = Robbery({user.name: user for user in there.people}, day, chance)
    events = [*strategy.make(them)]
    robbed = {event.user.name for event in events}
    excess = len(events)
    for number in range(after - (day - there.start).days, strategy.days):
        events += there.legitimate(day + timedelta(days=number), seed)
    broker = Broker(Counts.load(base), there.limits, there.detectors, strategy.announcing)
    told = Told(strategy, excess)
    begin = 0
    for event in sorted(events, key=lambda one: one.second):
        found = broker.take(event)
        if event.attack:
            begin = begin or event.second
            _attacked(told, event, found, begin)
        elif held(found):
            told.own_waiting += event.user.name in robbed
            told.others_waiting += event.user.name not in robbed
    return told


def _attacked(told: Told, event: Event, found: Sequence[Finding], begin: int) -> None:
    names = tuple(one.detector for one in found if one.holds)
    told.by.update(names)
    if not names:
        told.through += 1
    elif told.before_first is None:
        told.before_first, told.first_by = told.through, names
        told.minutes = (event.second - begin) / 60
