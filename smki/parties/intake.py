"""Messages as people and programs hand them in: files, folders, lines, a pipe; hexadecimal, base64 or octets."""

import base64
import binascii
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import msgspec

from smki.errors import InvalidInput
from smki.gbcs.message import MAX_MESSAGE_OCTETS

MAX_FILE_OCTETS = 1 << 28
MOST = 1_000_000  # messages for one command
MAX_REFERENCE = 200
_TEXT_OCTETS = 2 * MAX_MESSAGE_OCTETS + 1024  # of one message in hexadecimal, with some space between
_FIRST_OCTETS = (0xDD, 0xDF, 0xE0)  # of a message or a block of one: none of them begins a text
_HEX = frozenset(b"0123456789abcdefABCDEF")
STANDARD_INPUT = Path("-")


@dataclass(frozen=True, slots=True)
class Given:
    """One message as handed in: under which reference, which octets."""

    reference: str
    octets: bytes = field(repr=False)


class _Line(msgspec.Struct, frozen=True):
    """One message: a line of JSON."""

    message: str
    """Hexadecimal, or base64."""
    reference: str = ""
    """What you call it."""


_decode_line = msgspec.json.Decoder(_Line).decode


def take_in(paths: Iterable[Path], pipe: BinaryIO, most: int) -> Iterator[Given]:
    """Every message in these places, in their order; more than `most` are refused before any is looked at."""
    count = 0
    for path in paths:
        for given in _from_place(path, pipe):
            count += 1
            if count > most:
                raise InvalidInput("message.count", f"more than {most} messages", "hand them in in parts")
            yield given


def _from_place(path: Path, pipe: BinaryIO) -> Iterator[Given]:
    if path == STANDARD_INPUT:
        yield from _from_octets(_bounded(pipe, "standard input"), "standard input")
        return
    try:
        if not path.is_dir():
            with path.open("rb") as file:
                yield from _from_octets(_bounded(file, str(path)), printable(path.name))
            return
        for member in sorted(item for item in path.iterdir() if item.is_file()):
            with member.open("rb") as file:
                data = _bounded(file, str(member))
            try:
                yield from list(_from_octets(data, printable(member.name)))
            except InvalidInput:  # told as the others are that are no messages, and no reason to stop
                yield Given(printable(member.name), data[:MAX_MESSAGE_OCTETS])
    except OSError as error:
        raise InvalidInput("message.unreadable", f"{path}: {error.strerror}", "name a file you can read") from None


def _bounded(file: BinaryIO, source: str) -> bytes:
    data = file.read(MAX_FILE_OCTETS + 1)
    if len(data) > MAX_FILE_OCTETS:
        raise InvalidInput("message.size", f"{source} is larger than {MAX_FILE_OCTETS} octets", "hand it in in parts")
    return data


def _from_octets(data: bytes, source: str) -> Iterator[Given]:
    """One message as octets, JSON lines, one in text over any number of lines, or several of a line each."""
    if data[:1] and data[0] in _FIRST_OCTETS:
        yield Given(source, data)
        return
    if data.count(b"\n") > 2 * MOST:
        raise InvalidInput("message.count", f"{source} has more than {2 * MOST} lines", "hand it in in parts")
    lines = [line.strip() for line in data.splitlines() if line.strip()]
    if not lines:
        raise InvalidInput("message.empty", f"{source} holds no message", "name a file with a message")
    if lines[0].startswith(b"{"):
        yield from (_json_line(line, f"{source} line {number}") for number, line in enumerate(lines, 1))
    elif all(_begins_message(line) for line in lines):
        many = len(lines) > 1
        for number, line in enumerate(lines, 1):
            yield Given(f"{source} line {number}" if many else source, decode_text(line, source))
    else:
        yield Given(source, decode_text(b"".join(lines), source))


def printable(text: str) -> str:
    """A reference as it can be written down and shown: nothing in it moves a cursor or is half a character."""
    safe = text.encode("utf-8", "backslashreplace").decode()
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in safe)[:MAX_REFERENCE]


def _begins_message(line: bytes) -> bool:
    return line[:2].lower() in {b"dd", b"df", b"e0"} or line[:2] in {b"3Q", b"3w", b"4A"}


def _json_line(line: bytes, source: str) -> Given:
    try:
        read = _decode_line(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise InvalidInput(
            "message.line", f"{source} is no message in JSON", 'write {"reference": "...", "message": "..."}'
        ) from None
    return Given(printable(read.reference) or source, decode_text(read.message.encode(), source))


def decode_text(text: bytes, source: str) -> bytes:
    """A message from hexadecimal or base64."""
    compact = b"".join(text.split())
    if not compact or len(compact) > _TEXT_OCTETS:
        raise InvalidInput("message.size", f"{source}: a text of {len(compact)} characters", "give one message")
    try:
        if _HEX.issuperset(compact):
            return bytes.fromhex(compact.decode())
        return base64.b64decode(compact, validate=True)
    except (ValueError, binascii.Error):
        raise InvalidInput(
            "message.text",
            f"{source} is neither hexadecimal nor base64",
            "give the message as one of them, or as octets",
        ) from None


def given_as_argument(argument: str) -> Given | None:
    """A message typed where a file is named, if it is one."""
    text = argument.encode(errors="replace")
    if not _begins_message(text) or len(text) < 64:
        return None
    return Given("argument", decode_text(text, "argument"))


def given(places: Iterable[str], pipe: BinaryIO) -> Iterator[Given]:
    """Messages from a command's arguments: typed, or in files and folders."""
    for place in places:
        typed = given_as_argument(place)
        if typed is not None:
            yield typed
        else:
            yield from take_in([Path(place)], pipe, MOST)
