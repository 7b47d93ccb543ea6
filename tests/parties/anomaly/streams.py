"""Commands as detectors see them, and the plainest way to count them: a list of all."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import cache

from hypothesis import strategies as st
from msgspec.structs import replace as changed

from smki.authority.anomaly import Detectors, HabitPolicy, Rule
from smki.authority.policies import load_policies
from smki.authority.workspace import SHIPPED
from smki.entity import EntityId, RemotePartyRole
from smki.parties.anomaly.scope import Scope
from smki.parties.anomaly.seen import Outcome, Seen

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


def counted(scope: Scope, given: Iterable[Given], now: datetime) -> int:
    """From the whole stretch before the window's first moment until now."""
    begin = now - timedelta(seconds=scope.seconds)
    begin = begin.replace(microsecond=0) if scope.seconds <= 3600 else begin.replace(second=0, microsecond=0)
    wanted: Outcome = "held" if scope.held else "admitted"
    return sum(
        outcome == wanted
        and begin <= seen.at <= now
        and (scope.originator is None or seen.originator.octets == scope.originator)
        and (scope.codes is None or seen.code in scope.codes)
        and (scope.area is None or seen.area == scope.area)
        and (scope.roles is None or seen.role in scope.roles)
        for seen, outcome in given
    )


windows = st.sampled_from([timedelta(seconds=1), timedelta(minutes=1), timedelta(minutes=10), timedelta(hours=1)]) | (
    st.sampled_from([timedelta(hours=2), timedelta(hours=24), timedelta(days=7)])
)


@st.composite
def scopes(draw: st.DrawFn) -> Scope:
    codes = draw(st.none() | st.sets(st.sampled_from([OFF, ON, READ]), min_size=1))
    area = draw(st.none() | st.sampled_from([10, 12]))
    return Scope(
        draw(windows),
        draw(st.none() | st.sampled_from(USERS)),
        None if codes is None else frozenset(codes),
        draw(st.none() | st.just(frozenset({RemotePartyRole.SUPPLIER}))),
        area if codes == {OFF} else None,  # other use cases are not counted by area
        held=draw(st.booleans()),
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
