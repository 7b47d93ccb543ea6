"""What is too much, too quick or makes no sense, as named detectors (anomaly.toml); they judge in `smki.parties`."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from math import isfinite
from typing import ClassVar, Literal

from smki.authority.signing import read_window
from smki.entity import RemotePartyRole
from smki.errors import InvalidInput, Refused
from smki.gbcs.use_case import UseCases
from smki.settings import Table, at, parsed

_FILE = "anomaly.toml"
_EVERY, _CRITICAL, _OFF = "*", "critical", "supply off"
SUPPLY_OFF = frozenset({0x0050, 0x0081})
"""What darkens a home or cuts its gas: ECS43 and GCS32."""
MOST = 100_000_000  # more than all homes: a count above it guards nothing
LONGEST_WINDOW = timedelta(days=7)
# Whatever a file says, so many homes are the most that one user, or all together, darken before a person looks.
MOST_SUPPLY_OFF = {"each": 10_000, "all": 20_000}
_LEAST_WINDOW = timedelta(hours=24)  # of a shorter one, as many more pass each time that it is over
_MOST_DETECTORS, _MOST_STEPS = 100, 6
_MOST_FACTOR = 100.0
_LONGEST_HISTORY, _SHORTEST_SETTLING = 83, 3
_MOST_WINDOWS, _LONGEST_SPELL, _LONGEST_SURGE = 10, 600, timedelta(hours=1)  # seconds are kept for two
_LEAST_CHANCE, _MOST_CHANCE = 1e-12, 0.01  # below, sums of numbers as computers have them are not exact

Of = Literal["each", "all"]
Action = Literal["hold", "warn"]


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


class _Detector(Table, frozen=True, kw_only=True, tag_field="kind"):
    """What every detector has."""

    name: str
    """What a held command tells; no two the same."""
    use_cases: list[str]
    """Names, codes, `critical`, `supply off`, or `*` for all."""
    action: Action
    """Whether it holds, or only says so."""
    roles: list[str] | None = None
    """Users in these roles; without it, in any."""


class _Count(_Detector, frozen=True, kw_only=True, tag="count"):
    """At most so many in a while."""

    of: Of
    """Of each user, or of all together."""
    count: int
    """So many pass: 0 to {MOST}."""
    window: str
    """In any stretch of time so long: {LONGEST_WINDOW} at most."""


class _Rate(_Detector, frozen=True, kw_only=True, tag="rate"):
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


class _Surge(_Detector, frozen=True, kw_only=True, tag="surge"):
    """In more spells of a stretch of time than chance brings to what is usual; each user by itself."""

    windows: list[str]
    """The stretches: 1 to {_MOST_WINDOWS}, of {_LONGEST_SURGE} at most."""
    spell: int
    """So many seconds, {_LONGEST_SPELL} at most; what comes within counts once. Stretches are whole numbers of it."""
    chance: float
    """Poisson's law exceeds the limit with this chance in one stretch: {_LEAST_CHANCE} to {_MOST_CHANCE}."""
    least: int
    """In so many spells it is never too much."""
    start: float
    """So many an hour are usual of a user without history."""


class _Area(_Detector, frozen=True, kw_only=True, tag="area"):
    """At most so many in one area in a while; it names its use cases."""

    of: Of
    """Of each user, or of all together."""
    count: int
    """So many pass: 0 to {MOST}."""
    window: str
    """In any stretch of time so long: {LONGEST_WINDOW} at most."""


class _Mix(_Detector, frozen=True, kw_only=True, tag="mix"):
    """At most such a share of all that one user sends in a while, once they are so many."""

    window: str
    """In any stretch of time so long: {LONGEST_WINDOW} at most."""
    least: int
    """Once they are so many: 1 or more."""
    share: float
    """At most such a share: 0 to 1."""
    factor: float
    """And so many times its usual share: 1 to 100."""


class _Value(_Detector, frozen=True, kw_only=True, tag="value"):
    """A number in a payload stays between two; it names its use cases."""

    path: str
    """The value's path, as `smki message show` has it."""
    least: float | None = None
    """Not below this."""
    most: float | None = None
    """Not above this; one of the two is given."""


class _Sequence(_Detector, frozen=True, kw_only=True, tag="sequence"):
    """One device is not sent these one after another within a while; it names its use cases, those of the last
    step."""

    after: list[list[str]]
    """Use cases of each step before the last: {_MOST_STEPS} steps at most."""
    within: str
    """From the first to the last: {LONGEST_WINDOW} at most."""


class _Waiting(_Detector, frozen=True, kw_only=True, tag="waiting"):
    """Where so many of a use case from one user wait for a person, its next of the same use case waits with
    them."""

    count: int
    """So many wait: 1 or more."""
    window: str
    """Admitted to the quarantine within so long: {LONGEST_WINDOW} at most."""


class _Unannounced(_Detector, frozen=True, kw_only=True, tag="unannounced"):
    """Not announced, of a user whose officers registered a key for announcements; of use cases that are signed."""


class _Habit(Table, frozen=True):
    history: int
    """Days looked back: 14 to {_LONGEST_HISTORY}."""
    settle: int
    """Days before what was admitted counts as habit: {_SHORTEST_SETTLING} or more, and 7 below `history`."""
    rank: int
    """Not the highest day's number but the so-manieth highest: 1 to 10."""
    learning: int
    """Days with traffic before there is a habit: 5 or more."""


class AnomalyFile(Table, frozen=True):
    """What the access control broker holds because it is too much, too quick or makes no sense. [What is
    noticed](../anomaly-detection.md) says how each kind counts."""

    habit: _Habit
    """What counts as somebody's habit."""
    detector: list[_Count | _Rate | _Surge | _Area | _Mix | _Value | _Sequence | _Waiting | _Unannounced]
    """{_MOST_DETECTORS} at most. What turns supply off must be held at 10,000 of each user and 20,000 of all at
    most, in a day or more; and some count must cover every use case."""

    def checked(self, use_cases: UseCases) -> Detectors:
        """As values, unless it leaves unguarded what nobody may leave so."""
        names = [one.name for one in self.detector]
        if (
            len(names) > _MOST_DETECTORS
            or len(set(names)) != len(names)
            or not all(name and name.isprintable() for name in names)
        ):
            raise InvalidInput(
                "policy.anomaly",
                f"{_FILE}: {len(names)} detectors, {len(set(names))} names",
                "name each, once, to be read",
            )
        found = Detectors(tuple(_rule(one, use_cases) for one in self.detector), self._habit())
        for of, most in MOST_SUPPLY_OFF.items():
            for code in sorted(SUPPLY_OFF):
                if not any(_guards(rule, of, code, most) for rule in found.rules):
                    raise Refused(
                        "policy.anomaly",
                        f"{_FILE}: no count of {of!r} holds 0x{code:04X}, which turns supply off, to {most}",
                        f"give it a count of {most} at most for users of every role, in a day at least",
                    )
        if not any(isinstance(rule, CountRule) and _of_everyone(rule, "each") for rule in found.rules):
            raise Refused(
                "policy.anomaly",
                f"{_FILE}: no count of 'each' covers every use case",
                'add one of use_cases = ["*"] that holds, for users of every role',
            )
        return found

    def _habit(self) -> HabitPolicy:
        table = self.habit
        _bounded("habit.history", table.history, 14, _LONGEST_HISTORY)
        _bounded("habit.settle", table.settle, _SHORTEST_SETTLING, table.history - 7)
        _bounded("habit.rank", table.rank, 1, 10)
        _bounded("habit.learning", table.learning, 5, table.history - table.settle)
        return HabitPolicy(table.history, table.settle, table.rank, table.learning)


def _guards(rule: Rule, of: str, code: int, most: int) -> bool:
    return (
        isinstance(rule, CountRule)
        and rule.of == of
        and rule.holds
        and rule.roles is None
        and (rule.codes is None or code in rule.codes)
        and rule.count <= most
        and rule.window >= _LEAST_WINDOW
    )


def _of_everyone(rule: CountRule, of: Of) -> bool:
    return rule.of == of and rule.codes is None and rule.roles is None and rule.holds


def _rule(table: _Detector, use_cases: UseCases) -> Rule:
    codes = _codes(table.use_cases, use_cases, table.name)
    roles = None if table.roles is None else frozenset(_role(word, table.name) for word in table.roles)
    common = (table.name, codes, roles, table.action == "hold")
    match table:
        case _Count() | _Area():
            _bounded(f"{table.name}: count", table.count, 0, MOST)
            if codes is None and isinstance(table, _Area):
                raise InvalidInput("policy.anomaly", f"{_FILE}: {table.name}: every use case", "name use cases")
            kind = CountRule if isinstance(table, _Count) else AreaRule
            return kind(*common, table.of, table.count, _window(table.window))
        case _Rate() | _Surge() | _Mix():
            return _of_habit(table, common)
        case _Value():
            return _value(table, common)
        case _Sequence():
            return _sequence(table, use_cases, common)
        case _Waiting():
            _bounded(f"{table.name}: count", table.count, 1, MOST)
            return WaitingRule(*common, table.count, _window(table.window))
        case _Unannounced():
            _refuse_unsigned(codes, use_cases, table.name)
            return UnannouncedRule(*common)
        case _:
            raise AssertionError(table)


def _role(word: str, where: str) -> RemotePartyRole:
    return parsed(RemotePartyRole.parse, word, f"{at(_FILE, 'roles')} of {where}")


def _refuse_unsigned(codes: frozenset[int] | None, use_cases: UseCases, where: str) -> None:
    """What its user does not sign, nobody can announce: all of it would be held."""
    signed = {int(row.code) for row in use_cases.all if row.is_signed}
    if codes is None or not codes <= signed:
        raise InvalidInput(
            "policy.anomaly", f"{_FILE}: {where}: use cases that no user signs", 'name signed ones, or "critical"'
        )


_Common = tuple[str, frozenset[int] | None, frozenset[RemotePartyRole] | None, bool]


def _of_habit(table: _Rate | _Surge | _Mix, common: _Common) -> Rule:
    """Those that compare with what is usual."""
    if isinstance(table, _Surge):
        return _surge(table, common)
    _bounded(f"{table.name}: factor", table.factor, 1, _MOST_FACTOR)
    if isinstance(table, _Mix):
        _bounded(f"{table.name}: share", table.share, 0, 1)
        _bounded(f"{table.name}: least", table.least, 1, MOST)
        return MixRule(*common, _window(table.window), table.least, table.share, table.factor)
    for key in ("least", "start"):
        _bounded(f"{table.name}: {key}", getattr(table, key), 0, MOST)
    _bounded(f"{table.name}: spread", table.spread, 0, _MOST_FACTOR)
    window = _window(table.window)
    return RateRule(*common, table.of, window, table.factor, table.spread, table.least, table.start)


def _surge(table: _Surge, common: _Common) -> SurgeRule:
    windows = sorted(_window(text, "windows") for text in table.windows)
    _bounded(f"{table.name}: spell", table.spell, 1, _LONGEST_SPELL)
    if (
        not 1 <= len(set(windows)) == len(windows) <= _MOST_WINDOWS
        or windows[-1] > _LONGEST_SURGE
        or any(window % timedelta(seconds=table.spell) for window in windows)
    ):
        raise InvalidInput(
            "policy.anomaly",
            f"{_FILE}: {table.name}: no such windows",
            f"give 1 to {_MOST_WINDOWS}, each once, of an hour at most, each a whole number of spells",
        )
    _bounded(f"{table.name}: chance", table.chance, _LEAST_CHANCE, _MOST_CHANCE)
    _bounded(f"{table.name}: least", table.least, 0, MOST)
    _bounded(f"{table.name}: start", table.start, 0, MOST)
    return SurgeRule(*common, tuple(windows), table.spell, table.chance, table.least, table.start)


def _value(table: _Value, common: _Common) -> ValueRule:
    if table.least is None and table.most is None:
        raise InvalidInput("policy.anomaly", f"{_FILE}: {table.name}: it bounds nothing", "give `least` or `most`")
    for key, bound in (("least", table.least), ("most", table.most)):
        if bound is not None and not isfinite(bound):  # what is compared with no number holds nothing
            raise InvalidInput("policy.anomaly", f"{_FILE}: {table.name}: {key} = {bound}", "give a number")
    if not table.path or not table.path.isprintable():
        raise InvalidInput("policy.anomaly", f"{_FILE}: {table.name}: path is none", "name a value of the payload")
    if table.least is not None and table.most is not None and table.most < table.least:
        raise InvalidInput("policy.anomaly", f"{_FILE}: {table.name}: nothing lies between", "swap the two")
    if common[1] is None:
        raise InvalidInput("policy.anomaly", f"{_FILE}: {table.name}: a value of every use case", "name use cases")
    return ValueRule(*common, table.path, table.least, table.most)


def _sequence(table: _Sequence, use_cases: UseCases, common: _Common) -> SequenceRule:
    steps = [_codes(step, use_cases, table.name, "after") for step in table.after]
    if common[1] is None or not all(steps) or not 1 <= len(steps) <= _MOST_STEPS:
        raise InvalidInput(
            "policy.anomaly",
            f"{_FILE}: {table.name}: no sequence",
            f"name the use cases of each step, of {_MOST_STEPS} before the last at most",
        )
    return SequenceRule(*common, tuple(step for step in steps if step is not None), _window(table.within, "within"))


def _codes(words: Iterable[str], use_cases: UseCases, where: str, key: str = "use_cases") -> frozenset[int] | None:
    """The codes meant by names, codes, `critical`, `supply off`; None for `*`."""
    found: set[int] = set()
    words = tuple(words)
    if not words:
        raise InvalidInput("policy.anomaly", f"{_FILE}: {where}: no use case", 'name some, or "*"')
    for word in words:
        if word == _CRITICAL:
            found |= {int(row.code) for row in use_cases.all if row.critical}
        elif word == _OFF:
            found |= SUPPLY_OFF
        elif word != _EVERY:
            found |= {int(row.code) for row in parsed(use_cases.find, word, f"{at(_FILE, key)} of {where}")}
    return None if _EVERY in words else frozenset(found)


def _window(text: str, key: str = "window") -> timedelta:
    found = read_window(text, at(_FILE, key))
    if found > LONGEST_WINDOW:
        raise Refused("policy.anomaly", f"{_FILE}: {key} = {text!r}", f"give {LONGEST_WINDOW.days}d at most")
    return found


def _bounded(what: str, number: float, least: float, most: float) -> None:
    if not least <= number <= most:
        raise Refused("policy.anomaly", f"{_FILE}: {what} = {number}", f"give {least} to {most}")
