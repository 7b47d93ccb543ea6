"""The form of a journal's file: frames of msgpack, each after its length. Pure but for the file it reads.

A head, the statements of the act in their order, the entries of the log, and an end with the hash of all before it.
"""

from pathlib import Path
from typing import Annotated, Any, BinaryIO

import msgspec
from msgspec import Meta

from smki.errors import IntegrityFailure

MAX_FRAME_OCTETS = 1 << 28
LENGTH_OCTETS = 4
_Size = Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]


class Head(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag="act"):
    """Which act it is: whose, and how long the log was before it."""

    schema: Annotated[int, Meta(ge=1, le=1000)]
    workspace: bytes
    before: _Size


class Statement(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag="do"):
    """One statement that changed something."""

    sql: str
    values: tuple[Any, ...]


class Insert(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag="in"):
    """Rows that were put in at once."""

    table: str
    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]


class End(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag="end"):
    """How long the log is after it, and the hash over all of it."""

    after: _Size
    root: bytes
    sha256: bytes
    """Of all octets before this frame."""


Frame = Head | Statement | Insert | End
encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Frame).decode


def read_frame(file: BinaryIO, path: Path) -> tuple[Frame, bytes]:
    """The next, and its octets with their length."""
    length = file.read(LENGTH_OCTETS)
    count = int.from_bytes(length)
    if len(length) != LENGTH_OCTETS or not 0 < count <= MAX_FRAME_OCTETS:
        raise damaged(path, "a part of it is missing")
    octets = file.read(count)
    try:
        frame: Frame = _decode(octets)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise damaged(path, "it cannot be read") from None
    return frame, length + octets


def damaged(path: Path, reason: str) -> IntegrityFailure:
    return IntegrityFailure(
        "journal.damaged",
        f"{path}: {reason}",
        "restore without what comes after it, if nothing else is left",
    )
