"""The crew: the worker processes of one run, and the jobs they have."""

import os
import socket
import subprocess
import sys
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

from smki.authority.issuance.worker import Check, Sign, Station, Worker
from smki.errors import SmkiError, Unavailable
from smki.hsm.pin import Pin

AHEAD = 4  # jobs a worker has at a time: it never waits for one while the store is written to
_GOODBYE_SECONDS = 5
Done = tuple[int, list[Any] | SmkiError]


@dataclass(slots=True)
class _Member:
    process: "subprocess.Popen[bytes]"
    connection: Connection
    jobs: int = 0


class Crew:
    """Worker processes: jobs go to whoever has fewest, answers come as they are ready."""

    def __init__(self, station: Station, size: int, pin: Pin) -> None:
        self._members: list[_Member] = []
        try:
            for _ in range(size):
                member = _start()
                self._members.append(member)
                member.connection.send((station, pin.reveal()))  # through a pair of sockets of these two alone
        except OSError as error:
            self.close()
            raise Unavailable("crew.start", f"no worker process: {error.strerror}", "free memory") from None

    @property
    def free(self) -> int:
        """How many more jobs can be taken without one waiting behind two."""
        return sum(AHEAD - member.jobs for member in self._members)

    @property
    def busy(self) -> bool:
        return any(member.jobs for member in self._members)

    def give(self, number: int, job: Check | Sign) -> None:
        member = min(self._members, key=lambda item: item.jobs)
        try:
            member.connection.send((number, job))
        except OSError:
            raise _died() from None
        member.jobs += 1

    def answers(self) -> list[Done]:
        """Wait until something is done, and give all that is."""
        done: list[Done] = []
        ready = wait([member.connection for member in self._members if member.jobs])
        for member in self._members:
            if member.connection in ready:
                try:
                    done.append(member.connection.recv())
                except (EOFError, OSError):
                    raise _died() from None
                member.jobs -= 1
        return done

    def close(self) -> None:
        for member in self._members:
            member.connection.close()  # a worker ends when nobody is at the other end
        for member in self._members:
            with suppress(subprocess.TimeoutExpired):
                member.process.wait(_GOODBYE_SECONDS)
            member.process.kill()
            member.process.wait()
        self._members.clear()


def _start() -> _Member:
    """A new process, never a forked one: that would share our PKCS#11 sessions by accident.

    It stands in a process group of its own, so that Ctrl-C is for us, and says nothing on our terminal.
    """
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "smki.authority.issuance", str(theirs.fileno())],
            pass_fds=(theirs.fileno(),),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=None if os.environ.get("SMKI_DEBUG") == "1" else subprocess.DEVNULL,
            process_group=0,
        )
    return _Member(process, Connection(ours.detach()))


def _died() -> Unavailable:
    return Unavailable(
        "crew.died",
        "a worker process died",
        "run the same again: what is issued is on record, and is not issued twice",
    )


class Alone:
    """A crew of nobody: this process does each job itself, when it is given."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._done: deque[Done] = deque()

    @property
    def free(self) -> int:
        return AHEAD - len(self._done)

    @property
    def busy(self) -> bool:
        return bool(self._done)

    def give(self, number: int, job: Check | Sign) -> None:
        try:
            self._done.append((number, self._worker.do(job)))
        except SmkiError as error:
            self._done.append((number, error))

    def answers(self) -> list[Done]:
        done = list(self._done)
        self._done.clear()
        return done

    def close(self) -> None:
        """Nothing was started."""
