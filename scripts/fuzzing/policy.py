"""Every file of a workspace that says what is promised, and how things are reached: each by its own reader."""

import base64
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from functools import cache, cached_property
from importlib.resources.abc import Traversable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from scripts.fuzzing.target import NOW, Run, Target, folder, in_file
from smki.authority.policies import Policies, load_policies
from smki.authority.workspace import SETTINGS, SHIPPED, Person, Workspace
from smki.pki.public_key import spki_of


class _Noted(dict[str, bytes]):
    """Tables, and which of them were asked for."""

    def __init__(self, tables: dict[str, bytes]) -> None:
        super().__init__(tables)
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> bytes:
        self.asked.add(name)
        return super().__getitem__(name)


@cache
def shipped() -> Policies:
    return load_policies(SHIPPED / "policies")


@cache
def properties() -> dict[str, str]:
    """Which property of the policies reads which long table: whichever asks for it and for no other."""
    names = [name for name, value in vars(Policies).items() if isinstance(value, cached_property)]
    found = {}
    for name in names:
        noted = _Noted(dict(shipped().tables))
        policies = replace(shipped(), tables=noted)
        for other in names:
            if other != name:
                policies.__dict__[other] = getattr(shipped(), other)
        getattr(policies, name)
        found.update(dict.fromkeys(noted.asked, name))
    assert set(found) == set(shipped().tables), "a table that no property reads"
    return found


def files() -> dict[str, bytes]:
    """Every policy file as shipped, by its name in the folder."""
    place = SHIPPED / "policies"
    return {
        str(path.relative_to(place)): path.read_bytes()
        for path in sorted(place.rglob("*.toml"))
        if path.parent.name != "ceremonies" and not path.name.startswith("workspace")
    }


def reader(name: str) -> Callable[[bytes], object]:
    """Reads policies in which one file is other octets, as every command does."""
    if name in shipped().tables:
        own = properties()[name]
        others = {other: getattr(shipped(), other) for other in properties().values() if other != own}

        def table(octets: bytes) -> object:
            policies = replace(shipped(), tables={**shipped().tables, name: octets})
            policies.__dict__.update(others)
            return getattr(policies, own)

        return table
    place = folder() / f"policies-{name.replace('/', '-')}"
    if not place.exists():
        shutil.copytree(SHIPPED / "policies", place)

    def head(octets: bytes) -> object:
        (place / name).write_bytes(octets)
        return load_policies(place)

    return head


def policy_target(name: str) -> Target:
    def seeds() -> Iterator[bytes]:
        was, becomes = _MORE.get(name, (b"", b""))
        assert was in files()[name], "a shipped file that has changed"
        yield files()[name].replace(was, becomes, 1) if was else files()[name] + becomes

    return Target(lambda: reader(name), seeds)


# What no shipped file has, and a file may have: in place of what.
_SPKI = base64.b64encode(spki_of(ec.derive_private_key(5, ec.SECP256R1()).public_key())).decode()
_MORE: dict[str, tuple[bytes, bytes]] = {
    "broker.toml": (
        b"",
        b"""
[[officer]]
name = "Ann Ash"
organisation = "North"
ids = ["90-B3-D5"]
certificate = "AAAA"
""",
    ),
    "revocation.toml": (b"\nnames = {}", f'\nnames = {{"Ann Ash" = "{_SPKI}"}}'.encode()),
    "issuance.toml": (b"blocked_keys = []", b'blocked_keys = ["' + b"00" * 32 + b'"]'),
}


def _settings() -> Run:
    """smki.toml: all that a workspace takes from it without opening anything."""
    from smki.hsm.pin import PinSource

    def read(path: Path) -> object:
        with closing(Workspace(path.parent, lambda: NOW, str, Person("fuzz"))) as workspace:
            tokens = [(ref, workspace.pin_file(name)) for name, ref in workspace.tokens.items()]
            return workspace.kind, workspace.store_url, workspace.journal, workspace.audit_token, tokens, PinSource

    return in_file(read, SETTINGS)()


def _settings_files() -> Iterator[bytes]:
    yield from (path.read_bytes() for path in sorted((SHIPPED / "policies").glob("workspace*.toml")))
    yield b'[store]\n[audit]\ntoken = "a"\n[tokens.a]\nhsm = 5\npin = "prompt"\n'  # a key that the file names


def _hsm() -> Run:
    from smki.hsm.description import load_descriptions

    return in_file(lambda path: load_descriptions([path.parent]), "kind.toml")()


def _hsm_files() -> Iterator[bytes]:
    place: Traversable = SHIPPED / "hsm"
    yield from (path.read_bytes() for path in sorted(place.iterdir(), key=str) if path.name.endswith(".toml"))


def _profiles() -> Run:
    from smki.pki.profile import read_profile

    whole = reader("profiles/device.toml")

    def run(octets: bytes) -> None:
        read_profile(octets, "profiles/input.toml")
        whole(octets)

    return run


def targets() -> dict[str, Target]:
    """A target for each file, and one for all profiles."""
    heads = {name: octets for name, octets in files().items() if "/" not in name}
    profiles = [octets for name, octets in files().items() if "/" in name]
    found = {f"policy-{name.removesuffix('.toml')}": policy_target(name) for name in heads}
    found["policy-profiles"] = Target(_profiles, lambda: iter(profiles))
    return {**found, "settings": Target(_settings, _settings_files), "hsm": Target(_hsm, _hsm_files)}


TARGETS = targets()
