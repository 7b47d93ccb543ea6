"""Lines of a service's journal, on standard error: for a person at a terminal, else JSON, a line an event."""

import sys
from collections.abc import Callable
from typing import Any


def journal() -> Callable[..., None]:
    """A function that takes an event's name and its facts. Nothing secret is ever a fact."""
    import structlog

    terminal = sys.stderr.isatty()
    processors: list[Any] = [structlog.processors.TimeStamper(fmt="iso", utc=True)]
    processors.append(structlog.dev.ConsoleRenderer() if terminal else structlog.processors.JSONRenderer())
    log = structlog.wrap_logger(structlog.PrintLogger(sys.stderr), processors=processors)

    def tell(event: str, **facts: Any) -> None:
        log.msg(event, **facts)

    return tell
