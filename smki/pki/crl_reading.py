"""Reading back a list that may have a million entries, without a second copy of its octets. Pure.

Lists from strangers are read by `smki.pki.path.PathCrl`, which is stricter and holds more; this is for those that
were made here, and for telling which list a file holds.
"""

import hashlib
from calendar import timegm
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import SignatureAlgorithmOID

from smki.errors import IntegrityFailure, InvalidInput
from smki.pki.crl import FLAGS, READ_IN_FULL, CrlDraft, Entry, Frame, Tally
from smki.pki.reason import Reason
from smki.pki.serial import SERIAL_OCTETS
from smki.pki.signature import OF_DIGEST, holds

_LONG = 0x80
_CODES = {flag: reason.value for reason, flag in FLAGS.items()}


@dataclass(frozen=True, slots=True)
class ReadList:
    """A list whose signature holds."""

    number: int
    base: int | None
    this_update: datetime
    next_update: datetime
    parsed: x509.CertificateRevocationList

    @property
    def is_delta(self) -> bool:
        return self.base is not None


def read_list(der: bytes, key: ec.EllipticCurvePublicKey) -> ReadList:
    """A list that the owner of this key signed; or InvalidInput."""
    try:
        crl = x509.load_der_x509_crl(der)
        if not _is_signed(der, crl, key):
            raise _unread("its signature does not hold")
        number = crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
        bases = (one.value.crl_number for one in crl.extensions if isinstance(one.value, x509.DeltaCRLIndicator))
        base = next(bases, None)
        next_update = crl.next_update_utc
    except InvalidInput:
        raise
    except Exception as error:  # noqa: BLE001 - pyca's parsers have several families of errors
        raise _unread(f"it cannot be read: {type(error).__name__}") from None
    if next_update is None:
        raise _unread("it has no end")
    return ReadList(number, base, crl.last_update_utc, next_update, crl)


def check_list(der: bytes, frame: Frame, tally: Tally, octets: int, key: ec.EllipticCurvePublicKey) -> None:
    """Read what was made as a stranger would: it says what it was to say, all of it and no more."""
    try:
        crl = read_list(der, key).parsed
        faults = [
            *_head_faults(crl, frame.draft),
            *_entry_faults(crl, tally),
            *_octet_faults(der, frame, tally, octets),
        ]
    except InvalidInput as error:
        faults = [error.message]
    except (ValueError, OverflowError, KeyError) as error:
        faults = [f"an entry cannot be read: {type(error).__name__}"]
    if faults:
        raise IntegrityFailure(
            "crl.differs",
            f"the list that was made is not the one that was meant: {'; '.join(faults)}",
            "it is not published: check the HSM with `smki hsm check`, and report this",
        )


def _head_faults(crl: x509.CertificateRevocationList, draft: CrlDraft) -> Iterator[str]:
    found = [(extension.value, extension.critical) for extension in crl.extensions]
    rules = {
        "the issuer": crl.issuer.public_bytes() == draft.issuer.name.public_bytes(),
        "thisUpdate": crl.last_update_utc == draft.this_update,
        "nextUpdate": crl.next_update_utc == draft.next_update,
        "the algorithm": crl.signature_algorithm_oid == SignatureAlgorithmOID.ECDSA_WITH_SHA256,
        "the extensions": found == list(draft.extensions()),
    }
    yield from (f"{rule} differs" for rule, holds in rules.items() if not holds)


def _entry_faults(crl: x509.CertificateRevocationList, wanted: Tally) -> Iterator[str]:
    if len(crl) != wanted.count:
        yield f"{len(crl)} entries, and {wanted.count} were meant"
    elif list(entries_of(islice(crl, READ_IN_FULL))) != wanted.first:
        yield "an entry differs"


def _octet_faults(der: bytes, frame: Frame, wanted: Tally, octets: int) -> Iterator[str]:
    """What is signed is what was put together, to the octet: of a million entries each is what pyca makes of it."""
    start, end = _signed(der)
    before, after = frame.before(octets), frame.after
    view = memoryview(der)[start:end]
    first, last = len(before), len(before) + octets
    same = view[:first] == before and view[last:] == after
    if not same or hashlib.sha256(view[first:last]).digest() != wanted.octets.digest():
        yield "its octets are others"


def entries_of(crl: Iterable[x509.RevokedCertificate]) -> Iterator[Entry]:
    """What the entries say, one by one; ValueError or KeyError where one says what ours never do."""
    for one in crl:
        reason, compromised = Reason.UNSPECIFIED.value, None
        for extension in one.extensions:
            value = extension.value
            if isinstance(value, x509.CRLReason):
                reason = _CODES[value.reason]
            elif isinstance(value, x509.InvalidityDate):
                compromised = timegm(value.invalidity_date_utc.timetuple())
            if extension.critical or not isinstance(value, (x509.CRLReason, x509.InvalidityDate)):
                raise ValueError("an entry says something that ours do not")
        serial = one.serial_number.to_bytes(SERIAL_OCTETS)
        yield serial, timegm(one.revocation_date_utc.timetuple()), reason, compromised


def _is_signed(der: bytes, crl: x509.CertificateRevocationList, key: ec.EllipticCurvePublicKey) -> bool:
    """pyca would copy what was signed, twice; hashed where it stands, it costs nothing."""
    start, end = _signed(der)
    digest = hashlib.sha256(memoryview(der)[start:end]).digest()
    return holds(crl.signature, digest, key, OF_DIGEST)


def _signed(der: bytes) -> tuple[int, int]:
    """Where what is signed begins and ends."""
    start, _ = _element(der, 0)
    return start, _element(der, start)[1]


def _element(der: bytes, at: int) -> tuple[int, int]:
    """Where the content of an element begins and ends; pyca has parsed it, so that it is DER."""
    first = der[at + 1]
    if first < _LONG:
        return at + 2, at + 2 + first
    start = at + 2 + first - _LONG
    return start, start + int.from_bytes(der[at + 2 : start])


def _unread(reason: str) -> InvalidInput:
    return InvalidInput("crl.form", f"this is no list of ours: {reason}", "give one that this authority published")


def der_of(octets: bytes) -> bytes:
    """A list from PEM or DER."""
    if b"-----BEGIN" not in octets[:1024]:
        return octets
    try:
        return x509.load_pem_x509_crl(octets).public_bytes(Encoding.DER)
    except ValueError:
        raise InvalidInput("crl.form", "this is no revocation list", "give one, as PEM or DER") from None
