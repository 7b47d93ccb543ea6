"""How far a plan came: by the orders' outcomes, and by what devices themselves say of their cells.

A device counts as recovered when it was asked (CS02a) after the plan was begun, and named for each cell the key that
the plan put there. That a command was sent, or answered, is told beside it and proves nothing.
"""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import msgspec

from smki.authority.log import act, seal
from smki.authority.safe_files import read_bounded, write_over
from smki.authority.workspace import Workspace
from smki.entity import EntityId
from smki.errors import InvalidInput
from smki.parties.recovery.plan import Group, Plan
from smki.store.estate_records import DeviceRecord
from smki.store.records import CeremonyRecord
from smki.words import utc

_PAGE = 1000
MOST_LISTED = 1_000_000
MAX_HEARD_OCTETS = 1 << 28
Reading = Literal["recovered", "other", "not read", "unknown"]
"""What a device's own answer shows: the plan's keys, others, nothing since the plan was begun, no such device."""
_NOTIFICATION: dict[str, str] = {
    "organisation": "smki-organisation-compromise-notification/1",
    "other": "smki-other-compromise-notification/1",
}
_PROGRESS: dict[str, str] = {
    "organisation": "smki-organisation-compromise-progress/1",
    "other": "smki-other-compromise-progress/1",
}


@dataclass(frozen=True)
class Progress:
    """Where a plan stands."""

    plan: Plan
    at: datetime
    started_at: str
    """Empty: it was never begun."""
    commands: dict[str, int]
    readings: dict[Reading, int]
    outstanding: tuple[tuple[EntityId, Reading], ...]
    """At most `MOST_LISTED` of them."""
    completed_at: str

    @property
    def is_complete(self) -> bool:
        return bool(self.started_at) and self.readings.get("recovered", 0) == self.plan.devices.count

    def as_json(self) -> dict[str, Any]:
        """The progress file, as it is exchanged between those affected and the authority."""
        return {
            "form": _PROGRESS[_kind(self.plan)],
            "plan_sha256": self.plan.file.sha256.hex(),
            "compromised": self.plan.case.word,
            "method": self.plan.method,
            "at": utc(self.at),
            "started_at": self.started_at,
            "devices": self.plan.devices.count,
            "commands": self.commands,
            "readings": {name.replace(" ", "_"): count for name, count in self.readings.items()},
            "complete": self.is_complete,
            "completed_at": self.completed_at,
            "outstanding": [{"device": str(device), "reading": word} for device, word in self.outstanding],
        }


def _kind(plan: Plan) -> str:
    return "organisation" if plan.case.word.startswith("organisation") else "other"


def notification(plan: Plan) -> dict[str, Any]:
    """The notification file: what was compromised, who said so, what is decided."""
    table = plan.file.table
    return {
        "form": _NOTIFICATION[_kind(plan)],
        "plan_sha256": plan.file.sha256.hex(),
        "purpose": table.purpose,
        "compromised": plan.case.word,
        "certificates": [
            {
                "serial": str(record.serial),
                "holder": "" if record.entity is None else str(record.entity),
                "role": "" if record.role is None else record.role.word,
            }
            for record in plan.affected
        ],
        "notified_by": table.compromise.notified_by,
        "notified_at": utc(table.compromise.notified_at),
        "evidence": table.compromise.evidence,
        "decided_by": table.decision.by,
        "decided_at": utc(table.decision.at),
        "decision": table.decision.reference,
        "method": plan.method,
        "devices": plan.devices.count,
    }


def progress(workspace: Workspace, plan: Plan) -> Progress:
    """Ask the orders and the inventory; nothing changes."""
    record = workspace.store.ceremony(plan.file.sha256)
    detail = {} if record is None else record.detail
    started = str(detail.get("started_at", ""))
    since = datetime.fromisoformat(started).astimezone(UTC) if started else None
    readings: Counter[Reading] = Counter()
    outstanding: list[tuple[EntityId, Reading]] = []
    for device, word in _readings(workspace, plan, since):
        readings[word] += 1
        if word != "recovered" and len(outstanding) < MOST_LISTED:
            outstanding.append((device, word))
    return Progress(
        plan=plan,
        at=workspace.clock(),
        started_at=started,
        commands={str(state): count for state, count in workspace.store.orders.counts(plan.file.sha256).items()},
        readings=dict(readings),
        outstanding=tuple(outstanding),
        completed_at=str(detail.get("completed_at", "")),
    )


def _readings(workspace: Workspace, plan: Plan, since: datetime | None) -> Iterator[tuple[EntityId, Reading]]:
    devices = iter(plan.devices)
    while page := list(islice(devices, _PAGE)):
        known = workspace.store.estate.devices([device for device, _ in page])
        for device, situation in page:
            yield device, _reading(known.get(device), plan.groups[situation], since)


def _reading(device: DeviceRecord | None, group: Group, since: datetime | None) -> Reading:
    if device is None:
        return "unknown"
    found: Reading = "recovered"
    for put in group.puts:
        held = device.cells.get(put.cell)
        if since is None or held is None or held.proven_at is None or held.proven_at < since:
            return "not read"
        if held.key_identifier != put.content.key_identifier:
            found = "other"
    return found


def report(workspace: Workspace, plan: Plan, folder: Path) -> Progress:
    """Write the notification and the progress file, and put on record that a plan is complete once it is."""
    found = progress(workspace, plan)
    record = workspace.store.ceremony(plan.file.sha256)
    if found.is_complete and record is not None and not found.completed_at:
        _complete(workspace, plan, record)
        found = progress(workspace, plan)
    for name, told in (("notification", notification(plan)), ("progress", found.as_json())):
        path = folder / f"{plan.file.path.stem}.{name}.json"
        write_over(path, json.dumps(told, indent=1).encode() + b"\n", 0o600)
    return found


def _complete(workspace: Workspace, plan: Plan, record: CeremonyRecord) -> None:
    detail = {**record.detail, "completed_at": utc(workspace.clock())}
    facts = {"plan": plan.file.sha256.hex(), "devices": plan.devices.count}
    kind = "contingency" if plan.file.is_contingency else "recovery"
    with act(workspace, f"{kind}.completed", **facts) as tx:
        tx.advance_ceremony(plan.file.sha256, record.state, "done", detail)
    seal(workspace)


# What others tell


class _Outstanding(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    device: str
    reading: str


class _ProgressFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    form: str
    plan_sha256: str
    compromised: str
    method: str
    at: str
    started_at: str
    devices: int
    commands: dict[str, int]
    readings: dict[str, int]
    complete: bool
    completed_at: str
    outstanding: list[_Outstanding]


def read_progress(path: Path, plan: Plan) -> dict[str, Any]:
    """A progress file that a subscriber sent: what they say of the same plan, told and not counted."""
    octets = read_bounded(path, MAX_HEARD_OCTETS, "progress", "ask for it again")
    try:
        read = msgspec.json.decode(octets, type=_ProgressFile)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise InvalidInput("progress.form", f"{path.name} is no progress file", "see docs/recovery.md") from None
    if read.form not in _PROGRESS.values() or read.plan_sha256 != plan.file.sha256.hex():
        raise InvalidInput("progress.plan", f"{path.name} is about another plan", "name the file about this one")
    for item in read.outstanding:
        EntityId.parse(item.device)
    return {
        "at": read.at[:30],
        "commands": read.commands,
        "readings": read.readings,
        "outstanding": len(read.outstanding),
    }
