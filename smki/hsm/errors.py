"""What each PKCS#11 return code means to the person at the terminal: one table, used by every file in this room.

Names are those of python-pkcs11's exception classes, held as text so that listing tokens does not import it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from smki.errors import IntegrityFailure, InvalidInput, Refused, SmkiError, Unavailable

# Codes of PKCS#11 2.40 that the calls we make through ctypes can answer with; python-pkcs11 names its own.
_NAMES = {
    0x02: "HostMemory",
    0x03: "SlotIDInvalid",
    0x05: "GeneralError",
    0x06: "FunctionFailed",
    0x07: "ArgumentsBad",
    0x30: "DeviceError",
    0x31: "DeviceMemory",
    0x32: "DeviceRemoved",
    0x50: "FunctionCancelled",
    0x54: "FunctionNotSupported",
    0x60: "KeyHandleInvalid",
    0x68: "KeyFunctionNotPermitted",
    0x70: "MechanismInvalid",
    0x82: "ObjectHandleInvalid",
    0x90: "OperationActive",
    0xA0: "PinIncorrect",
    0xA1: "PinInvalid",
    0xA2: "PinLenRange",
    0xA3: "PinExpired",
    0xA4: "PinLocked",
    0xB0: "SessionClosed",
    0xB1: "SessionCount",
    0xB3: "SessionHandleInvalid",
    0xB5: "SessionReadOnly",
    0xB6: "SessionExists",
    0xE0: "TokenNotPresent",
    0xE1: "TokenNotRecognised",
    0xE2: "TokenWriteProtected",
    0x100: "UserAlreadyLoggedIn",
    0x101: "UserNotLoggedIn",
    0x102: "UserPinNotInitialized",
    0x104: "AnotherUserAlreadyLoggedIn",
    0x105: "UserTooManyTypes",
    0x190: "CryptokiNotInitialized",
    0x191: "CryptokiAlreadyInitialized",
}


class CryptokiError(Exception):
    """A PKCS#11 function called through ctypes said no."""

    def __init__(self, function: str, code: int) -> None:
        super().__init__(f"{function}: 0x{code:08x}")
        self.name = _NAMES.get(code, f"0x{code:08x}")


@dataclass(frozen=True, slots=True)
class Meaning:
    """What to tell about one return code."""

    kind: type[SmkiError]
    code: str
    sentence: str
    remedy: str


def _lost(sentence: str) -> Meaning:
    return Meaning(
        Unavailable,
        "hsm.unavailable",
        sentence,
        "bring the token or HSM back and call again; nothing need be restarted",
    )


_PIN_FORM = Meaning(
    InvalidInput,
    "hsm.pin-form",
    "the token does not accept a PIN of this form",
    "check the PIN's length and characters against the HSM's manual",
)
_LOGGED_OUT = _lost("the login is gone: the token was reset, or its session ended")

MEANINGS = {
    "PinIncorrect": Meaning(
        Refused,
        "hsm.pin-incorrect",
        "the token refused the PIN; it was sent once and will not be sent again",
        "correct the PIN where smki.toml says it comes from; most HSMs lock after a few wrong ones",
    ),
    "PinLocked": Meaning(
        Refused,
        "hsm.pin-locked",
        "the token's user PIN is locked",
        "have the security officer unlock it with the vendor's tool",
    ),
    "PinExpired": Meaning(
        Refused, "hsm.pin-expired", "the token's user PIN has expired", "set a new one with the vendor's tool"
    ),
    "UserPinNotInitialized": Meaning(
        Refused,
        "hsm.pin-unset",
        "the token has no user PIN yet",
        "finish making the token, or set its PIN as security officer with the vendor's tool",
    ),
    "PinInvalid": _PIN_FORM,
    "PinLenRange": _PIN_FORM,
    "PinTooWeak": _PIN_FORM,
    "SessionCount": Meaning(
        Unavailable,
        "hsm.session-limit",
        "the HSM has no free session",
        "stop a process that holds sessions, or lower `sessions` in the HSM's description",
    ),
    "DeviceMemory": Meaning(
        Unavailable,
        "hsm.full",
        "the token has no room for another object",
        "make room with the vendor's tool",
    ),
    "HostMemory": Meaning(
        Unavailable,
        "hsm.host-memory",
        "the machine has no memory left for the module",
        "free memory, then call again",
    ),
    "TokenWriteProtected": Meaning(
        Refused,
        "hsm.write-protected",
        "the token may not be written to",
        "lift its write protection, then call again",
    ),
    "MechanismInvalid": Meaning(
        Refused,
        "hsm.mechanism",
        "the HSM does not offer the mechanism this needs",
        "run `smki hsm check`: it says in words what this module can do",
    ),
    "AttributeSensitive": Meaning(
        Refused, "hsm.key-not-extractable", "the key may not leave the token", "use it through the token"
    ),
    "CryptokiAlreadyInitialized": Meaning(
        Refused,
        "hsm.module-in-use",
        "other code in this process has initialised the module, perhaps without thread safety",
        "use smki in a process of its own",
    ),
    "DeviceRemoved": _lost("the token was removed"),
    "TokenNotPresent": _lost("the token is not present"),
    "TokenNotRecognised": _lost("the slot holds something that is no token"),
    "SlotIDInvalid": _lost("the token's slot is gone"),
    "SessionHandleInvalid": _lost("the session is gone"),
    "SessionClosed": _lost("the session was closed under us"),
    "ObjectHandleInvalid": _lost("the token's objects are gone"),
    "KeyHandleInvalid": _lost("the key is gone from the token"),
    "DeviceError": _lost("the device reports an error"),
    "GeneralError": _lost("the module reports a general error: with SoftHSM, its token folder or settings are gone"),
    "FunctionFailed": _lost("the module could not carry out the call"),
    "UserNotLoggedIn": _LOGGED_OUT,
    "CryptokiNotInitialized": _lost("the module was shut down under us"),
    "PKCS11Error": _lost("the module answers with a code that PKCS#11 2.40 does not name"),
}


def return_name(error: BaseException) -> str | None:
    """The name of the return code an exception stands for; none if it has nothing to do with PKCS#11."""
    if isinstance(error, CryptokiError):
        return error.name
    return type(error).__name__ if type(error).__module__ == "pkcs11.exceptions" else None


def is_loss(error: BaseException) -> bool:
    """Whether connecting again may help: what held the sessions and handles is no longer as it was."""
    meaning = MEANINGS.get(return_name(error) or "")
    return meaning is not None and meaning.code == "hsm.unavailable"


def explained(error: BaseException, subject: str) -> SmkiError:
    """The error to raise in place of a return code met while using `subject`."""
    name = return_name(error) or type(error).__name__
    meaning = MEANINGS.get(name)
    if meaning is None:
        return Unavailable(
            "hsm.failed",
            f"{subject}: the HSM answered {name}",
            "run `smki hsm check`, and look the answer up in the HSM's manual",
        )
    return meaning.kind(meaning.code, f"{subject}: {meaning.sentence}", meaning.remedy)


@contextmanager
def translated(subject: str) -> Iterator[None]:
    """Turn return codes raised inside into the errors of the table."""
    try:
        yield
    except Exception as error:
        if return_name(error) is None:
            raise
        raise explained(error, subject) from None


def token_changed(subject: str, fact: str) -> IntegrityFailure:
    """The token is not the one we knew, or no longer holds what it held."""
    return IntegrityFailure(
        "hsm.token-changed",
        f"{subject}: {fact}",
        "find out who re-initialised, exchanged or restored it; restore the right token from its backup",
    )
