"""The tree against a naive reading of RFC 6962 2.1, and signed notes."""

import base64
import hashlib

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from smki.errors import InvalidInput
from smki.store import merkle
from smki.store.note import Checkpoint, read_checkpoint, sign_checkpoint, verifier_key


def naive(leaves: list[bytes]) -> bytes:
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return hashlib.sha256(b"\x01" + naive(leaves[:split]) + naive(leaves[split:])).digest()


def tree(leaves: list[bytes]) -> merkle.Node:
    kept: dict[tuple[int, int], bytes] = {}
    for index, entry in enumerate(leaves):
        made = merkle.completed_by(index, merkle.leaf_hash(entry), lambda level, place: kept[level, place])
        kept.update({(level, place): digest for level, place, digest in made})
    return lambda level, place: kept[level, place]


LEAVES = st.lists(st.binary(max_size=4), min_size=1, max_size=40)


@given(leaves=LEAVES)
def test_the_root_is_that_of_the_rfc(leaves: list[bytes]) -> None:
    assert merkle.root(len(leaves), tree(leaves)) == naive(leaves)
    assert merkle.root_of(leaves) == (len(leaves), naive(leaves))


@given(leaves=LEAVES, data=st.data())
def test_proofs_hold_and_altered_proofs_do_not(leaves: list[bytes], data: st.DataObject) -> None:
    size = len(leaves)
    node = tree(leaves)
    index = data.draw(st.integers(0, size - 1))
    path = merkle.inclusion_proof(index, size, node)
    leaf = merkle.leaf_hash(leaves[index])
    assert merkle.includes(leaf, index, size, path, naive(leaves))
    assert not merkle.includes(merkle.leaf_hash(leaves[index] + b"!"), index, size, path, naive(leaves))
    assert not merkle.includes(leaf, index, size, [*path, leaf], naive(leaves))
    old = data.draw(st.integers(1, size))
    steps = merkle.consistency_proof(old, size, node)
    assert merkle.consistent(old, size, steps, naive(leaves[:old]), naive(leaves))
    assert not merkle.consistent(old, size, steps, naive([*leaves[: old - 1], b"changed"]), naive(leaves))


KEY = ec.generate_private_key(ec.SECP256R1())
SPKI = KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
CHECKPOINT = Checkpoint("smki/abc", 5, b"r" * 32)
NOTE = sign_checkpoint(CHECKPOINT, SPKI, lambda data: KEY.sign(data, ec.ECDSA(hashes.SHA256())))


def test_a_note_reads_as_signed() -> None:
    assert read_checkpoint(NOTE, SPKI) == CHECKPOINT
    assert NOTE.startswith(f"smki/abc\n5\n{base64.b64encode(b'r' * 32).decode()}\n\n— smki/abc ")
    name, key_id, encoded = verifier_key("smki/abc", SPKI).split("+", 2)
    assert (name, key_id) == ("smki/abc", hashlib.sha256(SPKI).hexdigest()[:8])
    assert base64.b64decode(encoded) == b"\x02" + SPKI


@pytest.mark.parametrize(
    "wrong",
    [
        NOTE.replace("\n5\n", "\n6\n"),
        NOTE.replace("smki/abc\n", "smki/abd\n"),
        NOTE[: NOTE.index("\n\n") + 2],
        NOTE.replace("— ", "- "),
        "",
        "a\nb\nc\n\n",
        "x" * (1 << 17),
    ],
)
def test_a_changed_note_is_refused(wrong: str) -> None:
    with pytest.raises(InvalidInput):
        read_checkpoint(wrong, SPKI)
