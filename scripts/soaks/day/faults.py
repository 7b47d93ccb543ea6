"""Whoever does harm, from outside: kills, takes tokens away, stops databases, fills the disk, sets the clock."""

import os
import random
import resource
import signal
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from scripts.soaks.day.plan import Day
from tests.postgres import Server

_BETWEEN = (1.0, 4.0)
_LATE = 0.75
"""From this part of the day on the clock may be set ahead: lists and the broker wait afterwards for that time."""
_WORK, _LONGEST = 5, 20.0
"""So many commands come to their end between two faults, or so many seconds pass."""
_DISK = 384 << 20


@dataclass(frozen=True)
class Fault:
    """What was done, and when: seconds since the morning."""

    at: float
    kind: str
    words: str


class Clock:
    """The time as every process of the day reads it, off by as much as a file says (libfaketime)."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self.ahead = 0
        """The furthest that it was ever set ahead."""
        self.set(0)

    @staticmethod
    def library() -> Path | None:
        found = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
        return found[0] if found else None

    def environment(self) -> dict[str, str]:
        """For the process that all others are forked from; the clock that measures is never set."""
        return {
            "FAKETIME_TIMESTAMP_FILE": str(self._path),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_DISABLE_SHM": "1",
            "NO_FAKE_STAT": "1",
        }

    def set(self, seconds: int) -> None:
        with self._lock:
            new = self._path.with_suffix(".new")
            new.write_text(f"{seconds:+d}\n")
            new.replace(self._path)
            self.ahead = max(self.ahead, seconds)


class Disk:
    """A small disk for workspaces and results; where none can be mounted, a limit on what processes may write."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o711)
        self._folder = folder
        made = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={_DISK},mode=0711", "tmpfs", folder],
            capture_output=True,
            check=False,
        )
        self.mounted = made.returncode == 0

    @property
    def words(self) -> str:
        return "a small tmpfs, filled" if self.mounted else "RLIMIT_FSIZE of the processes under way"

    @contextmanager
    def full(self, pids: list[int]) -> Iterator[None]:
        if not self.mounted:
            with self._limited(pids):
                yield
            return
        rubbish = self._folder / "rubbish"
        with rubbish.open("wb") as file, suppress(OSError):
            free = os.statvfs(self._folder)
            os.posix_fallocate(file.fileno(), 0, free.f_bavail * free.f_frsize)
        try:
            yield
        finally:
            rubbish.unlink()

    @staticmethod
    @contextmanager
    def _limited(pids: list[int]) -> Iterator[None]:
        unlimited = resource.RLIM_INFINITY
        before = []
        for pid in pids:
            with suppress(ProcessLookupError):
                before.append((pid, resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, unlimited))))
        try:
            yield
        finally:
            for pid, limit in before:
                with suppress(ProcessLookupError):
                    resource.prlimit(pid, resource.RLIMIT_FSIZE, limit)

    def close(self) -> None:
        if self.mounted:
            subprocess.run(["umount", "-l", self._folder], check=True)


@dataclass
class Harm:
    """Everything that can be done to this day."""

    day: Day
    seconds: float
    server: Server | None
    disk: Disk
    clock: Clock | None
    told: list[Fault] = field(default_factory=list)
    _begin: float = 0.0

    def run(self) -> None:
        """One fault after another, all kinds by turns, until the day is over."""
        chance = self.day.chance("harm")
        self._begin = time.monotonic()
        every: tuple[Callable[[random.Random], None], ...] = (
            self.kill,
            self.kill,
            self.kill,
            self.token,
            self.token,
            self.database,
            self.disk_full,
            self.clock_set,
        )
        kinds: list[Callable[[random.Random], None]] = []
        while not self.day.over():
            self.day.rest(chance.uniform(*_BETWEEN))
            self._let_some_be_done()
            if self.day.over():
                return
            if not kinds:
                kinds = chance.sample(every, len(every))
            kinds.pop()(chance)

    def _let_some_be_done(self) -> None:
        """A slow machine has as many faults for its work as a quick one: never so many that nothing is done."""
        enough, until = self.day.hands.done.total() + _WORK, time.monotonic() + _LONGEST
        while self.day.hands.done.total() < enough and time.monotonic() < until and not self.day.over():
            self.day.rest(0.2)

    def _tell(self, kind: str, words: str) -> None:
        self.told.append(Fault(time.monotonic() - self._begin, kind, words))

    def kill(self, chance: random.Random) -> None:
        """Any process, or one that it started for the arithmetic; often several together."""
        for _ in range(chance.choice((1, 1, 2, 4))):
            there = self.day.hands.under_way()
            if not there:
                continue
            pid = chance.choice(sorted(there))
            victim = chance.choice([pid, *_children(pid)])
            with suppress(ProcessLookupError):
                os.kill(victim, signal.SIGKILL)
                self._tell("kill -9", there[pid] + (", a worker of it" if victim != pid else ""))
            self.day.rest(chance.uniform(0, 0.5))

    def token(self, chance: random.Random) -> None:
        """One token's folder is elsewhere for a while."""
        world = self.day.world
        home = world.at(chance.choice(["authority", "authority", *world.workspaces]))
        folder = chance.choice(sorted(one for one in (home / "tokens").iterdir() if one.is_dir()))
        away = home / "tokens-away"
        seconds = chance.uniform(0.3, 3)
        self._tell("token away", f"{home.name}, for {seconds:.1f} s")
        folder.rename(away)
        try:
            time.sleep(seconds)
        finally:
            away.rename(folder)

    def database(self, chance: random.Random) -> None:
        """PostgreSQL stops at once, and starts again; SQLite is held by somebody else."""
        seconds = chance.uniform(0.2, 3)
        if self.server is not None:
            self._tell("database stopped", f"for {seconds:.1f} s")
            self.server.stop()
            time.sleep(seconds)
            self.server.start()
            return
        home = self.day.world.at(chance.choice(self.day.world.workspaces))
        seconds = chance.uniform(1, 8)
        self._tell("database locked", f"{home.name}, for {seconds:.1f} s")
        other = sqlite3.connect(home / "smki.db", isolation_level=None, timeout=5)
        with closing(other) as held, suppress(sqlite3.OperationalError):
            held.execute("BEGIN IMMEDIATE")
            time.sleep(seconds)
            held.execute("ROLLBACK")

    def disk_full(self, chance: random.Random) -> None:
        seconds = chance.uniform(0.5, 3)
        self._tell("disk full", f"for {seconds:.1f} s")
        with self.disk.full([os.getpid(), *self.day.hands.under_way()]):
            time.sleep(seconds)

    def clock_set(self, chance: random.Random) -> None:
        """Back by minutes or hours, within the day; ahead, when the day is late."""
        if self.clock is None:
            return
        late = time.monotonic() - self._begin > _LATE * self.seconds
        step = int(chance.choice((60, 600, 3600, 7200)) * chance.uniform(0.5, 1.5))
        if not late or chance.random() < 0.5:
            now = datetime.now(UTC)
            step = -min(step, int((now - now.replace(hour=0, minute=0, second=0)).total_seconds()))
        seconds = chance.uniform(1.5, 5)
        self._tell(
            "clock set", f"by {timedelta(seconds=abs(step))} {'back' if step < 0 else 'ahead'}, for {seconds:.1f} s"
        )
        self.clock.set(step)
        try:
            self.day.rest(seconds)
        finally:
            self.clock.set(self.clock.ahead if self.day.over() else 0)


def _children(pid: int) -> list[int]:
    try:
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
