"""What the commands that issue share: their options, and how one request or many are answered."""

import gc
import json
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from smki.cli.options import FILE, FILE_OR_PIPE, F, with_options
from smki.cli.render import complain, summary
from smki.cli.results import NONE, exit_code, output, progress
from smki.cli.session import Session

if TYPE_CHECKING:
    from smki.authority.issuance.intake import Intake
    from smki.authority.issuance.issue import Hands
    from smki.authority.issuance.order import Order, Outcome

_WAIT_SECONDS = 60
LONGEST_WAIT = 1800  # half of what a reserved serial number lasts
_GARBAGE = 200_000  # objects between two looks for circles of references: a long run makes millions, and no circle


def issuing_options(function: F) -> F:
    """The options of a command that answers requests."""
    return with_options(
        function,
        click.option("--csr", type=FILE, help="One request: DER or PEM."),
        click.option(
            "--from",
            "source",
            type=click.Path(path_type=Path, allow_dash=True),
            help="Many: a folder, zip, tar, PEM or JSON lines; - reads a pipe.",
        ),
        click.option(
            "--out",
            type=FILE_OR_PIPE,
            help="Of one request the certificate as PEM, of many the result lines; default: print.",
        ),
        click.option(
            "--manifest",
            type=FILE,
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
            complain(fault, "refused: ")
    if outcome.faults:
        return NONE
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
    return exit_code(total - counts["refused"], counts["refused"])
