"""Just enough of HTTP/1.1 to be asked by OCSP clients: GET and POST, bounded, strict. Octets in, requests out.

No framework parses here: a responder stands open to everybody, and what it must read of HTTP fits on a page.
"""

import binascii
import re
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

MAX_HEAD_OCTETS = 8_192
_MAX_LINES = 64
_LINE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):([\t\x20-\x7e\x80-\xff]*)")
_TARGET = re.compile(rb"(?:[Hh][Tt][Tt][Pp]://[^/?#]+)?(/[\x21-\x7e]*)")
_ALONE = {b"content-length", b"content-type", b"host", b"transfer-encoding"}
REASONS = {
    200: b"OK",
    304: b"Not Modified",
    400: b"Bad Request",
    404: b"Not Found",
    405: b"Method Not Allowed",
    413: b"Content Too Large",
    415: b"Unsupported Media Type",
    417: b"Expectation Failed",
    431: b"Request Header Fields Too Large",
    501: b"Not Implemented",
    505: b"HTTP Version Not Supported",
}


class BadHttp(Exception):
    """What was sent is not HTTP as it is spoken here: answer with this status, and hang up."""

    def __init__(self, status: int) -> None:
        super().__init__(f"{status} {REASONS[status].decode()}")
        self.status = status


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """What a client wants to know, freed of how it was sent."""

    octets: bytes
    keep_alive: bool
    known: bytes = b""
    """If-None-Match of a GET: the answer the client has already."""


@dataclass(frozen=True, slots=True)
class _Head:
    request: HttpRequest
    length: int


class HttpReader:
    """Takes octets as they come, and gives a request when it is whole."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._buffer = bytearray()
        self._head: _Head | None = None

    @property
    def is_empty(self) -> bool:
        """Whether no request has begun."""
        return self._head is None and not self._buffer

    def feed(self, data: "bytes | memoryview") -> None:
        self._buffer += data

    def take(self) -> HttpRequest | None:
        """The next request, if all of it is there."""
        if self._head is None:
            end = self._buffer.find(b"\r\n\r\n", 0, MAX_HEAD_OCTETS)
            if end < 0:
                if len(self._buffer) >= MAX_HEAD_OCTETS:
                    raise BadHttp(431)
                return None
            self._head = _read_head(bytes(self._buffer[:end]), self._most)
            del self._buffer[: end + 4]
        head = self._head
        if head.length == 0:
            self._head = None
            return head.request
        if len(self._buffer) < head.length:
            return None
        body = bytes(self._buffer[: head.length])
        del self._buffer[: head.length]
        self._head = None
        return HttpRequest(body, head.request.keep_alive)


def _read_head(head: bytes, most: int) -> _Head:
    first, *lines = head.split(b"\r\n")
    words = first.split(b" ")
    target = _TARGET.fullmatch(words[1]) if len(words) == 3 else None
    if target is None:
        raise BadHttp(400)
    if words[2] not in {b"HTTP/1.1", b"HTTP/1.0"}:
        raise BadHttp(505)
    fields = _fields(lines)
    keep_alive = _framing(fields, modern=words[2] == b"HTTP/1.1")
    length = _length(fields.get(b"content-length"), most)
    if words[0] == b"GET" and length == 0:
        return _Head(HttpRequest(_from_path(target[1], most), keep_alive, fields.get(b"if-none-match", b"")), 0)
    if words[0] != b"POST":
        raise BadHttp(400 if words[0] == b"GET" else 405)
    if target[1] != b"/":
        raise BadHttp(404)
    if fields.get(b"content-type", b"").partition(b";")[0].strip().lower() != b"application/ocsp-request":
        raise BadHttp(415)
    return _Head(HttpRequest(b"", keep_alive), length)


def _framing(fields: dict[bytes, bytes], *, modern: bool) -> bool:
    """Whether the connection outlives the request; what could hide where the request ends is not taken."""
    if modern and b"host" not in fields:
        raise BadHttp(400)
    if b"transfer-encoding" in fields:
        raise BadHttp(501)
    if b"expect" in fields:
        raise BadHttp(417)
    connection = fields.get(b"connection", b"").lower()
    return b"close" not in connection if modern else b"keep-alive" in connection


def _fields(lines: list[bytes]) -> dict[bytes, bytes]:
    if len(lines) > _MAX_LINES:
        raise BadHttp(431)
    found: dict[bytes, bytes] = {}
    for line in lines:
        match = _LINE.fullmatch(line)
        if match is None:
            raise BadHttp(400)
        name = match[1].lower()
        if name in found and name in _ALONE:
            raise BadHttp(400)  # two lengths are how requests are smuggled (RFC 9112 11.2)
        found[name] = match[2].strip(b" \t")
    return found


def _length(text: bytes | None, most: int) -> int:
    if text is None:
        return 0
    if not text.isdigit():
        raise BadHttp(400)
    if len(text) > 6 or int(text) > most:
        raise BadHttp(413)
    return int(text)


def _from_path(path: bytes, most: int) -> bytes:
    """Base64 in the path, with or without escapes (RFC 6960 A.1); what is none is no OCSP request either."""
    if len(path) > 3 * most:
        raise BadHttp(413)
    try:
        octets = binascii.a2b_base64(unquote_to_bytes(path[1:]), strict_mode=True)
    except binascii.Error:
        return b""
    if len(octets) > most:
        raise BadHttp(413)
    return octets


def head_of(status: int, length: int, fields: bytes, *, keep_alive: bool) -> bytes:
    """The head of an answer; `fields` are whole lines."""
    connection = b"" if keep_alive else b"Connection: close\r\n"
    return b"HTTP/1.1 %d %s\r\nContent-Length: %d\r\n%s%s\r\n" % (status, REASONS[status], length, connection, fields)
