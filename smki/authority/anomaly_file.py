"""What anomaly.toml says, as detectors, inside limits that are code: what darkens homes is always counted."""

from collections.abc import Iterable
from datetime import timedelta
from math import isfinite

from smki.authority.anomaly import (
    LONGEST_WINDOW,
    MOST,
    MOST_SUPPLY_OFF,
    SUPPLY_OFF,
    AreaRule,
    CountRule,
    Detectors,
    HabitPolicy,
    MixRule,
    Of,
    RateRule,
    Rule,
    SequenceRule,
    SurgeRule,
    UnannouncedRule,
    ValueRule,
    WaitingRule,
)
from smki.authority.anomaly_tables import (
    LEAST_CHANCE,
    LONGEST_HISTORY,
    LONGEST_SPELL,
    LONGEST_SURGE,
    MOST_CHANCE,
    MOST_STEPS,
    MOST_WINDOWS,
    SHORTEST_SETTLING,
    AnyDetector,
    AreaTable,
    CountTable,
    DetectorTable,
    HabitTable,
    MixTable,
    RateTable,
    SequenceTable,
    SurgeTable,
    UnannouncedTable,
    ValueTable,
    WaitingTable,
)
from smki.authority.stretch import read_stretch
from smki.entity import RemotePartyRole
from smki.errors import Refused
from smki.gbcs.use_case import UseCases
from smki.settings import Table, at, parsed

_FILE = "anomaly.toml"
_EVERY, _CRITICAL, _OFF = "*", "critical", "supply off"
_LEAST_WINDOW = timedelta(hours=24)  # of a shorter one, as many more pass each time that it is over
_MOST_DETECTORS = 100
_MOST_FACTOR = 100.0


class AnomalyFile(Table, frozen=True):
    """What the access control broker holds because it is too much, too quick or makes no sense. [What is
    noticed](../anomaly-detection.md) says how each kind counts."""

    habit: HabitTable
    """What counts as somebody's habit."""
    detector: list[AnyDetector]
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
            raise Refused(
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
        _bounded("habit.history", table.history, 14, LONGEST_HISTORY)
        _bounded("habit.settle", table.settle, SHORTEST_SETTLING, table.history - 7)
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


def _rule(table: DetectorTable, use_cases: UseCases) -> Rule:
    codes = _codes(table.use_cases, use_cases, table.name)
    roles = None if table.roles is None else frozenset(_role(word, table.name) for word in table.roles)
    common = (table.name, codes, roles, table.action == "hold")
    match table:
        case CountTable() | AreaTable():
            _bounded(f"{table.name}: count", table.count, 0, MOST)
            if codes is None and isinstance(table, AreaTable):
                raise Refused("policy.anomaly", f"{_FILE}: {table.name}: every use case", "name use cases")
            kind = CountRule if isinstance(table, CountTable) else AreaRule
            return kind(*common, table.of, table.count, _window(table.window))
        case RateTable() | SurgeTable() | MixTable():
            return _of_habit(table, common)
        case ValueTable():
            return _value(table, common)
        case SequenceTable():
            return _sequence(table, use_cases, common)
        case WaitingTable():
            _bounded(f"{table.name}: count", table.count, 1, MOST)
            return WaitingRule(*common, table.count, _window(table.window))
        case UnannouncedTable():
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
        raise Refused(
            "policy.anomaly", f"{_FILE}: {where}: use cases that no user signs", 'name signed ones, or "critical"'
        )


_Common = tuple[str, frozenset[int] | None, frozenset[RemotePartyRole] | None, bool]


def _of_habit(table: RateTable | SurgeTable | MixTable, common: _Common) -> Rule:
    """Those that compare with what is usual."""
    if isinstance(table, SurgeTable):
        return _surge(table, common)
    _bounded(f"{table.name}: factor", table.factor, 1, _MOST_FACTOR)
    if isinstance(table, MixTable):
        _bounded(f"{table.name}: share", table.share, 0, 1)
        _bounded(f"{table.name}: least", table.least, 1, MOST)
        return MixRule(*common, _window(table.window), table.least, table.share, table.factor)
    for key in ("least", "start"):
        _bounded(f"{table.name}: {key}", getattr(table, key), 0, MOST)
    _bounded(f"{table.name}: spread", table.spread, 0, _MOST_FACTOR)
    window = _window(table.window)
    return RateRule(*common, table.of, window, table.factor, table.spread, table.least, table.start)


def _surge(table: SurgeTable, common: _Common) -> SurgeRule:
    windows = sorted(_window(text, "windows") for text in table.windows)
    _bounded(f"{table.name}: spell", table.spell, 1, LONGEST_SPELL)
    if (
        not 1 <= len(set(windows)) == len(windows) <= MOST_WINDOWS
        or windows[-1] > LONGEST_SURGE
        or any(window % timedelta(seconds=table.spell) for window in windows)
    ):
        raise Refused(
            "policy.anomaly",
            f"{_FILE}: {table.name}: no such windows",
            f"give 1 to {MOST_WINDOWS}, each once, of an hour at most, each a whole number of spells",
        )
    _bounded(f"{table.name}: chance", table.chance, LEAST_CHANCE, MOST_CHANCE)
    _bounded(f"{table.name}: least", table.least, 0, MOST)
    _bounded(f"{table.name}: start", table.start, 0, MOST)
    return SurgeRule(*common, tuple(windows), table.spell, table.chance, table.least, table.start)


def _value(table: ValueTable, common: _Common) -> ValueRule:
    if table.least is None and table.most is None:
        raise Refused("policy.anomaly", f"{_FILE}: {table.name}: it bounds nothing", "give `least` or `most`")
    for key, bound in (("least", table.least), ("most", table.most)):
        if bound is not None and not isfinite(bound):  # what is compared with no number holds nothing
            raise Refused("policy.anomaly", f"{_FILE}: {table.name}: {key} = {bound}", "give a number")
    if not table.path or not table.path.isprintable():
        raise Refused("policy.anomaly", f"{_FILE}: {table.name}: path is none", "name a value of the payload")
    if table.least is not None and table.most is not None and table.most < table.least:
        raise Refused("policy.anomaly", f"{_FILE}: {table.name}: nothing lies between", "swap the two")
    if common[1] is None:
        raise Refused("policy.anomaly", f"{_FILE}: {table.name}: a value of every use case", "name use cases")
    return ValueRule(*common, table.path, table.least, table.most)


def _sequence(table: SequenceTable, use_cases: UseCases, common: _Common) -> SequenceRule:
    steps = [_codes(step, use_cases, table.name, "after") for step in table.after]
    if common[1] is None or not all(steps) or not 1 <= len(steps) <= MOST_STEPS:
        raise Refused(
            "policy.anomaly",
            f"{_FILE}: {table.name}: no sequence",
            f"name the use cases of each step, of {MOST_STEPS} before the last at most",
        )
    return SequenceRule(*common, tuple(step for step in steps if step is not None), _window(table.within, "within"))


def _codes(words: Iterable[str], use_cases: UseCases, where: str, key: str = "use_cases") -> frozenset[int] | None:
    """The codes meant by names, codes, `critical`, `supply off`; None for `*`."""
    found: set[int] = set()
    words = tuple(words)
    if not words:
        raise Refused("policy.anomaly", f"{_FILE}: {where}: no use case", 'name some, or "*"')
    for word in words:
        if word == _CRITICAL:
            found |= {int(row.code) for row in use_cases.all if row.critical}
        elif word == _OFF:
            found |= SUPPLY_OFF
        elif word != _EVERY:
            found |= {int(row.code) for row in parsed(use_cases.find, word, f"{at(_FILE, key)} of {where}")}
    return None if _EVERY in words else frozenset(found)


def _window(text: str, key: str = "window") -> timedelta:
    return read_stretch(text, at(_FILE, key), most=LONGEST_WINDOW)


def _bounded(what: str, number: float, least: float, most: float) -> None:
    if not least <= number <= most:
        raise Refused("policy.anomaly", f"{_FILE}: {what} = {number}", f"give {least} to {most}")
