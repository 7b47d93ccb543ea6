"""What is counted is what a plain list of everything says, however it came to be counted."""

from collections import Counter
from collections.abc import Iterable
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smki.entity import RemotePartyRole
from smki.errors import Unavailable
from smki.parties.anomaly.counts import Counts
from smki.parties.anomaly.scope import Scope
from smki.parties.anomaly.seen import HOURS, KEPT, MINUTES, SECONDS, Tally
from tests.parties.anomaly.streams import AT, OFF, READ, USERS, Given, command, counted, scopes, streams


def put(counts: Counts, stream: Iterable[Given]) -> Counts:
    for seen, outcome in stream:
        counts.add(seen, outcome)
    return counts


class Store:
    """What a store does with tallies: add what is new, give the sums."""

    def __init__(self) -> None:
        self.keys: dict[tuple[object, ...], list[int]] = {}

    def add(self, tallies: Iterable[Tally]) -> None:
        for tally in tallies:
            row = self.keys.setdefault(tally[:6], [0, 0, 0])
            for place, more in enumerate((tally.admitted, tally.held, tally.refused)):
                row[place] += more

    def rows(self) -> list[Tally]:
        return [Tally(*key, *row) for key, row in self.keys.items()]  # type: ignore[arg-type]


@settings(max_examples=60)
@given(streams(40), st.lists(scopes(), min_size=1, max_size=4))
def test_a_window_counts_what_a_list_of_all_would(stream: list[Given], asked: list[Scope]) -> None:
    counts = Counts()
    sliding = [counts.window(scope) for scope in asked]
    for place, (seen, outcome) in enumerate(stream):
        counts.add(seen, outcome)
        second = counts.second(seen.at)
        for scope, window in zip(asked, sliding, strict=True):
            told = counted(scope, stream[: place + 1], seen.at)
            assert window.total >= told
            assert window.at(second) == told
    for scope in asked:
        if stream:
            now = stream[-1][0].at
            assert counts.within(scope, now) == counted(scope, stream, now)
            assert Counts.load(counts.rows()).window(scope).at(counts.second(now)) == counted(scope, stream, now)


@pytest.mark.requirement("R-ANO-5")
@settings(max_examples=50)
@given(streams(30), st.lists(st.integers(0, 2), min_size=60, max_size=60), st.lists(scopes(), min_size=1, max_size=3))
def test_several_that_exchange_what_is_new_count_as_one(
    stream: list[Given], turns: list[int], asked: list[Scope]
) -> None:
    store, several = Store(), [Counts(), Counts(), Counts()]
    sliding = [[one.window(scope) for scope in asked] for one in several]
    for place, (seen, outcome) in enumerate(stream):
        turn = turns[place]
        several[turn].renew(store.rows())
        several[turn].add(seen, outcome)
        for scope, window in zip(asked, sliding[turn], strict=True):
            assert window.at(several[turn].second(seen.at)) == counted(scope, stream[: place + 1], seen.at)
        store.add(several[turn].changes())
    assert Counter(store.rows()) == Counter(put(Counts(), stream).rows())


@settings(max_examples=50)
@given(streams(30), st.data())
def test_a_decision_takes_one_from_the_waiting(stream: list[Given], data: st.DataObject) -> None:
    counts = put(Counts(), stream)
    waiting = [place for place, (_, outcome) in enumerate(stream) if outcome == "held"]
    if not waiting:
        return
    end = stream[-1][0].at + timedelta(minutes=data.draw(st.integers(0, 200)))
    for place in data.draw(st.lists(st.sampled_from(waiting), unique=True)):
        released = data.draw(st.booleans())
        seen = stream[place][0]
        counts.decide(seen, end, released=released)
        stream[place] = seen, "refused"
        if released:
            now = command(0, seen.code, 0, seen.area, at=end, originator=seen.originator, role=seen.role)
            stream.append((now, "admitted"))
    for held in (False, True):
        for window in (timedelta(minutes=10), timedelta(hours=24), timedelta(days=7)):
            scope = Scope(window, held=held)
            assert counts.window(scope).at(counts.second(end)) == counted(scope, stream, end)


def test_up_to_an_hour_is_counted_in_seconds_and_more_in_minutes() -> None:
    counts = put(Counts(), [(command(0.9), "admitted"), (command(59.9), "admitted")])
    assert counts.within(Scope(timedelta(hours=1)), AT + timedelta(seconds=3600.5)) == 2
    assert counts.within(Scope(timedelta(hours=1)), AT + timedelta(seconds=3601)) == 1
    assert counts.within(Scope(timedelta(hours=2)), AT + timedelta(seconds=7200 + 59)) == 2
    assert counts.within(Scope(timedelta(hours=2)), AT + timedelta(seconds=7200 + 60)) == 0


@pytest.mark.requirement("R-TIM-3")
def test_a_clock_a_little_behind_counts_with_the_latest_and_one_far_behind_stops() -> None:
    counts = put(Counts(), [(command(100), "admitted"), (command(40), "admitted")])
    assert {row.since for row in counts.rows() if row.level == SECONDS} == {int(AT.timestamp()) + 100}
    with pytest.raises(Unavailable) as stopped:
        counts.add(command(100 - 3601))
    assert stopped.value.code == "anomaly.clock"


def test_what_is_new_is_told_once_and_in_each_level() -> None:
    counts = put(
        Counts(), [(command(61), "admitted"), (command(61), "held"), (command(62, READ, area=13), "refused")]
    )
    begin = int(AT.timestamp())
    off, read = (USERS[0].octets, 2, OFF, 12), (USERS[0].octets, 2, READ, 0)
    assert set(counts.changes()) == {
        Tally(SECONDS, begin + 61, *off, 1, 1, 0),
        Tally(MINUTES, begin + 60, *off, 1, 1, 0),
        Tally(HOURS, begin, *off, 1, 1, 0),
        Tally(SECONDS, begin + 62, *read, 0, 0, 1),
        Tally(MINUTES, begin + 60, *read, 0, 0, 1),
        Tally(HOURS, begin, *read, 0, 0, 1),
    }
    assert counts.changes() == ()


def test_what_no_window_reaches_is_let_go() -> None:
    counts = put(Counts(), [(command(), "admitted")])
    counts.changes()
    for days in (1, 9, 91):
        counts.add(command(days * 86_400))
        counts.changes()
    left = {(row.level, row.since - int(AT.timestamp())) for row in counts.rows()}
    assert left == {(level, 91 * 86_400) for level in (SECONDS, MINUTES, HOURS)} | {
        (HOURS, day * 86_400) for day in (1, 9)
    }
    assert all(since >= 91 * 86_400 - KEPT[level] for level, since in left)


@pytest.mark.requirement("R-ANO-1")
def test_roles_are_counted_apart() -> None:
    operator = RemotePartyRole.NETWORK_OPERATOR
    counts = put(Counts(), [(command(), "admitted"), (command(role=operator), "admitted")])
    scope = Scope(timedelta(hours=1), USERS[0], roles=frozenset({operator}))
    assert counts.window(scope).at(counts.second(AT)) == 1
