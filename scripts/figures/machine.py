"""Where and when something was measured: all that explains a figure, and nothing that names the machine."""

import os
import platform
import re
import sqlite3
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from cryptography.hazmat.backends.openssl.backend import backend

ROOT = Path(__file__).parent.parent.parent
_PACKAGES = ("cryptography", "python-pkcs11", "msgspec", "psycopg", "pkilint", "sqlite-utils", "structlog")
_PROGRAMS = {
    "openssl": ("openssl", "version"),
    "softhsm": ("softhsm2-util", "--version"),
    "gnutls": ("certtool", "--version"),
    "cfssl": ("cfssl", "version"),
}
_NOT_HERE = "not here"

Measured = dict[str, str | int | float | dict[str, str]]


def look(command: str, load: float | None = None) -> Measured:
    """What is to stand beside figures of this command. Ask before the run: the load is that of others then."""
    return {
        "command": command,
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "commit": _commit(),
        "load": round(os.getloadavg()[0] if load is None else load, 2),
        "processor": _line("/proc/cpuinfo", "model name", platform.machine()),
        "cores": len(os.sched_getaffinity(0)),
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / (1 << 30):.0f} GB",
        "kernel": f"{platform.system()} {_number(platform.release())}",
        "system": platform.freedesktop_os_release().get("PRETTY_NAME", _NOT_HERE),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "postgresql": _postgresql(),
        **{name: _said(command) for name, command in _PROGRAMS.items()},
        "openssl of cryptography": _number(backend.openssl_version_text()),
        "packages": {name: _version(name) for name in _PACKAGES},
    }


def _commit() -> str:
    """What was measured, and whether it was changed since."""
    try:
        commit = _git("rev-parse", "--short=12", "HEAD").strip()
        changed = _git("status", "--porcelain", "--untracked-files=no", "--", "smki", "scripts", "policies", "hsm")
    except (OSError, subprocess.CalledProcessError):
        return _NOT_HERE
    return f"{commit} with changes" if changed else commit


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout


def _line(file: str, name: str, otherwise: str) -> str:
    lines = (line.partition(":") for line in Path(file).read_text(encoding="utf-8").splitlines())
    return next((value.strip() for key, _, value in lines if key.strip() == name), otherwise)


def _said(command: tuple[str, ...]) -> str:
    try:
        return _number(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    except (OSError, subprocess.CalledProcessError):
        return _NOT_HERE


def _postgresql() -> str:
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    return _said((str(programs[-1]), "--version")) if programs else _NOT_HERE


def _number(text: str) -> str:
    found = re.search(r"\d+(\.\d+)+\w*", text)
    return found[0] if found else _NOT_HERE


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return _NOT_HERE
