"""A founded workspace with three officers, made by the same calls the commands make."""

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from smki.authority.ceremony.approval import approve_ceremony
from smki.authority.ceremony.file import read_ceremony
from smki.authority.ceremony.run import run_ceremony
from smki.authority.founding import found
from smki.authority.officers import spki_of
from smki.authority.workspace import Person, Workspace

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
OFFICERS = {name: ec.generate_private_key(ec.SECP256R1()) for name in ("alice", "bob", "carol")}


def no_prompt(prompt: str) -> str:
    raise AssertionError(prompt)


@dataclass
class House:
    """A workspace and its officers."""

    workspace: Workspace

    @property
    def home(self) -> Path:
        return self.workspace.home

    def approve(self, path: Path, *names: str) -> None:
        ceremony = read_ceremony(path)
        for name in names:
            approve_ceremony(self.workspace, ceremony, name, OFFICERS[name], ceremony.sha256.hex())

    def run(self, path: Path) -> list[str]:
        return list(run_ceremony(self.workspace, read_ceremony(path)))

    def hold(self, path: Path, *names: str) -> list[str]:
        self.approve(path, *(names or ("alice", "bob")))
        return self.run(path)

    def shipped(self, start: str) -> Path:
        (path,) = (self.home / "ceremonies").glob(f"{start}*.toml")
        return path

    def write(self, file: str, base: str, /, **changes: object) -> Path:
        """A ceremony like a shipped one, with some lines changed."""
        lines = self.shipped(base).read_text(encoding="utf-8").splitlines()
        for key, value in changes.items():
            text = f'{key} = "{value}"' if isinstance(value, str) else f"{key} = {value}"
            at = [n for n, line in enumerate(lines) if line.startswith(f"{key} =")]
            if at:
                lines[at[0]] = text
            else:
                lines.insert(next(n for n, line in enumerate(lines) if line.startswith("purpose")), text)
        path = self.home / "ceremonies" / file
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        path.chmod(0o600)
        return path


def roll(names: list[str]) -> str:
    text = 'kind = "officers"\npurpose = "Enrol the officers"\n'
    for name in names:
        key = base64.b64encode(spki_of(OFFICERS[name].public_key())).decode()
        text += f'[[officers]]\nname = "{name}"\npublic_key = "{key}"\n'
    return text


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[House]:
    """Founded, but nobody enrolled."""
    home = tmp_path / "authority"
    made = list(found(home, lambda: NOW, no_prompt, Person("tester")))
    assert "audit key" in made
    workspace = Workspace(home, lambda: NOW, no_prompt, Person("tester"))
    yield House(workspace)
    workspace.close()


@pytest.fixture
def house(empty: House) -> House:
    """Founded, with three officers on the roll."""
    path = empty.home / "ceremonies" / "0-officers.toml"
    path.write_text(roll(["alice", "bob", "carol"]))
    path.chmod(0o600)
    empty.hold(path, "alice", "bob", "carol")
    return empty
