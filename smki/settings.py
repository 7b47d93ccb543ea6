"""Strict reading of TOML: a file becomes a frozen value, or an error naming file, key and remedy."""

import hashlib
import re
import tomllib
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from smki.errors import InvalidInput

MAX_FILE_OCTETS = 1 << 20  # the largest file shipped is a few kilobytes; more is a mistake or an attack

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
        raise _explain(source, str(error)) from None
    return Sourced(value, source, hashlib.sha256(data).digest())


def _explain(source: str, reason: str) -> InvalidInput:
    """Turn msgspec's sentence (`Expected `int`, got `str` - at `$.a.b``) into file, key, remedy."""
    sentence, _, place = reason.partition(" - at `")
    place = place.rstrip("`").removeprefix("$").lstrip(".")
    unknown = re.search(r"unknown field `(.*)`", sentence)
    if unknown:
        key = f"{place}.{unknown[1]}".lstrip(".")
        return InvalidInput(
            "settings.unknown-key",
            f"{source}: key `{key}` is not known",
            "remove it, or correct its spelling: every key is listed in docs/reference, in policies.md and files.md",
        )
    missing = re.search(r"missing required field `(.*)`", sentence)
    if missing:
        key = f"{place}.{missing[1]}".lstrip(".")
        return InvalidInput("settings.missing-key", f"{source}: key `{key}` is missing", f"add `{missing[1]}`")
    return InvalidInput(
        "settings.value",
        f"{source}: key `{place}`: {sentence}",
        "give a value of the kind named; policies.md and files.md in docs/reference list each key",
    )
