"""A published folder, judged by one key that came another way: what a stranger with a mirror can know.

    1. the manifest is signed by the log's key, in the log's name
    2. every file it names is there, plain, with the digest it says; the rest is judged from those octets
    3. no other file is there; names with a leading dot are nobody's: no server gives them out
    4. SHA256SUMS says what the manifest says, the checkpoint is of this log and no shorter
    5. every certificate is signed by one of the folder, and the bundles hold no other
    6. every list is signed by its authority, no newer than the manifest knows, and has not lapsed

It reads files and asks no store, no HSM and no network.
"""

import hashlib
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from smki.authority.hierarchy import pem
from smki.authority.publication.lists import FOLDER
from smki.authority.publication.manifest import (
    AUTHORITY_NAME,
    MANIFEST,
    MAX_MANIFEST_OCTETS,
    SUMS,
    Manifest,
    read_manifest,
    sums_of,
)
from smki.authority.safe_files import read_plain
from smki.errors import InvalidInput
from smki.pki.path import MAX_CRL_OCTETS, PathCertificate, PathCrl
from smki.pki.path.work import Work
from smki.pki.verdict import Fault
from smki.store.note import MAX_NOTE_OCTETS, read_checkpoint

_CHECKPOINT = "audit/checkpoint"
_MOVES_ON = {MANIFEST, _CHECKPOINT}  # signed by themselves, and newer than any digest could be
_MAX_FILES = 100_000
_AGAIN = "take the copy again; if it stays so, tell the authority, and do not use the file"


@dataclass(frozen=True, slots=True)
class CheckedList:
    """A list whose signature holds."""

    authority: str
    kind: str
    number: int
    this_update: datetime
    next_update: datetime
    file: str


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is wrong with a folder; nothing, if there are no faults."""

    manifest: Manifest | None
    certificates: int
    lists: tuple[CheckedList, ...]
    faults: tuple[Fault, ...]


def verify_published(folder: Path, log: str, spki: bytes, at: datetime) -> Judgement:
    """Judge a folder by the name and the key of its log."""
    try:
        manifest = read_manifest(read_plain(folder / MANIFEST, MAX_MANIFEST_OCTETS, MANIFEST), spki)
    except InvalidInput as error:
        return Judgement(None, 0, (), (Fault.of(error),))
    judge = _Judge(folder, manifest, spki, at)
    if manifest.workspace != log:
        judge.cry("manifest.log", f"the manifest is of {manifest.workspace}, and the key is of {log}")
    judge.judge()
    return Judgement(manifest, len(judge.certificates), tuple(judge.lists), tuple(judge.faults))


class _Judge:
    """One run over one folder."""

    def __init__(self, folder: Path, manifest: Manifest, spki: bytes, at: datetime) -> None:
        self._folder = folder
        self._manifest = manifest
        self._spki = spki
        self._at = at
        self._good: set[str] = set()
        self.certificates: dict[str, PathCertificate] = {}
        self.lists: list[CheckedList] = []
        self.faults: list[Fault] = []

    def cry(self, code: str, message: str, remedy: str = _AGAIN) -> None:
        self.faults.append(Fault(code, message, remedy))

    def judge(self) -> None:
        for path, digest in sorted(self._manifest.files.items()):
            self._judge_file(path, digest)
        self._judge_sums()
        self._judge_checkpoint()
        self._read_certificates()
        self._judge_signers()
        self._judge_bundles()
        for path in sorted(path for path in self._good if path.startswith(f"{FOLDER}/") and path.endswith(".crl")):
            self._judge_list(path, self._read(path, MAX_CRL_OCTETS) or b"")
        self._judge_missing_lists()
        for path in _others(self._folder, {*self._manifest.files, *_MOVES_ON}):
            self._judge_other(path)

    def _judge_file(self, path: str, digest: str) -> None:
        found = _digest(self._folder / path)
        if found == digest:
            self._good.add(path)
        elif found is None:
            self.cry("file.missing", f"{path} is not there, or is no plain file")
        else:
            self.cry("file.changed", f"{path} is not the file that was published")

    def _read(self, path: str, most: int) -> bytes | None:
        """The octets whose digest was signed, even if the file is changed while we look."""
        if path not in self._good:
            return None
        data = read_plain(self._folder / path, most, "file")
        if hashlib.sha256(data).hexdigest() != self._manifest.files[path]:
            self.cry("file.changed", f"{path} was changed while it was read")
            return None
        return data

    def _judge_sums(self) -> None:
        data = self._read(SUMS, MAX_MANIFEST_OCTETS)
        if data is not None and data != sums_of(self._manifest.files):
            self.cry("sums.differ", f"{SUMS} does not say what the manifest says")

    def _judge_checkpoint(self) -> None:
        try:
            octets = read_plain(self._folder / _CHECKPOINT, MAX_NOTE_OCTETS, "checkpoint")
            checkpoint = read_checkpoint(octets.decode(errors="replace"), self._spki)
        except InvalidInput as error:
            self.faults.append(Fault.of(error))
            return
        known = self._manifest.checkpoint
        if checkpoint.origin != known.origin or checkpoint.size < known.size:
            self.cry("checkpoint.older", f"{_CHECKPOINT} is of another log than the manifest, or a shorter")
        elif checkpoint.size == known.size and checkpoint.root != known.root:
            self.cry("checkpoint.forked", "the manifest and the checkpoint signed two different logs", "keep both")

    def _read_certificates(self) -> None:
        for path in sorted(path for path in self._good if path.startswith("ca/") and path.endswith(".cer")):
            der = self._read(path, MAX_MANIFEST_OCTETS)
            if der is None:
                continue
            try:
                self.certificates[path] = PathCertificate.read(der)
            except InvalidInput as error:
                self.cry(error.code, f"{path}: {error.message}")
            beside = path.removesuffix("cer") + "pem"
            if beside in self._good and self._read(beside, MAX_MANIFEST_OCTETS) != pem(der):
                self.cry("certificate.pem", f"{beside} is another certificate than {path}")

    def _judge_signers(self) -> None:
        authorities = [one for one in self.certificates.values() if one.is_authority]
        for path, one in self.certificates.items():
            signers = [above for above in authorities if above.subject == one.issuer]
            if not any(_is_signed(above, one.signature, one.signed) for above in signers):
                self.cry("certificate.signature", f"{path} is signed by none of the authorities here")

    def _judge_bundles(self) -> None:
        known = {one.der for one in self.certificates.values()}
        for path in sorted(path for path in self._good if path.startswith("trust/")):
            data = self._read(path, MAX_MANIFEST_OCTETS)
            try:
                held = {one.public_bytes(Encoding.DER) for one in x509.load_pem_x509_certificates(data or b"")}
            except ValueError:  # empty, once every authority has ended
                held = set()
            if held - known:
                self.cry("trust.unknown", f"{path} holds a certificate that is not under ca/")

    def _judge_other(self, path: str) -> None:
        """A delta stays a while after a complete list overtook it: its own signature speaks for it."""
        if re.fullmatch(rf"{FOLDER}/{AUTHORITY_NAME}-delta\.crl", path):
            try:
                self._read_list(path, read_plain(self._folder / path, MAX_CRL_OCTETS, "file"))
            except InvalidInput as error:
                self.cry(error.code, error.message)
        else:
            self.cry("file.unlisted", f"{path} is not in the manifest", "do not use it: nobody signed for it")

    def _judge_list(self, path: str, octets: bytes) -> None:
        found = self._read_list(path, octets)
        if found is None:
            return
        self.lists.append(found)
        if not found.this_update <= self._at <= found.next_update:
            self.cry("list.lapsed", f"{path} was good from {found.this_update} to {found.next_update}")

    def _read_list(self, path: str, octets: bytes) -> CheckedList | None:
        """A list that its authority signed, and not newer than the manifest knows."""
        name = path.removeprefix(f"{FOLDER}/").removesuffix(".crl")
        try:
            crl = PathCrl.read(octets)
        except InvalidInput as error:
            self.cry(error.code, f"{path}: {error.message}")
            return None
        authority = name.removesuffix("-delta") if crl.is_delta else name
        signer = self.certificates.get(f"ca/{authority}.cer")
        listed = self._manifest.lists.get(authority)
        if signer is None or crl.issuer != signer.subject or not _is_signed(signer, crl.signature, crl.signed):
            self.cry("list.signature", f"{path} is not signed by the authority whose name it bears")
        elif crl.number is None or crl.next_update is None or listed is None or crl.number > listed.number:
            self.cry("list.number", f"{path} has a number the manifest does not know")
        else:
            kind = "delta" if crl.is_delta else "complete"
            return CheckedList(authority, kind, crl.number, crl.this_update, crl.next_update, path)
        return None

    def _judge_missing_lists(self) -> None:
        for name, listed in self._manifest.lists.items():
            path = f"{FOLDER}/{name}.crl"
            if listed.number and path not in self._manifest.files:
                self.cry("list.missing", f"list {listed.number} of {name} was numbered, and {path} is not published")


def _is_signed(signer: PathCertificate, signature: bytes, signed: bytes) -> bool:
    return Work().is_signed(signer.point, signature, signed)


def _digest(path: Path) -> str | None:
    """SHA-256 of a plain file, in pieces; a link or a device is none."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return None
    with os.fdopen(descriptor, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _others(folder: Path, known: set[str]) -> Iterator[str]:
    """Paths that are none of those known, but for those a server never gives out."""
    count = 0
    for here, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        # A link to a folder is not walked into, and a server gives out what it leads to.
        links = [name for name in folders if (Path(here) / name).is_symlink()]
        for name in sorted([*files, *links]):
            path = (Path(here) / name).relative_to(folder).as_posix()
            count += 1
            if count > _MAX_FILES:
                raise InvalidInput(
                    "published.size", f"{folder} holds more than {_MAX_FILES} files", "name the folder"
                )
            if not name.startswith(".") and path not in known:
                yield path
