"""Pinned packages, as pip-compile wrote them: version, digests of every file that may be installed, and who asked."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
_PIN = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[a-z,]+\])?==([A-Za-z0-9.!+_-]+)(?: ; [^\\]+)? \\")
_HASH = re.compile(r"    --hash=sha256:([0-9a-f]{64})(?: \\)?")
_VIA = re.compile(r"    #(?: via)?(?:   | )?(.*)")


class BadPins(ValueError):
    """A line of a requirements file that pins nothing."""


@dataclass(frozen=True)
class Pin:
    """One package at one version."""

    name: str
    version: str
    sha256: tuple[str, ...]
    via: tuple[str, ...]
    """The packages that need it, by their names; of those that are asked for by us, a file."""

    @property
    def purl(self) -> str:
        return f"pkg:pypi/{self.name}@{self.version}"

    @property
    def is_direct(self) -> bool:
        return any("/" in one or "(" in one for one in self.via)


def normal(name: str) -> str:
    """A package's name in its one form (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def name_in(requirement: str) -> str:
    """The package that a requirement asks for, whatever stands after its name."""
    match = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert match is not None, requirement
    return normal(match[0])


def read_pins(text: str, source: str) -> dict[str, Pin]:
    """Every package of a file, by name; a line that is no pin with its hashes is an error."""
    found: dict[str, Pin] = {}
    for head, hashes, via in _blocks(text, source):
        name = normal(head[1])
        if name in found or not hashes:
            raise BadPins(f"{source}: {name} is pinned twice, or without a hash")
        found[name] = Pin(name, head[2], tuple(sorted(hashes)), tuple(sorted(via)))
    return found


def _blocks(text: str, source: str) -> Iterator[tuple[re.Match[str], list[str], list[str]]]:
    head: re.Match[str] | None = None
    hashes: list[str] = []
    via: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        if (match := _HASH.fullmatch(line)) and head is not None:
            hashes.append(match[1])
        elif (match := _VIA.fullmatch(line)) and head is not None:
            via += [_asker(match[1])] if match[1] else []
        elif match := _PIN.fullmatch(line):
            if head is not None:
                yield head, hashes, via
            head, hashes, via = match, [], []
        elif line.strip() and not line.startswith("#"):
            raise BadPins(f"{source} line {number} pins nothing: {line[:80]!r}")
    if head is not None:
        yield head, hashes, via


def _asker(text: str) -> str:
    return text if "/" in text or "(" in text else normal(text.strip())


def pins_of(*names: str, root: Path = ROOT) -> dict[str, Pin]:
    """Of some files in requirements/, together."""
    found: dict[str, Pin] = {}
    for name in names:
        path = root / "requirements" / f"{name}.txt"
        for pin in read_pins(path.read_text(encoding="utf-8"), path.name).values():
            before = found.setdefault(pin.name, pin)
            if before.version != pin.version:
                raise BadPins(f"{pin.name} is pinned as {before.version} and as {pin.version}")
    return found


def only_for(extra: frozenset[str], pins: Mapping[str, Pin]) -> frozenset[str]:
    """The packages that nobody needs but those of an extra."""
    found = set(extra & pins.keys())
    while more := {
        name for name, pin in pins.items() if name not in found and not pin.is_direct and set(pin.via) <= found
    }:
        found |= more
    return frozenset(found)
