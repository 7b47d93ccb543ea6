"""Result lines of a run over many things: where they go, how far it has come, how it ended."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import IO

import click

from smki.cli.options import FILE_OR_PIPE
from smki.errors import InvalidInput, Refused, Unavailable

SOME, NONE = 1, 3
HELD = 6
"""The exit code that wakes a person: something is held, whatever became of the rest."""
_STEP = 100  # results between two looks at the clock
results_option = click.option(
    "--out", type=FILE_OR_PIPE, help="Write the result lines to this new file; default: print."
)


def exit_code(good: int, bad: int) -> int:
    """0: all is well; 1: some is; 3: nothing is."""
    return 0 if not bad else SOME if good else NONE


@contextmanager
def progress(total: int) -> Iterator[Callable[[], None]]:
    """A bar with rate and time left on a terminal; nothing in a pipe."""
    if not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    rate = TextColumn("{task.fields[rate]} a second")
    columns = (BarColumn(), TaskProgressColumn(), MofNCompleteColumn(), rate, TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), refresh_per_second=4) as progress:
        task = progress.add_task("", total=total, rate="0")
        start, done = monotonic(), 0

        def advance() -> None:
            nonlocal done
            done += 1
            if done % _STEP == 0 or done == total:
                progress.update(task, completed=done, rate=f"{done / (monotonic() - start + 0.001):,.0f}")

        yield advance


@contextmanager
def output(out: Path | None) -> Iterator[IO[bytes]]:
    """Where result lines go: a new file that appears whole under its name when the run is over, or standard output.

    Until then it is called NAME.part. An interrupted run leaves that behind, and the next one writes it anew.
    """
    if out is None or out == Path("-"):
        try:
            yield sys.stdout.buffer
            sys.stdout.flush()
        except BrokenPipeError:
            # Nothing more can be said there, not even by the interpreter when it ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise Unavailable(
                "file.write", "the reader of the results has gone", "run the same again: nothing is done twice"
            ) from None
        return
    if os.path.lexists(out):
        raise _taken(out)
    part = out.with_name(f"{out.name}.part")
    try:
        with _exclusively(part) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            out.hardlink_to(part)  # unlike rename, fails when the name was taken meanwhile
            part.unlink()
    except FileExistsError:
        raise _taken(out) from None
    except OSError as error:
        raise Unavailable(
            "file.write", f"{out}: {error.strerror}", "make room, and run the same again: nothing is done twice"
        ) from None


def _taken(out: Path) -> Refused:
    return Refused("file.exists", f"{out} exists", "choose another name, or move that file away")


@contextmanager
def _exclusively(part: Path) -> Iterator[IO[bytes]]:
    import fcntl

    descriptor = os.open(part, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    with os.fdopen(descriptor, "wb", buffering=1 << 16) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InvalidInput(
                "file.busy", f"another run writes {part}", "wait for it, or name another file"
            ) from None
        file.truncate(0)
        yield file
