"""What a payload says, as a tree in words, and as the flat list of its values."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NotRequired, TypedDict

SEPARATOR = " / "
NOTHING: Mapping[int, bytes] = MappingProxyType({})  # no block of a payload was decrypted
_ESCAPES = str.maketrans({"\\": "\\\\", "/": "\\/", "[": "\\["})


class NodeJson(TypedDict):
    """A node for a machine: what is empty is left out."""

    name: str
    value: NotRequired[str]
    children: NotRequired[list["NodeJson"]]


@dataclass(frozen=True, slots=True)
class Node:
    """One thing said: its name, its value if it has one, and what it consists of."""

    name: str
    value: str = ""
    children: tuple["Node", ...] = ()

    def as_json(self) -> NodeJson:
        told: NodeJson = {"name": self.name}
        if self.value:
            told["value"] = self.value
        if self.children:
            told["children"] = [child.as_json() for child in self.children]
        return told


@dataclass(frozen=True, slots=True)
class EncryptedBlock:
    """Where `31 00000000 || ciphertext || tag` lies: all of it, offset relative to the payload (GBCS 8.4)."""

    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Payload:
    """A payload read to its last octet."""

    nodes: tuple[Node, ...]
    encrypted: tuple[EncryptedBlock, ...] = ()
    counter_bits: int | None = None  # low 24 bits of the Originator Counter, which a DLMS payload repeats


def leaves(nodes: Iterable[Node]) -> dict[str, str]:
    """Every value under its path: `name / name`, a name that comes again among its siblings as `name[2]`.

    A `/`, `[` or backslash that is part of a name is escaped with a backslash, so that no two paths are one.
    """
    return dict(_leaves(nodes, ""))


def _leaves(nodes: Iterable[Node], above: str) -> Iterator[tuple[str, str]]:
    seen: Counter[str] = Counter()
    for node in nodes:
        seen[node.name] += 1
        again = f"[{seen[node.name]}]" if seen[node.name] > 1 else ""
        path = above + node.name.translate(_ESCAPES) + again
        if node.value:
            yield path, node.value
        yield from _leaves(node.children, path + SEPARATOR)
