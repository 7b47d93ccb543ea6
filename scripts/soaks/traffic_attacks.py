"""What somebody does with stolen keys: valid signatures, permitted use cases, homes of the robbed party."""

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta

from scripts.soaks.traffic_users import (
    BALANCE,
    BALANCE_PATH,
    OFF_ELECTRICITY,
    OFFICE,
    ON,
    TO_PREPAYMENT,
    Event,
    User,
    local_midnight,
)

VOLUME = 17_000
"""What all users together send on a day, about."""


@dataclass(frozen=True)
class Robbery:
    """The world an attack happens in."""

    users: Mapping[str, User]
    day: date
    chance: random.Random

    def habit(self, name: str) -> float:
        """What a supplier turns off on an ordinary day."""
        return next(stream.per_day for stream in self.users[name].streams if OFF_ELECTRICITY in stream.codes)

    def at(self, day: int, hour: float) -> int:
        return local_midnight(self.day + timedelta(days=day)) + int(hour * 3600)

    def event(self, name: str, second: int, code: int = OFF_ELECTRICITY, **more: object) -> Event:
        user = self.users[name]
        area = self.chance.choices([*user.areas], [*user.areas.values()])[0]
        facts: dict[str, object] = {"target": user.target(self.chance.randrange(1 << 30)), "area": area} | more
        return Event(second, user, code, attack=True, **facts)  # type: ignore[arg-type]

    def burst(self, name: str, number: float, hour: float, hours: float, **more: object) -> Iterator[Event]:
        for _ in range(int(number)):
            yield self.event(name, self.at(0, hour + self.chance.random() * hours), **more)  # type: ignore[arg-type]

    def by_day(self, name: str, number: float, day: int = 0) -> Iterator[Event]:
        """By the shape of a working day."""
        for hour in self.chance.choices([*OFFICE], [*OFFICE.values()], k=int(number)):
            yield self.event(name, self.at(day, hour + self.chance.random()))


Make = Callable[[Robbery], Iterator[Event]]


@dataclass(frozen=True)
class Strategy:
    """One way to go about it."""

    name: str
    make: Make
    days: int = 1
    within: float | None = None
    """Before the first is held, at most such a share of it passes: what is promised; None: nothing is."""
    announcing: bool = True
    """Whether those who announce do."""


def _keys(them: Robbery) -> Iterator[Event]:
    for name in ("giant", "large", "middle", "small"):
        yield from them.by_day(name, them.habit(name) * 0.6)


def _toggling(them: Robbery) -> Iterator[Event]:
    user = them.users["giant"]
    for _ in range(100):
        begin, target = them.at(0, 9 + them.chance.random() * 6), user.target(them.chance.randrange(1 << 30))
        for step, code in enumerate((OFF_ELECTRICITY, ON, OFF_ELECTRICITY)):
            yield them.event("giant", begin + step * 1_200, code, target=target)


def _balances(least: float, most: float) -> Make:
    def make(them: Robbery) -> Iterator[Event]:
        for _ in range(int(VOLUME * 0.01)):
            value = them.chance.uniform(least, most)
            second = them.at(0, 9 + them.chance.random() * 8)
            yield them.event("large", second, BALANCE, values=((BALANCE_PATH, value),))

    return make


def _patient(them: Robbery) -> Iterator[Event]:
    """A tenth more of the habit with each working day."""
    for day in range(14):
        if (them.day + timedelta(days=day)).weekday() < 5:
            yield from them.by_day("giant", them.habit("giant") * 0.1 * (day + 1), day)


def _one_area(them: Robbery) -> Iterator[Event]:
    area = them.chance.choice([*them.users["giant"].areas])
    return them.burst("giant", VOLUME * 0.03, 11, 1, area=area)


def _drip(share: float, days: int) -> Make:
    def make(them: Robbery) -> Iterator[Event]:
        number = int(them.habit("giant") * share * days)
        for place in range(number):
            yield them.event("giant", them.at(0, 24 * days * place / number))

    return make


def _tenfold(name: str, in_an_hour: float, by_the_day: float) -> tuple[Strategy, Strategy]:
    """Of somebody who announces nothing, or not yet."""
    return (
        Strategy(
            f"ten times in an hour, {name}",
            lambda them: them.burst(name, them.habit(name) * 9, 10.3, 1),
            within=in_an_hour,
            announcing=False,
        ),
        Strategy(
            f"ten times over the day, {name}",
            lambda them: them.by_day(name, them.habit(name) * 9),
            within=by_the_day,
            announcing=False,
        ),
    )


def _announced(name: str) -> Iterator[Strategy]:
    for one in _tenfold(name, 0, 0):
        yield replace(one, name=f"{one.name}, who announces", announcing=True)


# Of 800, 400, 200, 100 and 48 a day: a hundredth, but for the unlucky; below, what chance leaves room for
_PROMISED = {
    "giant": (0.01, 0.01),
    "large": (0.01, 0.0125),
    "middle": (0.01, 0.02),
    "modest": (0.025, 0.06),
    "small": (0.07, 0.12),
}


STRATEGIES = (
    *(strategy for name, shares in _PROMISED.items() for strategy in _tenfold(name, *shares)),
    *(strategy for name in ("modest", "small", "tiny") for strategy in _announced(name)),
    Strategy("ten times at night, giant", lambda t: t.burst("giant", t.habit("giant") * 9, 2, 2), within=0.01),
    Strategy("1 % of all, at night", lambda t: t.burst("giant", VOLUME * 0.01, 1, 5)),
    Strategy("3 % of all in one area in an hour", _one_area),
    Strategy("3 % of all over the areas in an hour", lambda t: t.burst("giant", VOLUME * 0.03, 11, 1)),
    Strategy("5 % of all by the day's shape", lambda t: t.by_day("giant", VOLUME * 0.05)),
    Strategy("twice the habit by the day's shape", lambda t: t.by_day("giant", t.habit("giant"))),
    Strategy("three tenths more by the day's shape", lambda t: t.by_day("giant", t.habit("giant") * 0.3)),
    Strategy("drip of half the habit, three days", _drip(0.5, 3), days=3),
    Strategy("drip of a fifth of the habit, three days", _drip(0.2, 3), days=3),
    Strategy("a tenth more each day, two weeks", _patient, days=14),
    Strategy("four keys at once, three fifths more", _keys),
    Strategy("off, on and off again, 100 homes", _toggling),
    Strategy(
        "to prepayment, 2 % of all in two hours", lambda t: t.burst("large", VOLUME * 0.02, 10, 2, code=TO_PREPAYMENT)
    ),
    Strategy("a newcomer's key, 2 % of all", lambda t: t.by_day("newcomer", VOLUME * 0.02)),
    Strategy("balances beyond all bounds", _balances(60e6, 500e6)),
    Strategy("balances within bounds", _balances(20e6, 49e6)),
)
