"""Certificate revocation lists as this authority makes them (RFC 5280 5; version 2, ecdsa-with-SHA256). Pure.

A list of a million entries is never held as a million objects. pyca builds the list without entries and a specimen of
each form an entry can have; what is signed is the one with the others filled in and joined, octet for octet what pyca
builds of the same entries, which is proven before the first use. What is fixed was linted; the rest are holes.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache, lru_cache
from itertools import islice, product

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from smki.errors import IntegrityFailure
from smki.pki.der import BIT_STRING, SEQUENCE, header, tlv
from smki.pki.distribution_point import distribution_point
from smki.pki.reason import Reason
from smki.pki.scope import Scope
from smki.pki.signature import ECDSA_WITH_SHA256
from smki.pki.template import Issuer
from smki.pki.validity import TimeForm

Entry = tuple[bytes, int, int, int | None]
"""Serial number, time of revocation, reason code, time of compromise: plain, because there may be a million."""

READ_IN_FULL = 1000  # entries of a list that was made are read field by field; of all others, the octets compared
_BATCH = 1024
_TIMES = 4096  # of revocation, each encoded once
_TAGS = {TimeForm.UTC: 0x17, TimeForm.GENERALIZED: 0x18}
FLAGS = {reason: x509.ReasonFlags[reason.name.lower()] for reason in Reason}
# The octets count, and nobody is to believe the signature: whoever knows the key 1 can make it.
_THROWAWAY = ec.derive_private_key(1, ec.SECP256R1())
_SPECIMEN_TIMES = 1_900_000_000, 2_900_000_000  # in 2030 and in 2061: one of each form
_SPECIMEN_COMPROMISE = 1_800_000_000


@dataclass(frozen=True, slots=True)
class CrlDraft:
    """All that a list says but for its entries."""

    issuer: Issuer
    number: int
    this_update: datetime
    next_update: datetime
    scope: Scope = Scope.ALL
    base: int | None = None
    """Of a delta: the number of the complete list it adds to."""

    def extensions(self) -> tuple[tuple[x509.ExtensionType, bool], ...]:
        """Each with whether it is critical (RFC 5280 5.2)."""
        found: list[tuple[x509.ExtensionType, bool]] = [
            (x509.AuthorityKeyIdentifier(self.issuer.key_identifier.octets, None, None), False),
            (x509.CRLNumber(self.number), False),
        ]
        if self.base is not None:
            found.append((x509.DeltaCRLIndicator(self.base), True))
        if self.scope is not Scope.ALL:
            found.append((distribution_point(self.scope), True))
        return tuple(found)


# Entries


@dataclass(slots=True)
class Tally:
    """What was encoded: how many entries, a digest of their octets, and what the first of them say."""

    count: int = 0
    first: list[Entry] = field(default_factory=list)
    octets: "hashlib._Hash" = field(default_factory=hashlib.sha256)

    def add(self, rows: list[Entry], encoded: bytes) -> None:
        self.count += len(rows)
        self.octets.update(encoded)
        self.first += rows[: READ_IN_FULL - len(self.first)]


@dataclass(frozen=True, slots=True)
class _Form:
    """The octets of an entry around its serial number, its time, and its time of compromise if it has one."""

    pieces: tuple[bytes, ...]


def encode_entries(rows: Iterable[Entry], tally: Tally) -> Iterator[bytes]:
    """The octets of entries, many at a time. All serial numbers have 16 octets."""
    forms, stream = _forms(), iter(rows)
    while batch := list(islice(stream, _BATCH)):
        parts: list[bytes] = []
        for serial, at, reason, compromised in batch:
            time = _time(at)
            pieces = forms[reason, len(time), compromised is not None].pieces
            if compromised is None:
                parts += (pieces[0], serial, pieces[1], time, pieces[2])
            else:
                parts += (pieces[0], serial, pieces[1], time, pieces[2], _generalized(compromised), pieces[3])
        encoded = b"".join(parts)
        tally.add(batch, encoded)
        yield encoded


@lru_cache(maxsize=_TIMES)
def _time(seconds: int) -> bytes:
    """Of revocation: its form says its length (RFC 5280 5.1.2.6)."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return TimeForm.of(moment).encode(moment)


@lru_cache(maxsize=_TIMES)
def _generalized(seconds: int) -> bytes:
    return TimeForm.GENERALIZED.encode(datetime.fromtimestamp(seconds, UTC))


def _specimen_entries() -> Iterator[Entry]:
    """One of each form."""
    forms = product(Reason, _SPECIMEN_TIMES, (None, _SPECIMEN_COMPROMISE))
    for number, (reason, at, compromised) in enumerate(forms):
        yield b"specimen entry " + bytes((number,)), at, reason.value, compromised


def _revoked(entry: Entry) -> x509.RevokedCertificate:
    """An entry by pyca. No reason is written for none, and a date only where it is known (RFC 5280 5.3.1, 5.3.2)."""
    serial, at, code, compromised = entry
    builder = x509.RevokedCertificateBuilder().serial_number(int.from_bytes(serial))
    builder = builder.revocation_date(datetime.fromtimestamp(at, UTC))
    if Reason(code) is not Reason.UNSPECIFIED:
        builder = builder.add_extension(x509.CRLReason(FLAGS[Reason(code)]), critical=False)
    if compromised is not None:
        builder = builder.add_extension(
            x509.InvalidityDate(datetime.fromtimestamp(compromised, UTC).replace(tzinfo=None)), critical=False
        )
    return builder.build()


@cache
def _forms() -> dict[tuple[int, int, bool], _Form]:
    """Cut out of specimens; by reason, the length of the time, and whether there is a time of compromise."""
    name = x509.Name([])
    moment = datetime.fromtimestamp(_SPECIMEN_COMPROMISE, UTC)
    builder = x509.CertificateRevocationListBuilder().issuer_name(name).last_update(moment).next_update(moment)
    found = {}
    for entry in _specimen_entries():
        serial, at, reason, compromised = entry
        made = builder.add_revoked_certificate(_revoked(entry)).sign(_THROWAWAY, hashes.SHA256())
        octets = made.tbs_certlist_bytes
        start = octets.index(serial) - len(b"\x30\x00\x02\x10")
        whole = octets[start:]  # nothing stands behind the entries of a list without extensions
        time = _time(at)
        holes = [serial, time]
        holes += [] if compromised is None else [_generalized(compromised)]
        pieces = []
        for hole in holes:
            piece, found_hole, whole = whole.partition(hole)
            assert found_hole, "a specimen has all that was put into it"
            pieces.append(piece)
        found[reason, len(time), compromised is not None] = _Form((*pieces, whole))
    return found


# The list around them


@dataclass(frozen=True, slots=True)
class Frame:
    """What stands around the entries; made only by `compile_frame`."""

    draft: CrlDraft
    head: bytes
    tail: bytes
    specimens: tuple[bytes, bytes]
    """Lists that anyone can sign, without entries and with every form of them: for linting."""

    def before(self, octets: int) -> bytes:
        """All of what is signed that stands before so many octets of entries; without any, no list of them."""
        entries = header(SEQUENCE, octets) if octets else b""  # RFC 5280 5.1.2.6: absent, not empty
        length = len(self.head) + len(entries) + octets + len(self.tail)
        return header(SEQUENCE, length) + self.head + entries

    @property
    def after(self) -> bytes:
        return self.tail


def compile_frame(draft: CrlDraft) -> Frame:
    """Build a specimen, find where entries go, and prove it."""
    empty, full = _build(draft, ()), _build(draft, tuple(_specimen_entries()))
    end = tlv(_TAGS[TimeForm.of(draft.next_update)], TimeForm.of(draft.next_update).encode(draft.next_update))
    content = _content(empty.tbs_certlist_bytes)
    head, _, tail = content.partition(end)
    specimens = (empty.public_bytes(Encoding.DER), full.public_bytes(Encoding.DER))
    frame = Frame(draft, head + end, tail, specimens)
    entries = b"".join(encode_entries(_specimen_entries(), Tally()))
    for octets, built in ((b"", empty), (entries, full)):
        if frame.before(len(octets)) + octets + frame.after != built.tbs_certlist_bytes:
            message = "a list that was put together differs from the builder's"
            raise IntegrityFailure("crl.proof", message, "report this")
    return frame


def _build(draft: CrlDraft, entries: tuple[Entry, ...]) -> x509.CertificateRevocationList:
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(draft.issuer.name)
        .last_update(draft.this_update)
        .next_update(draft.next_update)
    )
    for extension, critical in draft.extensions():
        builder = builder.add_extension(extension, critical)
    for entry in entries:
        builder = builder.add_revoked_certificate(_revoked(entry))
    return builder.sign(_THROWAWAY, hashes.SHA256())


def _content(element: bytes) -> bytes:
    """Of a DER element shorter than 64 KiB."""
    start = next(n for n in (2, 3, 4) if header(SEQUENCE, len(element) - n) == element[:n])
    return element[start:]


def around(signed: int, signature: bytes) -> tuple[bytes, bytes]:
    """What stands before and behind so many signed octets in the whole list (RFC 5280 5.1.1)."""
    after = ECDSA_WITH_SHA256 + tlv(BIT_STRING, b"\x00" + signature)
    return header(SEQUENCE, signed + len(after)), after
