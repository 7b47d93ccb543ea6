"""Signed notes, and of them checkpoints: a log's size and root hash (C2SP signed-note and tlog-checkpoint). Pure.

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
from smki.pki.public_key import read_spki
from smki.store.merkle import HASH_OCTETS

ECDSA = 0x02
MAX_NOTE_OCTETS = 1 << 16
MAX_SIGNATURES = 100  # as C2SP signed-note allows a verifier; each of the right key costs a verification
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
    return sign_note(checkpoint.origin, checkpoint.text(), spki, sign)


def sign_note(name: str, text: str, spki: bytes, sign: Callable[[bytes], bytes]) -> str:
    """Text, which ends in a line end, an empty line, and one signature in the name of the log."""
    blob = key_id(spki) + sign(text.encode())
    return f"{text}\n— {name} {base64.b64encode(blob).decode()}\n"


def verifier_key(origin: str, spki: bytes) -> str:
    """The one line by which a stranger knows the log: name, key id, key."""
    return f"{origin}+{key_id(spki).hex()}+{base64.b64encode(bytes((ECDSA,)) + spki).decode()}"


def read_verifier_key(line: str) -> tuple[str, bytes]:
    """Name and key of a log, from the one line that tells them."""
    name, _, rest = line.strip().partition("+")
    encoded = rest.partition("+")[2]
    try:
        blob = base64.b64decode(encoded, validate=True)
    except (ValueError, binascii.Error):
        blob = b""
    spki = blob[1:]
    if not name or blob[:1] != bytes((ECDSA,)) or read_spki(spki) is None or line.strip() != verifier_key(name, spki):
        raise InvalidInput(
            "verifier-key.form", "this is no verifier key", "give the one line of the log's audit/verifier-key"
        )
    return name, spki


def key_id(spki: bytes) -> bytes:
    return hashlib.sha256(spki).digest()[:_KEY_ID_OCTETS]


def read_checkpoint(note: str, spki: bytes) -> Checkpoint:
    """The checkpoint in a note, if the key of this log signed it."""
    if len(note) > MAX_NOTE_OCTETS:
        raise InvalidInput("checkpoint.size", "the note is too long for a checkpoint", "give one checkpoint")
    text, signatures = _parts(note)
    lines = text.splitlines()
    try:
        origin, size, encoded = lines[:_BODY_LINES]
        checkpoint = Checkpoint(origin, int(size), base64.b64decode(encoded, validate=True))
    except (ValueError, binascii.Error):
        raise InvalidInput("checkpoint.form", "this is no checkpoint", "give one, whole and unchanged") from None
    if len(checkpoint.root) != HASH_OCTETS or not text.startswith(checkpoint.text()):
        raise InvalidInput("checkpoint.form", "this is no checkpoint", "give one, whole and unchanged")
    if not _any_signed(signatures, checkpoint.origin, text, spki):
        raise InvalidInput(
            "checkpoint.signature", "no signature on this checkpoint is of the log's key", "check where it came from"
        )
    return checkpoint


def note_text(note: str, name: str, spki: bytes) -> str | None:
    """What a note says, if the key signed it in that name; the caller bounds the note."""
    text, signatures = _parts(note)
    return text if _any_signed(signatures, name, text, spki) else None


def _parts(note: str) -> tuple[str, str]:
    """What was signed, and the signatures."""
    text, _, signatures = note.rpartition("\n\n")
    return f"{text}\n", signatures


def _any_signed(signatures: str, name: str, text: str, spki: bytes) -> bool:
    return any(_signed(line, name, text, spki) for line in signatures.split("\n")[:MAX_SIGNATURES])


def _signed(line: str, origin: str, text: str, spki: bytes) -> bool:
    try:
        dash, name, encoded = line.split(" ")
        blob = base64.b64decode(encoded, validate=True)
    except (ValueError, binascii.Error):
        return False
    if (dash, name) != ("—", origin) or blob[:_KEY_ID_OCTETS] != key_id(spki):
        return False
    if base64.b64encode(blob).decode() != encoded:  # the last character has bits that say nothing: one way only
        return False
    key = serialization.load_der_public_key(spki)
    assert isinstance(key, ec.EllipticCurvePublicKey), "the log's own key"
    try:
        key.verify(blob[_KEY_ID_OCTETS:], text.encode(), ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True
