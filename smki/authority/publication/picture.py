"""What there is to publish at one moment, gathered once: the page, the index and the feed are made of it alone."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from smki.authority.hierarchy import certificate_of, links_of
from smki.authority.publication.lists import PublishedList, published_lists
from smki.authority.publication.manifest import AUTHORITY_NAME, Listed
from smki.authority.workspace import Workspace
from smki.errors import IntegrityFailure
from smki.pki.keyid import POINT_OCTETS, KeyIdentifier
from smki.pki.status import Status
from smki.store.note import Checkpoint
from smki.store.records import AuthorityRecord, CrlRecord
from smki.store.store import Store

_NEWEST = 50  # entries of the feed: some weeks of lists, and what a reader fetches stays small
_LINK_CHARACTERS = 16
_MINUTE, _HOUR, _DAY, _YEAR = 60, 3600, 86_400, 31_556_952


@dataclass(frozen=True, slots=True)
class PublishedAuthority:
    """One authority that has a certificate."""

    name: str
    hierarchy: str
    tier: str
    issuing: bool
    issuer: str | None
    """The authority that signed it; none: itself."""
    subject: str
    serial: str
    key_identifier: str
    not_before: datetime
    not_after: datetime
    status: Status
    der: bytes
    file: str
    """Below `published/`, without the ending."""

    @property
    def is_trusted(self) -> bool:
        """Whether a stranger should still build paths with it."""
        return self.status is not Status.EXPIRED and self.status is not Status.REVOKED


@dataclass(frozen=True, slots=True)
class Link:
    """A certificate by which an old root vouches for a new one, or the other way round."""

    der: bytes
    file: str


@dataclass(frozen=True, slots=True)
class Issued:
    """A list that was published, now or before."""

    authority: str
    record: CrlRecord


@dataclass(frozen=True, slots=True)
class Picture:
    """Everything that is published, seen at one moment."""

    environment: str
    workspace_id: bytes
    checkpoint: Checkpoint
    made_at: datetime
    titles: dict[str, str]
    """Of the hierarchies that have an authority, by name."""
    authorities: tuple[PublishedAuthority, ...]
    links: tuple[Link, ...]
    lists: tuple[PublishedList, ...]
    issued: tuple[Issued, ...]
    """The newest first, and not without end."""
    standing: dict[str, Listed]

    @property
    def title(self) -> str:
        return f"Smart metering key infrastructure ({self.environment})"


def take_picture(workspace: Workspace, checkpoint: Checkpoint) -> Picture:
    """Ask the store for all of it; `checkpoint` is of the log as it was before we asked."""
    store = workspace.store
    now = workspace.clock()
    records = [record for record in store.authorities() if record.state == "active"]
    for record in records:
        _refuse_odd(record.name, record.hierarchy, *([record.issuer] if record.issuer else []))
    names = {record.number: record.name for record in records}
    hierarchies = dict.fromkeys(record.hierarchy for record in records)
    return Picture(
        environment=_plain(workspace.policies.environment),
        workspace_id=store.workspace_id,
        checkpoint=checkpoint,
        made_at=now,
        titles={name: _plain(workspace.policies.hierarchy(name).title) for name in hierarchies},
        authorities=tuple(_authority(workspace, record, now) for record in records),
        links=tuple(_links(workspace, records)),
        lists=published_lists(workspace),
        issued=tuple(Issued(names[record.issuer], record) for record in store.crls.newest(_NEWEST)),
        standing=standing_of_all(store),
    )


def standing_of_all(store: Store) -> dict[str, Listed]:
    """How far each authority has come."""
    return {
        record.name: Listed(store.crls.last_number(record.number), store.revocations.last_number(record.number))
        for record in store.authorities()
        if record.state == "active"
    }


def _refuse_odd(*names: str) -> None:
    """Ceremonies let no other name in; what is not one would stand in paths and pages all the same."""
    for name in names:
        if re.fullmatch(AUTHORITY_NAME, name) is None:
            raise IntegrityFailure(
                "published.name", f"the store holds an authority or hierarchy named {name[:60]!r}",
                "no ceremony made it: restore the database from a backup",
            )  # fmt: skip


def _plain(text: str) -> str:
    """Text from a file, without what XML forbids and what would turn the text around it."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


def _authority(workspace: Workspace, record: AuthorityRecord, now: datetime) -> PublishedAuthority:
    own = certificate_of(workspace, record)
    assert record.public_key is not None, "it has a certificate"
    return PublishedAuthority(
        name=record.name,
        hierarchy=record.hierarchy,
        tier=record.tier,
        issuing=record.issuing,
        issuer=record.issuer,
        subject=record.subject,
        serial=str(own.serial),
        key_identifier=str(KeyIdentifier.of_point(record.public_key[-POINT_OCTETS:])),
        not_before=own.not_before,
        not_after=own.not_after,
        status=own.status_at(now),
        der=own.der,
        file=f"ca/{record.name}",
    )


def _links(workspace: Workspace, records: list[AuthorityRecord]) -> Iterator[Link]:
    ders = dict.fromkeys(der for record in records for der in links_of(workspace, record))
    for der in ders:
        yield Link(der, f"ca/link-{hashlib.sha256(der).hexdigest()[:_LINK_CHARACTERS]}")


def left(until: datetime, now: datetime) -> str:
    """How long something still holds, in the two largest units that say anything."""
    seconds = int((until - now).total_seconds())
    if seconds < 0:
        return "ended"
    if seconds >= 2 * _YEAR:
        return f"{seconds // _YEAR} years"
    if seconds >= 2 * _DAY:
        return f"{seconds // _DAY} days"
    hours, rest = divmod(seconds, _HOUR)
    return f"{hours} h {rest // _MINUTE} min" if hours else f"{rest // _MINUTE} min"
