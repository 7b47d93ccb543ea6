"""Holding a store against what was published: what it would forget, if it took the place of the one that was lost.

Whoever relies on the authority has what was published: for them a revoked certificate stays revoked, and a number
that was used is used. So a store that knows less than `published/` does not come back.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from smki.authority.ceremony.plan import key_of
from smki.authority.publication.manifest import MANIFEST, MAX_MANIFEST_OCTETS, Manifest, read_manifest
from smki.authority.safe_files import read_plain
from smki.errors import InvalidInput, SmkiError
from smki.pki.path.crl import MAX_CRL_OCTETS, PathCrl
from smki.pki.serial import Serial
from smki.store.note import MAX_NOTE_OCTETS, Checkpoint, read_checkpoint
from smki.store.records import AuthorityRecord
from smki.store.store import Store
from smki.words import counted

CHECKPOINT = "audit/checkpoint"
_NAMED = 10  # serial numbers told one by one
_REMEDY = "restore a newer backup, or this one with the journal kept since it was made (docs/backup.md)"


@dataclass(frozen=True, slots=True)
class Shortfall:
    """One thing that a store does not know and the world does."""

    code: str
    message: str
    remedy: str = _REMEDY


@dataclass(frozen=True, slots=True)
class Published:
    """What stands in a copy of `published/`, all of it signed."""

    folder: Path
    checkpoint: Checkpoint | None
    manifest: Manifest | None
    lists: tuple[tuple[Path, PathCrl], ...]


def read_published(folder: Path, spki: bytes | None) -> Published | Shortfall:
    """Read it once. Whoever asks a store that is at work reads this first: what is published later is no loss."""
    if spki is None:
        return Shortfall("restore.no-key", "it has no audit key, and nothing published can be checked", "use another")
    try:
        checkpoint, manifest = _checkpoint(folder, spki), _manifest(folder, spki)
        lists = tuple((path, PathCrl.read(_octets(path, MAX_CRL_OCTETS))) for path in _list_files(folder))
    except SmkiError as error:
        return Shortfall("restore.unreadable", f"in {folder}: {error.message}", "fetch what is published again")
    return Published(folder, checkpoint, manifest, lists)


def shortfalls(store: Store, found: Published | Shortfall) -> Iterator[Shortfall]:
    """All that a store, read in one snapshot, lacks of what was published."""
    if isinstance(found, Shortfall):
        yield found
        return
    checkpoint, manifest = found.checkpoint, found.manifest
    if checkpoint is None or (manifest is None and any(item.state == "active" for item in store.authorities())):
        lacks = CHECKPOINT if checkpoint is None else MANIFEST
        yield Shortfall(
            "restore.nothing-published",
            f"{found.folder} has no {lacks}: nobody can say what the backup forgets",
            "fetch the published folder from its mirror, and name the copy with --against",
        )
        return
    forgotten = () if manifest is None else tuple(name for name in manifest.lists if store.authority(name) is None)
    for name in forgotten:
        yield Shortfall("restore.forgets-authority", f"authority {name} was published, and is not known")
    for path, crl in found.lists:
        if path.stem.removesuffix("-delta") not in forgotten:
            yield from _of_list(store, path, crl)
    if manifest is not None:
        yield from _of_manifest(store, manifest)
        yield from _of_log(store, manifest.checkpoint)
    yield from _of_log(store, checkpoint)


def _octets(path: Path, most: int) -> bytes:
    return read_plain(path, most, "published")


def _checkpoint(folder: Path, spki: bytes) -> Checkpoint | None:
    path = folder / CHECKPOINT
    if not path.exists():
        return None
    try:
        return read_checkpoint(_octets(path, MAX_NOTE_OCTETS).decode(), spki)
    except UnicodeDecodeError:
        raise InvalidInput("checkpoint.form", "this is no checkpoint", "give one, whole and unchanged") from None


def _manifest(folder: Path, spki: bytes) -> Manifest | None:
    path = folder / MANIFEST
    return read_manifest(_octets(path, MAX_MANIFEST_OCTETS), spki) if path.exists() else None


def _list_files(folder: Path) -> list[Path]:
    return sorted(path for path in (folder / "crl").glob("*.crl") if not path.name.startswith("."))


def _of_log(store: Store, checkpoint: Checkpoint) -> Iterator[Shortfall]:
    size = store.audit_size()
    if checkpoint.origin != store.origin:
        yield Shortfall(
            "restore.other-log",
            f"what was published is of {checkpoint.origin}, and this is {store.origin}",
            "name the backup, or the folder, of the same workspace",
        )
    elif checkpoint.size > size:
        yield Shortfall(
            "restore.forgets-entries",
            f"the log was published with {counted(checkpoint.size, 'entry', 'entries')}, and this one has {size}:"
            f" {counted(checkpoint.size - size, 'entry', 'entries')} would be forgotten",
        )
    elif store.audit_root(checkpoint.size) != checkpoint.root:
        yield Shortfall(
            "restore.forked",
            f"the first {checkpoint.size} entries are not those that were published",
            "keep both, and find out who continued the log otherwise",
        )


def _of_manifest(store: Store, manifest: Manifest) -> Iterator[Shortfall]:
    for name, listed in manifest.lists.items():
        authority = store.authority(name)
        if authority is None:
            continue
        revocations = store.revocations.last_number(authority.number)
        if listed.revocations > revocations:
            yield Shortfall(
                "restore.forgets-revocations",
                f"{name} had published {counted(listed.revocations, 'revocation')}, and {revocations} are known:"
                f" {listed.revocations - revocations} would be forgotten",
            )
        if (number := store.crls.last_number(authority.number)) < listed.number:
            yield _forgotten_number(name, listed.number, number)


def _forgotten_number(name: str, published: int, known: int) -> Shortfall:
    return Shortfall(
        "restore.forgets-list",
        f"list {published} of {name} was published, and numbers are known up to {known}:"
        f" {counted(published - known, 'number')} would be given twice",
    )


def _of_list(store: Store, path: Path, crl: PathCrl) -> Iterator[Shortfall]:
    authority = next((item for item in store.authorities() if _is_by(item, crl)), None)
    if authority is None or crl.number is None:
        yield Shortfall(
            "restore.other-list", f"{path} is signed by no authority that is known", "fetch what is published again"
        )
        return
    serials = [Serial(number.to_bytes(16)) for number in crl.serial_numbers() if number >> 120 and not number >> 127]
    known = store.revocations.among(authority.number, serials)
    if missing := [str(serial) for serial in serials if serial not in known]:
        more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
        yield Shortfall(
            "restore.forgets-revocations",
            f"{counted(len(missing), 'certificate')} on list {crl.number} of {authority.name}"
            f" would not be revoked any more: {', '.join(missing[:_NAMED])}{more}",
        )
    if (number := store.crls.last_number(authority.number)) < crl.number:
        yield _forgotten_number(authority.name, crl.number, number)


def _is_by(authority: AuthorityRecord, crl: PathCrl) -> bool:
    if authority.public_key is None:
        return False
    try:
        key_of(authority).verify(crl.signature, crl.signed, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True
