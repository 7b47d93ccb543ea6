"""Who may have the recovery key and the contingency key used (recovery.toml), inside floors that are code."""

from dataclasses import dataclass
from datetime import timedelta

from smki.entity import EntityId
from smki.errors import Refused
from smki.settings import Table, at, parsed

LEAST_FOR_RECOVERY, LEAST_FOR_CONTINGENCY = 2, 3
"""The recovery key opens every home; the contingency key replaces what all of them believe (SEC-G)."""
MOST_CUSTODIANS = 100  # as there are officers on a roll
MOST_HOURS = 7 * 24  # a decision that nobody carried out for a week is taken again
MAX_COUNTER = (1 << 63) - 1  # SeqNumber (GBCS 13.3)
_FILE = "recovery.toml"


class _RecoveryTable(Table, frozen=True):
    custodians: list[str]
    """Key custodians, by their names on the roll of officers; none named: nobody can approve."""
    approvals: int
    """How many it takes: {LEAST_FOR_RECOVERY} at least."""


class _ContingencyTable(Table, frozen=True):
    custodians: list[str]
    """Key custodians, as above."""
    approvals: int
    """How many it takes: {LEAST_FOR_CONTINGENCY} at least."""
    originator: str
    """The EUI-64 for which the contingency key speaks."""
    first_counter: int
    """Its counters begin here, or after the last that was used."""


class _ApprovalTable(Table, frozen=True):
    hours: int
    """How long an approval counts: 1 to {MOST_HOURS}."""


@dataclass(frozen=True, slots=True)
class Custody:
    """Who keeps one key, and how many of them it takes."""

    custodians: frozenset[str]
    approvals: int


@dataclass(frozen=True, slots=True)
class RecoveryPolicy:
    """What recovery.toml says."""

    recovery: Custody
    contingency: Custody
    originator: EntityId
    """For whom the contingency key speaks."""
    first_counter: int
    lasts: timedelta
    """How long an approval counts."""


class RecoveryFile(Table, frozen=True):
    """Who decides that the recovery key or the contingency key is used, and for how long a decision counts."""

    recovery: _RecoveryTable
    """The recovery key."""
    contingency: _ContingencyTable
    """The contingency key."""
    approval: _ApprovalTable
    """Approvals."""

    def checked(self) -> RecoveryPolicy:
        contingency, hours = self.contingency, self.approval.hours
        if not 0 <= contingency.first_counter < MAX_COUNTER:
            raise Refused(
                "policy.recovery", f"{_FILE}: first_counter = {contingency.first_counter}", "give a smaller one"
            )
        if not 1 <= hours <= MOST_HOURS:
            raise Refused("policy.recovery", f"{_FILE}: hours = {hours}", f"give 1 to {MOST_HOURS}")
        originator = parsed(EntityId.parse, contingency.originator, at(_FILE, "contingency.originator"))
        if originator.is_reserved:
            raise Refused("policy.recovery", f"{_FILE}: originator {originator} is nobody's", "give another")
        return RecoveryPolicy(
            recovery=_custody("recovery", self.recovery.custodians, self.recovery.approvals, LEAST_FOR_RECOVERY),
            contingency=_custody("contingency", contingency.custodians, contingency.approvals, LEAST_FOR_CONTINGENCY),
            originator=originator,
            first_counter=contingency.first_counter,
            lasts=timedelta(hours=hours),
        )


def _custody(table: str, names: list[str], approvals: int, least: int) -> Custody:
    """Nobody named yet is a state a file may be in; too few named is a mistake."""
    custodians = frozenset(names)
    if len(custodians) != len(names):
        raise Refused("policy.custodians", f"{_FILE}: [{table}] names a custodian twice", "name each once")
    if not least <= approvals <= MOST_CUSTODIANS or (custodians and approvals > len(custodians)):
        raise Refused(
            "policy.custodians",
            f"{_FILE}: [{table}] approvals = {approvals} of {len(custodians)} custodians",
            f"ask for at least {least} approvals, and no more than there are custodians",
        )
    return Custody(custodians, approvals)
