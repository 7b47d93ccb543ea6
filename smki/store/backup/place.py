"""Where a restored store is made: a database that stays out of sight until it is whole.

SQLite: a file under another name, which takes its own in one step. PostgreSQL: one transaction.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from smki.errors import Refused, Unavailable
from smki.store.address import open_engine
from smki.store.engine import Engine

_UNSAFE = ("journal_mode = OFF", "synchronous = OFF", "locking_mode = EXCLUSIVE")  # nobody sees it before it is whole


@contextmanager
def empty_place(url: str) -> Iterator[Engine]:
    """An empty database inside a transaction; it becomes the store at `url` when the block ends well."""
    scheme, _, rest = url.partition(":")
    if scheme == "sqlite" and rest:
        path = Path(rest).absolute()
        with _alone(path), _hidden(path) as hidden:
            with scratch(hidden) as engine:
                yield engine
            _appear(hidden, path)
        return
    engine = open_engine(url, create=True)
    try:
        with engine.transaction():
            engine.lock_schema()
            if engine.has_schema():
                raise _exists(url)
            yield engine
    finally:
        engine.close()


@contextmanager
def scratch(path: Path) -> Iterator[Engine]:
    """A new SQLite file, filled at once without a thought for power failures, and whole on the disk afterwards."""
    engine = open_engine(f"sqlite:{path}", create=True)
    try:
        for setting in _UNSAFE:
            engine.execute(f"PRAGMA {setting}")
        with engine.transaction():
            yield engine
        engine.execute("PRAGMA locking_mode = NORMAL")
        engine.execute("PRAGMA journal_mode = WAL")
    finally:
        engine.close()


def discard(path: Path) -> None:
    """Remove a database file and its companions."""
    for suffix in ("", "-wal", "-shm", "-journal"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Nobody else restores into this folder meanwhile, and nothing stands there yet."""
    try:
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise Unavailable("store.closed", f"{path.parent}: {error.strerror}", "name a folder that exists") from None
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for suffix in ("", "-wal", "-journal"):  # a log without its database may hold acts that are nowhere else
            if os.path.lexists(path.with_name(path.name + suffix)):
                raise _exists(str(path.with_name(path.name + suffix)))
        yield
        os.fsync(folder)
    except BlockingIOError:
        raise Unavailable("store.busy", f"another restore works in {path.parent}", "wait for it to end") from None
    finally:
        os.close(folder)


@contextmanager
def _hidden(path: Path) -> Iterator[Path]:
    hidden = path.with_name(f".{path.name}.restoring")
    discard(hidden)  # of a restore that was killed
    try:
        yield hidden
    finally:
        discard(hidden)


def _appear(hidden: Path, path: Path) -> None:
    with hidden.open("rb") as file:
        os.fsync(file.fileno())
    try:
        path.hardlink_to(hidden)  # unlike rename, fails when the name was taken meanwhile
    except FileExistsError:
        raise _exists(str(path)) from None


def _exists(where: str) -> Refused:
    return Refused(
        "store.exists",
        f"there is a database already: {where}",
        "a backup replaces nothing: move it away, and keep it",
    )
