"""What is too much, too quick or makes no sense, as named detectors; they judge in `smki.parties`.

What is read into them, and within which bounds: `anomaly_tables` and `anomaly_file`.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar, Literal

from smki.entity import RemotePartyRole

SUPPLY_OFF = frozenset({0x0050, 0x0081})
"""What darkens a home or cuts its gas: ECS43 and GCS32."""
MOST = 100_000_000  # more than all homes: a count above it guards nothing
LONGEST_WINDOW = timedelta(days=7)
# Whatever a file says, so many homes are the most that one user, or all together, darken before a person looks.
MOST_SUPPLY_OFF = {"each": 10_000, "all": 20_000}

Of = Literal["each", "all"]


@dataclass(frozen=True, slots=True)
class Rule:
    """What every detector has: its name, what it looks at, and whether it holds or only says so."""

    kind: ClassVar[str] = ""
    name: str
    codes: frozenset[int] | None
    """None: every use case."""
    roles: frozenset[RemotePartyRole] | None
    """None: users in any role."""
    holds: bool

    def covers(self, code: int, role: RemotePartyRole) -> bool:
        return (self.codes is None or code in self.codes) and (self.roles is None or role in self.roles)


@dataclass(frozen=True, slots=True)
class CountRule(Rule):
    """At most so many in a while."""

    kind: ClassVar[str] = "count"
    of: Of
    count: int
    window: timedelta


@dataclass(frozen=True, slots=True)
class RateRule(Rule):
    """At most so many times what is usual."""

    kind: ClassVar[str] = "rate"
    of: Of
    window: timedelta
    factor: float
    spread: float
    """And so many times the square root of what is usual: what chance adds to small numbers."""
    least: int
    """So many are never too many."""
    start: int
    """So many may a user without history."""


@dataclass(frozen=True, slots=True)
class SurgeRule(Rule):
    """In no stretch of time more than chance brings to what is usual; each user by itself."""

    kind: ClassVar[str] = "surge"
    windows: tuple[timedelta, ...]
    """The shortest first."""
    spell: int
    """In seconds; what comes within one counts once: it may belong together."""
    chance: float
    """With which as many come in one stretch, and are held."""
    least: int
    """In so many spells it is never too much."""
    start: float
    """So many an hour are taken for usual of a user without history."""


@dataclass(frozen=True, slots=True)
class AreaRule(Rule):
    """At most so many in one area in a while."""

    kind: ClassVar[str] = "area"
    of: Of
    count: int
    window: timedelta


@dataclass(frozen=True, slots=True)
class MixRule(Rule):
    """At most such a share of all that one user sends in a while, once they are so many."""

    kind: ClassVar[str] = "mix"
    window: timedelta
    least: int
    share: float
    factor: float
    """And so many times its usual share."""


@dataclass(frozen=True, slots=True)
class ValueRule(Rule):
    """A number in a payload stays between two."""

    kind: ClassVar[str] = "value"
    path: str
    least: float | None
    most: float | None


@dataclass(frozen=True, slots=True)
class SequenceRule(Rule):
    """One device is not sent these one after another within a while; `codes` are those of the last step."""

    kind: ClassVar[str] = "sequence"
    steps: tuple[frozenset[int], ...]
    """Those before the last."""
    within: timedelta


@dataclass(frozen=True, slots=True)
class WaitingRule(Rule):
    """Where so many of a use case from one user wait for a person, its next of the same use case waits with them."""

    kind: ClassVar[str] = "waiting"
    count: int
    window: timedelta


@dataclass(frozen=True, slots=True)
class UnannouncedRule(Rule):
    """A user who announces what it signs did not announce this."""

    kind: ClassVar[str] = "unannounced"


@dataclass(frozen=True, slots=True)
class HabitPolicy:
    """What counts as somebody's habit."""

    history: int
    """Days looked back."""
    settle: int
    """Days before what was admitted counts as habit: so long is there to notice what was none."""
    rank: int
    """Not the highest day's number but the so-manieth highest."""
    learning: int
    """Days with traffic before there is a habit at all."""


@dataclass(frozen=True, eq=False)
class Detectors:
    """What anomaly.toml says."""

    rules: tuple[Rule, ...]
    habit: HabitPolicy

    def covering(self, code: int, role: RemotePartyRole) -> tuple[Rule, ...]:
        return tuple(rule for rule in self.rules if rule.covers(code, role))

    @property
    def remembered(self) -> frozenset[int]:
        """Codes whose last few to each device have to be known."""
        found: set[int] = set()
        for rule in self.rules:
            if isinstance(rule, SequenceRule):
                found |= (rule.codes or frozenset()).union(*rule.steps)
        return frozenset(found)

    @property
    def endings(self) -> frozenset[int]:
        """Codes that complete a sequence: only for these does one ask what came before."""
        rules = (rule for rule in self.rules if isinstance(rule, SequenceRule))
        return frozenset().union(*(rule.codes or () for rule in rules))

    @property
    def reach(self) -> timedelta:
        """How far back the longest sequence begins."""
        return max((rule.within for rule in self.rules if isinstance(rule, SequenceRule)), default=timedelta())

    @property
    def by_area(self) -> frozenset[int]:
        """Codes that are counted by area."""
        rules = [rule for rule in self.rules if isinstance(rule, AreaRule)]
        return SUPPLY_OFF.union(*(rule.codes or () for rule in rules))

    @property
    def holds_unannounced(self) -> bool:
        """Whether what turns supply off is held where its user announces what it signs, and did not announce it."""
        rules = (rule for rule in self.rules if isinstance(rule, UnannouncedRule) and rule.holds)
        return frozenset().union(*(rule.codes or () for rule in rules if rule.roles is None)) >= SUPPLY_OFF

    def paths(self, code: int) -> frozenset[str]:
        """Values of a payload that are looked at."""
        rules = (rule for rule in self.rules if isinstance(rule, ValueRule))
        return frozenset(rule.path for rule in rules if rule.codes is None or code in rule.codes)
