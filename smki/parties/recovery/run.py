"""Running a plan: a command for each device, signed by the recovery key or the contingency key.

    started   the intent is on record: which plan, who approved it, which counters are its own
    made      of each chunk, the orders are on record before the key is asked
    signed    counters are used up with an entry in the log, then the key signs, then the signature is kept
    done      every device of the plan has its command

Every device has its counter by its place in the plan. So whatever moment the machine dies at, the same run makes the
same commands again, hands out what was signed before, and signs the rest. How far devices took them is `report`'s.
"""

import json
from collections import Counter
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

from smki.authority.ceremony.run import alone
from smki.authority.contingency import rehearse
from smki.authority.log import act, seal
from smki.authority.officers import read_public_key
from smki.authority.safe_files import write_over
from smki.authority.workspace import Workspace
from smki.device.update import CredentialUpdate, read_update
from smki.entity import EntityId, KeyUsage, RemotePartyRole
from smki.errors import IntegrityFailure
from smki.gbcs.message import Message
from smki.gbcs.payload.tree import Payload
from smki.gbcs.protection import digest_to_sign
from smki.gbcs.words import Reading
from smki.parties.changes import Change, Made, Unfit, UpdateRequest
from smki.parties.credentials import CHUNK, make
from smki.parties.intake import Given
from smki.parties.outcome import Outcome
from smki.parties.recovery.approval import refuse_unless_quorate
from smki.parties.recovery.intent import Hand, begin, facts_of, hand_of
from smki.parties.recovery.plan import Plan, update_of
from smki.parties.signing_rules import Fit, judge
from smki.parties.supplier import sign_approved, vocabulary
from smki.pki.holder import Holder
from smki.pki.verdict import Fault
from smki.words import utc

if TYPE_CHECKING:
    from smki.hsm.key import HsmPrivateKey

Result = Literal["signed", "signed before", "made", "made before", "rehearsed", "refused"]


@dataclass(frozen=True, slots=True)
class Told:
    """What became of one device's command."""

    device: EntityId
    counter: int
    result: Result
    message: bytes = field(default=b"", repr=False)
    faults: tuple[Fault, ...] = ()

    def as_json(self) -> dict[str, Any]:
        told: dict[str, Any] = {
            "reference": str(self.device),
            "counter": str(self.counter),
            "result": self.result,
        }
        if self.message:
            told["message"] = self.message.hex()
        if self.faults:
            told["faults"] = [fault.as_json() for fault in self.faults]
        return told


def run_plan(workspace: Workspace, plan: Plan) -> Generator[Told]:
    """Make and sign what the plan says. Close it at the end."""
    plan.refuse_if_faulty()
    approvals = refuse_unless_quorate(workspace, plan.file)
    with alone(workspace):
        first = begin(workspace, plan, approvals)
        try:
            yield from _Run(workspace, plan, hand_of(workspace, plan), first).told()
        finally:
            seal(workspace)


# The commands


class Fits:
    """What we made is looked at again before it is signed.

    The first command of a change is held against the rules for whatever anyone signs. The others say the same but for
    the counter, and are compared with it octet by octet.
    """

    def __init__(self, workspace: Workspace, holder: Holder) -> None:
        self._holder = holder
        self._vocabulary = vocabulary(workspace)
        self._known: dict[int, tuple[Change, CredentialUpdate]] = {}

    def fit(self, message: Message, change: Change) -> Fit:
        header = message.header
        reference = str(header.target)
        known = self._known.get(id(change))
        if known is None:
            found = judge(Given(reference, message.encode()), self._holder, self._vocabulary, None, approved=True)
            if not isinstance(found, Fit):
                codes = ", ".join(fault.code for fault in found.faults)
                raise IntegrityFailure("recovery.unfit", f"a command for {reference}: {codes}", "report it")
            self._known[id(change)] = change, read_update(message.payload)
            return found
        if message.payload != replace(known[1], counter=header.counter).encode():
            raise IntegrityFailure("recovery.unfit", f"a command for {reference} says something else", "report it")
        row = self._vocabulary.use_cases.get(header.code)
        reading = Reading(message, row, "asn1", Payload(()), None)
        return Fit(reference, message.grouped, digest_to_sign(message), header.counter, reading, None)


class _Run:
    """One run of a plan."""

    def __init__(self, workspace: Workspace, plan: Plan, hand: Hand, first: int) -> None:
        self._workspace = workspace
        self._plan = plan
        self._hand = hand
        self._first = first
        self._fits = Fits(workspace, hand.holder)
        self._counts: Counter[Result] = Counter()

    def told(self) -> Generator[Told]:
        making = make(self._workspace, self._requests(), self._plan.file.sha256)
        try:
            while chunk := list(islice(making, CHUNK)):
                told = list(self._chunk(chunk))
                self._counts.update(one.result for one in told)
                self._write_progress()
                yield from told
        finally:
            making.close()
        self._finish()

    def _requests(self) -> Iterator[UpdateRequest]:
        changes = self._hand.changes
        for counter, (device, situation) in enumerate(self._plan.devices, self._first):
            yield UpdateRequest(changes[situation], device, counter, situation.kind, str(device))

    def _chunk(self, chunk: list[Made | Unfit]) -> Iterator[Told]:
        ready: dict[str, tuple[Made, Fit]] = {}
        for one in chunk:
            if isinstance(one, Unfit):
                yield Told(one.request.device, one.request.counter, "refused", faults=one.faults)
            elif self._hand.key is None:
                result: Result = "made before" if one.before else "made"
                yield Told(one.request.device, one.request.counter, result, one.octets)
            else:
                ready[one.request.reference] = (one, self._fits.fit(one.message, one.request.change))
        if ready and self._hand.key is not None:
            yield from self._sign(self._hand.key, ready)

    def _sign(self, key: "HsmPrivateKey", ready: dict[str, tuple[Made, Fit]]) -> list[Told]:
        fit = [fit for _, fit in ready.values()]
        outcomes = list(sign_approved(self._workspace, self._hand, key, fit, self._hand.watch))
        signed = [ready[one.reference][0] for one in outcomes if one.message]
        fresh = [one for one in signed if not one.before or self._is_only_made(one)]
        if fresh:
            with act(self._workspace, "recovery.signed", plan=self._plan.file.sha256.hex(), count=len(fresh)) as tx:
                tx.answer_orders((one.digest, "signed", "") for one in fresh)
        return [self._told(one, ready[one.reference][0]) for one in outcomes]

    def _is_only_made(self, one: Made) -> bool:
        order = self._workspace.store.orders.one(one.digest)
        return order is not None and order.state == "made"

    @staticmethod
    def _told(outcome: Outcome, made: Made) -> Told:
        result: Result = "signed" if outcome.result == "signed" else "signed before"
        if not outcome.message:
            result = "refused"
        return Told(made.request.device, made.request.counter, result, outcome.message, outcome.faults)

    # How far it came

    def _write_progress(self) -> None:
        """Beside the plan, replaced whole after each chunk."""
        path = self._plan.file.path
        told = {
            "form": "smki-recovery-run/1",
            "plan_sha256": self._plan.file.sha256.hex(),
            "at": utc(self._workspace.clock()),
            "devices": self._plan.devices.count,
            "commands": dict(self._counts),
        }
        write_over(path.with_name(f"{path.name}.run.json"), json.dumps(told, indent=1).encode() + b"\n")

    def _finish(self) -> None:
        """Every device has its command: the plan's counters are no longer kept for it."""
        sha256 = self._plan.file.sha256
        record = self._workspace.store.ceremony(sha256)
        if record is None or record.state != "started" or self._counts["refused"]:
            return
        facts = {name.replace(" ", "_"): count for name, count in self._counts.items()}
        with act(self._workspace, "recovery.run", plan=sha256.hex(), **facts) as tx:
            tx.advance_ceremony(sha256, "started", "done", record.detail)


# Periodic testing


def rehearse_plan(workspace: Workspace, plan: Plan) -> Generator[Told]:
    """Everything but the signatures: approvals, keys, every command made and judged; none handed out or on record."""
    plan.refuse_if_faulty()
    approvals = refuse_unless_quorate(workspace, plan.file)
    fits = Fits(workspace, _rehearsed_holder(workspace, plan))
    count = 0
    for counter, (device, situation) in enumerate(plan.devices, max(1, plan.first_counter)):
        group = plan.groups[situation]
        fits.fit(update_of(group, counter).command(plan.originator, device), group.change)
        count += 1
        yield Told(device, counter, "rehearsed")
    kind = "contingency" if plan.file.is_contingency else "recovery"
    with act(workspace, f"{kind}.rehearsed", **facts_of(plan, approvals), commands=count):
        pass
    seal(workspace)


def _rehearsed_holder(workspace: Workspace, plan: Plan) -> Holder:
    """Who would sign, once their keys were found and tried; the symmetric key is opened, and not kept."""
    if plan.signer is not None:
        return hand_of(workspace, plan).holder
    rehearse(workspace, plan.file.table.root)
    record = workspace.store.contingency(plan.file.table.root)
    assert record is not None, "a plan without it is faulty"
    key = read_public_key(record.public_key, "the contingency")
    return Holder(plan.originator, RemotePartyRole.ROOT, KeyUsage.DIGITAL_SIGNATURE, key)
