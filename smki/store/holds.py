"""What waits for a second officer: reading it, and the changes of an act."""

import json
from collections.abc import Sequence
from typing import Any

from smki.errors import Refused
from smki.store.acts import Acts
from smki.store.engine import Engine
from smki.store.records import HoldRecord, HoldState
from smki.store.values import moment_of, pieces, places, seconds_of

_COLUMNS = "digest, purpose, items, reasons, state, asked_by, asked_at, decision"


class Holds:
    """Everything that was ever held."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def one(self, digest: bytes) -> HoldRecord | None:
        row = self._engine.execute(f"SELECT {_COLUMNS} FROM hold WHERE digest = ?", (digest,)).fetchone()
        return None if row is None else _record(row)

    def all(self) -> tuple[HoldRecord, ...]:
        rows = self._engine.execute(f"SELECT {_COLUMNS} FROM hold ORDER BY asked_at, digest").fetchall()
        return tuple(_record(row) for row in rows)

    def items(self, hold: bytes) -> tuple[tuple[bytes, str], ...]:
        """What a hold is about: the digest of each item, and what it is in words."""
        rows = self._engine.execute("SELECT item, words FROM held WHERE hold = ? ORDER BY words", (hold,)).fetchall()
        return tuple((bytes(item), str(words)) for item, words in rows)

    def about(self, items: Sequence[bytes]) -> dict[bytes, tuple[bytes, ...]]:
        """Of these items, those that were ever held, with the holds they are in."""
        found: dict[bytes, tuple[bytes, ...]] = {}
        for piece in pieces(items):
            rows = self._engine.execute(
                f"SELECT item, hold FROM held WHERE item IN ({places(piece)})", piece
            ).fetchall()
            for item, hold in rows:
                found[bytes(item)] = (*found.get(bytes(item), ()), bytes(hold))
        return found

    def refused(self, items: Sequence[bytes]) -> frozenset[bytes]:
        """Those of these items that an officer refused, whatever they came with."""
        found: set[bytes] = set()
        for piece in pieces(items):
            rows = self._engine.execute(
                "SELECT held.item FROM held JOIN hold ON hold.digest = held.hold"
                f" WHERE hold.state = 'refused' AND held.item IN ({places(piece)})",
                piece,
            ).fetchall()
            found.update(bytes(item) for (item,) in rows)
        return frozenset(found)


def _record(row: Sequence[Any]) -> HoldRecord:
    digest, purpose, items, reasons, state, asked_by, asked_at, decision = row
    return HoldRecord(
        digest=bytes(digest),
        purpose=purpose,
        items=items,
        reasons=tuple(json.loads(reasons)),
        state=state,
        asked_by=asked_by,
        asked_at=moment_of(asked_at),
        decision=json.loads(decision),
    )


class HoldActs(Acts):
    """Changes to what is held."""

    def put_hold(self, record: HoldRecord, items: Sequence[tuple[bytes, str]]) -> None:
        """Hold something: the first time it is asked."""
        self.lock()
        if self._execute("SELECT 1 FROM hold WHERE digest = ?", (record.digest,)).fetchone():
            return
        self._engine.insert(
            "held", ("item", "hold", "words"), [(item, record.digest, words) for item, words in items]
        )
        self._execute(
            f"INSERT INTO hold ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                record.digest,
                record.purpose,
                record.items,
                json.dumps(record.reasons),
                record.state,
                record.asked_by,
                seconds_of(record.asked_at),
                json.dumps(record.decision),
            ),
        )

    def decide_hold(self, digest: bytes, state: HoldState, decision: dict[str, Any]) -> None:
        changed = self._execute(
            "UPDATE hold SET state = ?, decision = ? WHERE digest = ? AND state = 'waiting'",
            (state, json.dumps(decision), digest),
        ).rowcount
        if changed != 1:
            raise Refused("approve.decided", "this does not wait for a decision", "see `smki approve list`")
