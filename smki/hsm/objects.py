"""What is done inside one session: making, finding and using keys. Every search is for objects of the token itself,
because copies made in a session answer to the same names.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pkcs11 import Attribute, KeyType, Mechanism, ObjectClass

from smki.errors import IntegrityFailure, Refused
from smki.hsm.cryptoki import Cryptoki
from smki.hsm.description import Description
from smki.hsm.key import der_signature

if TYPE_CHECKING:
    from pkcs11 import Session

Usage = Literal["sign", "agree", "sign and agree"]
P256_PARAMETERS = bytes.fromhex("06082a8648ce3d030107")
_POINT_HEADER = bytes.fromhex("0441")  # OCTET STRING of the 65 octets of an uncompressed point
_AES256_BITS = 256


@dataclass(frozen=True, slots=True)
class KeyInfo:
    """A key pair as the token describes it."""

    label: str
    key_id: bytes
    public_key: ec.EllipticCurvePublicKey | None
    signs: bool
    agrees: bool
    protected: bool
    """Sensitive and never extractable, as the token says."""


class Objects:
    """The objects of one token, through one session."""

    def __init__(self, session: "Session", cryptoki: Cryptoki, subject: str, description: Description) -> None:
        self._session = session
        self._cryptoki = cryptoki
        self._subject = subject
        self._description = description
        self._privates: dict[bytes, Any] = {}
        self._signers: dict[bytes, Callable[[bytes], bytes]] = {}
        self._copiers: dict[bytes, Callable[[bytes], bytes]] = {}
        self._agreers: dict[bytes, Callable[[bytes], bytes]] = {}

    def _search(self, kind: ObjectClass, **wanted: Any) -> list[Any]:
        attributes = {Attribute.CLASS: kind, Attribute.TOKEN: True}
        attributes |= {Attribute[name.upper()]: value for name, value in wanted.items() if value is not None}
        return list(self._session.get_objects(attributes))

    def _private(self, key_id: bytes) -> Any:
        """The handle, found once a session: a search costs four signatures."""
        known = self._privates.get(key_id)
        if known is not None:
            return known
        self._privates[key_id] = found = self._look_up(key_id)
        return found

    def _look_up(self, key_id: bytes) -> Any:
        found = self._search(ObjectClass.PRIVATE_KEY, id=key_id)
        if len(found) != 1:
            raise self._missing_or_ambiguous(len(found), f"with id {key_id.hex()}")
        return found[0]

    def _missing_or_ambiguous(self, count: int, which: str) -> Exception:
        if count:
            return Refused(
                "hsm.key-ambiguous",
                f"{self._subject}: {count} keys {which}",
                "remove or rename all but the right one with the vendor's tool",
            )
        return IntegrityFailure(
            "hsm.key-missing",
            f"{self._subject}: no key {which}",
            "if the token was re-initialised or exchanged, restore it from its backup",
        )

    def sign(self, key_id: bytes, digest: bytes) -> bytes:
        return self.signer(key_id)(digest)

    def signer(self, key_id: bytes) -> Callable[[bytes], bytes]:
        """A function that signs with a key, for as long as this session is held."""
        if key_id not in self._signers:
            session: Any = self._session  # python-pkcs11 shows its handles, and its stubs do not say so
            self._signers[key_id] = self._cryptoki.signer(session.handle, self._private(key_id).handle)
        return self._signers[key_id]

    def sign_many(self, key_id: bytes, digests: Sequence[bytes]) -> list[bytes]:
        """Many signatures, with a copy of the key in this session where the module signs faster so.

        A copy would go on signing when the token is gone: the token's own key is looked for each time.
        """
        if not self._description.session_copies:
            return list(map(self.signer(key_id), digests))
        private = self._look_up(key_id)
        if key_id not in self._copiers:
            copy = private.copy({Attribute.TOKEN: False})
            if not (copy[Attribute.SENSITIVE] and copy[Attribute.NEVER_EXTRACTABLE]):
                copy.destroy()
                raise Refused(
                    "hsm.key-unprotected",
                    f"{self._subject}: a copy of the key in the session could leave the module",
                    "set `session_copies = false` in the HSM's description",
                )
            session: Any = self._session
            self._copiers[key_id] = self._cryptoki.signer(session.handle, copy.handle)
        return list(map(self._copiers[key_id], digests))

    def agree(self, key_id: bytes, peer: ec.EllipticCurvePublicKey) -> bytes:
        """Z by ECDH without a KDF in the module: what modules agree on; the secret object is destroyed."""
        if key_id not in self._agreers:
            self._agreers[key_id] = self._agreer(self._private(key_id))
        return self._agreers[key_id](self._point(peer))

    def _agreer(self, private: Any) -> Callable[[bytes], bytes]:
        session: Any = self._session
        return self._cryptoki.agreer(session.handle, private.handle)

    def _point(self, peer: ec.EllipticCurvePublicKey) -> bytes:
        point = peer.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return _POINT_HEADER + point if self._description.ecdh_point == "der" else point

    def _agree(self, private: Any, peer: ec.EllipticCurvePublicKey) -> bytes:
        """The same with a key that is not looked up again."""
        return self._agreer(private)(self._point(peer))

    def pairs(self) -> list[KeyInfo]:
        return [self._describe(private) for private in self._search(ObjectClass.PRIVATE_KEY, key_type=KeyType.EC)]

    def find_pair(self, label: str | None, key_id: bytes | None) -> KeyInfo:
        found = self._search(ObjectClass.PRIVATE_KEY, key_type=KeyType.EC, label=label, id=key_id)
        which = f"labelled {label!r}" if key_id is None else f"with id {key_id.hex()}"
        if len(found) != 1:
            raise self._missing_or_ambiguous(len(found), which)
        return self._describe(found[0])

    def _describe(self, private: Any) -> KeyInfo:
        key_id = private[Attribute.ID]
        publics = self._search(ObjectClass.PUBLIC_KEY, id=key_id)
        return KeyInfo(
            label=private[Attribute.LABEL],
            key_id=key_id,
            public_key=_read_point(publics[0]) if len(publics) == 1 else None,
            signs=private[Attribute.SIGN],
            agrees=private[Attribute.DERIVE],
            protected=_is_protected(private),
        )

    def answers(self, info: KeyInfo, public_key: ec.EllipticCurvePublicKey) -> bool:
        """Whether the private half belongs to this public key, proven by using it."""
        private = self._private(info.key_id)
        if info.signs:
            return _verifies(private, public_key, os.urandom(32))
        fresh = ec.generate_private_key(ec.SECP256R1())
        return self._agree(private, fresh.public_key()) == fresh.exchange(ec.ECDH(), public_key)

    def generate(self, label: str, key_id: bytes, usage: Usage) -> ec.EllipticCurvePublicKey:
        for name, wanted in (("label", {"label": label}), ("id", {"id": key_id})):
            if self._search(ObjectClass.PRIVATE_KEY, **wanted) or self._search(ObjectClass.PUBLIC_KEY, **wanted):
                raise Refused(
                    "hsm.key-exists", f"{self._subject}: a key has this {name}: {label}", "choose another label"
                )
        public, private = make_pair(self._session, label, key_id, usage, store=True)
        if not _is_protected(private):
            private.destroy()
            public.destroy()
            raise Refused(
                "hsm.key-unprotected",
                f"{self._subject}: the module made a key that could leave it",
                "run `smki hsm check`; this module is not fit for keys",
            )
        return _read_point(public)

    def halves(self, key_id: bytes) -> tuple[int, int]:
        return (
            len(self._search(ObjectClass.PRIVATE_KEY, id=key_id)),
            len(self._search(ObjectClass.PUBLIC_KEY, id=key_id)),
        )

    def clear_halves(self, key_id: bytes) -> None:
        if self.halves(key_id) in {(1, 0), (0, 1)}:
            for kind in (ObjectClass.PRIVATE_KEY, ObjectClass.PUBLIC_KEY):
                for lone in self._search(kind, id=key_id):
                    lone.destroy()

    def generate_secret(self, label: str, key_id: bytes) -> None:
        self._session.generate_key(
            KeyType.AES,
            _AES256_BITS,
            id=key_id,
            label=label,
            store=True,
            template={Attribute.PRIVATE: True, Attribute.SENSITIVE: False, Attribute.EXTRACTABLE: True},
        )

    def has_secret(self, key_id: bytes) -> bool:
        return len(self._search(ObjectClass.SECRET_KEY, id=key_id)) == 1

    def reveal_secret(self, key_id: bytes) -> bytes:
        found = self._search(ObjectClass.SECRET_KEY, id=key_id)
        if len(found) != 1:
            raise self._missing_or_ambiguous(len(found), f"with id {key_id.hex()}")
        value: bytes = found[0][Attribute.VALUE]
        return value

    def try_out(self) -> tuple[bool, bool, bool]:
        """A signing and an agreeing pair in the session, used and destroyed."""
        objects: list[Any] = []
        try:
            public, private = make_pair(self._session, "self-test", os.urandom(16), "sign", store=False)
            objects += [public, private]
            signs = _verifies(private, _read_point(public), os.urandom(32))
            other_public, other = make_pair(self._session, "self-test", os.urandom(16), "agree", store=False)
            objects += [other_public, other]
            fresh = ec.generate_private_key(ec.SECP256R1())
            agreed = self._agree(other, fresh.public_key()) == fresh.exchange(ec.ECDH(), _read_point(other_public))
            return _is_protected(private) and _is_protected(other), signs, agreed
        finally:
            for item in objects:
                item.destroy()

    def random(self, octets: int) -> bytes:
        return bytes(self._session.generate_random(octets * 8))


def make_pair(session: "Session", label: str, key_id: bytes, usage: Usage, *, store: bool) -> tuple[Any, Any]:
    """A P-256 pair, the private half sensitive and not extractable, good for what is said and nothing else."""
    signs, agrees = usage != "agree", usage != "sign"
    parameters = session.create_domain_parameters(KeyType.EC, {Attribute.EC_PARAMS: P256_PARAMETERS}, local=True)
    private = {
        Attribute.PRIVATE: True,
        Attribute.SENSITIVE: True,
        Attribute.EXTRACTABLE: False,
        Attribute.SIGN: signs,
        Attribute.DERIVE: agrees,
        Attribute.DECRYPT: False,
        Attribute.UNWRAP: False,
    }
    public = {Attribute.VERIFY: signs, Attribute.ENCRYPT: False, Attribute.WRAP: False}
    return parameters.generate_keypair(
        id=key_id, label=label, store=store, private_template=private, public_template=public
    )


def _is_protected(private: Any) -> bool:
    return all(
        private[attribute] is wanted
        for attribute, wanted in (
            (Attribute.SENSITIVE, True),
            (Attribute.ALWAYS_SENSITIVE, True),
            (Attribute.EXTRACTABLE, False),
            (Attribute.NEVER_EXTRACTABLE, True),
            (Attribute.LOCAL, True),
        )
    )


def _read_point(public: Any) -> ec.EllipticCurvePublicKey:
    """The public half's point: a DER octet string by the standard, bare from some modules."""
    point: bytes = public[Attribute.EC_POINT]
    return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point.removeprefix(_POINT_HEADER))


def _verifies(private: Any, public_key: ec.EllipticCurvePublicKey, digest: bytes) -> bool:
    plain = private.sign(digest, mechanism=Mechanism.ECDSA)
    try:
        public_key.verify(der_signature(plain), digest, ec.ECDSA(Prehashed(hashes.SHA256())))
    except InvalidSignature:
        return False
    return True
