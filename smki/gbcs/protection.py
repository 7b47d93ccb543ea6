"""What protects a message: signature, MAC, encryption (GBCS 6.2, 4.3.3). Made and checked here, judged elsewhere."""

import hashlib
import hmac
from dataclasses import replace
from typing import Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature, encode_dss_signature

from smki.errors import Refused
from smki.gbcs.agreement import KeyInfo, Purpose, SharedSecret
from smki.gbcs.gcm import authenticate, seal, unseal
from smki.gbcs.header import Header
from smki.gbcs.message import MAC_OCTETS, SIGNATURE_OCTETS, Message

ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # of P-256's group (SEC 2 2.4.2)
_SCALAR = SIGNATURE_OCTETS // 2
_MAC_PREFIX = bytes.fromhex("110000000000")  # security control and the empty fields of general-ciphering
SECURITY_HEADER = bytes.fromhex("3100000000")  # authenticated encryption, suite 1; invocation counter 0 (GBCS 8.4)
_ENCRYPTED_AAD = SECURITY_HEADER[:1]
MIN_BLOCK_OCTETS = len(SECURITY_HEADER) + MAC_OCTETS
_SHA256 = ec.ECDSA(Prehashed(hashes.SHA256()))


class DigestSigner(Protocol):
    """A key that signs SHA-256 digests as r and s, 32 octets each: an HSM's key does."""

    def sign_digest(self, digest: bytes) -> bytes: ...


# Signature


def digest_to_sign(message: Message) -> bytes:
    return hashlib.sha256(message.signed_octets).digest()


def sign(message: Message, key: ec.EllipticCurvePrivateKey | DigestSigner) -> Message:
    """A pre-command, response or alert with its originator's signature."""
    digest = digest_to_sign(message)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        return message.signed(key.sign_digest(digest))
    r, s = decode_dss_signature(key.sign(digest, _SHA256))
    return message.signed(r.to_bytes(_SCALAR) + s.to_bytes(_SCALAR))


def signature_holds(message: Message, public_key: ec.EllipticCurvePublicKey) -> bool:
    """Whether a message's signature is its originator's."""
    return plain_signature_holds(public_key, message.signature or b"", digest_to_sign(message))


def plain_signature_holds(public_key: ec.EllipticCurvePublicKey, signature: bytes, digest: bytes) -> bool:
    """Whether r and s, 32 octets each, sign a digest. Either of the two values of s is right: meters make both."""
    if len(signature) != SIGNATURE_OCTETS:
        return False
    r, s = int.from_bytes(signature[:_SCALAR]), int.from_bytes(signature[_SCALAR:])
    if not (0 < r < ORDER and 0 < s < ORDER):
        return False
    try:
        public_key.verify(encode_dss_signature(r, s), digest, _SHA256)
    except InvalidSignature:
        return False
    return True


# MAC


def add_mac(message: Message, secret: SharedSecret) -> Message:
    """The message with the MAC that the two parties to `secret` can make, and nobody else."""
    complete = message if message.signature is not None else replace(message, signature=b"")
    return complete.with_mac(_mac(complete, secret))


def mac_holds(message: Message, secret: SharedSecret) -> bool:
    if message.mac is None:
        return False
    return hmac.compare_digest(message.mac, _mac(message, secret))


def _mac(message: Message, secret: SharedSecret) -> bytes:
    info = KeyInfo.of_mac(message.header)
    return authenticate(secret.message_key(info), info.iv, _MAC_PREFIX + message.inner)[:MAC_OCTETS]


# Encryption


def encryption_info(header: Header) -> KeyInfo:
    """For the encrypted parts of a device's response: its key is for the one who asked (GBCS 6.2.5)."""
    extra = header.supplementary
    if extra is None:
        return KeyInfo(header.originator, Purpose.ENCRYPTION, header.counter, header.target)
    counter = header.counter if extra.originator_counter is None else extra.originator_counter
    return KeyInfo(header.originator, Purpose.ENCRYPTION, counter, extra.party)


def decrypt(block: bytes, header: Header, secret: SharedSecret) -> bytes:
    """What an encrypted part says.

    All parts of a message share one key and one IV, each with a tag of its own (GBCS 6.2.5). Their tags alone prove
    little then: check the message's MAC or signature before you believe what is read.
    """
    if not is_encrypted_block(block):
        raise Refused("gbcs.decrypt", "this is no encrypted part of a message", "name the part that is")
    info = encryption_info(header)
    ciphertext, tag = block[len(SECURITY_HEADER) : -MAC_OCTETS], block[-MAC_OCTETS:]
    plaintext = unseal(secret.message_key(info), info.iv, ciphertext, tag, _ENCRYPTED_AAD)
    if plaintext is None:
        raise Refused(
            "gbcs.decrypt", "an encrypted part does not open with this key", "use the key of the party it is for"
        )
    return plaintext


def encrypt(plaintext: bytes, header: Header, secret: SharedSecret) -> bytes:
    """An encrypted part, as a device makes it."""
    info = encryption_info(header)
    ciphertext, tag = seal(secret.message_key(info), info.iv, plaintext, _ENCRYPTED_AAD)
    return SECURITY_HEADER + ciphertext + tag[:MAC_OCTETS]


def is_encrypted_block(block: bytes) -> bool:
    return len(block) >= MIN_BLOCK_OCTETS and block.startswith(SECURITY_HEADER)
