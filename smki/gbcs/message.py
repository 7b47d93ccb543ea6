"""A GBCS message: its parts, and its one encoding (GBCS 7.2).

Five forms: a pre-command, a message signed, one with a MAC, one with both; and a signed pre-command, which a message
signed alone cannot be told from. What a payload says is none of this module's business.
"""

from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property

from smki.errors import InvalidInput
from smki.gbcs.header import Cra, Header, encode_length, read_header, read_length

GENERAL_CIPHERING = 0xDD
MAC_OCTETS = 12
SIGNATURE_OCTETS = 64
MAX_MESSAGE_OCTETS = 0x10000 + 256  # a payload of two octets' length, header, signature and MAC
_MAC_START = bytes((GENERAL_CIPHERING, 0, 0, 0, 0, 0, 0))
_SECURITY = bytes.fromhex("1100000000")  # authentication only, suite 1; invocation counter 0
_NO_SIGNATURE = b"\0"


class Protection(Enum):
    """What a message carries."""

    NONE = "none"
    SIGNATURE = "signature"
    MAC = "mac"
    BOTH = "signature+mac"


@dataclass(frozen=True)
class Message:
    """A message; equal to another exactly when their octets are."""

    header: Header
    payload: bytes = field(repr=False)
    """In no text that is made of a message by the way: one kind of command has a secret in it (GBCS 13.3)."""
    signature: bytes | None = None
    """r and s, 32 octets each; b"" is the null signature; None is a message that ends with its payload."""
    mac: bytes | None = None

    def __post_init__(self) -> None:
        if self.signature and len(self.signature) != SIGNATURE_OCTETS:
            raise _wrong(f"its signature has {len(self.signature)} octets")
        if self.mac is not None and (len(self.mac) != MAC_OCTETS or self.signature is None):
            raise _wrong("a MAC has 12 octets and follows a signature or the null signature")

    @property
    def protection(self) -> Protection:
        if self.mac is None:
            return Protection.SIGNATURE if self.signature else Protection.NONE
        return Protection.BOTH if self.signature else Protection.MAC

    @cached_property
    def grouped(self) -> bytes:
        """Grouping Header and payload."""
        return self.header.encode(len(self.payload)) + self.payload

    @property
    def signed_octets(self) -> bytes:
        """What a signature is over: all from the transaction-id on, without the tag before it (GBCS 6.2)."""
        return self.grouped[1:]

    @cached_property
    def inner(self) -> bytes:
        """Everything that a MAC protects."""
        if self.signature is None:
            return self.grouped
        return self.grouped + (encode_length(len(self.signature)) + self.signature)

    def encode(self) -> bytes:
        if self.mac is None:
            return self.inner
        length = len(_SECURITY) + len(self.inner) + MAC_OCTETS
        return b"".join((_MAC_START, encode_length(length), _SECURITY, self.inner, self.mac))

    def signed(self, signature: bytes) -> "Message":
        """The same with a signature; whatever was appended in its place before is dropped."""
        if self.protection is not Protection.NONE or len(signature) != SIGNATURE_OCTETS:
            raise _wrong("only a pre-command takes a signature, of 64 octets")
        return _made(self.header, self.payload, signature, None, grouped=self.grouped)

    def with_mac(self, mac: bytes) -> "Message":
        if self.mac is not None or self.signature is None or len(mac) != MAC_OCTETS:
            raise _wrong("a MAC of 12 octets comes once, after a signature or the null signature")
        return _made(self.header, self.payload, self.signature, mac, grouped=self.grouped, inner=self.inner)


def _made(header: Header, payload: bytes, signature: bytes | None, mac: bytes | None, **octets: bytes) -> Message:
    """A message of parts that were looked at, which knows the octets it was read from.

    Reading is strict, so it would be written as just these. Millions are made: not field by field.
    """
    message = object.__new__(Message)
    message.__dict__.update(octets, header=header, payload=payload, signature=signature, mac=mac)
    return message


def read_message(data: bytes) -> Message:
    """Read one message, whole: what is over, short, or written in another way is refused."""
    if len(data) > MAX_MESSAGE_OCTETS:
        raise _wrong(f"{len(data)} octets, and {MAX_MESSAGE_OCTETS} is the most there can be")
    if not data.startswith(_MAC_START[:1]):
        return _read_inner(data, 0, len(data), None)
    if not data.startswith(_MAC_START):
        raise _wrong("its MAC header is not DD and six zero octets: a fragment of a larger message has to be joined")
    length, at = read_length(data, len(_MAC_START))
    if at + length != len(data) or length < len(_SECURITY) + MAC_OCTETS:
        raise _wrong(f"{length} octets are announced after its MAC header, and {len(data) - at} are there")
    if not data.startswith(_SECURITY, at):
        raise _wrong("its security header is not that of a MAC (11 and invocation counter 0)")
    end = len(data) - MAC_OCTETS
    return _read_inner(data, at + len(_SECURITY), end, data[end:])


def _read_inner(data: bytes, start: int, end: int, mac: bytes | None) -> Message:
    header, at, content = read_header(data, start, end)
    after = at + content
    if after > end:
        raise _wrong(f"its payload has {content} octets, and {end - at} are there")
    signature = _read_signature(data[after:end])
    if mac is not None and signature is None:
        raise _wrong("a MAC follows a signature or the null signature")
    if mac is None and not signature and header.cra is not Cra.COMMAND:
        raise _wrong("only a pre-command goes without signature and MAC")
    return _made(header, data[at:after], signature, mac, grouped=data[start:after], inner=data[start:end])


def _read_signature(rest: bytes) -> bytes | None:
    """What follows the payload: nothing, the null signature, or a signature with its length before it."""
    if not rest:
        return None
    if rest == _NO_SIGNATURE:
        return b""
    if rest[0] != SIGNATURE_OCTETS or len(rest) != 1 + SIGNATURE_OCTETS:
        raise _wrong(f"{len(rest)} octets after its payload that are no signature")
    return rest[1:]


def _wrong(reason: str) -> InvalidInput:
    return InvalidInput("gbcs.form", f"no GBCS message: {reason}", "ask its sender for the whole message, unchanged")
