"""How results reach a person or a program: tables and trees on a terminal, JSON for whoever asks.

JSON output is one document: stable keys, bytes as lower-case hexadecimal, times in UTC ISO 8601.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from smki.words import counted, utc

if TYPE_CHECKING:
    from smki.errors import SmkiError
    from smki.pki.verdict import Fault

_PIPE_WIDTH = 240
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")


def emit(data: Any, as_json: bool, human: Callable[[], None]) -> None:
    """Print `data` as JSON, or let `human` print it for a person."""
    if as_json:
        click.echo(json.dumps(data, indent=2, ensure_ascii=False, default=_plain))
    else:
        human()


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, datetime):
        return utc(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Path):
        return str(value)
    raise TypeError(type(value).__name__)


def moment_of(text: str | None) -> datetime | None:
    """A time to the second, if one was typed."""
    if text is None:
        return None
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise click.UsageError(f"{text[:30]!r} is no time: write it as 2026-11-21T12:00:00Z.") from None


def complain(fault: "Fault | SmkiError", of: str = "", *, err: bool = True) -> None:
    """What is wrong and what to do about it, as errors are told; `of` says before it what it is about."""
    click.echo(f"{of}{fault.message} [{fault.code}]\n  hint: {fault.remedy}", err=err)


def summary(total: int, one: str, results: Mapping[Any, int], nothing: str = "nothing to do") -> str:
    """How many there were, and what became of them: 3 commands: 2 admitted, 1 held."""
    became = ", ".join(f"{count} {word}" for word, count in results.items() if count)
    return f"{counted(total, one)}: {became or nothing}"


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table as wide as its content needs; in a pipe, plain text."""
    from rich.table import Table

    sheet = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        sheet.add_column(column, overflow="fold")
    for row in rows:
        sheet.add_row(*row)
    show(sheet)


def fields(pairs: Iterable[tuple[str, str]]) -> None:
    """Names and values, one a line."""
    from rich.table import Table

    sheet = Table(box=None, pad_edge=False, show_header=False)
    sheet.add_column(style="bold")
    sheet.add_column(overflow="fold")
    for name, value in pairs:
        sheet.add_row(name, value)
    show(sheet)


def facts(data: Mapping[str, Any], text: Callable[[Any], str] = str) -> None:
    """The names and values of a JSON object, one a line."""
    fields((name.replace("_", " "), text(value)) for name, value in data.items())


def tree(top: Any, *, err: bool = False) -> None:
    """A tree of names and values (`smki.gbcs.payload.tree.Node`)."""
    from rich.text import Text
    from rich.tree import Tree

    def label(node: Any) -> Text:
        name = Text(node.name, style="bold" if node.children else "")
        return name if not node.value else name.append(": ", style="dim").append(node.value, style="not bold")

    def grow(branch: Tree, nodes: Iterable[Any]) -> None:
        for node in nodes:
            grow(branch.add(label(node)), node.children)

    root = Tree(label(top))
    grow(root, top.children)
    show(root, err=err)


def show(renderable: Any, *, err: bool = False) -> None:
    """Print something rich made: as wide as the terminal, or in a pipe as wide as it needs, without markup."""
    import sys

    from rich.console import Console

    width = None if (sys.stderr if err else sys.stdout).isatty() else _PIPE_WIDTH
    console = Console(markup=False, highlight=False, width=width)
    with console.capture() as captured:
        console.print(renderable)
    # Rich fills cells up to their column's width; nobody wants those blanks in a file.
    click.echo("\n".join(line.rstrip() for line in captured.get().splitlines()), err=err)
