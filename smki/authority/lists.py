"""Revocation lists that a workspace was given: in its folder `crls/`, of authorities it believes, the newest of each.

A list from outside is read strictly and once, when it comes; what stands in the folder is read again by whoever asks,
kept while its file stays the same, and asked without being taken apart: an entry has its serial number in the one
form DER allows, so that a number that is nowhere in the octets is not listed.
"""

import fcntl
import hashlib
import os
import re
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives.asymmetric import ec

from smki.authority.anchors import believed
from smki.authority.safe_files import read_bounded, write_over
from smki.authority.standing import REVOKED, standing_fault
from smki.errors import InvalidInput, Refused, Unavailable
from smki.pki.chain import crl_faults
from smki.pki.crl_reading import ReadList, der_of, read_list
from smki.pki.distribution_point import scope_of
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
from smki.pki.reason import Reason
from smki.pki.scope import Scope

if TYPE_CHECKING:
    from smki.authority.workspace import Workspace

FOLDER = "crls"
MAX_FILE_OCTETS = 2 * MAX_CRL_OCTETS  # as PEM
MOST_FILES = 600  # of a hundred authorities: complete and delta, for each scope
_SUFFIX = ".crl"
_FEW = 16  # questions to a list that are answered by searching it
_NUMBER_OCTETS = 18  # of a serial number of ours, with its tag and length
# Looked for at every octet: what only looks like a number may lie across one, and hides none.
_NUMBERS = re.compile(rb"(?=\x02\x10.{8}(.{8}))", re.DOTALL)
_REASONS = {x509.ReasonFlags[reason.name.lower()]: reason for reason in Reason}
_Stamp = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Listed:
    """What a list says of a certificate."""

    at: datetime
    reason: Reason
    compromised_at: datetime | None


class Listing:
    """One list, parsed, its signature checked."""

    def __init__(self, der: bytes, read: ReadList) -> None:
        self._der = der
        self._crl = read.parsed
        self.number, self.base = read.number, read.base
        self.this_update, self.next_update = read.this_update, read.next_update
        self.issuer = read.parsed.issuer.public_bytes()
        self.key_identifier = _key_identifier(read.parsed)
        self.scope = _scope(read.parsed)
        self._questions = 0
        self._index: array[int] | None = None

    def covers(self, certificate: x509.Certificate) -> bool:
        """Whether it is by the key that issued this one, and about such certificates."""
        if certificate.issuer.public_bytes() != self.issuer or _key_identifier(certificate) != self.key_identifier:
            return False
        return self.scope in {Scope.ALL, Scope.AUTHORITIES if _is_authority(certificate) else Scope.END_ENTITIES}

    def _may_list(self, serial: int) -> bool:
        """Whether the number stands anywhere in the octets. For a few, they are searched; for many, an index of all
        that looks like a number of ours is made once: eight octets each, in order."""
        number = asn1.encode_der(serial)
        self._questions += 1
        if self._questions <= _FEW or len(number) != _NUMBER_OCTETS:
            return number in self._der
        if self._index is None:
            found = _NUMBERS.findall(self._der)
            self._index = array("Q", sorted(int.from_bytes(one) for one in found))
        key = int.from_bytes(number[-8:])
        place = bisect_left(self._index, key)
        return place < len(self._index) and self._index[place] == key

    def entry(self, serial: int) -> Listed | None:
        if not self._may_list(serial):
            return None
        found = self._crl.get_revoked_certificate_by_serial_number(serial)
        if found is None:
            return None
        values = {type(extension.value): extension.value for extension in found.extensions}
        reason, since = values.get(x509.CRLReason), values.get(x509.InvalidityDate)
        return Listed(
            at=found.revocation_date_utc,
            # A reason of others' lists that is none of ours revokes all the same.
            reason=_REASONS.get(reason.reason, Reason.UNSPECIFIED)
            if isinstance(reason, x509.CRLReason)
            else Reason.UNSPECIFIED,
            compromised_at=since.invalidity_date_utc if isinstance(since, x509.InvalidityDate) else None,
        )

    def is_current(self, at: datetime) -> bool:
        return self.this_update <= at <= self.next_update

    def extends(self, other: "Listing") -> bool:
        """Whether it adds to a complete list (RFC 5280 5.2.4)."""
        return self.base is not None and other.base is None and self.base <= other.number < self.number

    def __str__(self) -> str:
        return f"{'delta ' if self.base is not None else ''}list {self.number}"


class Lists:
    """The lists of one workspace, as they stand in its folder at the moment of asking."""

    def __init__(self, workspace: "Workspace") -> None:
        self._workspace = workspace
        self._kept: dict[str, tuple[_Stamp, Listing]] = {}

    def covering(self, certificate: x509.Certificate) -> list[Listing]:
        return [one for one in self.all() if one.covers(certificate)]

    def all(self) -> Iterator[Listing]:
        """Each list; one whose file is not as we wrote it is an error, and not passed over."""
        try:
            entries = sorted(os.scandir(self._workspace.home / FOLDER), key=lambda entry: entry.name)
        except FileNotFoundError:
            return
        entries = [entry for entry in entries if not entry.name.startswith(".")]
        if len(entries) > MOST_FILES:  # none is passed over: it may be the one that names a stolen key
            raise InvalidInput(
                "crl.count", f"{FOLDER}/ has {len(entries)} files", f"keep {MOST_FILES} at most: the newest of each"
            )
        for entry in entries:
            status = entry.stat()
            stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
            kept = self._kept.get(entry.name)
            if kept is None or kept[0] != stamp:
                kept = self._kept[entry.name] = stamp, self._read(Path(entry.path))
            yield kept[1]

    def _read(self, path: Path) -> Listing:
        der = read_bounded(path, MAX_CRL_OCTETS, "crl")
        for key in _keys(self._workspace, der):
            return Listing(der, read_list(der, key))
        raise Refused(
            "crl.signer",
            f"{path} is by no authority this workspace believes",
            "put it into anchors/, or remove the list",
        )


@dataclass(frozen=True, slots=True)
class Taken:
    """A list that came, and whether it is news."""

    name: str
    number: int
    is_delta: bool
    entries: int
    next_update: datetime
    is_new: bool


def take_in(workspace: "Workspace", octets: bytes) -> Taken:
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
        before = [one for one in workspace.lists.all() if _same_source(one, new)]
        is_new = _refuse_older(new, der, before)
        if is_new:
            write_over(folder / f"{_identity(new)}{_SUFFIX}", der, 0o600)
    return Taken(
        name=str(crl.issuer),
        number=new.number,
        is_delta=new.base is not None,
        entries=len(new._crl),
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
        if one._der == der:
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


def _signer(workspace: "Workspace", crl: PathCrl) -> ec.EllipticCurvePublicKey:
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
        return _key_of(der)
    raise Refused(
        "crl.signer",
        f"{crl} is by no authority this workspace believes",
        "put the certificates of the root and of the issuing authority into the workspace's folder anchors/",
    )


def _refuse_revoked(workspace: "Workspace", authority: bytes, crl: PathCrl) -> None:
    """A stolen key's number would stand in the way of all that comes after it; what it issued is refused anyway."""
    fault = standing_fault(workspace, load_certificate(authority, "an authority"), f"authority {crl.issuer}")
    if fault is not None and fault.code == REVOKED:
        raise Refused(fault.code, fault.message, "fetch the lists of its successor")


def _keys(workspace: "Workspace", der: bytes) -> Iterator[ec.EllipticCurvePublicKey]:
    """Of the authority that a list names: at most one, for key identifiers are of keys."""
    try:
        named = _key_identifier(x509.load_der_x509_crl(der))
    except (ValueError, TypeError):
        named = b""
    roots, between = believed(workspace)
    for authority in (*roots, *between):
        if PathCertificate.read(authority).key_identifier == named:
            yield _key_of(authority)


def _key_of(der: bytes) -> ec.EllipticCurvePublicKey:
    key = load_certificate(der, "an authority").public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey), "path certificates are of P-256 keys"
    return key


def _authority_key(crl: PathCrl) -> bytes | None:
    return None if crl.authority_key_identifier is None else crl.authority_key_identifier.key_identifier


def _key_identifier(one: x509.Certificate | x509.CertificateRevocationList) -> bytes:
    try:
        value = one.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    except (x509.ExtensionNotFound, ValueError):
        return b""
    return value.key_identifier or b""


def _scope(crl: x509.CertificateRevocationList) -> Scope:
    try:
        point = crl.extensions.get_extension_for_class(x509.IssuingDistributionPoint).value
    except x509.ExtensionNotFound:
        return Scope.ALL
    found = scope_of(point)
    if found is None:
        raise InvalidInput("crl.scope", "a list of a scope that ours do not have", "fetch the newest")
    return found


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False
