"""How a certificate stands: the one answer for everything that signs, MACs, verifies or issues.

The register of this workspace says it for what was issued here; for others' certificates the lists it was given
(`crls/`). It is judged at the moment of use: what was signed before a key was lost and comes after its revocation is
refused too, for nobody can tell when it was signed. A certificate that was ever revoked is never good again.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from functools import cached_property

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from smki.authority.anchors import authorities, believed
from smki.authority.hierarchy import certificate_of
from smki.authority.lists import covering
from smki.authority.workspace import Workspace
from smki.entity import KeyUsage
from smki.errors import InvalidInput, Refused
from smki.pki.chain import verify_chain
from smki.pki.holder import load_certificate
from smki.pki.keyid import KeyIdentifier
from smki.pki.kind import Kind
from smki.pki.path import InvalidPath, PathCertificate, TrustAnchor, ValidPath
from smki.pki.reason import Reason
from smki.pki.serial import SERIAL_OCTETS, Serial
from smki.pki.status import Status
from smki.pki.verdict import Fault
from smki.store.records import CertificateRecord
from smki.words import counted, utc

REVOKED = "key.revoked"
"""The code of every refusal for a revocation."""
UNKNOWN = "key.status-unknown"
_POINT_OCTETS = 65  # the end of every public key on record


class Word(Enum):
    """The value is how people and programs read it."""

    GOOD = "good"
    REVOKED = "revoked"
    NOT_IN_USE = "not in use"
    PENDING = "pending"
    EXPIRED = "expired"
    UNREGISTERED = "not registered"
    """By an authority whose register this is, and not in it: nobody issued it."""
    UNKNOWN = "unknown"


_WORDS = {
    Status.IN_USE: Word.GOOD,
    Status.REVOKED: Word.REVOKED,
    Status.NOT_IN_USE: Word.NOT_IN_USE,
    Status.PENDING: Word.PENDING,
    Status.EXPIRED: Word.EXPIRED,
}


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of a certificate now, and where from."""

    word: Word
    source: str
    at: datetime | None = None
    """When it was revoked."""
    reason: Reason | None = None
    compromised_at: datetime | None = None

    @property
    def text(self) -> str:
        """As a person is told."""
        if self.word is not Word.REVOKED or self.at is None or self.reason is None:
            return self.word.value
        since = "" if self.compromised_at is None else f", compromised since {utc(self.compromised_at)}"
        return f"revoked since {utc(self.at)} for {self.reason.word}{since}"


def standing_of(workspace: Workspace, certificate: x509.Certificate) -> Standing:
    """Asked each time: a revocation shows as soon as it is on record."""
    registered = _registered(workspace, certificate)
    return registered or _listed(workspace, certificate)


def _registered(workspace: Workspace, certificate: x509.Certificate) -> Standing | None:
    store, der = workspace.store, certificate.public_bytes(Encoding.DER)
    serial = _serial(certificate.serial_number)
    found = store.certificates.of_serial(serial) if serial is not None else ()
    for record in found:
        if record.der == der:
            return of_record(workspace, record)
    issuer = _own_issuer(workspace, certificate)
    if issuer is None:
        return None
    revoked = None if serial is None else store.revocations.one(issuer, serial)
    if revoked is None:
        return Standing(Word.UNREGISTERED, "register")
    return Standing(Word.REVOKED, "register", revoked.at, revoked.reason, revoked.compromised_at)


def of_record(workspace: Workspace, record: CertificateRecord) -> Standing:
    """How a certificate of the register stands."""
    word = _WORDS[record.status_at(workspace.clock())]
    revoked = workspace.store.revocations.one(record.issuer, record.serial) if word is Word.REVOKED else None
    if revoked is None:
        return Standing(word, "register")
    return Standing(word, "register", revoked.at, revoked.reason, revoked.compromised_at)


def _own_issuer(workspace: Workspace, certificate: x509.Certificate) -> int | None:
    """The number of the authority of this workspace whose key signed it, by what it says."""
    if workspace.kind != "authority":
        return None
    named = _issuers_identifier(certificate)
    for one in workspace.store.authorities():
        if one.public_key is not None and KeyIdentifier.of_point(one.public_key[-_POINT_OCTETS:]).octets == named:
            return one.number
    return None


def _serial(number: int) -> Serial | None:
    try:
        return Serial(number.to_bytes(SERIAL_OCTETS))
    except (OverflowError, InvalidInput):
        return None


def _listed(workspace: Workspace, certificate: x509.Certificate) -> Standing:
    lists = covering(workspace, certificate)
    for one in lists:  # whichever says so: an old list is old, and what it lists is revoked
        found = one.entry(certificate.serial_number)
        if found is not None:
            return Standing(Word.REVOKED, str(one), found.at, found.reason, found.compromised_at)
    now, oldest = workspace.clock(), workspace.policies.revocation.standing.oldest_list
    for one in lists:
        if one.base is None and one.is_current(now) and now - one.this_update <= oldest:
            expired = now > certificate.not_valid_after_utc
            return Standing(Word.EXPIRED if expired else Word.GOOD, str(one))
    return Standing(Word.UNKNOWN, f"{counted(len(lists), 'list')}, none in force" if lists else "no list")


# What follows from it


def standing_fault(
    workspace: Workspace, certificate: x509.Certificate, name: str, *, or_pending: bool = False
) -> Fault | None:
    """What speaks against using a certificate now."""
    return fault_of(workspace, standing_of(workspace, certificate), name, or_pending=or_pending)


def fault_of(workspace: Workspace, standing: Standing, name: str, *, or_pending: bool = False) -> Fault | None:
    match standing.word:
        case Word.GOOD:
            return None
        case Word.PENDING if or_pending:
            return None
        case Word.REVOKED:
            return Fault(REVOKED, f"{name} is {standing.text}", "do not use it: have it replaced")
        case Word.UNREGISTERED:
            return Fault("key.unregistered", f"{name} is not one that was issued here", "find out who made it")
        case Word.UNKNOWN:
            if workspace.policies.revocation.standing.unknown == "take":
                return None
            return Fault(
                UNKNOWN,
                f"whether {name} is revoked is not known ({standing.source})",
                "fetch its authority's newest list: `smki crl import FILE`",
            )
    return Fault("key.status", f"{name} is {standing.text}", "use one that is in use")


def judged_path(workspace: Workspace, der: bytes, kind: Kind, usage: KeyUsage) -> ValidPath | InvalidPath:
    """A certificate's path to a root that this workspace believes, on which no authority was revoked."""
    roots, between = authorities(workspace, kind.value)
    verdict = verify_chain(
        der,
        between,
        [TrustAnchor.of_certificate(PathCertificate.read(root)) for root in roots],
        workspace.clock(),
        kind=kind,
        usage=usage,
        policies=frozenset(workspace.policies.hierarchy(kind.value).policy_oids),
    )
    if isinstance(verdict, InvalidPath):
        return verdict
    faults = tuple(authority_faults(workspace, verdict))
    return InvalidPath(faults) if faults else verdict


def authority_faults(workspace: Workspace, path: ValidPath) -> Iterator[Fault]:
    """What speaks against the authorities on a path: whoever signed with a lost key could have signed anything."""
    for above in path.certificates[:-1]:
        certificate = load_certificate(above.der, "an authority")
        fault = standing_fault(workspace, certificate, f"authority {above.subject}")
        if fault is not None:
            yield fault


def revoked_issuers(workspace: Workspace) -> dict[int, Standing]:
    """Of the authorities on record those that were revoked, by their numbers: nothing they issued is believed."""
    numbers = {one.number: certificate_of(workspace, one) for one in workspace.store.authorities() if one.serial}
    every = {number: of_record(workspace, record) for number, record in numbers.items()}
    return {number: standing for number, standing in every.items() if standing.word is Word.REVOKED}


class Above:
    """Which authorities that certificates name as theirs are revoked at one moment: asked once for many."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._found: dict[bytes, Fault | None] = {}

    @cached_property
    def _authorities(self) -> dict[bytes, x509.Certificate]:
        roots, between = believed(self._workspace)
        read = [load_certificate(der, "an authority") for der in (*roots, *between)]
        return {_own_identifier(one): one for one in read}

    def against(self, certificate: x509.Certificate) -> Fault | None:
        named = _issuers_identifier(certificate)
        if named not in self._found:
            self._found[named] = None  # a root's own, and whom nobody here knows: of these a path has to tell
            authority = self._authorities.get(named)
            if authority is not None and authority != certificate:
                self._found[named] = self._standing(authority) or self.against(authority)
        return self._found[named]

    def _standing(self, authority: x509.Certificate) -> Fault | None:
        name = f"authority {authority.subject.rfc4514_string()}"
        fault = standing_fault(self._workspace, authority, name)
        return fault if fault is not None and fault.code == REVOKED else None


def _own_identifier(authority: x509.Certificate) -> bytes:
    try:
        return authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    except (x509.ExtensionNotFound, ValueError):
        return b""


def _issuers_identifier(certificate: x509.Certificate) -> bytes:
    try:
        found = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    except (x509.ExtensionNotFound, ValueError):
        return b""
    return found or b""


class Watch:
    """Certificates that a long run works with: looked at again before each of its pieces."""

    def __init__(
        self, workspace: Workspace, certificates: Sequence[tuple[x509.Certificate, str]], *, or_pending: bool = False
    ) -> None:
        self._workspace = workspace
        self._certificates = tuple(certificates)
        self._or_pending = or_pending

    @classmethod
    def on(cls, workspace: Workspace, name: str, path: ValidPath, *, or_pending: bool = False) -> "Watch":
        """A certificate and the authorities above it."""
        read = [load_certificate(one.der, "a certificate") for one in path.certificates]
        names = [*(f"authority {one.subject}" for one in path.certificates[:-1]), name]
        return cls(workspace, list(zip(read, names, strict=True)), or_pending=or_pending)

    def faults(self) -> Iterator[Fault]:
        for certificate, name in self._certificates:
            fault = standing_fault(self._workspace, certificate, name, or_pending=self._or_pending)
            if fault is not None:
                yield fault

    def refuse(self) -> None:
        """Stop here, if any of them may not be used any more."""
        for fault in self.faults():
            raise Refused(fault.code, fault.message, fault.remedy)
