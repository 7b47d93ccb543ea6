"""What devices say of their credentials: responses and alerts as values (CS02a to CS02g). Nothing is judged here."""

from dataclasses import dataclass
from datetime import datetime

from cryptography.hazmat import asn1

from smki.device.cells import CellName
from smki.device.modes import RULES, RULES_BY_CODE, named
from smki.device.update import Floors
from smki.entity import EntityId, RemotePartyRole
from smki.errors import InvalidInput
from smki.gbcs.header import Cra, MessageCode
from smki.gbcs.message import Message
from smki.gbcs.payload.credentials import (
    CellIdentifier,
    CertificateCode,
    CounterChange,
    Mode,
    ProvideCode,
    ReplacementOutcome,
    RequestCode,
    RoleDetails,
    RoleDetailsWithDefault,
    StatusCode,
    UpdateOutcome,
)
from smki.gbcs.payload.declared import element_octets, enumerated_value
from smki.gbcs.payload.security import read_security
from smki.parties.asking import INSTALL_KEY, READ_CELLS, READ_CELLS_WITH_LOAD, READ_KEY, REQUEST_KEY

ALL_REPLACED, SOME_NOT = 0x8F66, 0x8F67
_ALERTS = {int(rule.alert_code) for rule in RULES.values()}
_INTEGER = b"\x02\x01"


@dataclass(frozen=True, slots=True)
class Holding:
    """Whose key is in a cell: which organisation's, by which key identifier."""

    organisation: EntityId
    key_identifier: bytes


@dataclass(frozen=True, slots=True)
class CellOutcome:
    """What became of one replacement."""

    cell: CellName | None
    """None: no device has such a cell."""
    status: int
    before: Holding
    after: Holding

    @property
    def succeeded(self) -> bool:
        return self.status == StatusCode.SUCCESS

    @property
    def word(self) -> str:
        return StatusCode.told(self.status)


@dataclass(frozen=True, slots=True)
class PutOff:
    """The command was taken, and waits for its time; or took back what waited."""


@dataclass(frozen=True, slots=True)
class Replaced:
    """What became of every replacement of a command."""

    mode: Mode
    counter: int
    cells: tuple[CellOutcome, ...]
    floors: tuple[tuple[RemotePartyRole, Floors], ...]
    alert: int | None = None
    executed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class RoleHeld:
    """What a device says of one role."""

    role: RemotePartyRole
    status: int
    counter: int | None
    cells: tuple[tuple[CellName, Holding], ...]

    @property
    def word(self) -> str:
        return StatusCode.told(self.status)


@dataclass(frozen=True, slots=True)
class Details:
    """What is in the cells of some roles."""

    roles: tuple[RoleHeld, ...]


@dataclass(frozen=True, slots=True)
class OwnKey:
    """Of a device's own key: a request, a certificate, or a code that says what became of it."""

    octets: bytes | None
    code: int | None
    word: str


Said = PutOff | Replaced | Details | OwnKey


@dataclass(frozen=True, slots=True)
class Answer:
    """What a device says, and of which command."""

    device: EntityId
    originator: EntityId
    counter: int
    """The command's."""
    code: MessageCode
    """The command's."""
    said: Said


def is_answer(message: Message) -> bool:
    """Whether it is a response or alert about credentials."""
    code = message.header.code
    if message.header.cra is Cra.ALERT:
        return int(code) in _ALERTS
    own = {READ_CELLS, READ_CELLS_WITH_LOAD, REQUEST_KEY, INSTALL_KEY, READ_KEY}
    return message.header.cra is Cra.RESPONSE and (code in own or code in RULES_BY_CODE)


def read_answer(message: Message) -> Answer:
    """Read a response or alert about credentials."""
    header = message.header
    if not is_answer(message):
        raise InvalidInput(
            "outcome.kind",
            f"a {header.cra.name.lower()} {header.code} is no answer about credentials",
            "give the responses and alerts of devices to CS02a to CS02g",
        )
    value, _ = read_security(message.payload, header.code, header.cra)
    said = value.payload
    if header.cra is Cra.ALERT:
        found = _replaced(said.outcome, said.alert_code, said.execution_date_time.as_datetime())
        return Answer(header.originator, header.target, found.counter, RULES[found.mode].code, found)
    return Answer(header.originator, header.target, header.counter, header.code, _response(said, header.code))


def _response(said: object, code: MessageCode) -> Said:
    if code in RULES_BY_CODE:
        outcome = getattr(said, "outcome", None)
        return PutOff() if outcome is None else _replaced(outcome)
    if isinstance(said, list):
        return Details(tuple(_role(item) for item in said))
    if isinstance(said, int):
        return OwnKey(None, said, CertificateCode.told(said))
    assert isinstance(said, asn1.TLV), "CS02c and CS02e answer with any element"
    octets = element_octets(said)
    if octets[:2] == _INTEGER:
        return OwnKey(None, octets[2], (RequestCode if code == REQUEST_KEY else ProvideCode).told(octets[2]))
    return OwnKey(octets, None, "request" if code == REQUEST_KEY else "certificate")


def _replaced(outcome: UpdateOutcome, alert: int | None = None, at: datetime | None = None) -> Replaced:
    return Replaced(
        mode=outcome.mode,
        counter=outcome.originator_counter,
        cells=tuple(_cell(one) for one in outcome.replacements),
        floors=tuple((one.role, _floors(one)) for one in outcome.counter_changes),
        alert=alert,
        executed_at=at,
    )


def _cell(one: ReplacementOutcome) -> CellOutcome:
    return CellOutcome(
        cell=named(one.cell),
        status=enumerated_value(one.status_code),
        before=Holding(EntityId(one.existing_subject_unique_id), one.existing_subject_key_identifier),
        after=Holding(EntityId(one.replacing_subject_unique_id), one.replacing_subject_key_identifier),
    )


def _floors(one: CounterChange) -> Floors:
    special = one.special_floors
    return Floors(one.floor, special[0].counter if special else None)


def _role(item: RoleDetails | RoleDetailsWithDefault) -> RoleHeld:
    """As declared, or with the cell usage that some devices write out."""
    cells = []
    for one in item.cells or ():
        name = named(CellIdentifier(role=item.role, key_usage=one.key_usage, cell_usage=one.cell_usage))
        if name is None:
            raise InvalidInput(
                "outcome.cell", f"{item.role.word} has a cell that no device has", "ask the device again"
            )
        cells.append((name, Holding(EntityId(one.subject_unique_id), one.subject_key_identifier)))
    return RoleHeld(item.role, enumerated_value(item.status_code), item.current_counter, tuple(cells))
