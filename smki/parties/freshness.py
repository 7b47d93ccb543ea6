"""Which answer tells of later things: one that was kept back changes nothing that came after it. Pure.

Of two commands by one originator the higher counter is the later one: no device obeys them the other way round. Of
others, the later one is what took effect later: when it was made, or the time it was put off to.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from smki.device.cells import CellName
from smki.entity import RemotePartyRole
from smki.parties.outcome_rules import Finding
from smki.store.estate_records import Believed, DeviceRecord
from smki.store.records import OrderRecord

_DIGITS = 16
_READ, _REPLACED = "read ", "credentials "


def name_of(order: OrderRecord) -> str:
    """How a belief names the order it came from."""
    return order.digest.hex()[:_DIGITS]


def names_order(believed: Believed) -> bool:
    """Whether it may have come from an order: of most devices nothing did, and nobody need look."""
    return believed.by.startswith((_READ, _REPLACED))


def read_by(order: OrderRecord) -> str:
    """The same, of a belief that came from reading cells."""
    return f"{_READ}{name_of(order)}"


@dataclass(frozen=True)
class Origins:
    """What is believed of a device, and the orders that it came from."""

    device: DeviceRecord
    orders: Mapping[str, OrderRecord]

    @classmethod
    def of(cls, device: DeviceRecord, orders: Iterable[OrderRecord]) -> "Origins":
        return cls(device, {name_of(one): one for one in orders})

    def fresh(self, order: OrderRecord, found: Finding) -> Finding:
        """A finding without what is older than what is believed; its words say so."""
        if found.read is not None:
            if self.outdates(order, {name.role for name in found.read}):
                return replace(found, read=None, words=f"{found.words}; older than what is believed")
            return found
        told = {row.what: row.before for row in found.rows}
        old = set[CellName]()
        for name in found.cells:
            believed, before = self.device.cells.get(name), told.get(str(name))
            follows = believed is None or (
                before is not None
                and (before.organisation, before.key_identifier) == (believed.holds, believed.key_identifier)
            )
            if believed is not None and self._is_older(order, believed, follows):
                old.add(name)
        return _without(found, old) if old else found

    def outdates(self, order: OrderRecord, roles: Iterable[RemotePartyRole]) -> bool:
        """Whether a command that read the cells of these roles was made before what is believed of them."""
        if self.device.proven_at is not None and order.made_at < self.device.proven_at:
            return True
        cells = [cell for name, cell in self.device.cells.items() if name.role in roles]
        for cell in cells:
            origin = self._origin(cell)
            if order.made_at < cell.since if origin is None else _is_before(order, origin):
                return True
        return False

    def _is_older(self, order: OrderRecord, believed: Believed, follows: bool) -> bool:
        origin = self._origin(believed)
        if origin is None:
            return believed.by.startswith(_READ) and _effect(order) < believed.since
        before = _is_before(order, origin)
        return not follows if before is None else before

    def _origin(self, believed: Believed) -> OrderRecord | None:
        return self.orders.get(believed.by.rpartition(" ")[2])


def _is_before(one: OrderRecord, other: OrderRecord) -> bool | None:
    """None: by another's command of the same second, and only what the device found before it can tell."""
    if one.originator == other.originator and one.execution_at is None and other.execution_at is None:
        return one.counter < other.counter
    if _effect(one) == _effect(other):
        return None
    return _effect(one) < _effect(other)


def _effect(order: OrderRecord) -> datetime:
    return order.execution_at or order.made_at


def _without(found: Finding, old: set[CellName]) -> Finding:
    """A counter goes with the cells of its role; where no cell changes, no counter does."""
    cells = {name: one for name, one in found.cells.items() if name not in old}
    roles = {name.role for name in old}
    floors = {role: floor for role, floor in found.floors.items() if cells and role not in roles}
    words = f"{found.words}; older than what is believed of {', '.join(sorted(str(name) for name in old))}"
    return replace(found, cells=cells, floors=floors, words=words)
