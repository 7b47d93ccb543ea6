"""What the broker admitted and holds: the same on every engine."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from smki.entity import EntityId, RemotePartyRole
from smki.errors import Refused
from smki.store.admission_records import (
    AdmissionRecord,
    ConsentRecord,
    LastAdmitted,
    Outgoing,
    QuarantineRecord,
    TallyRow,
    ThresholdRecord,
)
from smki.store.records import Act
from smki.store.store import Store

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
ONE, TWO = EntityId.parse("90-B3-D5-1F-30-01-00-00"), EntityId.parse("90-B3-D5-1F-30-02-00-00")
METER, OTHER = EntityId.parse("00-DB-12-34-56-78-90-A0"), EntityId.parse("00-DB-12-34-56-78-90-A1")
RUN = b"r" * 16


def admission(number: int, **changes: object) -> AdmissionRecord:
    plain = AdmissionRecord(
        number=number,
        previous=0,
        digest=number.to_bytes(32),
        originator=ONE,
        role=RemotePartyRole.SUPPLIER,
        target=METER,
        code=0x0051,
        counter=(1 << 63) + number,
        at=NOW,
        serial=b"\x43" * 16,
        signature=b"s" * 64,
    )
    return msgspec.structs.replace(plain, **changes)


def outgoing(number: int, run: bytes = RUN) -> Outgoing:
    return Outgoing(number, run, f"ref {number}", b"octets", number % 2 == 0)


def act() -> Act:
    return Act("test", "tester", NOW)


def put(store: Store, *records: AdmissionRecord) -> None:
    with store.act(act()) as tx:
        tx.put_admissions(records, [])


def test_admissions_are_found_from_the_last_of_their_series(store: Store) -> None:
    other = admission(2, target=OTHER, counter=1)
    through = admission(3, originator=TWO, counter=9, party=ONE, party_counter=(1 << 63) + 3, previous=1)
    series = (admission(1), other, through, admission(4, previous=3))
    assert store.admissions.known({}) == {}
    with store.act(act()) as tx:
        assert tx.admissions.next_number() == 1
        tx.put_admissions(series, [])
    lowest = (1 << 63) + 1
    digests = [one.digest for one in series]
    back = {one.digest: one for one in series if one is not other}
    assert store.admissions.known({4: (lowest, digests)}) == back
    assert store.admissions.known({4: (lowest + 3, digests)}).keys() == {series[3].digest}, "it looks no further back"
    assert store.admissions.known({4: (lowest, digests), 2: (0, [other.digest])}) == back | {other.digest: other}
    assert store.admissions.known({4: (lowest, [b"x" * 32])}) == {}
    assert store.admissions.next_number() == 5
    with pytest.raises(Refused, match=r"store\.conflict"):
        put(store, series[0])


def test_the_last_of_each_pair_is_known_and_never_goes_back(store: Store) -> None:
    steps = frozenset({0x0050})
    with store.act(act()) as tx:
        tx.put_admissions([admission(5), admission(6, code=0x0050), admission(7)], [], steps)
    last = LastAdmitted((1 << 63) + 7, 0x0050, NOW, 7)
    assert store.admissions.last([METER, OTHER]) == {(ONE.octets, METER.octets, False): last}
    for number in (7, 6, 1):
        with pytest.raises(Refused, match=r"broker\.counter"):
            put(store, msgspec.structs.replace(admission(number), number=number + 10))
    put(store, admission(8, originator=TWO, counter=3, party=ONE, party_counter=(1 << 63) + 8))
    after = store.admissions.last([METER])
    assert after[ONE.octets, METER.octets, False] == LastAdmitted((1 << 63) + 8, 0x0050, NOW, 8)
    assert after[TWO.octets, METER.octets, False] == LastAdmitted(3, 0, datetime.fromtimestamp(0, UTC), 0)
    put(store, admission(9, originator=TWO, counter=4), admission(10, code=0x0007, counter=1))
    put(store, admission(11, originator=TWO, counter=5, party=ONE, party_counter=(1 << 63) + 9))
    of_its_own = store.admissions.last([METER])[TWO.octets, METER.octets, False]
    assert (of_its_own.counter, of_its_own.number) == (5, 9), "what it said for others is no step back to its own"
    assert store.admissions.last([METER])[ONE.octets, METER.octets, True].counter == 1, "top-ups are numbered apart"


def test_what_a_device_was_sent_is_followed_back_as_far_as_asked(store: Store) -> None:
    hours = [NOW - timedelta(hours=back) for back in (30, 4, 3, 2, 1)]
    codes = (0x0050, 0x0050, 0x0021, 0x0051, 0x0050)
    series = [
        admission(number, previous=number - 1, code=code, at=at)
        for number, (code, at) in enumerate(zip(codes, hours, strict=True), 1)
    ]
    other = admission(6, originator=TWO, code=0x0051, at=NOW)
    elsewhere = admission(7, target=OTHER, code=0x0050, at=NOW)
    put(store, *series, other, elsewhere)
    wanted = frozenset({0x0050, 0x0051})
    found = store.admissions.steps([5, 6, 7], wanted, NOW - timedelta(hours=24))
    assert found == {
        METER.octets: [(0x0050, hours[1]), (0x0051, hours[3]), (0x0050, hours[4]), (0x0051, NOW)],
        OTHER.octets: [(0x0050, NOW)],
    }
    assert store.admissions.steps([5], wanted, NOW) == store.admissions.steps([], wanted, NOW) == {}


def test_what_was_not_handed_out_waits(store: Store) -> None:
    other = b"q" * 16
    with store.act(act()) as tx:
        tx.put_admissions([admission(number) for number in (1, 2, 3)], [outgoing(1), outgoing(2, other), outgoing(3)])
    assert store.admissions.outgoing(10) == (outgoing(1), outgoing(2, other), outgoing(3))
    assert store.admissions.outgoing(10, run=other) == (outgoing(2, other),)
    assert store.admissions.outgoing(10, after=2) == (outgoing(3),)
    assert store.admissions.outgoing(1) == (outgoing(1),)
    with store.act(act()) as tx:
        assert tx.handed_out(RUN) == 2
        assert tx.forget_outgoing([2, 77]) == 1
    assert store.admissions.outgoing_count() == 0


def test_tallies_add_up_and_tell_what_is_new(store: Store) -> None:
    row = TallyRow(0, 1000, ONE.octets, 2, 0x0051, 10, 5, 0, 1)
    with store.act(act()) as tx:
        tx.add_tallies([row, msgspec.structs.replace(row, level=1, since=960)])
    seen = store.audit_size()
    with store.act(act()) as tx:
        tx.add_tallies([msgspec.structs.replace(row, admitted=2, held=3, refused=0)])
    total = msgspec.structs.replace(row, admitted=7, held=3)
    assert store.admissions.tallies_written(seen) == (total,)
    assert store.admissions.tallies(0, 1000) == store.admissions.tallies_of(ONE, 0, 1000) == (total,)
    assert store.admissions.tallies(0, 1001) == store.admissions.tallies_of(TWO, 0, 0) == ()
    with store.act(act()) as tx:
        tx.drop_tallies(0, 1001)
    assert store.admissions.tallies(0, 0) == ()
    assert len(store.admissions.tallies(1, 0)) == 1


def held(number: int, **changes: object) -> QuarantineRecord:
    plain = QuarantineRecord(
        digest=number.to_bytes(32),
        octets=b"octets",
        originator=ONE,
        role=RemotePartyRole.SUPPLIER,
        target=METER,
        code=0xFFFF,
        counter=(1 << 64) - 1,
        area=10,
        local=True,
        at=NOW + timedelta(seconds=number),
        reference="a",
        pattern="rate ECS43",
        findings=({"code": "anomaly.rate", "message": "many"},),
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def test_what_is_held_is_decided_once(store: Store) -> None:
    records = (held(1), held(2), held(3, pattern="count ECS44"))
    with store.act(act()) as tx:
        tx.put_quarantine(records)
    assert store.quarantine.in_state("waiting", 10) == records
    assert store.quarantine.in_state("waiting", 1, 1) == (records[1],)
    assert store.quarantine.of_pattern("rate ECS43", 10) == records[:2]
    assert store.quarantine.patterns("waiting") == (
        ("rate ECS43", 2, records[0].at, records[1].at),
        ("count ECS44", 1, records[2].at, records[2].at),
    )
    with store.act(act()) as tx:
        tx.close_quarantine([records[1].digest], "rejected")
    with pytest.raises(Refused, match=r"quarantine\.moved-on"), store.act(act()) as tx:
        tx.close_quarantine([records[0].digest, records[1].digest], "released")
    assert store.quarantine.one(records[0].digest) == records[0]
    start = records[0].digest.hex()[:10]
    assert records[0] in store.quarantine.beginning(start)
    assert store.quarantine.states([item.digest for item in records]) == {
        records[0].digest: "waiting",
        records[1].digest: "rejected",
        records[2].digest: "waiting",
    }
    assert store.quarantine.count("rejected") == 1


def test_thresholds_and_consents_come_back(store: Store) -> None:
    threshold = ThresholdRecord("global", NOW, b"d" * 32, b"file")
    consent = ConsentRecord(TWO, "1900012345678", NOW)
    ended = replace(consent, until=NOW + timedelta(days=1))
    of_device = ConsentRecord(ONE, str(METER), NOW)
    with store.act(act()) as tx:
        tx.put_threshold(threshold)
        tx.put_consents([consent, of_device])
        tx.put_consents([ended])
    assert store.quarantine.thresholds() == (threshold,)
    assert store.quarantine.consents(["1900012345678", "x"]) == (ended,)
    assert store.quarantine.consents_of(ONE) == (of_device,)
    assert [ended.holds_at(NOW + timedelta(hours=hours)) for hours in (-1, 0, 23, 24)] == [False, True, True, False]
