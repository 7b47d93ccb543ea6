"""Processes of the real commands: started, watched, started again as their documentation says, and what each said."""

import os
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.prefork import SMKI, Child, Prefork

TRY_AGAIN = 4
"""The exit code that says: something was away, run the same again."""
_PAUSE = 0.5
_TOO_LONG = 120.0


@dataclass(frozen=True)
class Said:
    """How a command ended."""

    code: int
    text: str


@dataclass(frozen=True)
class Recovery:
    """Work that was interrupted, and how long it took until it was done."""

    desk: str
    seconds: float
    first: int
    """The exit code, or the signal as a negative number, that it began with."""


@dataclass
class Hands:
    """Everybody's hands: whoever works starts processes here, and whoever harms finds them here."""

    prefork: Prefork
    folder: Path
    """Where what they say is kept: one file for each desk."""
    done: Counter[str] = field(default_factory=Counter)
    tries: Counter[str] = field(default_factory=Counter)
    recoveries: list[Recovery] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)
    _under_way: dict[int, tuple[str, Child]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def under_way(self) -> Mapping[int, str]:
        """The processes there are, and whose."""
        with self._lock:
            return {pid: desk for pid, (desk, _) in self._under_way.items()}

    @contextmanager
    def started(self, desk: str, call: str, *arguments: str | Path) -> Iterator[tuple[Child, Path]]:
        """A process; its words go to a file that is read when it is over."""
        number, name = tempfile.mkstemp(prefix=f"{desk}-".replace(" ", "-"), dir=self.folder)
        with os.fdopen(number, "wb") as out:
            child = self.prefork.start(call, *arguments, out=out)
        with self._lock:
            self._under_way[child.pid] = desk, child
        try:
            yield child, Path(name)
        finally:
            with self._lock:
                self._under_way.pop(child.pid, None)

    def once(self, desk: str, call: str, *arguments: str | Path) -> Said:
        with self.started(desk, call, *arguments) as (child, words):
            code = child.wait()
        text = words.read_text(errors="replace")
        self.tries[desk] += 1
        if "Traceback" in text or "a defect in smki" in text:
            self.wrong.append(f"{desk} failed by a defect: {text[-1500:]}")
        return Said(code, text)

    def smki(self, desk: str, home: Path, *arguments: str | Path, out: Path | None = None) -> Said:
        """One command, again and again while it is killed or says that something was away.

        Where `out` is there, it is done: results appear whole or not at all.
        """
        return self.persist(desk, SMKI, "--home", home, *arguments, *(("--out", out) if out else ()), out=out)

    def persist(self, desk: str, call: str, *arguments: str | Path, out: Path | None = None) -> Said:
        begin, first = time.monotonic(), 0
        while True:
            said = self.once(desk, call, *arguments)
            if out is not None and out.exists() and said.code < 0:
                said = Said(0, said.text)
            if said.code >= 0 and said.code != TRY_AGAIN:
                break
            first = first or said.code
            if time.monotonic() - begin > _TOO_LONG:
                self.wrong.append(f"{desk} did not recover in {_TOO_LONG:.0f} s: {said.text[-600:]}")
                break
            time.sleep(_PAUSE)
        if first:
            self.recoveries.append(Recovery(desk, time.monotonic() - begin, first))
        self.done[desk] += 1
        return said

    def must(
        self, desk: str, home: Path, *arguments: str | Path, out: Path | None = None, may: tuple[int, ...] = (0,)
    ) -> Said:
        """The same for what cannot end otherwise."""
        said = self.smki(desk, home, *arguments, out=out)
        if said.code not in may:
            words = " ".join(map(str, arguments[:3]))
            self.wrong.append(f"{desk}: `smki {words}` ended with {said.code}: {said.text[-600:]}")
        return said
