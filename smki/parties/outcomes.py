"""What became of commands about credentials: devices' answers are proven, held against their orders, recorded once.

What is believed of a device's cells changes here, and only here: when the device itself has said so.
"""

import hashlib
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from smki.authority.estate import belief
from smki.authority.log import acts, seal
from smki.authority.standing import REVOKED, Above, Word, fault_of, of_record
from smki.authority.workspace import Workspace
from smki.device.update import CANCELLED
from smki.entity import EntityId
from smki.errors import InvalidInput, SmkiError
from smki.gbcs.message import Message, Protection, read_message
from smki.gbcs.verdict import KeyRing, Known, verify
from smki.parties.answers import Answer, OwnKey, read_answer
from smki.parties.asking import INSTALL_KEY, READ_KEY
from smki.parties.freshness import Origins, names_order, read_by
from smki.parties.intake import Given
from smki.parties.keys import certified
from smki.parties.outcome_rules import Finding, Row, find
from smki.pki.verdict import Fault
from smki.store.certificates import Query
from smki.store.estate_records import DeviceRecord
from smki.store.records import OrderRecord, OrderState
from smki.store.transaction import Transaction

CHUNK = 500  # answers in one transaction
_MOST_WORDS = 400
_OVER = {"done", "partly", "failed"}


@dataclass(frozen=True, slots=True)
class Told:
    """One answer, and what it changed."""

    reference: str
    state: OrderState | None
    """How its order stands; None: the answer was not believed, or is of no order."""
    device: EntityId | None = None
    order: OrderRecord | None = None
    rows: tuple[Row, ...] = ()
    words: str = ""
    before: bool = False
    """It was recorded before: nothing changed now."""
    faults: tuple[Fault, ...] = ()

    @property
    def succeeded(self) -> bool:
        """Whether all is as it was ordered: done, or waiting for its time."""
        return self.state in {"done", "accepted"}


@dataclass(frozen=True, slots=True)
class Proven:
    """An answer that its device made."""

    reference: str
    answer: Answer
    digest: bytes
    """SHA-256 of its octets."""


class OutcomeDesk:
    """Where answers come in."""

    def __init__(self, workspace: Workspace, ring: KeyRing) -> None:
        self._workspace = workspace
        self._orders = workspace.store.orders
        self._ring = ring
        self._asked: set[EntityId] = set()

    def take(self, given: Iterable[Given]) -> Generator[Told]:
        """What each answer says; what it changes is on record when it is told. Close it at the end."""
        source = iter(given)
        try:
            while chunk := list(islice(source, CHUNK)):
                self._asked.clear()  # a certificate may have been revoked since
                yield from self._chunk([self.proven(one) for one in chunk])
        finally:
            with suppress(SmkiError):  # what was told is on record; the next act signs the log as well
                seal(self._workspace)

    # Before anything is believed

    def proven(self, given: Given) -> Proven | Told:
        try:
            message = read_message(given.octets)
            answer = read_answer(message)
        except InvalidInput as error:
            return Told(given.reference, None, faults=(Fault.of(error),))
        faults = tuple(self._unproven(message))
        if faults:
            return Told(given.reference, None, answer.device, faults=faults)
        return Proven(given.reference, answer, hashlib.sha256(given.octets).digest())

    def _unproven(self, message: Message) -> Iterator[Fault]:
        """A signature of the device, or a MAC that we can check: without one of them anybody could have said it."""
        device = message.header.originator
        if device not in self._asked:
            self._asked.add(device)
            self._ring.add(_issued(self._workspace, device))
        if message.protection is Protection.NONE:
            yield Fault("outcome.unproven", "it carries neither signature nor MAC", "give it as the device sent it")
        for check in verify(message, self._workspace.policies.use_cases, self._ring):
            if check.answer != "holds":
                reason = check.what if check.fault is None else check.fault.message
                if check.fault is not None and check.fault.code == REVOKED:
                    yield check.fault
                else:
                    yield Fault("outcome.unproven", reason, "give the device's certificate, or what checks its MAC")

    # Against the orders

    def _chunk(self, proven: list[Proven | Told]) -> list[Told]:
        if all(isinstance(one, Told) for one in proven):
            return [one for one in proven if isinstance(one, Told)]
        facts: list[dict[str, Any]] = []
        with acts(self._workspace, "credentials.outcome", facts) as tx:
            tx.lock()
            beliefs = _Beliefs(tx, self._workspace.store.estate.devices(_devices(proven)))
            told = [one if isinstance(one, Told) else self._record(tx, one, facts, beliefs) for one in proven]
            beliefs.write()
            return told

    def _record(self, tx: Transaction, one: Proven, facts: list[dict[str, Any]], beliefs: "_Beliefs") -> Told:
        answer = one.answer
        order = self._order(answer)
        if order is None:
            fault = Fault(
                "outcome.no-order",
                f"nothing was asked of {answer.device} with counter {answer.counter} and code {answer.code}",
                "take it in where the command was made",
            )
            return Told(one.reference, None, answer.device, faults=(fault,))
        found = find(order, answer, self._workspace.clock())
        if isinstance(found, Fault):
            return Told(one.reference, None, answer.device, order, faults=(found,))
        if answer.code == READ_KEY:
            found = self._compared(order, answer, found)
        # What was taken back may yet have been faster, and its device says so; it is not waiting again.
        if order.state in _OVER or (found.state == "accepted" and order.state in {"accepted", "cancelled"}):
            return Told(one.reference, order.state, answer.device, order, found.rows, order.outcome, before=True)
        found = self._fresh(order, found, beliefs)
        tx.answer_orders([(order.digest, found.state, found.words[:_MOST_WORDS])])
        for late in self._voided(order) if found.voids else ():
            tx.answer_orders([(late.digest, "cancelled", f"void since counter {order.counter}")])
        beliefs.add(one, order, found)
        facts.append(
            {
                "order": order.digest.hex(),
                "device": str(answer.device),
                "state": found.state,
                "outcome": found.words[:_MOST_WORDS],
                "answer_sha256": one.digest.hex(),
            }
        )
        return Told(one.reference, found.state, answer.device, order, found.rows, found.words)

    def _order(self, answer: Answer) -> OrderRecord | None:
        known = self._orders.answered_by(answer.device, answer.originator, answer.counter)
        return next((one for one in known if one.code == answer.code), None)

    def _fresh(self, order: OrderRecord, found: Finding, beliefs: "_Beliefs") -> Finding:
        """What an answer changes: nothing that came after its order."""
        device = beliefs.device(order.device)
        if device is None or not (found.cells or found.read):
            return found
        known = any(names_order(cell) for cell in device.cells.values())
        orders = list(self._orders.find(device=order.device)) if known else []
        return Origins.of(device, orders).fresh(order, found)

    def _voided(self, order: OrderRecord) -> list[OrderRecord]:
        """What a device puts off replaces what it has put off before in the same mode (GBCS 13.3)."""
        return [
            one
            for one in list(self._orders.find(device=order.device))
            if one.code == order.code
            and one.counter < order.counter
            and one.execution_at not in {None, CANCELLED}
            and one.state in {"made", "signed", "accepted"}
        ]

    def _compared(self, order: OrderRecord, answer: Answer, found: Finding) -> Finding:
        """A certificate that was read back, with those that were issued or given to the device."""
        if not isinstance(answer.said, OwnKey) or answer.said.octets is None:
            return found
        try:
            read = certified(answer.said.octets, "the certificate that was read back")
        except InvalidInput as error:
            return Finding("failed", error.message, (Row("own certificate", "cannot be read"),))
        issued = {one.name for one in _issued(self._workspace, answer.device) if one.against is None}
        given = {
            put.serial
            for one in self._orders.find(device=order.device, state="done")
            for put in one.puts
            if one.code == INSTALL_KEY and put.cell is read.holder.usage
        }
        if read.holder.entity != answer.device or read.serial not in issued | given:
            words = f"{read.serial} of {read.holder.entity}, which was not issued to it here"
            return Finding("failed", words, (Row(f"own {read.holder.usage.value}", words),))
        words = f"{read.serial}, as issued"
        return Finding("done", words, (Row(f"own {read.holder.usage.value}", words),))


class _Beliefs:
    """What is believed after some answers: written together, because that is what databases do fastest."""

    def __init__(self, tx: Transaction, known: Mapping[EntityId, DeviceRecord]) -> None:
        self._tx = tx
        self._known = known
        self._changed: set[EntityId] = set()
        self._rows: dict[EntityId, belief.Change] = {}

    def device(self, entity: EntityId) -> DeviceRecord | None:
        """What is believed now, with what came just before."""
        if entity not in self._changed:
            return self._known.get(entity)
        self.write()
        return self._tx.estate.device(entity)

    def add(self, one: Proven, order: OrderRecord, found: Finding) -> None:
        device = one.answer.device
        if device not in self._known or not (found.cells or found.floors or found.read):
            return
        if device in self._rows:  # in the order of the answers
            self.write()
        self._changed.add(device)
        if found.read:  # it was asked then: nobody knows how long the answer was under way
            belief.prove(self._tx, device, found.read, order.made_at, one.digest, read_by(order))
        else:
            by = next((item.by for item in found.cells.values()), "credentials")
            self._rows[device] = device, found.cells, found.floors, by

    def write(self) -> None:
        belief.believe_many(self._tx, self._rows.values())
        self._rows.clear()


def _devices(proven: list[Proven | Told]) -> list[EntityId]:
    return list({one.answer.device for one in proven if isinstance(one, Proven)})


def _issued(workspace: Workspace, device: EntityId) -> Iterator[Known]:
    """The certificates of a device: of a rotation the new one too, which nobody has seen in use yet.

    One that was revoked, or whose authority was, proves nothing, and says so.
    """
    above = Above(workspace)
    for record in list(workspace.store.certificates.find(Query(entity=device, now=workspace.clock()))):
        one = certified(record.der, f"certificate {record.serial}")
        standing = of_record(workspace, record)
        revoked = standing.word is Word.REVOKED
        against = fault_of(workspace, standing, f"certificate {record.serial} of {device}") if revoked else None
        yield replace(one.known, against=against or above.against(one.certificate))
