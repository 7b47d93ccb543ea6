"""The counts that detectors look at, as all brokers on one store share them: exact, because each holds the lock."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

from smki.authority.workspace import Workspace
from smki.entity import EntityId
from smki.parties.anomaly.counts import Counts
from smki.parties.anomaly.detectors import judge
from smki.parties.anomaly.explain import Finding
from smki.parties.anomaly.limits import NO_LIMITS, Limits
from smki.parties.anomaly.seen import KEPT, Outcome, Seen
from smki.store.admission_records import LastAdmitted, TallyRow
from smki.store.admissions import Admissions, Series
from smki.store.transaction import Transaction


class Watch:
    """One process's counts: begun and written inside each act, with the lock held."""

    def __init__(self, workspace: Workspace, limits: Callable[[], Limits]) -> None:
        self._store = workspace.store
        self._detectors = workspace.policies.anomaly
        self._endings = self._detectors.endings
        self._limits = limits
        self._in_force = NO_LIMITS
        self._counts: Counts | None = None
        self._read_to = 0

    @property
    def steps(self) -> frozenset[int]:
        """Codes that sequences are made of."""
        return self._detectors.remembered

    @property
    def announcers(self) -> Mapping[EntityId, frozenset[bytes]]:
        """Who announces what they sign, and by which keys."""
        return self._in_force.announcers

    def before(
        self,
        admissions: Admissions,
        last: Iterable[tuple[Series, LastAdmitted]],
        asked: Iterable[tuple[int, bytes]],
        now: datetime,
    ) -> dict[bytes, list[tuple[int, datetime]]]:
        """Steps of sequences that were admitted to those devices that are now sent what may complete one.

        `asked` are codes and devices, `last` the last of each series to them.
        """
        targets = {target for code, target in asked if code in self._endings}
        if not targets:
            return {}
        numbers = [one.number for (_, target, _), one in last if target in targets and one.code and one.number]
        return admissions.steps(numbers, self.steps, now - self._detectors.reach)

    def begin(self, tx: Transaction, now: datetime) -> None:
        """Take in what others wrote since this process last looked. The lock is held."""
        size = self._store.audit_size()
        if self._counts is None:
            self._counts = Counts.load(row for level in range(len(KEPT)) for row in tx.admissions.tallies(level, 0))
            # By what was counted: no clock that is ahead takes away what was.
            latest = min(self._counts.latest, int(now.timestamp()))
            for level, kept in enumerate(KEPT):
                tx.drop_tallies(level, latest - kept)
            self._in_force = self._limits()
            self._counts.plan_for(self._in_force, self._detectors)  # what is released first is counted by area too
        else:
            self._counts.renew(tx.admissions.tallies_written(self._read_to))
        self._read_to = size
        self._in_force = self._limits()

    @property
    def counts(self) -> Counts:
        assert self._counts is not None, "begun"
        return self._counts

    def judge(self, seen: Seen) -> tuple[Finding, ...]:
        return judge(seen, self.counts, self._in_force, self._detectors)

    def add(self, seen: Seen, outcome: Outcome) -> None:
        self.counts.add(seen, outcome)

    def decide(self, seen: Seen, at: datetime, *, released: bool) -> None:
        """What was held waits no more."""
        self.counts.decide(seen, at, released=released)

    def write(self, tx: Transaction) -> None:
        """What this act added goes to the store with it."""
        tx.add_tallies(TallyRow(*row) for row in self.counts.changes())

    def drop(self) -> None:
        """The act did not happen: what was counted in it is not so."""
        self._counts = None
