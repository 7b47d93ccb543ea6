"""The journal: every act on a second disk before it is believed, as the statements that it was made of.

A backup knows what was done before it; the journal what was done since. So a store on one disk can be lost without
losing a single act, however recent: the backup is restored, then the acts are done again in their order. A shared
PostgreSQL has standby servers and an archive of its own for that (docs/backup.md), and takes no journal.

One file an act, called after the log's size before it. The file is whole on the disk before the act is committed. An
act that was written and not committed has the place of the one that comes after it, which replaces the file.
"""

import fcntl
import hashlib
import os
import secrets
import stat
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import msgspec
from msgspec import Meta

from smki.errors import IntegrityFailure, InvalidInput, Refused, Unavailable
from smki.store.backup.form import kept_tables
from smki.store.engine import Engine
from smki.store.schema import Migration

if TYPE_CHECKING:
    from smki.store.store import Store

MARK = "smki-journal"  # stands in the folder, and so tells that its disk is there
MAX_FRAME_OCTETS = 1 << 28
_LENGTH_OCTETS = 4
_MAX_MARK_OCTETS = 100
_DIGITS = 16  # of a file's name: names sort as numbers
_STATEMENTS = ("INSERT INTO ", "UPDATE ", "DELETE FROM ")
_VALUES = (int, str, bytes, type(None))  # msgspec takes no union of text and octets
_Size = Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]


class _Head(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag="act"):
    schema: Annotated[int, Meta(ge=1, le=1000)]
    workspace: bytes
    before: _Size


class _Statement(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag="do"):
    sql: str
    values: tuple[Any, ...]


class _Insert(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag="in"):
    table: str
    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]


class _End(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag="end"):
    after: _Size
    root: bytes
    sha256: bytes
    """Of all octets before this frame."""


_Frame = _Head | _Statement | _Insert | _End
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Frame).decode


class Recorder:
    """An engine that also writes down what changes. Reading goes by unwritten."""

    def __init__(self, engine: Engine, file: BinaryIO) -> None:
        self._engine = engine
        self._file = file
        self._digest = hashlib.sha256()

    def put(self, frame: _Frame) -> None:
        octets = _encode(frame)
        framed = len(octets).to_bytes(_LENGTH_OCTETS) + octets
        self._digest.update(framed)
        self._file.write(framed)

    def end(self, after: int, root: bytes) -> None:
        self.put(_End(after, root, self._digest.digest()))

    def execute(self, sql: str, values: tuple[Any, ...] = ()) -> Any:
        if not sql.startswith("SELECT"):
            self.put(_Statement(sql, values))
        return self._engine.execute(sql, values)

    def insert(self, table: str, columns: tuple[str, ...], rows: Sequence[tuple[Any, ...]]) -> None:
        self.put(_Insert(table, columns, list(rows)))
        self._engine.insert(table, columns, rows)

    # What changes nothing

    @property
    def migrations(self) -> tuple[Migration, ...]:
        return self._engine.migrations

    @property
    def connection(self) -> Any:
        return self._engine.connection

    def stream(self, sql: str, values: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
        return self._engine.stream(sql, values)

    def batches(self, sql: str, count: int) -> Iterator[list[tuple[Any, ...]]]:
        return self._engine.batches(sql, count)

    def sparing(self) -> AbstractContextManager[None]:
        return self._engine.sparing()

    def transaction(self) -> AbstractContextManager[None]:
        return self._engine.transaction()

    def snapshot(self) -> AbstractContextManager[None]:
        return self._engine.snapshot()

    def faults(self) -> list[str]:
        return self._engine.faults()

    def lock_log(self) -> None:
        self._engine.lock_log()

    def lock_schema(self) -> None:
        self._engine.lock_schema()

    def has_schema(self) -> bool:
        return self._engine.has_schema()

    def close(self) -> None:
        self._engine.close()


class Journal:
    """The folder on the second disk. It is one workspace's: the first act writes its name into the mark."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._is_ours = False
        # Never made here: where the disk is not mounted, its folder would be one on the disk that is to be outlived.
        if not (folder / MARK).exists():
            raise Unavailable(
                "journal.missing",
                f"{folder} is no journal",
                f"mount its disk; a new one is begun by `touch {folder}/{MARK}`",
            )
        refuse_loose(folder)

    @contextmanager
    def act(self, store: "Store", engine: Engine) -> Iterator[Engine]:
        """What is changed through this engine, and the entries of it, are on the second disk when the block ends."""
        before = store.audit_size()
        path = self._folder / f"{before:0{_DIGITS}}"
        part = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
        try:
            self._claim(store.origin)
            self._refuse_behind(path)
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    recorder = Recorder(engine, file)
                    recorder.put(_Head(store.schema_version(), store.workspace_id, before))
                    yield recorder
                    after = store.audit_size()
                    entries: list[tuple[Any, ...]] = [
                        (entry.seq, entry.body) for entry in store.audit_entries(before, after)
                    ]
                    recorder.put(_Insert("audit_entry", ("seq", "body"), entries))
                    recorder.end(after, store.audit_root(after))
                    file.flush()
                    os.fsync(file.fileno())
                part.replace(path)
                self._sync()
            finally:
                part.unlink(missing_ok=True)
        except OSError as error:
            raise Unavailable(
                "journal.closed",
                f"{self._folder}: {error.strerror}",
                "mend the disk of the journal, and run it again",
            ) from None

    def _claim(self, origin: str) -> None:
        """Two workspaces in one folder would write over each other's acts."""
        if self._is_ours:
            return
        with (self._folder / MARK).open("r+b") as mark:
            fcntl.flock(mark, fcntl.LOCK_EX)
            name = mark.read(_MAX_MARK_OCTETS).strip()
            if not name:
                mark.write(f"{origin}\n".encode())
                mark.flush()
                os.fsync(mark.fileno())
            elif name != origin.encode():
                raise Refused(
                    "journal.other",
                    f"{self._folder} is the journal of {name.decode(errors='replace')}, and this is {origin}",
                    "name a folder of its own in smki.toml",
                )
        self._is_ours = True

    def _refuse_behind(self, path: Path) -> None:
        """An old database that was put back does not write over acts that are in no database any more."""
        if path.exists() and (after := _after(path)) is not None:
            following = self._folder / f"{after:0{_DIGITS}}"
            if following.exists():
                raise IntegrityFailure(
                    "journal.ahead",
                    f"the journal goes on at entry {after}, and the database has {int(path.name)}: it is an old one",
                    "stop, keep both; restore a backup with the journal",
                )

    def _sync(self) -> None:
        descriptor = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def refuse_loose(folder: Path) -> None:
    """What is in the journal becomes the store: nobody else may write there, as in a workspace."""
    status = folder.stat()
    mode = stat.S_IMODE(status.st_mode)
    if mode & 0o022 or status.st_uid not in {os.geteuid(), 0}:
        raise Refused(
            "journal.loose-mode",
            f"others can change {folder} (mode {mode:04o})",
            f"chmod {mode & ~0o022:04o} {folder}, as its owner, and ask who could have used it",
        )


def prune(folder: Path, size: int) -> int:
    """Remove the acts that a backup of a log of this size holds; say how many. By their names: an act of the time in
    which the backup was written may be older than its file, and not be in it."""
    refuse_loose(folder)
    held = [path for path in folder.glob("[0-9]" * _DIGITS) if int(path.name) < size]
    try:
        for path in sorted(held):
            path.unlink(missing_ok=True)
    except OSError as error:
        raise Unavailable("journal.closed", f"{folder}: {error.strerror}", "mend the disk of the journal") from None
    return len(held)


def _after(path: Path) -> int | None:
    """The log's size after an act; none if it cannot be read."""
    with path.open("rb") as file:
        try:
            while not isinstance(frame := _read_frame(file, path)[0], _End):
                pass
        except IntegrityFailure:
            return None
    return frame.after


def replay(folder: Path, store: "Store", engine: Engine) -> int:
    """Do again, in the caller's transaction, every act since the store's last entry; gives how many there were."""
    if not folder.is_dir():
        raise InvalidInput("journal.missing", f"there is no journal {folder}", "name the folder it was kept in")
    refuse_loose(folder)
    count, size = 0, store.audit_size()
    while (path := folder / f"{size:0{_DIGITS}}").exists():
        with path.open("rb") as file:
            size = _Replay(path, file, store, engine).run(size)
        count += 1
    later = sorted(path.name for path in folder.glob("[0-9]" * _DIGITS) if int(path.name) > size)
    if later:
        raise IntegrityFailure(
            "journal.gap",
            f"the journal goes on at entry {int(later[0])}, and those from {size} are not in it",
            "restore a newer backup: what lies between was not written down",
        )
    return count


class _Replay:
    """One act from the journal."""

    def __init__(self, path: Path, file: BinaryIO, store: "Store", engine: Engine) -> None:
        self._path = path
        self._file = file
        self._store = store
        self._engine = engine

    def run(self, size: int) -> int:
        """Do it again, and give the log's size after it."""
        self._check_whole()
        head = self._next()
        if not isinstance(head, _Head) or head.before != size:
            raise self._fault("it does not begin as it should")
        if head.workspace != self._store.workspace_id:
            raise Refused("journal.other", f"{self._path} is of another workspace", "name the journal of this one")
        if head.schema > self._store.schema_version():
            raise Refused(
                "store.newer-schema", f"{self._path} has schema {head.schema}", "use the newer smki that wrote it"
            )
        while not isinstance(frame := self._next(), _End):
            self._do(frame)
        if (frame.after, frame.root) != (after := self._store.audit_size(), self._store.audit_root(after)):
            raise self._fault("its entries are not those that were logged")
        return after

    def _check_whole(self) -> None:
        """Nothing is done of what is not as it was written."""
        digest = hashlib.sha256()
        frame, octets = self._read()
        while not isinstance(frame, _End):
            digest.update(octets)
            frame, octets = self._read()
        if frame.sha256 != digest.digest() or self._file.read(1):
            raise self._fault("it is not what was written")
        self._file.seek(0)

    def _do(self, frame: _Frame) -> None:
        match frame:
            case _Insert(rows=rows) if not all(isinstance(value, _VALUES) for row in rows for value in row):
                raise self._fault("it holds what is no value")
            case _Insert(table="audit_entry", rows=rows):
                if any(tuple(map(type, row)) != (int, bytes) for row in rows):
                    raise self._fault("it holds what is no entry")
                self._store.append_bodies([(seq, body) for seq, body in rows])
            case _Insert(table=table, columns=columns, rows=rows):
                known = kept_tables(self._store.schema_version()).get(table)
                if known is None or not columns or not set(columns) <= set(known.columns):
                    raise self._fault(f"rows of {table}")
                self._engine.insert(table, columns, rows)
            # The log itself is only ever added to: nothing changes an entry under the hashes above it.
            case _Statement(sql=sql, values=values) if sql.startswith(_STATEMENTS) and "audit_" not in sql:
                self._engine.execute(sql, values)
            case _:
                raise self._fault("it holds what is no change")

    def _next(self) -> _Frame:
        return self._read()[0]

    def _read(self) -> tuple[_Frame, bytes]:
        return _read_frame(self._file, self._path)

    def _fault(self, reason: str) -> IntegrityFailure:
        return _damaged(self._path, reason)


def _read_frame(file: BinaryIO, path: Path) -> tuple[_Frame, bytes]:
    """The next, and its octets with their length."""
    length = file.read(_LENGTH_OCTETS)
    count = int.from_bytes(length)
    if len(length) != _LENGTH_OCTETS or not 0 < count <= MAX_FRAME_OCTETS:
        raise _damaged(path, "a part of it is missing")
    octets = file.read(count)
    try:
        frame: _Frame = _decode(octets)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise _damaged(path, "it cannot be read") from None
    return frame, length + octets


def _damaged(path: Path, reason: str) -> IntegrityFailure:
    return IntegrityFailure(
        "journal.damaged",
        f"{path}: {reason}",
        "restore without what comes after it, if nothing else is left",
    )
