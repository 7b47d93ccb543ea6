"""How payloads in ASN.1 are declared, read and written: DER, one way for each value (GBCS 4.1, X.690 10).

A declaration names the fields; pyca reads and writes them. Whatever pyca read is written again and compared, so that
no second encoding of the same value passes.
"""

from enum import IntEnum
from typing import Annotated, Any, TypeVar

from cryptography.hazmat import asn1

from smki.entity import EUI64_OCTETS, RemotePartyRole
from smki.errors import InvalidInput
from smki.pki.der import SEQUENCE, tlv
from smki.pki.holder import UNREADABLE
from smki.pki.keyid import KEY_IDENTIFIER_OCTETS

T = TypeVar("T")
ENUMERATED = 0x0A
_MAX_ENUMERATED = 0x7F
_MAX_DEPTH = 16
_CONSTRUCTED = 0x20
Entity = Annotated[bytes, asn1.Size(EUI64_OCTETS, EUI64_OCTETS)]
KeyIdentifierOctets = Annotated[bytes, asn1.Size(KEY_IDENTIFIER_OCTETS, KEY_IDENTIFIER_OCTETS)]

asn1.value_set(int)(RemotePartyRole)  # the vocabulary's own numbers are those on the wire


class Outcome(IntEnum):
    """Numbers that say what became of something, and their words for people."""

    @property
    def words(self) -> str:
        return self.name.lower().replace("_", " ")

    @classmethod
    def told(cls, number: int) -> str:
        """In words; a number that the specification does not have, as a number."""
        return next((one.words for one in cls if one == number), f"code {number}")


DIGITAL_SIGNATURE = asn1.BitString(b"\x80", 7)
KEY_AGREEMENT = asn1.BitString(b"\x08", 3)
KEY_CERT_SIGN = asn1.BitString(b"\x04", 2)


def enumerated(value: int) -> asn1.TLV:
    """An ENUMERATED, which pyca has no type for."""
    return asn1.decode_der(asn1.TLV, bytes((ENUMERATED, 1, value)))


def enumerated_value(element: asn1.TLV) -> int:
    octets = bytes(element.data)
    if element.tag_bytes != bytes((ENUMERATED,)) or len(octets) != 1 or octets[0] > _MAX_ENUMERATED:
        raise unfit("a status is no ENUMERATED of one octet")
    return octets[0]


def element(der: bytes) -> asn1.TLV:
    """Octets that are DER already, such as a certificate, for a place that keeps them as they are."""
    return asn1.decode_der(asn1.TLV, der)


def element_octets(value: asn1.TLV) -> bytes:
    if len(value.tag_bytes) != 1:
        raise unfit("an element has a tag of several octets, which nothing here has")
    return tlv(value.tag_bytes[0], bytes(value.data))


def read_declared(kind: type[T], payload: bytes) -> T:
    """Read a payload. Each is declared as a sequence of one field, because a root may be any type, a CHOICE too."""
    try:
        value = asn1.decode_der(kind, tlv(SEQUENCE, payload))
        same = write_declared(value) == payload
    except (ValueError, OverflowError, *UNREADABLE) as error:
        raise unfit(str(error).splitlines()[0][:120]) from None
    if not same:
        raise unfit("it is not DER: written again, its values give other octets")
    return value


def write_declared(value: Any) -> bytes:
    """The octets of a payload, without the sequence that the declaration puts around it."""
    der = asn1.encode_der(value)
    return der[len(der) - _content_length(der) :]


def _content_length(der: bytes) -> int:
    first = der[1]
    return first if first < 0x80 else int.from_bytes(der[2 : 2 + (first & 0x7F)])


def shorten_lengths(payload: bytes, depth: int = 0) -> bytes:
    """The same elements, each length of 82 00 xx as 81 xx. Anything else that is not DER stays, and fails."""
    if depth > _MAX_DEPTH:
        raise unfit("it nests too deep")
    parts, at = [], 0
    while at < len(payload):
        content, after = _element_at(payload, at)
        inner = payload[content:after]
        parts.append(tlv(payload[at], shorten_lengths(inner, depth + 1) if payload[at] & _CONSTRUCTED else inner))
        at = after
    return b"".join(parts)


def _element_at(payload: bytes, at: int) -> tuple[int, int]:
    """Where the content of the element at `at` begins, and where it ends."""
    head = payload[at : at + 4]
    if len(head) > 1 and head[1] < 0x80:
        content, length = at + 2, head[1]
    elif len(head) > 2 and head[1] == 0x81 and head[2] >= 0x80:
        content, length = at + 3, head[2]
    elif len(head) == 4 and head[1] == 0x82 and int.from_bytes(head[2:]) >= 0x80:
        content, length = at + 4, int.from_bytes(head[2:])
    else:
        raise unfit(f"no length at octet {at + 1}")
    if content + length > len(payload):
        raise unfit(f"it ends before the element at octet {at}")
    return content, content + length


def unfit(reason: str) -> InvalidInput:
    return InvalidInput(
        "gbcs.payload", f"the payload is not of its use case's form: {reason}", "ask its sender for the message"
    )
