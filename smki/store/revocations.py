"""Revocations: reading them, and the changes of an act. Nothing is ever taken back."""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from smki.pki.reason import Reason
from smki.pki.serial import Serial
from smki.store.acts import Acts, places
from smki.store.engine import Engine
from smki.store.records import ListedSerial, RevocationRecord

_PIECE = 500  # values in one question
_COLUMNS = ("number", "at", "compromised_at", "not_after", "issuer", "reason", "serial", "ground")


class Revocations:
    """Everything that was ever revoked."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def one(self, issuer: int, serial: Serial) -> RevocationRecord | None:
        row = self._engine.execute(
            f"SELECT {', '.join(_COLUMNS)} FROM revocation WHERE serial = ? AND issuer = ?", (serial.octets, issuer)
        ).fetchone()
        return None if row is None else _record(row)

    def among(self, issuer: int, serials: Sequence[Serial]) -> frozenset[Serial]:
        """Those of an issuer's serial numbers that are revoked."""
        found: set[Serial] = set()
        for start in range(0, len(serials), _PIECE):
            piece = [serial.octets for serial in serials[start : start + _PIECE]]
            rows = self._engine.execute(
                f"SELECT serial FROM revocation WHERE issuer = ? AND serial IN ({places(piece)})", (issuer, *piece)
            ).fetchall()
            found.update(Serial(bytes(serial)) for (serial,) in rows)
        return frozenset(found)

    def last_number(self, issuer: int) -> int:
        """Of the revocation made last among an issuer's; 0 before the first."""
        row = self._engine.execute(
            "SELECT COALESCE(MAX(number), 0) FROM revocation WHERE issuer = ?", (issuer,)
        ).fetchone()
        return int(row[0])

    def listed(self, issuer: int, after: int, until: int, alive: datetime) -> Iterator[ListedSerial]:
        """What a list holds, in the order it was revoked: revocations numbered above `after`, up to `until`.

        A certificate that ended before `alive` was on a list after its end, and needs no other (RFC 5280 3.3).
        """
        return self._engine.stream(  # plain rows: a list may have a million
            "SELECT serial, at, reason, compromised_at FROM revocation"
            " WHERE issuer = ? AND number > ? AND number <= ? AND (not_after IS NULL OR not_after >= ?)"
            " ORDER BY number",
            (issuer, after, until, int(alive.timestamp())),
        )

    def ground(self, digest: bytes) -> dict[str, Any]:
        """Who asked for it, and why."""
        row = self._engine.execute("SELECT body FROM ground WHERE digest = ?", (digest,)).fetchone()
        return {} if row is None else dict(json.loads(row[0]))


class RevocationActs(Acts):
    """Changes to what is revoked."""

    def put_ground(self, digest: bytes, body: str) -> None:
        """What many revocations have in common, once."""
        self._execute("INSERT INTO ground (digest, body) VALUES (?, ?) ON CONFLICT DO NOTHING", (digest, body))

    def next_revocation(self, issuer: int) -> int:
        """The number of an issuer's next revocation; nobody else's gets it while the lock is held."""
        self.lock()
        return 1 + int(
            self._execute("SELECT COALESCE(MAX(number), 0) FROM revocation WHERE issuer = ?", (issuer,)).fetchone()[0]
        )

    def put_revocations(self, records: Sequence[RevocationRecord]) -> None:
        """Revoke, for good."""
        self._engine.insert("revocation", _COLUMNS, [_row(record) for record in records])


def _row(record: RevocationRecord) -> tuple[Any, ...]:
    return (
        record.number,
        int(record.at.timestamp()),
        None if record.compromised_at is None else int(record.compromised_at.timestamp()),
        None if record.not_after is None else int(record.not_after.timestamp()),
        record.issuer,
        record.reason.value,
        record.serial.octets,
        record.ground,
    )


def _record(row: Sequence[Any]) -> RevocationRecord:
    number, at, compromised_at, not_after, issuer, reason, serial, ground = row
    return RevocationRecord(
        number=number,
        issuer=issuer,
        serial=Serial(bytes(serial)),
        at=datetime.fromtimestamp(at, UTC),
        reason=Reason(reason),
        ground=bytes(ground),
        compromised_at=None if compromised_at is None else datetime.fromtimestamp(compromised_at, UTC),
        not_after=None if not_after is None else datetime.fromtimestamp(not_after, UTC),
    )
