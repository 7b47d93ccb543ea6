"""What the commands that issue share: the options, the progress, the result lines, the exit code."""

import gc
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from time import monotonic
from typing import IO, TYPE_CHECKING, Any, TypeVar

import click

from smki.cli.render import summary
from smki.cli.session import Session
from smki.errors import InvalidInput, Refused, Unavailable

if TYPE_CHECKING:
    from smki.authority.issuance.intake import Intake
    from smki.authority.issuance.issue import Hands
    from smki.authority.issuance.order import Order, Outcome

SOME_REFUSED = 1
ALL_REFUSED = 3
_WAIT_SECONDS = 60
LONGEST_WAIT = 1800  # half of what a reserved serial number lasts
_GARBAGE = 200_000  # objects between two looks for circles of references: a long run makes millions, and no circle
_STEP = 100  # results between two looks at the clock
F = TypeVar("F", bound=Callable[..., Any])


def issuing_options(function: F) -> F:
    """The options of a command that answers requests."""
    for option in reversed(
        (
            click.option("--csr", type=click.Path(path_type=Path, dir_okay=False), help="One request: DER or PEM."),
            click.option(
                "--from",
                "source",
                type=click.Path(path_type=Path, allow_dash=True),
                help="Many: a folder, zip, tar, PEM or JSON lines; - reads a pipe.",
            ),
            click.option(
                "--out",
                type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
                help="Of one request the certificate as PEM, of many the result lines; default: print.",
            ),
            click.option(
                "--manifest",
                type=click.Path(path_type=Path, dir_okay=False),
                help="The files' digests, signed by an officer of the organisation (CMS).",
            ),
            click.option("--dry-run", is_flag=True, help="Judge, and issue nothing."),
            click.option(
                "--workers", type=click.IntRange(0, 256), help="Worker processes for many; default: one a core."
            ),
            click.option(
                "--wait",
                type=click.IntRange(0, LONGEST_WAIT),
                default=_WAIT_SECONDS,
                show_default=True,
                help="Seconds to wait for a token or database that went away.",
            ),
        )
    ):
        function = option(function)
    return function


def answer(
    session: Session,
    order: "Order",
    *,
    csr: Path | None,
    source: Path | None,
    out: Path | None,
    manifest: Path | None,
    dry_run: bool,
    workers: int | None,
    wait: int,
    as_json: bool,
) -> int:
    """Answer one request or many, and give the exit code."""
    from smki.authority.issuance.intake import one_request, take_in
    from smki.authority.issuance.issue import Hands, issuing

    if (csr is None) == (source is None):
        raise click.UsageError("Say what is asked: either --csr FILE or --from PATH.")
    workspace = session.workspace

    def outcomes(intake: "Intake", hands: "Hands") -> "AbstractContextManager[Iterator[Outcome]]":
        return issuing(
            workspace,
            order,
            intake,
            hands,
            manifest=manifest,
            patience=wait,
            tell=lambda error: click.echo(f"waiting: {error.message} [{error.code}]", err=True),
            dry_run=dry_run,
        )

    with Hands(workspace, order, workers) as hands:
        if csr is not None:
            with one_request(csr, workspace.home) as intake, outcomes(intake, hands) as answers:
                return _tell_one(next(answers), out, as_json)
        path = None if source == Path("-") else source
        largest = workspace.policies.issuance.largest_batch
        with (
            output(out) as lines,
            take_in(path, sys.stdin.buffer, workspace.home, largest, hands.start) as intake,
            outcomes(intake, hands) as answers,
        ):
            return _tell_many(answers, intake.count, lines)


def _tell_one(outcome: "Outcome", out: Path | None, as_json: bool) -> int:
    from smki.authority.hierarchy import pem
    from smki.authority.safe_files import write_new

    if as_json:
        click.echo(json.dumps(outcome.as_json(), indent=2, ensure_ascii=False))
    else:
        for fault in outcome.faults:
            click.echo(f"refused: {fault.message} [{fault.code}]\n  hint: {fault.remedy}", err=True)
    if outcome.faults:
        return ALL_REFUSED
    if outcome.certificate is None:
        click.echo("It would be issued.", err=True)
    elif out is not None and out != Path("-"):
        write_new(out, pem(outcome.certificate.der))
        click.echo(f"{outcome.result}: {outcome.certificate.serial}, wrote {out}", err=True)
    elif not as_json:
        click.echo(pem(outcome.certificate.der), nl=False)
    return 0


def _tell_many(outcomes: "Iterator[Outcome]", total: int, lines: IO[bytes]) -> int:
    from msgspec.json import encode

    gc.set_threshold(_GARBAGE, 10, 1000)
    counts = dict.fromkeys(("issued", "issued before", "would issue", "refused"), 0)
    with progress(total) as advance:
        for outcome in outcomes:
            counts[outcome.result] += 1
            lines.write(encode(outcome.as_json()))
            lines.write(b"\n")
            advance()
    click.echo(summary(total, "request", counts), err=True)
    if not counts["refused"]:
        return 0
    return ALL_REFUSED if counts["refused"] == total else SOME_REFUSED


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
        raise Refused("file.exists", f"{out} exists", "choose another name, or move that file away")
    part = out.with_name(f"{out.name}.part")
    try:
        with _exclusively(part) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            out.hardlink_to(part)  # unlike rename, fails when the name was taken meanwhile
            part.unlink()
    except FileExistsError:
        raise Refused("file.exists", f"{out} exists", "choose another name, or move that file away") from None
    except OSError as error:
        raise Unavailable(
            "file.write", f"{out}: {error.strerror}", "make room, and run the same again: nothing is done twice"
        ) from None


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
