"""May this command be signed by this user? Each rule with its code; all that are broken are told."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType

from smki.device.modes import RULES_BY_CODE
from smki.entity import RemotePartyRole
from smki.errors import InvalidInput
from smki.gbcs.header import Cra
from smki.gbcs.message import Protection, read_message
from smki.gbcs.payload.credentials import Mode, UpdateCommand
from smki.gbcs.payload.declared import read_declared
from smki.gbcs.protection import digest_to_sign
from smki.gbcs.words import Reading, Vocabulary, counter_agrees, read
from smki.parties.expectation import Expectations, told
from smki.parties.intake import Given
from smki.pki.holder import Holder
from smki.pki.verdict import Fault

MAX_SIGNED_COUNTER = (1 << 63) - 1  # SeqNumber (GBCS 13.3): the top bit is never used
UPDATE_MODES = {int(code): rule.mode for code, rule in RULES_BY_CODE.items()}
"""The one mode of each message code of CS02b and CS02g (GBCS 13.3)."""

COS_MODES = frozenset({Mode.TRANS_COS_BY_TRANS_COS, Mode.SUPPLIER_BY_TRANS_COS})
"""All that a key of the change-of-supplier party signs: it reaches every home, so it does nothing else."""
BY_QUORUM = frozenset({Mode.ANY_EXCEPT_ABNORMAL_ROOT_BY_RECOVERY, Mode.ANY_BY_CONTINGENCY})
"""What opens any home's cells: signed in the run of a plan that key custodians approved, and nowhere else."""
PLAN_IT = "have key custodians approve a plan, and run it: `smki recovery run`, `smki contingency run`"
_NOBODY_VOUCHES: Mapping[bytes, bytes] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Only:
    """An operation on a home's supply, and the one use case that may carry it with such data."""

    what: str
    code: int
    start: bytes = b""
    place: int = 0

    def fits(self, data: bytes) -> bool:
        return data[self.place : self.place + len(self.start)] == self.start


_SWITCH = "execute class 9 0-0:10.0.106.255 1"
_VALVE = "cluster 0x0702 command 0x0B"
_VALVE_STATUS = 16  # octets of a Change Supply before the proposed status (ZSE annex D.3.3.2)
SUPPLY = (
    Only(_SWITCH, 0x004F, bytes.fromhex("120033")),
    Only(_SWITCH, 0x0050, bytes.fromhex("120034")),
    Only(_SWITCH, 0x0051, bytes.fromhex("120036")),
    Only(_VALVE, 0x0081, b"\0", _VALVE_STATUS),
    Only(_VALVE, 0x0085, b"\1", _VALVE_STATUS),
    *(Only(f"execute class 70 0-0:96.3.10.255 {method}", -1) for method in (1, 2)),
)
"""What turns supply on and off. Thresholds count use cases, so none of these passes under another one's name."""


class Shown(Enum):
    """How the signer knows what a command says."""

    COMPARED = "compared with what was asked for"
    SEEN = "shown to the signer, who agreed"
    JUDGED = "judged by the change-of-supplier desk"


@dataclass(frozen=True, slots=True)
class Fit:
    """A command that may be signed."""

    reference: str
    grouped: bytes = field(repr=False)
    """Header and payload: the signature goes behind them."""
    digest: bytes
    counter: int
    reading: Reading
    expectation: bytes | None
    """SHA-256 of what it was compared with, or of the request it was made for."""


@dataclass(frozen=True, slots=True)
class Unfit:
    """A command that may not, and why."""

    reference: str
    faults: tuple[Fault, ...]


def judge(
    given: Given,
    signer: Holder,
    vocabulary: Vocabulary,
    expected: Expectations | None,
    vouched: Mapping[bytes, bytes] = _NOBODY_VOUCHES,
    *,
    approved: bool = False,
) -> Fit | Unfit:
    """Read a pre-command and hold it against every rule that needs no memory.

    `vouched` are the digests of changes of supplier that their desk judged just now, and the request of each;
    `approved` says that it is one of a plan that a quorum of key custodians approved.
    """
    try:
        message = read_message(given.octets)
    except InvalidInput as error:
        return Unfit(given.reference, (Fault.of(error),))
    reading = read(message, vocabulary)
    digest = digest_to_sign(message)
    faults = (
        *_of_form(reading),
        *_of_right(reading, signer),
        *_of_supplier_change(reading, signer, digest in vouched),
        *(() if approved else _of_quorum(reading, signer)),
    )
    wanted = None if expected is None else expected.of(reading)
    if expected is not None:
        faults += tuple(_of_expectation(reading, expected))
    if faults:
        return Unfit(given.reference, faults)
    return Fit(
        reference=given.reference,
        grouped=message.grouped,
        digest=digest,
        counter=message.header.counter,
        reading=reading,
        expectation=vouched.get(digest) if wanted is None else wanted.digest,
    )


def _of_form(reading: Reading) -> Iterator[Fault]:
    message = reading.message
    if message.header.cra is not Cra.COMMAND:
        yield Fault("sign.kind", f"it is a {message.header.cra.name.lower()}", "a user signs pre-commands only")
    if message.protection is not Protection.NONE:
        yield Fault(
            "sign.protected", f"it carries {message.protection.value} already", "hand in the pre-command as it came"
        )
    if reading.fault is not None:
        yield Fault("sign.payload", reading.fault.message, "nobody signs what cannot be read: ask for it again")
    elif reading.payload.encrypted:
        yield Fault("sign.encrypted", "part of it is encrypted", "commands hide nothing: ask for it again")
    elif (reading.kind != "asn1" and not reading.operations) or not reading.payload.nodes:
        yield Fault("sign.payload-kind", "its payload asks nothing of a device", "ask for the command again")
    elif not counter_agrees(reading):
        yield Fault(
            "sign.payload-counter", "its payload repeats another counter than its header has", "ask for it again"
        )


def _of_right(reading: Reading, signer: Holder) -> Iterator[Fault]:
    header, row = reading.message.header, reading.use_case
    if header.originator != signer.entity:
        yield Fault(
            "sign.originator",
            f"it speaks for {header.originator}, and the key is of {signer.entity}",
            "sign with the originator's own key",
        )
    if header.counter > MAX_SIGNED_COUNTER:
        yield Fault("sign.counter-range", f"counter {header.counter} uses up all there are", "number it anew")
    if header.supplementary is not None and signer.role is not RemotePartyRole.ACCESS_CONTROL_BROKER:
        yield Fault(
            "sign.supplementary", "it names a party besides its originator", "only the broker speaks for others"
        )
    if header.target.is_reserved or header.target == header.originator:
        yield Fault("sign.target", f"{header.target} is no device", "ask for the command again, for a device")
    if row is None:
        yield Fault("sign.use-case", f"no use case has code {header.code}", "see `smki usecase list`")
        return
    yield from of_operations(reading)
    if not row.is_signed:
        yield Fault("sign.not-critical", f"{row.label} is not signed by its sender", "send it as it is")
    if signer.role not in row.senders:
        role = "a device" if signer.role is None else signer.role.word
        allowed = ", ".join(one.word for one in row.senders) or "nobody"
        yield Fault(
            "sign.role", f"{row.label} is sent by {allowed}, and the key is of {role}", "sign as who may send it"
        )


def _of_supplier_change(reading: Reading, signer: Holder, vouched: bool) -> Iterator[Fault]:
    """Limits no policy file moves: the party changes suppliers only, and nobody does so by the side door."""
    mode = UPDATE_MODES.get(int(reading.message.header.code))
    if signer.role is RemotePartyRole.TRANSITIONAL_COS and mode not in COS_MODES:
        yield Fault(
            "sign.cos-mode",
            f"the change-of-supplier party signs no {reading.message.header.code}",
            "have it signed by whom it concerns",
        )
    if mode is Mode.SUPPLIER_BY_TRANS_COS and not (vouched and signer.role is RemotePartyRole.TRANSITIONAL_COS):
        yield Fault(
            "sign.cos-unjudged",
            "a change of supplier that was not judged against the registration data",
            "have the incoming supplier ask for it, and run its request: `smki cos run`",
        )


def _of_quorum(reading: Reading, signer: Holder) -> Iterator[Fault]:
    """No policy file moves this limit either: one person with a token is not enough for every home."""
    mode = UPDATE_MODES.get(int(reading.message.header.code))
    if mode in BY_QUORUM or signer.role is RemotePartyRole.RECOVERY:
        yield Fault("sign.quorum", "nobody signs for the recovery or the contingency alone", PLAN_IT)


def of_operations(reading: Reading, whose: str = "sign") -> Iterator[Fault]:
    """A command does what its use case is for: nobody opens a switch under another name. Codes are named for `whose`
    rule it is."""
    header = reading.message.header
    if int(header.code) in UPDATE_MODES and reading.fault is None:
        mode = read_declared(UpdateCommand, reading.message.payload).payload.control.mode
        if mode != UPDATE_MODES[int(header.code)]:
            words = mode.name.lower().replace("_", " ")
            yield Fault(f"{whose}.mode", f"{header.code} is not for mode {words}", "ask for the command again")
    for one in reading.operations:
        uses = [only for only in SUPPLY if only.what == one.what]
        if uses and not any(only.code == header.code and only.fits(one.data) for only in uses):
            label = "" if reading.use_case is None else reading.use_case.label
            message = f"{one.what} with {one.data.hex()} is not {label}"
            yield Fault(f"{whose}.operation", message, "find out who made it")


def _of_expectation(reading: Reading, expected: Expectations) -> Iterator[Fault]:
    wanted = expected.of(reading)
    header = reading.message.header
    if wanted is None:
        yield Fault(
            "sign.not-asked",
            f"nothing was asked of {header.target} with counter {header.counter}",
            "find out who made this command",
        )
        return
    differences = list(wanted.differences(reading))
    if differences:
        yield Fault("sign.expectation", told(differences), "do not sign it: find out where it was changed")
