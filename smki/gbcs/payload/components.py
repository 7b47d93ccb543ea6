"""The components of a GBZ payload: each one ZigBee frame to or from one cluster (GBCS 7.2.10)."""

from collections.abc import Sequence
from dataclasses import dataclass

from smki.gbcs.payload.octets import Cursor

GBZ = bytes.fromhex("0109")  # the profile of ZigBee Smart Energy
LAST, ENCRYPTED, FROM_DATE_TIME = 0x01, 0x02, 0x10  # bits of a component's control octet


@dataclass(frozen=True, slots=True)
class Component:
    """One ZigBee command."""

    control: int
    cluster: int
    frame: int
    sequence: int
    command: int
    body: bytes


def components(payload: bytes) -> tuple[Component, ...]:
    """The commands of a GBZ payload."""
    cursor = Cursor(payload, "big")
    cursor.expect(GBZ, "the profile")
    found = []
    for _ in range(cursor.u8()):
        control, cluster = cursor.u8(), cursor.u16()
        part = cursor.part(cursor.u16())
        if control & FROM_DATE_TIME:
            part.take(4)
        found.append(Component(control, cluster, part.u8(), part.u8(), part.u8(), part.rest()))
    cursor.finish()
    return tuple(found)


def write_components(frames: Sequence[tuple[int, bytes]]) -> bytes:
    """A GBZ payload of frames, each with the cluster it belongs to."""
    parts = [GBZ, bytes((len(frames),))]
    for left, (cluster, frame) in zip(range(len(frames) - 1, -1, -1), frames, strict=True):
        parts += [bytes((0 if left else LAST,)), cluster.to_bytes(2), len(frame).to_bytes(2), frame]
    return b"".join(parts)
