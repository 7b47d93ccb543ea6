"""A workspace: one folder that holds or names everything the authority needs to work.

It decides where things are and whether the folder is safe to use. It refuses to know what is done with them.
"""

import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from smki.errors import InvalidInput, Refused
from smki.settings import Sourced, Table, octets_of, read_toml
from smki.store.store import Store

if TYPE_CHECKING:
    from smki.authority.policies import Policies
    from smki.hsm.pin import Pin
    from smki.hsm.token import Hsm, Token, TokenRef

SHIPPED = Path(__file__).parent.parent / "shipped"
SETTINGS = "smki.toml"
PRIVATE = ("tokens", "pins", "smki.db", "softhsm2.conf")  # nobody else may even read these
SHARED = (".", SETTINGS, "policies", "ceremonies", "published", "hsm", "anchors", "crls")  # others may only read

WorkspaceKind = Literal["authority", "user"]
Clock = Callable[[], datetime]
Ask = Callable[[str], str]


class _StoreTable(Table, frozen=True):
    url: str = "sqlite:smki.db"
    """`sqlite:PATH`, or `postgresql://...` without a password."""
    journal: str | None = None
    """SQLite: a folder on another disk, with a file `smki-journal` in it; each act is there before it is done."""


class _TokenTable(Table, frozen=True):
    hsm: str
    """The kind of HSM: a file in `hsm/`."""
    pin: str
    """Where its PIN comes from: `prompt`, `env:NAME` or `file:PATH` (mode 0600)."""
    label: str | None = None
    """The label it is chosen by."""
    serial: str | None = None
    """Or its serial number; the kind of HSM says which of the two."""


class _AuditTable(Table, frozen=True):
    token: str
    """The token that holds the key of the log's checkpoints."""


class _Settings(Table, frozen=True):
    """Where this workspace keeps its world. A relative path counts from the folder of this file."""

    store: _StoreTable
    """The store."""
    audit: _AuditTable
    """The log of all acts."""
    tokens: dict[str, _TokenTable]
    """Each token by the name it has here."""
    kind: WorkspaceKind = "authority"
    """A service user's workspace has no ceremonies of its own."""


@dataclass(frozen=True, slots=True)
class Person:
    """Who acts, as the operating system knows them; written into every audit entry."""

    name: str

    @classmethod
    def from_system(cls) -> "Person":
        import pwd

        uid = os.geteuid()
        try:
            return cls(pwd.getpwuid(uid).pw_name)
        except KeyError:
            return cls(f"uid {uid}")


class Workspace:
    """The parts of one authority, each opened when first used: settings, policies, store, HSM."""

    def __init__(self, home: Path, clock: Clock, ask: Ask, person: Person) -> None:
        self.home = home.absolute()
        self.clock = clock
        self.ask = ask
        self.person = person
        _refuse_loose_modes(self.home)

    @cached_property
    def _settings(self) -> Sourced[_Settings]:
        path = self.home / SETTINGS
        try:
            data = octets_of(path)
        except OSError as error:
            raise InvalidInput("workspace.settings", f"{path}: {error.strerror}", "restore the file") from None
        return read_toml(data, SETTINGS, _Settings)

    @cached_property
    def policies(self) -> "Policies":
        from smki.authority.policies import load_policies

        return load_policies(self.home / "policies")

    @cached_property
    def store(self) -> Store:
        return Store.open(self.store_url, self.journal)

    def use_store(self, store: Store) -> None:
        """The store just made, in place of opening it again."""
        if (before := self.__dict__.get("store")) is not None:
            before.close()
        self.__dict__["store"] = store

    @property
    def kind(self) -> WorkspaceKind:
        """A certificate authority's, or a service user's."""
        return self._settings.value.kind

    @property
    def store_url(self) -> str:
        """The store's address; a relative SQLite path counts from the workspace."""
        return self.address(self._settings.value.store.url)

    def address(self, url: str) -> str:
        """The address of a store, as it is meant here."""
        scheme, _, path = url.partition(":")
        return f"sqlite:{self.home / path}" if scheme == "sqlite" else url

    @property
    def journal(self) -> Path | None:
        """The folder on another disk that every act is written to as well, if there is one."""
        folder = self._settings.value.store.journal
        return None if folder is None else self.home / folder

    @property
    def keeps_every_act(self) -> bool:
        """Whether a lost disk loses no act: of SQLite by a journal, of a server by its own means."""
        return self.journal is not None or not self.store_url.startswith("sqlite:")

    @cached_property
    def hsm(self) -> "Hsm":
        from smki.hsm.description import load_descriptions
        from smki.hsm.token import Hsm

        return Hsm(load_descriptions([SHIPPED / "hsm", self.home / "hsm"]), self.home)

    @property
    def tokens(self) -> Mapping[str, "TokenRef"]:
        """Every token the settings name."""
        from smki.hsm.token import TokenRef

        return {
            name: TokenRef(name=name, hsm=table.hsm, label=table.label, serial=table.serial)
            for name, table in self._settings.value.tokens.items()
        }

    @property
    def audit_token(self) -> str:
        return self._settings.value.audit.token

    def token_ref(self, name: str) -> "TokenRef":
        try:
            return self.tokens[name]
        except KeyError:
            raise InvalidInput(
                "workspace.no-token",
                f"{SETTINGS} names no token {name[:40]!r}",
                f"add [tokens.{name[:40]}], or use one of: {', '.join(sorted(self.tokens))}",
            ) from None

    def open_token(self, name: str) -> "Token":
        """The token called `name`, logged in, and the same one this workspace has known under that name."""
        ref = self.token_ref(name)
        known = self.store.token(name)
        return self.hsm.open(ref, self.pin(name), known.serial if known else None)

    def pin(self, name: str) -> "Callable[[], Pin]":
        """How to get the PIN of a token when it is needed: never before, never kept."""
        from smki.hsm.pin import PinSource

        source = PinSource.parse(self._settings.value.tokens[name].pin)
        return lambda: source.obtain(lambda prompt: self.ask(f"{prompt} of token {name}"), self.home)

    def pin_file(self, name: str) -> Path | None:
        """The file a token's PIN is read from, if it is one."""
        from smki.hsm.pin import PinSource

        return PinSource.parse(self._settings.value.tokens[name].pin).file(self.home)

    def close(self) -> None:
        """Give back sessions and connections that were opened."""
        for part in ("hsm", "store"):
            opened = self.__dict__.pop(part, None)
            if opened is not None:
                opened.close()


def find_home(named: Path | None) -> Path:
    """The workspace to use: the one named, else the folder we stand in or the nearest above it, as git does."""
    if named is not None:
        if not (named / SETTINGS).is_file():
            raise InvalidInput("workspace.none", f"{named} is not a workspace", f"make one: smki init {named}")
        return named
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / SETTINGS).is_file():
            return folder
    raise InvalidInput(
        "workspace.none",
        f"neither {here} nor a folder above it is a workspace",
        "name one with --home or SMKI_HOME, or make one: smki init DIR",
    )


def _refuse_loose_modes(home: Path) -> None:
    """Deny by default: a workspace that others could read secrets from, or change, does not open."""
    for names, forbidden, verb in ((PRIVATE, 0o077, "read"), (SHARED, 0o022, "change")):
        for name in names:
            for path in _itself_and_members(home / name):
                status = path.stat()
                if stat.S_IMODE(status.st_mode) & forbidden or status.st_uid not in {os.geteuid(), 0}:
                    mode = stat.S_IMODE(status.st_mode) & ~forbidden
                    raise Refused(
                        "workspace.loose-mode",
                        f"others can {verb} {path} (mode {stat.S_IMODE(status.st_mode):04o})",
                        f"chmod {mode:04o} {path}, and ask who could have used it",
                    )


def _itself_and_members(path: Path) -> list[Path]:
    """A path and, for a folder of secrets or policies, what stands directly in it."""
    if not path.exists():
        return []
    if path.name in {"pins", "policies", "ceremonies", "hsm", "anchors", "crls"} and path.is_dir():
        return [path, *path.rglob("*")]
    return [path]
