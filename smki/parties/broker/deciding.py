"""What becomes of judged commands, decided with the store's lock held: admitted, held, refused, or had before."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import msgspec

from smki.authority.workspace import Workspace
from smki.entity import EntityId, RemotePartyRole
from smki.gbcs.message import Message
from smki.parties.anomaly.detectors import held
from smki.parties.anomaly.explain import Finding
from smki.parties.anomaly.seen import Seen
from smki.parties.broker.announced import Announced, Beside, announces, as_submitted, with_supply_off
from smki.parties.broker.judgement import Judged, Unreadable
from smki.parties.broker.releases import Releases
from smki.parties.broker.speaking import Speaking
from smki.parties.broker.watch import Watch
from smki.parties.outcome import Result
from smki.parties.signing_rules import MAX_SIGNED_COUNTER
from smki.pki.verdict import Fault
from smki.store.admission_records import (
    TOP_UPS,
    AdmissionRecord,
    LastAdmitted,
    Outgoing,
    QuarantineRecord,
    QuarantineState,
)
from smki.store.admissions import Admissions, Series
from smki.store.transaction import Transaction

_REJECTED = Fault("broker.rejected", "it was held, and rejected", "see `smki broker quarantine show`")
_TWICE = Fault("broker.duplicate", "it was handed in before in this run", "hand it in once")
_WAITS = Fault("broker.held", "it waits for a person's decision", "see `smki broker quarantine list`")


class Told(msgspec.Struct, frozen=True, gc=False):
    """What becomes of one command; a message goes on to get its MAC."""

    result: Result
    message: Message | None = None
    faults: tuple[Fault, ...] = ()
    warnings: tuple[Fault, ...] = ()


@dataclass(slots=True)
class Decided:
    """What becomes of a chunk."""

    now: datetime
    first: int = 0
    """The number of the first that is admitted."""
    told: list[Told] = field(default_factory=list)
    admitted: list[AdmissionRecord] = field(default_factory=list)
    outgoing: list[Outgoing] = field(default_factory=list)
    quarantined: list[QuarantineRecord] = field(default_factory=list)
    released: list[QuarantineRecord] = field(default_factory=list)
    by: set[bytes] = field(default_factory=set)
    """The confirmations that released them."""
    announced: list[tuple[EntityId, bytes]] = field(default_factory=list)
    """What of it was admitted was announced, by whom."""
    refused: int = 0

    @property
    def facts(self) -> dict[str, Any]:
        """What the log says of it."""
        return {
            "admitted": len(self.admitted),
            "admitted_sha256": _digest([item.digest for item in self.admitted]),
            "held": len(self.quarantined),
            "held_sha256": _digest([item.digest for item in self.quarantined]),
            "patterns": sorted({item.pattern for item in self.quarantined}),
            "refused": self.refused,
            **({"announced": len(self.announced)} if self.announced else {}),
            **self._released_facts,
        }

    @property
    def _released_facts(self) -> dict[str, Any]:
        if not self.released:
            return {}
        return {
            "released": len(self.released),
            "released_sha256": _digest([item.digest for item in self.released]),
            "confirmations": sorted(one.hex() for one in self.by),
        }


def _digest(digests: Sequence[bytes]) -> str:
    return hashlib.sha256(b"".join(digests)).hexdigest()


@dataclass(slots=True)
class _Past:
    """What the store knows of a chunk's commands and devices."""

    known: dict[bytes, AdmissionRecord]
    states: dict[bytes, QuarantineState]
    held: dict[bytes, QuarantineRecord]
    """Those of them that wait."""
    releases: dict[bytes, tuple[bytes, bytes]]
    """Those that officers of both sides released, and by which words."""
    last: dict[Series, LastAdmitted]
    steps: dict[bytes, list[tuple[int, datetime]]]
    announced: frozenset[bytes]
    """Those that their user announced, by the digest of what was submitted."""
    beside: Beside


class Decider:
    """Decides for one run."""

    def __init__(self, workspace: Workspace, broker: EntityId, speaking: Speaking, watch: Watch, run: bytes) -> None:
        self._clock = workspace.clock
        self._store = workspace.store
        self._repeat_for = workspace.policies.broker.repeat_for
        self._broker = broker
        self._speaking = speaking
        self._watch = watch
        self._run = run
        self._had: set[bytes] = set()
        self._person = workspace.person.name
        self._releases = Releases(workspace)
        self._announced = Announced()

    def repeated(self, judged: Sequence[Judged | Unreadable]) -> Decided | None:
        """The same submission again: nothing is to be written, and nobody is kept waiting."""
        fit = [item for item in judged if isinstance(item, Judged) and not item.faults]
        if len(fit) < len(judged) or not fit or not _known(self._store.admissions, fit[:1]):
            return None
        known = _known(self._store.admissions, fit)
        if len(known) < len(fit):
            return None
        decided = Decided(self._clock())
        for item in fit:
            decided.told.append(self._again(item, known[item.digest], decided.now))
        return decided

    def decide(self, tx: Transaction, judged: Sequence[Judged | Unreadable], local: bool) -> Decided:
        """The lock is held, and what the others did is known."""
        decided = Decided(self._clock(), tx.admissions.next_number())
        self._watch.begin(tx, decided.now)
        fit = [item for item in judged if isinstance(item, Judged) and not item.faults]
        past = self._past(tx, fit, decided.now)
        for item in judged:
            told = self._one(item, past, decided, local)
            decided.refused += told.result == "refused"
            decided.told.append(told)
        tx.put_admissions(decided.admitted, decided.outgoing, self._watch.steps)
        tx.put_quarantine(decided.quarantined)
        tx.use_announced(decided.announced)
        tx.close_quarantine([item.digest for item in decided.released], "released")
        self._watch.write(tx)
        return decided

    def _past(self, tx: Transaction, fit: Sequence[Judged], now: datetime) -> _Past:
        digests = [item.digest for item in fit]
        last = tx.admissions.last([item.message.header.target for item in fit])
        asked = ((int(item.message.header.code), item.message.header.target.octets) for item in fit)
        steps = self._watch.before(tx.admissions, last.items(), asked, now)
        states = tx.quarantine.states(digests)
        held = tx.quarantine.known([digest for digest, state in states.items() if state == "waiting"])
        releases = self._releases.released(tx.confirmations, held.values(), now) if held else {}
        keys = self._watch.announcers
        signed = {as_submitted(item): item for item in fit if announces(item, keys)}
        announced = self._announced.among(tx.announcements, signed, keys, now)
        known, beside = _known(tx.admissions, fit, last), Beside(tx.quarantine)
        return _Past(known, states, held, releases, last, steps, announced, beside)

    def _one(self, item: Judged | Unreadable, past: _Past, decided: Decided, local: bool) -> Told:
        if isinstance(item, Unreadable):
            return Told("refused", faults=item.faults)
        if item.faults:
            return self._refused(item, decided, *item.faults)
        if item.digest in self._had:
            return Told("refused", faults=(_TWICE,))
        if item.digest in past.known:
            return self._again(item, past.known[item.digest], decided.now)
        state = past.states.get(item.digest)
        if state == "rejected":
            return Told("refused", faults=(_REJECTED,))
        if item.digest in past.releases:  # whatever the store calls it
            return self._released(item, past, decided, local)
        if state is None or self._is_held_for_another(item, past):
            return self._fresh(item, past, decided, local)
        return Told("held", faults=(_WAITS,))

    def _is_held_for_another(self, item: Judged, past: _Past) -> bool:
        """Whether what waits is the same pre-command with another signature, and this one its user announced.

        Of each signature anybody makes a second that holds (r, n - s): who saw it on its way would have it held.
        """
        waits = past.held.get(item.digest)
        return waits is not None and waits.octets != item.message.encode() and self._is_announced(item, past) is True

    def _again(self, item: Judged, record: AdmissionRecord, now: datetime) -> Told:
        """It was admitted before: its sender gets the same, for a while."""
        if item.digest in self._had:
            return Told("refused", faults=(_TWICE,))
        self._had.add(item.digest)
        if record.at + self._repeat_for < now:
            fault = Fault(
                "broker.duplicate", f"it was admitted at {record.at:%Y-%m-%dT%H:%M:%SZ}", "number a new command anew"
            )
            return Told("refused", faults=(fault,))
        if record.party is None:  # as it was said then: whom the device knows may have changed since
            return Told("admitted before", replace(item.message, signature=record.signature))
        assert item.row is not None, "it was judged"
        return Told("admitted before", self._speaking.in_broker_name(item.message, item.row, record.counter))

    def _released(self, item: Judged, past: _Past, decided: Decided, local: bool) -> Told:
        """Officers of both sides let it go, and every other rule still does: it is not held again for what it is."""
        fault = _overtaken(item, past)
        if fault is not None:
            return Told("refused", faults=(fault,))
        record = past.held[item.digest]
        self._had.add(item.digest)
        told = self._admit(item, past, decided, local, ())
        if told.message is not None:
            decided.released.append(record)
            decided.by.update(past.releases[item.digest])
            self._watch.decide(_as_held(record), decided.now, released=True)
        return told

    def _fresh(self, item: Judged, past: _Past, decided: Decided, local: bool) -> Told:
        fault = _overtaken(item, past)
        if fault is not None:
            return self._refused(item, decided, fault)
        seen = self._seen(item, decided.now, past)
        findings = past.beside.without(seen, with_supply_off(seen, self._watch.judge(seen)))
        self._had.add(item.digest)
        if held(findings) and item.digest in past.held:
            return Told("held", faults=(_WAITS,))
        if held(findings):
            self._watch.add(seen, "held")
            past.beside.hold(seen, findings)
            decided.quarantined.append(_quarantined(item, seen, findings, local, self._person))
            return Told("held", faults=tuple(one.fault for one in findings if one.holds))
        self._watch.add(seen, "admitted")
        return self._admit(item, past, decided, local, tuple(one.fault for one in findings))

    def _admit(self, item: Judged, past: _Past, decided: Decided, local: bool, warnings: tuple[Fault, ...]) -> Told:
        header, message = item.message.header, item.message
        top_up = int(header.code) in TOP_UPS
        assert item.row is not None, "it was judged"
        assert item.signer is not None, "it was judged"
        assert item.speaker is not None, "it was judged"
        number = decided.first + len(decided.admitted)
        asked = header.originator.octets, header.target.octets, top_up
        previous = past.last.get(asked)
        if item.through_broker:
            series = self._broker.octets, header.target.octets, top_up
            before = past.last.get(series)
            counter = 1 + max(-1 if before is None else before.counter, self._floor(header.target))
            message = self._speaking.in_broker_name(message, item.row, counter)
            past.last[series] = LastAdmitted(counter, 0, decided.now, 0 if before is None else before.number)
            if counter > MAX_SIGNED_COUNTER:
                fault = Fault(
                    "broker.counter-range", "the broker's counters for it are used up", "recover the device"
                )
                return Told("refused", faults=(fault,))
        past.last[asked] = LastAdmitted(header.counter, 0, decided.now, number)
        final = message.header
        decided.admitted.append(
            AdmissionRecord(
                number=number,
                previous=0 if previous is None else previous.number,
                digest=item.digest,
                originator=final.originator,
                role=item.speaker.role,
                target=final.target,
                code=int(final.code),
                counter=final.counter,
                at=decided.now,
                serial=item.signer.serial,
                signature=message.signature or b"",
                party=header.originator if item.through_broker else None,
                party_counter=header.counter if item.through_broker else None,
            )
        )
        if self._is_announced(item, past):
            decided.announced.append((header.originator, as_submitted(item)))
        decided.outgoing.append(Outgoing(number, self._run, item.reference, message.encode(), local))
        return Told("admitted", message, warnings=warnings)

    def _floor(self, target: EntityId) -> int:
        """No command of the broker numbered below it is taken by the device."""
        device = self._store.estate.device(target)
        return -1 if device is None else device.counters.get(RemotePartyRole.ACCESS_CONTROL_BROKER, -1)

    def _is_announced(self, item: Judged, past: _Past) -> bool | None:
        """None: its user announces nothing."""
        return as_submitted(item) in past.announced if announces(item, self._watch.announcers) else None

    def _refused(self, item: Judged, decided: Decided, *faults: Fault) -> Told:
        """Counted where somebody known really sent it: nobody makes a name for another.

        A certificate that does not stand proves nothing of whom it names: anybody can write one.
        """
        known = item.signer is not None and not item.signer.standing
        if known and item.speaker is not None and item.row is not None:
            self._watch.add(self._seen(item, decided.now, None), "refused")
        return Told("refused", faults=faults)

    def _seen(self, item: Judged, now: datetime, past: _Past | None) -> Seen:
        assert item.speaker is not None, "the caller looked"
        header = item.message.header
        steps = () if past is None or not past.steps else tuple(past.steps.get(header.target.octets, ()))
        return Seen(
            at=now,
            originator=item.speaker.entity,
            role=item.speaker.role,
            code=int(header.code),
            target=header.target,
            area=item.area,
            values=() if item.content is None else item.content.numbers,
            before=steps,
            announced=None if past is None else self._is_announced(item, past),
        )


def _known(
    admissions: Admissions, fit: Sequence[Judged], last: dict[Series, LastAdmitted] | None = None
) -> dict[bytes, AdmissionRecord]:
    """Those that were admitted before: what is numbered above the last of its series was not, and nobody looks."""
    if last is None:
        last = admissions.last([item.message.header.target for item in fit])
    asked: dict[int, tuple[int, list[bytes]]] = {}
    for item in fit:
        header = item.message.header
        before = last.get((header.originator.octets, header.target.octets, header.code in TOP_UPS))
        if before is not None and header.counter <= before.counter and before.number:
            lowest, digests = asked.get(before.number, (header.counter, []))
            digests.append(item.digest)
            asked[before.number] = min(lowest, header.counter), digests
    return admissions.known(asked)


def _overtaken(item: Judged, past: _Past) -> Fault | None:
    header = item.message.header
    last = past.last.get((header.originator.octets, header.target.octets, int(header.code) in TOP_UPS))
    if last is None or header.counter > last.counter:
        return None
    return Fault(
        "broker.counter",
        f"counter {header.counter} is not above {last.counter}, the last from {header.originator} to {header.target}",
        "number it after the last one",
    )


def _as_held(record: QuarantineRecord) -> Seen:
    """As the detectors saw it."""
    return Seen(record.at, record.originator, record.role, record.code, record.target, record.area)


def _quarantined(item: Judged, seen: Seen, findings: Sequence[Finding], local: bool, person: str) -> QuarantineRecord:
    header = item.message.header
    first = next(one for one in findings if one.holds)
    asked_by = {} if item.message.signature or item.signer is None else {"asked_by": item.signer.certified.serial}
    return QuarantineRecord(
        digest=item.digest,
        octets=item.message.encode(),
        originator=seen.originator,
        role=seen.role,
        target=header.target,
        code=seen.code,
        counter=header.counter,
        area=seen.area,
        local=local,
        at=seen.at,
        reference=item.reference,
        pattern=first.pattern,
        findings=tuple(one.as_json() for one in findings),
        decisions=({"submitted_by": person, **asked_by},),
    )
