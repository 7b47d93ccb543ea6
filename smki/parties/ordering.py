"""Orders are placed: numbered upwards for each device, on record before they are handed out, never twice."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from smki.authority.log import act
from smki.authority.workspace import Workspace
from smki.entity import EntityId, RemotePartyRole
from smki.gbcs.header import Header
from smki.gbcs.message import Message
from smki.parties.signing_rules import MAX_SIGNED_COUNTER
from smki.pki.verdict import Fault
from smki.store.estate_records import DeviceRecord
from smki.store.records import FloorRecord, OrderRecord, PutRecord

CHUNK = 1000  # commands in one transaction


@dataclass(frozen=True, slots=True)
class Draft:
    """A command that may be made, as far as it can be judged without what was made before."""

    message: Message
    digest: bytes
    word: str
    """What the log counts it as."""
    role: RemotePartyRole
    """By whose counter a device judges it."""
    puts: tuple[PutRecord, ...] = ()
    floors: tuple[FloorRecord, ...] = ()
    execution_at: datetime | None = None

    @property
    def key(self) -> tuple[EntityId, EntityId]:
        return self.message.header.originator, self.message.header.target


@dataclass(frozen=True, slots=True)
class Placed:
    """What became of a draft."""

    draft: Draft
    before: bool = False
    fault: Fault | None = None


class Ordering:
    """One run of orders."""

    def __init__(self, workspace: Workspace, batch: bytes) -> None:
        self._workspace = workspace
        self._orders = workspace.store.orders
        self._batch = batch

    def devices(self, entities: Sequence[EntityId]) -> dict[EntityId, DeviceRecord]:
        """What the inventory knows of some devices; in a workspace that keeps none, nothing."""
        return self._workspace.store.estate.devices(entities)

    def place(self, drafts: Sequence[Draft], devices: Mapping[EntityId, DeviceRecord]) -> list[Placed]:
        """What becomes of each; what is made of them is on record when this returns."""
        digests = [one.digest for one in drafts]
        placed = self._numbered(drafts, self._orders.known(digests), devices)
        if not any(_is_fresh(one) for one in placed):
            return placed
        kinds: dict[str, int] = {}
        sums: list[str] = []
        with act(self._workspace, "credentials.made", batch=self._batch.hex(), kinds=kinds, orders_sha256=sums) as tx:
            tx.lock()
            # Another run may have been here since: what it made is not made again.
            placed = self._numbered(drafts, self._orders.known(digests), devices)
            fresh = [one.draft for one in placed if _is_fresh(one)]
            now = self._workspace.clock()
            tx.put_orders(self._record(one, now) for one in fresh)
            kinds |= Counter(one.word for one in fresh)
            sums.append(hashlib.sha256(b"".join(one.digest for one in fresh)).hexdigest())
        return placed

    def _numbered(
        self, drafts: Sequence[Draft], known: frozenset[bytes], devices: Mapping[EntityId, DeviceRecord]
    ) -> list[Placed]:
        """Counters go up for each device, from the floor it is believed to have and its originator's last order."""
        last = self._last_counters([one for one in drafts if one.digest not in known])
        placed = []
        for one in drafts:
            header = one.message.header
            device = devices.get(header.target)
            floor = -1 if device is None else device.counters.get(one.role, -1)
            before = max(last.get(one.key, -1), floor)
            if one.digest in known:
                placed.append(Placed(one, before=True))
            elif header.counter <= before:
                placed.append(Placed(one, fault=_used(one, before)))
            else:
                last[one.key] = header.counter
                placed.append(Placed(one))
        return placed

    def _last_counters(self, drafts: Sequence[Draft]) -> dict[tuple[EntityId, EntityId], int]:
        devices: dict[EntityId, list[EntityId]] = {}
        for one in drafts:
            devices.setdefault(one.message.header.originator, []).append(one.message.header.target)
        return {
            (originator, device): counter
            for originator, asked in devices.items()
            for device, counter in self._orders.last_counters(originator, asked).items()
        }

    def _record(self, one: Draft, now: datetime) -> OrderRecord:
        header = one.message.header
        return OrderRecord(
            digest=one.digest,
            device=header.target,
            originator=header.originator,
            code=int(header.code),
            counter=header.counter,
            execution_at=one.execution_at,
            state="made",
            puts=one.puts,
            floors=one.floors,
            batch=self._batch,
            made_at=now,
        )


def _is_fresh(one: Placed) -> bool:
    return one.fault is None and not one.before


def _used(one: Draft, before: int) -> Fault:
    header = one.message.header
    return Fault(
        "credentials.counter",
        f"counter {header.counter} for {header.target} is not above {before}, the last on record",
        "number it higher: a device obeys no counter twice",
    )


def device_faults(header: Header, known: DeviceRecord | None) -> tuple[Fault, ...]:
    """What is wrong with whom a command is for, and with its number."""
    faults = []
    if header.target.is_reserved or header.target == header.originator:
        faults.append(Fault("credentials.device", f"{header.target} is no device", "name the device"))
    if known is not None and known.status.has_ended:
        faults.append(
            Fault("credentials.device", f"{header.target} is {known.status.value}", "nobody commands such a device")
        )
    if header.counter > MAX_SIGNED_COUNTER:
        faults.append(
            Fault("credentials.counter", f"counter {header.counter} is the last there is", "number it lower")
        )
    return tuple(faults)


def digest_of(message: Message) -> bytes:
    """What names an order: SHA-256 of the pre-command's octets."""
    return hashlib.sha256(message.encode()).digest()
