"""Registration data: which supplier and network operator are registered for a meter point, and from when.

It comes from the industry's registration systems as files, and decides who may take over a meter: so it is taken
whole or not at all, and by an authority only of those who are enrolled.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from smki.authority.estate.intake import Columns, Fields, Place, Report, Spool, spooled, take_in
from smki.authority.log import acts, seal
from smki.authority.workspace import Workspace
from smki.entity import EntityId, RemotePartyRole
from smki.errors import InvalidInput
from smki.meter_point import MeterPoint
from smki.store.estate_records import Registered
from smki.words import MOMENT

_COLUMNS = ("meter_point", "supplier", "network_operator", "since")
COLUMNS = Columns(frozenset(_COLUMNS), frozenset(_COLUMNS).__contains__)
_FIRST = datetime(1998, 1, 1, tzinfo=UTC)  # no meter point had a choice of supplier before
_LAST = datetime(2200, 1, 1, tzinfo=UTC)


def registered_at(workspace: Workspace, meter_point: MeterPoint, at: datetime) -> Registered | None:
    """Who is registered at a moment; None where nobody was yet."""
    return workspace.store.registrations.at(meter_point, at)


def meter_point(workspace: Workspace, text: str) -> MeterPoint:
    """Read a meter point as registration.toml wants it checked."""
    return MeterPoint.parse(text, mprn_check=workspace.policies.registration.mprn_check)


@lru_cache(maxsize=4096)
def moment(text: str) -> datetime:
    """Read `2026-11-21` (its first second) or `2026-11-21T12:00:00Z`: a million rows have few dates."""
    for form in ("%Y-%m-%d", MOMENT):
        try:
            found = datetime.strptime(text, form).replace(tzinfo=UTC)
        except ValueError:
            continue
        if _FIRST <= found < _LAST:
            return found
    raise InvalidInput("registration.since", f"{text[:30]!r} is no time", "write 2026-11-21 or 2026-11-21T12:00:00Z")


def import_registrations(workspace: Workspace, paths: Sequence[Path]) -> Report:
    """Take registration data in, all or nothing; an entry of the log for each chunk."""
    report = Report()
    with spooled(workspace.home) as spool:
        row = _reader(workspace, spool, report)
        take_in(paths, COLUMNS, workspace.policies.registration.largest_import, report, row)
        if not report.wrong_count:
            _write(workspace, spool, report)
    return report


def _reader(workspace: Workspace, spool: Spool, report: Report) -> Callable[[Fields, Place], None]:
    check = workspace.policies.registration.mprn_check
    party = _parties(workspace)
    seen: set[int] = set()

    def read(fields: Fields, place: Place) -> None:
        point = MeterPoint.parse(fields["meter_point"], mprn_check=check)
        since = int(moment(fields["since"]).timestamp())
        supplier = party(fields["supplier"], RemotePartyRole.SUPPLIER)
        operator = party(fields["network_operator"], RemotePartyRole.NETWORK_OPERATOR)
        # A number for each row, not the row: a million of them fit in memory. Which, an importer cannot choose.
        key = hash((point.digits, since))
        if key in seen:
            report.refuse(place, "registration.twice", f"{point} has another row from {fields['since']}")
        seen.add(key)
        spool.add((point.digits, since, supplier, operator))

    return read


def _parties(workspace: Workspace) -> Callable[[str, RemotePartyRole], bytes | None]:
    """Reads an EUI-64 that may be registered in a role; there are a few hundred, in millions of rows."""
    organisations = workspace.store.organisations
    # A user's workspace enrols nobody: what it is told it believes, and certificates say who is who.
    enrolled_only = workspace.policies.registration.enrolled_only and workspace.kind == "authority"

    @cache
    def read(text: str, role: RemotePartyRole) -> tuple[bytes | None, InvalidInput | None]:
        if not text:
            return None, None
        try:
            entity = EntityId.parse(text)
        except InvalidInput as error:
            return None, error
        if enrolled_only:
            owner = organisations.named(organisations.owner_of(entity))
            if owner is None:
                return None, InvalidInput(
                    "registration.not-enrolled", f"{entity} is nobody enrolled", "see `smki org add`"
                )
            if role not in owner.roles:
                return None, InvalidInput(
                    "registration.role", f"{owner.name} ({entity}) is no {role.word}", "see `smki org show`"
                )
        return entity.octets, None

    def party(text: str, role: RemotePartyRole) -> bytes | None:
        octets, error = read(text, role)
        if error is not None:
            raise error
        return octets

    return party


def _write(workspace: Workspace, spool: Spool, report: Report) -> None:
    entries: list[dict[str, Any]] = []
    with acts(workspace, "registration.imported", entries) as tx:
        for chunk in spool.chunks():
            rows = [
                (MeterPoint(digits), Registered(_entity(supplier), _entity(operator), _moment(since)))
                for digits, since, supplier, operator in chunk
            ]
            tally = tx.put_registrations(rows)
            report.tally += tally
            entries.append(report.entry(chunk, tally))
    seal(workspace)


def _entity(octets: bytes | None) -> EntityId | None:
    return None if octets is None else EntityId(octets)


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def as_json(workspace: Workspace, point: MeterPoint, at: datetime) -> dict[str, Any]:
    """A meter point for programs: who is registered for it, past, present and pending."""
    history = workspace.store.registrations.of(point)
    current = registered_at(workspace, point, at)
    return {
        "meter_point": str(point),
        "fuel": point.fuel.value,
        "at": at,
        "registered": None if current is None else _words(workspace, current),
        "registrations": [
            {
                **_words(workspace, item),
                "until": following.since if following else None,
                "state": "present" if item == current else "past" if item.since <= at else "pending",
            }
            for item, following in zip(history, (*history[1:], None), strict=False)
        ],
    }


def _words(workspace: Workspace, item: Registered) -> dict[str, Any]:
    names = workspace.store.organisations

    def party(entity: EntityId | None) -> dict[str, str] | None:
        return None if entity is None else {"entity": str(entity), "organisation": names.owner_of(entity)}

    return {
        "since": item.since,
        "supplier": party(item.supplier),
        "network_operator": party(item.network_operator),
    }
