"""Commands that replace credentials on devices: judged before they are made, and on record before handed out.

    for one in make(workspace, requests, batch):
        match one:
            case Made(): one.octets, one.digest
            case Unfit(): one.faults

A run that is interrupted and started again makes the same again, and records nothing twice.
"""

from collections.abc import Generator, Iterable
from contextlib import suppress
from itertools import islice

from smki.authority.log import seal
from smki.authority.workspace import Workspace
from smki.device.modes import RULES
from smki.device.update import CredentialUpdate, Put
from smki.errors import SmkiError
from smki.parties.change_rules import ChangeRules, Judged, own_role
from smki.parties.changes import Change, Made, Place, Unfit, UpdateRequest
from smki.parties.ordering import CHUNK, Draft, Ordering, device_faults, digest_of
from smki.pki.verdict import Fault
from smki.store.estate_records import DeviceRecord
from smki.store.records import FloorRecord

__all__ = ["CHUNK", "Change", "Made", "Place", "Unfit", "UpdateRequest", "make"]


def make(workspace: Workspace, requests: Iterable[UpdateRequest], batch: bytes) -> Generator[Made | Unfit]:
    """Make what may be made, in the order asked. `batch` is the SHA-256 that names this run. Close it at the end."""
    rules, ordering = ChangeRules(workspace), Ordering(workspace, batch)
    source = iter(requests)
    try:
        while chunk := list(islice(source, CHUNK)):
            yield from _chunk(rules, ordering, chunk)
    finally:
        with suppress(SmkiError):  # what was made is on record; the next act signs the log as well
            seal(workspace)


def _chunk(rules: ChangeRules, ordering: Ordering, requests: list[UpdateRequest]) -> list[Made | Unfit]:
    devices = ordering.devices([one.device for one in requests])
    drafts = [_draft(rules, one, devices.get(one.device)) for one in requests]
    placed = iter(ordering.place([one for one in drafts if isinstance(one, Draft)], devices))
    done: list[Made | Unfit] = []
    for request, draft in zip(requests, drafts, strict=True):
        if isinstance(draft, Unfit):
            done.append(draft)
            continue
        one = next(placed)
        if one.fault is not None:
            done.append(Unfit(request, (one.fault,)))
        else:
            done.append(Made(request, one.draft.message, one.draft.digest, one.before))
    return done


def _draft(rules: ChangeRules, request: UpdateRequest, known: DeviceRecord | None) -> Draft | Unfit:
    change = request.change
    kind = known.kind if request.kind is None and known is not None else request.kind
    judged = rules.judge(change, kind)
    if judged.faults:
        return Unfit(request, judged.faults)
    try:
        message = _said(request, judged).command(change.originator, request.device)
    except SmkiError as error:
        return Unfit(request, (Fault.of(error),))
    faults = device_faults(message.header, known)
    if faults:
        return Unfit(request, faults)
    rule = RULES[change.mode]
    return Draft(message, digest_of(message), rule.word, own_role(rule), judged.records, floors_of(change), change.at)


def floors_of(change: Change) -> tuple[FloorRecord, ...]:
    """Every floor that a change gives, each with its role."""
    own = [] if change.floors is None else [(own_role(RULES[change.mode]), change.floors)]
    return tuple(FloorRecord(role, one.counter, one.top_up) for role, one in (*own, *change.other_floors))


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
