"""Strict reading of TOML: a file becomes a frozen value, or an error naming file, key and remedy."""

import hashlib
import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec

from smki.errors import InvalidInput

MAX_FILE_OCTETS = 1 << 20  # the largest file shipped is a few kilobytes; more is a mistake or an attack

_MOST_SHOWN = 160
_NUL = re.compile(r"\\(?:u0000|U00000000)")  # TOML has it as an escape alone

T = TypeVar("T")


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of every table in a file we read: immutable, and an unknown key is an error."""


@dataclass(frozen=True, slots=True)
class Sourced(Generic[T]):
    """A value with the name and SHA-256 of the file it came from, for the audit log."""

    value: T
    source: str
    sha256: bytes


def octets_of(file: Path | Traversable) -> bytes:
    """A file's octets, and never many more than there may be: `read_toml` refuses those."""
    with file.open("rb") as opened:
        found: bytes = opened.read(MAX_FILE_OCTETS + 1)
    return found


def read_toml(data: bytes, source: str, kind: type[T]) -> Sourced[T]:
    """Turn the octets of the file called `source` into a value of `kind`."""
    if len(data) > MAX_FILE_OCTETS:
        raise InvalidInput(
            "settings.size",
            f"{source}: {len(data)} octets, and the limit is {MAX_FILE_OCTETS}",
            "check that this is the file you meant",
        )
    try:
        text = data.decode("utf-8")
        tables = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # also a number of more digits than Python reads
        raise InvalidInput("settings.syntax", f"{source}: not TOML: {error}", "mend the line it names") from None
    if _NUL.search(text):  # no file, library or database takes one, and each ends otherwise on it
        raise InvalidInput("settings.value", f"{source}: a text with the character NUL in it", "leave it out")
    try:
        value = msgspec.convert(tables, kind)
    except msgspec.ValidationError as error:
        raise _explain(source, str(error), lambda part: msgspec.convert(part, kind), tables) from None
    return Sourced(value, source, hashlib.sha256(data).digest())


def parsed(parse: Callable[[str], T], text: str, where: str) -> T:
    """A text of a file as what it stands for; what is wrong with it is told with file and key."""
    try:
        return parse(text)
    except InvalidInput as error:
        raise InvalidInput("policy.value", f"{where}: {error.message}", error.remedy) from None


def at(source: str, key: str) -> str:
    """How errors name a key of a file."""
    return f"{source}: key `{_shown(key)}`"


def _explain(source: str, reason: str, convert: Callable[[Any], object], tables: Any) -> InvalidInput:
    """Turn msgspec's sentence (`Expected `int`, got `str` - at `$.a.b``) into file, key, remedy."""
    sentence, _, place = reason.rpartition(" - at `")
    sentence, place = (sentence, place) if sentence else (place, "")
    place = place.rstrip("`").removeprefix("key` in `").removeprefix("$").lstrip(".")
    if "[...]" in place:
        place = _named(place, reason, convert, tables)
    sentence = _shown(sentence)
    unknown = re.search(r"unknown field `(.*)`", sentence)
    if unknown:
        return InvalidInput(
            "settings.unknown-key",
            f"{at(source, f'{place}.{unknown[1]}'.lstrip('.'))} is not known",
            "remove it, or correct its spelling: every key is listed in docs/reference, in policies.md and files.md",
        )
    missing = re.search(r"missing required field `(.*)`", sentence)
    if missing:
        where = at(source, f"{place}.{missing[1]}".lstrip("."))
        return InvalidInput("settings.missing-key", f"{where} is missing", f"add `{missing[1]}`")
    return InvalidInput(
        "settings.value",
        f"{at(source, place)}: {sentence}",
        "give a value of the kind named; policies.md and files.md in docs/reference list each key",
    )


def _named(place: str, reason: str, convert: Callable[[Any], object], tables: Any) -> str:
    """msgspec writes `[...]` for a key that a file is free to choose: the one with which alone it says the same."""
    before, _, after = place.partition("[...]")
    path = [word for word in before.split(".") if word]
    for key in _keys(tables, path):
        try:
            convert(_only(tables, path, key))
        except msgspec.ValidationError as error:
            if str(error) == reason:
                found = f"{before}.{key}".lstrip(".") + after
                return _named(found, reason, convert, tables) if "[...]" in after else found
    return place


def _keys(tables: Any, path: list[str]) -> list[str]:
    for word in path:
        tables = tables.get(word) if isinstance(tables, dict) else None
    return list(tables) if isinstance(tables, dict) else []


def _only(tables: Any, path: list[str], key: str) -> Any:
    """The same tables, with this key alone in the one at the path."""
    if not path:
        return {key: tables[key]}
    return {**tables, path[0]: _only(tables[path[0]], path[1:], key)}


def _shown(text: str) -> str:
    """As much as a person reads, and nothing that moves a cursor."""
    short = text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}…"
    return "".join(c if c.isprintable() else "?" for c in short)
