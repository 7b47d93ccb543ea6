"""A user announces what it signed: a file that lists just what its store has on record, signed by its audit key.

Which commands are listed is written down before they are signed for, the signature before the file gets its name, and
that it has it after: killed anywhere, the next run gives the same file, and no command is left out.
"""

import hashlib
from dataclasses import replace
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from smki.authority.log import acts, audit_key, seal
from smki.authority.workspace import Workspace
from smki.entity import EntityId
from smki.errors import IntegrityFailure, InvalidInput, Refused
from smki.parties.announcement import MOST, Announcement, read_text
from smki.pki.public_key import spki_of
from smki.store.announcement_records import AnnouncementRecord
from smki.store.note import sign_note

CHUNK = MOST  # commands in one file


def announcing_key(workspace: Workspace) -> bytes:
    """The public key that announcements hold by: what an officer registers at the broker."""
    spki = workspace.store.audit_key
    if spki is None:
        raise IntegrityFailure("audit.no-key", "no audit key is on record", "run `smki init`")
    return spki


def announcer(workspace: Workspace, named: EntityId | None, *, again: bool = False) -> EntityId | None:
    """For whom this workspace has something to announce, or did before; None: there is nothing."""
    if named is not None:
        return named
    announcements = workspace.store.announcements
    last = [one for one in map(announcements.last, announcements.originators()) if one is not None]
    known = {one.originator for one in last if again or not one.handed_out}
    found = sorted(known if again else known.union(announcements.waiting()), key=str)
    if len(found) > 1:
        raise InvalidInput(
            "announcement.originator", f"it signed for {', '.join(map(str, found))}", "name one: --originator EUI-64"
        )
    return found[0] if found else None


def announce(
    workspace: Workspace, originator: EntityId, since: datetime | None = None
) -> AnnouncementRecord | None:  # fmt: skip
    """The announcement to hand out, and then to say so: one that a killed run left, or a new one."""
    record = _left_or_made(workspace, originator, since)
    if record is None or record.file is not None:
        return record
    text = _as_made(record)
    key = audit_key(workspace)

    def sign(data: bytes) -> bytes:
        return key.sign(data, ec.ECDSA(hashes.SHA256()))

    file = sign_note(str(originator), text, spki_of(key.public_key()), sign).encode()
    facts: list[dict[str, Any]] = []
    with acts(workspace, "announcement.signed", facts) as tx:
        tx.lock()
        if tx.sign_announcement(record, file):
            facts.append({**_names(record), "file_sha256": hashlib.sha256(file).hexdigest()})
    seal(workspace)
    if facts:
        return replace(record, file=file)
    return repeat(workspace, originator)  # another run was first: its signature is the one


def _left_or_made(
    workspace: Workspace, originator: EntityId, since: datetime | None
) -> AnnouncementRecord | None:  # fmt: skip
    facts: list[dict[str, Any]] = []
    with acts(workspace, "announcement.made", facts) as tx:
        tx.lock()
        last = tx.announcements.last(originator)
        if last is not None and not last.handed_out:
            return last
        digests = tx.announcements.unannounced(originator, CHUNK, since)
        if not digests:
            return None
        now, after = workspace.clock(), 0 if last is None else last.number
        # By the clock, so that a workspace that was brought back from a backup goes on above what it told before.
        number = max(after + 1, int(now.timestamp()))
        text = Announcement(originator, number, after, now, tuple(digests)).text()
        record = AnnouncementRecord(originator, number, now, len(digests), text)
        tx.put_announcement(record, digests)
        facts.append({**_names(record), "count": record.items, "sha256": hashlib.sha256(text.encode()).hexdigest()})
    return record


def _as_made(record: AnnouncementRecord) -> str:
    """What is to be signed. The key signs checkpoints too: whoever writes into the store gets no such text signed."""
    text = record.text or ""
    try:
        said = read_text(text)
    except InvalidInput:
        said = None
    if said is None or (said.originator, said.number, len(said.digests), said.text()) != (
        record.originator,
        record.number,
        record.items,
        text,
    ):
        raise IntegrityFailure(
            "announcement.stored",
            f"what is on record as announcement {record.number} of {record.originator} is none",
            "sign nothing; find out who wrote it, and restore from a backup",
        )
    return text


def repeat(workspace: Workspace, originator: EntityId) -> AnnouncementRecord:
    """The last one again, as it was."""
    record = workspace.store.announcements.last(originator)
    if record is None or record.file is None:
        raise Refused("announcement.none", f"{originator} announced nothing here", "run it without --again")
    return record


def handed_out(workspace: Workspace, record: AnnouncementRecord) -> None:
    """Its file has its name: the next run makes a new one."""
    facts: list[dict[str, Any]] = []
    with acts(workspace, "announcement.handed-out", facts) as tx:
        if tx.hand_out_announcement(record):
            facts.append(_names(record))
    seal(workspace)


def _names(record: AnnouncementRecord) -> dict[str, Any]:
    return {"originator": str(record.originator), "number": record.number}
