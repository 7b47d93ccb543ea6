"""How values stand in rows, and how many of them go into one question.

Moments are seconds since 1970. Counters have 64 bits without a sign, which no database has: they are octets, which
sort as they count.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, TypeVar

T = TypeVar("T")
_PIECE = 500  # with seven columns each, a tenth of what SQLite takes in one statement
_COUNTER_OCTETS = 8


def places(values: Sequence[Any]) -> str:
    """As many question marks as there are values."""
    return ", ".join("?" * len(values))


def pieces(values: Sequence[T]) -> Iterator[tuple[T, ...]]:
    """So many values at a time as one statement takes."""
    return (tuple(values[start : start + _PIECE]) for start in range(0, len(values), _PIECE))


# A run of a million rows has few moments, and a datetime keeps its hash.


@lru_cache(maxsize=64)
def seconds_of(moment: datetime) -> int:
    return int(moment.timestamp())


@lru_cache(maxsize=4096)
def moment_of(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def counter_octets(counter: int) -> bytes:
    return counter.to_bytes(_COUNTER_OCTETS)
