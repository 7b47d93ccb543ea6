"""Which pages there are, and what writes each."""

from collections.abc import Callable
from pathlib import Path

from scripts.references import commands, errors, files, man, python, requirements
from scripts.references.sources import ROOT

DOCS = ROOT / "docs"
PAGES: dict[str, Callable[[], str]] = {
    "reference/commands.md": commands.page,
    "reference/errors.md": errors.page,
    "reference/policies.md": files.policies_page,
    "reference/files.md": files.files_page,
    "reference/python.md": python.page,
    "requirements.md": requirements.page,
}


def pages() -> dict[str, str]:
    """Every page by its path below docs/."""
    return {path: write() for path, write in PAGES.items()} | manuals()


def manuals() -> dict[str, str]:
    """The manual pages by their paths."""
    return {f"man/{name}": text for name, text in man.pages().items()}


def stale_files() -> list[Path]:
    """Manuals of commands that are no more."""
    return sorted(set((DOCS / "man").glob("*")) - {DOCS / path for path in manuals()})
