"""Orders: commands about devices' credentials that were made, and what became of them.

A run makes the same change on a hundred thousand devices: what is put where is written once, each order names it.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any

from smki.entity import EntityId, KeyUsage, RemotePartyRole
from smki.errors import Refused
from smki.store.acts import Acts
from smki.store.engine import Engine
from smki.store.records import FloorRecord, OrderRecord, OrderState, PutRecord
from smki.store.values import counter_octets, moment_of, pieces, places, seconds_of

_STATES: tuple[OrderState, ...] = ("made", "signed", "accepted", "done", "partly", "failed", "cancelled")
"""Written as their place here."""
_FINAL = tuple(_STATES.index(state) for state in ("done", "partly", "failed"))
"""Told by the device. A cancelled order may yet turn out to have been faster."""
_CANCELLED = _STATES.index("cancelled")
_COLUMNS = (
    "digest",
    "device",
    "originator",
    "code",
    "counter",
    "execution_at",
    "state",
    "change",
    "batch",
    "made_at",
    "outcome",
)
_SELECT = (
    "SELECT o.digest, device, originator, code, counter, execution_at, state, body, batch, made_at, outcome"
    " FROM credential_order o JOIN credential_change ON credential_change.digest = change"
)
_OWN = "own "


class Orders:
    """Every order that was ever made."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def one(self, digest: bytes) -> OrderRecord | None:
        return next(self._read("o.digest = ?", (digest,)), None)

    def find(
        self, batch: bytes | None = None, device: EntityId | None = None, state: OrderState | None = None
    ) -> Iterator[OrderRecord]:
        """In no order, one by one: a million need no more memory than a hundred."""
        wanted = (
            ("batch = ?", batch),
            ("device = ?", None if device is None else device.octets),
            ("state = ?", None if state is None else _STATES.index(state)),
        )
        conditions = [(text, value) for text, value in wanted if value is not None]
        where = " WHERE " + " AND ".join(text for text, _ in conditions) if conditions else ""
        rows = self._engine.stream(f"{_SELECT}{where}", tuple(value for _, value in conditions))
        return (_order(row) for row in rows)

    def counts(self, batch: bytes) -> dict[OrderState, int]:
        """How many orders of a run stand where."""
        rows = self._engine.execute(
            "SELECT state, COUNT(*) FROM credential_order WHERE batch = ? GROUP BY state", (batch,)
        ).fetchall()
        found = {int(state): int(count) for state, count in rows}
        return {name: found[number] for number, name in enumerate(_STATES) if number in found}

    def answered_by(self, device: EntityId, originator: EntityId, counter: int) -> tuple[OrderRecord, ...]:
        """The orders that an answer of a device is about; more than one where a counter was given twice."""
        return tuple(
            self._read(
                "device = ? AND originator = ? AND counter = ?",
                (device.octets, originator.octets, counter_octets(counter)),
            )
        )

    def known(self, digests: Sequence[bytes]) -> frozenset[bytes]:
        """Of these, the orders that were made before."""
        found: set[bytes] = set()
        for piece in pieces(digests):
            rows = self._engine.execute(
                f"SELECT digest FROM credential_order WHERE digest IN ({places(piece)})", piece
            ).fetchall()
            found.update(bytes(digest) for (digest,) in rows)
        return frozenset(found)

    def last_counters(self, originator: EntityId, devices: Sequence[EntityId]) -> dict[EntityId, int]:
        """The highest counter that someone's orders to each of these devices had."""
        found: dict[EntityId, int] = {}
        for piece in pieces(devices):
            rows = self._engine.execute(
                "SELECT device, counter FROM credential_order WHERE originator = ?"
                f" AND device IN ({places(piece)}) ORDER BY counter",
                (originator.octets, *(device.octets for device in piece)),
            ).fetchall()
            found.update((EntityId(bytes(device)), int.from_bytes(counter)) for device, counter in rows)
        return found

    def _read(self, condition: str, values: tuple[Any, ...]) -> Iterator[OrderRecord]:
        rows = self._engine.execute(f"{_SELECT} WHERE {condition} ORDER BY counter", values).fetchall()
        return (_order(row) for row in rows)


class OrderActs(Acts):
    """Changes to orders."""

    def put_orders(self, records: Iterable[OrderRecord]) -> None:
        """Orders that are made."""
        bodies: dict[bytes, str] = {}
        rows = []
        for item in records:
            change, body = _body(item.puts, item.floors)
            bodies[change] = body
            rows.append(
                (
                    item.digest,
                    item.device.octets,
                    item.originator.octets,
                    item.code,
                    counter_octets(item.counter),
                    None if item.execution_at is None else seconds_of(item.execution_at),
                    _STATES.index(item.state),
                    change,
                    item.batch,
                    seconds_of(item.made_at),
                    item.outcome,
                )
            )
        for change, body in bodies.items():
            self._execute(
                "INSERT INTO credential_change (digest, body) VALUES (?, ?) ON CONFLICT (digest) DO NOTHING",
                (change, body),
            )
        self._engine.insert("credential_order", _COLUMNS, rows)

    def answer_orders(self, answers: Iterable[tuple[bytes, OrderState, str]]) -> None:
        """What became of orders. What is over stays as it was told first; what was cancelled does not wait again."""
        for digest, state, outcome in answers:
            number = _STATES.index(state)
            closed = _FINAL if number in _FINAL else (*_FINAL, _CANCELLED)
            changed = self._execute(
                "UPDATE credential_order SET state = ?, outcome = ? WHERE digest = ?"
                f" AND state NOT IN ({places(closed)})",
                (number, outcome, digest, *closed),
            ).rowcount
            if changed != 1:
                raise Refused(
                    "order.answered",
                    f"order {digest.hex()[:16]} is not under way",
                    "an order is answered once: look at what is on record",
                )


# What an order puts where, as text


@lru_cache(maxsize=64)
def _body(puts: tuple[PutRecord, ...], floors: tuple[FloorRecord, ...]) -> tuple[bytes, str]:
    written = {
        "puts": [
            {
                "cell": _OWN + item.cell.value if isinstance(item.cell, KeyUsage) else str(item.cell),
                "organisation": str(item.organisation),
                "key_identifier": item.key_identifier.hex(),
                "serial": item.serial,
            }
            for item in puts
        ],
        "floors": [
            {"role": one.role.word, "counter": str(one.counter)}
            | ({} if one.top_up is None else {"top_up": str(one.top_up)})
            for one in floors
        ],
    }
    text = json.dumps(written, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).digest(), text


@lru_cache(maxsize=64)
def _change(body: str) -> tuple[tuple[PutRecord, ...], tuple[FloorRecord, ...]]:
    from smki.device.cells import CellName

    read = json.loads(body)
    puts = tuple(
        PutRecord(
            cell=KeyUsage(cell.removeprefix(_OWN))
            if (cell := item["cell"]).startswith(_OWN)
            else CellName.parse(cell),
            organisation=EntityId.parse(item["organisation"]),
            key_identifier=bytes.fromhex(item["key_identifier"]),
            serial=item["serial"],
        )
        for item in read["puts"]
    )
    floors = tuple(
        FloorRecord(
            RemotePartyRole.parse(one["role"]),
            int(one["counter"]),
            None if "top_up" not in one else int(one["top_up"]),
        )
        for one in read["floors"]
    )
    return puts, floors


def _order(row: Sequence[Any]) -> OrderRecord:
    digest, device, originator, code, counter, execution_at, state, body, batch, made_at, outcome = row
    puts, floors = _change(body)
    return OrderRecord(
        digest=bytes(digest),
        device=EntityId(bytes(device)),
        originator=EntityId(bytes(originator)),
        code=code,
        counter=int.from_bytes(counter),
        execution_at=None if execution_at is None else moment_of(execution_at),
        state=_STATES[state],
        puts=puts,
        floors=floors,
        batch=bytes(batch),
        made_at=moment_of(made_at),
        outcome=outcome,
    )
