"""A request to change supplier, judged: one verdict for each device, with every rule that speaks against it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from smki.authority.workspace import Workspace
from smki.device.cells import CellName
from smki.entity import DeviceType, EntityId, RemotePartyRole
from smki.errors import InvalidInput
from smki.meter_point import MeterPoint
from smki.parties.cos import rules
from smki.parties.cos.commands import Wanted
from smki.parties.cos.evidence import Evidence
from smki.parties.cos.request import Asked, Cancelling, Home, Misread, Received, read_request
from smki.parties.cos.rules import Presented, Seen
from smki.pki.path import PathCrl
from smki.pki.verdict import Fault

PIECE = 1000  # homes looked up at a time


@dataclass(frozen=True, slots=True)
class Verdict:
    """One device of one home, and what speaks against giving it to the one who asks."""

    reference: str
    meter_point: str
    device: EntityId | None
    """None: no device could be told."""
    at: datetime | None = None
    kind: DeviceType | None = None
    cells: tuple[CellName, ...] = ()
    """The cells that are to be filled."""
    counter: int = -1
    """No command of the party below this one is taken, as far as is known."""
    faults: tuple[Fault, ...] = ()

    @property
    def label(self) -> str:
        """What the command made for it is called."""
        return self.reference if self.device is None else f"{self.reference} {self.device}"


@dataclass(frozen=True)
class Judgement:
    """What came, and what is to be said of all of it. Its homes are judged as they are asked for."""

    received: Received
    asked: Asked
    faults: tuple[Fault, ...]
    """Of the request as a whole: with any of them nothing is made."""
    believed: bool
    """Whether it is by the one it says; if not, nobody asks what is in it."""
    presented: tuple[Presented, ...]
    evidence: Evidence

    def verdicts(self) -> Iterator[Verdict]:
        """One for each device; of a request that is not believed, none."""
        homes, seen = self.asked.homes() if self.believed else iter(()), Seen()
        while piece := list(islice(homes, PIECE)):
            yield from self._judge(piece, seen)

    def against(self, wanted: Sequence[Wanted]) -> dict[EntityId, tuple[Fault, ...]]:
        """What speaks against some of its devices as things stand now: a long run outlives its first verdicts."""
        homes: dict[str, Home] = {}
        for one in wanted:
            before = homes.get(one.reference)
            devices = (one.device,) if before is None else (*before.devices, one.device)
            homes[one.reference] = Home(one.reference, MeterPoint(one.meter_point), devices, one.at)
        faults = self.evidence.against_certificates()
        if faults:
            return {device: faults for one in homes.values() for device in one.devices}
        found = self._judge([*homes.values()], Seen())
        return {one.device: one.faults for one in found if one.device is not None and one.faults}

    def _judge(self, piece: Sequence[Home | Misread], seen: Seen) -> Iterator[Verdict]:
        devices = {id(home): self.evidence.devices_of(home) for home in piece if isinstance(home, Home)}
        facts = self.evidence.facts(device for found in devices.values() for device in found)
        terms = self.evidence.terms
        back = self.evidence.taken_back(self.asked.digest)
        for home in piece:
            if isinstance(home, Misread):
                yield Verdict(home.reference, "", None, faults=(*self.faults, home.fault))
                continue
            registered = self.evidence.registered(home)
            of_all = rules.of_home(home, self.asked, self.presented, registered, terms, seen)
            shared = (*self.faults, *of_all)
            point = str(home.meter_point)
            if not devices[id(home)]:
                fault = Fault("cos.no-device", f"no device stands behind {point}", "have its devices notified first")
                yield Verdict(home.reference, point, None, home.at, faults=(*shared, fault))
            is_back = any(not names or home.reference in names for names in back)
            for device in devices[id(home)]:
                one = facts[device]
                record = one.record
                yield Verdict(
                    reference=home.reference,
                    meter_point=point,
                    device=device,
                    at=home.at,
                    kind=None if record is None else record.kind,
                    cells=one.supplier_cells,
                    counter=-1 if record is None else record.counters.get(RemotePartyRole.TRANSITIONAL_COS, -1),
                    faults=(*shared, *rules.of_device(home, self.asked, one, seen, is_back)),
                )


def judge_request(workspace: Workspace, data: bytes, crls: Sequence[PathCrl] = ()) -> Judgement:
    """Hold a signed request against every rule; an error where it has not the form of one."""
    received = read_request(data)
    asked = received.asked
    if not isinstance(asked, Asked):
        raise InvalidInput("cos.form", "it takes back a change", "give it to `smki cos cancel`")
    most = workspace.policies.cos.largest_request
    if len(asked.lines) > most:
        raise InvalidInput("cos.size", f"{len(asked.lines)} homes, and {most} are allowed", "ask in parts")
    evidence = Evidence(workspace, crls)
    of_signer = faults_of_signer(evidence, received)
    if of_signer:
        return Judgement(received, asked, of_signer, False, (), evidence)
    presented = evidence.presented(asked)
    faults = (
        *rules.of_age(asked, evidence.terms),
        *rules.of_certificates(asked, presented),
        *rules.of_floors(asked.floors),
    )
    return Judgement(received, asked, faults, True, presented, evidence)


def faults_of_signer(evidence: Evidence, received: Received) -> tuple[Fault, ...]:
    asked: Asked | Cancelling = received.asked
    return tuple(rules.of_signer(asked, evidence.signer(received)))
