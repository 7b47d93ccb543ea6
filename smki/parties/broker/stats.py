"""How much was admitted, held and refused: from the tallies alone, so it takes as long however much is stored."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from smki.authority.workspace import Workspace
from smki.entity import EntityId, RemotePartyRole
from smki.errors import InvalidInput
from smki.gbcs.header import MessageCode
from smki.parties.anomaly.seen import HOURS, KEPT, SECONDS
from smki.store.admission_records import TallyRow

By = Literal["hour", "day"]
STRETCH: dict[By, timedelta] = {"hour": timedelta(hours=1), "day": timedelta(days=1)}
DEFAULT: dict[By, timedelta] = {"hour": timedelta(hours=24), "day": timedelta(days=30)}
_TOP = 10
_RATES = (60, 600, 3600)


@dataclass(slots=True)
class Sums:
    """How many. Held are those that still wait; what was rejected counts as refused, when it came."""

    admitted: int = 0
    held: int = 0
    refused: int = 0

    def add(self, row: TallyRow) -> None:
        self.admitted += row.admitted
        self.held += row.held
        self.refused += row.refused

    @property
    def all(self) -> int:
        return self.admitted + self.held + self.refused

    def as_json(self) -> dict[str, int]:
        return {"admitted": self.admitted, "held": self.held, "refused": self.refused}


@dataclass(frozen=True, slots=True)
class Stats:
    """What the tallies say of a while."""

    since: datetime
    until: datetime
    by: By
    total: Sums
    stretches: tuple[tuple[datetime, Sums], ...]
    """Each hour or day, without a gap."""
    users: tuple[tuple[EntityId, str, Sums], ...]
    """Those who sent most, by their roles."""
    use_cases: tuple[tuple[str, Sums], ...]
    rates: tuple[tuple[int, float], ...] = field(default=())
    """Admitted in a second, over the last so many seconds."""

    def as_json(self) -> dict[str, Any]:
        return {
            "since": self.since,
            "until": self.until,
            "by": self.by,
            "total": self.total.as_json(),
            "rates": {f"{seconds}s": round(rate, 3) for seconds, rate in self.rates},
            "stretches": [{"since": moment, **sums.as_json()} for moment, sums in self.stretches],
            "users": [{"user": str(user), "role": role, **sums.as_json()} for user, role, sums in self.users],
            "use_cases": [{"use_case": name, **sums.as_json()} for name, sums in self.use_cases],
        }


def stats(workspace: Workspace, since: datetime | None, by: By, user: EntityId | None = None) -> Stats:
    """Since a moment; or the last day by hours, the last month by days."""
    now = workspace.clock()
    since = now - DEFAULT[by] + STRETCH[by] if since is None else since
    begin = _whole(since, by)
    if not now - timedelta(seconds=KEPT[HOURS]) <= since <= now:
        raise InvalidInput("stats.since", "that is not in the last 90 days", "tallies are kept for so long")
    rows = _rows(workspace, user, HOURS, begin)
    recent = _rows(workspace, user, SECONDS, now - timedelta(seconds=max(_RATES)))
    total = Sums()
    stretches = {moment: Sums() for moment in _moments(begin, now, by)}
    users: dict[tuple[bytes, int], Sums] = {}
    codes: dict[int, Sums] = {}
    for row in rows:
        total.add(row)
        stretches.setdefault(_whole(datetime.fromtimestamp(row.since, UTC), by), Sums()).add(row)
        users.setdefault((row.originator, row.role), Sums()).add(row)
        codes.setdefault(row.code, Sums()).add(row)
    return Stats(
        since=begin,
        until=now,
        by=by,
        total=total,
        stretches=tuple(sorted(stretches.items())),
        users=tuple(
            (EntityId(octets), RemotePartyRole(role).word, sums)
            for (octets, role), sums in sorted(users.items(), key=lambda item: (-item[1].all, item[0]))[:_TOP]
        ),
        use_cases=tuple(
            (_label(workspace, code), sums)
            for code, sums in sorted(codes.items(), key=lambda item: (-item[1].all, item[0]))[:_TOP]
        ),
        rates=tuple((seconds, _rate(recent, now, seconds)) for seconds in _RATES),
    )


def _rows(workspace: Workspace, user: EntityId | None, level: int, since: datetime) -> tuple[TallyRow, ...]:
    admissions, second = workspace.store.admissions, int(since.timestamp())
    return admissions.tallies(level, second) if user is None else admissions.tallies_of(user, level, second)


def _rate(rows: Iterable[TallyRow], now: datetime, seconds: int) -> float:
    begin = int(now.timestamp()) - seconds
    return sum(row.admitted for row in rows if row.since > begin) / seconds


def _moments(begin: datetime, end: datetime, by: By) -> Iterable[datetime]:
    moment = begin
    while moment <= end:
        yield moment
        moment += STRETCH[by]


def _whole(moment: datetime, by: By) -> datetime:
    """Where its hour or day begins, UTC."""
    hour = moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    return hour if by == "hour" else hour.replace(hour=0)


def _label(workspace: Workspace, code: int) -> str:
    row = workspace.policies.use_cases.get(MessageCode(code))
    return f"0x{code:04X}" if row is None else f"0x{code:04X} {row.label}"
