"""Revocations: reading them, and the changes of an act. Nothing is ever taken back."""

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import msgspec

from smki.entity import EntityId, KeyUsage, RemotePartyRole
from smki.errors import IntegrityFailure
from smki.pki.reason import Reason
from smki.pki.serial import Serial
from smki.pki.status import Status
from smki.store.acts import Acts
from smki.store.certificates import USAGES
from smki.store.engine import Engine
from smki.store.records import ListedSerial, RevocationRecord
from smki.store.values import moment_of, pieces, places, seconds_of

_TARGET = (
    "SELECT certificate.issuer, serial, profile.name, entity, usage, role, subscriber, status, not_before, not_after"
    " FROM certificate JOIN profile ON profile.number = certificate.profile"
)
_COLUMNS = ("number", "at", "compromised_at", "not_after", "issuer", "reason", "serial", "ground")


class Target(msgspec.Struct, frozen=True, gc=False):
    """What can be revoked: a certificate without its octets (a request may name a million), or a burnt number."""

    issuer: int
    serial: Serial
    profile: str | None
    """None: a number that was burnt; whatever was signed with it is lost."""
    status: Status
    since: datetime
    """When the certificate begins, or the number was set aside."""
    not_after: datetime | None
    entity: EntityId | None = None
    usage: KeyUsage | None = None
    role: RemotePartyRole | None = None
    subscriber: int | None = None

    @property
    def key(self) -> tuple[int, Serial]:
        return self.issuer, self.serial

    def status_at(self, now: datetime) -> Status:
        ended = self.not_after is not None and now > self.not_after
        return Status.EXPIRED if ended and self.status is not Status.REVOKED else self.status


class Revocations:
    """Everything that was ever revoked."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def one(self, issuer: int, serial: Serial) -> RevocationRecord | None:
        row = self._engine.execute(
            f"SELECT {', '.join(_COLUMNS)} FROM revocation WHERE serial = ? AND issuer = ?", (serial.octets, issuer)
        ).fetchone()
        return None if row is None else _record(row)

    def many(self, issuer: int, serials: Sequence[Serial]) -> dict[Serial, RevocationRecord]:
        """Of these serial numbers of an issuer, those that are revoked."""
        found: dict[Serial, RevocationRecord] = {}
        for row in self._of(", ".join(_COLUMNS), serials):
            record = _record(row)
            if record.issuer == issuer:
                found[record.serial] = record
        return found

    def _of(self, columns: str, serials: Sequence[Serial]) -> Iterator[Sequence[Any]]:
        """By serial number alone: with the issuer besides, a planner that does not know the table yet would walk
        through all of an issuer's."""
        for piece in pieces([serial.octets for serial in serials]):
            yield from self._engine.execute(
                f"SELECT {columns} FROM revocation WHERE serial IN ({places(piece)})", piece
            ).fetchall()

    def targets(self, serials: Sequence[Serial]) -> list[Target]:
        """The certificates and burnt numbers that these serial numbers name, whoever issued them."""
        found: list[Target] = []
        for piece in pieces([serial.octets for serial in serials]):
            rows = self._engine.execute(f"{_TARGET} WHERE serial IN ({places(piece)})", piece).fetchall()
            found.extend(_target(row) for row in rows)
            if len(rows) < len(piece):
                found.extend(self._burnt(piece))
        return found

    def targets_of(self, subscriber: int) -> Iterator[Target]:
        """Every certificate that an organisation was ever issued: of millions, one by one and in no order."""
        return (_target(row) for row in self._engine.stream(f"{_TARGET} WHERE subscriber = ?", (subscriber,)))

    def _burnt(self, piece: tuple[bytes, ...]) -> Iterator[Target]:
        rows = self._engine.execute(
            "SELECT reservation.issuer, reservation.serial, reserved_at, revocation.serial FROM reservation"
            " LEFT JOIN revocation"
            " ON revocation.serial = reservation.serial AND revocation.issuer = reservation.issuer"
            f" WHERE reservation.burnt = 1 AND reservation.serial IN ({places(piece)})",
            piece,
        ).fetchall()
        for issuer, serial, at, revoked in rows:
            status = Status.NOT_IN_USE if revoked is None else Status.REVOKED
            yield Target(issuer, Serial(bytes(serial)), None, status, moment_of(at), None)

    def made_since(self, issuer: int, moment: datetime) -> dict[bytes, int]:
        """How many of an issuer's were revoked since then, on each ground. They are numbered as time goes on."""
        before = self._engine.execute(
            "SELECT number FROM revocation WHERE issuer = ? AND at < ? ORDER BY number DESC LIMIT 1",
            (issuer, seconds_of(moment)),
        ).fetchone()
        rows = self._engine.execute(
            "SELECT ground, COUNT(*) FROM revocation WHERE issuer = ? AND number > ? GROUP BY ground",
            (issuer, 0 if before is None else before[0]),
        ).fetchall()
        return {bytes(ground): count for ground, count in rows}

    def among(self, issuer: int, serials: Sequence[Serial]) -> frozenset[Serial]:
        """Those of an issuer's serial numbers that are revoked."""
        rows = self._of("serial, issuer", serials)
        return frozenset(Serial(bytes(serial)) for serial, number in rows if number == issuer)

    def last_number(self, issuer: int) -> int:
        """Of the revocation made last among an issuer's; 0 before the first."""
        row = self._engine.execute(
            "SELECT COALESCE(MAX(number), 0) FROM revocation WHERE issuer = ?", (issuer,)
        ).fetchone()
        return int(row[0])

    def listed(
        self, issuer: int, after: int, until: int, alive: datetime, covered: int = 0
    ) -> Iterator[ListedSerial]:
        """What a list holds, in the order it was revoked: revocations numbered above `after`, up to `until`.

        A certificate that ended before `alive`, its revocation among the first `covered`, was on a list after its
        end, and needs no other (RFC 5280 3.3). One revoked just before its end may be recorded after the list of
        then.
        """
        return self._engine.stream(  # plain rows: a list may have a million
            "SELECT serial, at, reason, compromised_at FROM revocation"
            " WHERE issuer = ? AND number > ? AND number <= ? AND (not_after IS NULL OR not_after >= ? OR number > ?)"
            " ORDER BY number",
            (issuer, after, until, seconds_of(alive), covered),
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
        """Revoke, for good: certificates, and numbers whose certificates are lost. Of one issuer each time."""
        self._engine.insert("revocation", _COLUMNS, [_row(record) for record in records])
        changed = 0
        for piece in pieces(records):
            octets = tuple(record.serial.octets for record in piece)
            changed += self._execute(
                f"UPDATE certificate SET status = ? WHERE serial IN ({places(octets)}) AND issuer = ?"
                " AND status <> ?",
                (Status.REVOKED.number, *octets, piece[0].issuer, Status.REVOKED.number),
            ).rowcount
        if changed != sum(record.not_after is not None for record in records):
            raise IntegrityFailure(
                "revoke.register", "the register and the revocations do not agree", "see `smki audit verify`"
            )


def _target(row: Sequence[Any]) -> Target:
    issuer, serial, profile, entity, usage, role, subscriber, status, begin, end = row
    return Target(
        issuer=issuer,
        serial=Serial(bytes(serial)),
        profile=profile,
        status=Status.from_number(status),
        since=moment_of(begin),
        not_after=moment_of(end),
        entity=None if entity is None else EntityId(bytes(entity)),
        usage=None if usage is None else USAGES[usage],
        role=None if role is None else RemotePartyRole(role),
        subscriber=subscriber,
    )


def _row(record: RevocationRecord) -> tuple[Any, ...]:
    return (
        record.number,
        seconds_of(record.at),
        None if record.compromised_at is None else seconds_of(record.compromised_at),
        None if record.not_after is None else seconds_of(record.not_after),
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
        at=moment_of(at),
        reason=Reason(reason),
        ground=bytes(ground),
        compromised_at=None if compromised_at is None else moment_of(compromised_at),
        not_after=None if not_after is None else moment_of(not_after),
    )
