"""May this command be signed by this user? Each rule with its code; all that are broken are told."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from smki.errors import InvalidInput
from smki.gbcs.header import Cra
from smki.gbcs.message import Protection, read_message
from smki.gbcs.protection import digest_to_sign
from smki.gbcs.words import Reading, Vocabulary, counter_agrees, read
from smki.parties.expectation import Expectations, told
from smki.parties.intake import Given
from smki.pki.holder import Holder
from smki.pki.verdict import Fault


class Shown(Enum):
    """How the signer knows what a command says."""

    COMPARED = "compared with what was asked for"
    SEEN = "shown to the signer, who agreed"


@dataclass(frozen=True, slots=True)
class Fit:
    """A command that may be signed."""

    reference: str
    grouped: bytes
    """Header and payload: the signature goes behind them."""
    digest: bytes
    counter: int
    reading: Reading
    expectation: bytes | None
    """SHA-256 of what it was compared with."""


@dataclass(frozen=True, slots=True)
class Unfit:
    """A command that may not, and why."""

    reference: str
    faults: tuple[Fault, ...]


def judge(given: Given, signer: Holder, vocabulary: Vocabulary, expected: Expectations | None) -> Fit | Unfit:
    """Read a pre-command and hold it against every rule that needs no memory."""
    try:
        message = read_message(given.octets)
    except InvalidInput as error:
        return Unfit(given.reference, (Fault(error.code, error.message, error.remedy),))
    reading = read(message, vocabulary)
    faults = (*_of_form(reading), *_of_right(reading, signer))
    wanted = None if expected is None else expected.of(reading)
    if expected is not None:
        faults += tuple(_of_expectation(reading, expected))
    if faults:
        return Unfit(given.reference, faults)
    return Fit(
        reference=given.reference,
        grouped=message.grouped,
        digest=digest_to_sign(message),
        counter=message.header.counter,
        reading=reading,
        expectation=None if wanted is None else wanted.digest,
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
    if header.target.is_reserved or header.target == header.originator:
        yield Fault("sign.target", f"{header.target} is no device", "ask for the command again, for a device")
    if row is None:
        yield Fault("sign.use-case", f"no use case has code {header.code}", "see `smki usecase list`")
        return
    if not row.is_signed:
        yield Fault("sign.not-critical", f"{row.label} is not signed by its sender", "send it as it is")
    if signer.role not in row.senders:
        role = "a device" if signer.role is None else signer.role.word
        allowed = ", ".join(one.word for one in row.senders) or "nobody"
        yield Fault(
            "sign.role", f"{row.label} is sent by {allowed}, and the key is of {role}", "sign as who may send it"
        )


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
