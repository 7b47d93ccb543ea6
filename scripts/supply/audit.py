"""Holding what is installed against what is pinned: each fault a line; nothing is fetched."""

import ast
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path

from scripts.supply.bill import Licence, installed_licence
from scripts.supply.licences import is_allowed
from scripts.supply.pins import ROOT, Pin, name_in, normal

# Tools that are run by name, or found by pytest: what shows that they are used is a word in a file.
_BY_NAME = {
    "coverage": ("pyproject.toml", "[tool.coverage.run]"),
    "import-linter": ("scripts/check", "lint-imports"),
    "mypy": ("scripts/check", "mypy"),
    "pytest-cov": ("scripts/check", "--cov"),
    "pytest-xdist": ("scripts/check", "--numprocesses"),
    "ruff": ("scripts/check", "ruff check"),
    "setuptools": ("pyproject.toml", "setuptools.build_meta"),
}

Installed = Callable[[str], str | None]


def installed_version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def version_faults(pins: Mapping[str, Pin], installed: Installed = installed_version) -> Iterator[str]:
    for name, pin in sorted(pins.items()):
        found = installed(name)
        if found is None:
            yield f"{name} is pinned, and not installed"
        elif found != pin.version:
            yield f"{name} is pinned as {pin.version}, and {found} is installed"


def licence_faults(pins: Mapping[str, Pin], licence: Licence = installed_licence) -> Iterator[str]:
    for name in sorted(pins):
        try:
            found = licence(name)
        except PackageNotFoundError:
            continue  # told as not installed
        if not is_allowed(found):
            yield f"{name} is under {found or 'no licence that is understood'}, which is not allowed here"


def unused(root: Path = ROOT) -> Iterator[str]:
    """What is asked for, and imported nowhere: a dependency less is a risk less."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [one for group in project.get("optional-dependencies", {}).values() for one in group]
    for name in sorted(name_in(one) for one in [*project["dependencies"], *extras]):
        if not is_imported(_modules(name), root / "smki"):
            yield f"{name} is a dependency, and nothing in smki/ imports it"
    everywhere = [root / name for name in ("tests", "scripts", "smki")]
    for name in sorted(_asked(root / "requirements" / "dev.in")):
        if not is_imported(_modules(name), *everywhere) and not _is_named(name, root):
            yield f"{name} is in dev.in, and nothing uses it"


@cache
def is_imported(modules: frozenset[str], *folders: Path) -> bool:
    """Whether any file there imports one of these; a word in a comment is no import."""
    words = re.compile(rf"\b(?:import|from)\s[^#\n]*\b(?:{'|'.join(sorted(map(re.escape, modules)))})\b")
    for folder in folders:
        for path in sorted(folder.rglob("*.py")):
            text = path.read_text(encoding="utf-8")
            if modules and words.search(text) and not modules.isdisjoint(_imports(text)):
                return True
    return False


def _imports(text: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def _modules(name: str) -> frozenset[str]:
    return frozenset(module for module, owners in _owners().items() if name in map(normal, owners))


@cache
def _owners() -> Mapping[str, list[str]]:
    return packages_distributions()


def _asked(path: Path) -> Iterator[str]:
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.strip() and not line.startswith(("#", "-")):
            yield name_in(line.strip())


def _is_named(name: str, root: Path) -> bool:
    place, word = _BY_NAME.get(name, ("", ""))
    path = root / place
    if not place or not path.exists():
        return False
    files = path.rglob("*.py") if path.is_dir() else [path]
    return any(word in file.read_text(encoding="utf-8") for file in files)
