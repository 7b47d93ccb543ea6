"""The source archive and the wheel of one commit, in a room of its own."""

import gzip
import io
import os
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_UMASK = 0o022  # a wheel keeps the modes of the files that it is made of
# The wheel is built from the source archive, as a stranger would, in a process of its own.
_BACKEND = "import sys, setuptools.build_meta as backend; getattr(backend, sys.argv[1])(sys.argv[2])"


@dataclass(frozen=True)
class Room:
    """Where a build takes place."""

    folder: str
    environment: Mapping[str, str]


def build(room: Room, parent: Path, commit: str, made_at: int) -> tuple[Path, Path]:
    """The source archive and the wheel of COMMIT."""
    tree, out = parent / room.folder / "tree", parent / room.folder / "out"
    for folder in (tree, out):
        folder.mkdir(parents=True)
    archive = subprocess.run(
        ["git", "-c", "tar.umask=0022", "archive", "--format=tar", commit], check=True, capture_output=True
    ).stdout
    _unpack(archive, tree)
    source = _run("build_sdist", tree, out, room, made_at)
    plain = _plain(source, made_at)
    source.write_bytes(plain)
    again = parent / room.folder / "again"
    again.mkdir()
    _unpack(gzip.decompress(plain), again)
    (unpacked,) = again.iterdir()
    return source, _run("build_wheel", unpacked, out, room, made_at)


def _unpack(archive: bytes, folder: Path) -> None:
    subprocess.run(["tar", "-x", "-C", folder], input=archive, check=True, umask=_UMASK)


def _run(act: str, tree: Path, out: Path, room: Room, made_at: int) -> Path:
    before = set(out.iterdir())
    done = subprocess.run(
        [sys.executable, "-c", _BACKEND, act, str(out)],
        cwd=tree,
        capture_output=True,
        text=True,
        umask=_UMASK,
        env={**os.environ, **room.environment, "SOURCE_DATE_EPOCH": str(made_at)},
    )
    if done.returncode:
        sys.exit(f"package: {act} failed\n{done.stderr}")
    (made,) = set(out.iterdir()) - before
    return made


def _plain(source: Path, made_at: int) -> bytes:
    """The same files, without what the builder's machine put beside them: owners, hours, order."""
    octets = io.BytesIO()
    with (
        tarfile.open(source) as read,
        gzip.GzipFile(filename="", mode="wb", fileobj=octets, mtime=made_at) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as written,
    ):
        for member in sorted(read.getmembers(), key=lambda member: member.name):
            runs = member.isdir() or member.mode & 0o100
            member.mode = 0o755 if runs else 0o644
            member.uid = member.gid = 0
            member.uname = member.gname = "root"
            member.mtime = made_at
            member.pax_headers = {}
            written.addfile(member, read.extractfile(member) if member.isfile() else None)
    return octets.getvalue()
