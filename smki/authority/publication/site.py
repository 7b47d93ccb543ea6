"""The public folder around the lists: certificates, bundles, page, index, feed, digests; last the signed manifest.

Each file is replaced in one step, the manifest after all it speaks of; what did not change is left alone, so that
caches keep it. A run that died is finished by the next. Nothing is signed or written by a database that knows less
than what was published before.
"""

import fcntl
import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from smki.authority.hierarchy import pem
from smki.authority.log import CHECKPOINT, VERIFIER_KEY, audit_key, bring_checkpoint, seal
from smki.authority.publication import is_plain, publish, published
from smki.authority.publication.armour import PIECE_OCTETS, armoured
from smki.authority.publication.index import TRUST_ALL, feed, index
from smki.authority.publication.lists import PublishedList, published_lists
from smki.authority.publication.manifest import (
    MANIFEST,
    MAX_MANIFEST_OCTETS,
    SUMS,
    Manifest,
    read_manifest,
    sign_manifest,
    sums_of,
)
from smki.authority.publication.page import page
from smki.authority.publication.picture import Picture, standing_of_all, take_picture
from smki.authority.safe_files import read_bounded
from smki.authority.workspace import Workspace
from smki.errors import IntegrityFailure, InvalidInput, Refused
from smki.pki.public_key import spki_of
from smki.store.note import Checkpoint, read_checkpoint, verifier_key
from smki.words import counted


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What a refresh did."""

    manifest: Manifest
    written: tuple[str, ...]
    """The files that changed, in the order they were written."""
    behind: tuple[str, ...]
    """Lists on record whose files are not those in the folder: no digest of theirs was signed."""


def refresh_site(workspace: Workspace) -> Refreshed:
    """Bring the public folder up to what the store has, but for the lists themselves."""
    if workspace.kind != "authority":
        raise Refused(
            "published.kind",
            "a service user's workspace has no authority to publish",
            "use the authority's workspace",
        )
    with _alone(workspace):
        seal(workspace)
        key = audit_key(workspace)
        spki = spki_of(key.public_key())
        before = _last(workspace, spki)
        if before is not None:
            workspace.store.refuse_fork(before.checkpoint)
        picture = take_picture(workspace, _bring_checkpoint(workspace, spki))
        if before is not None:
            _refuse_fewer(picture.standing, before)
        digests, behind = _list_digests(workspace, picture.lists)
        files = _files(picture, spki)
        digests |= {path: hashlib.sha256(data).hexdigest() for path, data in files.items()}
        files[SUMS] = sums_of(digests)
        digests[SUMS] = hashlib.sha256(files[SUMS]).hexdigest()
        manifest = Manifest(
            workspace=picture.checkpoint.origin,
            made_at=picture.made_at.replace(microsecond=0),
            log_size=picture.checkpoint.size,
            log_root=picture.checkpoint.root,
            lists=picture.standing,
            files=digests,
        )
        signed = sign_manifest(manifest, spki, lambda data: key.sign(data, ec.ECDSA(hashes.SHA256())))
        written = [path for path, data in files.items() if _put(workspace, path, data)]
        publish(workspace, MANIFEST, signed)
        return Refreshed(manifest, (*written, MANIFEST), behind)


def is_behind(workspace: Workspace) -> bool:
    """Whether the manifest speaks of other lists than the store has: who wrote them died before it was refreshed."""
    spki = workspace.store.audit_key
    before = _last(workspace, spki) if spki is not None else None
    digests = {item.file: item.sha256.hex() for item in published_lists(workspace)}
    return before is None or any(before.files.get(path) != digest for path, digest in digests.items())


@contextmanager
def _alone(workspace: Workspace) -> Iterator[None]:
    """One refresh of this folder at a time: what a later one sees of the store is never older."""
    descriptor = os.open(workspace.home / ".publishing-lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _last(workspace: Workspace, spki: bytes) -> Manifest | None:
    """The manifest that stands in the folder."""
    path = workspace.home / "published" / MANIFEST
    if not os.path.lexists(path):
        return None
    try:
        return read_manifest(read_bounded(path, MAX_MANIFEST_OCTETS, MANIFEST), spki)
    except InvalidInput as error:
        raise IntegrityFailure(
            "published.changed", f"{path}: {error.message}", "find out who changed it; then move it away"
        ) from None


def _bring_checkpoint(workspace: Workspace, spki: bytes) -> Checkpoint:
    """The newest checkpoint on record. Another node may have signed it: then it is not in this folder yet."""
    note = workspace.store.latest_checkpoint()
    assert note is not None, "the log was just sealed"
    bring_checkpoint(workspace, note)
    return read_checkpoint(note, spki)


def _refuse_fewer(standing: Mapping[str, tuple[int, int]], before: Manifest) -> None:
    """The log agrees and yet a number went back: the tables are not those the log tells of."""
    for name, listed in before.lists.items():
        now = standing.get(name, (0, 0))
        if now[0] < listed.number or now[1] < listed.revocations:
            raise IntegrityFailure(
                "published.newer",
                f"{name} was published with list {listed.number} and"
                f" {counted(listed.revocations, 'revocation')}, and the"
                f" database knows {now[0]} and {now[1]}",
                "stop, keep the database, restore it from a backup",
            )


def refuse_behind(workspace: Workspace) -> None:
    """Nothing is signed by a database that knows less than what stands in the folder: an old one was put back.

    What there cannot be read is no reason to let lists lapse: the refresh that follows them cries.
    """
    store, spki = workspace.store, workspace.store.audit_key
    if spki is None:
        return
    if (note := published(workspace, CHECKPOINT)) is not None:
        with suppress(InvalidInput):
            store.refuse_fork(read_checkpoint(note, spki))
    try:
        before = _last(workspace, spki)
    except IntegrityFailure:
        return
    if before is not None:
        store.refuse_fork(before.checkpoint)
        _refuse_fewer(standing_of_all(store), before)


def _files(picture: Picture, spki: bytes) -> dict[str, bytes]:
    """Every file that is ours to write but the last two, in the order to write them."""
    files: dict[str, bytes] = {}
    certificates = {item.file: item.der for item in picture.authorities} | {
        item.file: item.der for item in picture.links
    }
    for file, der in certificates.items():
        files |= {f"{file}.pem": pem(der), f"{file}.cer": der}  # RFC 2585 3 names the ending
    trusted = [item for item in picture.authorities if item.is_trusted]
    for name in picture.titles:
        files[f"trust/{name}.pem"] = b"".join(pem(item.der) for item in trusted if item.hierarchy == name)
    # Written last: no hierarchy's own bundle takes its place.
    files.pop(TRUST_ALL, None)
    files[TRUST_ALL] = b"".join(pem(item.der) for item in trusted)
    files[VERIFIER_KEY] = f"{verifier_key(picture.checkpoint.origin, spki)}\n".encode()
    return files | {"index.html": page(picture), "index.json": index(picture), "feed.atom": feed(picture)}


def _put(workspace: Workspace, path: str, data: bytes) -> bool:
    """Write a file unless it stands there so already; say which."""
    there = workspace.home / "published" / path
    if is_plain(there) and there.stat().st_size == len(data) and there.read_bytes() == data:
        return False
    publish(workspace, path, data)
    return True


def _digest_on_disk(workspace: Workspace, path: str) -> str | None:
    there = workspace.home / "published" / path
    if not is_plain(there):
        return None
    with there.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _list_digests(workspace: Workspace, lists: tuple[PublishedList, ...]) -> tuple[dict[str, str], tuple[str, ...]]:
    """Of the files of lists that are those on record; and the lists whose are not.

    What is signed comes from the store. A file is read only to see that it is the same.
    """
    digests: dict[str, str] = {}
    behind: list[str] = []
    for item in lists:
        path = workspace.home / "published" / item.file
        found = _digests(path, item.size) if is_plain(path) else ("", "")
        if found[0] != item.sha256.hex():
            behind.append(item.file)
            continue
        digests[item.file] = found[0]
        if item.text_file is not None:
            if _digest_on_disk(workspace, item.text_file) == found[1]:
                digests[item.text_file] = found[1]
            else:
                behind.append(item.text_file)
    return digests, tuple(behind)


def _digests(path: Path, size: int) -> tuple[str, str]:
    """SHA-256 of a list as it lies there and as PEM; no more of it is read than there is on record, and one octet."""
    der, text = hashlib.sha256(), hashlib.sha256()
    with path.open("rb") as file:

        def pieces() -> Iterator[bytes]:
            left = size
            while left > 0 and (piece := file.read(min(PIECE_OCTETS, left))):
                left -= len(piece)
                der.update(piece)
                yield piece

        for piece in armoured(pieces()):
            text.update(piece)
        der.update(file.read(1))  # longer than on record: not the same
    return der.hexdigest(), text.hexdigest()
