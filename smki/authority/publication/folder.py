"""The lists in `published/crl`: brought up to what the store has, and never back.

A file there is believed if the authority signed it. Whoever writes holds a lock on the folder, compares numbers, and
replaces a file in one step; on nodes that share a store each brings up its own folder.
"""

import base64
import binascii
import fcntl
import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from smki.authority.officers import read_public_key
from smki.authority.publication.lists import current, file_name, folder_of
from smki.authority.safe_files import write_pieces_over
from smki.authority.workspace import Workspace
from smki.errors import IntegrityFailure, InvalidInput, Unavailable
from smki.pki.crl_reading import read_list
from smki.store.records import AuthorityRecord, CrlRecord

_FOLDER_MODE = 0o755
_UNFINISHED = re.compile(r"\..+\.[0-9a-f]{12}")  # what `safe_files` leaves when it is killed
_BEGIN, _END = b"-----BEGIN X509 CRL-----\n", b"-----END X509 CRL-----\n"
_LINE_OCTETS = 48
_TRIES = 3


@dataclass(frozen=True, slots=True)
class Held:
    """A list in the folder, signed by its authority."""

    number: int
    this_update: datetime
    next_update: datetime
    sha256: bytes


class _Overtaken(Exception):
    """A newer list took the place of the one that was being written."""


def held(workspace: Workspace, authority: AuthorityRecord) -> tuple[Held, ...]:
    """The lists of an authority that the folder has."""
    paths = (workspace.home / "published" / file_name(authority.name, delta=delta) for delta in (False, True))
    found = (_held(path, authority) for path in (*paths, _pem_path(workspace, authority)))
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
        if _is_newer(record, _held(path, authority)):
            write_pieces_over(path, _checked(workspace, record))
            yield path.name
        armoured = _pem_path(workspace, authority)
        if not record.is_delta and _is_newer(record, _held(armoured, authority)):
            write_pieces_over(armoured, _armour(_checked(workspace, record)))
            yield armoured.name
    path = workspace.home / "published" / file_name(authority.name, delta=True)
    stale = None if any(record.is_delta for record in records) or not records else _held(path, authority)
    if stale is not None and stale.number < records[0].number and stale.next_update < workspace.clock():
        path.unlink(missing_ok=True)  # ended, and the complete list says all it said


def _is_newer(record: CrlRecord, there: Held | None) -> bool:
    """Two lists of one number are no reason to write: the next has a higher one than both."""
    return there is None or there.number < record.number


def _pem_path(workspace: Workspace, authority: AuthorityRecord) -> Path:
    return folder_of(workspace) / f"{authority.name}.pem"


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


def _armour(pieces: Iterator[bytes]) -> Iterator[bytes]:
    yield _BEGIN
    rest = b""
    for piece in pieces:
        rest += piece
        lines = len(rest) // _LINE_OCTETS
        yield b"".join(_line(rest[n * _LINE_OCTETS : (n + 1) * _LINE_OCTETS]) for n in range(lines))
        rest = rest[lines * _LINE_OCTETS :]
    yield (_line(rest) if rest else b"") + _END


def _line(octets: bytes) -> bytes:
    return binascii.b2a_base64(octets)


def _held(path: Path, authority: AuthorityRecord) -> Held | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    assert authority.public_key is not None, "an active authority has its key"
    return _read(path, status.st_ino, status.st_mtime_ns, status.st_size, authority.public_key)


@lru_cache(maxsize=64)  # a watch looks every few seconds, and a list may have a million entries
def _read(path: Path, inode: int, changed: int, size: int, spki: bytes) -> Held | None:
    """What is no list of this authority counts as nothing, and is written over."""
    del inode, changed, size
    key: ec.EllipticCurvePublicKey = read_public_key(spki, path.name)
    try:
        octets = path.read_bytes()
        if octets.startswith(_BEGIN):
            octets = base64.b64decode(octets.removeprefix(_BEGIN).removesuffix(_END))
        found = read_list(octets, key)
    except (OSError, InvalidInput, ValueError):
        return None
    return Held(found.number, found.this_update, found.next_update, hashlib.sha256(octets).digest())


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
