"""The manifest: what is published, all of it, in one signed note. Pure.

    {"form": "smki-manifest/1", ...}     JSON in one form: sorted keys, one space of indent, ASCII

    — smki/WORKSPACE SIGNATURE           as on a checkpoint, by the audit key (C2SP signed-note)

It says how long the log was and the hash over it, the number of each authority's newest list and of its last
revocation, and the SHA-256 of every file that was published. Who keeps one can tell a database that was put back to
an earlier day, and a mirror that was changed. A manifest's version is the length of the log it speaks of: it only
grows, on however many nodes, without a count of its own. A checkpoint begins with the log's name and this with a
brace: neither is ever taken for the other.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Literal, NamedTuple

import msgspec
from msgspec import Meta

from smki.errors import InvalidInput
from smki.settings import Table
from smki.store.note import Checkpoint, note_text, sign_note
from smki.words import MOMENT, utc

MANIFEST, SUMS = "manifest", "SHA256SUMS"
FORM = "smki-manifest/1"
MAX_MANIFEST_OCTETS = 1 << 20  # some seven thousand files; as much as other readers of signed notes take

# A name that can stand in a path, a page and a shell's line as it is: no dot first, no way up, no way out.
AUTHORITY_NAME = r"[a-z0-9][a-z0-9-]{0,39}"
FILE_PATH = r"(?:[a-z]{1,20}/)?[A-Za-z0-9][A-Za-z0-9_-]{0,79}(?:\.[A-Za-z0-9]{1,10})?"
_Number = Annotated[int, Meta(ge=0, le=(1 << 63) - 1, description="number")]
_Digest = Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z", description="64 hexadecimal digits")]
_Moment = Annotated[
    str,
    Meta(pattern=r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z\Z", description="`YYYY-MM-DDThh:mm:ssZ`"),
]


class Listed(NamedTuple):
    """How far an authority has come: both only ever grow."""

    number: int
    """Of its newest list, or of one set aside for a list in the making; 0 before the first."""
    revocations: int
    """The number of the last revocation among its certificates; 0 before the first."""


class _LogTable(Table, frozen=True):
    size: _Number
    """Entries."""
    root: _Digest
    """The root of its Merkle tree (RFC 6962)."""


class _AuthorityTable(Table, frozen=True):
    list: _Number
    """The number of its newest list; 0 before the first."""
    revocations: _Number
    """The number of the last revocation among its certificates; 0 before the first."""


class _ManifestTable(Table, frozen=True):
    """What was published at one moment: JSON, signed as CMS, in the public folder."""

    form: Literal["smki-manifest/1"]
    """What the file is."""
    workspace: Annotated[str, Meta(pattern=r"\Asmki/[0-9a-f]{32}\Z", description="`smki/` and 32 hexadecimal digits")]
    """Whose log it is."""
    made_at: _Moment
    """When, in UTC."""
    log: _LogTable
    """The log of all acts, as far as it was."""
    authorities: dict[Annotated[str, Meta(pattern=rf"\A{AUTHORITY_NAME}\Z")], _AuthorityTable]
    """How far each authority has come."""
    files: dict[Annotated[str, Meta(pattern=rf"\A{FILE_PATH}\Z")], _Digest]
    """SHA-256 of every file of the folder, by path."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What was published at one moment."""

    workspace: str
    """The log's name, as in its checkpoints."""
    made_at: datetime
    log_size: int
    log_root: bytes
    lists: Mapping[str, Listed]
    """By the name of the authority."""
    files: Mapping[str, str]
    """SHA-256 in hexadecimal, by path."""

    @property
    def version(self) -> int:
        """A manifest never takes the place of one with a higher version."""
        return self.log_size

    @property
    def checkpoint(self) -> Checkpoint:
        return Checkpoint(self.workspace, self.log_size, self.log_root)

    def text(self) -> str:
        """Its only form."""
        fields = {
            "form": FORM,
            "workspace": self.workspace,
            "made_at": utc(self.made_at),
            "log": {"size": self.log_size, "root": self.log_root.hex()},
            "authorities": {
                name: {"list": number, "revocations": revocations}
                for name, (number, revocations) in self.lists.items()
            },
            "files": dict(self.files),
        }
        return json.dumps(fields, indent=1, sort_keys=True) + "\n"


def sums_of(files: Mapping[str, str]) -> bytes:
    """The same digests as `sha256sum --check` reads them."""
    return "".join(f"{digest}  {path}\n" for path, digest in sorted(files.items()) if path != SUMS).encode()


def sign_manifest(manifest: Manifest, audit_spki: bytes, sign: Callable[[bytes], bytes]) -> bytes:
    """The signed note; `sign` gives a DER signature over the octets it is given."""
    note = sign_note(manifest.workspace, manifest.text(), audit_spki, sign).encode()
    read_manifest(note, audit_spki)  # what its reader would refuse is not published
    return note


def read_manifest(octets: bytes, audit_spki: bytes) -> Manifest:
    """The manifest in a note, if the log's key signed it: bounded, strict, in its one form."""
    if len(octets) > MAX_MANIFEST_OCTETS:
        raise InvalidInput(
            "manifest.size", f"a manifest of more than {MAX_MANIFEST_OCTETS} octets", "give the one that is published"
        )
    try:
        note = octets.decode()
        manifest = _read(note.rpartition("\n\n")[0].encode())
    except (UnicodeDecodeError, msgspec.DecodeError, ValueError, RecursionError):
        raise _fault("form", "this is no manifest") from None
    text = note_text(note, manifest.workspace, audit_spki)
    if text is None:
        raise InvalidInput(
            "manifest.signature", "no signature on this manifest is of the log's key", "check where it came from"
        )
    if text != manifest.text():
        raise _fault("form", "a manifest that is not in its one form")
    return manifest


def _read(text: bytes) -> Manifest:
    table = msgspec.json.decode(text, type=_ManifestTable)
    return Manifest(
        workspace=table.workspace,
        made_at=datetime.strptime(table.made_at, MOMENT).replace(tzinfo=UTC),
        log_size=table.log.size,
        log_root=bytes.fromhex(table.log.root),
        lists={name: Listed(row.list, row.revocations) for name, row in table.authorities.items()},
        files=table.files,
    )


def _fault(code: str, message: str) -> InvalidInput:
    return InvalidInput(f"manifest.{code}", message, "give the one that is published, whole and unchanged")
