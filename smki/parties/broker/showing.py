"""What a person is shown of what is held: how much of what, why, who confirmed, and what a release would do now."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from smki.authority.anomaly import SUPPLY_OFF
from smki.authority.workspace import Workspace
from smki.entity import EntityId, RemotePartyRole
from smki.gbcs.header import MessageCode
from smki.gbcs.message import read_message
from smki.gbcs.words import Reading, read
from smki.parties.broker.announced import Announced, announces, as_submitted
from smki.parties.broker.judgement import Judge, Judged
from smki.parties.broker.parties import Parties
from smki.parties.broker.requests import Requesting
from smki.parties.broker.speaking import Speaking
from smki.parties.broker.thresholds import InForce
from smki.parties.keys import Certified
from smki.parties.supplier import vocabulary
from smki.store.admission_records import TOP_UPS, ConfirmationRecord, QuarantineRecord, QuarantineState

SAMPLE = 512
_NOBODY = EntityId(bytes(8))
_BROKER = RemotePartyRole.ACCESS_CONTROL_BROKER


@dataclass(frozen=True, slots=True)
class Pattern:
    """One line of the list."""

    name: str
    count: int
    first: datetime
    last: datetime
    words: str
    originator: str
    confirmed: tuple[int, int]
    """How many the originator's officers let go, and how many the broker's."""
    known: bool
    """Whether somebody said they know of all of it."""

    def as_json(self) -> dict[str, Any]:
        return {
            "pattern": self.name,
            "count": self.count,
            "first": self.first,
            "last": self.last,
            "use_case": self.words,
            "originator": self.originator,
            "confirmed_by_originator": self.confirmed[0],
            "confirmed_by_broker": self.confirmed[1],
            "acknowledged": self.known,
        }


def patterns(workspace: Workspace, state: QuarantineState) -> list[Pattern]:
    """All in a state, the oldest first."""
    store, now = workspace.store, workspace.clock()
    confirmed, seen = store.confirmations.counts(now), store.confirmations.seen()
    ever = {name: total for name, _, total, _, _ in store.quarantine.open_patterns()}
    found = []
    for name, count, first, last in store.quarantine.patterns(state):
        (one,) = store.quarantine.of_pattern(name, 1)
        found.append(
            Pattern(
                name,
                count,
                first,
                last,
                _label(workspace, one.code),
                _party(workspace, one.originator),
                (confirmed.get((name, "originator"), 0), confirmed.get((name, "broker"), 0)),
                seen.get(name, 0) >= ever.get(name, 0),
            )
        )
    return found


@dataclass(frozen=True, slots=True)
class Shown:
    """Some commands that belong together."""

    records: Sequence[QuarantineRecord]
    originator: str
    use_case: str
    supply_off: bool
    first: Reading
    """The first of them in words."""
    why: tuple[tuple[str, int], ...]
    """What holds them, and how many."""
    would: tuple[tuple[str, int], ...]
    """What would become of them if they were released now, of the first SAMPLE that wait."""
    judged: int
    confirmations: tuple[ConfirmationRecord, ...]

    def as_json(self) -> dict[str, Any]:
        one, records = self.records[0], self.records
        return {
            "patterns": sorted({item.pattern for item in records}),
            "count": len(records),
            "states": dict(Counter(item.state for item in records)),
            "originator": self.originator,
            "role": one.role.word,
            "use_case": self.use_case,
            "turns_supply_off": self.supply_off,
            "devices": len({item.target for item in records}),
            "areas": sorted({item.area for item in records if item.area}),
            "first": min(item.at for item in records),
            "last": max(item.at for item in records),
            "submitted_by": sorted({note["submitted_by"] for item in records for note in item.decisions}),
            "why": [{"finding": text, "count": count} for text, count in self.why],
            "first_found": [found["message"] for found in one.findings],
            "values": self.first.values,
            "release_would": {"judged": self.judged, **dict(self.would)},
            "confirmations": [
                {
                    "decision": word.decision,
                    "officer": word.officer,
                    "for": word.organisation or "the broker",
                    "count": word.items,
                    "at": word.at,
                    "until": word.until,
                }
                for word in self.confirmations
            ],
            "digests": [item.digest for item in records],
        }


def shown(workspace: Workspace, records: Sequence[QuarantineRecord], others: Iterable[Certified] = ()) -> Shown:
    """Look at them. Nothing changes by it."""
    one = records[0]
    why = Counter(f"{found['detector']} [{found['code']}]" for item in records for found in item.findings)
    waiting = [item for item in records if item.state == "waiting"][:SAMPLE]
    would = Counter(_would(workspace, waiting, others))
    words = {
        word.digest: word
        for name in sorted({item.pattern for item in records})
        for word in workspace.store.confirmations.of_pattern(name)
    }
    about = workspace.store.confirmations.about([item.digest for item in records])
    named = {digest for found in about.values() for digest in found}
    return Shown(
        records=records,
        originator=_party(workspace, one.originator),
        use_case=_label(workspace, one.code),
        supply_off=any(item.code in SUPPLY_OFF for item in records),
        first=read(read_message(one.octets), vocabulary(workspace)),
        why=tuple(why.most_common()),
        would=tuple(would.most_common()),
        judged=len(waiting),
        confirmations=tuple(word for digest, word in words.items() if digest in named),
    )


def _would(workspace: Workspace, records: Sequence[QuarantineRecord], others: Iterable[Certified]) -> Iterable[str]:
    """What every other rule says of them now: `admitted`, or the first rule that each breaks.

    Whether its user announced it after it was held is told with it: that it was late is likely then.
    """
    parties = Parties(workspace, others)
    broker = next((one.originator for one in records if one.role is _BROKER), _NOBODY)
    speaking = Speaking(workspace, broker, parties)
    limits = InForce(workspace)
    judged = Judge(workspace, broker, parties, limits).judge(
        [*Requesting(workspace, parties, speaking).released(records)]
    )
    keys = limits().announcers
    asked = {
        as_submitted(item): item
        for item in judged
        if isinstance(item, Judged) and not item.faults and announces(item, keys)
    }
    since = Announced().among(workspace.store.announcements, asked, keys, workspace.clock())
    last = workspace.store.admissions.last([one.target for one in records])
    for record, item in zip(records, judged, strict=True):
        series = record.originator.octets, record.target.octets, record.code in TOP_UPS
        if not isinstance(item, Judged) or item.faults:
            yield f"refused: {item.faults[0].code}"
        elif series in last and last[series].counter >= record.counter:
            yield "refused: broker.counter"
        else:
            yield "admitted, and it was announced since" if as_submitted(item) in since else "admitted"


def _label(workspace: Workspace, code: int) -> str:
    row = workspace.policies.use_cases.get(MessageCode(code))
    return f"0x{code:04X}" if row is None else row.label


def _party(workspace: Workspace, party: EntityId) -> str:
    name = workspace.store.organisations.owner_of(party)
    return f"{party} {name}".rstrip()
