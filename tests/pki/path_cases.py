"""What outside path validation cases are held against: their own verdicts, and our list of exceptions."""

import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from smki.pki.path import InvalidPath, ValidPath
from tests.vectors_folder import read_json

EXCEPTIONS = Path(__file__).parent.parent / "golden" / "path-exceptions.toml"


def cases(member: str, *parts: str) -> list[Any]:
    """The cases a file holds, for parametrising; none where the folder is absent, which pytest shows as a skip."""
    try:
        found: list[Any] = read_json(*parts)[member]
    except pytest.skip.Exception:
        return []
    return found


@cache
def exceptions() -> dict[str, list[dict[str, str]]]:
    return tomllib.loads(EXCEPTIONS.read_text(encoding="utf-8"))


def settle(suite: str, case: str, expected: bool, verdict: ValidPath | InvalidPath) -> None:
    """A false accept always fails; a false refusal, unless listed for its reason; and a listing that is stale."""
    listed = [row for row in exceptions()["case"] if (row["suite"], row["id"]) == (suite, case)]
    codes = set() if isinstance(verdict, ValidPath) else {fault.code for fault in verdict.faults}
    if not codes:
        assert expected, f"{case}: accepted, and must not be"
        assert not listed, f"{case}: listed as an exception, and is none"
        return
    if not expected:
        assert not listed, f"{case}: listed as an exception, and is none"
        return
    for row in listed:
        assert row["expected"] == "accept"
        assert row["actual"] in codes
    categories = {row["actual"] for row in exceptions()["category"] if row["suite"] == suite}
    assert listed or codes <= categories, f"{case}: {verdict}"
