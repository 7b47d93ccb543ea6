"""How many OCSP answers a second one responder gives, each signed and from those kept, against C_Sign.

python -m scripts.benches.ocsp FILE PORT SECONDS     a client: what FILE holds, again and again; prints its rate
"""

import os
import selectors
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from scripts.benches.arithmetic import Arithmetic
from scripts.benches.report import Row
from tests.authority.ocsp.served import Served, make, message, start
from tests.once import close_place, open_place

_CONNECTIONS = 16
_AHEAD = 8  # requests a client sends before it reads: what many clients do together
_MARK = b"HTTP/1.1 200 OK"
_SECONDS = 4


def run() -> Iterator[Row]:
    """Every row, from one world."""
    open_place()
    try:
        with tempfile.TemporaryDirectory(prefix="smki-bench-") as name:
            folder = Path(name)
            make(folder / "authority")
            policy = folder / "authority" / "policies" / "ocsp.toml"
            policy.write_text(policy.read_text().replace('patience = "1s"', 'patience = "30s"'))
            served = start(folder / "authority", folder)
            try:
                yield from _rows(served, folder)
            finally:
                served.stop()
    finally:
        close_place()


def _rows(served: Served, folder: Path) -> Iterator[Row]:
    arithmetic = Arithmetic(folder)
    own = message(served.request("good", nonce=os.urandom(32)))
    plain = message(served.request("good"))

    def c_sign() -> float:
        return arithmetic.sign(served.home, "ocsp")

    before, signed, after = c_sign(), _rate(folder, own, served.port), c_sign()
    bound = (before + after) / 2
    yield Row("c_sign", "C_Sign", bound, "1/s", "C loop on the token, one process")
    yield Row("signed", "OCSP answers with a nonce", signed, "1/s", "C_Sign, one process", bound, None,
              "OCSP answers, each signed in the HSM")  # fmt: skip
    yield Row("kept", "OCSP answers kept", _rate(folder, plain, served.port), "1/s", "C_Sign, one process", bound)


def _rate(folder: Path, octets: bytes, port: int) -> float:
    file = folder / "message"
    file.write_bytes(octets)
    command = [sys.executable, "-m", "scripts.benches.ocsp", str(file), str(port), str(_SECONDS)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


# One client


def client(octets: bytes, port: int, seconds: float) -> float:
    """Answers a second through a few connections."""
    block = octets * _AHEAD
    waiting = selectors.DefaultSelector()
    for _ in range(_CONNECTIONS):
        connection = socket.create_connection(("127.0.0.1", port))
        connection.sendall(block)
        waiting.register(connection, selectors.EVENT_READ, [b"", 0])
    answers, begin = 0, time.perf_counter()
    while (now := time.perf_counter()) - begin < seconds:
        for key, _ in waiting.select():
            state = key.data
            data = state[0] + key.fileobj.recv(1 << 16)  # type: ignore[union-attr]
            found = data.count(_MARK)
            state[0] = data[data.rfind(_MARK) + 1 :][-len(_MARK) + 1 :]
            state[1] += found
            answers += found
            if state[1] == _AHEAD:
                state[1] = 0
                key.fileobj.sendall(block)  # type: ignore[union-attr]
    return answers / (now - begin)


if __name__ == "__main__":
    print(client(Path(sys.argv[1]).read_bytes(), int(sys.argv[2]), float(sys.argv[3])))
