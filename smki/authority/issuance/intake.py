"""Taking requests in: counted, hashed, and read from outside exactly once.

What was read is kept in a file without a name until the run ends. So a pipe can be looked at before anything is
signed, nobody can change a request between being counted and being issued, and a million need no memory.
"""

import hashlib
import io
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, BinaryIO, Self

import msgspec

from smki.authority.issuance.request_files import Asked, read_requests
from smki.errors import InvalidInput, Refused, Unavailable

MANY = 1000  # from here on it pays to start worker processes
_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(tuple[str, bytes]).decode


@dataclass(slots=True)
class Intake:
    """Requests taken in: how many, which, and all of them again as often as wanted."""

    count: int
    digest: bytes
    """SHA-256 over the SHA-256 of each, in their order."""
    files: tuple[bytes, ...]
    """SHA-256 of each file they came in."""
    _spool: IO[bytes] = field(repr=False)

    def __iter__(self) -> Iterator[Asked]:
        spool = self._spool
        spool.seek(0)
        while head := spool.read(4):
            yield Asked(*_unpack(spool.read(int.from_bytes(head))))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._spool.close()


def take_in(
    path: Path | None, pipe: BinaryIO, spool_folder: Path, largest: int, many: Callable[[], None] = lambda: None
) -> Intake:
    """Read every request in `path`, or in the pipe where there is no path; say when there turn out to be many."""
    requests, count = hashlib.sha256(), 0
    files: list[bytes] = []
    try:
        spool = tempfile.TemporaryFile(dir=spool_folder)  # noqa: SIM115 - it lives as long as the intake
    except OSError as error:
        raise Unavailable("intake.spool", f"{spool_folder}: {error.strerror}", "make room there") from None
    try:
        for asked in read_requests(path, pipe, files):
            count += 1
            if count > largest:
                raise Refused(
                    "intake.count", f"more than {largest} requests", "split the batch; the limit is in issuance.toml"
                )
            if count == MANY:
                many()
            requests.update(hashlib.sha256(asked.der).digest())
            record = _pack((asked.reference, asked.der))
            spool.write(len(record).to_bytes(4) + record)
        spool.flush()
    except OSError as error:
        spool.close()
        raise Unavailable("intake.read", f"{path or 'the pipe'}: {error.strerror}", "mend it, run it again") from None
    except BaseException:
        spool.close()
        raise
    return Intake(count, requests.digest(), tuple(files), spool)


def one_request(path: Path, spool_folder: Path) -> Intake:
    """A file that holds exactly one request."""
    intake = take_in(path, io.BytesIO(), spool_folder, 2)
    if intake.count != 1:
        intake.close()
        raise InvalidInput(
            "intake.one", f"{path} holds {intake.count} requests", "name a file with one, or use --from"
        )
    return intake
