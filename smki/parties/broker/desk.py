"""The broker's desk: everything that one run works with, put together."""

from collections.abc import Callable, Generator, Iterable, Sequence
from itertools import groupby

from smki.authority.workspace import Workspace
from smki.entity import EntityId
from smki.gbcs.agreement import Agreement
from smki.parties.anomaly.limits import Limits
from smki.parties.broker.admission import CHUNK, Admission
from smki.parties.broker.judgement import Judge
from smki.parties.broker.parties import Parties
from smki.parties.broker.requests import Requesting, read_requests
from smki.parties.broker.speaking import Speaking
from smki.parties.broker.thresholds import InForce
from smki.parties.broker.watch import Watch
from smki.parties.intake import Given
from smki.parties.keys import Certified
from smki.parties.outcome import Outcome
from smki.store.admission_records import QuarantineRecord


class BrokerDesk:
    """Where one broker admits commands. `others` are certificates besides those of the workspace's register.

    `limits` are those that officers set, unless it says otherwise.
    """

    def __init__(
        self,
        workspace: Workspace,
        broker: EntityId,
        agreement: Agreement,
        others: Iterable[Certified] = (),
        limits: Callable[[], Limits] | None = None,
    ) -> None:
        self._workspace = workspace
        parties = Parties(workspace, others)
        speaking = Speaking(workspace, broker, parties)
        self._parties = parties
        limits = limits or InForce(workspace)
        self._judge = Judge(workspace, broker, parties, limits)
        self._requesting = Requesting(workspace, parties, speaking)
        self.admission = Admission(workspace, broker, self._judge, agreement, Watch(workspace, limits))

    def submit(self, given: Iterable[Given], *, local: bool = False) -> Generator[Outcome]:
        """Signed pre-commands."""
        return self.admission.submit(self._judge.read(given), local=local)

    def ask(self, data: bytes, *, local: bool = False) -> Generator[Outcome]:
        """A signed file of requests."""
        asked = read_requests(data, self._parties, self._workspace.policies.broker.largest_batch)
        return self.admission.submit(self._requesting.submitted(asked), local=local)

    def hand_out(self) -> Generator[Outcome]:
        """All that officers of both sides have released, and nobody rejected since."""
        after = b"", b""
        store = self._workspace.store
        while found := store.confirmations.ready(self._workspace.clock(), CHUNK, after):
            after = found[-1]
            known = store.quarantine.known([digest for _, digest in found])
            yield from self.release([known[digest] for _, digest in found])

    def release(self, records: Sequence[QuarantineRecord]) -> Generator[Outcome]:
        """What was held and is released on record: judged again by every other rule, as things stand now."""
        for local, chosen in groupby(records, lambda record: record.local):  # in their order: counters only go on
            yield from self.admission.submit(self._requesting.released([*chosen]), local=local)
