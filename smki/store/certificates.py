"""Certificates and serial numbers: reading them, and the changes an act can make to them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from smki.entity import EntityId, KeyUsage, RemotePartyRole
from smki.errors import IntegrityFailure, Refused
from smki.pki.serial import Serial
from smki.pki.status import Status
from smki.store.acts import Acts
from smki.store.engine import Engine
from smki.store.records import CertificateRecord, Reservation
from smki.store.values import moment_of, pieces, places, seconds_of

LEASE_SECONDS = 3600
"""How long a reserved serial number may be used. A process that died leaves numbers that are nobody's after this."""
USAGES = (KeyUsage.DIGITAL_SIGNATURE, KeyUsage.KEY_AGREEMENT)
"""A usage's number is its place here."""
Use = tuple[bytes, KeyUsage, RemotePartyRole | None]
"""What a certificate serves for: whose it is, for which usage, in which role; a device has none."""
_COLUMNS = (
    "issuer",
    "serial",
    "key_hash",
    "entity",
    "profile",
    "not_before",
    "not_after",
    "der",
    "usage",
    "role",
    "subscriber",
    "status",
    "request",
)
_SELECT = (
    f"SELECT {', '.join(column if column != 'profile' else 'profile.name' for column in _COLUMNS)}"
    " FROM certificate JOIN profile ON profile.number = certificate.profile"
)


@dataclass(frozen=True, slots=True)
class Query:
    """Which certificates are meant; what is None does not matter."""

    serial: Serial | None = None
    entity: EntityId | None = None
    key_hash: bytes | None = None
    subscriber: int | None = None
    usage: KeyUsage | None = None
    status: Status | None = None
    issued_from: datetime | None = None
    issued_before: datetime | None = None
    expiring_before: datetime | None = None
    now: datetime = datetime(1970, 1, 1, tzinfo=UTC)

    def conditions(self) -> Iterator[tuple[str, Any]]:
        wanted = (
            ("serial = ?", self.serial and self.serial.octets),
            ("entity = ?", self.entity and self.entity.octets),
            ("key_hash = ?", self.key_hash),
            ("subscriber = ?", self.subscriber),
            ("usage = ?", None if self.usage is None else USAGES.index(self.usage)),
            ("not_before >= ?", self.issued_from and seconds_of(self.issued_from)),
            ("not_before < ?", self.issued_before and seconds_of(self.issued_before)),
            ("not_after < ?", self.expiring_before and seconds_of(self.expiring_before)),
            ("not_after >= ?", self.expiring_before and seconds_of(self.now)),
        )
        yield from ((text, value) for text, value in wanted if value is not None)
        if self.status is Status.EXPIRED:
            yield "not_after < ?", seconds_of(self.now)
            yield "status <> ?", Status.REVOKED.number
        elif self.status is not None:
            yield "status = ?", self.status.number
            if self.status is not Status.REVOKED:
                yield "not_after >= ?", seconds_of(self.now)


@dataclass(frozen=True, slots=True)
class Certified:
    """That a key was certified before: by which certificate, for which request."""

    issuer: int
    serial: Serial
    subscriber: int | None
    request: bytes | None


class Certificates:
    """Every certificate there is."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def get(self, issuer: int, serial: Serial) -> CertificateRecord | None:
        return next(self._read("issuer = ? AND serial = ?", (issuer, serial.octets)), None)

    def of_serial(self, serial: Serial) -> tuple[CertificateRecord, ...]:
        """One, unless two issuers drew the same number."""
        return tuple(self._read("serial = ?", (serial.octets,)))

    def octets_of(self, serials: Sequence[Serial]) -> dict[tuple[int, Serial], bytes]:
        """The DER of many, by issuer and serial number."""
        found: dict[tuple[int, Serial], bytes] = {}
        for piece in pieces([serial.octets for serial in serials]):
            rows = self._engine.execute(
                f"SELECT issuer, serial, der FROM certificate WHERE serial IN ({places(piece)})", piece
            ).fetchall()
            found.update(((issuer, Serial(bytes(serial))), bytes(der)) for issuer, serial, der in rows)
        return found

    def of_key(self, key_hash: bytes) -> tuple[CertificateRecord, ...]:
        return tuple(self._read("key_hash = ?", (key_hash,)))

    def of_entity(self, entity: EntityId) -> tuple[CertificateRecord, ...]:
        return tuple(self._read("entity = ?", (entity.octets,)))

    def of_officers(self, subscriber: int) -> tuple[CertificateRecord, ...]:
        """Those of an organisation that name no party and no device: of people, whatever became of them."""
        return tuple(self._read("subscriber = ? AND entity IS NULL", (subscriber,)))

    def _read(self, condition: str, values: tuple[Any, ...]) -> Iterator[CertificateRecord]:
        rows = self._engine.execute(f"{_SELECT} WHERE {condition} ORDER BY serial, issuer", values).fetchall()
        return (_certificate(row) for row in rows)

    def find(self, query: Query) -> Iterator[CertificateRecord]:
        """In no order, one by one: a million need no more memory than a hundred."""
        conditions = tuple(query.conditions())
        where = f" WHERE {' AND '.join(text for text, _ in conditions)}" if conditions else ""
        rows = self._engine.stream(f"{_SELECT}{where}", tuple(value for _, value in conditions))
        return (_certificate(row) for row in rows)

    def certified(self, key_hashes: Sequence[bytes]) -> dict[bytes, Certified]:
        """Which of these keys were certified before, in whatever profile."""
        rows = self._engine.execute(
            "SELECT key_hash, issuer, serial, subscriber, request FROM certificate"
            f" WHERE key_hash IN ({places(key_hashes)})",
            tuple(key_hashes),
        ).fetchall()
        return {
            bytes(key): Certified(
                issuer, Serial(bytes(serial)), subscriber, None if request is None else bytes(request)
            )
            for key, issuer, serial, subscriber, request in rows
        }

    def serving(
        self, entities: Sequence[bytes], usage: KeyUsage, now: datetime
    ) -> list[tuple[bytes, int, bytes, bytes]]:
        """Of many entities, the certificates in use for a usage: whose, by which issuer, the key's hash, DER."""
        rows = self._engine.execute(
            f"SELECT entity, issuer, key_hash, der FROM certificate WHERE entity IN ({places(entities)})"
            " AND usage = ? AND status = ? AND not_before <= ? AND not_after >= ?",
            (*entities, USAGES.index(usage), Status.IN_USE.number, seconds_of(now), seconds_of(now)),
        ).fetchall()
        return [(bytes(entity), issuer, bytes(key_hash), bytes(der)) for entity, issuer, key_hash, der in rows]

    def in_use(self, entities: Sequence[bytes], now: datetime) -> dict[Use, int]:
        """How many certificates in use each entity has for each usage, in each role: one EUI-64 may have several."""
        rows = self._engine.execute(
            f"SELECT entity, usage, role, COUNT(*) FROM certificate WHERE entity IN ({places(entities)})"
            " AND status = ? AND not_after >= ? AND usage IS NOT NULL GROUP BY entity, usage, role",
            (*entities, Status.IN_USE.number, seconds_of(now)),
        ).fetchall()
        return {
            (bytes(entity), USAGES[usage], None if role is None else RemotePartyRole(role)): count
            for entity, usage, role, count in rows
        }

    def count(self) -> int:
        return int(self._engine.execute("SELECT COUNT(*) FROM certificate").fetchone()[0])

    def reservations(self) -> tuple[Reservation, ...]:
        rows = self._engine.execute(
            "SELECT issuer, serial, purpose, burnt, reserved_at FROM reservation ORDER BY reserved_at, issuer, serial"
        ).fetchall()
        return tuple(
            Reservation(issuer, Serial(bytes(serial)), purpose, bool(burnt), moment_of(at))
            for issuer, serial, purpose, burnt, at in rows
        )

    def is_burnt(self, issuer: int, serial: Serial) -> bool:
        row = self._engine.execute(
            "SELECT burnt FROM reservation WHERE serial = ? AND issuer = ?", (serial.octets, issuer)
        ).fetchone()
        return row is not None and bool(row[0])

    def forgotten(self, now: datetime, limit: int) -> tuple[tuple[int, Serial], ...]:
        """Numbers a batch reserved longer ago than a lease lasts, and neither used nor burnt."""
        rows = self._engine.execute(
            "SELECT issuer, serial FROM reservation WHERE burnt = 0 AND purpose LIKE ? AND reserved_at < ?"
            " ORDER BY reserved_at, issuer, serial LIMIT ?",
            ("batch %", seconds_of(now) - LEASE_SECONDS, limit),
        ).fetchall()
        return tuple((issuer, Serial(bytes(serial))) for issuer, serial in rows)


class CertificateActs(Acts):
    """Changes to certificates and serial numbers."""

    def reserve_serials(self, issuer: int, serials: Sequence[Serial], purpose: str) -> None:
        """Set serial numbers aside before anything is signed with them."""
        at = seconds_of(self._at)
        self._engine.insert(
            "reservation",
            ("reserved_at", "issuer", "burnt", "serial", "purpose"),
            [(at, issuer, 0, serial.octets, purpose) for serial in serials],
        )

    def burn_serials(self, issuer: int, serials: Sequence[Serial]) -> None:
        """Whatever was signed with them is lost: the numbers stay on record and are never used again."""
        octets = tuple(serial.octets for serial in serials)
        self._expect(
            len(octets),
            self._execute(
                f"UPDATE reservation SET burnt = 1 WHERE issuer = ? AND burnt = 0 AND serial IN ({places(octets)})",
                (issuer, *octets),
            ).rowcount,
        )

    def store_certificates(self, records: Sequence[CertificateRecord]) -> None:
        """Keep certificates of one issuer under the serial numbers that were reserved for them."""
        octets = tuple(record.serial.octets for record in records)
        self._expect(
            len(octets),
            self._execute(
                f"DELETE FROM reservation WHERE issuer = ? AND burnt = 0 AND serial IN ({places(octets)})",
                (records[0].issuer, *octets),
            ).rowcount,
        )
        profiles = {name: self._profile_number(name) for name in {record.profile for record in records}}
        self._engine.insert("certificate", _COLUMNS, [_row(record, profiles) for record in records])

    @staticmethod
    def _expect(wanted: int, changed: int) -> None:
        if changed != wanted:
            raise IntegrityFailure(
                "serial.not-reserved",
                f"{wanted - changed} of {wanted} serial numbers are not reserved",
                "run it again: numbers left unused for an hour are given up",
            )

    def set_status(self, record: CertificateRecord, status: Status) -> None:
        changed = self._execute(
            "UPDATE certificate SET status = ? WHERE issuer = ? AND serial = ? AND status = ?",
            (status.number, record.issuer, record.serial.octets, record.status.number),
        ).rowcount
        if changed != 1:
            raise Refused(
                "status.moved-on", f"certificate {record.serial} is no longer {record.status.value}", "look again"
            )

    def _profile_number(self, name: str) -> int:
        """Two hundred million rows hold a number in place of a name."""
        find = "SELECT number FROM profile WHERE name = ?"
        while (row := self._execute(find, (name,)).fetchone()) is None:
            # Nothing is inserted where another act took the name or the number just before: look again.
            self._execute(
                "INSERT INTO profile (number, name) SELECT COALESCE(MAX(number) + 1, 0), ? FROM profile WHERE true"
                " ON CONFLICT DO NOTHING",
                (name,),
            )
        return int(row[0])


def _row(record: CertificateRecord, profiles: dict[str, int]) -> tuple[Any, ...]:
    return (
        record.issuer,
        record.serial.octets,
        record.key_hash,
        None if record.entity is None else record.entity.octets,
        profiles[record.profile],
        seconds_of(record.not_before),
        seconds_of(record.not_after),
        record.der,
        None if record.usage is None else USAGES.index(record.usage),
        None if record.role is None else record.role.value,
        record.subscriber,
        record.status.number,
        record.request,
    )


def _certificate(row: Iterable[Any]) -> CertificateRecord:
    issuer, serial, key_hash, entity, profile, begin, end, der, usage, role, subscriber, status, request = row
    return CertificateRecord(
        issuer=issuer,
        serial=Serial(bytes(serial)),
        key_hash=bytes(key_hash),
        entity=None if entity is None else EntityId(bytes(entity)),
        profile=profile,
        not_before=moment_of(begin),
        not_after=moment_of(end),
        der=bytes(der),
        usage=None if usage is None else USAGES[usage],
        role=None if role is None else RemotePartyRole(role),
        subscriber=subscriber,
        status=Status.from_number(status),
        request=None if request is None else bytes(request),
    )
