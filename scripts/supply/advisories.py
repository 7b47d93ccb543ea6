"""Known weaknesses, from a folder of advisories in the OSV format (JSON): which of them are of a pinned version."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.version import InvalidVersion, Version

from scripts.supply.pins import Pin, normal

_MAX_OCTETS = 1 << 24
_ECOSYSTEM = "PyPI"


class BadAdvisory(ValueError):
    """A file that is no advisory."""


@dataclass(frozen=True)
class Weakness:
    """One advisory that is of a version we pin."""

    identifier: str
    package: str
    version: str
    summary: str


def weaknesses(folder: Path, pins: Mapping[str, Pin]) -> tuple[int, list[Weakness]]:
    """How many advisories were read, and those that concern us."""
    count, found = 0, []
    for path in sorted(folder.rglob("*.json")):
        advisory = _read(path)
        count += 1
        if not advisory.get("withdrawn"):
            found += list(_of(advisory, pins))
    return count, found


def _read(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        data = file.read(_MAX_OCTETS + 1)
    try:
        advisory = json.loads(data) if len(data) <= _MAX_OCTETS else None
    except (ValueError, RecursionError):
        advisory = None
    if not isinstance(advisory, dict) or not isinstance(advisory.get("id"), str):
        raise BadAdvisory(f"{path} is no advisory in the OSV format")
    return advisory


def _of(advisory: dict[str, Any], pins: Mapping[str, Pin]) -> Iterator[Weakness]:
    for affected in advisory.get("affected", []):
        package = affected.get("package", {})
        pin = pins.get(normal(str(package.get("name", ""))))
        if package.get("ecosystem") != _ECOSYSTEM or pin is None:
            continue
        listed = pin.version in affected.get("versions", [])
        if listed or any(_is_within(pin.version, one) for one in affected.get("ranges", [])):
            summary = str(advisory.get("summary") or advisory.get("details") or "")
            yield Weakness(advisory["id"], pin.name, pin.version, " ".join(summary.split())[:120])


def _is_within(version: str, stretch: dict[str, Any]) -> bool:
    """Events in the order of their versions switch it on and off (OSV, evaluation); what cannot be read counts."""
    if stretch.get("type") not in {"ECOSYSTEM", "SEMVER"}:
        return False
    try:
        events = sorted((_version(text), kind) for event in stretch["events"] for kind, text in event.items())
        ours = Version(version)
    except (InvalidVersion, KeyError, AttributeError, TypeError):
        return True
    is_affected = False
    for at, kind in events:
        if kind == "introduced" and at <= ours:
            is_affected = True
        elif (kind == "fixed" and at <= ours) or (kind == "last_affected" and at < ours):
            is_affected = False
    return is_affected


def _version(text: str) -> Version:
    return Version("0.dev0" if text == "0" else text)
