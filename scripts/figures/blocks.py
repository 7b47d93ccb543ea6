"""Blocks of Markdown that are written from files of figures.

    <!-- figures
    Made in {crl.million.seconds:~2} s on {crl.measured.cores} cores:

    | entries | time |
    |---|---|
    for crl.lists: | {entries:,} | {seconds:~2} s |
    -->
    (what the lines above say of docs/figures/crl.json; nobody writes here)
    <!-- end figures -->

A field is the path of a value: the file's name, then keys or places in lists. A line that begins with `for PATH:` is
repeated for each item of a list (or each value of an object), and its fields are the item's, or paths as elsewhere.
After a colon stands how Python's `format` would show the value, or `~2`: so many significant digits; with a `%` after
it, as a percentage. A value of null is shown as `not here`.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import floor, log10
from pathlib import Path
from string import Formatter
from typing import Any

from scripts.figures.machine import ROOT
from scripts.figures.pictures import pictures
from scripts.figures.record import FOLDER, recorded, replace

_BLOCK = re.compile(
    r"(?P<begin>^<!-- figures\n(?P<template>.*?)^-->\n)(?P<text>.*?)^<!-- end figures -->$", re.MULTILINE | re.DOTALL
)
_MARK = re.compile(r"^<!-- (?:end )?figures", re.MULTILINE)
_FOR = re.compile(r"for (?P<path>[\w.-]+): (?P<line>.*)")
_SIGNIFICANT = re.compile(r"~(?P<digits>\d)(?P<percent>%?)")


class FiguresError(ValueError):
    """A block that cannot be written."""


@dataclass(frozen=True)
class Stale:
    """A block, or a picture, that is not what its file says."""

    document: Path
    line: int
    is_now: str
    should_be: str


def documents() -> list[Path]:
    """Where blocks may stand."""
    return [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


def fill() -> list[Path]:
    """Write every block and every picture anew; which files changed."""
    figures, changed = recorded(), []
    for picture, drawn in _pictures(figures):
        if not picture.exists() or picture.read_text(encoding="utf-8") != drawn:
            replace(picture, drawn)
            changed.append(picture)
    wrong = []
    for document in documents():
        text = document.read_text(encoding="utf-8")
        try:
            filled = filled_in(text, figures, document)
        except FiguresError as error:  # the others are filled all the same
            wrong.append(str(error))
            continue
        if filled != text:
            replace(document, filled)
            changed.append(document)
    if wrong:
        raise FiguresError("\n".join(wrong))
    return changed


def _pictures(figures: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    yield from ((FOLDER / name, drawn) for name, drawn in pictures(figures).items())


def stale() -> Iterator[Stale]:
    figures = recorded()
    for picture, drawn in _pictures(figures):
        is_now = picture.read_text(encoding="utf-8") if picture.exists() else ""
        if is_now != drawn:
            yield Stale(picture, 1, is_now, drawn)
    for document in documents():
        yield from stale_in(document, document.read_text(encoding="utf-8"), figures)


def stale_in(document: Path, text: str, figures: Mapping[str, Any]) -> Iterator[Stale]:
    for block in _blocks(text, document):
        should_be = _written(block, text, figures, document)
        if block["text"] != should_be:
            yield Stale(document, text.count("\n", 0, block.start()) + 1, block["text"], should_be)


def filled_in(text: str, figures: Mapping[str, Any], document: Path) -> str:
    for block in reversed(_blocks(text, document)):
        begin, end = block.span("text")
        text = text[:begin] + _written(block, text, figures, document) + text[end:]
    return text


def without_blocks(text: str) -> str:
    """What people wrote."""
    return _BLOCK.sub("", text)


def _blocks(text: str, document: Path) -> list[re.Match[str]]:
    found = list(_BLOCK.finditer(text))
    if len(_MARK.findall(text)) != 2 * len(found):
        raise FiguresError(
            f"{document.name}: a block of figures is not begun or ended as scripts/figures/blocks.py says"
        )
    return found


def _written(block: re.Match[str], text: str, figures: Mapping[str, Any], document: Path) -> str:
    try:
        return "".join(f"{line}\n" for line in _lines(block["template"], figures))
    except (KeyError, IndexError, TypeError, ValueError) as error:
        line = text.count("\n", 0, block.start()) + 1
        raise FiguresError(f"{document.name}:{line}: {error}") from error


def _lines(template: str, figures: Mapping[str, Any]) -> Iterator[str]:
    for line in template.splitlines():
        if found := _FOR.fullmatch(line):
            items = _at(found["path"], figures)
            for item in items.values() if isinstance(items, Mapping) else items:
                yield _Line({**figures, **item}).format(found["line"])
        else:
            yield _Line(figures).format(line)


class _Line(Formatter):
    """Fields by their paths."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def get_field(self, field_name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Any, str]:
        del args, kwargs
        return _at(field_name, self._values), field_name

    def format_field(self, value: Any, format_spec: str) -> str:
        if value is None:
            return "not here"
        if found := _SIGNIFICANT.fullmatch(format_spec):
            scale, unit = (100, " %") if found["percent"] else (1, "")
            return significant(value * scale, int(found["digits"])) + unit
        return format(value, format_spec)


def _at(path: str, values: Mapping[str, Any]) -> Any:
    value: Any = values
    for step in path.split("."):
        try:
            value = value[int(step)] if isinstance(value, list) else value[step]
        except (KeyError, IndexError, TypeError, ValueError):
            raise KeyError(f"no figure {path}: nothing at {step!r}") from None
    return value


def significant(value: float, digits: int) -> str:
    if value == 0:
        return "0"
    value = float(f"{value:.{digits - 1}e}")
    return f"{value:,.{max(digits - 1 - floor(log10(abs(value))), 0)}f}"
