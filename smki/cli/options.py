"""What many options take, and how several are put on one command."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])
FILE = click.Path(path_type=Path, dir_okay=False)
FILE_OR_PIPE = click.Path(path_type=Path, dir_okay=False, allow_dash=True)
EXISTING = click.Path(path_type=Path, dir_okay=False, exists=True)


def with_options(function: F, *options: Callable[[F], F]) -> F:
    """A command with options, which its help lists in this order."""
    for option in reversed(options):
        function = option(function)
    return function
