"""What the access control broker admitted and holds: reading it, and the changes of an act."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from smki.entity import EntityId, RemotePartyRole
from smki.errors import Refused
from smki.store.acts import Acts, places
from smki.store.admission_records import (
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
_LAST = ("target", "originator", "counter", "code", "at", "digest")
_TALLY = ("level", "since", "originator", "role", "code", "area", "admitted", "held", "refused")
Pair = tuple[EntityId, EntityId]
"""Who commands, and what."""


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

    def last(self, pairs: Sequence[Pair]) -> dict[Pair, LastAdmitted]:
        """The last command of each pair; absent before the first."""
        found: dict[Pair, LastAdmitted] = {}
        for target, originator, counter, code, at, digest in self._last([target for _, target in pairs]):
            pair = EntityId(bytes(originator)), EntityId(bytes(target))
            found[pair] = LastAdmitted(int.from_bytes(counter), code, _moment(at), bytes(digest))
        wanted = set(pairs)
        return {pair: last for pair, last in found.items() if pair in wanted}

    def last_to(self, targets: Sequence[EntityId]) -> dict[EntityId, LastAdmitted]:
        """The last command to each device, whoever sent it."""
        found: dict[EntityId, LastAdmitted] = {}
        for target, _, counter, code, at, digest in self._last(targets):
            device = EntityId(bytes(target))
            if device not in found or found[device].at <= _moment(at):
                found[device] = LastAdmitted(int.from_bytes(counter), code, _moment(at), bytes(digest))
        return found

    def _last(self, targets: Sequence[EntityId]) -> Iterator[Sequence[Any]]:
        octets = [target.octets for target in dict.fromkeys(targets)]
        for start in range(0, len(octets), _PIECE):
            piece = octets[start : start + _PIECE]
            yield from self._engine.execute(
                f"SELECT {', '.join(_LAST)} FROM last_admitted WHERE target IN ({places(piece)})", tuple(piece)
            ).fetchall()

    def outgoing(self, limit: int, but: Sequence[bytes] = ()) -> tuple[Outgoing, ...]:
        """Admitted, and not handed out: the oldest first; `but` are runs that are not meant."""
        where = f" WHERE run NOT IN ({places(but)})" if but else ""
        rows = self._engine.execute(
            f"SELECT {', '.join(_OUTGOING)} FROM outgoing{where} ORDER BY at, digest LIMIT ?", (*but, limit)
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

    def put_admissions(self, records: Sequence[AdmissionRecord], outgoing: Sequence[Outgoing]) -> None:
        """Admit commands, to be handed out after this; the counters of their pairs move on, and never back."""
        self._engine.insert("admission", _ADMISSION, [_row(item) for item in records])
        self._engine.insert(
            "outgoing",
            _OUTGOING,
            [
                (item.digest, item.run, item.reference, item.octets, int(item.local), _seconds(item.at))
                for item in outgoing
            ],
        )
        self._move_counters(records)

    def _move_counters(self, records: Sequence[AdmissionRecord]) -> None:
        latest: dict[Pair, AdmissionRecord] = {}
        for item in records:
            pair = item.originator, item.target
            if pair not in latest or latest[pair].counter < item.counter:
                latest[pair] = item
        for start in range(0, len(latest), _PIECE // 2):
            piece = tuple(latest.items())[start : start + _PIECE // 2]
            self._move(piece)

    def _move(self, piece: Sequence[tuple[Pair, AdmissionRecord]]) -> None:
        rows = ", ".join([f"({places(_LAST)})"] * len(piece))
        values: list[Any] = []
        for (originator, target), item in piece:
            counter = item.counter.to_bytes(_COUNTER_OCTETS)
            values += (target.octets, originator.octets, counter, item.code, _seconds(item.at), item.digest)
        changed = self._execute(
            f"INSERT INTO last_admitted ({', '.join(_LAST)}) VALUES {rows} ON CONFLICT (target, originator)"
            " DO UPDATE SET counter = excluded.counter, code = excluded.code, at = excluded.at,"
            " digest = excluded.digest WHERE last_admitted.counter < excluded.counter",
            tuple(values),
        ).rowcount
        if changed != len(piece):
            raise Refused(
                "broker.counter", "a counter would go back", "look at what is there, and run the same again"
            )

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

    def drop_tallies(self, originator: EntityId, level: int, before: int) -> None:
        """No window reaches so far back."""
        self._execute(
            "DELETE FROM tally WHERE originator = ? AND level = ? AND since < ?", (originator.octets, level, before)
        )


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
