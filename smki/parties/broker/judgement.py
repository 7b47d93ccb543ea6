"""Commands held against every rule that needs no memory, a chunk at a time: what is looked up, is for all of it."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import msgspec

from smki.authority.workspace import Workspace
from smki.device.cells import CellUse
from smki.entity import EntityId, KeyUsage, RemotePartyRole
from smki.errors import InvalidInput
from smki.gbcs.header import Cra
from smki.gbcs.message import Message, read_message
from smki.gbcs.protection import digest_to_sign, plain_signature_holds
from smki.gbcs.use_case import UseCase
from smki.parties.anomaly.limits import NO_LIMITS, Limits
from smki.parties.anomaly.seen import area_of
from smki.parties.broker import rules
from smki.parties.broker.content import Content, Contents
from smki.parties.broker.parties import DeviceKey, Parties, Signer
from smki.parties.broker.rules import Facts, Speaker
from smki.parties.intake import Given
from smki.parties.signing_rules import MAX_SIGNED_COUNTER
from smki.parties.supplier import vocabulary
from smki.pki.verdict import Fault
from smki.store.admission_records import ConsentRecord
from smki.store.estate_records import Place


class Submitted(msgspec.Struct, frozen=True, gc=False):
    """One command as it came: signed itself, or asked for in a request that was signed."""

    reference: str
    message: Message | None
    """As its user would say it; None where it does not read."""
    faults: tuple[Fault, ...] = ()
    asker: Signer | None = None
    """Who signed the request, where there is one."""
    through_broker: bool = False
    """Whether the broker says it, because the device does not know the user."""


class Judged(msgspec.Struct, frozen=True, gc=False):
    """A command, who speaks, and every rule it breaks."""

    reference: str
    message: Message
    digest: bytes
    row: UseCase | None
    content: Content | None
    signer: Signer | None
    speaker: Speaker | None
    place: Place | None
    area: int
    """Of its meter point, as the detectors know it."""
    key: DeviceKey | None
    through_broker: bool
    faults: tuple[Fault, ...]


_Signed = tuple[bytes, Signer | None, tuple[Fault, ...]]
"""The digest of what is signed, by whose certificate it is, and what speaks against that."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """What is no message at all."""

    reference: str
    faults: tuple[Fault, ...]


@dataclass(frozen=True, slots=True)
class _Known:
    """What was looked up of a target."""

    facts: Facts
    key: DeviceKey | Fault
    area: int
    registered: tuple[bytes | None, bytes | None]
    """Supplier and network operator now."""
    sort: tuple[object, ...] | None
    """What it has in common with others, as rules see it; None where it is no device that can be commanded."""


@dataclass(frozen=True, slots=True)
class _Fine:
    """That nothing speaks against commands of one kind, but perhaps who is registered."""

    kept: tuple[Content, Signer]
    """By where they stand in memory commands of a kind are told from others: there they stay."""
    registered: bool
    """Whether whoever is registered now has the right."""


class Judge:
    """Holds commands against the rules."""

    def __init__(
        self, workspace: Workspace, broker: EntityId, parties: Parties, limits: Callable[[], Limits]
    ) -> None:
        self._workspace = workspace
        self._store = workspace.store
        self._policy = workspace.policies.broker
        self._use_cases = workspace.policies.use_cases
        self._broker = broker
        self.parties = parties
        self._limits = limits
        self._known = NO_LIMITS
        self._fine: dict[tuple[object, ...], _Fine] = {}
        self._contents = Contents(vocabulary(workspace), self._policy.execution_paths, self._asked)

    def read(self, given: Iterable[Given]) -> Iterator[Submitted]:
        for item in given:
            try:
                yield Submitted(item.reference, read_message(item.octets))
            except InvalidInput as error:
                yield Submitted(item.reference, None, (Fault("broker.form", error.message, error.remedy),))

    def _asked(self, code: int) -> frozenset[str]:
        """Values that a detector or a threshold looks at."""
        own = (one.path for one in self._known.values if code in one.codes)
        return self._workspace.policies.anomaly.paths(code).union(own)

    def judge(self, chunk: Sequence[Submitted]) -> list[Judged | Unreadable]:
        """All of a chunk, in its order."""
        if (limits := self._limits()) is not self._known:
            self._known = limits
            self._contents.forget()
        self.parties.begin_chunk()
        self._fine.clear()
        known = self._look_up([item.message.header.target for item in chunk if item.message is not None])
        # Signatures by themselves: each needs more of the processor's caches than all the other rules together.
        signed = [None if item.message is None else self._signed(item, item.message) for item in chunk]
        return [
            Unreadable(item.reference, item.faults)
            if item.message is None or by is None
            else self._one(item, item.message, by, known[item.message.header.target.octets])
            for item, by in zip(chunk, signed, strict=True)
        ]

    def _look_up(self, targets: Sequence[EntityId]) -> dict[bytes, _Known]:
        now = self._workspace.clock()
        targets = list({target.octets: target for target in targets}.values())
        places = self._store.estate.places(targets)
        points = {place.meter_point for place in places.values() if place.meter_point is not None}
        histories = self._store.registrations.histories(points)
        consents: dict[str, list[ConsentRecord]] = {}
        subjects = [point.digits for point in points] + [str(target) for target in places]
        for consent in self._store.quarantine.consents(subjects):
            consents.setdefault(consent.subject, []).append(consent)
        keys = self.parties.device_keys(targets)
        found: dict[bytes, _Known] = {}
        for target in targets:
            place = places.get(target)
            point = "" if place is None or place.meter_point is None else place.meter_point.digits
            given = [*consents.get(point, ()), *consents.get(str(target), ())] if consents else []
            facts = Facts(now, place, histories.get(point, ()), given)
            registered, sort = facts.registered(now), _sort(facts, target)
            found[target.octets] = _Known(facts, keys[target], area_of(point), registered, sort)
        return found

    def _signed(self, item: Submitted, message: Message) -> _Signed:
        digest = digest_to_sign(message)
        return digest, *self._signer(item, message, digest)

    def _one(self, item: Submitted, message: Message, by: _Signed, known: _Known) -> Judged:
        row = self._use_cases.get(message.header.code)
        digest, signer, signed = by
        speaker = content = None
        faults = signed
        if row is None or message.header.cra is not Cra.COMMAND or message.mac is not None:
            faults += tuple(rules.of_kind(message, row, asked=item.asker is not None))
        else:
            content = self._contents.of(message)
            speaker = self._speaker(message, signer)
            if signed or item.faults or not self._is_fine(item, message, row, signer, speaker, content, known):
                faults = (
                    *item.faults,
                    *signed,
                    *self._faults(item, message, row, signer, speaker, content, known.facts),
                )
            if isinstance(known.key, Fault):
                faults += (known.key,)
        return Judged(
            reference=item.reference,
            message=message,
            digest=digest,
            row=row,
            content=content,
            signer=signer,
            speaker=speaker,
            place=known.facts.place,
            area=known.area,
            key=known.key if isinstance(known.key, DeviceKey) else None,
            through_broker=item.through_broker,
            faults=faults,
        )

    def _is_fine(
        self,
        item: Submitted,
        message: Message,
        row: UseCase,
        signer: Signer | None,
        speaker: Speaker | None,
        content: Content,
        known: _Known,
    ) -> bool:
        """Whether one like it in this chunk broke no rule, and what differs from that one breaks none either.

        Like it: the same use case, payload, signer and protection, for a device of the same kind in the same state.
        """
        header, facts = message.header, known.facts
        if item.asker is not None or header.supplementary is not None or header.counter > MAX_SIGNED_COUNTER:
            return False
        if known.sort is None or signer is None or speaker is None or header.target == header.originator:
            return False
        key = header.code, id(content), id(signer), bool(message.signature), known.sort
        fine = self._fine.get(key)
        if fine is not None:
            return fine.registered and rules.is_one_of(speaker, known.registered)
        if (
            content.faults
            or content.moments
            or any(self._faults(item, message, row, signer, speaker, content, facts))
        ):
            return False
        alone = replace(facts, consents=())
        registered = rules.is_registered(speaker, facts) and not any(
            rules.of_right(speaker, row, alone, header.target, (), self._policy)
        )
        self._fine[key] = _Fine((content, signer), registered)
        return True

    def _faults(
        self,
        item: Submitted,
        message: Message,
        row: UseCase,
        signer: Signer | None,
        speaker: Speaker | None,
        content: Content,
        facts: Facts,
    ) -> Iterator[Fault]:
        """Every rule, but for the signature."""
        header = message.header
        if header.originator == self._broker and row.critical and facts.place is not None:
            facts = replace(facts, holders=self._holders(header.target, facts.place))
        yield from rules.of_kind(message, row, asked=item.asker is not None)
        yield from content.faults
        yield from rules.of_header(message, row)
        yield from rules.of_target(row, facts, header.target, self._policy)
        yield from rules.of_moments(content.moments, facts, self._policy)
        by_broker = signer is not None and signer.role is RemotePartyRole.ACCESS_CONTROL_BROKER
        yield from rules.of_own(message, row, self._broker, facts, by_broker=by_broker)
        yield from self._of_speaker(item, message, row, signer, speaker, facts, content)

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
        moments = (*content.moments, facts.now) if content.at_once else content.moments
        right = rules.of_right(speaker, row, facts, message.header.target, moments, self._policy)
        return (*faults, *right)

    def _signer(self, item: Submitted, message: Message, digest: bytes) -> tuple[Signer | None, tuple[Fault, ...]]:
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
            if plain_signature_holds(one.certified.holder.public_key, message.signature, digest):
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
            return None if signer is None else signer.speaker
        for one in self.parties.signers(extra.party, KeyUsage.DIGITAL_SIGNATURE):
            if one.role is not None and not one.standing:
                return one.speaker
        return None

    def _holders(self, target: EntityId, place: Place) -> dict[RemotePartyRole, EntityId | None]:
        """Who is believed in a device's signature cells; asked for where the broker signs itself."""
        cells = self._workspace.policies.devices.get(place.kind, ())
        found: dict[RemotePartyRole, EntityId | None] = {
            name.role: None for name in cells if name.use is CellUse.DIGITAL_SIGNATURE
        }
        device = self._store.estate.device(target)
        if device is not None:
            found |= {
                name.role: one.holds for name, one in device.cells.items() if name.use is CellUse.DIGITAL_SIGNATURE
            }
        return found


def _sort(facts: Facts, target: EntityId) -> tuple[object, ...] | None:
    """Members of enumerations are told apart by where they stand: hashing their names takes longer than a rule."""
    place = facts.place
    if place is None or target.is_reserved:
        return None
    fuel = None if place.meter_point is None else place.meter_point.fuel
    return id(place.kind), id(place.status), id(fuel)
