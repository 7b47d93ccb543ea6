"""What an answer means for the order it is about: how the order stands, and what is in the cells now. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from smki.device.cells import CellName
from smki.device.update import CANCELLED, Floors
from smki.entity import EntityId, RemotePartyRole
from smki.gbcs.payload.credentials import CertificateCode, StatusCode
from smki.parties.answers import Answer, CellOutcome, Details, Holding, OwnKey, PutOff, Replaced
from smki.parties.asking import READ_KEY, REQUEST_KEY
from smki.pki.serial import Serial
from smki.pki.verdict import Fault
from smki.store.estate_records import Believed
from smki.store.records import FloorRecord, OrderRecord, OrderState, PutRecord


@dataclass(frozen=True, slots=True)
class Row:
    """One line of what is told: of a cell, a role, or a device's own key."""

    what: str
    status: str
    before: Holding | None = None
    after: Holding | None = None


@dataclass(frozen=True)
class Finding:
    """What an answer says of its order."""

    state: OrderState
    words: str
    rows: tuple[Row, ...] = ()
    cells: Mapping[CellName, Believed] = field(default_factory=dict)
    """What is believed from now on."""
    floors: Mapping[RemotePartyRole, int] = field(default_factory=dict)
    read: Mapping[CellName, tuple[EntityId, bytes]] | None = None
    """What the device says is in its cells, if it was asked."""
    voids: bool = False
    """Orders of the same mode that were put off before are void."""


def find(order: OrderRecord, answer: Answer, at: datetime) -> Finding | Fault:
    """How an order stands after an answer to it."""
    match answer.said:
        case PutOff():
            return _put_off(order)
        case Replaced() as said:
            return _replaced(order, said, at)
        case Details() as said:
            return _details(said)
        case OwnKey() as said:
            return _own_key(answer, said)


def _put_off(order: OrderRecord) -> Finding | Fault:
    if order.execution_at is None:
        return _contradicts("it was to be done at once, and the device has put it off")
    if order.execution_at == CANCELLED:
        return Finding("done", "what was put off is taken back", (Row("cancellation", "success"),), voids=True)
    words = f"waits for {order.execution_at:%Y-%m-%dT%H:%M:%SZ}"
    return Finding("accepted", words, (Row("command", words),), voids=True)


def _replaced(order: OrderRecord, said: Replaced, at: datetime) -> Finding | Fault:
    puts = {one.cell: one for one in order.puts}
    if said.mode is not order.mode or said.counter != order.counter:
        return _contradicts("its mode or counter is another")
    if len(said.cells) != len(puts) or {one.cell for one in said.cells} != set(puts):
        return _contradicts("it tells of other cells than were to be filled")
    for one in said.cells:
        put = puts[_name(one)]
        if one.succeeded and (one.after.organisation, one.after.key_identifier) != (
            put.organisation,
            put.key_identifier,
        ):
            return _contradicts(f"{put.cell} holds another certificate than was put there")
    if other := [role.word for role, floors in said.floors if _floor(role, floors) not in order.floors]:
        return _contradicts(f"counters of {', '.join(other)} begin elsewhere than was ordered")
    good = [one for one in said.cells if one.succeeded]
    # The device's clock is its own: whatever it says, it was after the order and before now.
    since = at if said.executed_at is None else min(max(said.executed_at, order.made_at), at)
    by = f"credentials {order.digest.hex()[:16]}"
    bad = ", ".join(f"{_name(one)}: {one.word}" for one in said.cells if not one.succeeded)
    return Finding(
        state="done" if not bad else "partly" if good else "failed",
        words=bad or "all replaced",
        rows=tuple(Row(str(one.cell), one.word, one.before, one.after) for one in said.cells),
        cells={_name(one): _believed(puts[_name(one)], since, by) for one in good},
        floors={role: floors.counter for role, floors in said.floors},
    )


def _floor(role: RemotePartyRole, floors: Floors) -> FloorRecord:
    return FloorRecord(role, floors.counter, floors.top_up)


def _name(one: CellOutcome) -> CellName:
    assert one.cell is not None, "the caller compared them with cells that are"
    return one.cell


def _believed(put: PutRecord, since: datetime, by: str) -> Believed:
    return Believed(put.organisation, put.key_identifier, Serial(bytes.fromhex(put.serial)), since, by)


def _details(said: Details) -> Finding:
    good = [one for one in said.roles if one.status == StatusCode.SUCCESS]
    bad = ", ".join(f"{one.role.word}: {one.word}" for one in said.roles if one.status != StatusCode.SUCCESS)
    rows = [Row(one.role.word, one.word) for one in said.roles if not one.cells]
    rows += [Row(str(name), one.word, None, held) for one in good for name, held in one.cells]
    return Finding(
        state="done" if not bad else "partly" if good else "failed",
        words=bad or "read",
        rows=tuple(rows),
        read={name: (held.organisation, held.key_identifier) for one in good for name, held in one.cells},
    )


def _own_key(answer: Answer, said: OwnKey) -> Finding:
    what = {REQUEST_KEY: "new key", READ_KEY: "own certificate"}.get(answer.code, "own certificate installed")
    good = said.octets is not None or (
        said.code == CertificateCode.SUCCESS and answer.code not in {REQUEST_KEY, READ_KEY}
    )
    return Finding("done" if good else "failed", said.word, (Row(what, said.word),))


def _contradicts(reason: str) -> Fault:
    return Fault(
        "outcome.contradicts", f"the answer is not of what was ordered: {reason}", "read the device's cells (CS02a)"
    )
