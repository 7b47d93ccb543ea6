"""Reception: who is connected, what waits, which answers are kept. All of it in the one thread of the event loop."""

import asyncio
import contextlib
import queue
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from smki.authority.ocsp.connection import Connection
from smki.authority.ocsp.desk import Tell
from smki.authority.ocsp.http import HttpRequest
from smki.authority.ocsp.kept import Answer, Kept, http_date
from smki.authority.ocsp.policy import OcspPolicy
from smki.errors import InvalidInput
from smki.pki.ocsp import Failure, Query, read_query

FRESH_SECONDS = 1.0
"""A kept answer is given while the register was looked at so recently: a revocation is not seen later than that."""
_FORM = b"Content-Type: application/ocsp-response\r\n"
_ONCE = _FORM + b"Cache-Control: no-store\r\n"


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """A request that waits for the desk."""

    connection: Connection
    query: Query


class Reception:
    """Gives what is kept, hands the rest to the desk, and lets nobody wait too long."""

    def __init__(
        self, policy: OcspPolicy, clock: Callable[[], datetime], jobs: "queue.SimpleQueue[Job | None]"
    ) -> None:
        limits = policy.limits
        self.patience, self.idle = limits.patience.total_seconds(), limits.idle.total_seconds()
        self.request_octets = limits.request
        self.kept = Kept(policy.kept, policy.refresh)
        self.now = time.monotonic
        self._limits = limits
        self._http_cache = policy.http_cache
        self._clock = clock
        self._jobs = jobs
        self._open: dict[Connection, Job | None] = {}
        self._waiting = 0
        self._seen_at = 0.0
        self._date = (0, b"")
        self.access: Tell | None = None
        """Told of every request, where somebody wants that."""
        self.leaving: asyncio.Event | None = None
        """Set once nobody waits any more, where somebody wants to know."""

    # Connections

    def came(self, connection: Connection) -> None:
        """Where all places are taken, whoever has kept one longest without a request in hand gives it up."""
        if len(self._open) >= self._limits.connections:
            idle = next((other for other, job in self._open.items() if job is None), None)
            (idle or connection).abort()
            if idle is None:
                return
            self._open.pop(idle, None)
        self._open[connection] = None

    def gone(self, connection: Connection) -> None:
        self._open.pop(connection, None)

    def sweep(self) -> None:
        """Whoever was promised an answer is told to come later; whoever sends too slowly is cut off."""
        now = self.now()
        for connection in [one for one in self._open if one.deadline < now]:
            if connection.request is not None and self._open[connection] is not None:
                self._reply(connection, connection.request, Failure.TRY_LATER)
            else:
                connection.abort()

    async def close(self, seconds: float) -> None:
        """Whoever waits for an answer gets it, within a while."""
        self.leaving = asyncio.Event()
        if self.busy:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.leaving.wait(), seconds)
        for connection in list(self._open):
            connection.close()

    @property
    def busy(self) -> bool:
        return any(job is not None for job in self._open.values())

    # Requests

    def ask(self, connection: Connection, request: HttpRequest) -> None:
        now = self._clock()
        fresh = self.now() - self._seen_at < FRESH_SECONDS
        kept = self.kept.get(request.octets, now) if fresh else None
        if kept is not None:  # most requests are the shortest there is: not even read
            self._reply(connection, request, kept)
            return
        try:
            query = read_query(request.octets, self._limits.certificates)
        except InvalidInput:
            self._reply(connection, request, Failure.MALFORMED)
            return
        kept = self.kept.get(query.plain, now) if fresh and query.plain is not None else None
        if kept is not None:
            self._reply(connection, request, kept)
        elif self._waiting >= self._limits.waiting:
            self._reply(connection, request, Failure.TRY_LATER)
        else:
            job = Job(connection, query)
            self._open[connection] = job
            self._waiting += 1
            self._jobs.put(job)

    def is_wanted(self, job: Job) -> bool:
        """Whether somebody still waits for it; asked by the desk's thread."""
        return self._open.get(job.connection) is job

    def deliver(self, jobs: Sequence[Job], answers: Sequence[Answer | Failure]) -> None:
        """What the desk made."""
        self._waiting -= len(jobs)
        for job, answer in zip(jobs, answers, strict=True):
            if isinstance(answer, Answer):
                self.kept.put(answer)
            request = job.connection.request
            if self.is_wanted(job) and request is not None:
                self._reply(job.connection, request, answer)

    def keep(self, answers: Sequence[Answer]) -> None:
        """What was signed ahead."""
        for answer in answers:
            self.kept.put(answer)

    def saw(self, at: float) -> None:
        """The register was looked at, and what was found was told."""
        self._seen_at = at

    def _reply(self, connection: Connection, request: HttpRequest, answer: Answer | Failure) -> None:
        if connection in self._open:
            self._open[connection] = None
        if self.leaving is not None and not self.busy:
            self.leaving.set()
        if self.access is not None:
            self.access("ocsp.request", answer=answer.name.lower() if isinstance(answer, Failure) else "signed",
                        octets=len(request.octets))  # fmt: skip
        if isinstance(answer, Failure) or answer.plain is None:
            connection.reply(200, self._dated(_ONCE), answer.octets)
        else:
            left = int(min(self._http_cache, answer.next_update - self._clock()).total_seconds())
            cache = b"Cache-Control: max-age=%d, public, no-transform, must-revalidate\r\n" % max(0, left)
            known = request.known == answer.etag
            connection.reply(304 if known else 200, self._dated(_FORM + answer.lines + cache), answer.octets)

    def _dated(self, fields: bytes) -> bytes:
        now = self._clock()
        second = int(now.timestamp())
        if self._date[0] != second:
            self._date = (second, b"Date: %s\r\n" % http_date(now))
        return self._date[1] + fields
