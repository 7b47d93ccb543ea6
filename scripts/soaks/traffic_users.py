"""Who sends what, and when: suppliers of several sizes, network operators, the change-of-supplier party, others.

Days are those of Great Britain: people work by local time, which is an hour ahead of UTC in summer. A stream of
commands has a mean for each day, a shape over its hours, and comes in jobs of several at once.
"""

import math
import random
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cache

from smki.entity import EntityId, RemotePartyRole
from smki.parties.anomaly.limits import Campaign
from smki.parties.anomaly.seen import HOURS, Seen, Tally

OFF_ELECTRICITY, OFF_GAS, ON, ARM_GAS = 0x0050, 0x0081, 0x004F, 0x0085
READ_LOG, READ_PROFILE, READ_REGISTER, READ_SWITCH, READ_VOLTS = 0x0033, 0x0037, 0x0027, 0x0052, 0x0039
TARIFF, TOP_UP, BALANCE, TO_CREDIT, TO_PREPAYMENT, FIRMWARE = 0x0019, 0x0007, 0x001C, 0x001A, 0x001B, 0x0012
CHANGE_OF_SUPPLIER = 0x0106
SUPPLY = frozenset({OFF_ELECTRICITY, OFF_GAS, ON, ARM_GAS})
BALANCE_PATH = "1. Execute Meter balance (Credit): update_amount"
OFFICE = dict(zip(range(8, 18), (4, 11, 16, 15, 10, 12, 14, 12, 5, 1), strict=True))
_NIGHT = {0: 3, 1: 8, 2: 9, 3: 6, 4: 3, 5: 1}
_EVENING = {7: 2, 8: 3, 12: 4, 16: 5, 17: 9, 18: 12, 19: 11, 20: 9, 21: 5, 22: 2}
_MIDNIGHT = {0: 10, 1: 6, 2: 2}
_LATE = {20: 4, 21: 6, 22: 6, 23: 3}
_WEEK = (1.12, 1.05, 1.0, 1.0, 0.85, 0.0, 0.0)
_EVERY_DAY = (1.0, 1.0, 1.0, 1.0, 1.05, 1.0, 0.95)
_HOLIDAYS = {(2026, 4, 3), (2026, 4, 6), (2026, 5, 4), (2026, 5, 25), (2026, 8, 31), (2026, 12, 25), (2026, 12, 28)}
_OFFSET = 0x00DB_1200_0000_0000
_SUPPLIERS = {"giant": 200_000, "large": 100_000, "middle": 50_000, "small": 12_000, "tiny": 2_000, "modest": 25_000}
_ANNOUNCING = 50_000


@dataclass(frozen=True)
class Stream:
    """One kind of work of one user."""

    codes: dict[int, float]
    per_day: float
    hours: dict[int, int]
    week: tuple[float, ...] = _WEEK
    job: float = 1.0
    """So many come at once, on average."""
    month_ends: float = 1.0
    """So many times as many on the last two days of a month and the first two."""
    noise: float = 0.15


@dataclass
class User:
    """Somebody who sends commands."""

    name: str
    role: RemotePartyRole
    entity: EntityId
    meters: int
    streams: list[Stream]
    areas: dict[int, float] = field(default_factory=lambda: {0: 1.0})
    storms: float = 0.0
    """The chance of a day on which supply fails somewhere, and all homes there are asked."""
    first: date = date.min
    """New users have sent nothing before."""
    announces: bool = False
    """It lists beforehand what its workspace signed."""

    def target(self, number: int) -> EntityId:
        return EntityId((_OFFSET + (self.entity.octets[5] << 32) + number % max(1, self.meters)).to_bytes(8))


@dataclass(frozen=True, slots=True)
class Event:
    """One command, before it is seen."""

    second: int
    user: User
    code: int
    target: EntityId
    area: int
    values: tuple[tuple[str, float], ...] = ()
    attack: bool = False

    def seen(self, before: tuple[tuple[int, datetime], ...] = (), *, announcing: bool = True) -> Seen:
        """A thief has the key that signs commands, not the one that signs announcements."""
        user, at = self.user, datetime.fromtimestamp(self.second, UTC)
        announced = not self.attack if announcing and user.announces else None
        return Seen(at, user.entity, user.role, self.code, self.target, self.area, self.values, before, announced)


def users(chance: random.Random, newcomer: date) -> list[User]:
    """A small country: 400,000 meters; of every thousand, twenty are read in a night. Those with few announce."""
    role = RemotePartyRole
    found = [
        User(name, role.SUPPLIER, _entity(number), meters, _supplier(meters / 1000), _areas(chance, meters),
             announces=meters < _ANNOUNCING)
        for number, (name, meters) in enumerate(_SUPPLIERS.items(), 1)
    ]  # fmt: skip
    found.append(
        User("newcomer", role.SUPPLIER, _entity(9), 6_000, _supplier(3.0), _areas(chance, 6_000), first=newcomer)
    )
    for number in range(2):
        streams = [Stream({READ_VOLTS: 1.0}, 1_200, _NIGHT, _EVERY_DAY), Stream({READ_SWITCH: 1.0}, 200, OFFICE)]
        areas = {10 + number: 0.6, 12 + number: 0.4}
        found.append(
            User(f"operator {number}", role.NETWORK_OPERATOR, _entity(16 + number), 200_000, streams, areas, 0.15)
        )
    found.append(
        User("changes", role.TRANSITIONAL_COS, _entity(32), 400_000, [
            Stream({CHANGE_OF_SUPPLIER: 1.0}, 450, _MIDNIGHT, _EVERY_DAY, job=2),
        ])
    )  # fmt: skip
    found.append(
        User("advice", role.OTHER, _entity(33), 30_000, [Stream({READ_PROFILE: 1.0}, 1_500, _NIGHT, _EVERY_DAY)])
    )
    return found


def _entity(number: int) -> EntityId:
    return EntityId(bytes.fromhex("90b3d51f30") + bytes([number, 0, 0]))


def _supplier(thousands: float) -> list[Stream]:
    return [
        Stream({READ_LOG: 0.5, READ_PROFILE: 0.2, READ_REGISTER: 0.3}, 20 * thousands, _NIGHT, _EVERY_DAY, 4, 2.5),
        Stream({READ_REGISTER: 0.7, READ_SWITCH: 0.3}, 3 * thousands, OFFICE),
        Stream({OFF_ELECTRICITY: 0.8, OFF_GAS: 0.2}, 4 * thousands, OFFICE, job=1.5),
        Stream({ON: 0.8, ARM_GAS: 0.2}, 3.5 * thousands, _EVENING, _EVERY_DAY),
        Stream({TOP_UP: 1.0}, 6 * thousands, _EVENING, _EVERY_DAY),
        Stream({TARIFF: 1.0}, 2 * thousands, OFFICE, job=2),
        Stream({BALANCE: 1.0}, 1.5 * thousands, OFFICE, month_ends=3),
        Stream({TO_CREDIT: 0.4, TO_PREPAYMENT: 0.6}, 0.8 * thousands, OFFICE),
        Stream({FIRMWARE: 1.0}, 1.0 * thousands, _LATE, (0, 0, 1.0, 0, 0, 0, 0), job=5, noise=0.3),
    ]


def _areas(chance: random.Random, meters: int) -> dict[int, float]:
    if meters < 20_000:
        return {area: chance.uniform(0.2, 1) for area in chance.sample(range(10, 24), 2)}
    return {area: chance.uniform(0.5, 1.5) for area in range(10, 24)}


# A day


@cache
def clocks_change(year: int, month: int) -> datetime:
    """01:00 UTC on the last Sunday of a month: in March an hour on, in October an hour back."""
    last = date(year, month, 31)
    return datetime(year, month, last.day - (last.weekday() + 1) % 7, 1, tzinfo=UTC)


def local_midnight(day: date) -> int:
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    ahead = clocks_change(day.year, 3) <= midnight < clocks_change(day.year, 10)
    return int(midnight.timestamp()) - 3600 * ahead


def mean_of(stream: Stream, day: date, chance: random.Random) -> float:
    factor = stream.week[day.weekday()] * math.exp(chance.gauss(0, stream.noise))
    if stream.month_ends != 1 and (day.day <= 2 or (day + timedelta(days=2)).month != day.month):
        factor *= stream.month_ends
    if (day.year, day.month, day.day) in _HOLIDAYS and stream.week == _WEEK:
        factor *= 0.1
    return stream.per_day * factor


def seconds_of(stream: Stream, day: date, chance: random.Random) -> list[int]:
    """The moments of a day at which a stream has a command."""
    midnight, found = local_midnight(day), []
    jobs = poisson(mean_of(stream, day, chance) / stream.job, chance)
    for hour in chance.choices([*stream.hours], [*stream.hours.values()], k=jobs):
        second = midnight + hour * 3600 + chance.randrange(3600)
        found.append(second)
        while stream.job > 1 and chance.random() < 1 - 1 / stream.job:
            second += chance.randrange(1, 20)
            found.append(second)
    return found


def poisson(mean: float, chance: random.Random) -> int:
    if mean > 40:
        return max(0, round(chance.gauss(mean, math.sqrt(mean))))
    bound, number, product = math.exp(-mean), 0, chance.random()
    while product > bound:
        number, product = number + 1, product * chance.random()
    return number


def day_of(user: User, day: date, chance: random.Random, campaigns: Iterable[Campaign] = ()) -> Iterator[Event]:
    """All that a user sends on a day, in no order."""
    if day < user.first:
        return
    for stream in user.streams:
        moments = seconds_of(stream, day, chance)
        codes = chance.choices([*stream.codes], [*stream.codes.values()], k=len(moments))
        areas = chance.choices([*user.areas], [*user.areas.values()], k=len(moments))
        for second, code, area in zip(moments, codes, areas, strict=True):
            number = 2 * chance.randrange(1 << 30)  # a home that is switched on today is not switched off today
            target = user.target(number + (code in {ON, ARM_GAS}))
            values = ((BALANCE_PATH, min(45e6, chance.lognormvariate(14, 0.9))),) if code == BALANCE else ()
            yield Event(second, user, code, target, 0 if code in {OFF_GAS, ARM_GAS} else area, values)
    if chance.random() < user.storms:
        begin, area = local_midnight(day) + chance.randrange(6, 22) * 3600, chance.choice([*user.areas])
        for _ in range(chance.randrange(300, 2_500)):
            target = user.target(chance.randrange(1 << 30))
            yield Event(begin + int(chance.expovariate(1 / 900)), user, READ_SWITCH, target, area)
    for one in campaigns:
        if one.originator == user.entity and one.since.date() == day:
            length = int((one.until - one.since).total_seconds())
            for _ in range(int(one.count * 0.95)):
                second = int(one.since.timestamp()) + chance.randrange(length)
                yield Event(
                    second, user, TARIFF, user.target(chance.randrange(1 << 30)), chance.choice([*user.areas])
                )


def history(everybody: Iterable[User], until: date, days: int, chance: random.Random) -> list[Tally]:
    """Weeks that are over, as the store remembers them: by the hour."""
    people = list(everybody)
    named = {user.name: user for user in people}
    counted: Counter[tuple[int, str, int]] = Counter()
    for back in range(days, 0, -1):
        day = until - timedelta(days=back)
        for user in people:
            if day < user.first:
                continue
            for stream in user.streams:
                if stream.per_day > 300 and stream.hours is not OFFICE:
                    counted.update(_roughly(user, stream, day, chance))
                    continue
                for second in seconds_of(stream, day, chance):
                    code = chance.choices([*stream.codes], [*stream.codes.values()])[0]
                    counted[second - second % 3600, user.name, code] += 1
    return [
        Tally(HOURS, since, named[name].entity.octets, int(named[name].role), code, 0, number, 0, 0)
        for (since, name, code), number in counted.items()
    ]


def _roughly(
    user: User, stream: Stream, day: date, chance: random.Random
) -> dict[tuple[int, str, int], int]:  # fmt: skip
    midnight, mean = local_midnight(day), mean_of(stream, day, chance)
    whole = sum(stream.hours.values())
    return {
        (midnight + hour * 3600, user.name, code): poisson(mean * weight / whole * share, chance)
        for hour, weight in stream.hours.items()
        for code, share in stream.codes.items()
    }
