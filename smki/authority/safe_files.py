"""Files written whole or not at all, never over another, and read only when nobody else could have touched them."""

import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from smki.errors import InvalidInput, Refused, Unavailable

MAX_PRIVATE_OCTETS = 1 << 16
_PIECE_OCTETS = 1 << 20
_FILES = Path("/proc/self/fd")
_TAKEN = {errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR}  # how a folder fails to get a name that another has


def write_new(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Write a file that must not exist yet; after a power failure it is there whole or not at all."""
    _write(path, (data,), mode, replace=False)


def write_pieces_new(path: Path, pieces: Iterable[bytes], mode: int = 0o644) -> None:
    """The same for what is too large to be held at once. Nothing is written if the pieces end in an error."""
    _write(path, pieces, mode, replace=False)


def write_over(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Write a file, replacing what stood there in one step: a reader sees the old or the new, never a part."""
    _write(path, (data,), mode, replace=True)


def write_pieces_over(path: Path, pieces: Iterable[bytes], mode: int = 0o644) -> None:
    """The same for what is too large to be held at once. Nothing is replaced if the pieces end in an error."""
    _write(path, pieces, mode, replace=True)


@contextmanager
def new_file(path: Path, mode: int = 0o644) -> Iterator[BinaryIO]:
    """A file that must not exist yet, to be written at length: it appears whole when the block ends well."""
    with _whole(path, mode, replace=False) as file:
        yield file


def _write(path: Path, pieces: Iterable[bytes], mode: int, *, replace: bool) -> None:
    with _whole(path, mode, replace=replace) as file:
        file.writelines(pieces)


@contextmanager
def new_folder(path: Path, mode: int = 0o755) -> Iterator[Path]:
    """A folder that must not exist yet: it has its name once all that the block puts into it is there.

    Whoever is killed leaves a hidden folder beside it, never a part under its name.
    """
    if os.path.lexists(path):  # also a link that leads nowhere
        raise _folder_exists(path)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    try:
        temporary.mkdir(mode)
        try:
            yield temporary
            temporary.rename(path)  # fails where somebody made one with something in it, or a file
        except BaseException:
            shutil.rmtree(temporary)
            raise
        sync_folder(path.parent)
    except OSError as error:
        if error.errno in _TAKEN and os.path.lexists(path):
            raise _folder_exists(path) from None
        raise Unavailable("file.write", f"{path}: {error.strerror}", "name a folder you may make") from None


def _folder_exists(path: Path) -> Refused:
    return Refused("file.exists", f"{path} exists", "name a folder that does not")


@contextmanager
def _whole(path: Path, mode: int, *, replace: bool) -> Iterator[BinaryIO]:
    if not path.name:  # `.` and `/`
        raise _file_exists(path)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    try:
        descriptor, has_name = _begin(temporary, mode)
        try:
            with os.fdopen(descriptor, "wb") as file:
                yield file
                file.flush()
                os.fchmod(file.fileno(), mode)
                os.fsync(file.fileno())
                if not has_name:
                    _give_name(file.fileno(), temporary if replace else path)
            if replace:
                temporary.replace(path)
            elif has_name:
                path.hardlink_to(temporary)  # unlike rename, fails when the name is taken
        finally:
            temporary.unlink(missing_ok=True)
        sync_folder(path.parent)
    except FileExistsError:
        raise _file_exists(path) from None
    except OSError as error:
        raise Unavailable(
            "file.write", f"{path}: {error.strerror}", "make room, or mend the folder's permissions"
        ) from None


def _file_exists(path: Path) -> Refused:
    return Refused("file.exists", f"{path} exists", "choose another name, or move that file away")


def _begin(path: Path, mode: int) -> tuple[int, bool]:
    """A file to write to. Where the file system has such, one without a name: whoever is killed leaves nothing."""
    if _FILES.is_dir():
        with suppress(OSError):
            return os.open(path.parent, os.O_WRONLY | os.O_TMPFILE | os.O_CLOEXEC, mode), False
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode), True


def _give_name(descriptor: int, path: Path) -> None:
    """Fails when the name is taken."""
    folder = os.open(_FILES, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.link(str(descriptor), path, src_dir_fd=folder, follow_symlinks=True)
    finally:
        os.close(folder)


def sync_folder(folder: Path) -> None:
    """What was named, renamed or removed in a folder is so after a power failure too."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_bounded(path: Path, most: int, what: str, remedy: str = "name a smaller one") -> bytes:
    """Read a file from outside, never more of it than there may be. `what` is what its errors are called after."""
    try:
        with path.open("rb") as file:
            data = _at_most(file, most + 1)
    except OSError as error:
        raise InvalidInput(f"{what}.unreadable", f"{path}: {error.strerror}", "name a file you can read") from None
    except ValueError:  # a NUL in it
        raise InvalidInput(f"{what}.unreadable", f"{str(path)!r} is no name", "name a file you can read") from None
    if len(data) > most:
        raise InvalidInput(f"{what}.size", f"{path} is larger than {most} octets", remedy)
    return data


def _at_most(file: BinaryIO, most: int) -> bytes:
    """So many octets, or all there are; what is asked of Python at once, it sets aside at once."""
    pieces = [file.read(min(os.fstat(file.fileno()).st_size + 1, most))]
    left = most - len(pieces[0])
    while left and (piece := file.read(min(left, _PIECE_OCTETS))):  # a pipe, or a file that grows
        pieces.append(piece)
        left -= len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def read_plain(path: Path, most: int, what: str) -> bytes:
    """The same of a folder that anybody made: a link or a device there is no file, and a pipe is not waited for."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise InvalidInput(f"{what}.unreadable", f"{path}: {error.strerror}", "fetch the folder again") from None
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise InvalidInput(f"{what}.unreadable", f"{path} is no plain file", "fetch the folder again")
        data = _at_most(file, most + 1)
    if len(data) > most:
        raise InvalidInput(f"{what}.size", f"{path} is larger than {most} octets", "fetch the folder again")
    return data


def read_private(path: Path, most: int = MAX_PRIVATE_OCTETS) -> bytes:
    """Read a file that holds a secret; refuse it when others could have read or changed it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise InvalidInput("file.unreadable", f"{path}: {error.strerror}", "name a file you can read") from None
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise Refused("file.kind", f"{path} is not a regular file", "name the file itself")
        if stat.S_IMODE(status.st_mode) & 0o077 or status.st_uid != os.geteuid():
            raise Refused("file.loose-mode", f"{path} can be read by others", f"chmod 600 {path}, as its owner")
        data = file.read(most + 1)
    if len(data) > most:
        raise InvalidInput("file.size", f"{path} is larger than {most} octets", "name the right file")
    return data
