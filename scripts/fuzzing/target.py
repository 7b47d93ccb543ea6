"""What a target is: a parser under attack, examples of what it reads, and what it may raise."""

import os
import resource
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from smki.errors import SmkiError
from tests.once import place

VECTORS = Path(os.environ.get("SMKI_VECTORS", Path(__file__).parent.parent.parent.parent / "shared" / "vectors"))
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
MOST_SECONDS = 1.0
"""Of the processor, for one input."""
MOST_OCTETS = 256 << 20
"""Of memory for one input, above what the process had before."""
_PAGE = os.sysconf("SC_PAGE_SIZE")
_STATM = Path("/proc/self/statm")

Run = Callable[[bytes], object]


@dataclass(frozen=True)
class Target:
    """One parser, or several that read the same."""

    make: Callable[[], Run]
    """Gives what is called with each input: it returns, or raises what is documented."""
    seeds: Callable[[], Iterable[bytes]]
    documented: tuple[type[Exception], ...] = (SmkiError,)

    def runner(self) -> Run:
        """The documented errors are no finds; nor is anything else lost: memory that runs out is a find."""
        run, documented = self.make(), self.documented

        def bounded(octets: bytes) -> None:
            with _memory(), warnings.catch_warnings(), suppress(*documented):
                warnings.simplefilter("ignore")  # pyca's opinions on certificates
                run(octets)

        return bounded


@contextmanager
def _memory() -> Iterator[None]:
    """No more address space than there is and MOST_OCTETS: what asks for more gets a MemoryError."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    now = int(_STATM.read_text().split()[0]) * _PAGE
    resource.setrlimit(resource.RLIMIT_AS, (now + MOST_OCTETS, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


@cache
def folder() -> Path:
    """Where what is read from a file lies: with all that a run of the tests makes, and gone with it."""
    made = Path(mkdtemp(prefix="fuzz-", dir=place()))
    made.chmod(0o700)
    return made


def in_file(read: Callable[[Path], object], name: str = "input") -> Callable[[], Run]:
    """A parser that wants a path: it is given a file of ours with the octets in it."""

    def make() -> Run:
        place = folder() / f"{os.getpid()}-{abs(hash((read, name)))}"
        place.mkdir(mode=0o700, exist_ok=True)
        path = place / name

        def run(octets: bytes) -> object:
            path.write_bytes(octets)
            path.chmod(0o600)
            return read(path)

        return run

    return make


def texts(*written: str) -> Callable[[], Iterator[bytes]]:
    """Seeds that are a few lines."""
    return lambda: (text.encode() for text in written)
