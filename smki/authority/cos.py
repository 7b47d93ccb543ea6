"""What the change-of-supplier party takes, and how many homes it gives before a second person looks (cos.toml)."""

from dataclasses import dataclass
from datetime import timedelta

from smki.authority.stretch import read_stretch
from smki.entity import EntityId
from smki.errors import Refused
from smki.settings import Table, at, parsed

_FILE = "cos.toml"
_EACH, _ALL = "each supplier", "all"
# Ceilings: no file lets one supplier take, or this party give, more homes in a while without a second officer.
MOST_HOMES = 500_000
_MOST = {_EACH: 20_000, _ALL: 100_000}
_LEAST_WINDOW = timedelta(hours=1)
_LONGEST_AGE = timedelta(days=31)
_FURTHEST = timedelta(days=366)


class _ThresholdTable(Table, frozen=True):
    of: str
    """`"each supplier"`, `"all"`, or one supplier by its EUI-64."""
    count: int
    """Devices; 0 or more."""
    window: str
    """In any stretch of time so long, such as `30m`, `24h`, `7d`."""


@dataclass(frozen=True, slots=True)
class CosThreshold:
    """At most so many devices in any stretch of time so long: of each supplier, of one, or of all together."""

    supplier: EntityId | None
    together: bool
    count: int
    window: timedelta

    def covers(self, supplier: EntityId) -> bool:
        return self.supplier is None or self.supplier == supplier


@dataclass(frozen=True, slots=True)
class CosPolicy:
    """What cos.toml says."""

    largest_request: int
    oldest: timedelta
    furthest: timedelta
    thresholds: tuple[CosThreshold, ...]


class CosFile(Table, frozen=True):
    """What the change-of-supplier party takes, and how many homes it gives before a second person looks."""

    largest_request: int
    """Homes in one request: 1 to {MOST_HOMES}."""
    oldest: str
    """How long after it was made a request is still taken: {_LONGEST_AGE} at most."""
    furthest: str
    """How far ahead a change may be put off: {_FURTHEST} at most."""
    threshold: list[_ThresholdTable]
    """Each supplier is held to 20,000 at most and all together to 100,000, in an hour or more."""

    def checked(self) -> CosPolicy:
        if not 1 <= self.largest_request <= MOST_HOMES:
            raise Refused(
                "policy.cos", f"{_FILE}: largest_request = {self.largest_request}", f"give 1 to {MOST_HOMES}"
            )
        thresholds = tuple(_threshold(table) for table in self.threshold)
        for of, most in _MOST.items():
            if not any(_holds(table, of, most) for table in self.threshold):
                raise Refused(
                    "policy.cos",
                    f"{_FILE}: no threshold of {of!r} holds it to {most} in a while",
                    f"give one a count of {most} at most, in a window of an hour at least",
                )
        return CosPolicy(
            largest_request=self.largest_request,
            oldest=read_stretch(self.oldest, at(_FILE, "oldest"), most=_LONGEST_AGE),
            furthest=read_stretch(self.furthest, at(_FILE, "furthest"), most=_FURTHEST),
            thresholds=thresholds,
        )


def _holds(table: _ThresholdTable, of: str, most: int) -> bool:
    return (
        table.of == of
        and table.count <= most
        and read_stretch(table.window, at(_FILE, "threshold.window")) >= _LEAST_WINDOW
    )


def _threshold(table: _ThresholdTable) -> CosThreshold:
    if not 0 <= table.count <= MOST_HOMES:
        raise Refused("policy.cos", f"{_FILE}: count = {table.count}", f"give 0 to {MOST_HOMES}")
    one = None if table.of in _MOST else parsed(EntityId.parse, table.of, at(_FILE, "threshold.of"))
    return CosThreshold(one, table.of == _ALL, table.count, read_stretch(table.window, at(_FILE, "threshold.window")))
