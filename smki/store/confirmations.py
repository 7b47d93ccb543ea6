"""What officers decided about commands that are held, and which patterns somebody has seen."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from smki.errors import Refused
from smki.store.acts import Acts
from smki.store.admission_records import ConfirmationRecord, QuarantineState
from smki.store.engine import Engine
from smki.store.quarantine import STATES
from smki.store.values import moment_of, pieces, places, seconds_of

_WAITING = STATES.index("waiting")
_COLUMNS = ("digest", "decision", "capacity", "officer", "organisation", "items", "at", "until", "file")
_BY = (
    "EXISTS (SELECT 1 FROM confirmed JOIN confirmation ON confirmation.digest = confirmed.confirmation"
    " WHERE confirmed.item = quarantine.digest AND confirmation.decision = 'release'"
    " AND confirmation.capacity = ? AND confirmation.until > ?)"
)


class Confirmations:
    """Every signed word about what was ever held."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def about(self, items: Sequence[bytes]) -> dict[bytes, tuple[bytes, ...]]:
        """The confirmations of each of these that has any."""
        found: dict[bytes, tuple[bytes, ...]] = {}
        for piece in pieces(items):
            rows = self._engine.execute(
                f"SELECT item, confirmation FROM confirmed WHERE item IN ({places(piece)})", piece
            ).fetchall()
            for item, confirmation in rows:
                found[bytes(item)] = (*found.get(bytes(item), ()), bytes(confirmation))
        return found

    def one(self, digest: bytes) -> ConfirmationRecord | None:
        row = self._engine.execute(
            f"SELECT {', '.join(_COLUMNS)} FROM confirmation WHERE digest = ?", (digest,)
        ).fetchone()
        return None if row is None else _record(row)

    def of_pattern(self, pattern: str) -> tuple[ConfirmationRecord, ...]:
        """Those about any of its commands, the oldest first."""
        rows = self._engine.execute(
            f"SELECT {', '.join(_COLUMNS)} FROM confirmation WHERE digest IN (SELECT confirmation FROM confirmed"
            " JOIN quarantine ON quarantine.digest = confirmed.item WHERE quarantine.pattern = ?)"
            " ORDER BY at, digest",
            (pattern,),
        ).fetchall()
        return tuple(_record(row) for row in rows)

    def ready(self, now: datetime, limit: int, after: tuple[bytes, bytes] = (b"", b"")) -> list[tuple[bytes, bytes]]:
        """Counter and digest of what waits, and has a word of both sides to release it.

        By counters, for a device takes none that is below another it took.
        """
        second = seconds_of(now)
        rows = self._engine.execute(
            "SELECT counter, digest FROM quarantine WHERE state = ? AND (counter > ? OR counter = ? AND digest > ?)"
            f" AND {_BY} AND {_BY} ORDER BY counter, digest LIMIT ?",
            (_WAITING, after[0], after[0], after[1], "originator", second, "broker", second, limit),
        ).fetchall()
        return [(bytes(counter), bytes(digest)) for counter, digest in rows]

    def counts(self, now: datetime) -> dict[tuple[str, str], int]:
        """How many of each pattern wait with a word to release them, by whose officer it is."""
        rows = self._engine.execute(
            "SELECT quarantine.pattern, confirmation.capacity, COUNT(DISTINCT quarantine.digest) FROM quarantine"
            " JOIN confirmed ON confirmed.item = quarantine.digest"
            " JOIN confirmation ON confirmation.digest = confirmed.confirmation"
            " WHERE quarantine.state = ? AND confirmation.decision = 'release' AND confirmation.until > ?"
            " GROUP BY quarantine.pattern, confirmation.capacity",
            (_WAITING, seconds_of(now)),
        ).fetchall()
        return {(pattern, capacity): count for pattern, capacity, count in rows}

    def seen(self) -> dict[str, int]:
        """How many of each pattern somebody said they know of."""
        rows = self._engine.execute("SELECT pattern, MAX(held) FROM acknowledgement GROUP BY pattern").fetchall()
        return {pattern: count for pattern, count in rows}  # noqa: C416 - rows are no pairs to the type checker


class ConfirmationActs(Acts):
    """Changes to what was decided."""

    @property
    def confirmations(self) -> Confirmations:
        """What was decided, as this act sees it."""
        return Confirmations(self._engine)

    def put_confirmation(self, record: ConfirmationRecord, items: Sequence[bytes]) -> None:
        self._engine.insert(
            "confirmation",
            _COLUMNS,
            [
                (
                    record.digest,
                    record.decision,
                    record.capacity,
                    record.officer,
                    record.organisation,
                    record.items,
                    seconds_of(record.at),
                    seconds_of(record.until),
                    record.file,
                )
            ],
        )
        self._engine.insert("confirmed", ("item", "confirmation"), [(item, record.digest) for item in items])

    def close_quarantine(self, items: Sequence[bytes], state: QuarantineState) -> None:
        """What waits does so no longer: all of these, or none."""
        for piece in pieces(items):
            changed = self._execute(
                f"UPDATE quarantine SET state = ? WHERE state = ? AND digest IN ({places(piece)})",
                (STATES.index(state), _WAITING, *piece),
            ).rowcount
            if changed != len(piece):
                raise Refused("quarantine.moved-on", "somebody decided about them meanwhile", "look at them again")

    def acknowledge(self, pattern: str, count: int, person: str) -> None:
        """Somebody knows of a pattern, at the size it has."""
        self._execute(
            "INSERT INTO acknowledgement (pattern, held, at, person) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (pattern, held) DO UPDATE SET at = excluded.at, person = excluded.person",
            (pattern, count, seconds_of(self._at), person),
        )


def _record(row: Sequence[Any]) -> ConfirmationRecord:
    digest, decision, capacity, officer, organisation, items, at, until, file = row
    return ConfirmationRecord(
        digest=bytes(digest),
        decision=decision,
        capacity=capacity,
        officer=officer,
        organisation=organisation,
        items=items,
        at=moment_of(at),
        until=moment_of(until),
        file=bytes(file),
    )
