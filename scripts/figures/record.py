"""The files of docs/figures."""

import json
import os
import tempfile
from collections.abc import Mapping
from math import isfinite
from pathlib import Path
from typing import Any

from scripts.figures.machine import ROOT, Measured

FOLDER = ROOT / "docs" / "figures"
_DIGITS = 4  # more were noise


def record(name: str, figures: Mapping[str, Any], measured: Measured, folder: Path = FOLDER) -> None:
    """The file of this name anew, whole or not at all."""
    text = json.dumps({"measured": measured, **_rounded(figures)}, indent=1, ensure_ascii=False)
    replace(folder / f"{name}.json", text + "\n")


def recorded(folder: Path = FOLDER) -> dict[str, Any]:
    """What every file says, by its name."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))}


def replace(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    descriptor, new = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        os.fchmod(file.fileno(), 0o644)
    Path(new).replace(path)


def _rounded(value: Any) -> Any:
    match value:
        case float():
            if not isfinite(value):
                raise ValueError(f"{value} is no figure")
            return float(f"{value:.{_DIGITS}g}")
        case Mapping():
            return {key: _rounded(one) for key, one in value.items()}
        case list() | tuple():
            return [_rounded(one) for one in value]
        case _:
            return value
