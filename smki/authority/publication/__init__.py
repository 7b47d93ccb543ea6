"""What the world may read: files under `published/`, each replaced in one step."""

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from smki.authority.safe_files import write_over
from smki.authority.workspace import Workspace
from smki.errors import Unavailable

_FOLDER_MODE, _FILE_MODE = 0o755, 0o644


def publish(workspace: Workspace, name: str, data: bytes) -> None:
    """Put a file where a static web server finds it."""
    path = workspace.home / "published" / name
    _make_folder(path.parent)
    write_over(path, data)


def published(workspace: Workspace, name: str) -> str | None:
    """What was last published under a name."""
    try:
        return (workspace.home / "published" / name).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None


def is_plain(path: Path) -> bool:
    """A file of its own that everybody may read: no link, no other mode."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISREG(status.st_mode) and stat.S_IMODE(status.st_mode) == _FILE_MODE


@contextmanager
def alone_in(workspace: Workspace, name: str) -> Iterator[None]:
    """Nobody else who asks for it compares and replaces files in this one's folder meanwhile."""
    folder = (workspace.home / "published" / name).parent
    _make_folder(folder)
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise _closed(folder, error) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _make_folder(folder: Path) -> None:
    if folder.is_dir():
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)  # another may be first
        folder.chmod(_FOLDER_MODE)
    except OSError as error:
        raise _closed(folder, error) from None


def _closed(folder: Path, error: OSError) -> Unavailable:
    return Unavailable("file.write", f"{folder}: {error.strerror}", "mend the folder's permissions")
