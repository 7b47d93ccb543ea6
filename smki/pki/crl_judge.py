"""What a revocation list says, and whether it is good: for people and for whoever fetched one. Pure."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from cryptography import x509

from smki.errors import InvalidInput
from smki.pki.crl import FLAGS
from smki.pki.crl_lint import MOST_LINTED, lint_crl
from smki.pki.distribution_point import scope_of
from smki.pki.lint import Finding, Severity
from smki.pki.path import PathCertificate, PathCrl
from smki.pki.public_key import read_point
from smki.pki.signature import holds
from smki.pki.usages import usages_in
from smki.pki.verdict import Fault

_WORDS = {flag: reason.word for reason, flag in FLAGS.items()}


@dataclass(frozen=True, slots=True)
class ListedEntry:
    """One entry, in words."""

    serial: str
    at: datetime
    reason: str
    compromised_at: datetime | None


@dataclass(frozen=True, slots=True)
class Description:
    """A list in words: counts of all entries, and the first few."""

    issuer: str
    kind: str
    number: int | None
    base: int | None
    this_update: datetime
    next_update: datetime | None
    contains: str
    key_identifier: str
    octets: int
    entries: int
    reasons: dict[str, int]
    first: tuple[ListedEntry, ...]


@dataclass(frozen=True, slots=True)
class ListVerdict:
    """What is wrong with a list; nothing, if it is good."""

    crl: PathCrl | None
    signer: PathCertificate | None
    faults: tuple[Fault, ...]
    is_linted_whole: bool = True


def describe_list(crl: PathCrl, shown: int) -> Description:
    """Every entry is counted, and no more than `shown` are kept."""
    scope, keys = scope_of(crl.scope), crl.authority_key_identifier
    reasons = Counter(_entry(one).reason for one in crl)
    return Description(
        issuer=str(crl.issuer),
        kind="delta" if crl.is_delta else "complete",
        number=crl.number,
        base=crl.base,
        this_update=crl.this_update,
        next_update=crl.next_update,
        contains="a scope unknown here" if scope is None else scope.value,
        key_identifier="" if keys is None or keys.key_identifier is None else keys.key_identifier.hex().upper(),
        octets=len(crl.der),
        entries=crl.entries,
        reasons=dict(sorted(reasons.items())),
        first=tuple(_entry(one) for one in islice(crl, shown)),
    )


def _entry(one: x509.RevokedCertificate) -> ListedEntry:
    """Whoever made the list: what cannot be read is said, and the entry is one all the same."""
    reason, compromised = _WORDS[x509.ReasonFlags.unspecified], None
    try:
        for extension in one.extensions:
            if isinstance(extension.value, x509.CRLReason):
                flag = extension.value.reason
                reason = _WORDS.get(flag, flag.value)
            elif isinstance(extension.value, x509.InvalidityDate):
                compromised = extension.value.invalidity_date_utc
    except (ValueError, x509.DuplicateExtension):
        reason = "unreadable"
    return ListedEntry(f"{one.serial_number:032X}", one.revocation_date_utc, reason, compromised)


def judge_list(der: bytes, authorities: Sequence[PathCertificate], at: datetime) -> ListVerdict:
    """Signature, times, number, form, lint: every rule it breaks."""
    try:
        crl = PathCrl.read(der)
    except InvalidInput as error:
        return ListVerdict(None, None, (Fault.of(error),))
    faults = []
    signer = next((one for one in authorities if one.subject == crl.issuer and _is_signed(crl, one)), None)
    if signer is None:
        faults.append(_fault("signature", f"{crl} is signed by none of {len(authorities)} authorities known here"))
    if not crl.is_current(at):
        faults.append(_fault("time", f"{crl} is good from {crl.this_update} to {crl.next_update}"))
    found = tuple(finding for finding in lint_crl(der) if finding.severity >= Severity.WARNING)
    faults += [_linted(finding) for finding in found]
    return ListVerdict(crl, signer, tuple(faults), is_linted_whole=crl.entries <= MOST_LINTED)


def _is_signed(crl: PathCrl, signer: PathCertificate) -> bool:
    usage = signer.value(x509.KeyUsage)
    if usage is None or "crl_sign" not in usages_in(usage):
        return False
    key = read_point(signer.point)
    return key is not None and holds(crl.signature, crl.signed, key)


def _linted(finding: Finding) -> Fault:
    return _fault(f"lint.{finding.code}", finding.message or finding.code)


def _fault(code: str, message: str) -> Fault:
    return Fault(f"crl.{code}", message, "do not use it: fetch it again from its issuer")
