"""How many homes change hands before a second officer looks: of each supplier, and of all together (cos.toml).

Counted where nobody's act comes between: with the orders of a run on record, before any of them is signed. What an
officer grants is the devices that were shown, and no others that became fit since.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from smki.authority.cos import CosThreshold
from smki.authority.log import act
from smki.authority.second_officer import check_grant
from smki.authority.workspace import Workspace
from smki.device.update import CANCELLED
from smki.entity import EntityId
from smki.parties.cos.commands import CODE, Done, Wanted
from smki.parties.supplier import fault_of
from smki.pki.verdict import Fault
from smki.store.records import HoldRecord
from smki.words import utc


@dataclass(frozen=True, slots=True)
class Run:
    """What is about to be made: by whose key, for which request of whom, and what it was called to an officer."""

    key_hash: bytes
    request: bytes
    supplier: EntityId
    purpose: str

    def item(self, device: EntityId) -> bytes:
        return hashlib.sha256(self.request + device.octets).digest()

    def digest(self, items: Iterable[bytes]) -> bytes:
        """What names a hold, and what an officer's signature is over: these items and no others."""
        return hashlib.sha256(
            b"".join((b"smki change of supplier", self.key_hash, self.request, *sorted(items)))
        ).digest()


class Gate:
    """Which commands of one run may pass, and which wait for an officer."""

    def __init__(self, workspace: Workspace, run: Run, left: Iterable[Wanted]) -> None:
        self._workspace = workspace
        self._store = workspace.store
        self._run = run
        self._left = {one.device: one for one in left}
        self._verified: dict[bytes, bool] = {}
        self._asked: tuple[HoldRecord, list[tuple[bytes, str]]] | None = None

    def against(self, wanted: Sequence[Wanted]) -> dict[EntityId, tuple[Fault, ...]]:
        """What holds some of them, as things stand now. It changes nothing: `ask` puts a hold on record."""
        devices = [one.device for one in wanted if one.device in self._left]
        decided = self._decided(devices)
        held: dict[EntityId, tuple[Fault, ...]] = {
            device: (fault,) for device, fault in decided.items() if fault is not None
        }
        free = [device for device in devices if device not in decided]
        if free and (reasons := self._reasons()):
            held |= dict.fromkeys(free, (fault_of(self._hold(reasons)),))
        return held

    def ask(self) -> None:
        """Have an officer look at what was found to be too much."""
        asked, self._asked = self._asked, None
        if asked is None or self._store.holds.one(asked[0].digest) is not None:
            return
        record, items = asked
        facts = {
            "hold": record.digest.hex(),
            "purpose": record.purpose,
            "items": record.items,
            "reason": "; ".join(record.reasons),
        }
        with act(self._workspace, "hold.asked", request=self._run.request.hex(), **facts) as tx:
            tx.put_hold(record, items)

    def passed(self, done: Done) -> None:
        """What is held is still to come; all else is over, and counted where it was signed."""
        if done.device is not None and done.result != "held":
            self._left.pop(done.device, None)

    def _decided(self, devices: Sequence[EntityId]) -> dict[EntityId, Fault | None]:
        """Those an officer was shown, and what became of that; None: granted."""
        items = {device: self._run.item(device) for device in devices}
        about = self._store.holds.about([*items.values()])
        words = {hold: self._word(hold) for hold in {one for found in about.values() for one in found}}
        decided: dict[EntityId, Fault | None] = {}
        for device, item in items.items():
            found = [words[hold] for hold in about.get(item, ())]
            refused = [one for one in found if isinstance(one, Fault) and one.code == "approve.refused"]
            waiting = [one for one in found if isinstance(one, Fault)]
            if refused or waiting or True in found:
                decided[device] = refused[0] if refused else None if True in found else waiting[0]
        return decided

    def _word(self, digest: bytes) -> Fault | bool:
        """What a hold says of its items: why they wait or never pass, or whether they are granted."""
        record = self._store.holds.one(digest)
        if record is None:
            return False
        if record.state != "granted":
            return fault_of(record)
        if digest not in self._verified:
            check_grant(self._workspace, record)
            # An item that was put beside those the officer signed for makes it a hold of other items.
            items = [item for item, _ in self._store.holds.items(digest)]
            self._verified[digest] = self._run.digest(items) == digest
        return self._verified[digest]

    def _hold(self, reasons: tuple[str, ...]) -> HoldRecord:
        """All that is left and nobody has looked at yet."""
        if self._asked is not None:
            return self._asked[0]
        decided = self._decided([*self._left])
        items = [(self._run.item(device), _words(one)) for device, one in self._left.items() if device not in decided]
        record = HoldRecord(
            digest=self._run.digest(item for item, _ in items),
            purpose=self._run.purpose,
            items=len(items),
            reasons=reasons,
            state="waiting",
            asked_by=self._workspace.person.name,
            asked_at=self._workspace.clock(),
            decision={},
        )
        self._asked = record, items
        return record

    def _reasons(self) -> tuple[str, ...]:
        found = (self._above(one) for one in self._workspace.policies.cos.thresholds)
        return tuple(reason for reason in found if reason)

    def _above(self, one: CosThreshold) -> str:
        run = self._run
        if not one.covers(run.supplier):
            return ""
        whose, fresh = None if one.together else run.supplier, len(self._left)
        since = self._workspace.clock() - one.window
        before = self._store.supplier_changes.count_since(whose, CODE, since, run.request)
        if before + fresh <= one.count:
            return ""
        of = "all suppliers" if whose is None else str(whose)
        return f"{fresh} for {of} after {before} within {one.window}, and {one.count} are the threshold"


def _words(one: Wanted) -> str:
    """One line for the officer who looks."""
    when = "now" if one.at is None else "taken back" if one.at == CANCELLED else f"at {utc(one.at)}"
    return f"{one.reference}: meter point {one.meter_point}, {one.kind.value} {one.device}, {when}"
