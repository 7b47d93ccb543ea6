"""Changes of supplier made and signed, piece by piece: numbered, on record, vouched for, signed, and told.

Each is judged just before it is made, and again when its order is on record: whoever orders for the same device later
finds it there, and one of the two gives way before the key is asked.

What is made for a request is its orders. Whatever moment the machine dies at, running the same again takes up the
orders it finds: what was signed is handed out, what was not is signed; a number that was overtaken is given anew.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from smki.authority.log import act
from smki.authority.workspace import Workspace
from smki.device.cells import CellName
from smki.device.modes import SUPPLIER_CELLS
from smki.device.update import Floors
from smki.entity import DeviceType, EntityId, RemotePartyRole
from smki.errors import Refused
from smki.gbcs.payload.credentials import Mode
from smki.gbcs.protection import digest_to_sign
from smki.parties.changes import Change, Made, Place, UpdateRequest
from smki.parties.cos.rules import MOST_FLOOR
from smki.parties.cos.thresholds import CODE
from smki.parties.credentials import make
from smki.parties.intake import Given
from smki.parties.keys import Certified
from smki.parties.outcome import Outcome, Result
from smki.parties.signing_rules import MAX_SIGNED_COUNTER, Shown
from smki.parties.supplier import SigningDesk
from smki.pki.verdict import Fault
from smki.store.records import OrderRecord
from smki.store.store import Store
from smki.store.supplier_changes import NEVER_SIGNED, RENUMBERED, WITHDRAWN

PIECE = 4000  # commands judged, made and signed before the next are looked at: what a run holds in memory


@dataclass(frozen=True, slots=True)
class Wanted:
    """One device that is to have a supplier, or not to have one after all."""

    reference: str
    """Empty for a device that stands in none of the request's homes any more."""
    meter_point: str
    device: EntityId
    kind: DeviceType
    cells: tuple[CellName, ...]
    at: datetime | None
    counter: int
    """No command below this one is taken."""

    @property
    def label(self) -> str:
        return f"{self.reference} {self.device}".lstrip()


Doubts = Callable[[Sequence[Wanted]], Mapping[EntityId, tuple[Fault, ...]]]
"""What speaks against some commands as things stand when it is asked; nothing of those that may be."""


@dataclass(frozen=True, slots=True)
class Done:
    """What became of one device of one home."""

    reference: str
    meter_point: str
    device: EntityId | None
    result: Result
    message: bytes = b""
    faults: tuple[Fault, ...] = ()

    @property
    def is_signed(self) -> bool:
        return bool(self.message)

    def as_report(self) -> dict[str, Any]:
        told: dict[str, Any] = {
            "reference": self.reference,
            "device": "" if self.device is None else str(self.device),
            "meter_point": self.meter_point,
            "result": self.result,
        }
        if self.faults:
            told["faults"] = [fault.as_json() for fault in self.faults]
        return told

    def as_message(self) -> dict[str, str]:
        """As `smki message mac` reads it."""
        return {"reference": f"{self.reference} {self.device}".lstrip(), "message": self.message.hex()}


class Commands:
    """What is made and signed for one request."""

    def __init__(
        self,
        workspace: Workspace,
        signing: tuple[SigningDesk, Certified],
        batch: bytes,
        certificates: Sequence[bytes],
        floors: Floors,
    ) -> None:
        self._workspace = workspace
        self._store = workspace.store
        self._desk, self._certificate = signing
        self._batch = batch
        self._certificates = dict(zip(SUPPLIER_CELLS, certificates, strict=True))
        self._floors = floors
        self._changes: dict[tuple[tuple[CellName, ...], datetime | None], Change] = {}
        self._orders = under_way(workspace.store, batch)

    def is_ordered(self, device: EntityId) -> bool:
        """Whether something was made for it before: it is no new command."""
        return device in self._orders

    def piece(self, wanted: Sequence[Wanted], doubts: Doubts) -> Generator[Done]:
        """Make and sign some: those against which nothing speaks, now and when they are on record."""
        against = doubts(wanted)
        yield from (_refused(one, against[one.device]) for one in wanted if one.device in against)
        by_label = {one.label: one for one in wanted if one.device not in against}
        made, unfit = self._made([*by_label.values()])
        yield from unfit
        against = self._looked_at_again([(by_label[one.request.reference], one) for one in made], doubts)
        turned_away = [one for one in made if one.request.device in against]
        orders = {one.request.reference: one for one in made if one.request.device not in against}
        yield from (_refused(by_label[one.request.reference], against[one.request.device]) for one in turned_away)
        signed: list[Made] = []
        with closing(self._signed(orders.values())) as outcomes:
            for outcome in outcomes:
                if outcome.message:
                    signed.append(orders[outcome.reference])
                yield _done(by_label[outcome.reference], outcome)
        self._tell_signed(signed)
        self._withdraw(turned_away)  # after the others, whose numbers may be lower

    def _signed(self, made: Iterable[Made]) -> Generator[Outcome]:
        given = [Given(one.request.reference, one.octets) for one in made]
        vouched = {digest_to_sign(one.message): self._batch for one in made}
        yield from self._desk.sign(self._desk.judge(given, None, vouched), Shown.JUDGED, frozenset({CODE}))

    # Made

    def _made(self, wanted: Sequence[Wanted]) -> tuple[list[Made], list[Done]]:
        """What is on record already, as it was; all else under new numbers."""
        ordered = [one for one in wanted if one.device in self._orders]
        made, unfit = self._make(ordered, {one.device: self._orders[one.device].counter for one in ordered})
        overtaken = self._overtaken(made)
        made = [one for one in made if one.request.device not in overtaken]
        again = {*overtaken, *(one.device for one in wanted if one.device not in self._orders)}
        fresh, beyond = self._within_bounds([one for one in wanted if one.device in again])
        following = self._following(fresh)
        more, not_made = self._make(fresh, {one.device: number for number, one in enumerate(fresh, following)})
        return made + more, unfit + beyond + not_made

    def _within_bounds(self, wanted: Sequence[Wanted]) -> tuple[list[Wanted], list[Done]]:
        """The key counts for all homes: what one device says of its counter must not use up everybody's numbers."""
        # What this key went past already lifts nothing, however high it is.
        most = max(MOST_FLOOR, self._store.signatures.last_counter(self._certificate.key_hash))
        beyond = [_refused(one, (_beyond(one, most),)) for one in wanted if one.counter > most]
        return [one for one in wanted if one.counter <= most], beyond

    def _make(self, wanted: Sequence[Wanted], counters: Mapping[EntityId, int]) -> tuple[list[Made], list[Done]]:
        requests = [
            UpdateRequest(self._change(one), one.device, counters[one.device], one.kind, one.label) for one in wanted
        ]
        by_label = {one.label: one for one in wanted}
        made, unfit = list[Made](), list[Done]()
        if not requests:
            return made, unfit
        with closing(make(self._workspace, requests, self._batch)) as results:
            for result in results:
                if isinstance(result, Made):
                    made.append(result)
                    continue
                one = by_label[result.request.reference]
                unfit.append(_refused(one, result.faults))
        return made, unfit

    def _overtaken(self, made: Sequence[Made]) -> set[EntityId]:
        """Those never signed that cannot be any more, because the key went on to higher numbers."""
        key_hash = self._certificate.key_hash
        digests = {one.request.device: digest_to_sign(one.message) for one in made}
        known = self._store.signatures.known(key_hash, list(digests.values()))
        last = self._store.signatures.last_counter(key_hash)
        found = [one for one in made if digests[one.request.device] not in known and one.request.counter <= last]
        if found:
            with act(self._workspace, "cos.numbered-anew", request=self._batch.hex(), count=len(found)) as tx:
                tx.answer_orders((one.digest, "failed", RENUMBERED) for one in found)
        return {one.request.device for one in found}

    def _following(self, wanted: Sequence[Wanted]) -> int:
        """The number after all that this party ever used, by this key or another before it."""
        used = self._store.orders.last_counters(self._certificate.holder.entity, [one.device for one in wanted])
        last = self._store.signatures.last_counter(self._certificate.key_hash)
        # From 1: a device that heard from nobody yet takes what is above 0.
        floors = [one.counter for one in wanted]
        # Orders of ours that wait for their signature keep their numbers.
        following = max(0, last, *used.values(), *floors, *(order.counter for order in self._orders.values())) + 1
        if following + len(wanted) > MAX_SIGNED_COUNTER:
            raise Refused("cos.counters", "this party's counters are used up", "have its devices given another party")
        return following

    def _change(self, one: Wanted) -> Change:
        """One value for all devices that have the same change: it is judged once."""
        key = (one.cells, one.at)
        found = self._changes.get(key)
        if found is None:
            tops_up = SUPPLIER_CELLS[-1] in one.cells
            floors = self._floors if tops_up else Floors(self._floors.counter)
            found = self._changes[key] = Change(
                mode=Mode.SUPPLIER_BY_TRANS_COS,
                originator=self._certificate.holder.entity,
                places=tuple(Place(name, self._certificates[name]) for name in one.cells),
                at=one.at,
                other_floors=((RemotePartyRole.SUPPLIER, floors),),
            )
        return found

    # Judged again

    def _looked_at_again(
        self, made: Sequence[tuple[Wanted, Made]], doubts: Doubts
    ) -> Mapping[EntityId, tuple[Fault, ...]]:
        """What speaks against orders that are on record and not signed: nobody's act comes while it is asked."""
        digests = {wanted.device: digest_to_sign(one.message) for wanted, one in made}
        known = self._store.signatures.known(self._certificate.key_hash, [*digests.values()])
        fresh = [wanted for wanted, _ in made if digests[wanted.device] not in known]
        if not fresh:
            return {}
        codes: dict[str, int] = {}
        with act(
            self._workspace, "cos.judged-again", request=self._batch.hex(), count=len(fresh), refused=codes
        ) as tx:
            tx.lock()
            against = doubts(fresh)
            codes |= Counter(faults[0].code for faults in against.values())
        return against

    def _withdraw(self, made: Sequence[Made]) -> None:
        """Give up orders for good: the key passes their numbers over, so that no other run of the same signs them."""
        if not made:
            return
        key_hash = self._certificate.key_hash
        with act(self._workspace, "cos.withdrawn", request=self._batch.hex(), count=len(made)) as tx:
            tx.lock()
            known = self._store.signatures.known(key_hash, [digest_to_sign(one.message) for one in made])
            gone = [one for one in made if digest_to_sign(one.message) not in known and self._stands_made(one)]
            last = max((one.request.counter for one in gone), default=-1)
            if last > self._store.signatures.last_counter(key_hash):
                tx.reserve_counter(key_hash, last)
            tx.answer_orders((one.digest, "failed", WITHDRAWN) for one in gone)

    def _stands_made(self, one: Made) -> bool:
        order = self._store.orders.one(one.digest)
        return order is not None and order.state == "made"

    # Signed

    def _tell_signed(self, signed: Iterable[Made]) -> None:
        """Their orders go from made to signed; those that went further since stay there."""
        fresh = [one.digest for one in signed if self._is_made(one)]
        if not fresh:
            return
        digest = hashlib.sha256(b"".join(fresh)).hexdigest()
        with act(
            self._workspace, "cos.signed", request=self._batch.hex(), count=len(fresh), orders_sha256=digest
        ) as tx:
            tx.answer_orders((one, "signed", "") for one in fresh)

    def _is_made(self, one: Made) -> bool:
        before = self._orders.get(one.request.device)
        return before is None or before.digest != one.digest or before.state == "made"


def under_way(store: Store, batch: bytes, device: EntityId | None = None) -> dict[EntityId, OrderRecord]:
    """What was made for a request and not given up, the last order of each device; or of one alone."""
    found: dict[EntityId, OrderRecord] = {}
    for order in store.orders.find(batch=batch, device=device):
        before = found.get(order.device)
        if order.outcome not in NEVER_SIGNED and (before is None or order.counter > before.counter):
            found[order.device] = order
    return found


def _refused(one: Wanted, faults: tuple[Fault, ...]) -> Done:
    return Done(one.reference, one.meter_point, one.device, "refused", faults=faults)


def _beyond(one: Wanted, most: int) -> Fault:
    return Fault(
        "cos.counter-beyond",
        f"{one.device} is believed to take no counter below {one.counter}, and {most} is the limit",
        "look into this device: it is out of reach, or its answer was false",
    )


def _done(one: Wanted, outcome: Outcome) -> Done:
    return Done(one.reference, one.meter_point, one.device, outcome.result, outcome.message, outcome.faults)
