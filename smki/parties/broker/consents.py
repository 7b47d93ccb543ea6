"""Consents: a customer's word that somebody may read a home's devices. What is recorded is that it was given."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from smki.authority.estate.meter_points import meter_point
from smki.authority.log import acts, seal
from smki.authority.workspace import Workspace
from smki.entity import EUI64_OCTETS, EntityId
from smki.errors import InvalidInput, Refused
from smki.store.admission_records import ConsentRecord

MOST = 10_000  # in one act


def subject(workspace: Workspace, text: str) -> str:
    """A meter point, or a device by its EUI-64, as the store names it."""
    if len(text.replace("-", "")) == 2 * EUI64_OCTETS:
        return str(EntityId.parse(text))
    return meter_point(workspace, text).digits


def add(
    workspace: Workspace, party: EntityId, subjects: Iterable[str], since: datetime, until: datetime | None
) -> tuple[ConsentRecord, ...]:
    """Record consents, an entry of the log for each."""
    if until is not None and until <= since:
        raise InvalidInput("consent.dates", "it ends before it begins", "give an end after the beginning")
    records = tuple(ConsentRecord(party, subject(workspace, text), since, until) for text in subjects)
    _write(workspace, "consent.added", records)
    return records


def end(workspace: Workspace, party: EntityId, subjects: Iterable[str], at: datetime) -> tuple[ConsentRecord, ...]:
    """End those that hold at a moment, from then on, and those that would have begun later."""
    named = [subject(workspace, text) for text in subjects]
    found = workspace.store.quarantine.consents(named)
    ended = [one for one in found if one.party == party and (one.until is None or max(at, one.since) < one.until)]
    missing = set(named) - {one.subject for one in ended}
    if missing:
        raise Refused(
            "consent.none", f"no consent to {party} about {min(missing)} holds then or later", "see `consent list`"
        )
    records = tuple(ConsentRecord(party, one.subject, one.since, max(at, one.since)) for one in ended)
    _write(workspace, "consent.ended", records)
    return records


def _write(workspace: Workspace, kind: str, records: tuple[ConsentRecord, ...]) -> None:
    if not 1 <= len(records) <= MOST:
        raise InvalidInput("consent.count", f"{len(records)} consents", f"name 1 to {MOST}")
    entries: list[dict[str, Any]] = []
    with acts(workspace, kind, entries) as tx:
        tx.put_consents(records)
        entries.extend(as_json(one) for one in records)
    seal(workspace)


def as_json(one: ConsentRecord) -> dict[str, Any]:
    """A consent as texts."""
    return {
        "party": str(one.party),
        "subject": one.subject,
        "since": f"{one.since:%Y-%m-%dT%H:%M:%SZ}",
        "until": "" if one.until is None else f"{one.until:%Y-%m-%dT%H:%M:%SZ}",
    }
