"""The payloads of the messages that nobody here wrote, and the names to read them with."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from hypothesis import strategies as st

from smki.errors import InvalidInput
from smki.gbcs.payload.names import Names, read_names
from smki.gbcs.payload.tree import EncryptedBlock, Payload, leaves
from tests.vectors_folder import read_json

_POLICIES = Path(__file__).parent.parent.parent / "policies"
_FILES = ("rtds.json", "derived.json")


@dataclass(frozen=True, slots=True)
class Vector:
    """One payload, and what is known of it."""

    name: str
    kind: str
    counter: int
    payload: bytes
    blocks: tuple[EncryptedBlock, ...]
    plaintexts: tuple[tuple[int, bytes], ...]

    @property
    def is_altered(self) -> bool:
        """Altered by whoever made the vector, perhaps within its payload."""
        return self.name.startswith("NEG")


@cache
def names() -> Names:
    cosem, zigbee = (
        read_names((_POLICIES / name).read_bytes(), name).value for name in ("names-cosem.toml", "names-zigbee.toml")
    )
    return cosem.merged(zigbee)


@cache
def vectors_of(kind: str) -> tuple[Vector, ...]:
    return tuple(_read(kind))


def vector(kind: str, name: str) -> Vector:
    (found,) = (each for each in vectors_of(kind) if each.name == name)
    return found


def _read(kind: str) -> Iterator[Vector]:
    for file in _FILES:
        for told in read_json("gbcs", file)["vectors"]:
            if told["expected"]["parse"] != "ok" or told["payload"]["format"] != kind:
                continue
            start, length = told["payload"]["offset"], told["payload"]["length"]
            blocks = told["expected"].get("encrypted_blocks", [])
            yield Vector(
                told["name"],
                told["kind"],
                int(told["header"]["originator_counter"]),
                bytes.fromhex(told["message_hex"])[start : start + length],
                tuple(EncryptedBlock(block["payload_offset"], block["length"]) for block in blocks),
                tuple(
                    (block["payload_offset"], bytes.fromhex(block["plaintext_hex"]))
                    for block in blocks
                    if block.get("plaintext_hex")
                ),
            )


def altered(data: st.DataObject, kind: str) -> bytes:
    """A payload with up to four octets of it changed."""
    payload = bytearray(data.draw(st.sampled_from(vectors_of(kind))).payload)
    for _ in range(data.draw(st.integers(1, 4))):
        payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    return bytes(payload)


def read_or_refuse(read: Callable[[bytes, Names], Payload], payload: bytes) -> None:
    """Nothing but a payload read whole or one refusal comes of any octets."""
    refused = ""
    try:
        nodes = read(payload, names()).nodes
        assert len(leaves(nodes)) >= len(nodes)
        assert [node.as_json()["name"] for node in nodes] == [node.name for node in nodes]
    except InvalidInput as error:
        refused = error.code
    assert refused in {"", "gbcs.payload"}
