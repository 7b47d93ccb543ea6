"""Each detector of anomaly.toml: what it finds, what it leaves alone, and what it says."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace as changed

from smki.authority.anomaly import (
    AreaRule,
    CountRule,
    MixRule,
    RateRule,
    SequenceRule,
    SurgeRule,
    ValueRule,
    WaitingRule,
)
from smki.parties.anomaly.counts import Counts
from smki.parties.anomaly.detectors import held, judge
from smki.parties.anomaly.limits import NO_LIMITS, Campaign, Limit, Limits, ValueLimit
from smki.parties.anomaly.seen import Seen, Tally, numbers
from tests.parties.anomaly.streams import (
    AT,
    BALANCE,
    OFF,
    ON,
    READ,
    TARIFF,
    USERS,
    command,
    names,
    offs,
    only,
    sent,
    weeks,
)

HOUR = timedelta(hours=1)
OFFS, ANY = frozenset({OFF}), None
COUNT = CountRule("count", OFFS, None, holds=True, of="each", count=3, window=HOUR)
RATE = RateRule("rate", OFFS, None, True, "each", HOUR, 2.0, 1.0, 5, 4)
SURGE = SurgeRule("surge", OFFS, None, True, (timedelta(minutes=10), timedelta(minutes=30)), 30, 1e-4, 3, 2.0)
AREA = AreaRule("area", OFFS, None, holds=True, of="all", count=3, window=HOUR)
MIX = MixRule("mix", OFFS, None, holds=True, window=HOUR, least=5, share=0.5, factor=4.0)
WAITING = WaitingRule("waiting", OFFS, None, holds=True, count=2, window=timedelta(hours=24))
VALUE = ValueRule("value", frozenset({BALANCE}), None, holds=True, path="amount", least=-5.0, most=5.0)
SEQUENCE = SequenceRule("sequence", OFFS, None, True, (OFFS, frozenset({ON})), timedelta(hours=24))


@pytest.mark.requirement("R-ANO-1")
def test_a_count_lets_its_number_through_and_no_more() -> None:
    found = sent(offs(5), only(COUNT))
    assert names(found) == [[], [], [], ["count"], ["count"]]
    told = found[3][0]
    assert (told.code, told.holds) == ("anomaly.count", True)
    assert told.pattern == f"0x0050 {USERS[0]} 2026-03-04"
    assert told.message == "with it 4 from this user in 1h since 2026-03-04T10:00:00Z; the limit is 3"
    assert told.fault.message.startswith("count: with it 4")
    assert told.as_json()["numbers"] == {"count": 4, "limit": 3, "window": 3600, "since": int(AT.timestamp())}


@pytest.mark.requirement("R-ANO-1")
def test_a_count_is_of_each_user_or_of_all() -> None:
    by_turns = [changed(seen, originator=USERS[place % 2]) for place, seen in enumerate(offs(6))]
    assert not any(sent(by_turns, only(COUNT)))
    assert names(sent(by_turns, only(replace(COUNT, of="all"))))[3:] == [["count"]] * 3
    assert "4 from all users" in sent(by_turns, only(replace(COUNT, of="all")))[3][0].message


def test_a_window_slides() -> None:
    found = sent([*offs(3), command(3599), command(3601)], only(COUNT))
    assert names(found) == [[], [], [], ["count"], []]


def test_what_only_warns_holds_nothing() -> None:
    found = sent(offs(5), only(replace(COUNT, holds=False)))
    assert names(found)[3:] == [["count"], ["count"]]
    assert not held(found[4])


def test_a_rate_is_against_the_users_own_habit() -> None:
    found = sent(offs(30), only(RATE), counts=Counts.load(weeks(10)))
    limit = int(2 * 10 + 10**0.5)
    assert [bool(told) for told in found] == [place >= limit for place in range(30)]
    assert "usual at this time of such days are 10 in an hour, and the limit is 23" in found[23][0].message
    assert not any(
        sent(offs(5, user=1), only(replace(RATE, least=5)), counts=Counts.load([*weeks(10), *weeks(1, user=1)]))
    )


def test_too_many_of_all_hold_only_those_above_their_own_habit() -> None:
    everybody = only(replace(RATE, of="all", factor=1.0, spread=0.0, least=20))
    habits = [*weeks(10), *weeks(10, user=1)]
    thief = offs(40, user=1)
    found = sent(thief, everybody, counts=Counts.load(habits))
    assert [bool(told) for told in found] == [place >= 20 for place in range(40)]
    beside = [*thief, *offs(15, begin=60), *offs(3, begin=90, user=2)]
    found = sent(beside, everybody, counts=Counts.load(habits))
    assert [bool(told) for told in found[40:55]] == [place >= 10 for place in range(15)]
    assert all(found[55:]), "who has no habit is above it"


def test_a_short_rate_expects_its_share_of_an_hour() -> None:
    quick = replace(RATE, window=timedelta(minutes=6))
    found = sent(offs(30), only(quick), counts=Counts.load(weeks(40)))
    assert next(place for place, told in enumerate(found) if told) == (2 * 4 + 2)


def test_a_day_is_compared_with_days() -> None:
    daily = replace(RATE, window=timedelta(hours=24), spread=0.0)
    found = sent(offs(200), only(daily), counts=Counts.load(weeks(10)))
    assert next(place for place, told in enumerate(found) if told) == 2 * 80


def test_a_night_and_a_weekend_are_not_a_working_day() -> None:
    saturday, night = datetime(2026, 3, 7, 10, tzinfo=UTC), AT.replace(hour=2)
    weekdays = [row for row in weeks(10) if datetime.fromtimestamp(row.since, UTC).weekday() < 5]
    for moment in (saturday, night):
        stream = [changed(seen, at=moment + timedelta(seconds=place)) for place, seen in enumerate(offs(9))]
        assert (
            next(place for place, told in enumerate(sent(stream, only(RATE), counts=Counts.load(weekdays))) if told)
            == 5
        )


def test_a_user_without_history_has_its_start() -> None:
    for rows in ([], weeks(100, days=15)):
        found = sent(offs(6), only(RATE), counts=Counts.load(rows))
        assert [bool(told) for told in found] == [place >= 4 for place in range(6)]
        assert "days of history may 4" in found[4][0].message
    found = sent(offs(6), only(RATE), counts=Counts.load(weeks(100, days=16)))
    assert not any(found)


def test_habits_do_not_learn_from_the_last_week_nor_from_a_few_days() -> None:
    usual = sent(offs(60), only(RATE), counts=Counts.load(weeks(10)))
    attacked = [row._replace(admitted=1000) for row in weeks(10) if row.since > AT.timestamp() - 7 * 86_400]
    spikes = [row._replace(admitted=1000) for row in weeks(10) if row.since // 86_400 % 70 in {1, 20}]
    for more in (attacked, spikes):
        assert more
        rows = {(row.since, row.code): row for row in [*weeks(10), *more]}
        assert names(sent(offs(60), only(RATE), counts=Counts.load(rows.values()))) == names(usual)


def test_what_was_held_makes_no_habit_and_what_was_released_does() -> None:
    waited = [row._replace(admitted=0, held=100) for row in weeks(10)]
    assert sent(offs(6), only(RATE), counts=Counts.load(waited))[4]  # as without history
    assert not any(
        sent(offs(6), only(RATE), counts=Counts.load([row._replace(held=0, admitted=100) for row in waited]))
    )


def test_habits_follow_the_clocks_on_the_wall() -> None:
    """Work begins at 8 on the wall: 8:00 UTC in winter, 7:00 UTC from the last Sunday of March."""
    monday = datetime(2026, 3, 30, 7, 30, tzinfo=UTC)
    stream = [changed(seen, at=monday + timedelta(seconds=place)) for place, seen in enumerate(offs(20))]
    assert not any(sent(stream, only(RATE), counts=Counts.load(weeks(10, end=monday))))
    before = [changed(seen, at=seen.at - timedelta(days=7)) for seen in stream]
    assert any(sent(before, only(RATE), counts=Counts.load(weeks(10, end=monday - timedelta(days=7)))))


def test_an_area_is_counted_over_all_users() -> None:
    stream = [changed(seen, originator=USERS[place % 3]) for place, seen in enumerate(offs(5))]
    assert names(sent(stream, only(AREA)))[3:] == [["area"], ["area"]]
    assert "in area 12" in sent(stream, only(AREA))[3][0].message
    spread = [changed(seen, area=10 + place) for place, seen in enumerate(stream)]
    assert not any(sent(spread, only(AREA)))
    assert not any(sent([changed(seen, area=0) for seen in stream], only(AREA)))


def test_a_share_is_of_what_one_user_sends() -> None:
    reads = [command(place, READ) for place in range(10)]
    found = sent([*reads, *offs(20, begin=20)], only(MIX))
    assert next(place for place, told in enumerate(found) if told) == 20  # 11 of 21 are more than half
    assert "11 of the 21 commands in 1h from this user are of this kind, 52%" in found[20][0].message
    habit = Counts.load([*weeks(10), *weeks(20, code=READ)])
    assert not any(sent([*reads, *offs(20, begin=20)], only(MIX), counts=habit))


@pytest.mark.requirement("R-ANO-2")
def test_a_value_stays_between_two() -> None:
    amounts = [(("amount", -5.0),), (("amount", 5.0),), (("amount", 5.1),), (("amount", -6.0),), (("other", 99.0),)]
    found = sent([command(place, BALANCE, values=values) for place, values in enumerate(amounts)], only(VALUE))
    assert names(found) == [[], [], ["value"], ["value"], []]
    assert found[2][0].message == "'amount' is 5.1; allowed: least -5, most 5"


def test_numbers_are_found_by_their_paths() -> None:
    values = {"1. Set price": "1,200 (now)", "1. Set price / object": "class 1", "2. Set price / 1": "7"}
    assert numbers(values, frozenset({"1. Set price", "2. Set price*"})) == (
        ("1. Set price", 1200.0),
        ("2. Set price / 1", 7.0),
    )


@pytest.mark.requirement("R-ANO-2")
def test_a_value_is_found_whatever_is_done_before_it() -> None:
    rule = replace(VALUE, path="1. Set price")
    assert numbers({"2. Set price": "7"}, frozenset({rule.path})) == (("2. Set price", 7.0),)
    found = sent([command(0, BALANCE, values=(("2. Set price", 7.0),))], only(rule))
    assert names(found) == [["value"]]


def test_a_sequence_is_of_one_home_whoever_else_is_served_between() -> None:
    steps = [command(0, OFF, target=7), command(60, READ, target=7), command(120, ON, target=7), *offs(3, begin=130)]
    found = sent([*steps, command(200, OFF, target=7), command(210, OFF, target=8)], only(SEQUENCE))
    assert names(found) == [[]] * 6 + [["sequence"], []]
    assert "was sent 0x0050 at 2026-03-04T10:00:00Z, 0x004F at 2026-03-04T10:02:00Z" in found[6][0].message
    late = [command(0, OFF, target=7), command(120, ON, target=7), command(86_401, OFF, target=7)]
    assert not any(sent(late, only(SEQUENCE)))


def test_a_sequence_goes_on_from_what_the_store_knows() -> None:
    before = ((OFF, AT - timedelta(hours=2)), (ON, AT - timedelta(hours=1)))
    assert names(sent([command(before=before)], only(SEQUENCE))) == [["sequence"]]
    assert not any(sent([command(before=before[:1])], only(SEQUENCE)))
    twice = (*before, (ON, AT - timedelta(minutes=50)))
    assert names(sent([command(before=twice)], only(SEQUENCE))) == [["sequence"]], "on, and on, is on"
    assert not any(sent([command(before=before[1:])], only(SEQUENCE)))
    again = replace(SEQUENCE, steps=(OFFS, OFFS))
    assert not any(sent([command(before=before[:1])], only(again)))
    assert names(sent([command(before=(before[0], (OFF, AT)))], only(again))) == [["sequence"]]


def test_the_next_wait_with_those_that_wait_until_a_person_decides() -> None:
    counts, detectors = Counts(), only(WAITING)
    for seen in offs(2):
        counts.add(seen, "held")
    assert names(sent([command(10), command(10, user=1), command(10, ON)], detectors, counts=counts)) == [
        ["waiting"],
        [],
        [],
    ]
    for seen in (*offs(2), command(10)):
        counts.decide(seen, AT + timedelta(seconds=20), released=seen.target == command().target)
    assert not any(sent([command(30)], detectors, counts=counts))


def test_limits_that_people_set_add_to_the_policy() -> None:
    own = Limit("mine", OFFS, 3, HOUR, warn=2)
    everyone = Limit("the broker's", ANY, 4, HOUR, of="all")
    limits = Limits({USERS[0]: (own,)}, (everyone,), (ValueLimit("range", frozenset({OFF}), "x*", most=1.0),))
    found = sent([*offs(5), *offs(5, user=1, begin=10)], only(), limits)
    assert names(found) == [[], [], ["mine"], ["mine", "mine"], ["mine", "mine"], [], *[["the broker's"]] * 4]
    assert [one.holds for one in found[3]] == [True, False]
    assert found[3][0].code == "anomaly.threshold"
    assert names(sent([command(values=(("xy", 2.0),))], only(), limits)) == [["range"]]


def prices(count: int) -> Campaign:
    return Campaign("prices", USERS[0], frozenset({TARIFF}), AT, AT + timedelta(hours=6), count)


def test_a_campaign_lifts_what_holds_its_own_and_no_more() -> None:
    policy = only(replace(COUNT, codes=frozenset({TARIFF, OFF})), COUNT, replace(MIX, codes=frozenset({TARIFF})))
    tariffs = [command(place, TARIFF, target=place) for place in range(25)]
    assert sent(tariffs, policy)[3]
    found = sent(tariffs, policy, Limits(campaigns=(prices(20),)))
    assert not any(found[:20])
    assert found[20][0].code == "anomaly.campaign"
    mixed = sent([*tariffs[:10], *offs(5, begin=30)], policy, Limits(campaigns=(prices(20),)))
    assert [bool(told) for told in mixed[10:]] == [False] * 3 + [True] * 2
    assert sent([changed(seen, originator=USERS[1]) for seen in tariffs], policy, Limits(campaigns=(prices(20),)))[3]


def test_a_campaign_gives_no_room_to_what_turns_supply_off() -> None:
    """Not where both are counted together, nor where the share of one is looked at."""
    limits = Limits(campaigns=(prices(20),))
    tariffs = [command(place, TARIFF, target=place) for place in range(10)]
    together = replace(COUNT, codes=frozenset({TARIFF, OFF}))
    for rule in (together, replace(RATE, codes=frozenset({TARIFF, OFF}))):
        alone = [bool(told) for told in sent(offs(25), only(rule))]
        assert [bool(told) for told in sent(offs(25), only(rule), limits)] == alone
        beside = sent([*tariffs, *offs(25, begin=30)], only(rule), limits)
        assert [bool(told) for told in beside] == [False] * 10 + alone, "nor less"
    own = Limits({USERS[0]: (Limit("mine", ANY, 3, HOUR),)}, campaigns=(prices(20),))
    assert [bool(told) for told in sent(offs(5), only(), own)] == [False] * 3 + [True] * 2
    mix = only(replace(MIX, codes=frozenset({TARIFF, OFF})))
    assert any(sent(offs(40), mix))
    assert [bool(told) for told in sent(offs(40), mix, limits)] == [bool(told) for told in sent(offs(40), mix)]
    assert not any(sent([*tariffs, *tariffs], mix, limits))


def test_a_campaign_that_is_over_lifts_by_what_it_used() -> None:
    policy = only(replace(COUNT, codes=frozenset({TARIFF}), window=timedelta(hours=24)))
    limits, hours = Limits(campaigns=(prices(20),)), 6 * 3600
    early = [command(place, TARIFF, target=place) for place in range(10)]
    late = [command(hours + place, TARIFF, target=place) for place in range(10)]
    assert names(sent([*early, *late], policy, limits)) == [[]] * 13 + [["count"]] * 7


def test_habits_do_not_learn_from_a_campaign() -> None:
    rows = weeks(10, code=TARIFF)
    campaigns = tuple(
        replace(prices(5000), since=AT - timedelta(days=back), until=AT - timedelta(days=back, hours=-6))
        for back in range(8, 40)
    )
    spikes = [row._replace(admitted=1000) for row in rows if any(_in(row, one) for one in campaigns)]
    learned = {row.since: row for row in [*rows, *spikes]}.values()
    rate = replace(RATE, codes=frozenset({TARIFF}))
    stream = [command(place, TARIFF) for place in range(60)]
    assert not any(sent(stream, only(rate), counts=Counts.load(learned)))
    assert any(sent(stream, only(rate), Limits(campaigns=campaigns), Counts.load(learned)))


def _in(row: Tally, one: Campaign) -> bool:
    return one.since.timestamp() <= row.since < one.until.timestamp()


# For any traffic


@st.composite
def bursts(draw: st.DrawFn) -> list[Seen]:
    gaps = draw(st.lists(st.integers(0, 400), min_size=1, max_size=40))
    after, found = 0, list[Seen]()
    for place, gap in enumerate(gaps):
        after += gap
        found.append(command(after, OFF, draw(st.integers(0, 1)), draw(st.sampled_from([10, 12])), place))
    return found


_RECENT = weeks(3, days=20)
RULES = (COUNT, replace(COUNT, name="all", of="all", count=5), RATE, AREA, SURGE, WAITING)


@settings(max_examples=40)
@given(bursts(), st.sets(st.integers(0, 39)))
def test_more_commands_never_make_fewer_findings(stream: list[Seen], left_out: set[int]) -> None:
    """Were everything admitted: whatever is found about a command is found too where more went before it."""
    fewer, more = Counts.load(_RECENT), Counts.load(_RECENT)
    for place, seen in enumerate(stream):
        found = {one.detector for one in judge(seen, more, NO_LIMITS, only(*RULES))}
        more.add(seen)
        if place not in left_out:
            assert {one.detector for one in judge(seen, fewer, NO_LIMITS, only(*RULES))} <= found
            fewer.add(seen)


@settings(max_examples=40)
@given(bursts())
def test_the_numbers_of_a_finding_are_those_of_a_plain_list(stream: list[Seen]) -> None:
    found = sent(stream, only(*RULES[:4]), counts=Counts.load(_RECENT))
    passed: list[Seen] = []
    for seen, told in zip(stream, found, strict=True):
        for one in told:
            facts = dict(one.numbers)
            begin = seen.at - timedelta(seconds=facts["window"])
            alike = [
                other
                for other in passed
                if other.at >= begin
                and (one.detector in {"all", "area"} or other.originator == seen.originator)
                and (one.detector != "area" or other.area == seen.area)
            ]
            assert facts["count"] == len(alike) + 1 > facts["limit"]
            assert facts["since"] == (min(other.at for other in alike).timestamp() if alike else 0)
        if not held(told):
            passed.append(seen)
    for rule in RULES[:2]:  # never one too many in any window
        for seen in passed:
            near = [other for other in passed if seen.at - HOUR < other.at <= seen.at]
            assert sum(rule.of == "all" or other.originator == seen.originator for other in near) <= rule.count
