"""What devices were read to hold (CS02a, CS02f), whoever asked them: proven to be theirs, and written down.

Where the command was made here, its answer belongs to its order; this is for answers from elsewhere.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from smki.authority.estate.belief import Difference, prove
from smki.authority.log import act
from smki.authority.workspace import Workspace
from smki.device.cells import CellName
from smki.entity import EntityId, KeyUsage
from smki.errors import InvalidInput, SmkiError
from smki.gbcs.message import Message, Protection, read_message
from smki.gbcs.payload.credentials import StatusCode
from smki.gbcs.verdict import KeyRing, verify
from smki.parties.answers import Details, read_answer
from smki.parties.intake import Given
from smki.parties.keys import issued_to
from smki.pki.verdict import Fault


@dataclass(frozen=True, slots=True)
class ReadBack:
    """One answer, and in what it differs from what was believed."""

    reference: str
    device: EntityId | None
    differences: tuple[Difference, ...] = ()
    fault: Fault | None = None


def take_read_backs(workspace: Workspace, ring: KeyRing, given: Iterator[Given], at: datetime) -> Iterator[ReadBack]:
    """Each answer is on record when it is told."""
    for one in given:
        device: EntityId | None = None
        try:
            message = read_message(one.octets)
            device = message.header.originator
            _refuse_unproven(workspace, ring, message)
            cells = _cells(message)
            yield ReadBack(one.reference, device, _record(workspace, device, cells, at, one.octets))
        except SmkiError as error:
            yield ReadBack(one.reference, device, fault=Fault(error.code, error.message, error.remedy))


def _refuse_unproven(workspace: Workspace, ring: KeyRing, message: Message) -> None:
    """A signature of the device, or a MAC that we can check: without one of them anybody could have said it."""
    for usage in KeyUsage:
        ring.add(one.known for one in issued_to(workspace, message.header.originator, usage))
    if message.protection is Protection.NONE:
        raise InvalidInput("read-back.unproven", "it carries neither signature nor MAC", "give it as it was sent")
    for check in verify(message, workspace.policies.use_cases, ring):
        if check.answer != "holds":
            reason = check.what if check.fault is None else check.fault.message
            raise InvalidInput("read-back.unproven", reason, "give the device's certificate, or what checks its MAC")


def _cells(message: Message) -> dict[CellName, tuple[EntityId, bytes]]:
    said = read_answer(message).said
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


def _record(
    workspace: Workspace,
    device: EntityId,
    cells: dict[CellName, tuple[EntityId, bytes]],
    at: datetime,
    octets: bytes,
) -> tuple[Difference, ...]:
    proof = hashlib.sha256(octets).digest()
    differing: list[str] = []  # told in the entry, which is written when the act ends
    facts = {"device": str(device), "response_sha256": proof.hex(), "cells": len(cells), "differing": differing}
    with act(workspace, "inventory.proven", **facts) as tx:
        differences = prove(tx, device, cells, at, proof)
        differing.extend(str(item.cell) for item in differences)
    return differences
