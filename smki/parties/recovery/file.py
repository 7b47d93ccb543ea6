"""The plan file: one reviewable TOML page that says what was compromised, and what is put into which cells where.

Its SHA-256 is what key custodians approve, so everything that decides the outcome stands in it. The devices stand in
a file beside it, a line each, whose SHA-256 stands in the plan.
"""

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

from smki.authority.ceremony.file import Name, Sentence
from smki.authority.safe_files import read_bounded
from smki.entity import DeviceType, EntityId, RemotePartyRole
from smki.errors import InvalidInput
from smki.pki.holder import MAX_CERTIFICATE_OCTETS
from smki.settings import MAX_FILE_OCTETS, Table, read_toml

MAX_DEVICES_OCTETS = 1 << 28  # read whole: what was counted and approved is what is run
MAX_LINE = 400
Digest = Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z", description="64 hexadecimal digits")]
Serial = Annotated[str, Meta(pattern=r"\A[0-9A-Fa-f]{2,40}\Z", description="serial numbers")]
Certificate = Annotated[str, Meta(max_length=MAX_CERTIFICATE_OCTETS, description="base64")]
Counter = Annotated[int, Meta(ge=0)]


class CompromiseTable(Table, frozen=True):
    """What happened, who says so, and why they are believed."""

    what: Sentence
    """The case."""
    certificates: Annotated[list[Serial], Meta(min_length=1, max_length=1000)]
    """Serial numbers of those that are not to be believed any more."""
    notified_by: Sentence
    """Who said so."""
    notified_at: datetime
    """When."""
    evidence: Sentence
    """Why they are believed."""


class DecisionTable(Table, frozen=True):
    """Who decided that the key is used, and where that is written (SEC-G: the SMKI PMA)."""

    by: Sentence
    """Who."""
    at: datetime
    """When."""
    reference: Sentence
    """Where it is written."""


class SignerTable(Table, frozen=True):
    """Whose signature the commands bear. Without a token they are handed out to be signed (method 1)."""

    certificate: Certificate
    """Its certificate: base64 of the DER."""
    token: Name | None = None
    """The token of the key, for methods 2 and 3."""
    key: Annotated[str, Meta(max_length=64)] | None = None
    """The key's label in it."""
    first_counter: Counter = 1
    """Its counters begin here."""


class DevicesTable(Table, frozen=True):
    """Which devices: a file beside the plan. It has a line for each, ascending: EUI-64, kind, and `ROLE=EUI-64`
    for each role that a `where` is about."""

    file: Annotated[str, Meta(pattern=r"\A[^/\x00-\x1f]{1,200}\Z", description="name without a `/`")]
    """Its name."""
    sha256: Digest
    """Of all its octets."""
    count: Annotated[int, Meta(ge=1)]
    """Its lines."""


class PutTable(Table, frozen=True):
    """One certificate (base64 of the DER) for one cell; with `where`, in the homes of that party only."""

    cell: Annotated[str, Meta(max_length=60)]
    """Such as `supplier digitalSignature`."""
    certificate: Certificate
    """Base64 of the DER."""
    where: Annotated[str, Meta(max_length=23)] | None = None
    """Only in homes of this party: an EUI-64."""


class FloorTable(Table, frozen=True):
    """Where a role's counters begin."""

    counter: Counter
    """No command numbered below is taken."""
    top_up: Counter | None = None
    """Of suppliers: no top-up numbered below."""


class _PlanTable(Table, frozen=True, kw_only=True):
    """What a plan of either kind has."""

    purpose: Sentence
    """Why, for those who approve."""
    root: Name
    """The authority that devices hold as their root now."""
    compromise: CompromiseTable
    """What happened."""
    decision: DecisionTable
    """Who decided."""
    devices: DevicesTable
    """Which devices."""
    put: Annotated[list[PutTable], Meta(min_length=1, max_length=1000)]
    """What goes into which cells."""
    path: Annotated[list[Certificate], Meta(max_length=8)] = []
    """Certificates between what is put and the root: base64 of the DER each."""
    floors: dict[str, FloorTable] = {}
    """Where counters begin, by role."""
    at: datetime | None = None
    """When devices are to act; without it, at once."""
    supersedes: Digest | None = None
    """SHA-256 of a plan that was begun with the same key and is not to be finished: its counters are given up."""
    check_times: bool = True
    """Whether devices check the times of certificates."""


class RecoveryTable(_PlanTable, frozen=True, kw_only=True, tag_field="kind", tag="recovery"):
    """Devices get new credentials by the recovery key or another that they still believe: methods 1 to 3."""

    method: Literal["1", "2", "3"]
    """Which."""
    signer: SignerTable
    """Who signs."""


class ContingencyTable(_PlanTable, frozen=True, kw_only=True, tag_field="kind", tag="contingency"):
    """The root is replaced by its contingency key, which `root` names."""


PlanTable = RecoveryTable | ContingencyTable


@dataclass(frozen=True, slots=True)
class PlanFile:
    """A plan as read from its file, with the very octets and the digest that custodians approve."""

    path: Path
    octets: bytes
    sha256: bytes
    table: PlanTable

    @property
    def is_contingency(self) -> bool:
        return isinstance(self.table, ContingencyTable)


def read_plan_file(path: Path) -> PlanFile:
    """Read the file once; whatever happens to it afterwards does not change what is judged and run."""
    octets = _read(path, MAX_FILE_OCTETS)
    kinds: type[PlanTable] = RecoveryTable | ContingencyTable  # type: ignore[assignment]
    sourced = read_toml(octets, path.name, kinds)
    for name, moment in _moments(sourced.value):
        if moment.tzinfo is None:
            raise InvalidInput(
                "plan.time", f"{path.name}: `{name}` has no time zone", "write it as 2026-11-21T09:00:00Z"
            )
    return PlanFile(path, octets, sourced.sha256, sourced.value)


def _moments(table: PlanTable) -> Iterator[tuple[str, datetime]]:
    yield "compromise.notified_at", table.compromise.notified_at
    yield "decision.at", table.decision.at
    if table.at is not None:
        yield "at", table.at


def _read(path: Path, most: int) -> bytes:
    return read_bounded(path, most, "plan", "split it into plans")


def der_of(text: str, where: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:  # also of what is not ASCII
        raise InvalidInput("plan.certificate", f"{where} is not base64", "draft the plan anew") from None


# The devices


@dataclass(frozen=True, slots=True)
class Situation:
    """What devices have in common: their kind, and who was believed to be in which role when the plan was made."""

    kind: DeviceType
    holders: tuple[tuple[RemotePartyRole, EntityId], ...] = ()

    def holder(self, role: RemotePartyRole) -> EntityId | None:
        return next((entity for known, entity in self.holders if known is role), None)

    def line(self, device: EntityId) -> str:
        """`00-DB-12-34-56-78-90-A0 ESME supplier=90-B3-D5-1F-30-01-00-00`."""
        return " ".join([str(device), self.kind.value, *(f"{role.word}={entity}" for role, entity in self.holders)])


@dataclass(frozen=True, slots=True)
class Devices:
    """The devices of a plan, in ascending order, as the very octets that its digest is of."""

    octets: bytes
    count: int

    def __iter__(self) -> Iterator[tuple[EntityId, Situation]]:
        known: dict[str, Situation] = {}
        for text in self.octets.decode("ascii").splitlines():
            device, _, rest = text.partition(" ")
            if rest not in known:
                known[rest] = _situation(rest)
            yield EntityId.parse(device), known[rest]


def _situation(text: str) -> Situation:
    kind, *holders = text.split(" ")
    found = []
    for item in holders:
        role, _, entity = item.partition("=")
        found.append((RemotePartyRole.parse(role), EntityId.parse(entity)))
    if len({role for role, _ in found}) != len(found):
        raise InvalidInput("plan.devices", f"{text[:80]!r} names a role twice", "draft the plan anew")
    return Situation(DeviceType.parse(kind), tuple(found))


def read_devices(octets: bytes, source: str) -> Devices:
    """The devices in a file: one a line, each once, ascending."""
    try:
        lines = octets.decode("ascii").splitlines()
    except UnicodeDecodeError:
        raise InvalidInput(
            "plan.devices", f"{source} is no list of devices", "one EUI-64 and its kind a line"
        ) from None
    if any(len(line) > MAX_LINE for line in lines):
        raise InvalidInput("plan.devices", f"{source} has a line of more than {MAX_LINE} signs", "one device a line")
    devices = Devices(octets, len(lines))
    last: EntityId | None = None
    for device, _ in devices:
        if last is not None and device <= last:
            raise InvalidInput("plan.devices", f"{source}: {device} does not come after {last}", "sort it, each once")
        if device.is_reserved:
            raise InvalidInput("plan.devices", f"{source}: {device} is no device", "remove it")
        last = device
    if last is None:
        raise InvalidInput("plan.devices", f"{source} names no device", "name some")
    return devices


def devices_of(plan: PlanFile) -> Devices:
    """The devices a plan names, if their file is the one that was there when it was made."""
    table = plan.table.devices
    octets = _read(plan.path.with_name(table.file), MAX_DEVICES_OCTETS)
    if hashlib.sha256(octets).hexdigest() != table.sha256:
        raise InvalidInput(
            "plan.devices-changed", f"{table.file} is not the file that the plan names", "restore it, or plan anew"
        )
    devices = read_devices(octets, table.file)
    if devices.count != table.count:
        raise InvalidInput(
            "plan.devices", f"{table.file} has {devices.count} devices, not {table.count}", "plan anew"
        )
    return devices


def read_device_list(path: Path) -> Devices:
    """Devices as a person hands them in: in any order, with their kinds."""
    octets = _read(path, MAX_DEVICES_OCTETS)
    return read_devices(
        b"".join(line + b"\n" for line in sorted(set(octets.splitlines())) if line.strip()), path.name
    )
