"""What is given out: built the same twice, installed where nothing else is, run anywhere; services that exist."""

import os
import shlex
import subprocess
import sys
import tarfile
from pathlib import Path

import click
import pytest

from smki.cli.main import cli
from tests.once import once

TREE = Path(__file__).parent.parent.parent
UNITS = sorted((TREE / "deploy" / "systemd").glob("*.service"))
pytestmark = pytest.mark.skipif(
    not (TREE / ".git").exists(), reason="no checkout: it is built from what is committed"
)


def _build(out: Path) -> None:
    build = [sys.executable, "-m", "scripts.packaging", "--out", str(out)]
    said = subprocess.run(build, cwd=TREE, check=True, capture_output=True, text=True)
    assert "the same octets" in said.stdout


@pytest.fixture(scope="session")
def dist() -> Path:
    return once("dist", _build)


def test_the_digests_are_those_of_what_lies_there(dist: Path) -> None:
    subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=dist, check=True, capture_output=True)
    assert len((dist / "SHA256SUMS").read_text().splitlines()) == len(list(dist.iterdir())) - 1 == 2


def test_the_source_archive_holds_what_is_committed(dist: Path) -> None:
    (archive,) = dist.glob("*.tar.gz")
    with tarfile.open(archive) as read:
        held = {member.name.split("/", 1)[1] for member in read.getmembers() if member.isfile()}
        assert {(member.uid, member.uname, member.mtime) for member in read.getmembers()} == {
            (0, "root", read.getmembers()[0].mtime)
        }
    listed = ["git", "ls-tree", "-r", "--name-only", "HEAD"]
    committed = subprocess.run(listed, cwd=TREE, check=True, capture_output=True, text=True).stdout.splitlines()
    shipped = {"smki/shipped/hsm", "smki/shipped/policies"}  # links here; there the files themselves
    assert set(committed) - held <= shipped | {".gitignore"}


@pytest.mark.slow(15)
def test_the_wheel_runs_in_a_clean_environment_from_any_folder(dist: Path, tmp_path: Path) -> None:
    room, (wheel,) = tmp_path / "room", dist.glob("*.whl")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", room], check=True)
    install = [sys.executable, "-m", "pip", "--python", f"{room}/bin/python", "install", "--quiet", "--no-compile"]
    subprocess.run([*install, "--require-hashes", "-r", TREE / "requirements" / "runtime.txt"], check=True)
    subprocess.run([*install, "--no-deps", "--no-index", wheel], check=True)

    def smki(*arguments: str) -> str:
        bare = {
            name: value for name, value in os.environ.items() if not name.startswith(("SMKI", "PYTHON", "VIRTUAL"))
        }
        command = [f"{room}/bin/smki", *arguments]
        return subprocess.run(command, cwd=tmp_path, env=bare, check=True, capture_output=True, text=True).stdout

    assert "Usage: smki" in smki("--help")
    smki("init", "authority")
    assert "signature over a SHA-256 digest" in smki("--home", "authority", "hsm", "check", "oca-issuing")
    policies = {path.name for path in (TREE / "policies").glob("*.toml")}
    (shipped,) = room.glob("lib/python*/site-packages/smki/shipped/policies")
    assert {path.name for path in shipped.glob("*.toml")} == policies
    units = {path.name for path in (room / "share" / "smki" / "systemd").iterdir()}
    assert units == {path.name for path in (TREE / "deploy" / "systemd").iterdir()}
    manual = {path.name for path in (room / "share" / "man" / "man1").iterdir()}
    assert "smki.1" in manual


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_a_service_runs_commands_that_exist(unit: Path) -> None:
    (line,) = (line for line in unit.read_text(encoding="utf-8").splitlines() if line.startswith("ExecStart="))
    words = shlex.split(line.removeprefix("ExecStart="))
    commands = words[2].split("&&")[1:] if words[0] == "/bin/sh" else [shlex.join(words)]
    assert commands
    for command in commands:
        program, *arguments = shlex.split(command)
        assert program == "/usr/local/bin/smki"
        _parse(cli, arguments)


def _parse(command: click.Command, arguments: list[str]) -> None:
    """Raises where there is no such command, or it takes no such arguments."""
    context = click.Context(command)
    while isinstance(command, click.Group):
        name, found, arguments = command.resolve_command(context, arguments)
        assert found is not None, name
        command = found
    command.make_context(command.name, list(arguments))


def test_every_service_gives_up_the_same_rights() -> None:
    kept = [unit.read_text(encoding="utf-8").partition("# What it may not do")[2] for unit in UNITS]
    assert len({text.partition("[Install]")[0].strip() for text in kept}) == 1
    assert all("\nLimitCORE=0\n" in text and "\nUMask=0077\n" in text for text in kept)  # a dump would hold PINs
