"""The tables of anomaly.toml, one for each kind of detector, and the bounds their keys are told with."""

from datetime import timedelta
from typing import Literal

from smki.authority.anomaly import LONGEST_WINDOW, MOST, Of  # noqa: F401 - what is said of keys names them
from smki.settings import Table

MOST_STEPS = 6
LONGEST_HISTORY, SHORTEST_SETTLING = 83, 3
MOST_WINDOWS, LONGEST_SPELL, LONGEST_SURGE = 10, 600, timedelta(hours=1)  # seconds are kept for two
LEAST_CHANCE, MOST_CHANCE = 1e-12, 0.01  # below, sums of numbers as computers have them are not exact

Action = Literal["hold", "warn"]


class DetectorTable(Table, frozen=True, kw_only=True, tag_field="kind"):
    """What every detector has."""

    name: str
    """What a held command tells; no two the same."""
    use_cases: list[str]
    """Names, codes, `critical`, `supply off`, or `*` for all."""
    action: Action
    """Whether it holds, or only says so."""
    roles: list[str] | None = None
    """Users in these roles; without it, in any."""


class CountTable(DetectorTable, frozen=True, kw_only=True, tag="count"):
    """At most so many in a while."""

    of: Of
    """Of each user, or of all together."""
    count: int
    """So many pass: 0 to {MOST}."""
    window: str
    """In any stretch of time so long: {LONGEST_WINDOW} at most."""


class RateTable(DetectorTable, frozen=True, kw_only=True, tag="rate"):
    """At most so many times what is usual."""

    of: Of
    """Of each user, or of all together."""
    window: str
    """In any stretch of time so long: {LONGEST_WINDOW} at most."""
    factor: float
    """So many times what is usual: 1 to 100."""
    spread: float
    """And so many times the square root of what is usual, 100 at most: what chance adds to small numbers."""
    least: int
    """So many are never too many."""
    start: int
    """So many may a user without history."""


class SurgeTable(DetectorTable, frozen=True, kw_only=True, tag="surge"):
    """In more spells of a stretch of time than chance brings to what is usual; each user by itself."""

    windows: list[str]
    """The stretches: 1 to {MOST_WINDOWS}, of {LONGEST_SURGE} at most."""
    spell: int
    """So many seconds, {LONGEST_SPELL} at most; what comes within counts once. Stretches are whole numbers of it."""
    chance: float
    """Poisson's law exceeds the limit with this chance in one stretch: {LEAST_CHANCE} to {MOST_CHANCE}."""
    least: int
    """In so many spells it is never too much."""
    start: float
    """So many an hour are usual of a user without history."""


class AreaTable(DetectorTable, frozen=True, kw_only=True, tag="area"):
    """At most so many in one area in a while; it names its use cases."""

    of: Of
    """Of each user, or of all together."""
    count: int
    """So many pass: 0 to {MOST}."""
    window: str
    """In any stretch of time so long: {LONGEST_WINDOW} at most."""


class MixTable(DetectorTable, frozen=True, kw_only=True, tag="mix"):
    """At most such a share of all that one user sends in a while, once they are so many."""

    window: str
    """In any stretch of time so long: {LONGEST_WINDOW} at most."""
    least: int
    """Once they are so many: 1 or more."""
    share: float
    """At most such a share: 0 to 1."""
    factor: float
    """And so many times its usual share: 1 to 100."""


class ValueTable(DetectorTable, frozen=True, kw_only=True, tag="value"):
    """A number in a payload stays between two; it names its use cases."""

    path: str
    """The value's path, as `smki message show` has it."""
    least: float | None = None
    """Not below this."""
    most: float | None = None
    """Not above this; one of the two is given."""


class SequenceTable(DetectorTable, frozen=True, kw_only=True, tag="sequence"):
    """One device is not sent these one after another within a while; it names its use cases, those of the last
    step."""

    after: list[list[str]]
    """Use cases of each step before the last: {MOST_STEPS} steps at most."""
    within: str
    """From the first to the last: {LONGEST_WINDOW} at most."""


class WaitingTable(DetectorTable, frozen=True, kw_only=True, tag="waiting"):
    """Where so many of a use case from one user wait for a person, its next of the same use case waits with
    them."""

    count: int
    """So many wait: 1 or more."""
    window: str
    """Admitted to the quarantine within so long: {LONGEST_WINDOW} at most."""


class UnannouncedTable(DetectorTable, frozen=True, kw_only=True, tag="unannounced"):
    """Not announced, of a user whose officers registered a key for announcements; of use cases that are signed."""


AnyDetector = (
    CountTable
    | RateTable
    | SurgeTable
    | AreaTable
    | MixTable
    | ValueTable
    | SequenceTable
    | WaitingTable
    | UnannouncedTable
)


class HabitTable(Table, frozen=True):
    """What counts as somebody's habit."""

    history: int
    """Days looked back: 14 to {LONGEST_HISTORY}."""
    settle: int
    """Days before what was admitted counts as habit: {SHORTEST_SETTLING} or more, and 7 below `history`."""
    rank: int
    """Not the highest day's number but the so-manieth highest: 1 to 10."""
    learning: int
    """Days with traffic before there is a habit: 5 or more."""
