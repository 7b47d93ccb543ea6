"""Keys that two parties agree on without a word: static ECDH, and one key a message from it (GBCS 4.3.3).

A shared secret is shown nowhere, lives as short as its user lets it, and is overwritten at the end.
"""

import hashlib
from collections import OrderedDict
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from enum import IntEnum
from struct import Struct
from typing import Self

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from smki.entity import EntityId
from smki.errors import Refused
from smki.gbcs.header import Cra, Header

KEY_OCTETS = 16
SECRET_OCTETS = 32
_AES_GCM_128 = bytes.fromhex("60857406080300")  # the algorithm's identifier in DLMS (GBCS 4.3.3.2)
_OTHER_INFO = Struct(">7s8sBBQ8s")
_TRANSACTION_OCTETS = 9  # the purpose and the counter
_ROUND = (1).to_bytes(4)  # the one-step KDF's counter: a single round gives all we need (NIST SP 800-56A 5.8.1)
_NO_INVOCATION = bytes(4)


class Purpose(IntEnum):
    """What a message key is for: the octet before the counter. The first three are the CRA flag itself."""

    COMMAND = 1
    RESPONSE = 2
    ALERT = 3
    ENCRYPTION = 4


_PURPOSES = tuple(Purpose(cra) for cra in Cra)  # numbered as the flag is, from 1


@dataclass(frozen=True, slots=True)
class KeyInfo:
    """What tells one message key of a pair from another: never secret, and never the same twice (OtherInfo)."""

    originator: EntityId
    purpose: Purpose
    counter: int
    recipient: EntityId

    @classmethod
    def of_mac(cls, header: Header) -> Self:
        """For the MAC of a message, whoever computes it: the names are those in its header."""
        return cls(header.originator, _PURPOSES[header.cra - 1], header.counter, header.target)

    @property
    def octets(self) -> bytes:
        return _OTHER_INFO.pack(
            _AES_GCM_128,
            self.originator.octets,
            _TRANSACTION_OCTETS,
            self.purpose,
            self.counter,
            self.recipient.octets,
        )

    @property
    def iv(self) -> bytes:
        """Fixed for a key, which is used once: the originator, and an invocation field of zero (GBCS 4.3.3.4)."""
        return self.originator.octets + _NO_INVOCATION


class SharedSecret:
    """Z: what two key pairs agree on. Overwritten when its block ends."""

    __slots__ = ("_octets",)

    def __init__(self, octets: bytes) -> None:
        if len(octets) != SECRET_OCTETS:
            raise Refused("gbcs.secret", "a shared secret of another size", "agree by ECDH on P-256")
        self._octets = bytearray(octets)

    def message_key(self, info: KeyInfo) -> bytes:
        """The AES-128 key of one message: the first half of SHA-256 over counter, Z and OtherInfo."""
        if not self._octets:
            raise Refused("gbcs.secret", "a shared secret that was given up", "agree anew")
        return hashlib.sha256(b"".join((_ROUND, self._octets, info.octets))).digest()[:KEY_OCTETS]

    def derive(self, label: bytes, transcript: bytes, octets: int) -> bytes:
        """Keys for something that is no message: of another construction than those, so that none is both."""
        if not self._octets:
            raise Refused("gbcs.secret", "a shared secret that was given up", "agree anew")
        return HKDF(hashes.SHA256(), octets, transcript, label).derive(bytes(self._octets))

    def wipe(self) -> None:
        self._octets[:] = bytes(len(self._octets))  # of the same length: written in place
        self._octets.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.wipe()

    def __repr__(self) -> str:
        return "SharedSecret(hidden)"

    def __reduce__(self) -> tuple[type, tuple[bytes]]:
        raise TypeError("a shared secret goes nowhere")


def agree(private_key: ec.EllipticCurvePrivateKey, peer: ec.EllipticCurvePublicKey) -> SharedSecret:
    """Agree with a peer; the private key may live in an HSM. pyca refuses a peer's point that is not on the curve."""
    if not isinstance(peer.curve, ec.SECP256R1) or not isinstance(private_key.curve, ec.SECP256R1):
        raise Refused("gbcs.curve", "keys of GBCS are on P-256", "use keys from its certificates")
    return SharedSecret(private_key.exchange(ec.ECDH(), peer))


class Agreement:
    """One party's side of agreeing: its key, and the secrets it may keep for a while.

    Keeping is off unless asked for, never more than `keep` secrets, inside this process alone: whoever reads its
    memory then reads the MAC keys of that many pairs, and not one private key.
    """

    def __init__(self, private_key: ec.EllipticCurvePrivateKey, keep: int = 0) -> None:
        self._private_key = private_key
        self._keep = keep
        self._kept: OrderedDict[bytes, nullcontext[SharedSecret]] = OrderedDict()

    def with_peer(self, peer: ec.EllipticCurvePublicKey, name: bytes) -> AbstractContextManager[SharedSecret]:
        """The secret shared with a peer. `name` tells peers apart: their public point or certificate."""
        if not self._keep:
            return agree(self._private_key, peer)  # overwritten at the end of the caller's block
        secret = self._kept.get(name)
        if secret is not None:
            self._kept.move_to_end(name)
            return secret
        secret = self._kept[name] = nullcontext(agree(self._private_key, peer))
        if len(self._kept) > self._keep:
            self._kept.popitem(last=False)[1].enter_result.wipe()
        return secret

    def forget(self) -> None:
        for secret in self._kept.values():
            secret.enter_result.wipe()
        self._kept.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.forget()

    def __repr__(self) -> str:
        return f"Agreement(keeps {self._keep})"
