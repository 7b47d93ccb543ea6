"""python -m scripts.soaks.traffic_record FOLDER: a little of the simulated traffic, as files that tests read again.

A line is a JSON array: `["tally", ...]` as the store has them, then `["seen", second, user, role, code, target, area,
values, found]`, where `found` are the names of the detectors that found something, those that hold with a `!`.
"""

import json
import random
import sys
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from pathlib import Path

from scripts.soaks.traffic import Broker, country
from scripts.soaks.traffic_attacks import STRATEGIES, Robbery
from scripts.soaks.traffic_users import OFF_ELECTRICITY, OFF_GAS, TO_PREPAYMENT, Event, history, local_midnight
from smki.parties.anomaly.counts import Counts
from smki.parties.anomaly.limits import NO_LIMITS
from smki.parties.anomaly.seen import Tally

_DAY = date(2026, 3, 18)
_HISTORY = 30
_KEPT = {OFF_ELECTRICITY, OFF_GAS, TO_PREPAYMENT}
RECORDS = {
    "burst": ("ten times in an hour, middle", {"middle", "operator 0"}, 10.0, 10.5, 600),
    "night": ("1 % of all, at night", {"small"}, 1.0, 4.0, 500),
    "toggling": ("off, on and off again, 100 homes", {"giant"}, 9.0, 10.5, 500),
    "balances": ("balances beyond all bounds", {"large"}, 9.0, 12.0, 400),
}


def main(folder: Path) -> None:
    for name, what in RECORDS.items():
        lines = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in _record(*what))
        (folder / f"anomaly-{name}.jsonl").write_text(lines, encoding="utf-8")


def _record(attack: str, names: set[str], begin: float, end: float, most: int) -> Iterator[list[object]]:
    there = country(0)
    people = [user for user in there.people if user.name in names]
    chance = random.Random(attack)  # noqa: S311 (the same file again)
    rows = [row for row in history(people, _DAY, _HISTORY, chance) if row.code in _KEPT]
    yield from (["tally", *_told(row)] for row in sorted(rows))
    make: Callable[[Robbery], Iterable[Event]] = next(one.make for one in STRATEGIES if one.name == attack)
    events = [*make(Robbery({user.name: user for user in there.people}, _DAY, chance))]
    events += [event for event in there.legitimate(_DAY, attack) if event.user.name in names]
    first, last = (local_midnight(_DAY) + int(hour * 3600) for hour in (begin, end))
    broker = Broker(Counts.load(rows), NO_LIMITS, there.detectors, announcing=False)
    for event in sorted((one for one in events if first <= one.second < last), key=_second)[:most]:
        found = [one.detector + "!" * one.holds for one in broker.take(event)]
        entity, role, values = event.user.entity.octets.hex(), int(event.user.role), event.values
        yield ["seen", event.second, entity, role, event.code, event.target.octets.hex(), event.area, values, found]


def _second(event: Event) -> int:
    return event.second


def _told(row: Tally) -> list[object]:
    return [row.level, row.since, row.originator.hex(), *row[3:]]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
