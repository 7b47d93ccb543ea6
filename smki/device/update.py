"""One update of credentials, as values: what a maker says and a device reads (CS02b, CS02g; GBCS 13.3).

Reading and writing are each other's inverse. Whether what is said may be done is not judged here.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime

from cryptography.hazmat import asn1

from smki.device.cells import CellName
from smki.device.modes import RULES, identifier, named
from smki.entity import EntityId, RemotePartyRole
from smki.errors import InvalidInput
from smki.gbcs.header import Cra, Header
from smki.gbcs.message import Message
from smki.gbcs.payload.credentials import (
    CellIdentifier,
    Control,
    CounterChange,
    CounterUsage,
    Mode,
    Replacement,
    SpecialCounter,
    TimeChecks,
    Update,
    UpdateCommand,
)
from smki.gbcs.payload.declared import element, element_octets, read_declared, write_declared

MAX_COUNTER = (1 << 63) - 1  # SeqNumber of GBCS 13.3: the top bit is never used
MAX_REPLACEMENTS = 32  # more than any device has cells
MAX_PATH_CERTIFICATES = 8
MAX_CERTIFICATE_OCTETS = 4096  # in a command or an offer: some five times what the largest profile makes
CANCELLED = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
"""The execution time that takes back what was put off."""


@dataclass(frozen=True, slots=True)
class Floors:
    """Where the counters of a role begin: of its commands, and where it has one of its own, of its top-ups."""

    counter: int
    top_up: int | None = None

    def __post_init__(self) -> None:
        for value in (self.counter, self.top_up):
            if value is not None and not 0 <= value <= MAX_COUNTER:
                raise _wrong(f"counter {value} is out of range")


@dataclass(frozen=True, slots=True)
class Put:
    """One certificate, and the cell it is to go into."""

    cell: CellIdentifier
    certificate: bytes

    def __post_init__(self) -> None:
        if len(self.certificate) > MAX_CERTIFICATE_OCTETS:
            raise _wrong(f"a certificate of {len(self.certificate)} octets")

    @property
    def name(self) -> CellName | None:
        """None: such a cell is in no device."""
        return named(self.cell)

    @classmethod
    def into(cls, name: CellName, certificate: bytes) -> "Put":
        return cls(identifier(name), certificate)


@dataclass(frozen=True)
class CredentialUpdate:
    """Everything that one command says."""

    mode: Mode
    counter: int
    """The command's own again."""
    puts: tuple[Put, ...]
    path: tuple[bytes, ...]
    """Certificates between those above and the root that the device holds; for another root, its link."""
    authorising: CellName | None = None
    disapply_time: bool = False
    own_floor: int | None = None
    own_top_up_floor: int | None = None
    other_floors: tuple[tuple[RemotePartyRole, Floors], ...] | None = None
    at: datetime | None = None
    """When it is to happen; None: now; `CANCELLED`: never, and neither what was put off before."""
    symmetric_key: bytes | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if not 1 <= len(self.puts) <= MAX_REPLACEMENTS or len(self.path) > MAX_PATH_CERTIFICATES:
            raise _wrong(f"{len(self.puts)} replacements and {len(self.path)} certificates of a path")
        for value in (self.counter, self.own_floor, self.own_top_up_floor):
            if value is not None and not 0 <= value <= MAX_COUNTER:
                raise _wrong(f"counter {value} is out of range")

    def command(self, originator: EntityId, device: EntityId) -> Message:
        """The pre-command, from whoever signs it to a device."""
        header = Header(Cra.COMMAND, self.counter, originator, device, RULES[self.mode].code)
        return Message(header, self.encode())

    def encode(self) -> bytes:
        """The command's payload."""
        special = None if self.own_top_up_floor is None else [_special(self.own_top_up_floor)]
        others = None if self.other_floors is None else [counter_change(*one) for one in self.other_floors]
        control = Control(
            mode=self.mode,
            symmetric_key=self.symmetric_key,
            time_checks=TimeChecks.DISAPPLY if self.disapply_time else TimeChecks.APPLY,
            authorising_cell=None if self.authorising is None else identifier(self.authorising),
            originator_counter=self.counter,
            new_floor=self.own_floor,
            new_special_floors=special,
            other_floors=others,
        )
        said = Update(
            control=control,
            replacements=[Replacement(certificate=element(one.certificate), cell=one.cell) for one in self.puts],
            path_certificates=[element(der) for der in self.path],
            execution_date_time=None if self.at is None else asn1.GeneralizedTime(self.at),
        )
        return write_declared(UpdateCommand(payload=said))


def counter_change(role: RemotePartyRole, floors: Floors) -> CounterChange:
    special = None if floors.top_up is None else [_special(floors.top_up)]
    return CounterChange(role=role, floor=floors.counter, special_floors=special)


def _special(counter: int) -> SpecialCounter:
    return SpecialCounter(usage=CounterUsage.PREPAYMENT_TOP_UP, counter=counter)


def read_update(payload: bytes) -> CredentialUpdate:
    """What a command says, or an error that names what is wrong with its form."""
    said = read_declared(UpdateCommand, payload).payload
    control = said.control
    authorising = None
    if control.authorising_cell is not None:
        authorising = named(control.authorising_cell)
        if authorising is None:
            raise _wrong("its authority comes from a cell that no device has")
    others = control.other_floors
    if others is not None and len({change.role for change in others}) != len(others):
        raise _wrong("the counters of a role are changed twice")
    return CredentialUpdate(
        mode=control.mode,
        counter=control.originator_counter,
        puts=tuple(Put(one.cell, element_octets(one.certificate)) for one in said.replacements),
        path=tuple(element_octets(one) for one in said.path_certificates),
        authorising=authorising,
        disapply_time=control.time_checks is TimeChecks.DISAPPLY,
        own_floor=control.new_floor,
        own_top_up_floor=_one_special(control.new_special_floors),
        other_floors=None if others is None else tuple((change.role, _floors(change)) for change in others),
        at=None if said.execution_date_time is None else said.execution_date_time.as_datetime(),
        symmetric_key=control.symmetric_key,
    )


def _floors(change: CounterChange) -> Floors:
    return Floors(change.floor, _one_special(change.special_floors))


def _one_special(found: list[SpecialCounter] | None) -> int | None:
    """There is one specialist counter, so a list of them has one."""
    if found is None:
        return None
    if len(found) != 1:
        raise _wrong(f"{len(found)} specialist counters, and there is one")
    (one,) = found
    return one.counter


def _wrong(reason: str) -> InvalidInput:
    return InvalidInput("credentials.form", f"no update of credentials: {reason}", "have it made anew")
