"""More at once than chance brings: counted in spells, against the user's own mean."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smki.authority.anomaly import SurgeRule
from smki.parties.anomaly.chance import most_by_chance
from smki.parties.anomaly.counts import Counts
from smki.parties.anomaly.explain import Finding
from smki.parties.anomaly.habit import HabitQuery
from smki.parties.anomaly.limits import Campaign, Limits
from smki.parties.anomaly.scope import Scope
from smki.parties.anomaly.seen import Seen, Tally
from tests.parties.anomaly.streams import (
    AT,
    HABIT,
    OFF,
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

MINUTE = timedelta(minutes=1)
WINDOWS = (10 * MINUTE, 30 * MINUTE)
SURGE = SurgeRule("surge", frozenset({OFF}), None, True, WINDOWS, 30, 1e-6, 6, 2.0)


def first(found: Sequence[tuple[Finding, ...]]) -> int | None:
    return next((place for place, told in enumerate(found) if told), None)


def mean(rows: list[Tally], window: timedelta = 30 * MINUTE) -> float:
    query = HabitQuery(Scope(window, USERS[0], frozenset({OFF})), int(AT.timestamp()), HABIT)
    return Counts.load(rows).habit(query).mean


@pytest.mark.requirement("R-ANO-1")
def test_more_spells_than_chance_brings_are_a_surge() -> None:
    found = sent(offs(40, every=40), only(SURGE), counts=Counts.load(weeks(10)))
    limit = most_by_chance(10 / 6, 1e-6, 20)
    assert limit == 11
    assert first(found) == limit, "15 fit into ten minutes, and 11 are the most"
    told = found[limit][0]
    assert (told.code, told.holds) == ("anomaly.surge", True)
    assert told.message == (
        "with it 12 spells of 30s in 10m have some from this user since 2026-03-04T10:00:00Z;"
        " usual are 1.7 commands in 10m, and the limit is 11 spells"
    )
    facts = dict(told.numbers)
    assert (facts["count"], facts["limit"], facts["window"], facts["chance"]) == (12, 11, 600, 1e-6)


def test_a_slower_one_is_found_in_a_longer_stretch() -> None:
    found = sent(offs(40, every=70), only(SURGE), counts=Counts.load(weeks(10)))
    assert first(found) == most_by_chance(5.0, 1e-6, 60) == 19
    assert dict(found[19][0].numbers)["window"] == 1800
    assert first(sent(offs(40, every=110), only(SURGE), counts=Counts.load(weeks(10)))) is None


def test_a_job_counts_as_often_as_it_lasts() -> None:
    jobs = [command(60 * job + step) for job in range(11) for step in (0, 3, 7, 9)]
    assert not any(sent(jobs, only(SURGE), counts=Counts.load(weeks(10))))
    assert any(sent([*jobs, command(660)], only(replace(SURGE, chance=1e-4)), counts=Counts.load(weeks(10))))


def test_so_many_are_never_too_many() -> None:
    assert first(sent(offs(9, every=40), only(SURGE), counts=Counts.load(weeks(10, code=READ)))) == 6
    assert not any(sent(offs(9, every=40), only(replace(SURGE, least=9)), counts=Counts.load(weeks(10, code=READ))))


def test_a_user_without_history_has_what_it_starts_with() -> None:
    found = sent(offs(20, every=40), only(SURGE))
    assert first(found) == most_by_chance(2.0 / 6, 1e-6, 20)
    assert "a user with 0 days of history may send 0.33 commands in 10m" in found[6][0].message


def test_who_sends_in_every_spell_is_left_to_the_others() -> None:
    """Where as many spells as there are would be no surprise, none is found, however many come."""
    assert not any(sent(offs(300), only(SURGE), counts=Counts.load(weeks(200))))


def test_the_mean_is_of_days_of_the_same_kind_and_none_counts_above_the_habit() -> None:
    plain = weeks(10)
    assert mean(plain) == pytest.approx(10, abs=0.1)
    spikes = {row.since: row for row in plain} | {
        row.since: row._replace(admitted=1000) for row in plain if row.since // 86_400 % 70 in {1, 20}
    }
    assert mean([*spikes.values()]) == mean(plain), "the third highest is the habit"
    weekend = [row._replace(admitted=1000) if (row.since // 86_400 + 3) % 7 >= 5 else row for row in plain]
    assert mean(weekend) == mean(plain)
    days = sorted({row.since // 86_400 for row in plain})
    quiet = [row for row in plain if days.index(row.since // 86_400) % 2 or row.since % 86_400 > 12 * 3600]
    assert mean(quiet) == pytest.approx(5, abs=0.5), "a day without any in these hours counts, and lowers it"
    young = [row for row in plain if row.since > AT.timestamp() - 24 * 86_400]
    assert mean(young) == pytest.approx(10, abs=0.2), "days before its first do not"


def test_a_campaign_is_no_surge_and_gives_none_room() -> None:
    campaign = Campaign("prices", USERS[0], frozenset({TARIFF}), AT, AT + timedelta(hours=6), 1000)
    rule = only(replace(SURGE, codes=frozenset({TARIFF, OFF})))
    tariffs = [command(40 * place, TARIFF) for place in range(30)]
    counts = [Counts.load(weeks(10)) for _ in range(3)]
    assert any(sent(tariffs, rule, counts=counts[0]))
    limits = Limits(campaigns=(campaign,))
    assert not any(sent(tariffs, rule, limits, counts[1]))
    both = sorted([*tariffs, *offs(30, every=40, begin=5)], key=lambda seen: seen.at)
    found = [told for seen, told in zip(both, sent(both, rule, limits, counts[2]), strict=True) if seen.code == OFF]
    assert first(found) == 11


@settings(max_examples=40)
@given(st.lists(st.integers(0, 120), min_size=10, max_size=60))
def test_never_more_spells_pass_than_the_limit(gaps: list[int]) -> None:
    after, stream = 0, list[Seen]()
    for gap in gaps:
        after += gap
        stream.append(command(after))
    found = sent(stream, only(SURGE), counts=Counts.load(weeks(10)))
    passed = [int(seen.at.timestamp()) for seen, told in zip(stream, found, strict=True) if not told]
    for window in WINDOWS:
        seconds = int(window.total_seconds())
        most = most_by_chance(10.1 * seconds / 3600, 1e-6, seconds // 30)
        assert most is not None
        for end in passed:
            assert len({second // 30 for second in passed if end - seconds < second <= end}) <= max(most, SURGE.least)
    for told in found:
        for one in told:
            assert dict(one.numbers)["count"] > dict(one.numbers)["limit"]
    assert names(found) == [["surge"] if told else [] for told in found]
