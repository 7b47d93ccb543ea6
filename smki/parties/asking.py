"""Commands about credentials that replace nobody's: reading cells, and a device's own keys (CS02a, CS02c to CS02f).

A rotation: a device makes a new pair and asks for its certificate (CS02c), is given it (CS02d), is read back (CS02e).
"""

from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice

from smki.authority.log import seal
from smki.authority.standing import judged_path
from smki.authority.workspace import Workspace
from smki.device.cells import CellName, CellUse
from smki.device.modes import identifier, key_usage_bits
from smki.entity import DeviceType, EntityId, KeyUsage, RemotePartyRole
from smki.errors import SmkiError
from smki.gbcs.header import Cra, Header, MessageCode
from smki.gbcs.message import Message
from smki.gbcs.payload.credentials import (
    CS02A,
    CS02C,
    CS02D,
    CS02E,
    CS02F,
    CertificateCommand,
    DetailsCommand,
    DetailsRequest,
    KeyUsageWanted,
    OwnKeyCommand,
)
from smki.gbcs.payload.declared import element, write_declared
from smki.parties.keys import Certified, certified, register_faults
from smki.parties.ordering import CHUNK, Draft, Ordering, device_faults, digest_of
from smki.pki.keyid import KeyIdentifier
from smki.pki.kind import Kind
from smki.pki.path import InvalidPath
from smki.pki.verdict import Fault
from smki.store.estate_records import DeviceRecord
from smki.store.records import PutRecord

READ_CELLS, READ_CELLS_WITH_LOAD = CS02A, CS02F
"""CS02a, and CS02f for meters and controllers with load controllers' cells."""
REQUEST_KEY, INSTALL_KEY, READ_KEY = CS02C, CS02D, CS02E
_USES = {KeyUsage.DIGITAL_SIGNATURE: CellUse.DIGITAL_SIGNATURE, KeyUsage.KEY_AGREEMENT: CellUse.KEY_AGREEMENT}
_MOST_ROLES = 16


@dataclass(frozen=True, slots=True)
class Asking:
    """One command that is asked for."""

    message: Message
    word: str
    role: RemotePartyRole
    """In which its originator speaks."""
    puts: tuple[PutRecord, ...] = ()
    faults: tuple[Fault, ...] = ()
    reference: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """What became of it: on record, or not made and why."""

    asking: Asking
    digest: bytes = b""
    before: bool = False
    faults: tuple[Fault, ...] = ()


def read_cells(
    workspace: Workspace,
    who: tuple[EntityId, RemotePartyRole],
    device: EntityId,
    counter: int,
    roles: tuple[RemotePartyRole, ...],
    kind: DeviceType | None = None,
) -> Asking:
    """Ask what is in the cells of some roles. The broker asks by its MAC, others by their signature (GBCS 13.2)."""
    originator, role = who
    use = CellUse.KEY_AGREEMENT if role is RemotePartyRole.ACCESS_CONTROL_BROKER else CellUse.DIGITAL_SIGNATURE
    with_load = RemotePartyRole.LOAD_CONTROLLER in (role, *roles) or kind is DeviceType.SAPC
    code = READ_CELLS_WITH_LOAD if with_load else READ_CELLS
    wanted = DetailsRequest(authorising_cell=identifier(CellName(role, use)), roles=list(roles))
    message = _message(originator, device, counter, code, write_declared(DetailsCommand(payload=wanted)))
    faults = []
    row = workspace.policies.use_cases[code]
    if role not in row.senders:
        allowed = ", ".join(one.word for one in row.senders)
        faults.append(Fault("credentials.role", f"no {role.word} may send {row.label}", f"ask as one of: {allowed}"))
    if not 1 <= len(roles) <= _MOST_ROLES or len(set(roles)) != len(roles):
        faults.append(Fault("credentials.roles", "no role, or one twice", "name each role once"))
    return Asking(message, row.name, role, faults=tuple(faults))


def request_key(originator: EntityId, device: EntityId, counter: int, usage: KeyUsage) -> Asking:
    """Have a device make a new pair, and ask for its certificate (CS02c)."""
    return _of_own_key(REQUEST_KEY, "CS02c", originator, device, counter, usage)


def read_key(originator: EntityId, device: EntityId, counter: int, usage: KeyUsage) -> Asking:
    """Read back the certificate that a device uses (CS02e)."""
    return _of_own_key(READ_KEY, "CS02e", originator, device, counter, usage)


def _of_own_key(
    code: MessageCode, word: str, originator: EntityId, device: EntityId, counter: int, usage: KeyUsage
) -> Asking:
    wanted = OwnKeyCommand(payload=KeyUsageWanted(key_usage=key_usage_bits(_USES[usage])))
    message = _message(originator, device, counter, code, write_declared(wanted))
    return Asking(message, word, RemotePartyRole.SUPPLIER)


def install_key(workspace: Workspace, originator: EntityId, counter: int, certificate: bytes) -> Asking:
    """Give a device the certificate that it asked for (CS02d): the device is the one the certificate names."""
    one = certified(certificate, "the device's certificate")
    device, usage = one.holder.entity, one.holder.usage
    payload = write_declared(CertificateCommand(payload=element(certificate)))
    message = _message(originator, device, counter, INSTALL_KEY, payload)
    put = PutRecord(usage, device, KeyIdentifier.of(one.holder.public_key).octets, one.serial)
    faults = tuple(_of_own_certificate(workspace, one))
    return Asking(message, "CS02d", RemotePartyRole.SUPPLIER, (put,), faults)


def _of_own_certificate(workspace: Workspace, one: Certified) -> Iterator[Fault]:
    """A device's, in use where it is registered, and of an authority that is known here or not known at all.

    A user's workspace need not know the devices' authorities: the device does.
    """
    if one.holder.role is not None:
        yield Fault("credentials.own", f"certificate {one.serial} is no device's", "give the one it asked for")
        return
    yield from register_faults(workspace, one, or_pending=True)
    verdict = judged_path(workspace, one.octets, Kind.DEVICE, one.holder.usage)
    if isinstance(verdict, InvalidPath) and not (workspace.kind == "user" and "path.no-anchor" in verdict.codes):
        yield from verdict.faults[:3]


def _message(originator: EntityId, device: EntityId, counter: int, code: MessageCode, payload: bytes) -> Message:
    return Message(Header(Cra.COMMAND, counter, originator, device, code), payload)


def _of_device(one: Asking, devices: Mapping[EntityId, DeviceRecord]) -> tuple[Fault, ...]:
    header = one.message.header
    return device_faults(header, devices.get(header.target))


def _draft(one: Asking) -> Draft:
    return Draft(one.message, digest_of(one.message), one.word, one.role, one.puts)


def ask(workspace: Workspace, askings: Iterable[Asking], batch: bytes) -> Generator[Asked]:
    """Put what may be asked on record, and hand it out. Close it at the end."""
    ordering = Ordering(workspace, batch)
    source = iter(askings)
    try:
        while chunk := list(islice(source, CHUNK)):
            devices = ordering.devices([one.message.header.target for one in chunk])
            faults = [(*one.faults, *_of_device(one, devices)) for one in chunk]
            drafts = [_draft(one) for one, wrong in zip(chunk, faults, strict=True) if not wrong]
            placed = iter(ordering.place(drafts, devices))
            for one, wrong in zip(chunk, faults, strict=True):
                found = None if wrong else next(placed)
                if found is None or found.fault is not None:
                    yield Asked(one, faults=wrong if found is None or found.fault is None else (found.fault,))
                else:
                    yield Asked(one, found.draft.digest, found.before)
    finally:
        with suppress(SmkiError):  # what was made is on record; the next act signs the log as well
            seal(workspace)
