"""Checkpoints: a log's size and root hash as a signed note (C2SP signed-note and tlog-checkpoint). Pure.

Signatures are ECDSA on P-256 with SHA-256, signature type 0x02 of the specification; for that type the key's id is
the first four octets of the SHA-256 of its SubjectPublicKeyInfo.
"""

import base64
import binascii
import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from smki.errors import InvalidInput
from smki.store.merkle import HASH_OCTETS

ECDSA = 0x02
MAX_NOTE_OCTETS = 1 << 16
_KEY_ID_OCTETS = 4
_BODY_LINES = 3


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How long the log is, and the hash over all of it."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def sign_checkpoint(checkpoint: Checkpoint, spki: bytes, sign: Callable[[bytes], bytes]) -> str:
    """The signed note; `sign` gives a DER signature over the octets it is given."""
    text = checkpoint.text()
    blob = key_id(spki) + sign(text.encode())
    return f"{text}\n— {checkpoint.origin} {base64.b64encode(blob).decode()}\n"


def verifier_key(origin: str, spki: bytes) -> str:
    """The one line by which a stranger knows the log: name, key id, key."""
    return f"{origin}+{key_id(spki).hex()}+{base64.b64encode(bytes((ECDSA,)) + spki).decode()}"


def key_id(spki: bytes) -> bytes:
    return hashlib.sha256(spki).digest()[:_KEY_ID_OCTETS]


def read_checkpoint(note: str, spki: bytes) -> Checkpoint:
    """The checkpoint in a note, if the key of this log signed it."""
    if len(note) > MAX_NOTE_OCTETS:
        raise InvalidInput("checkpoint.size", "the note is too long for a checkpoint", "give one checkpoint")
    text, _, signatures = note.rpartition("\n\n")
    text += "\n"
    lines = text.splitlines()
    try:
        origin, size, encoded = lines[:_BODY_LINES]
        checkpoint = Checkpoint(origin, int(size), base64.b64decode(encoded, validate=True))
    except (ValueError, binascii.Error):
        raise InvalidInput("checkpoint.form", "this is no checkpoint", "give one, whole and unchanged") from None
    if len(checkpoint.root) != HASH_OCTETS or not text.startswith(checkpoint.text()):
        raise InvalidInput("checkpoint.form", "this is no checkpoint", "give one, whole and unchanged")
    if not any(_signed(line, checkpoint.origin, text, spki) for line in signatures.splitlines()):
        raise InvalidInput(
            "checkpoint.signature", "no signature on this checkpoint is of the log's key", "check where it came from"
        )
    return checkpoint


def _signed(line: str, origin: str, text: str, spki: bytes) -> bool:
    try:
        dash, name, encoded = line.split(" ")
        blob = base64.b64decode(encoded, validate=True)
    except (ValueError, binascii.Error):
        return False
    if (dash, name) != ("—", origin) or blob[:_KEY_ID_OCTETS] != key_id(spki):
        return False
    key = serialization.load_der_public_key(spki)
    assert isinstance(key, ec.EllipticCurvePublicKey), "the log's own key"
    try:
        key.verify(blob[_KEY_ID_OCTETS:], text.encode(), ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True
