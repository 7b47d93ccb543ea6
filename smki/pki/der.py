"""The little DER that is put together by hand: a tag, a length, and octets that are DER already."""

SEQUENCE = 0x30
BIT_STRING = 0x03
OCTET_STRING = 0x04
_SHORT = 0x80


def header(tag: int, length: int) -> bytes:
    """What stands before so many octets; lengths in their shortest form (X.690 10.1)."""
    if length < _SHORT:
        return bytes((tag, length))
    octets = length.to_bytes((length.bit_length() + 7) // 8)
    return bytes((tag, _SHORT | len(octets))) + octets


def tlv(tag: int, content: bytes) -> bytes:
    """One DER element."""
    return header(tag, len(content)) + content
