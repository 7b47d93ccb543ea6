"""What became of a request to change supplier: each device, and what it answered, as its order says."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from smki.authority.workspace import Workspace
from smki.device.update import CANCELLED
from smki.entity import EntityId
from smki.errors import InvalidInput
from smki.parties.cos.evidence import Evidence
from smki.parties.cos.request import Asked, Cancelling, Home, read_content, read_request
from smki.store.records import OrderRecord
from smki.store.supplier_changes import SupplierChangeRecord


@dataclass(frozen=True, slots=True)
class Line:
    """One device, and how its command stands."""

    reference: str
    device: EntityId
    counter: int
    state: str
    at: datetime | None
    outcome: str

    def as_json(self) -> dict[str, Any]:
        return {
            "reference": self.reference,
            "device": str(self.device),
            "counter": str(self.counter),
            "state": self.state,
            "at": self.at,
            "outcome": self.outcome,
        }


def lines_of(workspace: Workspace, record: SupplierChangeRecord) -> Iterator[Line]:
    """In the order of the request; what was renumbered stands there as often as it was made."""
    orders: dict[EntityId, list[OrderRecord]] = {}
    for order in workspace.store.orders.find(batch=record.digest):
        orders.setdefault(order.device, []).append(order)
    for reference, device in _named(workspace, record):
        for order in sorted(orders.pop(device, ()), key=lambda one: one.counter):
            yield _line(reference, order)
    for left in orders.values():  # devices that stand elsewhere by now
        for order in left:
            yield _line("", order)


def _line(reference: str, order: OrderRecord) -> Line:
    at = None if order.execution_at == CANCELLED else order.execution_at
    return Line(reference, order.device, order.counter, order.state, at, order.outcome)


def _named(workspace: Workspace, record: SupplierChangeRecord) -> Iterator[tuple[str, EntityId]]:
    asked = _asked(record)
    if isinstance(asked, Cancelling):
        original = workspace.store.supplier_changes.one(asked.request)
        asked = asked if original is None else _asked(original)
    if not isinstance(asked, Asked):
        return
    evidence = Evidence(workspace)
    for home in asked.homes():
        if isinstance(home, Home):
            yield from ((home.reference, device) for device in evidence.devices_of(home))


def _asked(record: SupplierChangeRecord) -> Asked | Cancelling:
    """A supplier's request is signed data; an officer's order is its content alone."""
    try:
        return read_request(record.file).asked
    except InvalidInput:
        return read_content(record.file)
