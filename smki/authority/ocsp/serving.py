"""Serving: an event loop for the network, a thread for store and HSM, a thread that watches the register.

Neither a slow client nor a slow HSM holds up the other. PKCS#11 and a database's connection are used by one thread
each; what the loop's thread has, nobody else changes.
"""

import asyncio
import contextlib
import os
import queue
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable

from smki.authority.ocsp.connection import Connection
from smki.authority.ocsp.desk import Desk, Tell
from smki.authority.ocsp.kept import Answer
from smki.authority.ocsp.reception import Job, Reception
from smki.authority.ocsp.register import last_numbers, revoked_between
from smki.authority.workspace import Workspace
from smki.errors import Refused, SmkiError, Unavailable
from smki.pki.ocsp import Failure, Query
from smki.store.store import Store

WATCH_SECONDS = 0.25
SWEEP_SECONDS = 0.25
GOODBYE_SECONDS = 2.0
_TOGETHER = 64  # requests answered in one go: a few milliseconds of an HSM
_AHEAD_SECONDS = 60.0  # how often the certificates to be signed ahead are listed
_EARLY = 10  # an answer is signed anew in the last tenth of its time: nobody waits for it
_IDLE_SECONDS = 0.5
_FIRST_SECONDS = 0.02  # until something was signed ahead: a service that begins has the most to sign
_BACKLOG = 512
_SWITCH_SECONDS = 0.0003  # a signature takes less than the usual 5 ms, after which it would wait for the loop
_OTHER_FILES = 64  # the store, the token, the log


class DeskThread(threading.Thread):
    """Opens the workspace, and works for whoever waits."""

    def __init__(self, opened: Callable[[], Workspace], tell: Tell, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(name="desk", daemon=True)
        self._opened = opened
        self._tell = tell
        self._loop = loop
        self.jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self.ready = asyncio.Event()
        self.fault: BaseException | None = None
        self.desk: Desk | None = None
        self.reception: Reception | None = None
        self._ahead: list[Query] = []
        self._ahead_at: float | None = None

    def run(self) -> None:
        workspace = None
        try:
            workspace = self._opened()
            desk = Desk(workspace, self._tell)
            desk.open()
            self.desk = desk
            self._hand_over(self.ready.set)
            self._work(desk)
        except BaseException as error:  # noqa: BLE001 - it is raised again where it is waited for
            self.fault = error
        finally:
            self._hand_over(self.ready.set)
            if workspace is not None:
                workspace.close()

    def _work(self, desk: Desk) -> None:
        while True:
            try:
                jobs = [self.jobs.get(timeout=_IDLE_SECONDS if self._ahead_at else _FIRST_SECONDS)]
                with contextlib.suppress(queue.Empty):
                    while len(jobs) < _TOGETHER:
                        jobs.append(self.jobs.get_nowait())
            except queue.Empty:
                jobs = []
            if None in jobs:
                return
            self._answer(desk, [job for job in jobs if job is not None])
            self._look(desk)
            if not jobs:
                self._sign_ahead(desk)

    def _answer(self, desk: Desk, jobs: list[Job]) -> None:
        reception = self.reception
        if not jobs or reception is None:
            return
        wanted = [job for job in jobs if reception.is_wanted(job)]
        found = dict(zip(map(id, wanted), self._answers(desk, [job.query for job in wanted]), strict=True))
        self._hand_over(reception.deliver, jobs, [found.get(id(job), Failure.TRY_LATER) for job in jobs])

    def _answers(self, desk: Desk, queries: list[Query]) -> list[Answer | Failure]:
        try:
            return desk.answer(queries)
        except Exception as error:  # noqa: BLE001 - a defect of ours ends one answer, never the service
            self._tell("ocsp.defect", error=type(error).__name__)
            return [Failure.INTERNAL] * len(queries)

    def _look(self, desk: Desk) -> None:
        """Answers signed by one who was replaced are given no longer."""
        try:
            for number in desk.look():
                if self.reception is not None:
                    self._hand_over(self.reception.kept.forget, number)
        except SmkiError:
            pass  # whoever asks next is told to come later, and the log is told why

    def _sign_ahead(self, desk: Desk) -> None:
        """While nobody waits: what will be asked for, before it is due."""
        reception = self.reception
        if reception is None:
            return
        with contextlib.suppress(SmkiError):  # told by the desk; tried again in a moment
            if self._ahead_at is None or time.monotonic() - self._ahead_at > _AHEAD_SECONDS:
                self._ahead_at = time.monotonic()
                self._ahead = desk.wanted_ahead()
            soon = desk.now() + desk.policy.refresh / _EARLY
            due = [one for one in self._ahead if one.plain and reception.kept.get(one.plain, soon) is None]
            for start in range(0, len(due), _TOGETHER):
                made = [one for one in desk.answer(due[start : start + _TOGETHER]) if isinstance(one, Answer)]
                self._hand_over(reception.keep, made)
                self._look(desk)
                if not made or not self.jobs.empty():
                    return

    def _hand_over(self, work: Callable[..., None], *arguments: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(work, *arguments)


class WatchThread(threading.Thread):
    """Tells the reception what was revoked, a moment after it was."""

    def __init__(
        self, url: str, desk: Desk, reception: Reception, loop: asyncio.AbstractEventLoop, tell: Tell
    ) -> None:
        super().__init__(name="watch", daemon=True)
        self._url = url
        self._desk = desk
        self._reception = reception
        self._loop = loop
        self._tell = tell
        self._numbers: dict[int, int] = {}
        self._trouble = ""
        self.stopped = threading.Event()

    def run(self) -> None:
        store: Store | None = None
        with contextlib.suppress(RuntimeError):  # the loop has ended
            while not self.stopped.is_set():
                try:
                    store = store or Store.open(self._url)
                    self._look(store)
                    self._note("", "")
                except SmkiError as error:  # kept answers grow too old to be given: each is asked of the store
                    self._note(error.code, error.message)
                self.stopped.wait(WATCH_SECONDS)
        if store is not None:
            store.close()

    def _note(self, code: str, message: str) -> None:
        """Tell of trouble when it begins and when it ends."""
        if code and code != self._trouble:
            self._tell("ocsp.trouble", code=code, message=message)
        elif self._trouble and not code:
            self._tell("ocsp.recovered", code=self._trouble)
        self._trouble = code

    def _look(self, store: Store) -> None:
        at = time.monotonic()
        for issuer, number in last_numbers(store, tuple(self._desk.counters)).items():
            before = self._numbers.get(issuer)
            if before is None or number < before:  # what was revoked until now nobody told; or the store is another
                self._loop.call_soon_threadsafe(self._reception.kept.begin, issuer, number)
            elif before != number:
                serials = revoked_between(store, issuer, before, number)
                self._loop.call_soon_threadsafe(self._reception.kept.revoked, issuer, serials, number)
            self._numbers[issuer] = number
        self._loop.call_soon_threadsafe(self._reception.saw, at)


async def serve(opened: Callable[[], Workspace], host: str, port: int, tell: Tell, *, access: bool = False) -> None:
    """Answer until SIGTERM or SIGINT."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    sys.setswitchinterval(_SWITCH_SECONDS)
    thread = DeskThread(opened, tell, loop)
    thread.start()
    try:
        ready, stopped = (asyncio.ensure_future(event.wait()) for event in (thread.ready, stop))
        await asyncio.wait({ready, stopped}, return_when=asyncio.FIRST_COMPLETED)
        # Without a desk and a fault: stopped while somebody was to type a PIN.
        if thread.fault is None and thread.desk is not None:
            await _receive(thread, thread.desk, (host, port), tell if access else None, stop, tell)
    finally:
        thread.jobs.put(None)
        thread.join(GOODBYE_SECONDS)
    if thread.fault is not None:
        raise thread.fault
    tell("ocsp.stopped")


async def _receive(
    thread: DeskThread, desk: Desk, where: tuple[str, int], access: Tell | None, stop: asyncio.Event, tell: Tell
) -> None:
    """Open the doors, and close them again when told to, or when there is no desk any more."""
    loop = asyncio.get_running_loop()
    _allow_files(desk.policy.limits.connections)
    reception = Reception(desk.policy, desk.now, thread.jobs)
    reception.access = access
    server = await _listen(loop, lambda: Connection(reception), *where)
    watch = WatchThread(desk.store_url, desk, reception, loop, tell)
    watch.start()
    try:
        thread.reception = reception
        address = server.sockets[0].getsockname()
        names = sorted(counter.appointed.authority.name for counter in desk.counters.values())
        tell("ocsp.serving", host=address[0], port=address[1], pid=os.getpid(), authorities=names)
        while not stop.is_set() and thread.is_alive():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), SWEEP_SECONDS)
            reception.sweep()
        server.close()
        await reception.close(GOODBYE_SECONDS)
    finally:
        watch.stopped.set()
        watch.join(GOODBYE_SECONDS)


async def _listen(
    loop: asyncio.AbstractEventLoop, connection: Callable[[], Connection], host: str, port: int
) -> asyncio.Server:
    try:
        return await loop.create_server(connection, host, port, backlog=_BACKLOG)
    except (OSError, OverflowError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no such host or port"
        raise Unavailable("ocsp.listen", f"{host[:80]}:{port}: {reason}", "choose another address or port") from None


def _allow_files(connections: int) -> None:
    """Each connection is an open file."""
    wanted = connections + _OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        if hard != resource.RLIM_INFINITY and hard < wanted:
            raise Refused(
                "ocsp.files",
                f"{connections} connections need {wanted} open files, and {hard} are allowed",
                "raise LimitNOFILE, or lower `connections` in ocsp.toml",
            )
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
