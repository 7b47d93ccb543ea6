"""Which revocation lists are published: what the store has of each authority, and where its file stands."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from smki.authority.workspace import Workspace
from smki.store.records import AuthorityRecord, CrlRecord

FOLDER = "crl"
ListKind = Literal["complete", "delta"]


@dataclass(frozen=True, slots=True)
class PublishedList:
    """One list that the world can fetch."""

    name: str
    """The authority's."""
    hierarchy: str
    tier: str
    kind: ListKind
    number: int
    this_update: datetime
    next_update: datetime
    entries: int
    size: int
    sha256: bytes
    file: str
    """Below `published/`."""

    @property
    def text_file(self) -> str | None:
        """The same as PEM; of complete lists alone."""
        return self.file.removesuffix("crl") + "pem" if self.kind == "complete" else None


def file_name(authority: str, *, delta: bool) -> str:
    """Where the world finds a list, as DER."""
    return f"{FOLDER}/{authority}{'-delta' if delta else ''}.crl"


def folder_of(workspace: Workspace) -> Path:
    return workspace.home / "published" / FOLDER


def current(workspace: Workspace, authority: AuthorityRecord) -> tuple[CrlRecord, ...]:
    """The newest complete list, and the newest delta while it still says more than that one."""
    complete = workspace.store.crls.latest(authority.number, delta=False)
    delta = workspace.store.crls.latest(authority.number, delta=True)
    found = [] if complete is None else [complete]
    if complete is not None and delta is not None and delta.number > complete.number:
        found.append(delta)
    return tuple(found)


def published_lists(workspace: Workspace) -> tuple[PublishedList, ...]:
    """Every list of every authority, in the order the authorities were made."""
    return tuple(
        _published(authority, record)
        for authority in workspace.store.authorities()
        for record in current(workspace, authority)
    )


def _published(authority: AuthorityRecord, record: CrlRecord) -> PublishedList:
    assert record.sha256 is not None, "only lists that were made are current"
    return PublishedList(
        name=authority.name,
        hierarchy=authority.hierarchy,
        tier=authority.tier,
        kind="delta" if record.is_delta else "complete",
        number=record.number,
        this_update=record.this_update,
        next_update=record.next_update,
        entries=record.entries,
        size=record.size,
        sha256=record.sha256,
        file=file_name(authority.name, delta=record.is_delta),
    )
