"""Tokens: logged in once a process, worked with through a few pooled sessions, found again after they were lost.

A token that goes away gives one error, `hsm.unavailable`; the next call looks for it anew. It is believed to be the
same only if its serial number is the one we know.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from cryptography.hazmat.primitives.asymmetric import ec

from smki.errors import IntegrityFailure, InvalidInput, Refused, Unavailable
from smki.hsm.description import Description
from smki.hsm.errors import explained, is_loss, return_name, token_changed, translated
from smki.hsm.key import HsmPrivateKey
from smki.hsm.module import Module, TokenInfo
from smki.hsm.pin import Pin
from smki.settings import Sourced

if TYPE_CHECKING:
    from pkcs11 import Session

    from smki.hsm.objects import KeyInfo, Objects, Usage

_LONGEST_CALL = 60  # seconds
T = TypeVar("T")
AskPin = Callable[[], Pin]


@dataclass(frozen=True, slots=True)
class TokenRef:
    """Which token is meant: its kind of HSM, and its label or serial number."""

    name: str
    hsm: str
    label: str | None
    serial: str | None

    def matches(self, info: TokenInfo) -> bool:
        if self.serial is not None and info.serial != self.serial:
            return False
        return info.initialised and (self.label is None or info.label == self.label)


class Hsm:
    """Every kind of HSM this workspace describes; each library is loaded when first used."""

    def __init__(self, descriptions: Mapping[str, Sourced[Description]], workspace: Path) -> None:
        self._descriptions = descriptions
        self._workspace = workspace
        self._modules: dict[str, Module] = {}
        self._tokens: dict[str, Token] = {}

    def description(self, kind: str) -> Description:
        try:
            return self._descriptions[kind].value
        except KeyError:
            raise InvalidInput(
                "hsm.no-kind",
                f"no HSM is described as {kind[:40]!r}",
                f"use one of: {', '.join(sorted(self._descriptions))}, or add hsm/{kind[:40]}.toml",
            ) from None

    @property
    def kinds(self) -> tuple[str, ...]:
        return tuple(self._descriptions)

    def module(self, kind: str) -> Module:
        if kind not in self._modules:
            self._modules[kind] = Module(self.description(kind), self._workspace)
        return self._modules[kind]

    def find(self, ref: TokenRef) -> TokenInfo | None:
        """The one token meant, if it is present; two that fit are refused."""
        found = [info for info in self.module(ref.hsm).tokens() if ref.matches(info)]
        if len(found) > 1:
            raise Refused(
                "hsm.token-ambiguous",
                f"token {ref.name}: {len(found)} tokens fit: {', '.join(info.serial for info in found)}",
                "choose by serial number in smki.toml",
            )
        return found[0] if found else None

    def is_present(self, ref: TokenRef) -> bool:
        return self.find(ref) is not None

    def mechanisms(self, ref: TokenRef) -> list[int]:
        info = self.find(ref)
        if info is None:
            raise _absent(ref)
        return self.module(ref.hsm).mechanisms(info.slot)

    def mechanism_names(self, ref: TokenRef) -> list[str]:
        """The mechanisms in PKCS#11's words; a vendor's own as a number."""
        from pkcs11 import Mechanism

        known = {int(member): f"CKM_{name.lstrip('_')}" for name, member in Mechanism.__members__.items()}
        return [known.get(code, f"0x{code:08X}") for code in sorted(self.mechanisms(ref))]

    def can_create(self, ref: TokenRef) -> bool:
        return self.description(ref.hsm).can_initialise

    def create_token(self, ref: TokenRef, so_pin: Pin, pin: Pin) -> TokenInfo:
        """Make a token that does not exist yet."""
        if not self.can_create(ref) or ref.label is None:
            raise Refused(
                "hsm.cannot-create", f"token {ref.name} is not ours to make", "make it with the vendor's tool"
            )
        if self.find(ref) is not None:
            raise Refused("hsm.token-exists", f"there is a token labelled {ref.label}", "choose another label")
        self.module(ref.hsm).create_token(ref.label, so_pin.reveal(), pin.reveal())
        made = self.find(ref)
        if made is None:
            raise Unavailable("hsm.failed", f"token {ref.name} was made and is not there", "look at `smki hsm list`")
        return made

    def open(self, ref: TokenRef, pin: AskPin, serial: str | None) -> "Token":
        """The token, logged in. `serial` is the one known under this name: another is refused."""
        if ref.name not in self._tokens:
            self._tokens[ref.name] = Token(self, ref, pin, serial)
        token = self._tokens[ref.name]
        token.connect()
        return token

    def close(self) -> None:
        for token in self._tokens.values():
            token.wait_until_idle()
        self._tokens.clear()
        for module in self._modules.values():
            module.close()
        self._modules.clear()


def _absent(ref: TokenRef) -> Unavailable:
    return Unavailable(
        "hsm.unavailable",
        f"token {ref.name} is not present",
        "bring it back and run the same again; `smki hsm list` shows which tokens are here",
    )


@dataclass(slots=True)
class _Connection:
    """What lives as long as one start of the module: the login, and idle sessions."""

    start: int
    token: Any
    idle: "list[Objects]" = field(default_factory=list)
    opened: int = 0


class Token:
    """One token in use."""

    def __init__(self, hsm: Hsm, ref: TokenRef, pin: AskPin, serial: str | None) -> None:
        self._hsm = hsm
        self._ref = ref
        self._pin = pin
        self._serial = serial
        self._connection: _Connection | None = None
        self._changed = threading.Condition(threading.RLock())
        self._description = hsm.description(ref.hsm)

    @property
    def name(self) -> str:
        return self._ref.name

    def __repr__(self) -> str:
        return f"Token({self.name!r})"

    # Connecting

    def connect(self) -> None:
        """Be logged in, now; a token that is not there is looked for once with a fresh start of the module."""
        module = self._hsm.module(self._ref.hsm)
        module.check_process()
        with self._changed:
            if self._connection is not None and self._connection.start == module.starts:
                return
            info = self._find(module)
            self._login(module, info)

    def _find(self, module: Module) -> TokenInfo:
        try:
            info = self._hsm.find(self._ref)
        except Unavailable:
            info = None
        if info is None:
            module.restart(module.starts)
            info = self._hsm.find(self._ref)
        if info is None:
            raise _absent(self._ref)
        if self._serial is not None and info.serial != self._serial:
            raise token_changed(f"token {self.name}", f"its serial number is {info.serial}, and was {self._serial}")
        return info

    def _login(self, module: Module, info: TokenInfo) -> None:
        subject = f"token {self.name}"
        pin = self._pin()  # before other processes have to wait: whoever types it may take a while
        with module.starting(), translated(subject):
            tokens = [t for t in module.library().get_tokens() if t.slot.slot_id == info.slot]
            if not tokens:
                raise _absent(self._ref)
            try:
                session = tokens[0].open(rw=True, user_pin=pin.reveal())
            except Exception as error:
                if return_name(error) != "UserAlreadyLoggedIn":
                    raise
                session = tokens[0].open(rw=True)
        self._serial = info.serial
        self._connection = _Connection(module.starts, tokens[0], [self._objects(session)], 1)

    def _objects(self, session: "Session") -> "Objects":
        from smki.hsm.objects import Objects

        cryptoki = self._hsm.module(self._ref.hsm).cryptoki
        return Objects(session, cryptoki, f"token {self.name}", self._description)

    @contextmanager
    def _session(self) -> Iterator["Objects"]:
        with self._changed:
            self.connect()
            connection = self._connection
            assert connection is not None, "connect() made it"
            while not connection.idle and connection.opened >= self._description.sessions:
                if not self._changed.wait(timeout=30):
                    raise Unavailable(
                        "hsm.session-limit",
                        f"token {self.name}: all {connection.opened} sessions are in use",
                        "raise `sessions` in the HSM's description, or use fewer threads",
                    )
            objects = connection.idle.pop() if connection.idle else None
            if objects is None:
                objects = self._objects(connection.token.open(rw=True))
                connection.opened += 1
        try:
            yield objects
        finally:
            with self._changed:
                connection.idle.append(objects)
                self._changed.notify()

    def _do(self, work: "Callable[[Objects], T]", *, known: bool = False) -> T:
        """Work in a session; when it turns out dead, connect anew and try once more.

        SoftHSM answers a search in a token that went away with nothing found: a missing key is looked for again. A
        key that was `known` to be there and is not says that the token was changed.
        """
        module = self._hsm.module(self._ref.hsm)
        subject = f"token {self.name}"
        module.check_process()
        start = module.starts
        try:
            with self._session() as objects:
                return work(objects)
        except IntegrityFailure as error:
            if error.code != "hsm.key-missing":
                raise
        except Exception as error:
            if return_name(error) is None:
                raise
            if not is_loss(error):
                raise explained(error, subject) from None
        module.restart(start)
        try:
            with translated(subject), self._session() as objects:
                return work(objects)
        except IntegrityFailure as error:
            if error.code != "hsm.key-missing" or not known:
                raise
            raise token_changed(subject, f"it is here, but without what it held ({error.message})") from None

    def wait_until_idle(self) -> None:
        """Until no thread is inside a call: a library that is stopped under one takes the process with it."""
        with self._changed:
            connection = self._connection
            while connection is not None and len(connection.idle) < connection.opened:
                if not self._changed.wait(timeout=_LONGEST_CALL):
                    raise Unavailable("hsm.busy", f"token {self.name} is still working", "wait, and run it again")

    # Working

    @property
    def serial(self) -> str:
        assert self._serial is not None, "known since the first connection"
        return self._serial

    def sign_digest(self, key_id: bytes, digest: bytes) -> bytes:
        return self._do(lambda objects: objects.sign(key_id, digest), known=True)

    def sign_digests(self, key_id: bytes, digests: Sequence[bytes]) -> list[bytes]:
        """Many at once, through one session; when the token is lost in the middle, all of them again."""
        return self._do(lambda objects: objects.sign_many(key_id, digests), known=True)

    def agree(self, key_id: bytes, peer: ec.EllipticCurvePublicKey) -> bytes:
        return self._do(lambda objects: objects.agree(key_id, peer), known=True)

    def key_pairs(self) -> "list[KeyInfo]":
        """Every key pair in the token."""
        return self._do(lambda objects: objects.pairs())

    def generate_key(self, label: str, key_id: bytes, usage: "Usage") -> HsmPrivateKey:
        """Make a P-256 pair that cannot leave the token, to "sign" or to "agree"; none like it may exist."""
        public_key = self._do(lambda objects: objects.generate(label, key_id, usage))
        return HsmPrivateKey(self, label, key_id, public_key)

    def find_key(
        self,
        label: str | None = None,
        key_id: bytes | None = None,
        public_key: ec.EllipticCurvePublicKey | None = None,
    ) -> HsmPrivateKey:
        """The one pair meant. With `public_key`, prove that it is its private half."""
        info = self._do(lambda objects: objects.find_pair(label, key_id))
        if info.public_key is None and public_key is None:
            raise IntegrityFailure(
                "hsm.key-half", f"token {self.name}: key {info.label!r} has no public half", "restore the token"
            )
        known = public_key or info.public_key
        assert known is not None, "one of the two is there"
        key = HsmPrivateKey(self, info.label, info.key_id, known)
        if public_key is not None:
            self._prove(key, info)
        return key

    def _prove(self, key: HsmPrivateKey, info: "KeyInfo") -> None:
        """The private half answers for the public key we know: by a signature, or by agreeing with a fresh key."""
        if self._do(lambda objects: objects.answers(info, key.public_key())):
            return
        raise IntegrityFailure(
            "hsm.key-mismatch",
            f"token {self.name}: key {info.label!r} is not the one its certificate names",
            "find out how it came there; restore the right key from the token's backup",
        )

    def has_key(self, key_id: bytes) -> bool:
        return self._do(lambda objects: objects.halves(key_id)) == (1, 1)

    def clear_unfinished(self, key_id: bytes) -> None:
        """Remove a lone half that a dying process left of a pair it never recorded."""
        self._do(lambda objects: objects.clear_halves(key_id))

    def generate_secret(self, label: str, key_id: bytes) -> None:
        """An AES-256 key that may be read out again: for the contingency, where it is one day sent in clear."""
        self._do(lambda objects: objects.generate_secret(label, key_id))

    def reveal_secret(self, key_id: bytes) -> bytes:
        return self._do(lambda objects: objects.reveal_secret(key_id))

    def has_secret(self, key_id: bytes) -> bool:
        return self._do(lambda objects: objects.has_secret(key_id))

    def try_out(self) -> tuple[bool, bool, bool]:
        """Whether a pair can be made that cannot leave, sign, and agree: with keys of this session only."""
        return self._do(lambda objects: objects.try_out())

    def random(self, octets: int) -> bytes:
        return self._do(lambda objects: objects.random(octets))
