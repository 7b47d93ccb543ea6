"""Which commands are counted together, and the sum of them in a window that slides."""

from collections import deque
from copy import copy
from datetime import timedelta
from typing import Any

from smki.entity import EntityId, RemotePartyRole
from smki.parties.anomaly.seen import HOURS, MINUTES, SECONDS, UNITS

_AGES = 1 << 62
Key = tuple[bytes, int, int]
"""Originator, code, and its role and the area in one."""


class Scope:
    """Which commands a window counts; None: any."""

    __slots__ = ("area", "codes", "held", "level", "originator", "roles", "seconds", "spell")

    def __init__(
        self,
        window: timedelta,
        originator: EntityId | None = None,
        codes: frozenset[int] | None = None,
        roles: frozenset[RemotePartyRole] | None = None,
        area: int | None = None,
        *,
        held: bool = False,
        spell: int = 0,
    ) -> None:
        self.seconds = int(window.total_seconds())
        self.level = SECONDS if self.seconds <= UNITS[HOURS] else MINUTES
        self.originator = None if originator is None else originator.octets
        self.codes = codes
        self.roles = None if roles is None else frozenset(int(role) for role in roles)
        self.area = area
        self.held = held
        self.spell = spell
        """Of all that come in one stretch of so many seconds, one is counted; 0: each is."""

    def of_area(self, area: int) -> "Scope":
        """The same in one area."""
        found = copy(self)
        found.area = area
        return found

    @property
    def identity(self) -> tuple[Any, ...]:
        return self.seconds, self.originator, self.codes, self.roles, self.area, self.held, self.spell

    @property
    def unit(self) -> int:
        """How long a stretch is that it counts in."""
        return self.spell or UNITS[self.level]

    def covers(self, key: Key) -> bool:
        originator, code, rest = key
        return (
            (self.originator is None or originator == self.originator)
            and (self.codes is None or code in self.codes)
            and (self.area is None or rest >> 8 == self.area)
            and (self.roles is None or rest & 0xFF in self.roles)
        )

    def begin(self, second: int) -> int:
        """Where its first stretch begins."""
        unit = self.unit
        return (second - self.seconds) // unit * unit


class Window:
    """A sum that slides: what is added is not summed again. `total` may count what is over, never too little."""

    __slots__ = ("scope", "stretches", "total", "unit")

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.unit = scope.unit
        self.stretches: deque[list[int]] = deque([[-_AGES, 0]])
        self.total = 0

    def put(self, since: int, number: int) -> None:
        """So many more, in a stretch that may lie before the last."""
        last = self.stretches[-1]
        if last[0] == since:
            last[1] += number
        elif last[0] < since:
            self.stretches.append([since, number])
        else:
            place = len(self.stretches)
            while place and self.stretches[place - 1][0] > since:
                place -= 1
            if place and self.stretches[place - 1][0] == since:
                self.stretches[place - 1][1] += number
            else:
                self.stretches.insert(place, [since, number])
        self.total += number

    def at(self, second: int) -> int:
        """How many, with what is over let go."""
        begin = self.scope.begin(second)
        stretches = self.stretches
        while stretches[0][0] < begin and len(stretches) > 1:
            self.total -= stretches.popleft()[1]
        if stretches[0][0] < begin:
            self.total = stretches[0][1] = 0
        return self.total

    @property
    def since(self) -> int:
        """When the first of those that it counts was."""
        return next((since for since, number in self.stretches if number), 0)


class Spells(Window):
    """Of a stretch it counts only that there was something: what comes in one job counts once or twice."""

    __slots__ = ()

    def put(self, since: int, number: int) -> None:
        since -= since % self.unit
        for begin, _ in reversed(self.stretches):
            if begin <= since:
                if begin < since and number > 0:
                    super().put(since, 1)
                return

    def busy(self, begin: int) -> list[int]:
        """Those since then, the latest first."""
        found = []
        for since, number in reversed(self.stretches):
            if since < begin:
                break
            if number:
                found.append(since)
        return found
