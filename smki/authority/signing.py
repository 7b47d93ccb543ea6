"""How many commands a user signs in a while before a second person looks (signing.toml)."""

import re
from dataclasses import dataclass
from datetime import timedelta

from smki.errors import InvalidInput, Refused
from smki.settings import Table

MOST_MESSAGES = 1_000_000  # in one run: they are held in memory to be judged as one
_WINDOW = re.compile(r"([1-9][0-9]{0,3})([mhd])")
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
_EVERY = "*"


class _ThresholdTable(Table, frozen=True):
    use_cases: list[str]
    count: int
    window: str


@dataclass(frozen=True, slots=True)
class Threshold:
    """At most so many signatures of each of these use cases in any stretch of time so long."""

    use_cases: tuple[str, ...]
    count: int
    window: timedelta

    def covers(self, code: str, name: str) -> bool:
        return any(item in {_EVERY, code, name} for item in self.use_cases)


@dataclass(frozen=True, slots=True)
class SigningPolicy:
    """What signing.toml says."""

    largest_batch: int
    thresholds: tuple[Threshold, ...]

    def of(self, code: str, name: str) -> tuple[Threshold, ...]:
        return tuple(item for item in self.thresholds if item.covers(code, name))


class SigningFile(Table, frozen=True):
    """The file as written."""

    largest_batch: int
    threshold: list[_ThresholdTable]

    def checked(self) -> SigningPolicy:
        """As values; every use case must have a threshold of some size, or nobody would ever look."""
        if not 1 <= self.largest_batch <= MOST_MESSAGES:
            raise Refused(
                "policy.batch", f"signing.toml: largest_batch = {self.largest_batch}", f"give 1 to {MOST_MESSAGES}"
            )
        if not any(_EVERY in table.use_cases for table in self.threshold):
            raise Refused(
                "policy.threshold", "signing.toml: no threshold covers every use case", 'add one of use_cases = ["*"]'
            )
        return SigningPolicy(self.largest_batch, tuple(_threshold(table) for table in self.threshold))


def _threshold(table: _ThresholdTable) -> Threshold:
    match = _WINDOW.fullmatch(table.window)
    if match is None or table.count < 0:
        raise InvalidInput(
            "policy.threshold",
            f"signing.toml: count = {table.count}, window = {table.window!r}",
            "give a count of 0 or more, and a window such as 30m, 24h or 7d",
        )
    return Threshold(tuple(table.use_cases), table.count, int(match[1]) * _UNITS[match[2]])
