"""What the access control broker holds, the thresholds it goes by, the consents it was told of."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from smki.entity import EntityId, RemotePartyRole
from smki.store.acts import Acts
from smki.store.admission_records import ConsentRecord, QuarantineRecord, QuarantineState, ThresholdRecord
from smki.store.engine import Engine
from smki.store.values import counter_octets, moment_of, pieces, places, seconds_of

STATES: tuple[QuarantineState, ...] = ("waiting", "released", "rejected")  # a new word goes to the end
_QUARANTINE = (
    "digest", "octets", "originator", "role", "target", "code", "counter", "area", "local", "at", "reference",
    "pattern", "findings", "state", "decisions",
)  # fmt: skip
_SELECT = f"SELECT {', '.join(_QUARANTINE)} FROM quarantine"
_CONSENT = ("party", "subject", "since", "until")


class Quarantine:
    """Every command that was ever held."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def one(self, digest: bytes) -> QuarantineRecord | None:
        return self.known([digest]).get(digest)

    def known(self, digests: Sequence[bytes]) -> dict[bytes, QuarantineRecord]:
        """Those of these that were held, whatever became of them."""
        found: dict[bytes, QuarantineRecord] = {}
        for piece in pieces(digests):
            rows = self._engine.execute(f"{_SELECT} WHERE digest IN ({places(piece)})", piece).fetchall()
            found.update((bytes(row[0]), _record(row)) for row in rows)
        return found

    def states(self, digests: Sequence[bytes]) -> dict[bytes, QuarantineState]:
        """The same, and no more than what became of them."""
        found: dict[bytes, QuarantineState] = {}
        for piece in pieces(digests):
            rows = self._engine.execute(
                f"SELECT digest, state FROM quarantine WHERE digest IN ({places(piece)})", piece
            ).fetchall()
            found.update((bytes(digest), STATES[state]) for digest, state in rows)
        return found

    def in_state(self, state: QuarantineState, limit: int, offset: int = 0) -> tuple[QuarantineRecord, ...]:
        """The oldest first."""
        rows = self._engine.execute(
            f"{_SELECT} WHERE state = ? ORDER BY at, digest LIMIT ? OFFSET ?", (STATES.index(state), limit, offset)
        ).fetchall()
        return tuple(_record(row) for row in rows)

    def of_pattern(
        self, pattern: str, limit: int, offset: int = 0, *, state: QuarantineState | None = None
    ) -> tuple[QuarantineRecord, ...]:
        """The oldest first; those in one state, or in any."""
        only, values = ("", ()) if state is None else (" AND state = ?", (STATES.index(state),))
        rows = self._engine.execute(
            f"{_SELECT} WHERE pattern = ?{only} ORDER BY at, digest LIMIT ? OFFSET ?",
            (pattern, *values, limit, offset),
        ).fetchall()
        return tuple(_record(row) for row in rows)

    def beginning(self, start: str) -> tuple[QuarantineRecord, ...]:
        """Those whose digest begins with these hexadecimal digits: two at the most."""
        low, high = bytes.fromhex(start.ljust(64, "0")), bytes.fromhex(start.ljust(64, "f"))
        rows = self._engine.execute(f"{_SELECT} WHERE digest >= ? AND digest <= ? LIMIT 2", (low, high)).fetchall()
        return tuple(_record(row) for row in rows)

    def patterns(self, state: QuarantineState) -> tuple[tuple[str, int, datetime, datetime], ...]:
        """What belongs together: its name, how many, the first and the last."""
        rows = self._engine.execute(
            "SELECT pattern, COUNT(*), MIN(at), MAX(at) FROM quarantine WHERE state = ? GROUP BY pattern"
            " ORDER BY MIN(at), pattern",
            (STATES.index(state),),
        ).fetchall()
        return tuple((pattern, count, moment_of(first), moment_of(last)) for pattern, count, first, last in rows)

    def open_patterns(self) -> tuple[tuple[str, int, int, datetime, datetime], ...]:
        """Those of which any waits: the name, how many wait, how many there ever were, the first and the last."""
        rows = self._engine.execute(
            "SELECT pattern, SUM(CASE WHEN state = 0 THEN 1 ELSE 0 END), COUNT(*), MIN(at), MAX(at) FROM quarantine"
            " WHERE pattern IN (SELECT pattern FROM quarantine WHERE state = 0) GROUP BY pattern"
            " ORDER BY MIN(at), pattern"
        ).fetchall()
        return tuple(
            (name, int(waits), ever, moment_of(first), moment_of(last)) for name, waits, ever, first, last in rows
        )

    def count(self, state: QuarantineState) -> int:
        row = self._engine.execute("SELECT COUNT(*) FROM quarantine WHERE state = ?", (STATES.index(state),))
        return int(row.fetchone()[0])

    def waiting_for(self, originator: EntityId, role: RemotePartyRole, code: int, finding: str, since: int) -> int:
        """How many of a use case from somebody wait since a second, where one of the reasons is of this code."""
        row = self._engine.execute(
            "SELECT COUNT(*) FROM quarantine WHERE state = ? AND at >= ? AND originator = ? AND role = ? AND code = ?"
            " AND findings LIKE ?",
            (STATES.index("waiting"), since, originator.octets, role.value, code, f'%"code": "{finding}"%'),
        ).fetchone()
        return int(row[0])

    def threshold_count(self) -> int:
        """It only grows: whoever read so many has read them all."""
        return int(self._engine.execute("SELECT COUNT(*) FROM broker_threshold").fetchone()[0])

    def thresholds(self) -> tuple[ThresholdRecord, ...]:
        """Every file that was ever set, the oldest of each owner first."""
        rows = self._engine.execute(
            "SELECT owner, since, digest, file FROM broker_threshold ORDER BY owner, since, digest"
        ).fetchall()
        return tuple(
            ThresholdRecord(owner, moment_of(since), bytes(digest), bytes(file))
            for owner, since, digest, file in rows
        )

    def consents(self, subjects: Sequence[str]) -> tuple[ConsentRecord, ...]:
        """All that were ever given about these meter points and devices."""
        found: list[ConsentRecord] = []
        for piece in pieces(subjects):
            rows = self._engine.execute(
                f"SELECT {', '.join(_CONSENT)} FROM consent WHERE subject IN ({places(piece)})"
                " ORDER BY subject, party, since",
                piece,
            ).fetchall()
            found += (_consent(row) for row in rows)
        return tuple(found)

    def consents_of(self, party: EntityId) -> tuple[ConsentRecord, ...]:
        rows = self._engine.execute(
            f"SELECT {', '.join(_CONSENT)} FROM consent WHERE party = ? ORDER BY subject, since", (party.octets,)
        ).fetchall()
        return tuple(_consent(row) for row in rows)


class QuarantineActs(Acts):
    """Changes to what is held."""

    @property
    def quarantine(self) -> Quarantine:
        """What is held, as this act sees it."""
        return Quarantine(self._engine)

    def put_quarantine(self, records: Sequence[QuarantineRecord]) -> None:
        """Hold commands, each for the first time."""
        self._engine.insert("quarantine", _QUARANTINE, [_row(item) for item in records])

    def put_threshold(self, record: ThresholdRecord) -> None:
        self._execute(
            "INSERT INTO broker_threshold (owner, since, digest, file) VALUES (?, ?, ?, ?)",
            (record.owner, seconds_of(record.since), record.digest, record.file),
        )

    def put_consents(self, records: Sequence[ConsentRecord]) -> None:
        """New ones; one from the same moment is replaced."""
        for item in records:
            until = None if item.until is None else seconds_of(item.until)
            self._execute(
                f"INSERT INTO consent ({', '.join(_CONSENT)}) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (subject, party, since) DO UPDATE SET until = excluded.until",
                (item.party.octets, item.subject, seconds_of(item.since), until),
            )


def _row(item: QuarantineRecord) -> tuple[Any, ...]:
    return (
        item.digest,
        item.octets,
        item.originator.octets,
        item.role.value,
        item.target.octets,
        item.code,
        counter_octets(item.counter),
        item.area,
        int(item.local),
        seconds_of(item.at),
        item.reference,
        item.pattern,
        json.dumps(list(item.findings)),
        STATES.index(item.state),
        json.dumps(list(item.decisions)),
    )


def _record(row: Sequence[Any]) -> QuarantineRecord:
    digest, octets, originator, role, target, code, counter, area, local, at, reference = row[:11]
    pattern, findings, state, decisions = row[11:]
    return QuarantineRecord(
        digest=bytes(digest),
        octets=bytes(octets),
        originator=EntityId(bytes(originator)),
        role=RemotePartyRole(role),
        target=EntityId(bytes(target)),
        code=code,
        counter=int.from_bytes(counter),
        area=area,
        local=bool(local),
        at=moment_of(at),
        reference=reference,
        pattern=pattern,
        findings=tuple(json.loads(findings)),
        state=STATES[state],
        decisions=tuple(json.loads(decisions)),
    )


def _consent(row: Sequence[Any]) -> ConsentRecord:
    party, subject, since, until = row
    return ConsentRecord(
        EntityId(bytes(party)), subject, moment_of(since), None if until is None else moment_of(until)
    )
