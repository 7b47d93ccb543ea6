"""One client's connection: requests in their order, one at a time, each within its time."""

import asyncio
from typing import Protocol, cast

from smki.authority.ocsp.http import BadHttp, HttpReader, HttpRequest, head_of

READ_OCTETS = 16_384
_buffer = memoryview(bytearray(READ_OCTETS))
"""One for all connections: what arrives is taken out of it before anything else arrives."""


class Reception(Protocol):
    """Who knows what to answer, and how long clients may take."""

    patience: float
    idle: float
    request_octets: int

    def now(self) -> float: ...

    def came(self, connection: "Connection") -> None: ...

    def gone(self, connection: "Connection") -> None: ...

    def ask(self, connection: "Connection", request: HttpRequest) -> None:
        """Answer now or later, through the connection's `reply`."""


class Connection(asyncio.BufferedProtocol):
    """Reads, asks, replies."""

    def __init__(self, reception: Reception) -> None:
        self._reception = reception
        self._reader = HttpReader(reception.request_octets)
        self._transport: asyncio.Transport | None = None
        self._advancing = False
        self._choked = False
        self._ended = False
        self._closing = False
        self.request: HttpRequest | None = None
        """The one that is being answered."""
        self.deadline = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self.deadline = self._reception.now() + self._reception.patience
        self._reception.came(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._transport = None
        self._reception.gone(self)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio's signature
        return _buffer

    def buffer_updated(self, nbytes: int) -> None:
        if self._reader.is_empty and self.request is None:
            self.deadline = self._reception.now() + self._reception.patience
        self._reader.feed(_buffer[:nbytes])
        self._advance()

    def eof_received(self) -> bool:
        """A client that has said all may still listen."""
        self._ended = True
        return self.request is not None

    def pause_writing(self) -> None:
        self._choked = True

    def resume_writing(self) -> None:
        self._choked = False
        self._advance()

    def _advance(self) -> None:
        """Take requests as long as each is answered at once."""
        if self._advancing or self._transport is None or self._closing:
            return
        self._advancing = True
        try:
            while not self._closing and self.request is None and not self._choked:
                request = self._reader.take()
                if request is None:
                    break
                self.request = request
                self.deadline = self._reception.now() + self._reception.patience
                self._reception.ask(self, request)
        except BadHttp as error:
            fields = b"Allow: GET, POST\r\n" if error.status == 405 else b""  # RFC 9110 15.5.6
            self._write(head_of(error.status, 0, fields, keep_alive=False), b"")
            self.close()
        finally:
            self._advancing = False
        self._pace()

    def _pace(self) -> None:
        """Read on only when there is somewhere to put it."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if self.request is not None or self._choked:
            transport.pause_reading()
        else:
            transport.resume_reading()

    def reply(self, status: int, fields: bytes, body: bytes) -> None:
        """Answer the request at hand, and go on to the next."""
        request, self.request = self.request, None
        assert request is not None, "there is one to be answered"
        keep_alive = request.keep_alive and not self._ended
        self._write(head_of(status, len(body), fields, keep_alive=keep_alive), b"" if status == 304 else body)
        if not keep_alive:
            self.close()
            return
        if self._reader.is_empty:
            self.deadline = self._reception.now() + self._reception.idle
        self._advance()

    def _write(self, head: bytes, body: bytes) -> None:
        if self._transport is not None and not self._closing:
            self._transport.write(head + body)

    def close(self) -> None:
        """Once all is sent; whoever does not take it in time is cut off like any slow client."""
        if self._transport is not None and not self._closing:
            self._closing = True
            self.deadline = self._reception.now() + self._reception.patience
            self._transport.close()

    def abort(self) -> None:
        """At once."""
        self._closing = True
        if self._transport is not None:
            self._transport.abort()
