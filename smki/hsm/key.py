"""An HSM key as pyca knows private keys: its builders accept it, and nothing but signatures leaves the token.

This class is the wall: above it nobody learns whether a key lives in an HSM.
"""

import hashlib
from collections.abc import Sequence
from typing import Any, NoReturn, Protocol, Self

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature

from smki.errors import Refused

_SCALAR_OCTETS = 32
_DIGEST_OCTETS = 32


def der_signature(plain: bytes) -> bytes:
    """What a token gives (r and s, 32 octets each) as certificates and answers carry it."""
    return encode_dss_signature(int.from_bytes(plain[:_SCALAR_OCTETS]), int.from_bytes(plain[_SCALAR_OCTETS:]))


class Keeper(Protocol):
    """Where a key lives: what it does for whoever holds the key."""

    @property
    def name(self) -> str: ...
    def sign_digest(self, key_id: bytes, digest: bytes) -> bytes: ...
    def sign_digests(self, key_id: bytes, digests: Sequence[bytes]) -> list[bytes]: ...
    def agree(self, key_id: bytes, peer: ec.EllipticCurvePublicKey) -> bytes: ...


class HsmPrivateKey(ec.EllipticCurvePrivateKey):
    """The private half of a P-256 pair in a token, with its public half at hand."""

    def __init__(self, token: Keeper, label: str, key_id: bytes, public_key: ec.EllipticCurvePublicKey) -> None:
        self._token = token
        self._public_key = public_key
        self.label = label
        self.key_id = key_id

    def sign_digest(self, digest: bytes) -> bytes:
        """r and s, 32 octets each, over a SHA-256 digest made on the host (CKM_ECDSA)."""
        _check_digest(digest)
        return self._token.sign_digest(self.key_id, digest)

    def sign_digests(self, digests: Sequence[bytes]) -> list[bytes]:
        """The same for many digests, without going through the pool of sessions for each."""
        for digest in digests:
            _check_digest(digest)
        return self._token.sign_digests(self.key_id, digests)

    def sign(self, data: Any, signature_algorithm: ec.EllipticCurveSignatureAlgorithm) -> bytes:
        """A DER signature, as certificates carry."""
        algorithm = signature_algorithm.algorithm
        prehashed = isinstance(algorithm, Prehashed)
        inner = algorithm._algorithm if isinstance(algorithm, Prehashed) else algorithm
        if not isinstance(inner, hashes.SHA256) or getattr(signature_algorithm, "deterministic_signing", False):
            raise Refused("hsm.algorithm", "this key signs with ECDSA over SHA-256 only", "ask for that")
        digest = bytes(data) if prehashed else hashlib.sha256(data).digest()
        return der_signature(self.sign_digest(digest))

    def exchange(self, algorithm: ec.ECDH, peer_public_key: ec.EllipticCurvePublicKey) -> bytes:
        """The shared secret Z with a peer: keep it as short as you can, and print it never."""
        if not isinstance(algorithm, ec.ECDH) or not isinstance(peer_public_key.curve, ec.SECP256R1):
            raise Refused("hsm.algorithm", "this key agrees by ECDH on P-256 only", "ask for that")
        return self._token.agree(self.key_id, peer_public_key)

    def public_key(self) -> ec.EllipticCurvePublicKey:
        return self._public_key

    @property
    def curve(self) -> ec.EllipticCurve:
        return self._public_key.curve

    @property
    def key_size(self) -> int:
        return self._public_key.key_size

    def private_numbers(self) -> NoReturn:
        raise Refused("hsm.key-not-extractable", "a key in an HSM has no numbers to give", "use it through the HSM")

    def private_bytes(
        self,
        encoding: serialization.Encoding,
        format: serialization.PrivateFormat,  # noqa: A002 - pyca's name
        encryption_algorithm: serialization.KeySerializationEncryption,
    ) -> NoReturn:
        del encoding, format, encryption_algorithm
        raise Refused("hsm.key-not-extractable", "a key in an HSM cannot be written out", "use it through the HSM")

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("a key in an HSM is not pickled: open it again where it is needed")

    def __repr__(self) -> str:
        return f"HsmPrivateKey({self.label!r} in token {self._token.name!r})"


def _check_digest(digest: bytes) -> None:
    if len(digest) != _DIGEST_OCTETS:
        raise Refused("hsm.digest", f"a digest of {len(digest)} octets", "sign SHA-256 digests")
