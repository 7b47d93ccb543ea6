"""What the access control broker admitted and holds: reading it, and the changes of an act."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from smki.entity import EntityId, RemotePartyRole
from smki.errors import Refused
from smki.store.acts import Acts
from smki.store.admission_records import (
    TOP_UPS,
    AdmissionRecord,
    LastAdmitted,
    Outgoing,
    TallyRow,
)
from smki.store.engine import Engine
from smki.store.values import counter_octets, moment_of, pieces, places, seconds_of

_ADMISSION = (
    "number", "previous", "digest", "originator", "role", "target", "code", "counter", "at", "serial", "signature",
    "party", "party_counter",
)  # fmt: skip
_OUTGOING = ("number", "run", "reference", "octets", "local")
_LAST = ("target", "originator", "series", "counter", "code", "at", "number")
_TALLY = ("level", "since", "originator", "role", "code", "area", "admitted", "held", "refused")
_NOTHING = -1, 0, 0, 0  # no counter yet, no step, no admission
# From the last of each series back to the lowest counter that is asked for.
_BACK = """
WITH RECURSIVE seed(number, lowest) AS (VALUES {seeds}), past(number, previous, counter, lowest) AS (
SELECT admission.number, previous, COALESCE(party_counter, counter), lowest FROM seed
JOIN admission ON admission.number = seed.number
UNION ALL SELECT admission.number, admission.previous, COALESCE(party_counter, admission.counter), past.lowest
FROM past JOIN admission ON admission.number = past.previous WHERE past.counter > past.lowest)
SELECT {columns} FROM past JOIN admission ON admission.number = past.number WHERE digest IN ({digests})"""
_STEPS = """
WITH RECURSIVE past(number, previous, target, code, at) AS (
SELECT number, previous, target, code, at FROM admission WHERE number IN ({numbers})
UNION ALL SELECT admission.number, admission.previous, admission.target, admission.code, admission.at
FROM past JOIN admission ON admission.number = past.previous WHERE past.at >= ?)
SELECT target, code, at FROM past WHERE at >= ? AND code IN ({codes}) ORDER BY number"""
Series = tuple[bytes, bytes, bool]
"""Who commands, what (as octets: hundreds are looked up at a time), and whether by top-ups: those are numbered apart
(GBCS 14)."""


class Admissions:
    """Everything the broker ever admitted."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def known(self, asked: Mapping[int, tuple[int, Sequence[bytes]]]) -> dict[bytes, AdmissionRecord]:
        """Those of some commands that were admitted before.

        `asked` has, by the number of the last admission of a series, the lowest counter among its commands and their
        digests.
        """
        found: dict[bytes, AdmissionRecord] = {}
        wanted = [(number, lowest, digest) for number, (lowest, digests) in asked.items() for digest in digests]
        for piece in pieces(wanted):
            seeds = {number: counter_octets(lowest) for number, lowest, _ in piece}
            sql = _BACK.format(
                seeds=", ".join(["(?, ?)"] * len(seeds)),
                columns=", ".join(f"admission.{column}" for column in _ADMISSION),
                digests=places(piece),
            )
            values = (value for seed in seeds.items() for value in seed)
            rows = self._engine.execute(sql, (*values, *(digest for _, _, digest in piece))).fetchall()
            found.update((record.digest, record) for record in map(_admission, rows))
        return found

    def steps(
        self, numbers: Sequence[int], codes: frozenset[int], since: datetime
    ) -> dict[bytes, list[tuple[int, datetime]]]:
        """What of some codes was admitted to each device since a moment, the latest last.

        `numbers` are those of the last admissions of its series, from which it goes back.
        """
        found: dict[bytes, list[tuple[int, datetime]]] = {}
        begin = seconds_of(since)
        for piece in pieces(numbers):
            sql = _STEPS.format(numbers=places(piece), codes=places(sorted(codes)))
            for target, code, at in self._engine.execute(sql, (*piece, begin, begin, *sorted(codes))).fetchall():
                found.setdefault(bytes(target), []).append((code, moment_of(at)))
        return found

    def next_number(self) -> int:
        """Of the next one that is admitted; with the lock held, nobody else takes it."""
        return int(self._engine.execute("SELECT COALESCE(MAX(number), 0) + 1 FROM admission").fetchone()[0])

    def last(self, targets: Sequence[EntityId]) -> dict[Series, LastAdmitted]:
        """Of each who ever commanded these devices, the last: absent before the first."""
        return {
            (bytes(originator), bytes(target), bool(series)): LastAdmitted(
                int.from_bytes(counter), code, moment_of(at), number
            )
            for target, originator, series, counter, code, at, number in self._last(targets)
        }

    def _last(self, targets: Sequence[EntityId]) -> Iterator[Sequence[Any]]:
        octets = [target.octets for target in dict.fromkeys(targets)]
        for piece in pieces(octets):
            yield from self._engine.execute(
                f"SELECT {', '.join(_LAST)} FROM last_admitted WHERE target IN ({places(piece)})", piece
            ).fetchall()

    def outgoing(self, limit: int, after: int = 0, run: bytes | None = None) -> tuple[Outgoing, ...]:
        """Admitted, and not handed out: the oldest first, after one of them; of one run, or of all."""
        condition, values = ("", ()) if run is None else (" AND run = ?", (run,))
        rows = self._engine.execute(
            f"SELECT {', '.join(_OUTGOING)} FROM outgoing WHERE number > ?{condition} ORDER BY number LIMIT ?",
            (after, *values, limit),
        ).fetchall()
        return tuple(
            Outgoing(number, bytes(run), reference, bytes(octets), bool(local))
            for number, run, reference, octets, local in rows
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
            [(item.number, item.run, item.reference, item.octets, int(item.local)) for item in outgoing],
        )
        self._move_counters(records, steps)

    def _move_counters(self, records: Sequence[AdmissionRecord], steps: frozenset[int]) -> None:
        latest: dict[tuple[bytes, bytes, int], tuple[int, int, int, int]] = {}
        for item in records:
            asks = item.party is None
            of_them = ((item.originator, item.counter, asks), (item.party, item.party_counter, True))
            for who, counter, itself in of_them if not asks else of_them[:1]:
                assert who is not None, "a party has a counter"
                assert counter is not None, "a party has a counter"
                series = item.target.octets, who.octets, int(item.code in TOP_UPS)
                last, code, at, number = latest.get(series, _NOTHING)
                if item.code in steps:
                    code, at = item.code, seconds_of(item.at)
                latest[series] = max(last, counter), code, at, item.number if itself else number
        rows = [
            (*series, counter_octets(counter), code, at, number)
            for series, (counter, code, at, number) in latest.items()
        ]
        for piece in pieces(rows):
            self._move(piece)

    def _move(self, rows: Sequence[tuple[Any, ...]]) -> None:
        kept = "CASE WHEN excluded.{0} = 0 THEN last_admitted.{1} ELSE excluded.{1} END"
        changed = self._execute(
            f"INSERT INTO last_admitted ({', '.join(_LAST)}) VALUES {', '.join([f'({places(_LAST)})'] * len(rows))}"
            " ON CONFLICT (target, originator, series) DO UPDATE SET counter = excluded.counter,"
            f" number = {kept.format('number', 'number')},"
            f" code = {kept.format('code', 'code')}, at = {kept.format('code', 'at')}"
            " WHERE last_admitted.counter < excluded.counter",
            tuple(value for row in rows for value in row),
        ).rowcount
        if changed != len(rows):
            raise Refused("broker.counter", "a counter would go back", "run the same again")

    def handed_out(self, run: bytes) -> int:
        """All that a run admitted has reached whom it is for; how many."""
        return int(self._execute("DELETE FROM outgoing WHERE run = ?", (run,)).rowcount)

    def forget_outgoing(self, numbers: Sequence[int]) -> int:
        """These have, whoever admitted them."""
        gone = 0
        for piece in pieces(numbers):
            gone += self._execute(f"DELETE FROM outgoing WHERE number IN ({places(piece)})", piece).rowcount
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
        item.number,
        item.previous,
        item.digest,
        item.originator.octets,
        int(item.role),
        item.target.octets,
        item.code,
        counter_octets(item.counter),
        seconds_of(item.at),
        item.serial,
        item.signature,
        None if item.party is None else item.party.octets,
        None if item.party_counter is None else counter_octets(item.party_counter),
    )


def _admission(row: Sequence[Any]) -> AdmissionRecord:
    number, previous, digest, originator, role, target, code, counter, at, serial, signature, *rest = row
    party, party_counter = rest
    return AdmissionRecord(
        number=number,
        previous=previous,
        digest=bytes(digest),
        originator=EntityId(bytes(originator)),
        role=RemotePartyRole(role),
        target=EntityId(bytes(target)),
        code=code,
        counter=int.from_bytes(counter),
        at=moment_of(at),
        serial=bytes(serial),
        signature=bytes(signature),
        party=None if party is None else EntityId(bytes(party)),
        party_counter=None if party_counter is None else int.from_bytes(party_counter),
    )
