"""Commands that join the devices of a home, part them, list them, and read who is with whom (GBCS 13.7, 13.8).

Who speaks depends on the device: the supplier in its cells, if it has such cells; else the access control broker, who
names the supplier as the one it speaks for. What is made here is a pre-command: it is signed, and given its MAC, by
the desks that are there for it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives.serialization import Encoding

from smki.authority.policies import Policies
from smki.authority.standing import judged_path
from smki.authority.workspace import Workspace
from smki.device.cells import CellName, CellUse
from smki.device.join_rules import NAMES, JoinRules, Method, Pair
from smki.device.joins import certificate_of
from smki.entity import DeviceType, EntityId, KeyUsage, RemotePartyRole
from smki.errors import InvalidInput, Refused
from smki.gbcs.header import Cra, Header, MessageCode, Supplementary
from smki.gbcs.install_code import InstallCode
from smki.gbcs.message import Message
from smki.gbcs.payload import hub
from smki.gbcs.payload.declared import write_declared
from smki.gbcs.payload.joins import (
    CS07,
    GCS59,
    JOIN_CODES,
    UNJOIN_CODES,
    Join,
    JoinCommand,
    JoinMethod,
    LogEntry,
    NothingCommand,
    Restore,
    RestoreCommand,
    UnjoinCommand,
)
from smki.gbcs.words import Vocabulary
from smki.parties.expecting import Expecting
from smki.parties.keys import Certified, issued_to, refuse_revoked, register_faults
from smki.parties.signing_rules import MAX_SIGNED_COUNTER
from smki.pki.kind import Kind
from smki.pki.path import InvalidPath

_SUPPLIER_CELL = CellName(RemotePartyRole.SUPPLIER, CellUse.DIGITAL_SIGNATURE)
_LOGGED = frozenset({DeviceType.ESME, DeviceType.GSME, DeviceType.GPF, DeviceType.PPMID, DeviceType.HCALCS})


@dataclass(frozen=True, slots=True)
class Member:
    """A device of a home."""

    device: EntityId
    kind: DeviceType

    def __str__(self) -> str:
        return f"{self.kind.value} {self.device}"


@dataclass(frozen=True, slots=True)
class Part:
    """One device's part in a join: what it is told to do, with whom."""

    member: Member
    method: JoinMethod
    other: Member


@dataclass(frozen=True, slots=True)
class Parties:
    """Who commands a home."""

    supplier: EntityId
    broker: EntityId


@dataclass(frozen=True, slots=True)
class Order:
    """A command that was made: to whom, in whose name, and who puts what on it."""

    member: Member
    message: Message
    role: RemotePartyRole
    """Whose counter it uses, and who signs it if it is signed."""
    signed: bool
    expectation: dict[str, Any]

    @property
    def code(self) -> MessageCode:
        return self.message.header.code

    @property
    def secret(self) -> bool:
        """Whether it carries an install code."""
        return self.code == hub.CCS01


# Who joins whom


def pair_of(rules: JoinRules, one: Member, other: Member) -> tuple[Pair, Member, Member]:
    """The one pair that two devices can be, and which of them is its first."""
    for first, second in ((one, other), (other, one)):
        for pair in rules.pairs:
            if (pair.first, pair.second) == (first.kind, second.kind) and one.device != other.device:
                return pair, first, second
    raise Refused(
        "han.pair",
        f"{one} and {other} are not joined with each other (GBCS 13.7.1.2)",
        "see `smki han plan` for who is, and joins.toml for the rules",
    )


def joining(pair: Pair, first: Member, second: Member) -> tuple[Part, ...]:
    """Who is told, in order: the one that waits before the one that begins."""
    if pair.method is Method.A:
        return Part(second, JoinMethod.A_RESPONDER, first), Part(first, JoinMethod.A_INITIATOR, second)
    if pair.method is Method.B:
        return (Part(first, JoinMethod.B, second),)
    return Part(second, JoinMethod.C, first), Part(first, JoinMethod.C, second)


def parting(pair: Pair, first: Member, second: Member) -> tuple[Part, ...]:
    """The same, the other way round: the one that acts stops first."""
    return tuple(reversed(joining(pair, first, second)))


def speaker(policies: Policies, member: Member) -> RemotePartyRole:
    """Who commands a device: its supplier, if it has a cell for one; else the broker."""
    supplier = _SUPPLIER_CELL in policies.devices.get(member.kind, ())
    return RemotePartyRole.SUPPLIER if supplier else RemotePartyRole.ACCESS_CONTROL_BROKER


# Making commands


class HanDesk:
    """Where commands to a home are made."""

    def __init__(self, workspace: Workspace, vocabulary: Vocabulary, parties: Parties, counter: int) -> None:
        self._workspace = workspace
        self._policies = workspace.policies
        self._expecting = Expecting(vocabulary)
        self._parties = parties
        self._counter = counter

    def join(self, one: Member, other: Member, known: Sequence[Certified]) -> Iterator[Order]:
        pair = pair_of(self._policies.joins.rules, one, other)
        for part in joining(*pair):
            certificate = None
            if part.method is JoinMethod.C:
                certificate = agreement_certificate(self._workspace, part.other.device, known).certificate
            said = join_payload(part, certificate)
            yield self._order(part.member, JOIN_CODES[part.method], said)

    def unjoin(self, one: Member, other: Member) -> Iterator[Order]:
        for part in parting(*pair_of(self._policies.joins.rules, one, other)):
            payload = write_declared(UnjoinCommand(payload=part.other.device.octets))
            yield self._order(part.member, UNJOIN_CODES[part.method], payload)

    def list_device(self, hub_: Member, device: EntityId, code: InstallCode, seconds: int) -> Order:
        _check_kind(hub_, {DeviceType.CHF})
        return self._order(hub_, hub.CCS01, hub.register(self._counter, device, code, seconds))

    def unlist_device(self, hub_: Member, device: EntityId) -> Order:
        _check_kind(hub_, {DeviceType.CHF})
        return self._order(hub_, hub.CCS02, hub.unregister(self._counter, device))

    def restore_hub(self, hub_: Member, backup: hub.Backup) -> Order:
        _check_kind(hub_, {DeviceType.CHF})
        return self._order(hub_, hub.CCS03, hub.restore(self._counter, backup))

    def restore_proxy(self, proxy: Member, entries: Sequence[LogEntry]) -> Order:
        _check_kind(proxy, {DeviceType.GPF})
        payload = write_declared(RestoreCommand(payload=Restore(entries=list(entries))))
        return self._order(proxy, GCS59, payload)

    def read_log(self, member: Member) -> Order:
        if member.kind is DeviceType.CHF:
            return self._order(member, hub.CCS06, hub.read_devices(self._counter))
        _check_kind(member, _LOGGED)
        return self._order(member, CS07, write_declared(NothingCommand(payload=asn1.Null())))

    def _order(self, member: Member, code: MessageCode, payload: bytes) -> Order:
        """The pre-command with the next counter, and what its signer is to find in it."""
        if not 0 <= self._counter <= MAX_SIGNED_COUNTER:
            raise InvalidInput("han.counter", f"counter {self._counter}", f"give 0 to {MAX_SIGNED_COUNTER}")
        if member.device.is_reserved:
            raise InvalidInput("han.device", f"{member.device} is no device", "name the device")
        role = speaker(self._policies, member)
        supplier = role is RemotePartyRole.SUPPLIER
        header = Header(
            Cra.COMMAND,
            self._counter,
            self._parties.supplier if supplier else self._parties.broker,
            member.device,
            code,
            None if supplier else Supplementary(self._parties.supplier, self._counter),
        )
        message = Message(header, payload)
        row = self._policies.use_cases[code]
        if role not in row.senders or member.kind not in row.devices:
            raise Refused("han.use-case", f"{row.label} is not sent by {role.word} to {member}", "see use-cases.toml")
        self._counter += 1
        told = self._expecting.of(message, message.encode())
        return Order(member, message, role, row.is_signed, told)


def _check_kind(member: Member, kinds: "set[DeviceType] | frozenset[DeviceType]") -> None:
    if member.kind not in kinds:
        wanted = " or ".join(sorted(kind.value for kind in kinds))
        raise InvalidInput("han.kind", f"{member} is no {wanted}", "name the device that is")


def join_payload(part: Part, certificate: x509.Certificate | None) -> bytes:
    said = Join(
        method=part.method,
        other_device=part.other.device.octets,
        other_device_type=NAMES[part.other.kind],
        other_device_certificate=certificate,
    )
    return write_declared(JoinCommand(payload=said))


def agreement_certificate(workspace: Workspace, device: EntityId, given: Sequence[Certified]) -> Certified:
    """A device's key agreement certificate in use: from the files given, else from those that we issued; checked.

    The device that is told believes it for our signature alone, so we look at all that it cannot.
    """
    usage = KeyUsage.KEY_AGREEMENT
    known = [one for one in given if (one.holder.entity, one.holder.usage) == (device, usage)]
    known = known or list(issued_to(workspace, device, usage))
    if not known:
        refuse_revoked(workspace, device, usage)
    if len(known) != 1:
        raise Refused(
            "han.certificate",
            f"{len(known)} key agreement certificates of {device} are known",
            "give the one it uses: --certificates FILE; one that was issued is in use once it is commissioned",
        )
    _check_certificate(workspace, known[0])
    return known[0]


def _check_certificate(workspace: Workspace, one: Certified) -> None:
    der = one.certificate.public_bytes(Encoding.DER)
    if certificate_of(der, one.holder.entity) is None:
        raise Refused(
            "han.certificate", f"certificate {one.serial} is no device's for agreeing keys", "give that one"
        )
    for fault in register_faults(workspace, one, or_pending=True):
        raise Refused(fault.code, fault.message, fault.remedy)
    verdict = judged_path(workspace, der, Kind.DEVICE, KeyUsage.KEY_AGREEMENT)
    if isinstance(verdict, InvalidPath):
        raise Refused(
            "han.certificate",
            f"certificate {one.serial} of {one.holder.entity}: "
            + "; ".join(fault.message for fault in verdict.faults[:3]),
            "put the device authorities' certificates into the workspace's folder anchors/",
        )
