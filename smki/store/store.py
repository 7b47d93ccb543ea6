"""The store: all durable state, and the log of how it came to be.

There is one way to change anything: inside `act`, which appends an entry to the log in the transaction of the
change. What cannot be logged does not happen. A checkpoint changes nothing and is no act: it signs the log.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from smki.errors import IntegrityFailure, InvalidInput, Refused
from smki.pki.serial import Serial
from smki.store import merkle
from smki.store.address import open_engine
from smki.store.admissions import Admissions
from smki.store.announcements import Announcements
from smki.store.certificates import Certificates
from smki.store.confirmations import Confirmations
from smki.store.crls import Crls
from smki.store.engine import Engine
from smki.store.entry import entry_body
from smki.store.estate import Estate
from smki.store.holds import Holds
from smki.store.orders import Orders
from smki.store.organisations import Organisations
from smki.store.quarantine import Quarantine
from smki.store.records import (
    Act,
    AuthorityRecord,
    CeremonyRecord,
    ContingencyRecord,
    Entry,
    OfficerRecord,
    TokenRecord,
)
from smki.store.registrations import Registrations
from smki.store.responders import Responders
from smki.store.revocations import Revocations
from smki.store.signatures import Signatures
from smki.store.supplier_changes import SupplierChanges
from smki.store.transaction import Transaction
from smki.store.values import moment_of
from smki.words import counted

if TYPE_CHECKING:
    from smki.store.journal import Journal
    from smki.store.note import Checkpoint  # pyca costs a cold command its import


class Store:
    """One open database."""

    def __init__(self, engine: Engine, journal: "Journal | None" = None) -> None:
        self._engine = engine
        self._journal = journal
        self.certificates = Certificates(engine)
        self.organisations = Organisations(engine)
        self.signatures = Signatures(engine)
        self.holds = Holds(engine)
        self.orders = Orders(engine)
        self.registrations = Registrations(engine)
        self.estate = Estate(engine)
        self.supplier_changes = SupplierChanges(engine)
        self.revocations = Revocations(engine)
        self.responders = Responders(engine)
        self.admissions = Admissions(engine)
        self.quarantine = Quarantine(engine)
        self.confirmations = Confirmations(engine)
        self.crls = Crls(engine)
        self.announcements = Announcements(engine)

    @classmethod
    def open(cls, url: str, journal: Path | None = None) -> Self:
        """Open a store that exists, bringing an older schema forward."""
        store = cls(open_engine(url, create=False), _journal_of(url, journal))
        try:
            if not store._engine.has_schema():
                raise InvalidInput("store.empty", "the database holds no authority", "run `smki init`")
            store._migrate()
        except BaseException:
            store.close()
            raise
        return store

    @classmethod
    def create(cls, url: str, workspace_id: bytes, journal: Path | None = None) -> tuple[Self, bool]:
        """Open the store, or make it; say which."""
        store = cls(open_engine(url, create=True), _journal_of(url, journal))
        try:
            made = not store._engine.has_schema()
            store._migrate()
            if store._meta("workspace") is None:
                with store._engine.transaction():
                    store._engine.lock_schema()
                    if store._meta("workspace") is None:  # another may have been first
                        store._set_meta("workspace", workspace_id)
        except BaseException:
            store.close()
            raise
        return store, made

    def _migrate(self) -> None:
        engine = self._engine
        while (version := self.schema_version()) < len(engine.migrations):
            with engine.transaction():
                engine.lock_schema()
                self.bring_forward(version + 1)
        if version > len(engine.migrations):
            raise Refused(
                "store.newer-schema",
                f"the database has schema {version}, and this smki knows {len(engine.migrations)}",
                "use the newer smki that wrote it: a schema never goes back",
            )

    def bring_forward(self, version: int) -> None:
        """Take the steps of the schema up to one, in the caller's transaction; another may have been first."""
        for step in range(self.schema_version(), version):
            self._engine.migrations[step](self._engine.connection)
            self._set_meta("schema", str(step + 1).encode())

    def schema_version(self) -> int:
        written = (self._meta("schema") or b"0") if self._engine.has_schema() else b"0"
        if not written.isdigit():
            raise IntegrityFailure("store.damaged", "the database's schema has no number", "restore it from a backup")
        return int(written)

    def _meta(self, name: str) -> bytes | None:
        row = self._engine.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return None if row is None else bytes(row[0])

    def _set_meta(self, name: str, value: bytes, engine: Engine | None = None) -> None:
        (engine or self._engine).execute(
            "INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            (name, value),
        )

    def close(self) -> None:
        self._engine.close()

    @contextmanager
    def act(self, act: Act) -> Iterator[Transaction]:
        """One act: what is done inside is committed with its entry, or neither is."""
        with self.acts([act], act.at) as transaction:
            yield transaction

    @contextmanager
    def acts(self, acts: list[Act], at: datetime) -> Iterator[Transaction]:
        """Many acts of one kind that happen together, an entry each; the list may grow until the end."""
        with self._engine.transaction(), self._written() as engine:
            yield Transaction(engine, partial(self._set_meta, engine=engine), at)
            engine.lock_log()
            self.append(acts)

    def _written(self) -> AbstractContextManager[Engine]:
        """What an act changes the store through: an engine, or one that writes down what it is told."""
        return nullcontext(self._engine) if self._journal is None else self._journal.act(self, self._engine)

    def append(self, acts: Sequence[Act]) -> None:
        """Entries in the transaction of a caller who holds the lock."""
        self.append_bodies([(seq, entry_body(seq, act)) for seq, act in enumerate(acts, self.audit_size())])

    def append_bodies(self, bodies: Sequence[tuple[int, bytes]]) -> None:
        """The same with what stands in them, and with every hash above them that they complete."""
        made: dict[tuple[int, int], bytes] = {}

        def node(level: int, place: int) -> bytes:
            return made.get((level, place)) or self.audit_node(level, place)

        for seq, body in bodies:
            for level, place, digest in merkle.completed_by(seq, merkle.leaf_hash(body), node):
                made[level, place] = digest
        self._engine.insert("audit_entry", ("seq", "body"), bodies)
        self._engine.insert(
            "audit_node", ("level", "place", "hash"), [(*where, digest) for where, digest in made.items()]
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
        end = self.audit_size() if end is None else end
        while rows := self._engine.execute(
            "SELECT seq, body FROM audit_entry WHERE seq >= ? AND seq < ? ORDER BY seq LIMIT 1000", (start, end)
        ).fetchall():
            for seq, body in rows:
                # A forger's UPDATE may leave text or a number there: it must read as changed, not crash the reader.
                yield Entry(seq, body if isinstance(body, bytes) else str(body).encode())
            start = rows[-1][0] + 1

    def checkpoints(self) -> list[tuple[int, str]]:
        rows = self._engine.execute("SELECT size, note FROM audit_checkpoint ORDER BY size").fetchall()
        return [(size, note) for size, note in rows]

    def checkpoint(self, size: int) -> str | None:
        """The checkpoint that signed the log when it had `size` entries."""
        row = self._engine.execute("SELECT note FROM audit_checkpoint WHERE size = ?", (size,)).fetchone()
        return None if row is None else row[0]

    def latest_checkpoint(self) -> str | None:
        row = self._engine.execute("SELECT note FROM audit_checkpoint ORDER BY size DESC LIMIT 1").fetchone()
        return None if row is None else row[0]

    def refuse_fork(self, checkpoint: "Checkpoint") -> None:
        """A log never signs what contradicts a checkpoint it signed before (C2SP tlog-checkpoint)."""
        size = self.audit_size()
        if checkpoint.origin != self.origin or checkpoint.size > size:
            signed = counted(checkpoint.size, "entry", "entries")
            fault = f"{signed} of {checkpoint.origin}, and there are {size} of {self.origin}"
        elif self.audit_root(checkpoint.size) != checkpoint.root:
            fault = f"the first {checkpoint.size} entries, and they are others now"
        else:
            return
        raise IntegrityFailure(
            "audit.forked", f"a checkpoint signed {fault}", "stop, keep the database, restore it from a backup"
        )

    def add_checkpoint(self, checkpoint: "Checkpoint", note: str) -> None:
        """Keep a signed checkpoint; the first of its size stays."""
        with self._engine.transaction():
            self.refuse_fork(checkpoint)
            self._engine.execute(
                "INSERT INTO audit_checkpoint (size, root, note) VALUES (?, ?, ?) ON CONFLICT (size) DO NOTHING",
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
        rows = self._engine.execute(
            "SELECT name, public_key FROM officer WHERE roll = (SELECT MAX(roll) FROM officer) ORDER BY name"
        ).fetchall()
        return tuple(OfficerRecord(name, bytes(key)) for name, key in rows)

    def ceremony(self, sha256: bytes) -> CeremonyRecord | None:
        row = self._engine.execute(
            "SELECT sha256, kind, file, state, detail FROM ceremony WHERE sha256 = ?", (sha256,)
        ).fetchone()
        if row is None:
            return None
        return CeremonyRecord(bytes(row[0]), row[1], bytes(row[2]), row[3], json.loads(row[4]))

    def ceremonies(self, kind: str) -> tuple[CeremonyRecord, ...]:
        """All of a kind that were ever begun."""
        rows = self._engine.execute("SELECT sha256 FROM ceremony WHERE kind = ? ORDER BY sha256", (kind,)).fetchall()
        found = (self.ceremony(bytes(sha256)) for (sha256,) in rows)
        return tuple(record for record in found if record is not None)

    def authorities(self) -> tuple[AuthorityRecord, ...]:
        rows = self._engine.execute(f"SELECT {_AUTHORITY} FROM authority ORDER BY number").fetchall()
        return tuple(_authority(row) for row in rows)

    def authority(self, name: str) -> AuthorityRecord | None:
        row = self._engine.execute(f"SELECT {_AUTHORITY} FROM authority WHERE name = ?", (name,)).fetchone()
        return None if row is None else _authority(row)

    def contingency(self, authority: str) -> ContingencyRecord | None:
        row = self._engine.execute(
            "SELECT authority, token, key_id, secret_id, public_key FROM contingency WHERE authority = ?",
            (authority,),
        ).fetchone()
        return None if row is None else ContingencyRecord(row[0], row[1], *(bytes(value) for value in row[2:]))


def _journal_of(url: str, folder: Path | None) -> "Journal | None":
    if folder is None:
        return None
    if not url.startswith("sqlite:"):
        raise Refused(
            "journal.engine",
            "a journal is kept of SQLite alone",
            "let PostgreSQL's standby servers and archive do it",
        )
    from smki.store.journal import Journal

    return Journal(folder)


_AUTHORITY = (
    "number, name, hierarchy, tier, state, issuing, profile, subject, token, key_id, public_key, issuer, serial,"
    " not_after"
)


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
        not_after=None if end is None else moment_of(end),
    )
