"""Revocation lists that a workspace was given: in its folder `crls/`, of authorities it believes, the newest of each.

What stands in the folder is read again by whoever asks, kept while its file stays the same, and asked without being
taken apart: an entry has its serial number in the one form DER allows, so that a number that is nowhere in the octets
is not listed.
"""

import os
import re
from array import array
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from weakref import WeakKeyDictionary

from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives.asymmetric import ec

from smki.authority.anchors import believed
from smki.authority.safe_files import read_bounded
from smki.authority.workspace import Workspace
from smki.errors import InvalidInput, Refused
from smki.pki.crl_reading import ReadList, read_list
from smki.pki.distribution_point import scope_of
from smki.pki.holder import load_certificate
from smki.pki.path import (
    MAX_CRL_OCTETS,
    PathCertificate,
)
from smki.pki.reason import Reason
from smki.pki.scope import Scope

FOLDER = "crls"
MOST_FILES = 600  # of a hundred authorities: complete and delta, for each scope
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

    @property
    def entries(self) -> int:
        return len(self._crl)

    def is_same(self, der: bytes) -> bool:
        """Whether these are its very octets."""
        return self._der == der

    def is_current(self, at: datetime) -> bool:
        return self.this_update <= at <= self.next_update

    def extends(self, other: "Listing") -> bool:
        """Whether it adds to a complete list (RFC 5280 5.2.4)."""
        return self.base is not None and other.base is None and self.base <= other.number < self.number

    def __str__(self) -> str:
        return f"{'delta ' if self.base is not None else ''}list {self.number}"


_kept: "WeakKeyDictionary[Workspace, dict[str, tuple[_Stamp, Listing]]]" = WeakKeyDictionary()
"""By the file's name, what was parsed of it, as long as the workspace is open."""


def covering(workspace: Workspace, certificate: x509.Certificate) -> list[Listing]:
    """The lists that would name this certificate if it were revoked."""
    return [one for one in listings(workspace) if one.covers(certificate)]


def listings(workspace: Workspace) -> Iterator[Listing]:
    """Each list as it stands in the folder now; one whose file is not as we wrote it is an error, not passed over."""
    try:
        entries = sorted(os.scandir(workspace.home / FOLDER), key=lambda entry: entry.name)
    except FileNotFoundError:
        return
    entries = [entry for entry in entries if not entry.name.startswith(".")]
    if len(entries) > MOST_FILES:  # none is passed over: it may be the one that names a stolen key
        raise InvalidInput(
            "crl.count", f"{FOLDER}/ has {len(entries)} files", f"keep {MOST_FILES} at most: the newest of each"
        )
    known = _kept.setdefault(workspace, {})
    for entry in entries:
        status = entry.stat()
        stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
        kept = known.get(entry.name)
        if kept is None or kept[0] != stamp:
            kept = known[entry.name] = stamp, _read(workspace, Path(entry.path))
        yield kept[1]


def _read(workspace: Workspace, path: Path) -> Listing:
    der = read_bounded(path, MAX_CRL_OCTETS, "crl")
    for key in _keys(workspace, der):
        return Listing(der, read_list(der, key))
    raise Refused(
        "crl.signer",
        f"{path} is by no authority this workspace believes",
        "put it into anchors/, or remove the list",
    )


def _keys(workspace: Workspace, der: bytes) -> Iterator[ec.EllipticCurvePublicKey]:
    """Of the authority that a list names: at most one, for key identifiers are of keys."""
    try:
        named = _key_identifier(x509.load_der_x509_crl(der))
    except (ValueError, TypeError):
        named = b""
    roots, between = believed(workspace)
    for authority in (*roots, *between):
        if PathCertificate.read(authority).key_identifier == named:
            yield key_of(authority)


def key_of(der: bytes) -> ec.EllipticCurvePublicKey:
    key = load_certificate(der, "an authority").public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey), "path certificates are of P-256 keys"
    return key


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
