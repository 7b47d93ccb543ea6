"""A command as the detectors see it: it broke no other rule, and only whether it is too much is left to ask."""

import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Literal, NamedTuple, Protocol

import msgspec

from smki.authority.anomaly import Detectors
from smki.entity import EntityId, RemotePartyRole
from smki.gbcs.words import Reading

SECONDS, MINUTES, HOURS = 0, 1, 2
UNITS = (1, 60, 3600)
"""How long a stretch of each level is, in seconds."""
KEPT = (2 * 3600, 8 * 86_400, 90 * 86_400)
"""How far back each level is needed, in seconds. What is older may be dropped from the store."""
OUTSIDE_AREAS = 0
_NUMBERED = re.compile(r"^[0-9]+\. ")

Outcome = Literal["admitted", "held", "refused"]


class Seen(msgspec.Struct, frozen=True, gc=False):
    """One command that passed every other rule."""

    at: datetime
    originator: EntityId
    role: RemotePartyRole
    code: int
    target: EntityId
    area: int = OUTSIDE_AREAS
    """The distribution area, 10 to 23, of an electricity meter point; 0 where it is unknown."""
    values: tuple[tuple[str, float], ...] = ()
    """What `values_of` found in its payload."""
    before: tuple[tuple[int, datetime], ...] = ()
    """What was admitted to its target before, the latest last: codes that `Detectors.remembered` has, and when."""
    announced: bool | None = None
    """Whether its user announced it; None where the user announces nothing."""


class TallyLike(Protocol):
    """How many of a kind fell into one stretch of time, as the store keeps it."""

    @property
    def level(self) -> int: ...
    @property
    def since(self) -> int: ...
    @property
    def originator(self) -> bytes: ...
    @property
    def role(self) -> int: ...
    @property
    def code(self) -> int: ...
    @property
    def area(self) -> int: ...
    @property
    def admitted(self) -> int: ...
    @property
    def held(self) -> int: ...
    @property
    def refused(self) -> int: ...


class Tally(NamedTuple):
    """The same, as it comes from here."""

    level: int
    since: int
    originator: bytes
    role: int
    code: int
    area: int
    admitted: int
    held: int
    """Those that still wait: a release or a rejection takes one away again, where it was added."""
    refused: int


def area_of(digits: str | None) -> int:
    """The distribution area of an electricity meter point: the first two digits of an MPAN core, 10 to 23."""
    if digits is None or len(digits) != 13:
        return OUTSIDE_AREAS
    area = int(digits[:2])
    return area if area in range(10, 24) else OUTSIDE_AREAS


def values_of(reading: Reading, detectors: Detectors) -> tuple[tuple[str, float], ...]:
    """What the detectors ask for of a payload: nothing is put into words for them where they ask for nothing."""
    paths = detectors.paths(int(reading.message.header.code))
    return numbers(reading.values, paths) if paths else ()


def numbers(values: Mapping[str, str], paths: frozenset[str]) -> tuple[tuple[str, float], ...]:
    """Those of a reading's values that are asked for and are numbers; `*` at a path's end is for what follows."""
    found: list[tuple[str, float]] = []
    for path, text in values.items():
        if any(is_at(path, one) for one in paths):
            number = text.partition(" ")[0].replace(",", "")
            with suppress(ValueError):
                found.append((path, float(number)))
    return tuple(found)


def is_at(path: str, asked: str) -> bool:
    """Whether a value's path is one that is asked for, whichever place its operation has among others."""
    path, asked = _NUMBERED.sub("", path), _NUMBERED.sub("", asked)
    return path.startswith(asked[:-1]) if asked.endswith("*") else path == asked
