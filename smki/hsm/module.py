"""One PKCS#11 library, loaded and started once in this process, and started again when a token was lost.

SoftHSM notices a token that comes or goes only when it starts, so starting again is how a lost token is found back.
Every start has a number: sessions and handles of an earlier number are dead.
"""

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from smki.errors import Refused, Unavailable
from smki.hsm.cryptoki import Cryptoki
from smki.hsm.description import Description
from smki.hsm.errors import CryptokiError, explained, translated

if TYPE_CHECKING:
    from pkcs11._pkcs11 import lib

TOKEN_INITIALISED = 0x400
LOGIN_REQUIRED = 0x04
PIN_COUNT_LOW, PIN_FINAL_TRY, PIN_LOCKED = 0x10000, 0x20000, 0x40000
_PIN_STATES = ((PIN_LOCKED, "locked"), (PIN_FINAL_TRY, "last try"), (PIN_COUNT_LOW, "wrong before"))
_OWN_FILE = "token.object"  # what SoftHSM calls a token's own file
_running: dict[str, "Module"] = {}
_guard = threading.Lock()


@dataclass(frozen=True, slots=True)
class TokenInfo:
    """What a token says of itself without a login."""

    slot: int
    label: str
    serial: str
    model: str
    manufacturer: str
    initialised: bool
    login_required: bool
    pin_state: str
    sessions: int | None
    sessions_max: int | None
    folder: Path | None


def pin_state(flags: int) -> str:
    """What a token's flags say of its user PIN: SoftHSM never locks one, vendors do."""
    return next((state for flag, state in _PIN_STATES if flags & flag), "good")


class Module:
    """A library and its present start."""

    def __init__(self, description: Description, workspace: Path) -> None:
        self._description = description
        self._workspace = workspace
        self._environment = {
            name: value.format(workspace=workspace) for name, value in description.environment.items()
        }
        self.path = _find_library(description)
        os.environ.update(self._environment)  # some libraries read it when they are loaded
        self.cryptoki = Cryptoki(self.path)
        self._library: lib | None = None
        self._process = os.getpid()
        self._lock = threading.RLock()
        self.starts = 0
        with _guard:
            other = _running.get(self.path)
            if other is not None and other._process == self._process:
                raise Refused(
                    "hsm.module-in-use",
                    f"{self.path} is in use in this process for another workspace",
                    "close that one first: a PKCS#11 library has one state a process",
                )
            _running[self.path] = self
        try:
            self._start()
        except BaseException:
            _running.pop(self.path, None)
            raise

    @contextmanager
    def starting(self) -> Iterator[None]:
        """One process at a time: a login rewrites SoftHSM's token file, and who starts just then sees no token."""
        path = self._workspace / ".hsm-lock"
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise Unavailable("hsm.lock", f"{path}: {error.strerror}", "mend its permissions") from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _start(self) -> None:
        with self.starting(), translated(self._description.title):
            self._mend_tokens()
            self.cryptoki.initialize(self._description.init_arguments)
        self.starts += 1

    def _mend_tokens(self) -> None:
        """Undo what a death during a login did to a token.

        SoftHSM empties and rewrites a token's own file at every login: killed in between, it leaves an empty file and
        a token that is lost with all its keys. So a copy lies beside each, and is put back when that happened.
        """
        folder = self._token_folders()
        if folder is None:
            return
        for own in folder.glob(f"*/{_OWN_FILE}"):
            with suppress(FileNotFoundError):  # the token is taken away in this moment
                _mend(own, own.with_name(f"{_OWN_FILE}.copy"))

    def _token_folders(self) -> Path | None:
        if not self._description.token_folders:
            return None
        folder = Path(self._description.token_folders.format(workspace=self._workspace))
        return folder if folder.is_dir() else None

    def check_process(self) -> None:
        """A forked child shares its parent's handles by accident: it must open its own."""
        if os.getpid() != self._process:
            raise Refused(
                "hsm.forked",
                "this process was forked from one that uses the HSM",
                "start workers by spawn, and let each open the HSM itself",
            )

    def restart(self, seen: int) -> None:
        """Start again, unless another thread did since start number `seen`."""
        self.check_process()
        with self._lock:
            if self.starts == seen:
                try:
                    self.cryptoki.finalize()
                except CryptokiError as error:
                    if error.name != "CryptokiNotInitialized":
                        raise explained(error, self._description.title) from None
                self._library = None
                self._start()

    def library(self) -> "lib":
        """python-pkcs11 on the library we started: loaded when a session is first opened."""
        from pkcs11 import _pkcs11

        class Started(_pkcs11.lib):
            """Already started, with locking: python-pkcs11 would say there is one thread, and crash under two."""

            def initialize(self) -> None:
                """Done by Cryptoki."""

        with self._lock:
            if self._library is None:
                self._library = Started(self.path)
            return self._library

    def tokens(self) -> list[TokenInfo]:
        """Every token present, by label; a slot with none is passed over."""
        self.check_process()
        found = []
        with translated(self._description.title):
            for slot in self.cryptoki.slots():
                try:
                    found.append(self._info(slot))
                except CryptokiError as error:
                    if error.name not in {"TokenNotPresent", "TokenNotRecognised"}:
                        raise
        return sorted(found, key=lambda info: (info.label, info.serial))

    def _info(self, slot: int) -> TokenInfo:
        raw = self.cryptoki.token_info(slot)
        unknown = (1 << 64) - 1
        serial = _text(raw.serial)
        return TokenInfo(
            slot=slot,
            label=_text(raw.label),
            serial=serial,
            model=_text(raw.model),
            manufacturer=_text(raw.manufacturer),
            initialised=bool(raw.flags & TOKEN_INITIALISED),
            login_required=bool(raw.flags & LOGIN_REQUIRED),
            pin_state=pin_state(raw.flags),
            sessions=None if raw.sessions == unknown else raw.sessions,
            sessions_max=None if raw.sessions_max in {0, unknown} else raw.sessions_max,
            folder=self._folder(serial),
        )

    def _folder(self, serial: str) -> Path | None:
        """Where SoftHSM keeps this token: the folder whose name ends in its serial number."""
        folder = self._token_folders()
        if folder is None or not serial:
            return None
        return next((item for item in folder.iterdir() if item.name.replace("-", "").endswith(serial)), None)

    def mechanisms(self, slot: int) -> list[int]:
        with translated(self._description.title):
            return self.cryptoki.mechanisms(slot)

    def create_token(self, label: str, so_pin: str, pin: str) -> None:
        """Make a token in the first slot that has none."""
        with self.starting(), translated(self._description.title):
            free = [slot for slot in self.cryptoki.slots() if not self._info(slot).initialised]
            if not free:
                raise Unavailable("hsm.no-slot", "no slot is free for another token", "see the HSM's manual")
            self.cryptoki.init_token(free[0], so_pin, label)
        self.restart(self.starts)
        with self.starting(), translated(self._description.title):
            made = [info.slot for info in self.tokens() if info.label == label]
            self.cryptoki.set_first_pin(made[0], so_pin, pin)

    def close(self) -> None:
        """Stop the library; another workspace may then use it."""
        if os.getpid() == self._process:
            self._library = None
            with _guard:
                _running.pop(self.path, None)
            try:
                self.cryptoki.finalize()
            except CryptokiError as error:
                if error.name != "CryptokiNotInitialized":
                    raise explained(error, self._description.title) from None


def _mend(own: Path, copy: Path) -> None:
    """While nobody else of ours starts: what a death left in the making is ours to remove."""
    temporary = own.with_name(f".{own.name}.new")
    temporary.unlink(missing_ok=True)
    whole = own.read_bytes()
    kept = copy.read_bytes() if copy.exists() else b""
    if whole != kept:
        path, data = (own, kept) if len(whole) < len(kept) else (copy, whole)
        try:
            _replace(path, data, temporary)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise Unavailable(
                "hsm.copy", f"{path}: {error.strerror}", "make room, or mend the folder's permissions"
            ) from None


def _replace(path: Path, data: bytes, temporary: Path) -> None:
    """Put octets in a file's place in one step; the token's owner alone may read them."""
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _text(raw: bytes) -> str:
    return raw.split(b"\x00")[0].decode("utf-8", "replace").rstrip()


def _find_library(description: Description) -> str:
    for path in description.module:
        if Path(path).is_file():
            return path
    raise Unavailable(
        "hsm.module-missing",
        f"{description.title}: none of {', '.join(description.module)} is there",
        "install the HSM's PKCS#11 library, or correct `module` in its description",
    )
