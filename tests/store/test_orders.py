"""Orders about credentials: the same on every engine."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from smki.device.modes import SUPPLIER_CELLS
from smki.entity import EntityId, KeyUsage, RemotePartyRole
from smki.errors import Refused
from smki.gbcs.payload.credentials import Mode
from smki.store.records import Act, FloorRecord, OrderRecord, PutRecord
from smki.store.store import Store

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
SUPPLIER = EntityId.parse("90-B3-D5-1F-30-01-00-00")
BATCH = b"b" * 32


def order(number: int, **changes: object) -> OrderRecord:
    plain = OrderRecord(
        digest=number.to_bytes(32),
        device=EntityId(number.to_bytes(8)),
        originator=SUPPLIER,
        code=0x0102,
        counter=(1 << 62) + number,
        execution_at=None,
        state="made",
        puts=tuple(PutRecord(name, SUPPLIER, b"k" * 8, "0A") for name in SUPPLIER_CELLS),
        floors=(FloorRecord(RemotePartyRole.SUPPLIER, 0, 7), FloorRecord(RemotePartyRole.NETWORK_OPERATOR, 3)),
        batch=BATCH,
        made_at=NOW,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def put(store: Store, *records: OrderRecord) -> None:
    with store.act(Act("test", "tester", NOW)) as tx:
        tx.put_orders(records)


def test_orders_come_back_as_they_were_put(store: Store) -> None:
    own = PutRecord(KeyUsage.KEY_AGREEMENT, SUPPLIER, b"k" * 8, "0B")
    records = (order(1), order(2, execution_at=NOW, batch=b"c" * 32), order(3, code=0x000B, puts=(own,), floors=()))
    put(store, *records)
    assert tuple(store.orders.one(one.digest) for one in records) == records
    assert [one.mode for one in records] == [Mode.SUPPLIER_BY_SUPPLIER] * 2 + [None]
    assert store.orders.one(b"x" * 32) is None
    assert {one.digest for one in store.orders.find()} == {one.digest for one in records}
    assert list(store.orders.find(batch=b"c" * 32)) == [records[1]]
    assert list(store.orders.find(device=records[0].device, state="made")) == [records[0]]
    assert list(store.orders.find(state="done")) == []
    assert store.orders.answered_by(records[2].device, SUPPLIER, records[2].counter) == (records[2],)


def test_an_order_is_answered_once(store: Store) -> None:
    put(store, order(1), order(2))
    first, second = order(1).digest, order(2).digest
    with store.act(Act("test", "tester", NOW)) as tx:
        tx.answer_orders([(first, "accepted", "waits"), (second, "cancelled", "")])
    assert store.orders.counts(BATCH) == {"accepted": 1, "cancelled": 1}
    with store.act(Act("test", "tester", NOW)) as tx:
        tx.answer_orders([(first, "partly", "one failed"), (second, "done", "it was faster")])
    assert store.orders.counts(BATCH) == {"partly": 1, "done": 1}

    def again() -> None:
        with store.act(Act("test", "tester", NOW)) as tx:
            tx.answer_orders([(first, "done", "")])

    with pytest.raises(Refused) as refusal:
        again()
    assert refusal.value.code == "order.answered"
    found = store.orders.one(first)
    assert found is not None
    assert (found.state, found.outcome, found.is_answered) == ("partly", "one failed", True)


def test_the_last_counters_are_each_originators_own(store: Store) -> None:
    device, other = EntityId((9).to_bytes(8)), EntityId.parse("90-B3-D5-1F-30-03-00-00")
    put(
        store,
        order(1, device=device, counter=200),
        order(2, device=device, counter=1 << 40),
        order(3, device=device, counter=1 << 50, originator=other),
    )
    assert store.orders.last_counters(SUPPLIER, [device, EntityId((8).to_bytes(8))]) == {device: 1 << 40}
    assert store.orders.known([order(1).digest, b"x" * 32]) == {order(1).digest}


def test_what_is_put_where_is_written_once_for_many(store: Store) -> None:
    put(store, *(order(number) for number in range(1, 50)))
    put(store, order(50))
    assert store._engine.execute("SELECT COUNT(*) FROM credential_change").fetchone()[0] == 1
    assert store.orders.counts(BATCH) == {"made": 50}
