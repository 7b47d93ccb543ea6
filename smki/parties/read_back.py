"""What devices were read to hold (CS02a, CS02f), whoever asked them: proven to be theirs, and written down.

Where the command was made here, its answer is of the time it was made, and belongs to its order; of an answer from
elsewhere, an operator says when it was read. What is older than what is believed is not believed.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from smki.authority.estate.belief import Difference, prove
from smki.authority.log import act
from smki.authority.standing import REVOKED
from smki.authority.workspace import Workspace
from smki.device.cells import CellName
from smki.entity import EntityId, KeyUsage
from smki.errors import InvalidInput, Refused, SmkiError
from smki.gbcs.message import Message, Protection, read_message
from smki.gbcs.payload.credentials import StatusCode
from smki.gbcs.verdict import KeyRing, verify
from smki.parties.answers import Answer, Details, read_answer
from smki.parties.freshness import Origins, read_by
from smki.parties.intake import Given
from smki.parties.keys import known_to
from smki.pki.verdict import Fault


@dataclass(frozen=True, slots=True)
class ReadBack:
    """One answer, and in what it differs from what was believed."""

    reference: str
    device: EntityId | None
    differences: tuple[Difference, ...] = ()
    fault: Fault | None = None


@dataclass(frozen=True, slots=True)
class _Read:
    """What a device said, when it was asked, and where that is known from."""

    cells: dict[CellName, tuple[EntityId, bytes]]
    at: datetime
    by: str
    octets: bytes


def take_read_backs(
    workspace: Workspace, ring: KeyRing, given: Iterator[Given], at: datetime | None
) -> Iterator[ReadBack]:
    """Each answer is on record when it is told. `at` is when those were read that nobody here asked for."""
    for one in given:
        device: EntityId | None = None
        try:
            message = read_message(one.octets)
            device = message.header.originator
            _refuse_unproven(workspace, ring, message)
            read = _read(workspace, read_answer(message), at, one.octets)
            yield ReadBack(one.reference, device, _record(workspace, device, read))
        except SmkiError as error:
            yield ReadBack(one.reference, device, fault=Fault.of(error))


def _refuse_unproven(workspace: Workspace, ring: KeyRing, message: Message) -> None:
    """A signature of the device, or a MAC that we can check: without one of them anybody could have said it."""
    for usage in KeyUsage:
        ring.add(known_to(workspace, message.header.originator, usage))
    if message.protection is Protection.NONE:
        raise InvalidInput("read-back.unproven", "it carries neither signature nor MAC", "give it as it was sent")
    for check in verify(message, workspace.policies.use_cases, ring):
        if check.answer != "holds":
            reason = check.what if check.fault is None else check.fault.message
            if check.fault is not None and check.fault.code == REVOKED:
                raise Refused(check.fault.code, reason, check.fault.remedy)
            raise InvalidInput("read-back.unproven", reason, "give the device's certificate, or what checks its MAC")


def _read(workspace: Workspace, answer: Answer, at: datetime | None, octets: bytes) -> _Read:
    """Refuse what is older than what is believed: whoever carried an answer may have kept it."""
    cells, orders = _cells(answer), workspace.store.orders
    known = orders.answered_by(answer.device, answer.originator, answer.counter)
    order = next((one for one in known if one.code == answer.code), None)
    device = workspace.store.estate.device(answer.device)
    roles = {name.role for name in cells}
    if order is not None:
        if device is not None and Origins.of(device, orders.find(device=answer.device)).outdates(order, roles):
            raise _older(answer.device)
        return _Read(cells, order.made_at, read_by(order), octets)
    if at is None or at > workspace.clock():
        raise InvalidInput(
            "read-back.time",
            f"nobody here asked {answer.device} with counter {answer.counter}: it does not say when it was read",
            "say so with --at, no time to come; or ask the device anew with `smki credentials read`",
        )
    if device is not None and any(at < cell.since for name, cell in device.cells.items() if name.role in roles):
        raise _older(answer.device)
    return _Read(cells, at, "", octets)


def _older(device: EntityId) -> Refused:
    return Refused(
        "inventory.older-proof",
        f"what is believed of {device} came later",
        "an old answer proves nothing now: ask the device anew",
    )


def _cells(answer: Answer) -> dict[CellName, tuple[EntityId, bytes]]:
    said = answer.said
    if not isinstance(said, Details):
        raise InvalidInput("read-back.kind", "it does not say what is in cells", "give an answer to CS02a or CS02f")
    found = {
        name: (held.organisation, held.key_identifier)
        for role in said.roles
        if role.status == StatusCode.SUCCESS
        for name, held in role.cells
    }
    if not found:
        raise InvalidInput("read-back.nothing", "the device told of no cell", "ask it for roles that it knows")
    return found


def _record(workspace: Workspace, device: EntityId, read: _Read) -> tuple[Difference, ...]:
    proof = hashlib.sha256(read.octets).digest()
    differing: list[str] = []  # told in the entry, which is written when the act ends
    facts = {"device": str(device), "response_sha256": proof.hex(), "cells": len(read.cells), "differing": differing}
    with act(workspace, "inventory.proven", **facts) as tx:
        differences = prove(tx, device, read.cells, read.at, proof, read.by)
        differing.extend(str(item.cell) for item in differences)
    return differences
