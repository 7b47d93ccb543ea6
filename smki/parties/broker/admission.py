"""Admitting commands: once each, in the order of their counters, never more than the thresholds let through.

A chunk is judged outside the store's lock; with the lock held it is counted, held or put on record, in one act with
one entry of the log; then the MAC is added, which is the same however often it is computed. So a run that is killed
anywhere has lost nothing: what it admitted waits in the store until somebody has it, and the same submission again
gives the same commands, admitted and counted once.
"""

import os
from collections.abc import Generator, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from smki.authority.log import acts, seal
from smki.authority.workspace import Workspace
from smki.entity import EntityId
from smki.gbcs.agreement import Agreement
from smki.gbcs.message import Message, read_message
from smki.gbcs.protection import add_mac
from smki.gbcs.use_case import SIGNATURE_ALONE
from smki.parties.broker.deciding import Decided, Decider
from smki.parties.broker.judgement import Judge, Judged, Submitted, Unreadable
from smki.parties.broker.parties import DeviceKey
from smki.parties.broker.speaking import Speaking
from smki.parties.broker.watch import Watch
from smki.parties.outcome import Outcome
from smki.pki.verdict import Fault
from smki.store.admission_records import Outgoing

CHUNK = 512
RUN_OCTETS = 16


class Admission:
    """One run of one broker."""

    def __init__(
        self, workspace: Workspace, broker: EntityId, judge: Judge, agreement: Agreement, watch: Watch
    ) -> None:
        self._workspace = workspace
        self._store = workspace.store
        self._judge = judge
        self._agreement = agreement
        self._watch = watch
        self._resumed: list[int] = []
        self.run = os.urandom(RUN_OCTETS)
        """What this run admits stands under this name until it is handed out."""
        speaking = Speaking(workspace, broker, judge.parties)
        self._decider = Decider(workspace, broker, speaking, watch, self.run)

    def submit(self, submitted: Iterable[Submitted], *, local: bool = False) -> Generator[Outcome]:
        """An outcome for each, in their order. Close it at the end; then say that they were `handed_out`."""
        source = iter(submitted)
        try:
            while chunk := list(islice(source, CHUNK)):
                judged = self._judge.judge(chunk)
                yield from self._outcomes(judged, self._decide(judged, local), local)
        finally:
            seal(self._workspace)

    def resume(self) -> Generator[Outcome]:
        """What runs that came to an end before had admitted, and nobody was given.

        What was signed is held against the rules again, as it is when it is handed in again: its key may be stolen
        since, its device another's. It is kept, and told each time.
        """
        after = 0
        while found := self._store.admissions.outgoing(CHUNK, after):
            yield from self._resume(found)
            after = found[-1].number

    def _resume(self, found: Sequence[Outgoing]) -> Iterator[Outcome]:
        messages = [read_message(item.octets) for item in found]
        keys = self._judge.parties.device_keys([message.header.target for message in messages])
        signed = [
            Submitted(str(item.number), one) for item, one in zip(found, messages, strict=True) if one.signature
        ]
        against = {one.reference: one.faults for one in self._judge.judge(signed)}
        for item, message in zip(found, messages, strict=True):
            key = keys[message.header.target]
            faults = (key,) if isinstance(key, Fault) else against.get(str(item.number), ())
            if isinstance(key, Fault) or faults:
                yield Outcome(item.reference, "refused", faults=faults)
                continue
            self._resumed.append(item.number)
            octets = self._protect(message, key).encode()
            yield Outcome(item.reference, "admitted before", octets, delivery=_delivery(item.local))

    def handed_out(self) -> None:
        """Whoever asked has all that this run gave: nobody else needs to be given it."""
        facts: list[dict[str, Any]] = []
        if not self._resumed and not self._store.admissions.outgoing(1, run=self.run):
            return
        with acts(self._workspace, "broker.handed-out", facts) as tx:
            count = tx.handed_out(self.run) + tx.forget_outgoing(self._resumed)
            facts.append({"run": self.run.hex(), "count": count})
        seal(self._workspace)

    # A chunk

    def _decide(self, judged: Sequence[Judged | Unreadable], local: bool) -> Decided:
        decided = self._decider.repeated(judged)
        if decided is not None:
            return decided
        facts: list[dict[str, Any]] = []
        try:
            with acts(self._workspace, "broker.admitted", facts) as tx:
                tx.lock()
                decided = self._decider.decide(tx, judged, local)
                facts.append(decided.facts)
        except BaseException:
            self._watch.drop()
            raise
        return decided

    def _outcomes(self, judged: Sequence[Judged | Unreadable], decided: Decided, local: bool) -> Iterator[Outcome]:
        for item, told in zip(judged, decided.told, strict=True):
            if told.message is None:
                yield Outcome(item.reference, told.result, faults=told.faults)
                continue
            assert isinstance(item, Judged), "what has a message was read"
            assert item.key is not None, "a device without a key is refused"
            octets = self._protect(told.message, item.key).encode()
            yield Outcome(item.reference, told.result, octets, delivery=_delivery(local), warnings=told.warnings)

    def _protect(self, message: Message, key: DeviceKey) -> Message:
        """With the broker's MAC, unless its sender's signature alone protects it (technical architecture 4.2.3.1)."""
        if message.signature and message.header.code in SIGNATURE_ALONE:
            return message
        with self._agreement.with_peer(key.public_key, key.point) as secret:
            return add_mac(message, secret)


def _delivery(local: bool) -> str:
    return "local" if local else "network"
