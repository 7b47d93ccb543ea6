"""What the access control broker admitted and holds: reading it, and the changes of an act."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from smki.entity import EntityId, RemotePartyRole
from smki.errors import Refused
from smki.store.acts import Acts, places
from smki.store.admission_records import (
    TOP_UPS,
    AdmissionRecord,
    LastAdmitted,
    Outgoing,
    TallyRow,
)
from smki.store.engine import Engine

_COUNTER_OCTETS = 8  # 64 bits without a sign: octets, which sort as they count
_PIECE = 500  # values in one question
_ADMISSION = (
    "digest", "originator", "role", "target", "code", "counter", "at", "serial", "signature", "party", "party_counter"
)  # fmt: skip
_OUTGOING = ("digest", "run", "reference", "octets", "local", "at")
_LAST = ("target", "originator", "series", "counter", "code", "at", "digest")
_TALLY = ("level", "since", "originator", "role", "code", "area", "admitted", "held", "refused")
_NO_STEP = 0  # of no use case
Series = tuple[bytes, bytes, bool]
"""Who commands, what (as octets: hundreds are looked up at a time), and whether by top-ups: those are numbered apart
(GBCS 14)."""


class Admissions:
    """Everything the broker ever admitted."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def one(self, digest: bytes) -> AdmissionRecord | None:
        return self.known([digest]).get(digest)

    def known(self, digests: Sequence[bytes]) -> dict[bytes, AdmissionRecord]:
        """Those of these that were admitted before."""
        found: dict[bytes, AdmissionRecord] = {}
        for start in range(0, len(digests), _PIECE):
            piece = digests[start : start + _PIECE]
            rows = self._engine.execute(
                f"SELECT {', '.join(_ADMISSION)} FROM admission WHERE digest IN ({places(piece)})", tuple(piece)
            ).fetchall()
            found.update((bytes(row[0]), _admission(row)) for row in rows)
        return found

    def last(self, targets: Sequence[EntityId]) -> dict[Series, LastAdmitted]:
        """Of each who ever commanded these devices, the last: absent before the first."""
        return {
            (bytes(originator), bytes(target), bool(series)): LastAdmitted(
                int.from_bytes(counter), code, _moment(at), bytes(digest)
            )
            for target, originator, series, counter, code, at, digest in self._last(targets)
        }

    def _last(self, targets: Sequence[EntityId]) -> Iterator[Sequence[Any]]:
        octets = [target.octets for target in dict.fromkeys(targets)]
        for start in range(0, len(octets), _PIECE):
            piece = octets[start : start + _PIECE]
            yield from self._engine.execute(
                f"SELECT {', '.join(_LAST)} FROM last_admitted WHERE target IN ({places(piece)})", tuple(piece)
            ).fetchall()

    def outgoing(
        self, limit: int, after: tuple[datetime, bytes] | None = None, run: bytes | None = None
    ) -> tuple[Outgoing, ...]:
        """Admitted, and not handed out: the oldest first, after one of them; of one run, or of all."""
        conditions = ["(at > ? OR at = ? AND digest > ?)"]
        values: list[Any] = [0, 0, b""]
        if after is not None:
            values = [_seconds(after[0]), _seconds(after[0]), after[1]]
        if run is not None:
            conditions.append("run = ?")
            values.append(run)
        rows = self._engine.execute(
            f"SELECT {', '.join(_OUTGOING)} FROM outgoing WHERE {' AND '.join(conditions)}"
            " ORDER BY at, digest LIMIT ?",
            (*values, limit),
        ).fetchall()
        return tuple(
            Outgoing(bytes(digest), bytes(run), reference, bytes(octets), bool(local), _moment(at))
            for digest, run, reference, octets, local, at in rows
        )

    def outgoing_count(self) -> int:
        return int(self._engine.execute("SELECT COUNT(*) FROM outgoing").fetchone()[0])

    def tallies(self, level: int, since: int) -> tuple[TallyRow, ...]:
        """Those of a level, of everybody, whose stretch begins at a second or after it."""
        return self._tallies("level = ? AND since >= ?", (level, since))

    def tallies_of(self, originator: EntityId, level: int, since: int) -> tuple[TallyRow, ...]:
        return self._tallies("originator = ? AND level = ? AND since >= ?", (originator.octets, level, since))

    def tallies_written(self, since: int) -> tuple[TallyRow, ...]:
        """Those that were added to when the log had so many entries, or later: with their sums of now."""
        return self._tallies("written >= ?", (since,))

    def _tallies(self, condition: str, values: tuple[Any, ...]) -> tuple[TallyRow, ...]:
        rows = self._engine.execute(f"SELECT {', '.join(_TALLY)} FROM tally WHERE {condition}", values).fetchall()
        return tuple(TallyRow(level, since, bytes(originator), *rest) for level, since, originator, *rest in rows)


class AdmissionActs(Acts):
    """Changes to what is admitted."""

    @property
    def admissions(self) -> Admissions:
        """What was admitted, as this act sees it."""
        return Admissions(self._engine)

    def put_admissions(
        self, records: Sequence[AdmissionRecord], outgoing: Sequence[Outgoing], steps: frozenset[int] = frozenset()
    ) -> None:
        """Admit commands, to be handed out after this; the counters of their series move on, and never back.

        `steps` are the codes of which the last one to each device is remembered, whatever came after it.
        """
        self._engine.insert("admission", _ADMISSION, [_row(item) for item in records])
        self._engine.insert(
            "outgoing",
            _OUTGOING,
            [
                (item.digest, item.run, item.reference, item.octets, int(item.local), _seconds(item.at))
                for item in outgoing
            ],
        )
        self._move_counters(records, steps)

    def _move_counters(self, records: Sequence[AdmissionRecord], steps: frozenset[int]) -> None:
        latest: dict[tuple[bytes, bytes, int], tuple[int, int, int, bytes]] = {}
        for item in records:
            for originator, counter in ((item.originator, item.counter), (item.party, item.party_counter)):
                if originator is None or counter is None:
                    continue
                series = item.target.octets, originator.octets, int(item.code in TOP_UPS)
                last, code, at, digest = latest.get(series, (-1, _NO_STEP, 0, b""))
                if item.code in steps:
                    code, at = item.code, _seconds(item.at)
                last, digest = (counter, item.digest) if counter > last else (last, digest)
                latest[series] = last, code, at, digest
        rows = [
            (*series, counter.to_bytes(_COUNTER_OCTETS), code, at, digest)
            for series, (counter, code, at, digest) in latest.items()
        ]
        for start in range(0, len(rows), _PIECE):
            self._move(rows[start : start + _PIECE])

    def _move(self, rows: Sequence[tuple[Any, ...]]) -> None:
        kept = f"CASE WHEN excluded.code = {_NO_STEP} THEN last_admitted.%s ELSE excluded.%s END"
        changed = self._execute(
            f"INSERT INTO last_admitted ({', '.join(_LAST)}) VALUES {', '.join([f'({places(_LAST)})'] * len(rows))}"
            " ON CONFLICT (target, originator, series) DO UPDATE SET counter = excluded.counter,"
            f" digest = excluded.digest, code = {kept.replace('%s', 'code')}, at = {kept.replace('%s', 'at')}"
            " WHERE last_admitted.counter < excluded.counter",
            tuple(value for row in rows for value in row),
        ).rowcount
        if changed != len(rows):
            raise Refused("broker.counter", "a counter would go back", "run the same again")

    def handed_out(self, run: bytes) -> int:
        """All that a run admitted has reached whom it is for; how many."""
        return int(self._execute("DELETE FROM outgoing WHERE run = ?", (run,)).rowcount)

    def forget_outgoing(self, digests: Sequence[bytes]) -> int:
        """These have, whoever admitted them."""
        gone = 0
        for start in range(0, len(digests), _PIECE):
            piece = digests[start : start + _PIECE]
            gone += self._execute(f"DELETE FROM outgoing WHERE digest IN ({places(piece)})", tuple(piece)).rowcount
        return gone

    def add_tallies(self, rows: Iterable[TallyRow]) -> None:
        """More of each kind."""
        written = int(self._execute("SELECT COALESCE(MAX(seq) + 1, 0) FROM audit_entry").fetchone()[0])
        columns = (*_TALLY, "written")
        for row in rows:
            self._execute(
                f"INSERT INTO tally ({', '.join(columns)}) VALUES ({places(columns)})"
                " ON CONFLICT (originator, level, since, role, code, area) DO UPDATE SET"
                " admitted = tally.admitted + excluded.admitted, held = tally.held + excluded.held,"
                " refused = tally.refused + excluded.refused, written = excluded.written",
                (*(getattr(row, column) for column in _TALLY), written),
            )

    def drop_tallies(self, level: int, before: int) -> None:
        """No window reaches so far back."""
        self._execute("DELETE FROM tally WHERE level = ? AND since < ?", (level, before))


def _row(item: AdmissionRecord) -> tuple[Any, ...]:
    return (
        item.digest,
        item.originator.octets,
        item.role.value,
        item.target.octets,
        item.code,
        item.counter.to_bytes(_COUNTER_OCTETS),
        _seconds(item.at),
        item.serial,
        item.signature,
        None if item.party is None else item.party.octets,
        None if item.party_counter is None else item.party_counter.to_bytes(_COUNTER_OCTETS),
    )


def _admission(row: Sequence[Any]) -> AdmissionRecord:
    digest, originator, role, target, code, counter, at, serial, signature, party, party_counter = row
    return AdmissionRecord(
        digest=bytes(digest),
        originator=EntityId(bytes(originator)),
        role=RemotePartyRole(role),
        target=EntityId(bytes(target)),
        code=code,
        counter=int.from_bytes(counter),
        at=_moment(at),
        serial=bytes(serial),
        signature=bytes(signature),
        party=None if party is None else EntityId(bytes(party)),
        party_counter=None if party_counter is None else int.from_bytes(party_counter),
    )


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())


@lru_cache(maxsize=4096)
def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
