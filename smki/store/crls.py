"""Revocation lists: which there were, which number is next, the octets of the newest. No number is given twice."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from smki.pki.scope import Scope
from smki.store.acts import Acts
from smki.store.engine import Engine
from smki.store.records import CrlRecord
from smki.store.values import moment_of, seconds_of

PIECE_OCTETS = 1 << 20
_COLUMNS = (
    "number", "base", "this_update", "next_update", "covers", "entries", "size", "issuer", "scope", "digest",
)  # fmt: skip
_SCOPES = (Scope.ALL, Scope.AUTHORITIES, Scope.END_ENTITIES)  # the column holds the place; only ever added to


class Crls:
    """Every list there ever was."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def latest(self, issuer: int, *, delta: bool) -> CrlRecord | None:
        """The newest complete list, or the newest delta, that was made."""
        return latest(self._engine, issuer, delta=delta)

    def last_number(self, issuer: int) -> int:
        """The highest that was set aside, whatever became of it; 0 before the first."""
        return last_number(self._engine, issuer)

    def all(self, issuer: int) -> tuple[CrlRecord, ...]:
        """All of an issuer, those never finished among them."""
        rows = self._engine.execute(
            f"SELECT {', '.join(_COLUMNS)} FROM crl WHERE issuer = ? ORDER BY number", (issuer,)
        ).fetchall()
        return tuple(_record(row) for row in rows)

    def newest(self, limit: int) -> tuple[CrlRecord, ...]:
        """Those made last, whoever's they are; the newest first."""
        rows = self._engine.execute(
            f"SELECT {', '.join(_COLUMNS)} FROM crl WHERE digest IS NOT NULL"
            " ORDER BY this_update DESC, issuer, number DESC LIMIT ?",
            (limit,),
        ).fetchall()
        return tuple(_record(row) for row in rows)

    def pieces(self, issuer: int, number: int) -> Iterator[bytes]:
        """The octets of a list. There are none once another took its place."""
        place = 0
        with self._engine.sparing():
            while row := self._engine.execute(
                "SELECT octets FROM crl_piece WHERE issuer = ? AND number = ? AND place = ?", (issuer, number, place)
            ).fetchone():
                yield bytes(row[0])
                place += 1

    def waiting_since(self, issuer: int, covers: int) -> datetime | None:
        """When the first revocation was made that a list covering so many does not have."""
        row = self._engine.execute(
            "SELECT at FROM revocation WHERE issuer = ? AND number > ? ORDER BY number LIMIT 1", (issuer, covers)
        ).fetchone()
        return None if row is None else moment_of(row[0])


class CrlActs(Acts):
    """Changes to the lists."""

    def last_crl_number(self, issuer: int) -> int:
        """The highest number set aside; nobody else sets one aside while the lock is held."""
        self.lock()
        return last_number(self._engine, issuer)

    def latest_crl(self, issuer: int, *, delta: bool) -> CrlRecord | None:
        return latest(self._engine, issuer, delta=delta)

    def reserve_crl(self, record: CrlRecord) -> None:
        """Set a number aside for a list that will be signed. It is spent, whatever happens."""
        self._engine.insert("crl", _COLUMNS, [_row(record)])

    def put_crl(self, record: CrlRecord, pieces: Iterator[bytes]) -> None:
        """A list that was made: its octets take the place of those of the one before, of its kind."""
        kind = "IS NOT NULL" if record.is_delta else "IS NULL"
        self._execute(
            "DELETE FROM crl_piece WHERE issuer = ? AND number IN"
            f" (SELECT number FROM crl WHERE issuer = ? AND base {kind})",
            (record.issuer, record.issuer),
        )
        changed = self._execute(
            "UPDATE crl SET digest = ?, entries = ?, size = ? WHERE issuer = ? AND number = ? AND digest IS NULL",
            (record.sha256, record.entries, record.size, record.issuer, record.number),
        ).rowcount
        assert changed == 1, "its number was set aside for it, and nobody else has it"
        with self._engine.sparing():
            for place, piece in enumerate(pieces):  # one by one: a list may be larger than what memory should hold
                row = (record.number, place, record.issuer, piece)
                self._engine.insert("crl_piece", ("number", "place", "issuer", "octets"), [row])


def latest(engine: Engine, issuer: int, *, delta: bool) -> CrlRecord | None:
    kind = "IS NOT NULL" if delta else "IS NULL"
    row = engine.execute(
        f"SELECT {', '.join(_COLUMNS)} FROM crl WHERE issuer = ? AND base {kind} AND digest IS NOT NULL"
        " ORDER BY number DESC LIMIT 1",
        (issuer,),
    ).fetchone()
    return None if row is None else _record(row)


def last_number(engine: Engine, issuer: int) -> int:
    row = engine.execute("SELECT COALESCE(MAX(number), 0) FROM crl WHERE issuer = ?", (issuer,)).fetchone()
    return int(row[0])


def _row(record: CrlRecord) -> tuple[Any, ...]:
    return (
        record.number,
        record.base,
        seconds_of(record.this_update),
        seconds_of(record.next_update),
        record.covers,
        record.entries,
        record.size,
        record.issuer,
        _SCOPES.index(record.scope),
        record.sha256,
    )


def _record(row: tuple[Any, ...]) -> CrlRecord:
    number, base, this_update, next_update, covers, entries, size, issuer, scope, digest = row
    return CrlRecord(
        issuer=issuer,
        number=number,
        base=base,
        this_update=moment_of(this_update),
        next_update=moment_of(next_update),
        covers=covers,
        scope=_SCOPES[scope],
        entries=entries,
        size=size,
        sha256=None if digest is None else bytes(digest),
    )
