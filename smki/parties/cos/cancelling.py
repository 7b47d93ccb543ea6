"""Taking back what was put off: the same command again, to happen never (GBCS 4.5).

Only the supplier that asked for it may have that, by a signed request; or an officer of this party.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import ec

from smki.authority.log import act
from smki.authority.officers import Officer, approve, judge, read_public_key
from smki.authority.workspace import Workspace
from smki.device.update import CANCELLED, Floors
from smki.entity import EntityId, RemotePartyRole
from smki.errors import InvalidInput, Refused
from smki.parties.cos import rules
from smki.parties.cos.commands import Done, Wanted, under_way
from smki.parties.cos.evidence import Evidence
from smki.parties.cos.judgement import faults_of_signer
from smki.parties.cos.request import Asked, Cancelling, Home, read_content, read_request, write_cancel
from smki.parties.cos.rules import Facts
from smki.pki.path import PathCrl
from smki.pki.verdict import Fault
from smki.store.records import OrderRecord
from smki.store.supplier_changes import SupplierChangeRecord

_NO_FLOORS = Floors(0)


@dataclass(frozen=True)
class Cancellation:
    """What is to be taken back, and what speaks against it."""

    record: SupplierChangeRecord
    faults: tuple[Fault, ...]
    fit: tuple[Wanted, ...] = ()
    refused: tuple[Done, ...] = ()
    certificates: tuple[bytes, ...] = ()
    floors: Floors = _NO_FLOORS
    retaking: "Retaking | None" = None

    def against(self, wanted: Sequence[Wanted]) -> dict[EntityId, tuple[Fault, ...]]:
        """What speaks against taking some of it back as things stand now."""
        assert self.retaking is not None, "something of it is fit"
        return self.retaking.against(self.retaking.orders_of([one.device for one in wanted]))


@dataclass(frozen=True)
class Retaking:
    """What was asked for, and what asks to have it back."""

    workspace: Workspace
    evidence: Evidence
    asked: Cancelling
    before: Asked

    def orders_of(self, devices: Iterable[EntityId]) -> dict[EntityId, OrderRecord]:
        """What was made for some devices, as it stands now."""
        store, batch = self.workspace.store, self.asked.request
        return {one: order for device in devices for one, order in under_way(store, batch, device).items()}

    def against(self, orders: Mapping[EntityId, OrderRecord]) -> dict[EntityId, tuple[Fault, ...]]:
        """What speaks against taking each of these orders back."""
        facts, now = self.evidence.facts(orders), self.evidence.terms.now
        found: dict[EntityId, tuple[Fault, ...]] = {}
        for device, order in orders.items():
            others = [one for one in facts[device].before if one.digest != self.asked.digest]
            found[device] = tuple(rules.of_order(order.execution_at, order.is_answered, self.before, others, now))
        return {device: faults for device, faults in found.items() if faults}

    def homes(self) -> Iterator[Home]:
        """Those that are to be taken back, and were asked for."""
        names = self.asked.references
        for home in self.before.homes():
            if isinstance(home, Home) and (not names or home.reference in names):
                yield home


def by_request(workspace: Workspace, data: bytes, crls: Sequence[PathCrl] = ()) -> Cancellation:
    """As the supplier asks that asked for the change."""
    received = read_request(data)
    asked = received.asked
    if not isinstance(asked, Cancelling):
        raise InvalidInput("cos.form", "it asks for a change, and takes none back", "give it to `smki cos run`")
    evidence = Evidence(workspace, crls)
    faults = (*faults_of_signer(evidence, received), *rules.of_age(asked, evidence.terms))
    return _cancellation(workspace, evidence, asked, data, faults)


def by_officer(
    workspace: Workspace,
    start: str,
    references: Iterable[str],
    officer: tuple[str, ec.EllipticCurvePrivateKey],
    reason: str,
) -> Cancellation:
    """As an officer on the roll orders, whose signature is in the log."""
    record = find(workspace, start)
    content = write_cancel(record.supplier, workspace.clock(), record.digest, references)
    asked = read_content(content)
    assert isinstance(asked, Cancelling), "that is what was written"
    name, key = officer
    approval = approve(name, key, asked.digest, workspace.store.workspace_id, workspace.clock())
    roll = [Officer(one.name, read_public_key(one.public_key, one.name)) for one in workspace.store.officers()]
    (judged,) = judge([approval], roll, asked.digest, workspace.store.workspace_id)
    if judged.fault is not None:
        raise Refused("cos.officer", f"{name}: {judged.fault}", "have an officer on the roll order it")
    found = _cancellation(workspace, Evidence(workspace), asked, content, ())
    if found.fit:
        facts = {"request": asked.digest.hex(), "cancels": record.digest.hex(), "reason": reason}
        with act(workspace, "cos.cancel-ordered", **facts, **approval.as_json()):
            pass
    return found


def find(workspace: Workspace, start: str) -> SupplierChangeRecord:
    """The request whose digest begins so, file and all."""
    changes = workspace.store.supplier_changes
    found = [one.digest for one in changes.all() if one.digest.hex().startswith(start.lower())]
    if len(start) < 8 or len(found) != 1:
        raise InvalidInput(
            "cos.unknown-request",
            f"{len(found)} requests begin with {start[:64]!r}",
            "give 8 digits or more of one in `smki cos report`",
        )
    record = changes.one(found[0])
    assert record is not None, "it was there a moment ago"
    return record


def _cancellation(
    workspace: Workspace, evidence: Evidence, asked: Cancelling, file: bytes, faults: tuple[Fault, ...]
) -> Cancellation:
    record = SupplierChangeRecord(
        asked.digest, asked.supplier, asked.made, workspace.clock(), cancels=asked.request, file=file
    )
    if faults:
        return Cancellation(record, faults)
    original = workspace.store.supplier_changes.one(asked.request)
    whose = None if original is None or original.cancels is not None else original.supplier
    faults = tuple(rules.of_cancelling(asked, whose))
    if faults or original is None:
        return Cancellation(record, faults)
    before = read_request(original.file).asked
    assert isinstance(before, Asked), "it cancels nothing"
    retaking = Retaking(workspace, evidence, asked, before)
    fit, refused = _sorted_out(retaking)
    return Cancellation(record, (), tuple(fit), tuple(refused), before.certificates, before.floors, retaking)


def _sorted_out(retaking: Retaking) -> tuple[list[Wanted], list[Done]]:
    """What waits for its time and may be taken back; and what may not."""
    evidence, asked = retaking.evidence, retaking.asked
    orders = under_way(retaking.workspace.store, asked.request)
    facts, against = evidence.facts(orders), retaking.against(orders)
    placed = {
        device: (home.reference, str(home.meter_point))
        for home in retaking.homes()
        for device in evidence.devices_of(home)
        if device in orders
    }
    if not asked.references:
        # A device that was moved since still has the command that waits on it.
        placed |= {device: ("", _where(facts[device])) for device in orders if device not in placed}
    fit, refused = list[Wanted](), list[Done]()
    for device, (reference, point) in placed.items():
        record = facts[device].record
        if record is None or device in against:
            faults = against.get(device) or (_unknown_device(device),)
            refused.append(Done(reference, point, device, "refused", faults=faults))
            continue
        counter = record.counters.get(RemotePartyRole.TRANSITIONAL_COS, -1)
        cells = facts[device].supplier_cells
        fit.append(Wanted(reference, point, device, record.kind, cells, CANCELLED, counter))
    return fit, [*refused, *_not_found(retaking, orders, {reference for reference, _ in placed.values()})]


def _not_found(retaking: Retaking, orders: Mapping[EntityId, OrderRecord], served: Collection[str]) -> Iterator[Done]:
    """Names that the request does not have, and homes whose devices may have gone elsewhere."""
    names = retaking.asked.references
    homes = {home.reference: home for home in retaking.homes()}
    unknown = Fault("cos.unknown-reference", "the request names no such home", "see `smki cos report --batch`")
    yield from (Done(name, "", None, "refused", faults=(unknown,)) for name in sorted(names - homes.keys()))
    left = [home for name, home in homes.items() if name not in served and not home.devices]
    if not names or not left:
        return
    evidence = retaking.evidence
    there = {
        device for home in retaking.before.homes() if isinstance(home, Home) for device in evidence.devices_of(home)
    }
    if orders.keys() <= there:
        return
    moved = Fault("cos.device-elsewhere", "its devices stand elsewhere by now", "take the whole request back")
    yield from (Done(one.reference, str(one.meter_point), None, "refused", faults=(moved,)) for one in left)


def _unknown_device(device: EntityId) -> Fault:
    return Fault("cos.device-unknown", f"{device} is not in the inventory", "have it notified first")


def _where(facts: Facts) -> str:
    record = facts.record
    return "" if record is None or record.meter_point is None else str(record.meter_point)
