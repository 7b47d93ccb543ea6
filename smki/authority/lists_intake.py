"""Taking revocation lists in: what comes from outside is read strictly and once, and kept only if it is newer."""

import fcntl
import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from smki.authority.anchors import believed
from smki.authority.lists import FOLDER, Listing, key_of, listings
from smki.authority.safe_files import write_over
from smki.authority.standing import REVOKED, standing_fault
from smki.authority.workspace import Workspace
from smki.errors import InvalidInput, Refused, Unavailable
from smki.pki.chain import crl_faults
from smki.pki.crl_reading import der_of, read_list
from smki.pki.holder import load_certificate
from smki.pki.path import (
    CONFORMANCE,
    MAX_CRL_OCTETS,
    InvalidPath,
    Options,
    PathCertificate,
    PathCrl,
    TrustAnchor,
    find_path,
)

MAX_FILE_OCTETS = 2 * MAX_CRL_OCTETS  # as PEM
_SUFFIX = ".crl"


@dataclass(frozen=True, slots=True)
class Taken:
    """A list that came, and whether it is news."""

    name: str
    number: int
    is_delta: bool
    entries: int
    next_update: datetime
    is_new: bool


def take_in(workspace: Workspace, octets: bytes) -> Taken:
    """Keep a list from outside, if it is whole, by an authority believed here, and newer than the one there is."""
    der = der_of(octets)
    if len(der) > MAX_CRL_OCTETS:
        raise InvalidInput("crl.size", f"a list of {len(der)} octets", f"{MAX_CRL_OCTETS} is the limit")
    crl = PathCrl.read(der)
    for fault in crl_faults(crl):
        raise Refused(fault.code, fault.message, fault.remedy)
    if crl.unknown_critical:
        raise Refused("crl.extension", f"{crl} has critical extensions not known here", "do not use it")
    new = Listing(der, read_list(der, _signer(workspace, crl)))
    with _alone(workspace.home / FOLDER) as folder:
        before = [one for one in listings(workspace) if _same_source(one, new)]
        is_new = _refuse_older(new, der, before)
        if is_new:
            write_over(folder / f"{_identity(new)}{_SUFFIX}", der, 0o600)
    return Taken(
        name=str(crl.issuer),
        number=new.number,
        is_delta=new.base is not None,
        entries=new.entries,
        next_update=new.next_update,
        is_new=is_new,
    )


@contextmanager
def _alone(folder: Path) -> Iterator[Path]:
    """Nobody else compares numbers and replaces lists meanwhile: an older one would come over a newer."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise Unavailable("crl.closed", f"{folder}: {error.strerror}", "make it a folder you may write to") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield folder
    finally:
        os.close(descriptor)


def _refuse_older(new: Listing, der: bytes, before: Sequence[Listing]) -> bool:
    """Numbers only go forward, and so does time; the very list that is here changes nothing."""
    kind = "delta" if new.base is not None else "complete"
    for one in before:
        if (one.base is None) is not (new.base is None):
            continue
        if one.is_same(der):
            return False
        if new.number <= one.number or new.this_update < one.this_update:
            raise Refused(
                "crl.older",
                f"{kind} list {new.number} is not newer than {one.number}, which is here",
                "fetch the newest",
            )
    if new.base is not None and not any(new.extends(one) for one in before):
        raise Refused(
            "crl.no-base", f"{new} adds to list {new.base}, which is not here", "import the complete one first"
        )
    return True


def _same_source(one: Listing, other: Listing) -> bool:
    return (one.issuer, one.key_identifier, one.scope) == (other.issuer, other.key_identifier, other.scope)


def _identity(one: Listing) -> str:
    parts = (one.issuer, one.key_identifier, one.scope.value.encode(), b"delta" if one.base is not None else b"")
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()[:32]


# Who signed it


def _signer(workspace: Workspace, crl: PathCrl) -> ec.EllipticCurvePublicKey:
    """The key of an authority of the list's name, whose own path is valid."""
    roots, between = believed(workspace)
    anchors = [TrustAnchor.of_certificate(PathCertificate.read(root)) for root in roots]
    read = [PathCertificate.read(der) for der in between]
    options = Options(conformance=CONFORMANCE).for_crl_signer()
    for der in (*roots, *between):
        one = PathCertificate.read(der)
        usage = one.value(x509.KeyUsage)
        may = one.subject == crl.issuer and usage is not None and usage.crl_sign
        if not may or one.key_identifier != _authority_key(crl):
            continue
        if der in between and isinstance(find_path(one, anchors, read, workspace.clock(), options), InvalidPath):
            continue
        _refuse_revoked(workspace, der, crl)
        return key_of(der)
    raise Refused(
        "crl.signer",
        f"{crl} is by no authority this workspace believes",
        "put the certificates of the root and of the issuing authority into the workspace's folder anchors/",
    )


def _refuse_revoked(workspace: Workspace, authority: bytes, crl: PathCrl) -> None:
    """A stolen key's number would stand in the way of all that comes after it; what it issued is refused anyway."""
    fault = standing_fault(workspace, load_certificate(authority, "an authority"), f"authority {crl.issuer}")
    if fault is not None and fault.code == REVOKED:
        raise Refused(fault.code, fault.message, "fetch the lists of its successor")


def _authority_key(crl: PathCrl) -> bytes | None:
    return None if crl.authority_key_identifier is None else crl.authority_key_identifier.key_identifier
