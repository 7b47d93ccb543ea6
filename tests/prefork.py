"""Processes that begin with everything imported: forked, each with its own files, folder and environment.

A test that starts hundreds of processes, and is not about how they start, has them from here. They are real processes
and die real deaths; only the imports are shared: nothing is opened or drawn before the fork.

Run as a script, this is the process that forks. It ends when whoever started it does.
"""

import gc
import importlib
import marshal
import os
import pkgutil
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, NoReturn, Self

import smki
from tests.once import place

ROOT = Path(__file__).parent.parent
SMKI = "smki.cli.main:main"
_LARGEST = 1 << 17  # octets of an order
_CLIENT = """\
#!{python} -IS
import _socket, marshal, os, sys  # nothing that takes time to import
line = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
line.connect({address!r})
mask = os.umask(0o077)
order = marshal.dumps(({call!r}, sys.argv[1:], os.getcwd(), dict(os.environ), mask))
files = b"".join(number.to_bytes(4, sys.byteorder) for number in range(3))
line.sendmsg([order], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, files)])
line.recv(20)
code = int(line.recv(20))
os._exit(code if code >= 0 else 128 - code)
"""


class Child:
    """A process under way, as Popen would have it."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self.pid = int(line.recv(20))
        self.returncode: int | None = None

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code, or the signal it died of as a negative number."""
        if self.returncode is None:
            self._line.settimeout(timeout)
            try:
                said = self._line.recv(20)
            except (TimeoutError, BlockingIOError):
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0) from None
            self._line.close()
            self.returncode = int(said)
        return self.returncode

    def poll(self) -> int | None:
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def kill(self) -> bool:
        """SIGKILL, and wait for the end; false: it had ended before."""
        over = self.poll() is not None
        if not over:
            os.kill(self.pid, signal.SIGKILL)
        return self.wait() == -signal.SIGKILL and not over


class Prefork:
    """The process that forks, seen from whoever started it."""

    def __init__(self, *modules: str) -> None:
        """With all of smki imported, and these modules too. Use it as a context, which ends it."""
        self._address = Path(tempfile.mkdtemp(prefix="prefork-", dir=place()), "a")  # an address is short
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.prefork", self._address, *modules],
            cwd=ROOT, stdin=subprocess.PIPE, env={**os.environ, "LC_ALL": "C.UTF-8"}, start_new_session=True,
        )  # fmt: skip

    def __enter__(self) -> Self:
        while not self._address.exists():
            assert self._process.poll() is None
            time.sleep(0.005)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def start(self, call: str, *arguments: str | Path, out: IO[bytes] | None = None) -> Child:
        """A process that calls `module:function` with these arguments; it speaks to `out`, or as we do."""
        line = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        line.connect(str(self._address))
        order = (call, list(map(str, arguments)), str(ROOT), dict(os.environ), 0o077)
        with Path(os.devnull).open("rb+") as nothing:
            files = [nothing.fileno(), *([out.fileno()] * 2 if out else (1, 2))]
            socket.send_fds(line, [marshal.dumps(order)], files)
        return Child(line)

    def write_client(self, path: Path, call: str = SMKI) -> None:
        """A program for shells that is started quickly and does what `smki` does."""
        path.write_text(_CLIENT.format(python=sys.executable, address=str(self._address), call=call))
        path.chmod(0o755)


def _serve(address: str, modules: list[str]) -> NoReturn:
    """Fork for whoever asks."""
    found = pkgutil.walk_packages(smki.__path__, "smki.")
    for name in [*(one.name for one in found if not one.name.endswith("__main__")), *modules]:
        importlib.import_module(name)
    gc.freeze()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(f"{address}.new")
    listener.listen()
    Path(f"{address}.new").rename(address)
    while True:
        ready, _, _ = select.select([listener, sys.stdin], [], [])
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if sys.stdin in ready:
            os._exit(0)
        line, _ = listener.accept()
        if os.fork() == 0:
            break
        line.close()
    listener.close()
    order, files, _, _ = socket.recv_fds(line, _LARGEST, 3)
    child = os.fork()
    if child == 0:
        line.close()
        _become(files, *marshal.loads(order))  # noqa: S302 - written by ourselves
    for file in files:
        os.close(file)  # whoever reads there waits until nobody can write
    with suppress(BrokenPipeError, ConnectionResetError):
        line.send(b"%d" % child)
        _, status = os.waitpid(child, 0)
        line.send(b"%d" % os.waitstatus_to_exitcode(status))
    os._exit(0)


def _become(
    files: list[int], call: str, arguments: list[str], folder: str, environment: Mapping[str, str], mask: int
) -> NoReturn:
    """Be the process that was asked for."""
    os.setsid()
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(folder)
    os.umask(mask)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["smki", *arguments]
    module, _, function = call.partition(":")
    run = getattr(importlib.import_module(module), function)
    code = 0
    try:
        run(*([] if call == SMKI else map(Path, arguments)))
    except SystemExit as end:
        code = int(end.code or 0)
    except BaseException:  # noqa: BLE001 - whatever it is, this process says it and ends
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # taking apart what was imported costs more than all before


if __name__ == "__main__":
    _serve(sys.argv[1], sys.argv[2:])
