"""Commands held against every rule that needs no memory, a chunk at a time: what is looked up, is for all of it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from smki.authority.workspace import Workspace
from smki.device.cells import CellUse
from smki.entity import EntityId, KeyUsage, RemotePartyRole
from smki.errors import InvalidInput
from smki.gbcs.message import Message, read_message
from smki.gbcs.protection import digest_to_sign, signature_holds
from smki.gbcs.use_case import UseCase
from smki.parties.broker import rules
from smki.parties.broker.content import Content, Contents
from smki.parties.broker.parties import DeviceKey, Parties, Signer
from smki.parties.broker.rules import Facts, Speaker
from smki.parties.intake import Given
from smki.parties.supplier import vocabulary
from smki.pki.verdict import Fault
from smki.store.admission_records import ConsentRecord
from smki.store.estate_records import Place


@dataclass(frozen=True, slots=True)
class Submitted:
    """One command as it came: signed itself, or asked for in a request that was signed."""

    reference: str
    message: Message | None
    """As its user would say it; None where it does not read."""
    faults: tuple[Fault, ...] = ()
    asker: Signer | None = None
    """Who signed the request, where there is one."""
    through_broker: bool = False
    """Whether the broker says it, because the device does not know the user."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A command, who speaks, and every rule it breaks."""

    reference: str
    message: Message
    digest: bytes
    row: UseCase | None
    content: Content | None
    signer: Signer | None
    speaker: Speaker | None
    place: Place | None
    key: DeviceKey | None
    through_broker: bool
    faults: tuple[Fault, ...]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """What is no message at all."""

    reference: str
    faults: tuple[Fault, ...]


@dataclass
class _World:
    """What was looked up for a chunk."""

    now: datetime
    places: dict[EntityId, Place] = field(default_factory=dict)
    histories: dict[str, list[tuple[int, bytes | None, bytes | None]]] = field(default_factory=dict)
    consents: dict[str, list[ConsentRecord]] = field(default_factory=dict)
    keys: dict[EntityId, DeviceKey | Fault] = field(default_factory=dict)

    def facts(self, target: EntityId, holders: dict[RemotePartyRole, EntityId | None]) -> Facts:
        place = self.places.get(target)
        point = None if place is None or place.meter_point is None else place.meter_point.digits
        consents: list[ConsentRecord] = []
        if self.consents:
            consents = [*self.consents.get(point or "", []), *self.consents.get(str(target), [])]
        return Facts(self.now, place, self.histories.get(point or "", []), consents, holders)


class Judge:
    """Holds commands against the rules."""

    def __init__(self, workspace: Workspace, broker: EntityId, parties: Parties) -> None:
        self._workspace = workspace
        self._store = workspace.store
        self._policy = workspace.policies.broker
        self._use_cases = workspace.policies.use_cases
        self._broker = broker
        self.parties = parties
        asked = workspace.policies.anomaly.paths
        self._contents = Contents(vocabulary(workspace), self._policy.execution_paths, asked)

    def read(self, given: Iterable[Given]) -> Iterator[Submitted]:
        for item in given:
            try:
                yield Submitted(item.reference, read_message(item.octets))
            except InvalidInput as error:
                yield Submitted(item.reference, None, (Fault("broker.form", error.message, error.remedy),))

    def judge(self, chunk: Sequence[Submitted]) -> list[Judged | Unreadable]:
        """All of a chunk, in its order."""
        self.parties.begin_chunk()
        world = self._look_up([item.message.header.target for item in chunk if item.message is not None])
        return [
            Unreadable(item.reference, item.faults) if item.message is None else self._one(item, item.message, world)
            for item in chunk
        ]

    def _look_up(self, targets: Sequence[EntityId]) -> _World:
        world = _World(self._workspace.clock())
        targets = list(dict.fromkeys(targets))
        world.places = self._store.estate.places(targets)
        points = {place.meter_point for place in world.places.values() if place.meter_point is not None}
        world.histories = self._store.registrations.histories(points)
        subjects = [point.digits for point in points] + [str(target) for target in world.places]
        for consent in self._store.quarantine.consents(subjects):
            world.consents.setdefault(consent.subject, []).append(consent)
        world.keys = self.parties.device_keys(targets)
        return world

    def _one(self, item: Submitted, message: Message, world: _World) -> Judged:
        header = message.header
        row = self._use_cases.get(header.code)
        kind = tuple(rules.of_kind(message, row, asked=item.asker is not None))
        signer, signed = self._signer(item, message)
        faults = (*item.faults, *kind, *signed)
        key = world.keys.get(header.target)
        content = speaker = None
        if row is not None and not any(fault.code == "broker.kind" for fault in kind):
            content = self._contents.of(message)
            speaker = self._speaker(message, signer)
            faults += (*content.faults, *rules.of_header(message, row))
            facts = world.facts(header.target, self._holders(message, row, world))
            faults += tuple(rules.of_target(row, facts, header.target, self._policy))
            faults += tuple(rules.of_moments(content.moments, facts, self._policy))
            faults += tuple(rules.of_own(message, row, self._broker, facts))
            faults += self._of_speaker(item, message, row, signer, speaker, facts, content)
            if isinstance(key, Fault):
                faults += (key,)
        return Judged(
            reference=item.reference,
            message=message,
            digest=digest_to_sign(message),
            row=row,
            content=content,
            signer=signer,
            speaker=speaker,
            place=world.places.get(header.target),
            key=key if isinstance(key, DeviceKey) else None,
            through_broker=item.through_broker,
            faults=faults,
        )

    def _of_speaker(
        self,
        item: Submitted,
        message: Message,
        row: UseCase,
        signer: Signer | None,
        speaker: Speaker | None,
        facts: Facts,
        content: Content,
    ) -> tuple[Fault, ...]:
        """The role of who signed it, the right of whom it speaks for."""
        if signer is None or signer.role is None:
            return ()
        sender = Speaker(signer.entity, signer.role)
        faults = tuple(rules.of_sender(sender, row, through_broker=item.through_broker))
        if speaker is None:
            party = message.header.supplementary
            name = "nobody" if party is None else str(party.party)
            return (*faults, Fault("broker.originator", f"{name} has no certificate in use", "name a user"))
        right = rules.of_right(speaker, row, facts, message.header.target, content.moments, self._policy)
        return (*faults, *right)

    def _signer(self, item: Submitted, message: Message) -> tuple[Signer | None, tuple[Fault, ...]]:
        """By whose certificate it is signed, and what speaks against that."""
        if item.asker is not None:
            return item.asker, item.asker.standing
        if not message.signature:
            return None, ()
        originator = message.header.originator
        known = self.parties.signers(originator)
        if not known:
            fault = Fault(
                "broker.originator", f"no certificate of {originator} is known", "give it, or have it enrolled"
            )
            return None, (fault,)
        for one in known:
            if signature_holds(message, one.certified.holder.public_key):
                return one, one.standing
        fault = Fault(
            "broker.signature",
            f"the signature is not by {originator}, with any of {len(known)} certificates",
            "refuse it: it was changed, or signed by another",
        )
        return None, (fault,)

    def _speaker(self, message: Message, signer: Signer | None) -> Speaker | None:
        """Whose right is asked for: the signer's, or that of the user whom the broker names beside itself."""
        extra = message.header.supplementary
        if extra is None or signer is None or signer.role is not RemotePartyRole.ACCESS_CONTROL_BROKER:
            return None if signer is None or signer.role is None else Speaker(signer.entity, signer.role)
        for one in self.parties.signers(extra.party, KeyUsage.DIGITAL_SIGNATURE):
            if one.role is not None and not one.standing:
                return Speaker(one.entity, one.role)
        return None

    def _holders(self, message: Message, row: UseCase, world: _World) -> dict[RemotePartyRole, EntityId | None]:
        """Who is believed in a device's signature cells; asked for where the broker signs itself."""
        header = message.header
        place = world.places.get(header.target)
        if header.originator != self._broker or not row.critical or place is None:
            return {}
        cells = self._workspace.policies.devices.get(place.kind, ())
        found: dict[RemotePartyRole, EntityId | None] = {
            name.role: None for name in cells if name.use is CellUse.DIGITAL_SIGNATURE
        }
        device = self._store.estate.device(header.target)
        if device is not None:
            found |= {
                name.role: one.holds for name, one in device.cells.items() if name.use is CellUse.DIGITAL_SIGNATURE
            }
        return found
