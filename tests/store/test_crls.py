"""Lists in the store, on both engines: numbers, the newest, and the octets of no other."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from smki.errors import Refused
from smki.pki.reason import Reason
from smki.pki.scope import Scope
from smki.pki.serial import Serial
from smki.store.records import Act, CrlRecord, RevocationRecord
from smki.store.store import Store

AT = datetime(2026, 11, 21, 12, tzinfo=UTC)
ACT = Act("test", "tester", AT)
ISSUER = 7


def record(number: int, base: int | None = None) -> CrlRecord:
    return CrlRecord(ISSUER, number, base, AT, AT + timedelta(days=2), 3, Scope.END_ENTITIES)


def make(store: Store, number: int, *pieces: bytes, base: int | None = None) -> CrlRecord:
    reserved = record(number, base)
    made = replace(reserved, entries=2, size=sum(map(len, pieces)), sha256=bytes(32))
    with store.act(ACT) as tx:
        assert tx.last_crl_number(ISSUER) < number
        tx.reserve_crl(reserved)
    with store.act(ACT) as tx:
        tx.put_crl(made, iter(pieces))
    return made


def test_a_list_is_found_as_it_was_put(store: Store) -> None:
    assert store.crls.latest(ISSUER, delta=False) is None
    assert store.crls.last_number(ISSUER) == 0
    made = make(store, 1, b"one", b"two")
    assert store.crls.latest(ISSUER, delta=False) == made
    assert list(store.crls.pieces(ISSUER, 1)) == [b"one", b"two"]
    assert store.crls.latest(ISSUER, delta=True) is None
    assert store.crls.latest(ISSUER + 1, delta=False) is None


def test_a_newer_list_takes_the_place_of_its_kind_alone(store: Store) -> None:
    make(store, 1, b"complete 1")
    delta = make(store, 2, b"delta 2", base=1)
    newest = make(store, 3, b"complete 3")
    assert list(store.crls.pieces(ISSUER, 1)) == []
    assert list(store.crls.pieces(ISSUER, 2)) == [b"delta 2"]
    assert (store.crls.latest(ISSUER, delta=False), store.crls.latest(ISSUER, delta=True)) == (newest, delta)


def test_a_number_that_was_set_aside_is_spent_and_is_no_list(store: Store) -> None:
    make(store, 1, b"one")
    with store.act(ACT) as tx:
        tx.reserve_crl(record(2))
    assert store.crls.last_number(ISSUER) == 2
    newest = store.crls.latest(ISSUER, delta=False)
    assert newest is not None
    assert newest.number == 1
    assert [one.sha256 is None for one in store.crls.all(ISSUER)] == [False, True]
    with pytest.raises(Refused), store.act(ACT) as tx:
        tx.reserve_crl(record(2))


def test_numbers_grow_without_end(store: Store) -> None:
    large = (1 << 31, 1 << 32, 1 << 40)
    for number in large:
        assert make(store, number, b"list") == store.crls.latest(ISSUER, delta=False)
    assert [one.number for one in store.crls.all(ISSUER)] == list(large)


def test_since_when_a_revocation_waits(store: Store) -> None:
    assert store.crls.waiting_since(ISSUER, 0) is None
    with store.act(ACT) as tx:
        tx.put_ground(bytes(32), "{}")
        tx.put_revocations(
            [
                RevocationRecord(
                    n, ISSUER, Serial(b"\1" * 15 + bytes([n])), AT + timedelta(hours=n), Reason.SUPERSEDED, bytes(32)
                )
                for n in (1, 2, 3)
            ]
        )
    assert store.crls.waiting_since(ISSUER, 0) == AT + timedelta(hours=1)
    assert store.crls.waiting_since(ISSUER, 2) == AT + timedelta(hours=3)
    assert store.crls.waiting_since(ISSUER, 3) is None
