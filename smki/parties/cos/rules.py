"""May this supplier have this home? Each rule with its code; all that are broken are told; what is not known is a no.

Values in, faults out: who asked, what the registration data and the inventory say, what was asked before, the time.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise

from smki.device.cells import CellName, CellUse
from smki.device.modes import SUPPLIER_CELLS
from smki.device.update import MAX_COUNTER, Floors
from smki.entity import EntityId, RemotePartyRole
from smki.parties.cos.request import Asked, Cancelling, Home
from smki.pki.holder import Holder
from smki.pki.verdict import Fault
from smki.store.estate_records import DeviceRecord, DeviceStatus, Registered
from smki.words import utc

SKEW = timedelta(minutes=5)  # how far two clocks may differ
# A floor above every counter to come would leave the home with nobody who can command it. A token takes up 2**32
# counters (GBCS 14): room for some thousands of them stays.
MOST_FLOOR = MAX_COUNTER - (1 << 48)
_STATES = frozenset({DeviceStatus.COMMISSIONED, DeviceStatus.INSTALLED})
_SIGNER = RemotePartyRole.XML_SIGN


@dataclass(frozen=True, slots=True)
class Terms:
    """The moment of judging, and what the policy allows."""

    now: datetime
    oldest: timedelta
    """How long after it was made a request is still taken."""
    furthest: timedelta
    """How far ahead a change may be put off."""


@dataclass(frozen=True, slots=True)
class Signer:
    """Who signed a request, as far as that is known."""

    holder: Holder | None
    signature_holds: bool
    standing: tuple[Fault, ...] = ()
    """What the register and the authorities have against the certificate."""


@dataclass(frozen=True, slots=True)
class Presented:
    """One of the three certificates that are to go onto devices."""

    use: CellUse
    holder: Holder | None
    standing: tuple[Fault, ...] = ()
    valid_from: datetime | None = None
    """Of it and all above it: when the last of them begins, and the first ends."""
    valid_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Before:
    """An earlier request about a device."""

    digest: bytes
    made: datetime
    cancels: bytes | None = None
    """The request it takes back, if that is what it does."""
    put_off: bool = False
    """Whether what was made for it is to happen later, or never."""
    signed: bool = True


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a device that a home names."""

    device: EntityId
    record: DeviceRecord | None
    cells: tuple[CellName, ...] = ()
    """Those of its kind (devices.toml)."""
    before: tuple[Before, ...] = ()

    @property
    def supplier_cells(self) -> tuple[CellName, ...]:
        return tuple(name for name in SUPPLIER_CELLS if name in self.cells)


@dataclass
class Seen:
    """What the same request said on its lines before: nothing is asked twice in one."""

    references: set[str] = field(default_factory=set)
    devices: set[EntityId] = field(default_factory=set)


# Of a whole request


def of_signer(asked: Asked | Cancelling, signer: Signer) -> Iterator[Fault]:
    """A request speaks for the supplier whose key of role xmlSign signed it (technical architecture 5.3)."""
    if signer.holder is None:
        yield _fault("signer", "no one certificate of a signer is with it", "sign it with --certificate")
        yield from signer.standing
        return
    if not signer.signature_holds:
        yield _fault("signature", "it is not what its signer signed", "have it signed again")
    if signer.holder.role is not _SIGNER:
        role = "a device" if signer.holder.role is None else signer.holder.role.word
        yield _fault(
            "signer-role", f"it was signed in the role of {role}", f"sign it with a key of role {_SIGNER.word}"
        )
    if signer.holder.entity != asked.supplier:
        yield _fault(
            "signer-identity",
            f"it speaks for {asked.supplier}, and {signer.holder.entity} signed it",
            "ask for yourself alone",
        )
    yield from signer.standing


def of_age(asked: Asked | Cancelling, terms: Terms) -> Iterator[Fault]:
    if asked.made > terms.now + SKEW:
        yield _fault("made-later", f"it was made at {utc(asked.made)}, which is to come", "set the clocks right")
    if asked.made < terms.now - terms.oldest:
        yield _fault("stale", f"it was made at {utc(asked.made)}, which is too long ago", "have it made anew")


def of_certificates(asked: Asked, presented: Sequence[Presented]) -> Iterator[Fault]:
    """The requester's own, a supplier's, each for its use, and no key twice (GBCS 13.1)."""
    for one in presented:
        yield from (Fault(item.code, f"{one.use.value}: {item.message}", item.remedy) for item in one.standing)
        if one.holder is None:
            continue
        if one.holder.entity != asked.supplier:
            yield _fault(
                "certificate-identity",
                f"{one.use.value}: a certificate of {one.holder.entity}",
                "put your own certificates alone",
            )
        if one.holder.role is not RemotePartyRole.SUPPLIER:
            role = "a device" if one.holder.role is None else f"role {one.holder.role.word}"
            yield _fault("certificate-role", f"{one.use.value}: a certificate of {role}", "give a supplier's")
        if one.holder.usage is not one.use.key_usage:
            yield _fault(
                "certificate-usage",
                f"{one.use.value}: a certificate for {one.holder.usage.value}",
                "give them in the order signatures, key agreement, top-ups",
            )
    keys = [one.holder.public_key for one in presented if one.holder is not None]
    if any(one == other for number, one in enumerate(keys) for other in keys[:number]):
        yield _fault("certificate-keys", "two of the certificates are of one key", "use a key for one thing only")


def of_floors(floors: Floors) -> Iterator[Fault]:
    for name, floor in (("commands", floors.counter), ("top-ups", floors.top_up or 0)):
        if floor > MOST_FLOOR:
            yield _fault("floor", f"a floor of {floor} leaves {name} no counters", f"give {MOST_FLOOR} at most")


# Of one home


def of_home(
    home: Home,
    asked: Asked,
    presented: Sequence[Presented],
    registered: Sequence[Registered],
    terms: Terms,
    seen: Seen,
) -> Iterator[Fault]:
    """Every rule that concerns the home, whichever devices stand in it."""
    if home.reference in seen.references:
        yield _fault("reference-twice", f"reference {home.reference!r} comes twice", "name each home once")
    seen.references.add(home.reference)
    yield from _of_time(home, terms)
    at = terms.now if home.at is None else home.at
    yield from _of_registration(asked.supplier, registered, at, terms.now, home)
    for one in presented:
        if one.valid_from is None or one.valid_until is None:
            continue  # told as what is wrong with the certificate
        if not one.valid_from <= at <= one.valid_until:
            yield _fault(
                "validity",
                f"{one.use.value}: valid from {utc(one.valid_from)} until {utc(one.valid_until)}, and the change is"
                f" to happen at {utc(at)}",
                "ask with certificates that are valid then",
            )


def _of_time(home: Home, terms: Terms) -> Iterator[Fault]:
    if home.at is None:
        return
    if home.at <= terms.now:
        yield _fault("past", f"it was to happen at {utc(home.at)}, which is past", "ask again, for now")
    if home.at > terms.now + terms.furthest:
        yield _fault("too-far", f"it is to happen at {utc(home.at)}, too far ahead", "ask nearer to the day")


def _of_registration(
    supplier: EntityId, registered: Sequence[Registered], at: datetime, now: datetime, home: Home
) -> Iterator[Fault]:
    """Who is registered at the moment it happens may have the home; whoever is so at another moment may not."""
    then = [row for row in registered if row.since <= at]
    if then and then[-1].supplier == supplier:
        return
    point = f"meter point {home.meter_point}"
    pending = next((row.since for row in registered if row.since > at and row.supplier == supplier), None)
    ended = next(
        (after.since for row, after in pairwise(registered) if row.supplier == supplier and now < after.since <= at),
        None,
    )
    if pending is not None:
        yield _fault(
            "registered-later",
            f"{supplier} is registered for {point} from {utc(pending)}, and it is to happen at {utc(at)}",
            "ask for it to happen when the registration has begun",
        )
    elif ended is not None:
        yield _fault(
            "registration-ends",
            f"another is registered for {point} from {utc(ended)}, and it is to happen at {utc(at)}",
            "the home will be another's by then",
        )
    else:
        yield _fault(
            "not-registered",
            f"{supplier} is not registered for {point}, now or to come",
            "see to the registration first, and ask again when it is here",
        )


# Of one device


def of_device(home: Home, asked: Asked, facts: Facts, seen: Seen, taken_back: bool = False) -> Iterator[Fault]:
    """`taken_back`: whether somebody who may has asked to have the home's change back."""
    if facts.device in seen.devices:
        yield _fault("device-twice", f"{facts.device} comes twice in this request", "name each device once")
    seen.devices.add(facts.device)
    yield from _of_before(asked, facts, taken_back)
    record = facts.record
    if record is None:
        yield _fault("device-unknown", f"{facts.device} is not in the inventory", "have it notified first")
        return
    if record.meter_point != home.meter_point:
        where = "behind no meter point" if record.meter_point is None else f"behind {record.meter_point}"
        yield _fault(
            "device-elsewhere",
            f"{facts.device} stands {where}, not behind {home.meter_point}",
            "name the devices of this home",
        )
    if not facts.supplier_cells:
        yield _fault("device-kind", f"{facts.device}, {record.kind.value}, has no supplier", "leave it out")
    if record.status not in _STATES:
        yield _fault(
            "device-status", f"{facts.device} is {record.status.value}", "wait until it is installed, or leave it out"
        )


def _of_before(asked: Asked, facts: Facts, taken_back: bool) -> Iterator[Fault]:
    """The last word counts: nothing that was taken back or overtaken comes again."""
    # What was signed before was not stopped by that word: what stops it is the command that takes it back.
    if taken_back and not any(one.digest == asked.digest and one.signed for one in facts.before):
        yield _fault("cancelled", "this was taken back before it was signed", "ask for it anew")
    for one in facts.before:
        if one.cancels == asked.digest:
            yield _fault("cancelled", "this was taken back", "ask for it anew")
        elif one.cancels is None and one.digest != asked.digest and one.made >= asked.made:
            yield _fault(
                "superseded",
                f"a request made at {utc(one.made)} has overtaken it",
                "ask for it anew, if it is still wanted",
            )


# Taking back


def of_cancelling(asked: Cancelling, supplier: EntityId | None) -> Iterator[Fault]:
    """`supplier`: who asked for what is taken back; None: nobody did, here."""
    if supplier is None:
        yield _fault("unknown-request", f"no request {asked.request.hex()[:16]} ran here", "see `smki cos report`")
    elif supplier != asked.supplier:
        yield _fault(
            "not-yours", f"{supplier} asked for that, not {asked.supplier}", "only who asked for it takes it back"
        )


def of_order(
    at: datetime | None, answered: bool, request: Asked, before: Sequence[Before], now: datetime
) -> Iterator[Fault]:
    """What was put off, and has neither happened nor been taken back, may be taken back (GBCS 4.5)."""
    if at is None or answered:
        yield _fault("not-pending", "it was not put off, or is over", "ask for the supplier that is right")
    elif at <= now:
        yield _fault("not-pending", f"it was to happen at {utc(at)}, which is past", "see what it answered")
    if any(one.cancels == request.digest for one in before):
        yield _fault("cancelled", "this was taken back before", "see what it answered")
    # A device knows one change that was put off: taking back this one would take back what has replaced it there.
    # What was done at once replaced nothing: this one still waits beside it (GBCS 13.3).
    others = [one for one in before if one.put_off and one.cancels is None and one.digest != request.digest]
    if any(one.made >= request.made for one in others):
        yield _fault("superseded", "a later request has overtaken it", "nothing of it waits any more")


def _fault(rule: str, message: str, remedy: str) -> Fault:
    return Fault(f"cos.{rule}", message, remedy)
