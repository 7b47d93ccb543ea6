"""The lists in `published/crl`: brought up to what the store has, and never back.

A file there is believed if the authority signed it. Whoever writes holds a lock on the folder, compares numbers, and
replaces a file in one step; on nodes that share a store each brings up its own folder.
"""

import fcntl
import hashlib
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path

from smki.authority.officers import read_public_key
from smki.authority.publication import is_plain
from smki.authority.publication.armour import PIECE_OCTETS, armoured
from smki.authority.publication.lists import current, file_name, folder_of
from smki.authority.safe_files import write_pieces_over
from smki.authority.workspace import Workspace
from smki.errors import IntegrityFailure, InvalidInput, Unavailable
from smki.pki.crl_reading import read_list
from smki.store.records import AuthorityRecord, CrlRecord

_FOLDER_MODE = 0o755
_UNFINISHED = re.compile(r"\..+\.[0-9a-f]{12}")  # what `safe_files` leaves when it is killed
_MOST_OCTETS = 1 << 29  # some ten million entries: what is larger is no list
_TRIES = 3


@dataclass(frozen=True, slots=True)
class Held:
    """A list in the folder, signed by its authority."""

    number: int
    this_update: datetime
    next_update: datetime


class _Overtaken(Exception):
    """A newer list took the place of the one that was being written."""


def held(workspace: Workspace, authority: AuthorityRecord) -> tuple[Held, ...]:
    """The lists of an authority that the folder has."""
    paths = (workspace.home / "published" / file_name(authority.name, delta=delta) for delta in (False, True))
    found = (_held(path, authority) for path in paths)
    return tuple(one for one in found if one is not None)


def bring_up(workspace: Workspace, authority: AuthorityRecord) -> tuple[str, ...]:
    """Write what the store has and the folder has not; say which files were written."""
    for _ in range(_TRIES):
        try:
            with _locked(folder_of(workspace)):
                return tuple(_bring_up(workspace, authority))
        except _Overtaken:
            continue
    raise Unavailable("crl.busy", f"lists of {authority.name} are made faster than written", "run it again")


def _bring_up(workspace: Workspace, authority: AuthorityRecord) -> Iterator[str]:
    records = current(workspace, authority)
    for record in records:
        path = workspace.home / "published" / file_name(authority.name, delta=record.is_delta)
        if _is_to_write(record, path, _held(path, authority)):
            write_pieces_over(path, _checked(workspace, record))
            yield path.name
        armoured = path.with_suffix(".pem")
        if not record.is_delta and not (is_plain(armoured) and _is_armoured(armoured, path)):
            write_pieces_over(armoured, _armour(path))
            yield armoured.name
    path = workspace.home / "published" / file_name(authority.name, delta=True)
    stale = None if any(record.is_delta for record in records) or not records else _held(path, authority)
    if stale is not None and stale.number < records[0].number and stale.next_update < workspace.clock():
        path.unlink(missing_ok=True)  # ended, and the complete list says all it said


def _is_to_write(record: CrlRecord, path: Path, there: Held | None) -> bool:
    """Two lists of one number are no reason to write: the next has a higher one than both.

    A link, or a file that a web server may not read, is no list that the world has; what it says counts all the same.
    """
    return there is None or there.number < record.number or (there.number == record.number and not is_plain(path))


def _checked(workspace: Workspace, record: CrlRecord) -> Iterator[bytes]:
    """The octets on record, with an error at the end if they are not."""
    digest = hashlib.sha256()
    for piece in workspace.store.crls.pieces(record.issuer, record.number):
        digest.update(piece)
        yield piece
    if digest.digest() != record.sha256:
        newest = workspace.store.crls.latest(record.issuer, delta=record.is_delta)
        if newest is not None and newest.number > record.number:
            raise _Overtaken
        raise IntegrityFailure(
            "crl.damaged", f"the octets of list {record.number} on record are not those that were signed",
            "publish a new list with `smki crl publish --all`, and find out who changed the database",
        )  # fmt: skip


def _armour(path: Path) -> Iterator[bytes]:
    """The same list as PEM."""
    with path.open("rb") as file:
        yield from armoured(iter(lambda: file.read(PIECE_OCTETS), b""))


def _is_armoured(armoured: Path, path: Path) -> bool:
    try:
        return _same(armoured, _stamp(armoured), path, _stamp(path))
    except FileNotFoundError:
        return False


@lru_cache(maxsize=64)
def _same(armoured: Path, its_stamp: tuple[int, ...], path: Path, stamp: tuple[int, ...]) -> bool:
    del its_stamp, stamp
    with armoured.open("rb") as file:
        return all(file.read(len(piece)) == piece for piece in _armour(path)) and not file.read(1)


def _stamp(path: Path) -> tuple[int, ...]:
    """By which a file that was read is known again."""
    status = path.stat()
    return status.st_ino, status.st_mtime_ns, status.st_size


def _held(path: Path, authority: AuthorityRecord) -> Held | None:
    assert authority.public_key is not None, "an active authority has its key"
    try:
        return _read(path, _stamp(path), authority.public_key)
    except FileNotFoundError:
        return None


@lru_cache(maxsize=64)  # a watch looks every few seconds, and a list may have a million entries
def _read(path: Path, stamp: tuple[int, ...], spki: bytes) -> Held | None:
    """What is no list of this authority counts as nothing, and is written over."""
    del stamp
    octets = _octets(path)
    try:
        found = None if octets is None else read_list(octets, read_public_key(spki, path.name))
    except InvalidInput:
        return None
    return None if found is None else Held(found.number, found.this_update, found.next_update)


def _octets(path: Path) -> bytes | None:
    """Of a file; a pipe that somebody put there is not waited for."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size > _MOST_OCTETS:
            return None
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(_MOST_OCTETS)
    finally:
        os.close(descriptor)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Alone in the folder; what a killed writer left is removed."""
    try:
        if not folder.is_dir():
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(_FOLDER_MODE)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise Unavailable("file.write", f"{folder}: {error.strerror}", "mend the folder's permissions") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        for path in folder.iterdir():
            if _UNFINISHED.fullmatch(path.name):
                path.unlink(missing_ok=True)
        yield
    finally:
        os.close(descriptor)
