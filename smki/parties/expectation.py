"""What was asked for: the other side of sign-what-you-see.

A user's system asks for a command; a transform service writes it; what it wrote is compared with what was asked,
value by value, before it is signed (technical architecture 5.3). A value more or less is a difference.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from smki.authority.safe_files import read_bounded
from smki.entity import EntityId
from smki.errors import InvalidInput
from smki.gbcs.words import Reading

MAX_FILE_OCTETS = 1 << 28
_SHOWN = 5
AMBIGUOUS = {"CS02b", "CS02g"}  # a mode each has its own code, and they do very different things


class _Written(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a command is expected to say, beside it: a line of JSON for each, for `smki message sign --expect`."""

    use_case: str
    """Its name or code."""
    target: str
    """The device's EUI-64."""
    counter: str
    """Decimal digits."""
    values: dict[str, str]
    """Each value by its path, as `smki message show` has it."""
    originator: str | None = None
    """The sender's EUI-64; without it, whoever signs."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """One command that was asked for."""

    use_case: str
    target: EntityId
    counter: int
    values: dict[str, str]
    originator: EntityId | None
    digest: bytes
    """SHA-256 of it in its one form, for the log."""

    def differences(self, reading: Reading) -> Iterator[str]:
        """Every way in which a message is not what was asked."""
        header, row = reading.message.header, reading.use_case
        known = set() if row is None else {str(row.code), row.name} - AMBIGUOUS
        if self.use_case in AMBIGUOUS:
            yield f"use case {self.use_case} has several codes: ask for the code"
        elif self.use_case not in known:
            yield f"use case {self.use_case} was asked for, and this is {header.code}"
        if self.originator is not None and self.originator != header.originator:
            yield f"originator {self.originator} was asked for, and this is from {header.originator}"
        if self.target != header.target:
            yield f"target {self.target} was asked for, and this is for {header.target}"
        if self.counter != header.counter:
            yield f"counter {self.counter} was asked for, and this has {header.counter}"
        yield from self._values(reading.values)

    def _values(self, found: dict[str, str]) -> Iterator[str]:
        for path, value in self.values.items():
            if path not in found:
                yield f"{path!r} was asked to be {value!r}, and is absent"
            elif found[path] != value:
                yield f"{path!r} was asked to be {value!r}, and is {found[path]!r}"
        for path, value in found.items():
            if path not in self.values:
                yield f"{path!r} is {value!r}, and was not asked for"


def told(differences: list[str]) -> str:
    more = len(differences) - _SHOWN
    return "; ".join(differences[:_SHOWN]) + (f"; and {more} more" if more > 0 else "")


class Expectations:
    """Everything that was asked for, found by target and counter."""

    def __init__(self, items: Iterator[Expectation]) -> None:
        self._items: dict[tuple[EntityId, int], Expectation] = {}
        for item in items:
            if self._items.setdefault((item.target, item.counter), item) is not item:
                raise InvalidInput(
                    "expectation.twice",
                    f"two expectations for {item.target}, counter {item.counter}",
                    "ask for each command once",
                )

    def of(self, reading: Reading) -> Expectation | None:
        header = reading.message.header
        return self._items.get((header.target, header.counter))


def read_expectations(path: Path) -> Expectations:
    """From a file: one object, a list of them, or one a line."""
    data = read_bounded(path, MAX_FILE_OCTETS, "expectation", "split it")
    try:
        items = [_checked(item) for item in _parse(data)]  # half a character has no one form, and no digest
    except (ValueError, TypeError, RecursionError, msgspec.ValidationError) as error:
        raise InvalidInput(
            "expectation.form", f"{path}: {str(error)[:120]}", "docs/signing.md shows its form"
        ) from None
    if not items:
        raise InvalidInput("expectation.form", f"{path} asks for nothing", "docs/signing.md shows its form")
    return Expectations(iter(items))


def _parse(data: bytes) -> list[_Written]:
    """One object, a list, or one a line; a key that comes twice is an error: readers differ on which counts."""
    if data.lstrip()[:1] == b"[":
        found = json.loads(data, object_pairs_hook=_unique)
    else:
        try:
            found = [json.loads(data, object_pairs_hook=_unique)]
        except json.JSONDecodeError:
            found = [json.loads(line, object_pairs_hook=_unique) for line in data.splitlines() if line.strip()]
    return msgspec.convert(found, list[_Written])


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key comes twice")
    return found


def _checked(item: _Written) -> Expectation:
    digits = item.counter.isascii() and item.counter.isdigit() and len(item.counter) <= 20
    if not digits or str(int(item.counter)) != item.counter:
        raise InvalidInput(
            "expectation.counter", f"{item.counter[:30]!r} is no counter", "write it in decimal digits"
        )
    return Expectation(
        use_case=item.use_case,
        target=EntityId.parse(item.target),
        counter=int(item.counter),
        values=item.values,
        originator=None if item.originator is None else EntityId.parse(item.originator),
        digest=hashlib.sha256(msgspec.json.encode(item, order="sorted")).digest(),
    )
