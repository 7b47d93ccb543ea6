"""A real PostgreSQL server for tests: made in a folder of its own, reached by a socket only, gone afterwards."""

import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.once import once, place

_SHARED = "pg"


def _binaries() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not found:
        pytest.skip("no PostgreSQL server is installed (Debian package postgresql)")
    return found[-1]


class Server:
    """One running server; it refuses root, so root runs it as the user its package made."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._binaries = _binaries()
        self._as = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        if self._as:
            shutil.chown(folder, "postgres")

    def _run(self, *command: str) -> None:
        subprocess.run([*self._as, *command], check=True, capture_output=True, cwd=self.folder)

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def make(self) -> None:
        program = str(self._binaries / "initdb")
        self._run(program, "-D", str(self.data), "-U", "smki", "-A", "trust", "-N", "--no-locale", "-E", "UTF8")

    def make_like(self, other: "Server") -> None:
        """The same as one that was made and never started."""
        self._run("cp", "-a", str(other.data), str(self.data))

    def start(self) -> None:
        options = f"-c listen_addresses= -c unix_socket_directories={self.folder} -c fsync=off"
        log = str(self.folder / "log")
        self._run(str(self._binaries / "pg_ctl"), "-D", str(self.data), "-w", "-l", log, "-o", options, "start")

    def stop(self) -> None:
        self._run(str(self._binaries / "pg_ctl"), "-D", str(self.data), "-w", "-m", "immediate", "stop")

    def fresh(self, like: str = "template1") -> str:
        """The address of a database that nobody used, or that is like another."""
        name = f"test_{secrets.token_hex(6)}"
        self.create(name, like)
        return self.url(name)

    def create(self, name: str, like: str = "template1") -> None:
        import psycopg

        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {name}")
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {like}")

    def url(self, database: str) -> str:
        return f"postgresql://smki@/{database}?host={self.folder}"


@contextmanager
def running() -> Iterator[Server]:
    """A server of a test's own, to be stopped and started; where a database is enough, take one of `shared`."""
    with tempfile.TemporaryDirectory(prefix="pg-", dir=place(), ignore_cleanup_errors=True) as name:
        server = _server(Path(name))
        server.start()
        try:
            yield server
        finally:
            server.stop()


def shared() -> Server:
    """The server of this run of the tests, started by whoever needs it first."""
    return Server(once(_SHARED, lambda folder: _server(folder).start()))


def stop_all(folder: Path) -> None:
    """Stop whatever server runs below a run's place."""
    for running in folder.glob("pg*/data/postmaster.pid"):
        with suppress(subprocess.CalledProcessError):  # it was stopped, and could not say so
            Server(running.parent.parent).stop()


def _server(folder: Path) -> Server:
    folder.mkdir(exist_ok=True)
    folder.chmod(0o755)
    server = Server(folder)
    server.make_like(Server(once("pg-made", _make)))
    return server


def _make(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o755)
    Server(folder).make()
