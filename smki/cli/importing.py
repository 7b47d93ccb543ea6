"""How the report of an import is told."""

from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING

import click

from smki.cli.options import FILE, F
from smki.cli.render import emit, table
from smki.words import counted

if TYPE_CHECKING:
    from smki.authority.estate.intake import Report


def files_argument(function: F) -> F:
    """One file or more."""
    return click.argument("files", metavar="FILE...", nargs=-1, required=True, type=FILE)(function)


def tell(report: "Report", as_json: bool) -> None:
    """What came of it; an error where nothing was taken."""
    from smki.errors import InvalidInput

    tally = report.tally
    wrong = [asdict(item) for item in report.wrong]
    data = {
        "rows": report.rows,
        "added": tally.added,
        "changed": tally.changed,
        "unchanged": tally.unchanged,
        "wrong_count": report.wrong_count,
        "wrong": wrong,
    }

    def human() -> None:
        if wrong:
            rows = [(item["file"], str(item["line"]), item["code"], item["message"]) for item in wrong]
            table(["File", "Line", "Code", "What is wrong"], rows)
        else:
            read = counted(report.rows, "row")
            click.echo(f"{read}: {tally.added} added, {tally.changed} changed, {tally.unchanged} unchanged")

    emit(data, as_json, human)
    if report.wrong_count:
        raise InvalidInput(
            "intake.wrong-lines",
            f"{counted(report.wrong_count, 'line')} wrong: nothing was taken",
            "mend them, import again",
        )


def day_or_moment(text: str | None) -> datetime | None:
    """A time or a day (its first second), if one was typed."""
    from smki.authority.estate.meter_points import moment

    return None if text is None else moment(text)
