"""Who answers for an authority whether its certificates are revoked: reading it, and the changes of an act."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from smki.pki.serial import Serial
from smki.store.acts import Acts
from smki.store.engine import Engine
from smki.store.values import pieces, places, seconds_of

_NO_END = 253402300799  # of certificates of devices; as the index of ends has it


@dataclass(frozen=True, slots=True)
class ResponderRecord:
    """That a key in a token was, or was to be, made a responder by a certificate."""

    issuer: int
    serial: Serial
    token: str
    key_id: bytes
    number: int = field(default=0, compare=False)
    """Its place among all that were appointed; given when it is put on record."""


class Responders:
    """Every responder there ever was, and what it is asked."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def all(self) -> tuple[ResponderRecord, ...]:
        """In the order they were appointed."""
        rows = self._engine.execute(
            "SELECT issuer, serial, token, key_id, number FROM responder ORDER BY number, serial"
        ).fetchall()
        return tuple(
            ResponderRecord(issuer, Serial(bytes(serial)), token, bytes(key_id), number)
            for issuer, serial, token, key_id, number in rows
        )

    def issued(self, issuer: int, serials: Sequence[Serial]) -> frozenset[Serial]:
        """Those of these serial numbers under which an issuer issued a certificate."""
        found: set[Serial] = set()
        for piece in pieces([serial.octets for serial in serials]):
            rows = self._engine.execute(
                f"SELECT serial FROM certificate WHERE issuer = ? AND serial IN ({places(piece)})", (issuer, *piece)
            ).fetchall()
            found.update(Serial(bytes(serial)) for (serial,) in rows)
        return frozenset(found)

    def alive(self, now: datetime, most: int) -> list[tuple[int, Serial]] | None:
        """Certificates that have an end and have not reached it; none if they are more than `most`."""
        rows = self._engine.execute(
            "SELECT issuer, serial FROM certificate WHERE not_after >= ? AND not_after < ?"
            " ORDER BY not_after LIMIT ?",
            (seconds_of(now), _NO_END, most + 1),
        ).fetchall()
        return None if len(rows) > most else [(issuer, Serial(bytes(serial))) for issuer, serial in rows]


class ResponderActs(Acts):
    """Changes to who answers."""

    def put_responder(self, record: ResponderRecord) -> None:
        self.lock()  # serial numbers drawn in the same few seconds have no order: this number has
        (number,) = self._execute("SELECT COALESCE(MAX(number), 0) + 1 FROM responder").fetchone()
        values: tuple[Any, ...] = (number, record.issuer, record.serial.octets, record.token, record.key_id)
        self._execute("INSERT INTO responder (number, issuer, serial, token, key_id) VALUES (?, ?, ?, ?, ?)", values)
