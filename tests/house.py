"""A founded workspace with three officers, made by the same calls the commands make."""

import base64
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from smki.authority.ceremony.approval import approve_ceremony
from smki.authority.ceremony.file import read_ceremony
from smki.authority.ceremony.run import run_ceremony
from smki.authority.founding import found
from smki.authority.registration import Enrolment, enrol
from smki.authority.workspace import SHIPPED, Person, Workspace, WorkspaceKind
from smki.entity import EntityRange
from smki.pki.kind import Kind
from smki.pki.public_key import spki_of
from smki.store.records import OrganisationRecord
from tests.once import once

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
# The same in every process: what one of them made, all may copy.
OFFICERS = {name: ec.derive_private_key(n, ec.SECP256R1()) for n, name in enumerate(("alice", "bob", "carol"), 2)}
WORKS, OUI = "Meter Works", "00-DB-12"
PASSPHRASE = "correct horse battery"


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
        return self.keep(f"ceremonies/{file}", "\n".join(lines) + "\n")

    def keep(self, name: str, text: str) -> Path:
        """A file of our own in the workspace."""
        path = self.home / name
        path.write_text(text, encoding="utf-8")
        path.chmod(0o600)
        return path

    def enrol(self) -> None:
        """Three officers on the roll."""
        (self.home / "ceremonies").mkdir(mode=0o700, exist_ok=True)
        self.hold(self.keep("ceremonies/0-officers.toml", roll(list(OFFICERS))), *OFFICERS)

    def stand_up(self) -> None:
        """The three hierarchies, each with its issuing authority."""
        for number in "123456":
            self.hold(self.shipped(number))

    def stand_up_for_devices(self) -> None:
        """The hierarchy that certifies devices."""
        for number in "34":
            self.hold(self.shipped(number))

    def enrol_works(self, volume: int = 1_000_000) -> OrganisationRecord:
        """A manufacturer, with an OUI of its own."""
        ranges = (EntityRange.parse(OUI),)
        return enrol(self.workspace, Enrolment(WORKS, (), (Kind.DEVICE,), ranges, volume))

    def officer_file(self, name: str) -> tuple[Path, Path]:
        """An officer's encrypted key, and its passphrase, as files for the commands."""
        encryption = serialization.BestAvailableEncryption(PASSPHRASE.encode())
        pem = OFFICERS[name].private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
        return self.keep(f"{name}.pem", pem.decode()), self.keep("passphrase", PASSPHRASE)


def copy_of(home: Path, to: Path) -> Path:
    """Another workspace with the same keys and the same past, as a backup that was brought back."""
    shutil.copytree(home, to, copy_function=shutil.copy2)
    conf = to / "softhsm2.conf"
    conf.write_text(conf.read_text().replace(str(home), str(to)))
    return to


def opened(home: Path, clock: Callable[[], datetime] = lambda: NOW) -> House:
    """A workspace that was founded before."""
    return House(Workspace(home, clock, no_prompt, Person("tester")))


def roll(names: list[str]) -> str:
    text = 'kind = "officers"\npurpose = "Enrol the officers"\n'
    for name in names:
        key = base64.b64encode(spki_of(OFFICERS[name].public_key())).decode()
        text += f'[[officers]]\nname = "{name}"\npublic_key = "{key}"\n'
    return text


@contextmanager
def founded(
    home: Path,
    clock: Callable[[], datetime] = lambda: NOW,
    store_url: str | None = None,
    kind: WorkspaceKind = "authority",
) -> Iterator[House]:
    """A workspace in which nobody is enrolled yet: a copy of one that was founded for all tests."""
    if store_url is None:
        copy_of(once(f"founded-{kind}", lambda path: found_at(path, kind)), home)
    else:
        found_at(home, kind, store_url)
    house = opened(home, clock)
    try:
        yield house
    finally:
        house.workspace.close()


def found_at(home: Path, kind: WorkspaceKind = "authority", store_url: str | None = None) -> None:
    """Found a workspace, on another store than the usual if one is named."""
    if store_url is not None:
        home.mkdir(mode=0o700)
        name = "workspace.toml" if kind == "authority" else "workspace-user.toml"
        settings = (SHIPPED / "policies" / name).read_text(encoding="utf-8")
        (home / "smki.toml").write_text(settings.replace("sqlite:smki.db", store_url), encoding="utf-8")
        (home / "smki.toml").chmod(0o600)
    assert "audit key" in list(found(home, lambda: NOW, no_prompt, Person("tester"), kind))
