"""Whether a message's protections hold: each one checked with what is known of its parties, and said one by one."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from smki.entity import EntityId, KeyUsage, RemotePartyRole
from smki.gbcs.agreement import Agreement
from smki.gbcs.header import Cra
from smki.gbcs.message import Message, Protection
from smki.gbcs.protection import mac_holds, signature_holds
from smki.gbcs.use_case import UseCase, UseCases
from smki.pki.holder import Holder
from smki.pki.keyid import point_of
from smki.pki.verdict import Fault

Answer = Literal["holds", "fails", "not checked"]


@dataclass(frozen=True, slots=True)
class Known:
    """A certificate that may be checked with."""

    name: str
    """Its serial number, or whatever tells it from others."""
    holder: Holder
    not_before: datetime
    not_after: datetime
    octets: bytes = field(default=b"", repr=False, compare=False)
    """The certificate itself, where somebody is to look again how it stands."""
    against: Fault | None = field(default=None, compare=False)
    """Why it may not be used, such as that it was revoked: what only it would prove is not proven."""

    def is_valid(self, at: datetime) -> bool:
        return self.not_before <= at <= self.not_after

    @property
    def point(self) -> bytes:
        return point_of(self.holder.public_key)


class KeyRing:
    """Certificates by whom they speak for, and the key agreement keys that we hold ourselves."""

    def __init__(self, certificates: Iterable[Known], agreements: Mapping[EntityId, Agreement] | None = None) -> None:
        self._known: dict[tuple[EntityId, KeyUsage], dict[bytes, Known]] = {}
        self.agreements = dict(agreements or {})
        self.add(certificates)

    def add(self, certificates: Iterable[Known]) -> None:
        """More certificates; one whose key is known already changes nothing, unless something speaks against it."""
        for item in certificates:
            known = self._known.setdefault((item.holder.entity, item.holder.usage), {})
            if item.against is not None or item.point not in known:
                known[item.point] = item

    def of(self, entity: EntityId, usage: KeyUsage) -> tuple[Known, ...]:
        return tuple(self._known.get((entity, usage), {}).values())

    def brokers(self) -> tuple[EntityId, ...]:
        """Every access control broker known: a command does not say which of them it went through."""
        role = RemotePartyRole.ACCESS_CONTROL_BROKER
        held = {
            entity for (entity, _), items in self._known.items() if any(i.holder.role is role for i in items.values())
        }
        return tuple(sorted(held))


@dataclass(frozen=True, slots=True)
class Check:
    """One protection, and what became of it."""

    what: str
    answer: Answer
    certificate: str = ""
    fault: Fault | None = None

    def as_json(self) -> dict[str, Any]:
        told: dict[str, Any] = {"check": self.what, "answer": self.answer}
        if self.certificate:
            told["certificate"] = self.certificate
        if self.fault is not None:
            told["fault"] = self.fault.as_json()
        return told


def verify(message: Message, use_cases: UseCases, ring: KeyRing) -> tuple[Check, ...]:
    """Every check that applies. A message is as it should be when all of them hold."""
    checks = [_form(message, use_cases)]
    if message.signature:
        checks.append(_signature(message, ring))
    if message.mac is not None:
        checks.append(_mac(message, ring))
    return tuple(checks)


def _form(message: Message, use_cases: UseCases) -> Check:
    """Whether its use case has a message of this kind, protected in this way (GBCS 5.2)."""
    header = message.header
    use_case = use_cases.get(header.code)
    if use_case is None:
        fault = Fault("message.use-case", f"no use case has code {header.code}", "see `smki usecase list`")
        return Check("form", "fails", fault=fault)
    if use_case.allows(header.cra, message.protection):
        return Check("form", "holds")
    if header.cra is Cra.COMMAND and _is_on_its_way(message, use_case):
        lacks = "signature and MAC" if use_case.is_signed and not message.signature else "MAC"
        fault = Fault("message.incomplete", f"it still lacks its {lacks}", "no device obeys it so: have it completed")
        return Check("form", "not checked", fault=fault)
    allowed = " or ".join(form.value for form in use_case.protections.get(header.cra, ())) or "no such message"
    fault = Fault(
        "message.protection",
        f"a {header.cra.name.lower()} of {use_case.label} has {allowed}, and this one {message.protection.value}",
        "refuse it: a protection was stripped, or another use case was meant",
    )
    return Check("form", "fails", fault=fault)


def _is_on_its_way(message: Message, use_case: UseCase) -> bool:
    """A pre-command, or a signed pre-command that the broker has not seen yet."""
    return message.protection is Protection.NONE or (
        message.protection is Protection.SIGNATURE and use_case.allows(Cra.COMMAND, Protection.BOTH)
    )


def _signature(message: Message, ring: KeyRing) -> Check:
    originator = message.header.originator
    known = ring.of(originator, KeyUsage.DIGITAL_SIGNATURE)
    for item in known:
        if signature_holds(message, item.holder.public_key):
            if item.against is not None:
                return Check("signature", "fails", item.name, item.against)
            return Check("signature", "holds", item.name)
    if not known:
        return _unknown("signature", f"no digital signature certificate of {originator} is known")
    fault = Fault(
        "message.signature",
        f"the signature is not by {originator}, with any of {len(known)} certificates",
        "refuse it: it was changed, or signed by another",
    )
    return Check("signature", "fails", fault=fault)


def _mac(message: Message, ring: KeyRing) -> Check:
    tried = 0
    for name, peer, agreement in _agreements(message, ring):
        tried += 1
        with agreement.with_peer(peer.holder.public_key, peer.point) as secret:
            if mac_holds(message, secret):
                if peer.against is not None:
                    return Check("MAC", "fails", f"{name} with {peer.name}", peer.against)
                return Check("MAC", "holds", f"{name} with {peer.name}")
    if not tried:
        pairs = (
            " or ".join(f"{one} with {other}" for one, other in _pairs(message, ring)) or "the access control broker"
        )
        return _unknown("MAC", f"needs a private key agreement key of one and a certificate of the other: {pairs}")
    fault = Fault(
        "message.mac", "the MAC is not that of its two parties", "refuse it: it was changed, or made by others"
    )
    return Check("MAC", "fails", fault=fault)


def _pairs(message: Message, ring: KeyRing) -> list[tuple[EntityId, EntityId]]:
    """Whose keys made the MAC: of a command the broker's and the device's, else the originator's and the target's."""
    header = message.header
    if header.cra is not Cra.COMMAND:
        return [(header.originator, header.target)]
    return [(broker, header.target) for broker in ring.brokers()]


def _agreements(message: Message, ring: KeyRing) -> Iterator[tuple[EntityId, Known, Agreement]]:
    for pair in _pairs(message, ring):
        for ours, theirs in (pair, pair[::-1]):
            agreement = ring.agreements.get(ours)
            if agreement is not None:
                yield from ((ours, peer, agreement) for peer in ring.of(theirs, KeyUsage.KEY_AGREEMENT))
                break


def _unknown(what: str, why: str) -> Check:
    return Check(what, "not checked", fault=Fault("message.unknown-key", why, "give the key or certificate it needs"))
