"""Changes to an input: of octets, of the tree that a JSON or TOML text is, of words that parsers stumble over.

What is drawn comes from the generator that is given: the same number, the same changes.
"""

import json
import tomllib
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

_DEEP = 5000
WORDS: tuple[bytes, ...] = (
    *(
        b"\0",
        b"\n",
        b"\r",
        b"\r\n",
        b"\n\n",
        b"\xff",
        b"\xc3",
        b"\xef\xbb\xbf",
        b"\xe2\x80\xa8",
        b"\x1b[2J",
        b"-",
        b" ",
    ),
    *(b"-1", b"0", b"1e999", b"NaN", b"inf", b"nan", b"1_000", b"9" * 19, b"9" * 5000, b"0x10", b"\xd9\xa1"),
    *(b"18446744073709551616", b"9223372036854775808", b"true", b"null", b"{}", b"[]", b'""', b'"\\ud800"', b"'"),
    *(b"[" * _DEEP, b'{"a":' * _DEEP, b"(" * 50, b"\x30\x80", b"\x30\x84\xff\xff\xff\xff", b"\x30\x82\xff\xff"),
    *(b"..", b"../", b"*", b"%s", b"%00", b"=", b",", b":", b"-----BEGIN", b"-----END", b"0001-01-01T00:00:00Z"),
    *(
        b"9999-12-31T23:59:59+00:00",
        b"0001-01-01T00:00:00+23:59",
        b"9999-12-31T23:59:59Z",
        b"\x1f\x8b",
        b"PK\x03\x04",
    ),
)
_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 1 << 31, 1 << 53, 1 << 63, 1 << 64, -(1 << 63), 10**400, 0.5, -0.0),
    *(float("nan"), float("inf"), "", " ", "a", "\0", "\n", "\ud800", "\u202e", "é", "9" * 5000, "-1", "0x0", "*"),
    *(
        [],
        {},
        [[]],
        {"": ""},
        [None],
        ["a"],
        "a" * 10_000,
        "00-00-00-00-00-00-00-00",
        "00" * 32,
        "0001-01-01T00:00:00Z",
    ),
)


def mutated(octets: bytes, others: Sequence[bytes], random: Random) -> bytes:
    """Another input, near this one."""
    tree = _tree(octets) if random.random() < 0.6 else None
    if tree is not None:
        value, write = tree
        for _ in range(random.choice((1, 1, 1, 2, 4))):
            value = _changed(value, random)
        octets = write(value)
        if random.random() < 0.8:
            return octets
    for _ in range(random.choice((1, 1, 2, 3, 8))):
        octets = random.choice(_CHANGES)(octets, others, random)
    return octets


# Octets


def _flip(octets: bytes, _others: Sequence[bytes], random: Random) -> bytes:
    at = random.randrange(len(octets) + 1)
    return octets[:at] + bytes((random.randrange(256),)) + octets[at + 1 :]


def _word(octets: bytes, _others: Sequence[bytes], random: Random) -> bytes:
    at = random.randrange(len(octets) + 1)
    return octets[:at] + random.choice(WORDS) + octets[at + random.choice((0, 0, 1, 2, 8)) :]


def _cut(octets: bytes, _others: Sequence[bytes], random: Random) -> bytes:
    start = random.randrange(len(octets) + 1)
    return octets[:start] + octets[start + random.choice((1, 2, 4, 16, 256, len(octets))) :]


def _again(octets: bytes, _others: Sequence[bytes], random: Random) -> bytes:
    start = random.randrange(len(octets) + 1)
    piece = octets[start : start + random.choice((1, 4, 32, 256))]
    return octets[:start] + piece * random.choice((2, 3, 50)) + octets[start + len(piece) :]


def _spliced(octets: bytes, others: Sequence[bytes], random: Random) -> bytes:
    other = random.choice(others) if others else b""
    return octets[: random.randrange(len(octets) + 1)] + other[random.randrange(len(other) + 1) :]


_CHANGES: tuple[Callable[[bytes, Sequence[bytes], Random], bytes], ...] = (
    _flip,
    _flip,
    _word,
    _cut,
    _again,
    _spliced,
)


# Trees


def _tree(octets: bytes) -> tuple[Any, Callable[[Any], bytes]] | None:
    """What a text says, and how it is written again; none if it is no tree."""
    if octets[:1] in (b"{", b"["):
        try:
            return json.loads(octets), lambda value: json.dumps(value).encode()
        except (ValueError, RecursionError):
            pass
        try:
            lines = [json.loads(line) for line in octets.splitlines()]
            return lines, _lines
        except (ValueError, RecursionError):
            return None
    try:
        table = tomllib.loads(octets.decode())
    except (ValueError, RecursionError):
        return None
    return (table, lambda value: write_toml(value if isinstance(value, dict) else {"": value})) if table else None


def _lines(value: Any) -> bytes:
    rows = value if isinstance(value, list) else [value]
    return b"".join(json.dumps(one).encode() + b"\n" for one in rows)


def _changed(value: Any, random: Random) -> Any:
    """One thing in a tree made another, removed, doubled, or called otherwise."""
    if isinstance(value, list) and value and random.random() < 0.9:
        at = random.randrange(len(value))
        what = random.randrange(8)
        middle = [] if what == 0 else [value[at]] * 2 if what == 1 else [_changed(value[at], random)]
        return [*value[:at], *middle, *value[at + 1 :]]
    if isinstance(value, dict) and value and random.random() < 0.9:
        key = random.choice(list(value))
        what = random.randrange(10)
        rest = {name: item for name, item in value.items() if name != key}
        if what == 0:
            return rest
        if what == 1:
            return {**rest, random.choice(("x", "", "kind", "a" * 200, str(key).upper())): value[key]}
        return {**value, key: _changed(value[key], random)}
    return random.choice(_VALUES)


def write_toml(table: dict[str, Any]) -> bytes:
    """TOML again: each key of the top with all below it in a line."""
    return "".join(f"{json.dumps(str(key))} = {_toml(value)}\n" for key, value in table.items()).encode(
        errors="surrogatepass"
    )


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(str(key))} = {_toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if value is None:
        return '"none"'
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
