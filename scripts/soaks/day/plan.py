"""What the day's desks share: who has which home, what waits for whom, chance."""

import itertools
import queue
import random
import threading
from dataclasses import dataclass, field
from pathlib import Path

from scripts.soaks.day.hands import Hands
from scripts.soaks.day.world import World, first_supplier


@dataclass
class Revoked:
    """A certificate of a device, and when it was on record that it is revoked."""

    serial: str
    at: float


@dataclass
class Day:
    """Everything that is under way."""

    world: World
    seed: int
    to_broker: dict[str, "queue.Queue[Path]"] = field(default_factory=dict)
    to_meters: "queue.Queue[Path]" = field(default_factory=queue.Queue)
    suppliers: list[str | None] = field(default_factory=list)
    """Of each home; none while it changes hands."""
    issued: list[str] = field(default_factory=list)
    revoked: list[Revoked] = field(default_factory=list)
    all_handed_out: threading.Event = field(default_factory=threading.Event)
    """Nobody will hand out more: whoever delivers may go home when all is delivered."""
    lock: threading.Lock = field(default_factory=threading.Lock)
    _counter: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1000))
    _number: "itertools.count[int]" = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        self.suppliers = [first_supplier(number) for number in range(self.world.homes)]
        self.to_broker = {name: queue.Queue() for name in ("north", "south")}

    @property
    def hands(self) -> Hands:
        return self.world.hands

    def over(self) -> bool:
        return self.hands.stop.is_set()

    def chance(self, name: str) -> random.Random:
        """What happens to whom, the same again with the same seed."""
        return random.Random(f"{self.seed} {name}")  # noqa: S311 - it repeats a run

    def counter(self) -> int:
        """Higher than all before, whoever asks."""
        return next(self._counter)

    def next(self) -> int:
        """The number of a file that there is not yet."""
        return next(self._number)

    def new(self, name: str) -> Path:
        """A name for a file that nobody used."""
        return self.world.desk / f"{self.next():05d}-{name}"

    def out(self, name: str) -> Path:
        """The same for what a command is to write."""
        return self.world.results / f"{self.next():05d}-{name}"

    def rest(self, seconds: float) -> None:
        self.hands.stop.wait(seconds)

    def homes_of(self, supplier: str, count: int, chance: random.Random) -> list[int]:
        with self.lock:
            mine = [number for number, who in enumerate(self.suppliers) if who == supplier]
        return sorted(chance.sample(mine, min(count, len(mine))))

    def share(self, supplier: str) -> float:
        """Of all homes; who has most loses most, and nobody ends without any."""
        with self.lock:
            return self.suppliers.count(supplier) / len(self.suppliers)

    def give(self, homes: list[int], supplier: str | None) -> None:
        with self.lock:
            for number in homes:
                self.suppliers[number] = supplier
