"""Large messages in blocks, and whole again: DLMS general-block-transfer (Green Book 9.4.6.13; GBCS 10).

A block says its number, whether it is the last, and how many may follow unasked. Joining takes blocks of one message
in order, none missing, none twice, the last one marked, and never more than a message can be.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from struct import Struct

from smki.errors import InvalidInput
from smki.gbcs.header import encode_length, read_length
from smki.gbcs.message import MAX_MESSAGE_OCTETS

GENERAL_BLOCK_TRANSFER = 0xE0
MAX_BLOCK_OCTETS = 0xFFFF
_LAST, _STREAMING = 0x80, 0x40
_WINDOW = 0x3F
_HEAD = Struct(">BBHH")
MIN_BLOCK_OCTETS = _HEAD.size + 1


@dataclass(frozen=True, slots=True)
class Block:
    """One block of a message."""

    number: int
    last: bool
    data: bytes
    streaming: bool = False
    window: int = 1
    acknowledged: int = 0
    """The number of the last block had from the other side."""

    def encode(self) -> bytes:
        control = (_LAST if self.last else 0) | (_STREAMING if self.streaming else 0) | self.window
        head = _HEAD.pack(GENERAL_BLOCK_TRANSFER, control, self.number, self.acknowledged)
        return head + encode_length(len(self.data)) + self.data


def read_block(octets: bytes) -> Block:
    if len(octets) < MIN_BLOCK_OCTETS or octets[0] != GENERAL_BLOCK_TRANSFER:
        raise _wrong("a block begins with E0, control, number and acknowledgement")
    _, control, number, acknowledged = _HEAD.unpack_from(octets)
    length, at = read_length(octets, _HEAD.size)
    if at + length != len(octets):
        raise _wrong(f"a block announces {length} octets, and has {len(octets) - at}")
    if not number:
        raise _wrong("blocks are numbered from 1")
    return Block(
        number, bool(control & _LAST), octets[at:], bool(control & _STREAMING), control & _WINDOW, acknowledged
    )


def segment(message: bytes, size: int) -> Iterator[Block]:
    """The blocks of a message, each with at most `size` octets of it."""
    if not 1 <= size <= MAX_BLOCK_OCTETS or not message or -(-len(message) // size) > 0xFFFF:
        raise _wrong(f"{len(message)} octets do not go in blocks of {size}")
    starts = range(0, len(message), size)
    for number, start in enumerate(starts, 1):
        yield Block(number, number == len(starts), message[start : start + size], streaming=number != len(starts))


def join(blocks: Iterable[Block]) -> bytes:
    """The message that blocks in order make up."""
    parts: list[bytes] = []
    total, ended = 0, False
    for place, block in enumerate(blocks, 1):
        if ended or block.number != place:
            raise _wrong(
                f"block {block.number} where block {place} belongs" if not ended else "blocks after the last"
            )
        total += len(block.data)
        if total > MAX_MESSAGE_OCTETS or not block.data:
            raise _wrong("blocks of nothing, or of more than a message")
        parts.append(block.data)
        ended = block.last
    if not ended:
        raise _wrong("the last block is missing")
    return b"".join(parts)


def _wrong(reason: str) -> InvalidInput:
    return InvalidInput("gbcs.blocks", f"no message in blocks: {reason}", "ask for all blocks again, in order")
