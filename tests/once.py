"""What is made once for a whole run of the tests, whichever of its workers needs it first, and where it lies."""

import atexit
import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

_PLACE = "SMKI_TESTS_PLACE"  # in the environment, so that every worker has it
_PREFIX = "smki-tests-"
_ENOUGH = 4 << 30
_MEMORY = Path("/dev/shm")


def open_place() -> int:
    """Make the run's place, and hold it until what this gives is closed."""
    new = Path(tempfile.mkdtemp(prefix=f"new-{_PREFIX}", dir=root()))
    new.chmod(0o711)  # a server of another user lives here too
    descriptor = _lock(new / "run.lock", fcntl.LOCK_EX)
    assert descriptor is not None
    folder = new.rename(new.with_name(new.name.removeprefix("new-")))  # nobody sees it before it is held
    os.environ[_PLACE] = str(folder)
    return descriptor


def close_place() -> None:
    if _PLACE in os.environ:
        shutil.rmtree(os.environ.pop(_PLACE), ignore_errors=True)


def place() -> Path:
    """Where the run keeps things; whoever is no run of the tests has a place until its process ends."""
    if _PLACE not in os.environ:
        open_place()
        atexit.register(close_place)
    return Path(os.environ[_PLACE])


def deserted() -> Iterator[Path]:
    """The places of runs that were killed: nobody holds them any more."""
    for path in root().glob(f"{_PREFIX}*/run.lock"):
        if (descriptor := _lock(path, fcntl.LOCK_EX | fcntl.LOCK_NB)) is not None:
            yield path.parent
            os.close(descriptor)


def root() -> Path:
    """Memory, if there is room: a test then waits for no disk, and what is killed there is killed no less."""
    if not os.access(_MEMORY, os.W_OK) or shutil.disk_usage(_MEMORY).free < _ENOUGH:
        return Path(tempfile.gettempdir())
    runs_programs = not os.statvfs(_MEMORY).f_flag & os.ST_NOEXEC
    return _MEMORY if runs_programs else Path(tempfile.gettempdir())


def once(name: str, make: Callable[[Path], None]) -> Path:
    """The path of this name, made by the first who asks while all others wait for it."""
    path, done = place() / name, place() / f"{name}.done"
    descriptor = _lock(place() / f"{name}.lock", fcntl.LOCK_EX)
    assert descriptor is not None
    try:
        if not done.exists():
            if path.is_dir():
                shutil.rmtree(path)  # somebody failed to make it
            path.unlink(missing_ok=True)
            make(path)
            done.touch()
    finally:
        os.close(descriptor)
    return path


def _lock(path: Path, how: int) -> int | None:
    """A lock held until this is closed; none, if another has it and we are not to wait."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, how)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor
