"""Descriptions of kinds of HSM, read from files: how to reach one, and where it differs from the rest.

It refuses to know whether such an HSM is there.
"""

from collections.abc import Sequence
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from smki.errors import InvalidInput
from smki.settings import Sourced, Table, octets_of, read_toml


class Description(Table, frozen=True):
    """A kind of HSM: how to reach one, and where it differs from the rest. A file of the same name in the
    workspace's own `hsm/` counts instead of the shipped one."""

    title: str
    """What it is, for people."""
    module: list[str]
    """Places of the PKCS#11 library; the first that exists is used."""
    environment: dict[str, str] = {}
    """Variables the library reads, set before it starts; `{workspace}` stands for the workspace's folder."""
    init_arguments: str | None = None
    """What the library expects in pReserved of C_Initialize, which PKCS#11 leaves to vendors."""
    select: Literal["label", "serial"] = "label"
    """By which of the two a token is chosen, and thus which one smki.toml must give."""
    ecdh_point: Literal["raw", "der"] = "raw"
    """How CKM_ECDH1_DERIVE takes the peer's point: bare, or inside a DER octet string (PKCS#11 2.40 2.3.5)."""
    can_initialise: bool = False
    """Whether making tokens with C_InitToken is for us, not for the vendor's tools."""
    sessions: Annotated[int, msgspec.Meta(ge=1, le=1024)] = 8
    """Most sessions a process opens for work with one token, beside the one that holds the login."""
    session_copies: bool = False
    """Whether many signatures are made with a copy of the key that lives in the session, where that is faster."""
    token_folders: str = ""
    """Folder in which each token is a folder whose name ends in the token's serial number, where it is so."""
    notes: str = ""
    """For people: what to know before using this kind."""


def load_descriptions(folders: Sequence[Path | Traversable]) -> dict[str, Sourced[Description]]:
    """Read every `<kind>.toml`; where two folders hold the same kind, the later folder counts."""
    found: dict[str, Sourced[Description]] = {}
    for folder in folders:
        if not folder.is_dir():
            continue
        for file in sorted(folder.iterdir(), key=lambda item: item.name):
            kind, dot, suffix = file.name.rpartition(".")
            if dot and suffix == "toml":
                found[kind] = _read(file)
    return found


def _read(file: Path | Traversable) -> Sourced[Description]:
    try:
        data = octets_of(file)
    except OSError as error:
        raise InvalidInput("hsm.description", f"{file}: {error.strerror}", "mend the file's permissions") from None
    read = read_toml(data, str(file), Description)
    if not read.value.module:
        raise InvalidInput("hsm.description", f"{file}: `module` is empty", "name the PKCS#11 library")
    return read
