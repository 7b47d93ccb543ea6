"""Commands that replace credentials on devices: made, judged before they are made, and on record before handed out.

    for one in make(workspace, requests, batch):
        match one:
            case Made(): one.octets, one.digest
            case Unfit(): one.faults

A run that is interrupted and started again makes the same again, and records nothing twice.
"""

import hashlib
from collections import Counter
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from smki.authority.log import act, seal
from smki.authority.workspace import Workspace
from smki.device.modes import RULES
from smki.device.update import CredentialUpdate, Put
from smki.entity import DeviceType, EntityId
from smki.errors import SmkiError
from smki.gbcs.message import Message
from smki.parties.change_rules import ChangeRules, Judged, own_role
from smki.parties.changes import Change, Made, Place, Unfit, UpdateRequest
from smki.parties.signing_rules import MAX_SIGNED_COUNTER
from smki.pki.verdict import Fault
from smki.store.records import FloorRecord, OrderRecord

__all__ = ["CHUNK", "Change", "Made", "Place", "Unfit", "UpdateRequest", "make"]

CHUNK = 1000  # commands in one transaction


def make(workspace: Workspace, requests: Iterable[UpdateRequest], batch: bytes) -> Generator[Made | Unfit]:
    """Make what may be made, in the order asked. `batch` is the SHA-256 that names this run. Close it at the end."""
    run = _Run(workspace, batch)
    source = iter(requests)
    try:
        while chunk := list(islice(source, CHUNK)):
            yield from run.chunk(chunk)
    finally:
        seal(workspace)


@dataclass(frozen=True, slots=True)
class _Draft:
    """A command that may be made as far as its change is concerned."""

    request: UpdateRequest
    judged: Judged
    message: Message
    digest: bytes


class _Run:
    """One run, and what it found before."""

    def __init__(self, workspace: Workspace, batch: bytes) -> None:
        self._workspace = workspace
        self._orders = workspace.store.orders
        self._batch = batch
        self._rules = ChangeRules(workspace)

    def chunk(self, requests: list[UpdateRequest]) -> list[Made | Unfit]:
        """What becomes of some requests; what is made of them is on record when this returns."""
        drafts = [self._draft(one) for one in requests]
        known = self._orders.known([one.digest for one in drafts if isinstance(one, _Draft)])
        if all(isinstance(one, Unfit) or one.digest in known for one in drafts):
            return self._numbered(drafts, known)
        modes: dict[str, int] = {}
        digests: list[str] = []
        with act(
            self._workspace, "credentials.made", batch=self._batch.hex(), modes=modes, orders_sha256=digests
        ) as tx:
            tx.lock()
            # Another run may have been here since: what it made is not made again.
            known = self._orders.known([one.digest for one in drafts if isinstance(one, _Draft)])
            done = self._numbered(drafts, known)
            fresh = [one for one in done if isinstance(one, Made) and not one.before]
            now = self._workspace.clock()
            tx.put_orders(self._record(one, now) for one in fresh)
            modes |= Counter(RULES[one.request.change.mode].word for one in fresh)
            digests.append(hashlib.sha256(b"".join(one.digest for one in fresh)).hexdigest())
        return done

    # One by one

    def _draft(self, request: UpdateRequest) -> _Draft | Unfit:
        kind = request.kind or self._kind(request.device)
        judged = self._rules.judge(request.change, kind)
        faults = (*judged.faults, *_of_device(request))
        if faults:
            return Unfit(request, faults)
        try:
            message = _said(request, judged).command(request.change.originator, request.device)
        except SmkiError as error:
            return Unfit(request, (Fault(error.code, error.message, error.remedy),))
        return _Draft(request, judged, message, hashlib.sha256(message.encode()).digest())

    def _kind(self, device: EntityId) -> DeviceType | None:
        del device
        return None

    def _numbered(self, drafts: list[_Draft | Unfit], known: frozenset[bytes]) -> list[Made | Unfit]:
        """Counters go up for each device, from the last one that its originator's orders had."""
        last = self._last_counters([one.request for one in drafts if isinstance(one, _Draft)])
        done: list[Made | Unfit] = []
        for one in drafts:
            if isinstance(one, Unfit):
                done.append(one)
            elif one.digest in known:
                done.append(Made(one.request, one.message, one.digest, one.judged, before=True))
            else:
                done.append(_with_counter(one, last))
        return done

    def _last_counters(self, requests: list[UpdateRequest]) -> dict[tuple[EntityId, EntityId], int]:
        devices: dict[EntityId, list[EntityId]] = {}
        for one in requests:
            devices.setdefault(one.change.originator, []).append(one.device)
        return {
            (originator, device): counter
            for originator, asked in devices.items()
            for device, counter in self._orders.last_counters(originator, asked).items()
        }

    def _record(self, one: Made, now: datetime) -> OrderRecord:
        change = one.request.change
        own = [] if change.floors is None else [(own_role(RULES[change.mode]), change.floors)]
        return OrderRecord(
            digest=one.digest,
            device=one.request.device,
            originator=change.originator,
            code=int(RULES[change.mode].code),
            counter=one.request.counter,
            execution_at=change.at,
            state="made",
            puts=one.judged.records,
            floors=tuple(
                FloorRecord(role, floors.counter, floors.top_up) for role, floors in (*own, *change.other_floors)
            ),
            batch=self._batch,
            made_at=now,
        )


def _with_counter(one: _Draft, last: dict[tuple[EntityId, EntityId], int]) -> Made | Unfit:
    request = one.request
    key = (request.change.originator, request.device)
    before = last.get(key, -1)
    if request.counter <= before:
        return Unfit(
            request,
            (
                Fault(
                    "credentials.counter",
                    f"counter {request.counter} for {request.device} is not above {before}, the last on record",
                    "number it higher: a device obeys no counter twice",
                ),
            ),
        )
    last[key] = request.counter
    return Made(request, one.message, one.digest, one.judged)


def _of_device(request: UpdateRequest) -> Iterator[Fault]:
    if request.device.is_reserved or request.device == request.change.originator:
        yield Fault("credentials.device", f"{request.device} is no device", "name the device")
    if not 0 <= request.counter <= MAX_SIGNED_COUNTER:
        yield Fault("credentials.counter", f"counter {request.counter} has not 63 bits", "number it lower")


def _said(request: UpdateRequest, judged: Judged) -> CredentialUpdate:
    change = request.change
    return CredentialUpdate(
        mode=change.mode,
        counter=request.counter,
        puts=tuple(Put.into(place.cell, place.certificate) for place in change.places),
        path=judged.path,
        authorising=judged.authorising,
        disapply_time=change.disapply_time,
        own_floor=None if change.floors is None else change.floors.counter,
        own_top_up_floor=None if change.floors is None else change.floors.top_up,
        other_floors=change.other_floors or None,
        at=change.at,
        symmetric_key=change.symmetric_key,
    )
