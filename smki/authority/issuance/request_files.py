"""The forms that requests are handed in: DER, PEM, lines of JSON, a zip or a tar; each known by how it begins.

Every size and count is bounded before it is believed. What cannot be read stands as a request without octets, so that
it is refused by its number like any other.
"""

import binascii
import hashlib
import lzma
import os
import re
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

import msgspec

from smki.errors import InvalidInput, Refused
from smki.pki.der import SEQUENCE
from smki.pki.request import MAX_REQUEST_OCTETS

MAX_TEXT_OCTETS = 4 * MAX_REQUEST_OCTETS  # of a request as PEM or in a line of JSON
MAX_REFERENCE = 200
MAX_ZIP_LIST_OCTETS = 1 << 24  # a list of some 200,000 names
MAX_FOLDERS = 10_000  # in a tar
MAX_ZIP_OCTETS = 1 << 28  # a zip's list of contents is read whole; larger batches come as tar, PEM or JSON lines
_UNREADABLE = b""  # stands for what could not be read as a request at all: no request is empty
_PEM_BEGIN = re.compile(rb"-----BEGIN (NEW )?CERTIFICATE REQUEST-----\s*\Z")
_PEM_END = re.compile(rb"-----END (NEW )?CERTIFICATE REQUEST-----\s*\Z")
_ZIP_TAIL = (1 << 16) + 256  # where a zip's end record is, whatever comment follows it
_TAR_MAGIC = slice(257, 262)


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as handed in: under which reference, which octets."""

    reference: str
    der: bytes


class _Line(msgspec.Struct, frozen=True):
    """One certificate request: a line of JSON."""

    request: bytes
    """Base64 of the DER."""
    reference: str = ""
    """What you call it."""


_decode_line = msgspec.json.Decoder(_Line).decode


def read_requests(path: Path | None, pipe: BinaryIO, files: list[bytes]) -> Iterator[Asked]:
    """Every request in a file, in the files of a folder, or in the pipe; `files` gets the SHA-256 of each read."""
    if path is None:
        yield from _read_file(pipe, "", files)
    elif path.is_dir():
        for name in sorted(entry.name for entry in os.scandir(path) if not entry.name.startswith(".")):
            with _open(path / name) as file:
                yield from _read_file(file, name, files)
    else:
        with _open(path) as file:
            yield from _read_file(file, path.name, files)


def _open(path: Path) -> BinaryIO:
    try:
        # Without waiting: a pipe without a writer must not hang.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise InvalidInput("intake.unreadable", f"{path}: {error.strerror}", "name what can be read") from None
    file = os.fdopen(descriptor, "rb")
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISFIFO(mode):
        file.close()
        raise InvalidInput("intake.unreadable", f"{path} is no file", "a folder of requests holds files only")
    os.set_blocking(descriptor, True)
    return file


def _read_file(file: BinaryIO, name: str, files: list[bytes]) -> Iterator[Asked]:
    hashed = _Hashed(file)
    yield from _form_of(hashed)(hashed, name)
    files.append(hashed.digest())


class _Hashed:
    """A file that is hashed while it is read, front to back."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self._ahead = b""

    def peek(self, octets: int) -> bytes:
        """What comes next, without taking it."""
        while len(self._ahead) < octets and (more := self._take(octets - len(self._ahead))):
            self._ahead += more
        return self._ahead[:octets]

    def _take(self, octets: int) -> bytes:
        data = self._file.read(octets)
        self._hash.update(data)
        return data

    def read(self, octets: int) -> bytes:
        data, self._ahead = self._ahead[:octets], self._ahead[octets:]
        return data if len(data) == octets else data + self._take(octets - len(data))

    def digest(self) -> bytes:
        """Of the whole file, whatever of it was wanted."""
        while self._take(1 << 16):
            pass
        return self._hash.digest()


def _form_of(file: _Hashed) -> "Callable[[_Hashed, str], Iterator[Asked]]":
    start = file.peek(MAX_TEXT_OCTETS)
    if start.startswith(b"PK\x03\x04"):
        return _from_zip
    if start[_TAR_MAGIC] == b"ustar":
        return _from_tar
    if start.lstrip()[:1] == b"{":
        return _from_json
    if b"-----BEGIN" in start and start[0] != SEQUENCE:  # tools write the request in words before it
        return _from_pem
    return _from_der


def _from_der(file: _Hashed, name: str) -> Iterator[Asked]:
    yield Asked(_reference(name), file.read(MAX_REQUEST_OCTETS + 1))


def _from_pem(file: _Hashed, name: str) -> Iterator[Asked]:
    body: list[bytes] | None = None
    number = size = 0
    for line in _lines(file):
        if _PEM_BEGIN.match(line):
            if body is not None:
                yield Asked(_place(name, number), _UNREADABLE)  # the one before never ended
            body, size, number = [], 0, number + 1
        elif body is not None and _PEM_END.match(line):
            yield Asked(_place(name, number), _base64(b"".join(body)) if size <= MAX_TEXT_OCTETS else _UNREADABLE)
            body = None
        elif body is not None:
            size += len(line) + 1
            if size <= MAX_TEXT_OCTETS:
                body.append(line.strip())
    if body is not None or number == 0:
        yield Asked(_place(name, max(number, 1)), _UNREADABLE)


def _place(name: str, number: int) -> str:
    return _reference(f"{name}#{number}" if name else str(number))


def _from_json(file: _Hashed, name: str) -> Iterator[Asked]:
    for number, line in enumerate(_lines(file), 1):
        if not line.strip():
            continue
        try:
            item = _decode_line(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            item = _Line(_UNREADABLE)
        yield Asked(_reference(item.reference or (f"{name}:{number}" if name else str(number))), item.request)


def _lines(file: _Hashed) -> Iterator[bytes]:
    """Lines of bounded length; in place of a longer one comes a brace, which is no request in any form."""
    rest = b""
    too_long = False
    while data := file.read(1 << 16):
        *whole, rest = (rest + data).split(b"\n")
        for line in whole:
            yield b"{" if too_long or len(line) > MAX_TEXT_OCTETS else line
            too_long = False
        if len(rest) > MAX_TEXT_OCTETS:
            too_long, rest = True, b""
    if rest or too_long:
        yield b"{" if too_long or len(rest) > MAX_TEXT_OCTETS else rest


def _base64(text: bytes) -> bytes:
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except binascii.Error:
        return _UNREADABLE


def _from_zip(file: _Hashed, name: str) -> Iterator[Asked]:
    """A zip's list of contents is at its end: it is copied where it can be read from there."""
    with tempfile.TemporaryFile() as copy:
        while data := file.read(1 << 20):
            copy.write(data)
            if copy.tell() > MAX_ZIP_OCTETS:
                raise _too_large(name)
        if _zip_list_octets(copy) > MAX_ZIP_LIST_OCTETS:
            raise _too_large(name)
        try:
            with zipfile.ZipFile(copy) as archive:
                for member in archive.infolist():
                    if not member.is_dir():
                        yield from _member(archive.open(member), member.filename)
        except (*_BROKEN, zipfile.BadZipFile, zlib.error, lzma.LZMAError) as error:
            raise _broken(name, "zip", error) from None


_BROKEN = (NotImplementedError, RuntimeError, EOFError, ValueError, OverflowError, OSError)  # RecursionError is one


def _zip_list_octets(file: IO[bytes]) -> int:
    """How long its list of contents is said to be (APPNOTE 4.3.14, 4.3.16): the reader would read all that."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _ZIP_TAIL))
    tail = file.read(_ZIP_TAIL)
    end = tail.rfind(b"PK\x05\x06")
    wide = tail.rfind(b"PK\x06\x06")
    found = int.from_bytes(tail[end + 12 : end + 16], "little") if end >= 0 else 0
    if wide >= 0:
        found = max(found & 0xFFFF_FFFE, int.from_bytes(tail[wide + 40 : wide + 48], "little"))
    return found


def _too_large(name: str) -> Refused:
    return Refused("intake.zip-size", f"{name or 'the pipe'} is too large for a zip", "send it as a tar")


class _TarInfo(tarfile.TarInfo):
    """A member whose extended headers are bounded before they are read."""

    def _proc_member(self, archive: tarfile.TarFile) -> Any:
        extended = (
            tarfile.GNUTYPE_LONGNAME,
            tarfile.GNUTYPE_LONGLINK,
            tarfile.XHDTYPE,
            tarfile.XGLTYPE,
            tarfile.SOLARIS_XHDTYPE,
            tarfile.GNUTYPE_SPARSE,
        )
        if self.type in extended and self.size > MAX_TEXT_OCTETS:
            raise tarfile.ReadError("an extended header that is too long")
        return super()._proc_member(archive)  # type: ignore[misc]


def _from_tar(file: _Hashed, name: str) -> Iterator[Asked]:
    folders = 0
    try:
        # It only reads.
        with tarfile.open(fileobj=cast("IO[bytes]", file), mode="r|", tarinfo=_TarInfo) as archive:
            while (member := archive.next()) is not None:
                archive.members = []  # type: ignore[attr-defined]  # it would keep them all
                folders += member.isdir()
                if folders > MAX_FOLDERS:
                    raise tarfile.ReadError("more folders than anyone needs")
                if not member.isdir():
                    data = archive.extractfile(member) if member.isreg() else None
                    reference = _reference(member.name)
                    yield from [Asked(reference, _UNREADABLE)] if data is None else _member(data, member.name)
    except (*_BROKEN, tarfile.TarError) as error:
        raise _broken(name, "tar", error) from None


def _broken(name: str, kind: str, error: Exception) -> InvalidInput:
    return InvalidInput(
        "intake.archive", f"{name or 'the pipe'} is a broken {kind} archive ({type(error).__name__})", "make it again"
    )


def _member(file: IO[bytes], name: str) -> Iterable[Asked]:
    """One file in an archive: one request, as DER or PEM, whatever size the archive says it has."""
    with file:
        data = file.read(MAX_TEXT_OCTETS + 1)
    if not data.lstrip().startswith(b"-----BEGIN"):
        return [Asked(_reference(name), data[: MAX_REQUEST_OCTETS + 1])]
    lines = data.strip().split(b"\n")
    whole = len(data) <= MAX_TEXT_OCTETS and _PEM_BEGIN.match(lines[0]) and _PEM_END.match(lines[-1])
    body = b"".join(line.strip() for line in lines[1:-1])
    return [Asked(_reference(name), _base64(body) if whole else _UNREADABLE)]


def _reference(text: str) -> str:
    """What a person calls the request: shown and stored, so bounded, and free of what moves a terminal's cursor."""
    if len(text) <= MAX_REFERENCE and text.isprintable():
        return text
    return "".join(char if char.isprintable() else "?" for char in text[:MAX_REFERENCE])
