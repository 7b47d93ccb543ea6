"""Doing the acts of a journal again, after a backup was restored: each whole, in order, and nothing that is no act.

What stands in the journal's folder is not believed: a statement changes what an act could have changed, the log is
only ever added to, and its hashes after each act are those that were written down.
"""

import hashlib
from pathlib import Path
from typing import BinaryIO

from smki.errors import IntegrityFailure, Refused, Unavailable
from smki.store.backup.form import kept_tables
from smki.store.engine import Engine
from smki.store.journal import DIGITS, Log, refuse_loose
from smki.store.journal_form import End, Frame, Head, Insert, Statement, damaged, read_frame

_STATEMENTS = ("INSERT INTO ", "UPDATE ", "DELETE FROM ")
_VALUES = (int, str, bytes, type(None))  # msgspec takes no union of text and octets


def replay(folder: Path, log: Log, engine: Engine) -> int:
    """Do again, in the caller's transaction, every act since the store's last entry; gives how many there were."""
    if not folder.is_dir():
        raise Unavailable("journal.missing", f"there is no journal {folder}", "name the folder it was kept in")
    refuse_loose(folder)
    count, size = 0, log.audit_size()
    while (path := folder / f"{size:0{DIGITS}}").exists():
        with path.open("rb") as file:
            size = _Replay(path, file, log, engine).run(size)
        count += 1
    later = sorted(path.name for path in folder.glob("[0-9]" * DIGITS) if int(path.name) > size)
    if later:
        raise IntegrityFailure(
            "journal.gap",
            f"the journal goes on at entry {int(later[0])}, and those from {size} are not in it",
            "restore a newer backup: what lies between was not written down",
        )
    return count


class _Replay:
    """One act from the journal."""

    def __init__(self, path: Path, file: BinaryIO, log: Log, engine: Engine) -> None:
        self._path = path
        self._file = file
        self._log = log
        self._engine = engine

    def run(self, size: int) -> int:
        """Do it again, and give the log's size after it."""
        self._check_whole()
        head = self._next()
        if not isinstance(head, Head) or head.before != size:
            raise self._fault("it does not begin as it should")
        if head.workspace != self._log.workspace_id:
            raise Refused("journal.other", f"{self._path} is of another workspace", "name the journal of this one")
        if head.schema > self._log.schema_version():
            raise Refused(
                "store.newer-schema", f"{self._path} has schema {head.schema}", "use the newer smki that wrote it"
            )
        while not isinstance(frame := self._next(), End):
            self._do(frame)
        if (frame.after, frame.root) != (after := self._log.audit_size(), self._log.audit_root(after)):
            raise self._fault("its entries are not those that were logged")
        return after

    def _check_whole(self) -> None:
        """Nothing is done of what is not as it was written."""
        digest = hashlib.sha256()
        frame, octets = self._read()
        while not isinstance(frame, End):
            digest.update(octets)
            frame, octets = self._read()
        if frame.sha256 != digest.digest() or self._file.read(1):
            raise self._fault("it is not what was written")
        self._file.seek(0)

    def _do(self, frame: Frame) -> None:
        match frame:
            case Insert(rows=rows) if not all(isinstance(value, _VALUES) for row in rows for value in row):
                raise self._fault("it holds what is no value")
            case Insert(table="audit_entry", rows=rows):
                if any(tuple(map(type, row)) != (int, bytes) for row in rows):
                    raise self._fault("it holds what is no entry")
                self._log.append_bodies([(seq, body) for seq, body in rows])
            case Insert(table=table, columns=columns, rows=rows):
                known = kept_tables(self._log.schema_version()).get(table)
                if known is None or not columns or not set(columns) <= set(known.columns):
                    raise self._fault(f"rows of {table}")
                self._engine.insert(table, columns, rows)
            # The log itself is only ever added to: nothing changes an entry under the hashes above it.
            case Statement(sql=sql, values=values) if sql.startswith(_STATEMENTS) and "audit_" not in sql:
                self._engine.execute(sql, values)
            case _:
                raise self._fault("it holds what is no change")

    def _next(self) -> Frame:
        return self._read()[0]

    def _read(self) -> tuple[Frame, bytes]:
        return read_frame(self._file, self._path)

    def _fault(self, reason: str) -> IntegrityFailure:
        return damaged(self._path, reason)
