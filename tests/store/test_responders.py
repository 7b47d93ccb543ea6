"""Responders and what they ask, on both engines."""

from datetime import UTC, datetime, timedelta

from smki.pki.serial import Serial
from smki.store.records import Act, CertificateRecord
from smki.store.responders import ResponderRecord
from smki.store.store import Store

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def serial(number: int) -> Serial:
    return Serial(b"\x40" + number.to_bytes(15))


def put(store: Store, issuer: int, number: int, end: datetime) -> None:
    record = CertificateRecord(issuer, serial(number), number.to_bytes(16), None, "organisation", NOW, end, b"der")
    with store.act(Act("test", "tester", NOW)) as tx:
        tx.reserve_serials(issuer, [record.serial], "test")
        tx.store_certificates([record])


def test_responders_are_told_in_the_order_they_were_appointed(store: Store) -> None:
    records = [ResponderRecord(issuer, serial(issuer), "ocsp", b"key") for issuer in (7, 3, 5)]
    for record in records:
        with store.act(Act("test", "tester", NOW)) as tx:
            tx.put_responder(record)
    found = store.responders.all()
    assert list(found) == records
    assert [record.number for record in found] == [1, 2, 3]


def test_what_was_issued_is_known_by_issuer_and_number(store: Store) -> None:
    for number in range(1, 4):
        put(store, 1, number, NOW + timedelta(days=1))
    put(store, 2, 9, NOW + timedelta(days=1))
    wanted = [serial(number) for number in range(1200)]
    assert store.responders.issued(1, wanted) == {serial(1), serial(2), serial(3)}
    assert store.responders.issued(2, [serial(1), serial(9)]) == {serial(9)}
    assert store.responders.issued(1, []) == frozenset()


def test_those_alive_are_listed_where_they_are_few(store: Store) -> None:
    put(store, 1, 1, NOW - timedelta(days=1))
    put(store, 1, 2, NOW + timedelta(days=1))
    put(store, 2, 3, NOW + timedelta(days=2))
    put(store, 3, 4, datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC))
    assert store.responders.alive(NOW, 2) == [(1, serial(2)), (2, serial(3))]
    assert store.responders.alive(NOW, 1) is None
    assert store.responders.alive(NOW + timedelta(days=3), 0) == []
