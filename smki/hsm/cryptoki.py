"""The part of PKCS#11 that we call through ctypes: start, stop, slots, tokens, making a token, and the two hot calls.

python-pkcs11 would start a module as if there were one thread, and takes a tenth of a second to import. It is
loaded beside this, on the same library, only when a session is opened. Structures are those of PKCS#11 2.40 as
laid out on Unix; on Windows they would be packed.
"""

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ctypes import CFUNCTYPE, POINTER, Structure, byref, c_char, c_ubyte, c_ulong, c_void_p
from typing import Any

from smki.errors import Unavailable
from smki.hsm.errors import CryptokiError

OS_LOCKING_OK = 0x02
SERIAL_SESSION, RW_SESSION = 0x04, 0x02
SECURITY_OFFICER = 0
LABEL_OCTETS = 32
_ECDSA = 0x1041  # CKM_ECDSA: over a digest made on the host
_ECDH = 0x1050  # CKM_ECDH1_DERIVE
_NO_KDF = 1  # CKD_NULL: GBCS derives its keys on the host
_SIGNATURE_OCTETS = 64
_SECRET_OCTETS = 32
# Attributes of the secret that two keys agree on, and of their values.
_CLASS, _TOKEN, _KEY_TYPE, _VALUE, _SENSITIVE, _VALUE_LEN, _EXTRACTABLE = (
    0x000,
    0x001,
    0x100,
    0x011,
    0x103,
    0x161,
    0x162,
)
_SECRET_KEY, _GENERIC_SECRET = 4, 0x10


class _Version(Structure):
    _fields_ = [("major", c_ubyte), ("minor", c_ubyte)]


class _InitializeArguments(Structure):
    _fields_ = [
        ("create_mutex", c_void_p),
        ("destroy_mutex", c_void_p),
        ("lock_mutex", c_void_p),
        ("unlock_mutex", c_void_p),
        ("flags", c_ulong),
        ("reserved", c_void_p),
    ]


class TokenInfoStruct(Structure):
    """CK_TOKEN_INFO."""

    _fields_ = [
        ("label", c_char * LABEL_OCTETS),
        ("manufacturer", c_char * 32),
        ("model", c_char * 16),
        ("serial", c_char * 16),
        ("flags", c_ulong),
        ("sessions_max", c_ulong),
        ("sessions", c_ulong),
        ("rw_sessions_max", c_ulong),
        ("rw_sessions", c_ulong),
        ("pin_max", c_ulong),
        ("pin_min", c_ulong),
        ("public_memory", c_ulong),
        ("public_memory_free", c_ulong),
        ("private_memory", c_ulong),
        ("private_memory_free", c_ulong),
        ("hardware", _Version),
        ("firmware", _Version),
        ("time", c_char * 16),
    ]


class _Mechanism(Structure):
    _fields_ = [("mechanism", c_ulong), ("parameter", c_void_p), ("length", c_ulong)]


class _Attribute(Structure):
    _fields_ = [("type", c_ulong), ("value", c_void_p), ("length", c_ulong)]


class _EcdhParameters(Structure):
    """CK_ECDH1_DERIVE_PARAMS."""

    _fields_ = [
        ("kdf", c_ulong),
        ("shared_length", c_ulong),
        ("shared", c_void_p),
        ("public_length", c_ulong),
        ("public", c_void_p),
    ]


# Places in CK_FUNCTION_LIST, after its version, and the types of the arguments.
_ULONGS = POINTER(c_ulong)
_FUNCTIONS: dict[str, tuple[int, tuple[Any, ...]]] = {
    "C_Initialize": (0, (c_void_p,)),
    "C_Finalize": (1, (c_void_p,)),
    "C_GetSlotList": (4, (c_ubyte, _ULONGS, _ULONGS)),
    "C_GetTokenInfo": (6, (c_ulong, POINTER(TokenInfoStruct))),
    "C_GetMechanismList": (7, (c_ulong, _ULONGS, _ULONGS)),
    "C_InitToken": (9, (c_ulong, ctypes.c_char_p, c_ulong, ctypes.c_char_p)),
    "C_InitPIN": (10, (c_ulong, ctypes.c_char_p, c_ulong)),
    "C_OpenSession": (12, (c_ulong, c_ulong, c_void_p, c_void_p, _ULONGS)),
    "C_CloseSession": (13, (c_ulong,)),
    "C_Login": (18, (c_ulong, c_ulong, ctypes.c_char_p, c_ulong)),
    "C_DestroyObject": (22, (c_ulong, c_ulong)),
    "C_GetAttributeValue": (24, (c_ulong, c_ulong, POINTER(_Attribute), c_ulong)),
    "C_SignInit": (42, (c_ulong, POINTER(_Mechanism), c_ulong)),
    "C_Sign": (43, (c_ulong, ctypes.c_char_p, c_ulong, ctypes.c_char_p, _ULONGS)),
    "C_DeriveKey": (62, (c_ulong, POINTER(_Mechanism), c_ulong, POINTER(_Attribute), c_ulong, _ULONGS)),
}
_FUNCTION_COUNT = 68


class _FunctionList(Structure):
    _fields_ = [("version", _Version), ("functions", c_void_p * _FUNCTION_COUNT)]


def _attribute(kind: int, value: Any) -> _Attribute:
    """What an attribute points to is kept alive by whoever made it."""
    return _Attribute(kind, ctypes.cast(byref(value), c_void_p), ctypes.sizeof(value))


class Cryptoki:
    """A PKCS#11 library, loaded but for `initialize` not started."""

    def __init__(self, path: str) -> None:
        self.path = path
        try:
            self._library = ctypes.CDLL(path)
            get_list = self._library.C_GetFunctionList
        except (OSError, AttributeError):
            raise Unavailable(
                "hsm.module-broken",
                f"{path} does not load as a PKCS#11 library",
                "install the HSM's client for this machine's architecture, and correct `module` in its description",
            ) from None
        pointer = POINTER(_FunctionList)()
        self._check("C_GetFunctionList", get_list(byref(pointer)))
        functions = pointer.contents.functions
        self._calls = {
            name: CFUNCTYPE(c_ulong, *arguments)(functions[place]) for name, (place, arguments) in _FUNCTIONS.items()
        }

    @staticmethod
    def _check(function: str, code: int) -> None:
        if code != 0:
            raise CryptokiError(function, code)

    def _call(self, function: str, *arguments: Any) -> None:
        self._check(function, self._calls[function](*arguments))

    def initialize(self, reserved: str | None) -> None:
        """Start the module, telling it that threads will call it: without that, SoftHSM crashes under two."""
        text = None if reserved is None else ctypes.create_string_buffer(reserved.encode())
        pointer = None if text is None else ctypes.cast(text, c_void_p)
        self._call("C_Initialize", byref(_InitializeArguments(flags=OS_LOCKING_OK, reserved=pointer)))

    def finalize(self) -> None:
        self._call("C_Finalize", None)

    def slots(self) -> list[int]:
        """Every slot, with or without a token."""
        count = c_ulong()
        self._call("C_GetSlotList", 0, None, byref(count))
        slots = (c_ulong * max(count.value, 1))()
        self._call("C_GetSlotList", 0, slots, byref(count))
        return list(slots[: count.value])

    def token_info(self, slot: int) -> TokenInfoStruct:
        info = TokenInfoStruct()
        self._call("C_GetTokenInfo", slot, byref(info))
        return info

    def mechanisms(self, slot: int) -> list[int]:
        count = c_ulong()
        self._call("C_GetMechanismList", slot, None, byref(count))
        codes = (c_ulong * max(count.value, 1))()
        self._call("C_GetMechanismList", slot, codes, byref(count))
        return list(codes[: count.value])

    def init_token(self, slot: int, so_pin: str, label: str) -> None:
        padded = label.encode().ljust(LABEL_OCTETS)
        self._call("C_InitToken", slot, so_pin.encode(), len(so_pin.encode()), padded)

    def set_first_pin(self, slot: int, so_pin: str, pin: str) -> None:
        """As security officer, give a token its user PIN."""
        with self._session(slot) as session:
            self.login(session, SECURITY_OFFICER, so_pin)
            self._call("C_InitPIN", session, pin.encode(), len(pin.encode()))

    def login(self, session: int, user: int, pin: str) -> None:
        self._call("C_Login", session, user, pin.encode(), len(pin.encode()))

    def signer(self, session: int, key: int) -> Callable[[bytes], bytes]:
        """A function that signs digests with a key: r and s, 32 octets each. For one thread at a time.

        A million certificates go through here. python-pkcs11 asks for the length first, and takes half as long again.
        """
        begin, finish = self._calls["C_SignInit"], self._calls["C_Sign"]
        mechanism = byref(_Mechanism(_ECDSA))
        buffer = ctypes.create_string_buffer(_SIGNATURE_OCTETS)
        length = c_ulong()
        place = byref(length)

        def sign(digest: bytes) -> bytes:
            code = begin(session, mechanism, key)
            if code:
                raise CryptokiError("C_SignInit", code)
            length.value = _SIGNATURE_OCTETS
            code = finish(session, digest, len(digest), buffer, place)
            if code:
                raise CryptokiError("C_Sign", code)
            return buffer.raw[: length.value]

        return sign

    def agreer(self, session: int, key: int) -> Callable[[bytes], bytes]:
        """A function that agrees with peers' points by ECDH: Z, 32 octets. For one thread at a time.

        Every command of a broker goes through here; python-pkcs11 takes four times as long for the same three calls.
        """
        derive, read, destroy = (
            self._calls[name] for name in ("C_DeriveKey", "C_GetAttributeValue", "C_DestroyObject")
        )
        values = {
            _CLASS: c_ulong(_SECRET_KEY),
            _KEY_TYPE: c_ulong(_GENERIC_SECRET),
            _VALUE_LEN: c_ulong(_SECRET_OCTETS),
            _TOKEN: c_ubyte(0),
            _SENSITIVE: c_ubyte(0),
            _EXTRACTABLE: c_ubyte(1),
        }
        template = (_Attribute * len(values))(*(_attribute(kind, value) for kind, value in values.items()))
        secret = ctypes.create_string_buffer(_SECRET_OCTETS)
        wanted = _attribute(_VALUE, secret)
        made = c_ulong()

        def agree(point: bytes, _kept: object = values) -> bytes:
            public = ctypes.create_string_buffer(point, len(point))
            parameters = _EcdhParameters(_NO_KDF, 0, None, len(point), ctypes.cast(public, c_void_p))
            mechanism = _Mechanism(_ECDH, ctypes.cast(byref(parameters), c_void_p), ctypes.sizeof(parameters))
            code = derive(session, byref(mechanism), key, template, len(template), byref(made))
            if code:
                raise CryptokiError("C_DeriveKey", code)
            wanted.length = _SECRET_OCTETS
            code = read(session, made.value, byref(wanted), 1)
            octets = secret.raw[: wanted.length]
            ctypes.memset(secret, 0, _SECRET_OCTETS)
            self._check("C_DestroyObject", destroy(session, made.value))
            self._check("C_GetAttributeValue", code)
            return octets

        return agree

    @contextmanager
    def _session(self, slot: int) -> Iterator[int]:
        session = c_ulong()
        self._call("C_OpenSession", slot, SERIAL_SESSION | RW_SESSION, None, None, byref(session))
        try:
            yield session.value
        finally:
            self._call("C_CloseSession", session.value)  # the last session's end is also a logout
