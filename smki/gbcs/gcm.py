"""AES-128-GCM as GBCS uses it: tags cut to 12 octets, and with no plaintext a MAC (GMAC; NIST SP 800-38D)."""

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

TAG_OCTETS = 12


def seal(key: bytes, iv: bytes, plaintext: bytes, aad: bytes) -> tuple[bytes, bytes]:
    """Ciphertext, and the tag in its full length."""
    sealed = AESGCM(key).encrypt(iv, plaintext, aad)
    return sealed[: len(plaintext)], sealed[len(plaintext) :]


def authenticate(key: bytes, iv: bytes, aad: bytes) -> bytes:
    """The tag over what is not encrypted, in its full length (GMAC)."""
    return AESGCM(key).encrypt(iv, b"", aad)


def unseal(key: bytes, iv: bytes, ciphertext: bytes, tag: bytes, aad: bytes) -> bytes | None:
    """The plaintext, if the tag of 12 to 16 octets is right."""
    opener = Cipher(algorithms.AES(key), modes.GCM(iv, tag, min_tag_length=TAG_OCTETS)).decryptor()
    opener.authenticate_additional_data(aad)
    try:
        return opener.update(ciphertext) + opener.finalize()
    except InvalidTag:
        return None
