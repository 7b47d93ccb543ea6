"""A revocation list as PEM (RFC 7468 6), piece by piece: one of a million entries takes 40 MB."""

import base64
from collections.abc import Iterable, Iterator

PIECE_OCTETS = 48 << 11
"""Of DER at a time; 48 are a line, so that no piece but the last ends inside one."""
_BEGIN, _END = b"-----BEGIN X509 CRL-----\n", b"-----END X509 CRL-----\n"
_LINE = 64


def armoured(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The text of a list whose octets come in pieces of `PIECE_OCTETS`."""
    yield _BEGIN
    for piece in pieces:
        text = base64.b64encode(piece)
        yield b"".join(text[at : at + _LINE] + b"\n" for at in range(0, len(text), _LINE))
    yield _END
