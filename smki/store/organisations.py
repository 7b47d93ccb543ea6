"""Organisations, what is theirs, and their batches: reading them, and the changes of an act."""

import json
from collections.abc import Sequence
from typing import Any

from smki.entity import EntityId, EntityRange, RemotePartyRole
from smki.errors import Refused
from smki.pki.kind import Kind
from smki.pki.serial import Serial
from smki.store.acts import Acts
from smki.store.engine import Engine
from smki.store.records import BatchRecord, BatchState, OrganisationRecord, ResponsibleRecord
from smki.store.values import moment_of, seconds_of

_ACTIVE, _SUSPENDED = "active", "suspended"
_BATCH = "digest, organisation, kind, requests, reasons, state, asked_by, asked_at, decision"


class Organisations:
    """Every organisation there is."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def all(self) -> tuple[OrganisationRecord, ...]:
        rows = self._engine.execute("SELECT number, name, state, detail FROM organisation ORDER BY name").fetchall()
        return tuple(self._whole(row) for row in rows)

    def named(self, name: str) -> OrganisationRecord | None:
        return self._one("name = ?", name)

    def numbered(self, number: int) -> OrganisationRecord | None:
        return self._one("number = ?", number)

    def owner_of(self, entity: EntityId) -> str:
        """The name of the organisation an EUI-64 was given to; empty where none is known."""
        row = self._engine.execute(
            "SELECT organisation.name FROM allocation JOIN organisation ON organisation.number = organisation"
            " WHERE first <= ? AND last >= ?",
            (entity.octets, entity.octets),
        ).fetchone()
        return "" if row is None else str(row[0])

    def _one(self, condition: str, value: Any) -> OrganisationRecord | None:
        row = self._engine.execute(
            f"SELECT number, name, state, detail FROM organisation WHERE {condition}", (value,)
        ).fetchone()
        return None if row is None else self._whole(row)

    def _whole(self, row: Sequence[Any]) -> OrganisationRecord:
        number, name, state, detail = row
        fields = json.loads(detail)
        ranges = self._engine.execute(
            "SELECT first, last FROM allocation WHERE organisation = ? ORDER BY first", (number,)
        ).fetchall()
        officers = self._engine.execute(
            "SELECT name, function, public_key, issuer, serial FROM responsible WHERE organisation = ? ORDER BY name",
            (number,),
        ).fetchall()
        return OrganisationRecord(
            number=number,
            name=name,
            active=state == _ACTIVE,
            roles=tuple(RemotePartyRole.parse(word) for word in fields["roles"]),
            kinds=tuple(Kind(word) for word in fields["kinds"]),
            ranges=tuple(EntityRange(EntityId(bytes(first)), EntityId(bytes(last))) for first, last in ranges),
            volume=fields["volume"],
            officers=tuple(
                ResponsibleRecord(officer, function, bytes(key), issuer, Serial(bytes(serial)))
                for officer, function, key, issuer, serial in officers
            ),
        )

    def issued_in(self, number: int, month: int) -> int:
        """How many device certificates an organisation had in a month."""
        row = self._engine.execute(
            "SELECT issued FROM volume WHERE organisation = ? AND month = ?", (number, month)
        ).fetchone()
        return 0 if row is None else int(row[0])

    def batch(self, batch: bytes) -> BatchRecord | None:
        row = self._engine.execute(f"SELECT {_BATCH} FROM batch WHERE digest = ?", (batch,)).fetchone()
        return None if row is None else _batch(row)

    def batches(self) -> tuple[BatchRecord, ...]:
        rows = self._engine.execute(f"SELECT {_BATCH} FROM batch ORDER BY asked_at, digest").fetchall()
        return tuple(_batch(row) for row in rows)


class OrganisationActs(Acts):
    """Changes to organisations and batches."""

    def put_organisation(self, record: OrganisationRecord) -> int:
        """Enrol an organisation under the next free number; its ranges may be nobody else's."""
        self.lock()
        number = self._execute("SELECT COALESCE(MAX(number) + 1, 0) FROM organisation").fetchone()[0]
        if self._execute("SELECT 1 FROM organisation WHERE name = ?", (record.name,)).fetchone():
            raise Refused("org.exists", f"{record.name} is enrolled already", "see `smki org list`")
        detail = {
            "roles": [role.word for role in record.roles],
            "kinds": [kind.value for kind in record.kinds],
            "volume": record.volume,
        }
        self._execute(
            "INSERT INTO organisation (number, name, state, detail) VALUES (?, ?, ?, ?)",
            (number, record.name, _ACTIVE, json.dumps(detail)),
        )
        for item in record.ranges:
            self._allocate(number, item)
        return int(number)

    def _allocate(self, number: int, item: EntityRange) -> None:
        taken = self._execute(
            "SELECT organisation.name FROM allocation JOIN organisation ON organisation.number = organisation"
            " WHERE first <= ? AND last >= ?",
            (item.last.octets, item.first.octets),
        ).fetchone()
        if taken is not None:
            raise Refused(
                "org.range-taken",
                f"{item} overlaps a range of {taken[0]}",
                "give each identifier to one organisation",
            )
        self._execute(
            "INSERT INTO allocation (first, last, organisation) VALUES (?, ?, ?)",
            (item.first.octets, item.last.octets, number),
        )

    def set_active(self, number: int, active: bool) -> None:
        old, new = (_SUSPENDED, _ACTIVE) if active else (_ACTIVE, _SUSPENDED)
        changed = self._execute(
            "UPDATE organisation SET state = ? WHERE number = ? AND state = ?", (new, number, old)
        ).rowcount
        if changed != 1:
            raise Refused("org.state", f"the organisation is not {old}", "see `smki org show`")

    def is_active(self, number: int) -> bool:
        row = self._execute("SELECT state FROM organisation WHERE number = ?", (number,)).fetchone()
        return row is not None and row[0] == _ACTIVE

    def put_responsible(self, number: int, officer: ResponsibleRecord) -> None:
        """Name an officer of an organisation, or give one a new key."""
        self._execute(
            "INSERT INTO responsible (organisation, name, function, public_key, issuer, serial)"
            " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (organisation, name) DO UPDATE SET function = excluded.function,"
            " public_key = excluded.public_key, issuer = excluded.issuer, serial = excluded.serial",
            (number, officer.name, officer.function, officer.public_key, officer.issuer, officer.serial.octets),
        )

    def remove_responsible(self, number: int, name: str) -> None:
        gone = self._execute("DELETE FROM responsible WHERE organisation = ? AND name = ?", (number, name)).rowcount
        if gone != 1:
            raise Refused("org.no-officer", f"{name} is no officer of this organisation", "see `smki org show`")

    def add_volume(self, number: int, month: int, issued: int) -> None:
        self._execute(
            "INSERT INTO volume (organisation, month, issued) VALUES (?, ?, ?)"
            " ON CONFLICT (organisation, month) DO UPDATE SET issued = volume.issued + excluded.issued",
            (number, month, issued),
        )

    def put_batch(self, record: BatchRecord) -> None:
        """Which batch came, and whether it waits for an officer's word."""
        self._execute(
            f"INSERT INTO batch ({_BATCH}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (digest) DO UPDATE SET state = excluded.state, reasons = excluded.reasons",
            (
                record.digest,
                record.organisation,
                record.kind.value,
                record.count,
                json.dumps(record.reasons),
                record.state,
                record.asked_by,
                seconds_of(record.asked_at),
                json.dumps(record.decision),
            ),
        )

    def decide(self, batch: bytes, state: BatchState, decision: dict[str, Any]) -> None:
        changed = self._execute(
            "UPDATE batch SET state = ?, decision = ? WHERE digest = ? AND state = 'waiting'",
            (state, json.dumps(decision), batch),
        ).rowcount
        if changed != 1:
            raise Refused("approve.decided", "this batch does not wait for a decision", "see `smki approve list`")


def _batch(row: Sequence[Any]) -> BatchRecord:
    digest, organisation, kind, count, reasons, state, asked_by, asked_at, decision = row
    return BatchRecord(
        digest=bytes(digest),
        organisation=organisation,
        kind=Kind(kind),
        count=count,
        reasons=tuple(json.loads(reasons)),
        state=state,
        asked_by=asked_by,
        asked_at=moment_of(asked_at),
        decision=json.loads(decision),
    )
