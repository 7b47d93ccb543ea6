"""A plan in words, and in numbers of homes: what a person must see before approving."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from smki.device.modes import ROOT_CELL
from smki.parties.recovery.case import METHODS
from smki.parties.recovery.file import FloorTable
from smki.parties.recovery.plan import Plan, PlannedPut
from smki.pki.holder import load_certificate
from smki.pki.verdict import Fault
from smki.store.records import CertificateRecord
from smki.words import utc

AFFECTED = ("Affected", "Role", "Usage", "Of", "Status", "Until")
PUTS = ("Cell", "Certificate", "Of", "Key", "Where", "Homes")


@dataclass(frozen=True, slots=True)
class Shown:
    """What a person must see before approving."""

    facts: tuple[tuple[str, str], ...]
    affected: tuple[tuple[str, ...], ...]
    puts: tuple[tuple[str, ...], ...]
    homes: tuple[tuple[str, str], ...]
    faults: tuple[Fault, ...]

    def as_json(self) -> dict[str, Any]:
        return {
            "facts": dict(self.facts),
            "affected": [_named(AFFECTED, row) for row in self.affected],
            "puts": [_named(PUTS, row) for row in self.puts],
            "homes": {kind: int(count) for kind, count in self.homes},
            "faults": [fault.as_json() for fault in self.faults],
        }


def _named(columns: tuple[str, ...], row: tuple[str, ...]) -> dict[str, str]:
    return {column.lower(): value for column, value in zip(columns, row, strict=True)}


def show(plan: Plan, now: datetime) -> Shown:
    """A plan in words, and in numbers of homes."""
    table = plan.file.table
    happened, decided = table.compromise, table.decision
    signer = "the contingency key of " + table.root if plan.signer is None else _signer_words(plan)
    facts = [
        ("purpose", table.purpose),
        ("compromised", happened.what),
        ("notified", f"{utc(happened.notified_at)} by {happened.notified_by}"),
        ("evidence", happened.evidence),
        ("decided", f"{utc(decided.at)} by {decided.by} ({decided.reference})"),
        ("method", f"{plan.method}: {METHODS[plan.method]}"),
        ("command", f"{plan.rule.code} {plan.rule.word}"),
        ("signed by", signer),
        ("when", "at once" if table.at is None else utc(table.at)),
        ("devices hold", f"root {table.root}"),
        ("counters from", ", ".join(f"{role} {_floor(one)}" for role, one in table.floors.items()) or "as they are"),
        ("times of certificates", "checked" if table.check_times else "not checked"),
        ("devices", str(plan.devices.count)),
        ("completion", f"{plan.case.completion}, proven by CS02a"),
    ]
    return Shown(
        facts=tuple(facts),
        affected=tuple(_record_words(record, now) for record in plan.affected),
        puts=tuple(_put_words(put, plan) for put in plan.puts),
        homes=tuple(sorted(_homes(plan))),
        faults=plan.faults,
    )


def _signer_words(plan: Plan) -> str:
    assert plan.signer is not None, "the caller looked"
    who = plan.signer.holder
    role = "" if who.role is None else who.role.word
    where = "handed out, to be signed by" if plan.is_handed_out else "the key of"
    return f"{where} {role} {who.entity}, certificate {plan.signer.serial}"


def _floor(one: FloorTable) -> str:
    return f"{one.counter}" if one.top_up is None else f"{one.counter}, top-ups {one.top_up}"


def _record_words(record: CertificateRecord, now: datetime) -> tuple[str, ...]:
    role = "authority" if record.role is None else record.role.word
    usage = "keyCertSign" if record.usage is None else record.usage.value
    whose = "" if record.entity is None else str(record.entity)
    return (str(record.serial), role, usage, whose, record.status_at(now).value, utc(record.not_after))


def _put_words(put: PlannedPut, plan: Plan) -> tuple[str, ...]:
    homes = sum(count for situation, count in plan.homes.items() if put in plan.groups[situation].puts)
    read = load_certificate(put.certificate, "it")
    where = "every home" if put.where is None else f"homes of {put.where}"
    return (
        str(put.cell),
        f"{read.serial_number:032X}",
        "the root" if put.cell == ROOT_CELL else str(put.content.entity),
        put.content.key_identifier.hex().upper(),
        where,
        str(homes),
    )


def _homes(plan: Plan) -> Iterator[tuple[str, str]]:
    counts: Counter[str] = Counter()
    for situation, count in plan.homes.items():
        counts[situation.kind.value] += count
    for kind, count in counts.items():
        yield kind, str(count)
