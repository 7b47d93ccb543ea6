"""One list, from revocations on record to octets that were signed, read back and compared. Nothing is changed here.

Entries go through files that have no name, so that a killed run leaves nothing and a million entries are never held.
"""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import BinaryIO

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from smki.authority.ceremony.plan import issuer_of
from smki.authority.hierarchy import certificate_of
from smki.authority.workspace import Workspace
from smki.errors import IntegrityFailure, Unavailable
from smki.hsm.key import HsmPrivateKey
from smki.pki.crl import CrlDraft, Frame, Tally, around, compile_frame, encode_entries
from smki.pki.crl_lint import refuse_crl_faults
from smki.pki.crl_reading import check_list
from smki.pki.lint import read_certificate
from smki.store.crls import PIECE_OCTETS
from smki.store.records import AuthorityRecord, CrlRecord

_ECDSA = ec.ECDSA(Prehashed(hashes.SHA256()))
_NO_TIME = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, slots=True)
class Made:
    """A list that is good, in a file without a name."""

    record: CrlRecord
    file: BinaryIO

    def pieces(self) -> Iterator[bytes]:
        self.file.seek(0)
        return iter(lambda: self.file.read(PIECE_OCTETS), b"")


@contextmanager
def made(
    workspace: Workspace, authority: AuthorityRecord, reserved: CrlRecord, before: CrlRecord | None
) -> Iterator[Made]:
    """Make the list whose number was set aside. `before` is the complete list before it, which a delta adds to."""
    draft = draft_of(authority, reserved)
    frame = compile_frame(draft)
    for specimen in frame.specimens:
        refuse_crl_faults(specimen)
    certified = _certified_key(workspace, authority, draft)
    key = workspace.open_token(authority.token).find_key(key_id=authority.key_id, public_key=certified)
    try:
        with tempfile.TemporaryFile(dir=workspace.home) as spool, tempfile.TemporaryFile(dir=workspace.home) as file:
            tally = _spool(workspace, reserved, before, spool)
            _sign(frame, spool, file, key)
            yield Made(_read_back(reserved, frame, tally, spool.tell(), file, certified), file)
    except OSError as error:
        raise Unavailable(
            "crl.file", f"the list of {authority.name} cannot be written: {error.strerror}",
            f"make room under {workspace.home}, and run it again",
        ) from None  # fmt: skip


def draft_of(authority: AuthorityRecord, record: CrlRecord) -> CrlDraft:
    return CrlDraft(
        issuer=issuer_of(authority),
        number=record.number,
        this_update=record.this_update,
        next_update=record.next_update,
        scope=record.scope,
        base=record.base,
    )


def _certified_key(workspace: Workspace, authority: AuthorityRecord, draft: CrlDraft) -> ec.EllipticCurvePublicKey:
    """The key in the authority's certificate, which must carry the name that the list will."""
    certificate = read_certificate(certificate_of(workspace, authority).der)
    key = certificate.public_key()
    same = certificate.subject.public_bytes() == draft.issuer.name.public_bytes()
    if not isinstance(key, ec.EllipticCurvePublicKey) or not same:
        raise IntegrityFailure(
            "crl.issuer", f"the certificate of {authority.name} has another name", "compare it with `smki ca show`"
        )
    return key


def _spool(workspace: Workspace, reserved: CrlRecord, before: CrlRecord | None, spool: BinaryIO) -> Tally:
    """The entries. One whose certificate ended is left out once a complete list made after its end had it."""
    alive, covered = (_NO_TIME, 0) if before is None else (before.this_update, before.covers)
    after = covered if reserved.is_delta else 0
    tally = Tally()
    rows = workspace.store.revocations.listed(reserved.issuer, after, reserved.covers, alive, covered)
    spool.writelines(encode_entries(rows, tally))
    return tally


def _sign(frame: Frame, spool: BinaryIO, file: BinaryIO, key: HsmPrivateKey) -> None:
    before, after = frame.before(spool.tell()), frame.after
    digest = hashlib.sha256(before)
    for piece in _from_start(spool):
        digest.update(piece)
    digest.update(after)
    length = len(before) + spool.tell() + len(after)
    first, last = around(length, key.sign(digest.digest(), _ECDSA))
    file.write(first + before)
    file.writelines(_from_start(spool))
    file.write(after + last)


def _from_start(file: BinaryIO) -> Iterator[bytes]:
    file.seek(0)
    return iter(lambda: file.read(PIECE_OCTETS), b"")


def _read_back(
    reserved: CrlRecord, frame: Frame, tally: Tally, entries: int, file: BinaryIO, key: ec.EllipticCurvePublicKey
) -> CrlRecord:
    file.flush()
    os.fsync(file.fileno())  # what the disk refuses is to be known now
    file.seek(0)
    octets = file.read()
    check_list(octets, frame, tally, entries, key)
    digest = hashlib.sha256(octets).digest()
    return replace(reserved, entries=tally.count, size=len(octets), sha256=digest)
