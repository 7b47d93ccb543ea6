"""Where the arithmetic is done: one process a core, each logged in to the token by itself.

A worker checks requests and makes certificates, a chunk at a time. It decides nothing: whether a request may be
answered, and under which serial number, is decided where the store is.
"""

import copyreg
import gc
import hashlib
import os
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from smki.errors import SmkiError
from smki.hsm.description import load_descriptions
from smki.hsm.key import HsmPrivateKey
from smki.hsm.pin import Pin
from smki.hsm.token import Hsm, TokenRef
from smki.pki.profile import Profile
from smki.pki.request import Request, RequestReader, Unfit
from smki.pki.template import Dated, finish

# A profile goes from the parent to its workers; pyca gives its identifiers no way to be sent.
copyreg.pickle(x509.ObjectIdentifier, lambda oid: (x509.ObjectIdentifier, (oid.dotted_string,)))

Row = tuple[bytes, bytes, bytes]
"""Serial number, point, EUI-64: what fills a template's holes."""


@dataclass(frozen=True, slots=True)
class Station:
    """Where a worker works: which requests it reads, with which key it signs."""

    home: Path
    descriptions: tuple[Path, ...]
    token: TokenRef
    token_serial: str | None
    key_id: bytes
    issuer_key: bytes
    """The issuing authority's public key, as its certificate has it."""
    profile: Profile
    blocked: frozenset[bytes]


@dataclass(frozen=True, slots=True)
class Check:
    """Read these requests."""

    requests: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Sign:
    """Make these certificates, the rows of each template together."""

    groups: tuple[tuple[Dated, tuple[Row, ...]], ...]


class Worker:
    """Does jobs, in this process."""

    def __init__(self, station: Station, key: Callable[[], HsmPrivateKey], issuer: ec.EllipticCurvePublicKey) -> None:
        self._reader = RequestReader(station.profile, station.blocked)
        self._key = key
        self._issuer = issuer

    def do(self, job: Check | Sign) -> list[Any]:
        return self._check(job) if isinstance(job, Check) else self._sign(job)

    def _check(self, job: Check) -> list[Request | Unfit]:
        return list(map(self._reader.read, job.requests))

    def _sign(self, job: Sign) -> list[bytes]:
        """Fill, sign, verify what came back, assemble: the HSM is not believed."""
        unsigned = [template.fill(*row) for template, rows in job.groups for row in rows]
        digests = [hashlib.sha256(octets).digest() for octets in unsigned]
        signatures = self._key().sign_digests(digests)
        made = zip(unsigned, digests, signatures, strict=True)
        return [finish(octets, digest, plain, self._issuer) for octets, digest, plain in made]


def _jobs(connection: Connection) -> Iterator[tuple[int, Check | Sign]]:
    """Jobs as they come, taken off the connection at once.

    If both ends only sent while neither read, both would wait for ever once their buffers are full.
    """
    waiting: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def receive() -> None:
        with suppress(EOFError, OSError):
            while True:
                waiting.put(connection.recv())
        waiting.put(None)

    threading.Thread(target=receive, daemon=True).start()
    while (job := waiting.get()) is not None:
        yield job


def serve(connection: Connection) -> None:
    """The life of a worker process: a station and a PIN, then jobs, until nobody is at the other end."""
    from smki.authority.officers import read_public_key

    os.umask(0o077)
    gc.disable()  # nothing here makes a circle of references, and looking for one costs a tenth of the time
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        station, secret = connection.recv()
        pin = Pin(secret)
        hsm = Hsm(load_descriptions(station.descriptions), station.home)
        issuer = read_public_key(station.issuer_key, "the issuing authority")

        def key() -> HsmPrivateKey:
            token = hsm.open(station.token, lambda: pin, station.token_serial)
            return token.find_key(key_id=station.key_id, public_key=issuer)

        worker = Worker(station, key, issuer)
        for number, job in _jobs(connection):
            try:
                answer: list[Any] | SmkiError = worker.do(job)
            except SmkiError as error:
                answer = error
            connection.send((number, answer))
    os._exit(0)  # the parent is done, or dead: nothing here is worth saying goodbye for
