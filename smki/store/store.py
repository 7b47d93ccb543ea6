"""The store: all durable state, and the log of how it came to be.

There is one way to change anything: inside `act`, which appends exactly one entry to the log in the transaction
of the change. What cannot be logged does not happen. A checkpoint changes nothing and is no act: it signs the log.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Self

from smki.entity import EntityId
from smki.errors import IntegrityFailure, InvalidInput, Refused
from smki.pki.serial import Serial
from smki.store import merkle
from smki.store.engine import Engine, open_engine
from smki.store.note import Checkpoint
from smki.store.records import (
    Act,
    AuthorityRecord,
    CeremonyRecord,
    CertificateRecord,
    ContingencyRecord,
    Entry,
    OfficerRecord,
    Reservation,
    TokenRecord,
)
from smki.store.transaction import Transaction

MAX_ENTRY_OCTETS = 1 << 16


def entry_body(seq: int, act: Act) -> bytes:
    """The one form of an entry: JSON with sorted keys and no spaces."""
    fields = {
        "v": 1,
        "seq": seq,
        "time": act.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "act": act.kind,
        "actor": act.actor,
        "facts": act.facts,
    }
    body = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    if len(body) > MAX_ENTRY_OCTETS:
        raise InvalidInput("audit.size", f"an audit entry of {len(body)} octets", "do less in one act")
    return body


class Store:
    """One open database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @classmethod
    def open(cls, url: str) -> Self:
        """Open a store that exists, bringing an older schema forward."""
        store = cls(open_engine(url, create=False))
        try:
            if not store._engine.has_schema():
                raise InvalidInput("store.empty", "the database holds no authority", "run `smki init`")
            store._migrate()
        except BaseException:
            store.close()
            raise
        return store

    @classmethod
    def create(cls, url: str, workspace_id: bytes) -> tuple[Self, bool]:
        """Open the store, or make it; say which."""
        store = cls(open_engine(url, create=True))
        made = not store._engine.has_schema()
        store._migrate()
        if made or store._meta("workspace") is None:
            with store._engine.transaction():
                store._set_meta("workspace", workspace_id)
        return store, made

    def _migrate(self) -> None:
        engine = self._engine
        version = int(self._meta("schema") or b"0") if engine.has_schema() else 0
        if version > len(engine.migrations):
            raise Refused(
                "store.newer-schema",
                f"the database has schema {version}, and this smki knows {len(engine.migrations)}",
                "use the newer smki that wrote it: a schema never goes back",
            )
        for number, migration in enumerate(engine.migrations[version:], version + 1):
            with engine.transaction():
                migration(engine.connection)
                self._set_meta("schema", str(number).encode())

    def _meta(self, name: str) -> bytes | None:
        row = self._engine.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return None if row is None else bytes(row[0])

    def _set_meta(self, name: str, value: bytes) -> None:
        self._engine.execute("DELETE FROM meta WHERE name = ?", (name,))
        self._engine.execute("INSERT INTO meta (name, value) VALUES (?, ?)", (name, value))

    def close(self) -> None:
        self._engine.close()

    @contextmanager
    def act(self, act: Act) -> Iterator[Transaction]:
        """One act: what is done inside is committed with its entry, or neither is."""
        with self._engine.transaction():
            transaction = Transaction(self._engine.execute, self._set_meta)
            yield transaction
            self._engine.lock_log()
            self._append(act)

    def _append(self, act: Act) -> None:
        seq = self.audit_size()
        body = entry_body(seq, act)
        self._engine.execute("INSERT INTO audit_entry (seq, body) VALUES (?, ?)", (seq, body))
        for level, place, digest in merkle.completed_by(seq, merkle.leaf_hash(body), self.audit_node):
            self._engine.execute(
                "INSERT INTO audit_node (level, place, hash) VALUES (?, ?, ?)", (level, place, digest)
            )

    # The log

    @property
    def workspace_id(self) -> bytes:
        value = self._meta("workspace")
        if value is None:
            raise IntegrityFailure("store.no-identity", "the database does not say whose it is", "run `smki init`")
        return value

    @property
    def origin(self) -> str:
        """The log's name in checkpoints."""
        return f"smki/{self.workspace_id.hex()}"

    def audit_size(self) -> int:
        return int(self._engine.execute("SELECT COALESCE(MAX(seq) + 1, 0) FROM audit_entry").fetchone()[0])

    def audit_node(self, level: int, place: int) -> bytes:
        row = self._engine.execute(
            "SELECT hash FROM audit_node WHERE level = ? AND place = ?", (level, place)
        ).fetchone()
        if row is None:
            raise IntegrityFailure(
                "audit.node-missing", f"the log lacks the hash of subtree {level}/{place}", "restore from a backup"
            )
        return bytes(row[0])

    def audit_root(self, size: int) -> bytes:
        return merkle.root(size, self.audit_node)

    def audit_entries(self, start: int = 0, end: int | None = None) -> Iterator[Entry]:
        """Entries in order, read a piece at a time."""
        while rows := self._engine.execute(
            "SELECT seq, body FROM audit_entry WHERE seq >= ? AND seq < ? ORDER BY seq LIMIT 1000",
            (start, self.audit_size() if end is None else end),
        ).fetchall():
            for seq, body in rows:
                # A forger's UPDATE may leave text where octets stood: it must read as changed, not crash the reader.
                yield Entry(seq, body.encode() if isinstance(body, str) else bytes(body))
            start = rows[-1][0] + 1

    def checkpoints(self) -> list[tuple[int, str]]:
        rows = self._engine.execute("SELECT size, note FROM audit_checkpoint ORDER BY size").fetchall()
        return [(size, note) for size, note in rows]

    def latest_checkpoint(self) -> str | None:
        row = self._engine.execute("SELECT note FROM audit_checkpoint ORDER BY size DESC LIMIT 1").fetchone()
        return None if row is None else row[0]

    def add_checkpoint(self, checkpoint: Checkpoint, note: str) -> None:
        with self._engine.transaction():
            self._engine.execute("DELETE FROM audit_checkpoint WHERE size = ?", (checkpoint.size,))
            self._engine.execute(
                "INSERT INTO audit_checkpoint (size, root, note) VALUES (?, ?, ?)",
                (checkpoint.size, checkpoint.root, note),
            )

    @property
    def audit_key(self) -> bytes | None:
        """The public key that checks checkpoints."""
        return self._meta("audit-key")

    @property
    def policies_digest(self) -> str | None:
        """Of the policies last adopted."""
        value = self._meta("policies")
        return None if value is None else value.decode()

    # The world

    def token(self, name: str) -> TokenRecord | None:
        row = self._engine.execute("SELECT name, hsm, label, serial FROM token WHERE name = ?", (name,)).fetchone()
        return None if row is None else TokenRecord(*row)

    def officers(self) -> tuple[OfficerRecord, ...]:
        rows = self._engine.execute("SELECT name, public_key FROM officer ORDER BY name").fetchall()
        return tuple(OfficerRecord(name, bytes(key)) for name, key in rows)

    def ceremony(self, sha256: bytes) -> CeremonyRecord | None:
        row = self._engine.execute(
            "SELECT sha256, kind, file, state, detail FROM ceremony WHERE sha256 = ?", (sha256,)
        ).fetchone()
        if row is None:
            return None
        return CeremonyRecord(bytes(row[0]), row[1], bytes(row[2]), row[3], json.loads(row[4]))

    def authorities(self) -> tuple[AuthorityRecord, ...]:
        rows = self._engine.execute(f"SELECT {_AUTHORITY} FROM authority ORDER BY number").fetchall()
        return tuple(_authority(row) for row in rows)

    def authority(self, name: str) -> AuthorityRecord | None:
        row = self._engine.execute(f"SELECT {_AUTHORITY} FROM authority WHERE name = ?", (name,)).fetchone()
        return None if row is None else _authority(row)

    def certificate(self, issuer: int, serial: Serial) -> CertificateRecord | None:
        row = self._engine.execute(
            f"SELECT {_CERTIFICATE} FROM certificate WHERE issuer = ? AND serial = ?", (issuer, serial.octets)
        ).fetchone()
        return None if row is None else _certificate(row)

    def certificates_of_key(self, key_hash: bytes) -> tuple[CertificateRecord, ...]:
        rows = self._engine.execute(
            f"SELECT {_CERTIFICATE} FROM certificate WHERE key_hash = ? ORDER BY issuer, serial", (key_hash,)
        ).fetchall()
        return tuple(_certificate(row) for row in rows)

    def reservations(self) -> tuple[Reservation, ...]:
        rows = self._engine.execute("SELECT issuer, serial, purpose, burnt FROM reservation").fetchall()
        return tuple(Reservation(i, Serial(bytes(s)), purpose, bool(burnt)) for i, s, purpose, burnt in rows)

    def contingency(self, authority: str) -> ContingencyRecord | None:
        row = self._engine.execute(
            "SELECT authority, token, key_id, secret_id, public_key FROM contingency WHERE authority = ?",
            (authority,),
        ).fetchone()
        return None if row is None else ContingencyRecord(row[0], row[1], *(bytes(value) for value in row[2:]))


_AUTHORITY = (
    "number, name, hierarchy, tier, state, issuing, profile, subject, token, key_id, public_key, issuer, serial,"
    " not_after"
)
_CERTIFICATE = "issuer, serial, key_hash, entity, profile, not_before, not_after, der"


def _authority(row: tuple[Any, ...]) -> AuthorityRecord:
    number, name, hierarchy, tier, state, issuing, profile, subject, token, key_id, key, issuer, serial, end = row
    return AuthorityRecord(
        number=number,
        name=name,
        hierarchy=hierarchy,
        tier=tier,
        state=state,
        issuing=bool(issuing),
        profile=profile,
        subject=subject,
        token=token,
        key_id=bytes(key_id),
        public_key=None if key is None else bytes(key),
        issuer=issuer,
        serial=None if serial is None else Serial(bytes(serial)),
        not_after=None if end is None else datetime.fromtimestamp(end, UTC),
    )


def _certificate(row: tuple[Any, ...]) -> CertificateRecord:
    issuer, serial, key_hash, entity, profile, begin, end, der = row
    return CertificateRecord(
        issuer=issuer,
        serial=Serial(bytes(serial)),
        key_hash=bytes(key_hash),
        entity=None if entity is None else EntityId(bytes(entity)),
        profile=profile,
        not_before=datetime.fromtimestamp(begin, UTC),
        not_after=datetime.fromtimestamp(end, UTC),
        der=bytes(der),
    )
