"""Requests to change supplier, as the party that serves them has seen them. What was made of each: its orders."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from smki.entity import EntityId
from smki.store.acts import Acts
from smki.store.engine import Engine
from smki.store.values import moment_of, pieces, places, seconds_of

_COLUMNS = ("digest", "supplier", "made", "seen_at", "cancels", "file")
_MADE = 0  # the state of an order that nobody signed yet, as it is written
# Why an order was given up before the key was asked, as its outcome: no device ever heard of it.
RENUMBERED = "never signed: numbered anew"
WITHDRAWN = "never signed: not allowed any more"
NEVER_SIGNED = (RENUMBERED, WITHDRAWN)


@dataclass(frozen=True, slots=True)
class SupplierChangeRecord:
    """One request: who asked, when, and for what it was taken back, if it is that."""

    digest: bytes
    """SHA-256 of its content; the batch of the orders made for it."""
    supplier: EntityId
    made: datetime
    seen_at: datetime
    cancels: bytes | None = None
    """The request that this one takes back."""
    file: bytes = b""
    """As it came, signature and all; empty where it was left in the store."""


@dataclass(frozen=True, slots=True)
class EarlierChange:
    """A request for which something was made for a device."""

    digest: bytes
    made: datetime
    cancels: bytes | None
    put_off: bool
    """Whether its command waits, or waited, on the device for its time."""
    signed: bool


class SupplierChanges:
    """Every request that something was to be made for."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def one(self, digest: bytes) -> SupplierChangeRecord | None:
        row = self._engine.execute(
            f"SELECT {', '.join(_COLUMNS)} FROM supplier_change WHERE digest = ?", (digest,)
        ).fetchone()
        return None if row is None else _record(row)

    def all(self) -> tuple[SupplierChangeRecord, ...]:
        """Without the files, the oldest first."""
        rows = self._engine.execute(
            f"SELECT {', '.join(_COLUMNS[:-1])}, NULL FROM supplier_change ORDER BY seen_at, digest"
        ).fetchall()
        return tuple(_record(row) for row in rows)

    def earlier(self, devices: Sequence[EntityId]) -> dict[EntityId, tuple[EarlierChange, ...]]:
        """What was asked for these devices before."""
        found: dict[EntityId, list[EarlierChange]] = {}
        for piece in pieces(devices):
            rows = self._engine.execute(
                "SELECT DISTINCT device, supplier_change.digest, made, cancels, execution_at IS NOT NULL, state <> ?"
                " FROM credential_order JOIN supplier_change ON supplier_change.digest = batch"
                f" WHERE outcome NOT IN ({places(NEVER_SIGNED)}) AND device IN ({places(piece)}) ORDER BY made",
                (_MADE, *NEVER_SIGNED, *(device.octets for device in piece)),
            ).fetchall()
            for device, digest, made, cancels, put_off, signed in rows:
                back = None if cancels is None else bytes(cancels)
                earlier = EarlierChange(bytes(digest), moment_of(made), back, bool(put_off), bool(signed))
                found.setdefault(EntityId(bytes(device)), []).append(earlier)
        return {device: tuple(items) for device, items in found.items()}

    def cancelling(self, digest: bytes) -> tuple[SupplierChangeRecord, ...]:
        """Every request that takes this one back, or some of its homes; with the files."""
        rows = self._engine.execute(
            f"SELECT {', '.join(_COLUMNS)} FROM supplier_change WHERE cancels = ?", (digest,)
        ).fetchall()
        return tuple(_record(row) for row in rows)

    def count_since(self, supplier: EntityId | None, code: int, since: datetime, run: bytes) -> int:
        """How many commands of a use case were made after a moment, for a supplier or for all.

        Without those of one request that are not signed yet: whoever runs it counts them apart.
        """
        condition, values = ("", ()) if supplier is None else (" AND supplier = ?", (supplier.octets,))
        row = self._engine.execute(
            "SELECT COUNT(*) FROM supplier_change JOIN credential_order ON batch = supplier_change.digest"
            f" WHERE code = ? AND made_at > ? AND outcome NOT IN ({places(NEVER_SIGNED)})"
            f" AND NOT (batch = ? AND state = ?){condition}",
            (code, seconds_of(since), *NEVER_SIGNED, run, _MADE, *values),
        ).fetchone()
        return int(row[0])


class SupplierChangeActs(Acts):
    """Changes to requests."""

    def put_supplier_change(self, record: SupplierChangeRecord) -> None:
        """A request, the first time something is to be made for it."""
        self._execute(
            f"INSERT INTO supplier_change ({', '.join(_COLUMNS)}) VALUES (?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (digest) DO NOTHING",
            (
                record.digest,
                record.supplier.octets,
                seconds_of(record.made),
                seconds_of(record.seen_at),
                record.cancels,
                record.file,
            ),
        )


def _record(row: Sequence[Any]) -> SupplierChangeRecord:
    digest, supplier, made, seen_at, cancels, file = row
    return SupplierChangeRecord(
        digest=bytes(digest),
        supplier=EntityId(bytes(supplier)),
        made=moment_of(made),
        seen_at=moment_of(seen_at),
        cancels=None if cancels is None else bytes(cancels),
        file=b"" if file is None else bytes(file),
    )
