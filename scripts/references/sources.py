"""Our source, and what stands written in it beneath a field, which Python does not keep."""

import ast
import inspect
import re
import sys
from collections.abc import Mapping
from datetime import timedelta
from enum import Enum
from functools import cache
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).parent.parent.parent
_NAME = re.compile(r"\{([A-Z_]*[A-Z][A-Z_0-9]*)\}")
_UNITS = (
    (timedelta(days=1), "d"),
    (timedelta(hours=1), "h"),
    (timedelta(minutes=1), "m"),
    (timedelta(seconds=1), "s"),
)


class Undocumented(Exception):
    """Something that a reader would have to guess."""


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def module_of(kind: type) -> ModuleType:
    return sys.modules[kind.__module__]


@cache
def field_docs(kind: type) -> Mapping[str, str]:
    """The sentence beneath each field of a class, its bases' included, with the limits the code holds put in."""
    found: dict[str, str] = {}
    for one in reversed(kind.__mro__):
        if one.__module__.startswith("smki."):
            module = module_of(one)
            told = beneath(_body(one))
            found |= {name: with_limits(text, module) for name, text in told.items()}
    return found


def class_doc(kind: type) -> str:
    """What a class says of itself, its limits put in; nothing where it says nothing."""
    own = kind.__dict__.get("__doc__")
    return with_limits(inspect.cleandoc(own), module_of(kind)) if own else ""


def with_limits(text: str, module: ModuleType) -> str:
    """Put the value of a constant where its {NAME} stands: no page tells another limit than the code holds."""

    def value(match: re.Match[str]) -> str:
        try:
            return in_words(getattr(module, match[1]))
        except AttributeError:
            raise Undocumented(f"{module.__name__} has no {match[1]}, which its documentation names") from None

    return " ".join(_NAME.sub(value, text).split("\n")) if "\n\n" not in text else _NAME.sub(value, text)


def in_words(value: Any) -> str:
    """A constant as a person writes it."""
    if isinstance(value, timedelta):
        for unit, letter in _UNITS:
            if value % unit == timedelta() and value >= unit:
                return f"`{value // unit}{letter}`"
    if isinstance(value, int):
        return f"{value:,}" if value >= 10_000 else str(value)
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, Enum):
        return f"`{value.value}`"
    if isinstance(value, str):
        return f"`{value}`"
    members = sorted(value) if isinstance(value, set | frozenset) else list(value)
    return ", ".join(in_words(member) for member in members)


def _body(kind: type) -> list[ast.stmt]:
    path = Path(inspect.getsourcefile(kind) or "")
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.ClassDef) and node.name == kind.__name__:
            return node.body
    return []


def beneath(body: list[ast.stmt]) -> dict[str, str]:
    """The string that stands beneath each field of a class."""
    found = {}
    for field, after in pairwise(body):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(after, ast.Expr)
            and isinstance(after.value, ast.Constant)
            and isinstance(after.value.value, str)
        ):
            found[field.target.id] = inspect.cleandoc(after.value.value)
    return found


def anchor(heading: str) -> str:
    """As a page of Markdown has it: letters, digits, - and _ in lower case."""
    kept = "".join(sign for sign in heading.lower() if sign.isalnum() or sign in "-_ ")
    return kept.replace(" ", "-")
