"""Where the test data that nobody here wrote is found, and what happens where it is not."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

_DEFAULT = Path(__file__).parent.parent.parent / "shared" / "vectors"


def vectors(*parts: str) -> Path:
    """A place in the folder SMKI_VECTORS names, or a skip that says what is missing."""
    path = Path(os.environ.get("SMKI_VECTORS", _DEFAULT)).joinpath(*parts)
    if not path.exists():
        pytest.skip(f"no test data: {path} is absent (SMKI_VECTORS names the folder)")
    return path


def read_json(*parts: str) -> Any:
    return json.loads(vectors(*parts).read_text(encoding="utf-8"))
