"""Lines of a service's journal, on standard error: for a person at a terminal, else JSON, a line an event."""

import sys
from collections.abc import Callable
from typing import Any


def journal() -> Callable[..., None]:
    """A function that takes an event's name and its facts. Nothing secret is ever a fact.

    How urgent an event is, its fact `level` says.
    """
    import structlog

    renderer: Any = structlog.processors.JSONRenderer()
    if sys.stderr.isatty():
        # What comes from outside moves no cursor and writes no second line.
        renderer = structlog.dev.ConsoleRenderer(repr_native_str=True)
    stamp = structlog.processors.TimeStamper(fmt="iso", utc=True)
    log = structlog.wrap_logger(structlog.PrintLogger(sys.stderr), processors=[stamp, renderer])

    def tell(event: str, **facts: Any) -> None:
        log.msg(event, **facts)

    return tell
