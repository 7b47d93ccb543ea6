"""How many commands a user signs in a while before a second person looks (signing.toml)."""

from dataclasses import dataclass
from datetime import timedelta

from smki.authority.stretch import read_stretch
from smki.errors import Refused
from smki.settings import Table, at

MOST_MESSAGES = 1_000_000  # in one run: they are held in memory to be judged as one
_EVERY = "*"
# Whatever a file says, this many homes are the most that one key darkens before a second person looks.
_SUPPLY_OFF = (("0x0050", "ECS43"), ("0x0081", "GCS32"))
_MOST_SUPPLY_OFF = 10_000
_LEAST_WINDOW = timedelta(hours=1)
_MOST_COUNT = 100_000_000  # more than all homes: a count above it guards nothing


class _ThresholdTable(Table, frozen=True):
    use_cases: list[str]
    """Names, codes, or `"*"` for all."""
    count: int
    """So many pass; 0 or more."""
    window: str
    """In any stretch of time so long, such as `30m`, `24h`, `7d`."""


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

    def check_names(self, known: frozenset[str]) -> None:
        """A threshold for a use case that nobody knows would guard nothing."""
        for name in {item for one in self.thresholds for item in one.use_cases} - known - {_EVERY}:
            raise Refused(
                "policy.threshold",
                f"{at('signing.toml', 'threshold.use_cases')}: no use case is called {name[:30]!r}",
                "see `smki usecase list`",
            )

    def of(self, code: str, name: str) -> tuple[Threshold, ...]:
        return tuple(item for item in self.thresholds if item.covers(code, name))


class SigningFile(Table, frozen=True):
    """How many commands one key signs in a while before a second officer looks."""

    largest_batch: int
    """Messages in one run: 1 to {MOST_MESSAGES}."""
    threshold: list[_ThresholdTable]
    """One of them must be for `"*"`; and what turns supply off is held to {_MOST_SUPPLY_OFF} at most, in an hour
    or more."""

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
        policy = SigningPolicy(self.largest_batch, tuple(_threshold(table) for table in self.threshold))
        for code, name in _SUPPLY_OFF:
            if not any(
                one.count <= _MOST_SUPPLY_OFF and one.window >= _LEAST_WINDOW for one in policy.of(code, name)
            ):
                raise Refused(
                    "policy.threshold",
                    f"signing.toml: no threshold holds {name}, which turns supply off, to {_MOST_SUPPLY_OFF}",
                    f"give it a count of {_MOST_SUPPLY_OFF} at most, in a window of an hour at least",
                )
        return policy


def _threshold(table: _ThresholdTable) -> Threshold:
    if not 0 <= table.count <= _MOST_COUNT:
        raise Refused("policy.threshold", f"signing.toml: count = {table.count}", f"give 0 to {_MOST_COUNT}")
    window = read_stretch(table.window, at("signing.toml", "threshold.window"))
    return Threshold(tuple(table.use_cases), table.count, window)
