"""Commands as detectors see them, and the plainest way to count them: a list of all."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache

from hypothesis import strategies as st
from msgspec.structs import replace as changed

from smki.authority.anomaly import Detectors, HabitPolicy, Rule
from smki.authority.policies import load_policies
from smki.authority.workspace import SHIPPED
from smki.entity import EntityId, RemotePartyRole
from smki.parties.anomaly.counts import Counts
from smki.parties.anomaly.detectors import held, judge
from smki.parties.anomaly.explain import Finding
from smki.parties.anomaly.limits import NO_LIMITS, Limits
from smki.parties.anomaly.scope import Scope
from smki.parties.anomaly.seen import HOURS, Outcome, Seen, Tally

AT = datetime(2026, 3, 4, 10, tzinfo=UTC)
OFF, ON, READ, TARIFF, BALANCE = 0x0050, 0x004F, 0x0033, 0x0019, 0x001C
USERS = tuple(EntityId(bytes([0x90, 0xB3, 0xD5, 0x1F, 0x30, number, 0, 0])) for number in range(1, 4))
HABIT = HabitPolicy(history=70, settle=7, rank=3, learning=10)
Given = tuple[Seen, Outcome]


@cache
def shipped() -> Detectors:
    return load_policies(SHIPPED / "policies").anomaly


def only(*rules: Rule, habit: HabitPolicy = HABIT) -> Detectors:
    return Detectors(rules, habit)


def shipped_only(*names: str) -> Detectors:
    found = shipped()
    rules = tuple(rule for rule in found.rules if rule.name in names)
    assert len(rules) == len(names)
    return Detectors(rules, found.habit)


def home(number: int) -> EntityId:
    return EntityId((0x00DB_1200_0000_0000 + number).to_bytes(8))


def command(
    after: float = 0, code: int = OFF, user: int = 0, area: int = 12, target: int = 1, **more: object
) -> Seen:
    """One, so many seconds after AT."""
    at = AT + timedelta(seconds=after)
    return changed(Seen(at, USERS[user], RemotePartyRole.SUPPLIER, code, home(target), area), **more)


def sent(
    commands: Iterable[Seen], detectors: Detectors, limits: Limits = NO_LIMITS, counts: Counts | None = None
) -> list[tuple[Finding, ...]]:
    counts = Counts() if counts is None else counts
    found = []
    for seen in commands:
        told = judge(seen, counts, limits, detectors)
        counts.add(seen, "held" if held(told) else "admitted")
        found.append(told)
    return found


def names(found: Sequence[tuple[Finding, ...]]) -> list[list[str]]:
    return [[one.detector for one in told] for told in found]


def offs(number: int, every: float = 1.0, begin: float = 0.0, **more: int) -> list[Seen]:
    return [command(begin + every * place, target=place, **more) for place in range(number)]


def weeks(per_hour: int, *, user: int = 0, code: int = OFF, days: int = 70, end: datetime = AT) -> list[Tally]:
    """Every day from 8 to 16 UTC, as the store has it."""
    midnight = end.replace(hour=0, minute=0, second=0)
    return [
        Tally(
            HOURS,
            int((midnight - timedelta(days=back, hours=-hour)).timestamp()),
            USERS[user].octets,
            2,
            code,
            area,
            per_hour,
            0,
            0,
        )
        for back in range(1, days + 1)
        for hour in range(8, 16)
        for area in (12 if code == OFF else 0,)
    ]


def counted(scope: Scope, given: Iterable[Given], now: datetime) -> int:
    """From the whole stretch before the window's first moment until now."""
    begin = now - timedelta(seconds=scope.seconds)
    begin = begin.replace(microsecond=0) if scope.seconds <= 3600 else begin.replace(second=0, microsecond=0)
    if scope.spell:
        begin -= timedelta(seconds=begin.timestamp() % scope.spell)
    wanted: Outcome = "held" if scope.held else "admitted"
    found = [
        int(seen.at.timestamp())
        for seen, outcome in given
        if outcome == wanted
        and begin <= seen.at <= now
        and (scope.originator is None or seen.originator.octets == scope.originator)
        and (scope.codes is None or seen.code in scope.codes)
        and (scope.area is None or seen.area == scope.area)
        and (scope.roles is None or seen.role in scope.roles)
    ]
    return len({second // scope.spell for second in found}) if scope.spell else len(found)


windows = st.sampled_from([timedelta(seconds=1), timedelta(minutes=1), timedelta(minutes=10), timedelta(hours=1)]) | (
    st.sampled_from([timedelta(hours=2), timedelta(hours=24), timedelta(days=7)])
)


@st.composite
def scopes(draw: st.DrawFn) -> Scope:
    codes = draw(st.none() | st.sets(st.sampled_from([OFF, ON, READ]), min_size=1))
    area, length, held = draw(st.none() | st.sampled_from([10, 12])), draw(windows), draw(st.booleans())
    spells = st.sampled_from([0, 10, 30]) if length <= timedelta(hours=1) and not held else st.just(0)
    return Scope(
        length,
        draw(st.none() | st.sampled_from(USERS)),
        None if codes is None else frozenset(codes),
        draw(st.none() | st.just(frozenset({RemotePartyRole.SUPPLIER}))),
        area if codes == {OFF} else None,  # other use cases are not counted by area
        held=held,
        spell=draw(spells),
    )


@st.composite
def streams(draw: st.DrawFn, most: int = 60) -> list[Given]:
    """Commands in the order of their time, from milliseconds to days apart."""
    gaps = st.integers(0, 2_000) | st.integers(0, 7_200_000) | st.integers(0, 200_000_000)
    after, found = 0, list[Given]()
    for gap in draw(st.lists(gaps, max_size=most)):
        after += gap
        code = draw(st.sampled_from([OFF, OFF, ON, READ]))
        seen = command(
            after / 1000,
            code,
            draw(st.integers(0, 2)),
            draw(st.sampled_from([10, 12])),
            role=draw(st.sampled_from([RemotePartyRole.SUPPLIER, RemotePartyRole.NETWORK_OPERATOR])),
        )
        found.append((seen, draw(st.sampled_from(["admitted", "admitted", "held", "refused"]))))
    return found
