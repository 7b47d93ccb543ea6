"""The Merkle tree of RFC 6962 section 2.1: hashes, proofs, and their verification. Pure.

A tree of n leaves is read through `Node`: the hash of the complete subtree of 2^level leaves at `index`. Such a hash
never changes once made, so the store keeps each, and every proof is a walk over a few of them.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence

HASH_OCTETS = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()
Node = Callable[[int, int], bytes]


def leaf_hash(entry: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def completed_by(index: int, leaf: bytes, node: Node) -> list[tuple[int, int, bytes]]:
    """Every complete subtree that the leaf at `index` finishes, the leaf itself first: (level, index, hash)."""
    made = [(0, index, leaf)]
    level, place, digest = 0, index, leaf
    while place & 1:
        digest = node_hash(node(level, place - 1), digest)
        level, place = level + 1, place >> 1
        made.append((level, place, digest))
    return made


def subtree_root(start: int, end: int, node: Node) -> bytes:
    """The hash over the leaves from `start` to `end`, `start` lying on a boundary of the subtree's size."""
    size = end - start
    if size == 0:
        return EMPTY_ROOT
    if size & (size - 1) == 0:
        level = size.bit_length() - 1
        return node(level, start >> level)
    middle = start + _split(size)
    return node_hash(subtree_root(start, middle, node), subtree_root(middle, end, node))


def root(size: int, node: Node) -> bytes:
    return subtree_root(0, size, node)


def _split(size: int) -> int:
    """The largest power of two smaller than `size` (RFC 6962 2.1)."""
    return 1 << ((size - 1).bit_length() - 1)


def inclusion_proof(index: int, size: int, node: Node) -> list[bytes]:
    """The path from a leaf to the root of a tree of `size` leaves (RFC 6962 2.1.1)."""
    path: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(subtree_root(middle, end, node))
            end = middle
        else:
            path.append(subtree_root(start, middle, node))
            start = middle
    return path[::-1]


def consistency_proof(old: int, size: int, node: Node) -> list[bytes]:
    """What shows that the tree of `old` leaves is a beginning of the tree of `size` (RFC 6962 2.1.2)."""
    if old in {0, size}:
        return []
    path: list[bytes] = []
    start, end, whole = 0, size, True
    while old != end:
        middle = start + _split(end - start)
        if old <= middle:
            path.append(subtree_root(middle, end, node))
            end = middle
        else:
            path.append(subtree_root(start, middle, node))
            start, whole = middle, False
    if not whole:
        path.append(subtree_root(start, end, node))
    return path[::-1]


def includes(leaf: bytes, index: int, size: int, path: Sequence[bytes], wanted: bytes) -> bool:
    """Whether a path leads from a leaf to the wanted root (RFC 9162 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    first, last, digest = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            return False
        if first & 1 or first == last:
            digest = node_hash(sibling, digest)
            while not first & 1 and first:
                first, last = first >> 1, last >> 1
        else:
            digest = node_hash(digest, sibling)
        first, last = first >> 1, last >> 1
    return last == 0 and digest == wanted


def consistent(old: int, size: int, path: Sequence[bytes], old_root: bytes, new_root: bytes) -> bool:
    """Whether the tree with `new_root` begins with the tree with `old_root` (RFC 9162 2.1.4.2)."""
    if old == size:
        return not path and old_root == new_root
    if not 0 < old < size:
        return old == 0 and not path
    steps = list(path)
    if old & (old - 1) == 0:
        steps.insert(0, old_root)
    if not steps:
        return False
    first, last = old - 1, size - 1
    while first & 1:
        first, last = first >> 1, last >> 1
    old_digest = new_digest = steps[0]
    for step in steps[1:]:
        if last == 0:
            return False
        if first & 1 or first == last:
            old_digest, new_digest = node_hash(step, old_digest), node_hash(step, new_digest)
            while not first & 1 and first:
                first, last = first >> 1, last >> 1
        else:
            new_digest = node_hash(new_digest, step)
        first, last = first >> 1, last >> 1
    return last == 0 and old_digest == old_root and new_digest == new_root


class Frontier:
    """A tree read from its start, keeping one hash a level: the complete subtrees, largest first."""

    def __init__(self) -> None:
        self.size = 0
        self._spine: list[tuple[int, bytes]] = []

    def append(self, entry: bytes) -> None:
        level, digest = 0, leaf_hash(entry)
        while self._spine and self._spine[-1][0] == level:
            digest = node_hash(self._spine.pop()[1], digest)
            level += 1
        self._spine.append((level, digest))
        self.size += 1

    def root(self) -> bytes:
        if not self._spine:
            return EMPTY_ROOT
        digest = self._spine[-1][1]
        for _, left in reversed(self._spine[:-1]):
            digest = node_hash(left, digest)
        return digest


def root_of(entries: Iterable[bytes]) -> tuple[int, bytes]:
    """Size and root of a log read from its start."""
    tree = Frontier()
    for entry in entries:
        tree.append(entry)
    return tree.size, tree.root()
