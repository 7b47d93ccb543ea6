"""A connection over real sockets: whoever takes nothing of what is sent loses it."""

import asyncio
import queue
import socket
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from smki.authority.ocsp.connection import Connection
from smki.authority.ocsp.reception import Reception
from smki.authority.policies import load_policies
from smki.authority.workspace import SHIPPED
from tests.authority.ocsp.served import message

PLACES, CLIENTS, SMALL = 5, 12, 4096


def reception() -> Reception:
    policy = load_policies(SHIPPED / "policies").ocsp
    moment = timedelta(seconds=0.3)
    limits = replace(policy.limits, connections=PLACES, patience=moment, idle=moment)
    return Reception(replace(policy, limits=limits), lambda: datetime.now(UTC), queue.SimpleQueue())


def listener() -> socket.socket:
    found = socket.create_server(("127.0.0.1", 0))
    found.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL)
    return found


def client(port: int) -> socket.socket:
    found = socket.socket()
    found.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
    found.connect(("127.0.0.1", port))
    found.setblocking(False)
    return found


def files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize("last", [b"nonsense\r\n\r\n", message(b"abc", more="Connection: close\r\n"), b""])
def test_who_asks_much_and_reads_nothing_is_cut_off(last: bytes) -> None:
    """Its answers wait to be sent when the connection is to end: it ends all the same, and frees its place."""

    async def serve() -> tuple[int, int]:
        desk, taken = reception(), listener()
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Connection(desk), sock=taken)
        before, clients = files(), []
        try:
            for _ in range(CLIENTS):
                clients.append(client(taken.getsockname()[1]))
                for piece in (100 * message(b"abc"), 50 * message(b"abc"), last):
                    clients[-1].send(piece)
                    await asyncio.sleep(0.02)
            end = loop.time() + 5
            while files() > before + CLIENTS and loop.time() < end:
                await asyncio.sleep(0.05)
                desk.sweep()
            return len(desk._open), files() - before - CLIENTS
        finally:
            for one in clients:
                one.close()
            server.close()

    assert asyncio.run(serve()) == (0, 0)


def test_what_was_sent_last_arrives_before_the_end() -> None:
    """Also by a client that reads slowly, as long as it reads."""

    async def serve() -> bytes:
        desk, taken = reception(), listener()
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Connection(desk), sock=taken)
        one = client(taken.getsockname()[1])
        try:
            one.send(50 * message(b"abc") + message(b"abc", more="Connection: close\r\n") + message(b"abc"))
            got = b""
            while more := await asyncio.wait_for(loop.sock_recv(one, 2000), 5):
                got += more
                await asyncio.sleep(0.001)
            return got
        finally:
            one.close()
            server.close()

    got = asyncio.run(serve())
    assert got.count(b"HTTP/1.1 200 OK") == 51, "and nothing after the request that ended it"
