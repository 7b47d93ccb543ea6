"""A real PostgreSQL server for tests: made in a folder of its own, reached by a socket only, gone afterwards."""

import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


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

    def start(self) -> None:
        options = f"-c listen_addresses= -c unix_socket_directories={self.folder} -c fsync=off"
        log = str(self.folder / "log")
        self._run(str(self._binaries / "pg_ctl"), "-D", str(self.data), "-w", "-l", log, "-o", options, "start")

    def stop(self) -> None:
        self._run(str(self._binaries / "pg_ctl"), "-D", str(self.data), "-w", "-m", "immediate", "stop")

    def fresh(self) -> str:
        """The address of a database that nobody used."""
        import psycopg

        name = f"test_{secrets.token_hex(6)}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def url(self, database: str) -> str:
        return f"postgresql://smki@/{database}?host={self.folder}"


@contextmanager
def running() -> Iterator[Server]:
    with tempfile.TemporaryDirectory(prefix="smki-pg-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        server = Server(folder)
        server.make()
        server.start()
        try:
            yield server
        finally:
            server.stop()
