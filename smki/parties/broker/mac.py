"""The access control broker's MAC: the second lock on every command that a device obeys (GBCS 6.2.4).

Here a command is looked at: its form, its payload, its originator's role and signature; then the MAC is computed with
the broker's key agreement key. Whether it should be sent at all (to this home, now, so often) is not judged here.
"""

import hashlib
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from itertools import islice

from smki.authority.log import act, seal
from smki.authority.standing import Watch
from smki.authority.workspace import Workspace
from smki.entity import EntityId, KeyUsage
from smki.errors import InvalidInput
from smki.gbcs.agreement import Agreement
from smki.gbcs.header import Cra
from smki.gbcs.message import Message, Protection, read_message
from smki.gbcs.protection import add_mac
from smki.gbcs.use_case import UseCase
from smki.gbcs.verdict import KeyRing, Known, verify
from smki.gbcs.words import Vocabulary, read
from smki.parties.intake import Given
from smki.parties.keys import Doubts
from smki.parties.outcome import Outcome
from smki.pki.verdict import Fault

CHUNK = 512
Certificates = Callable[[EntityId, KeyUsage], Sequence[Known]]


class MacDesk:
    """Where the broker's key works."""

    def __init__(
        self,
        vocabulary: Vocabulary,
        agreement: Agreement,
        certificates: Certificates,
        doubts: Doubts | None = None,
        own: Watch | None = None,
    ) -> None:
        self._vocabulary = vocabulary
        self._agreement = agreement
        self._certificates = certificates
        self._doubts = doubts
        self._own = own

    def look_again(self) -> None:
        """Before each piece of a long run: a certificate that was revoked meanwhile serves no more."""
        if self._doubts is not None:
            self._doubts.forget()
        if self._own is not None:
            self._own.refuse()

    def _known(self, entity: EntityId, usage: KeyUsage) -> list[Known]:
        found = self._certificates(entity, usage)
        return [*found] if self._doubts is None else [self._doubts.of(item) for item in found]

    def seal(self, given: Given) -> Outcome:
        """Add the MAC to one command, or say why not."""
        try:
            message = read_message(given.octets)
        except InvalidInput as error:
            return Outcome(given.reference, "refused", faults=(Fault.of(error),))
        faults = tuple(self._faults(message))
        if faults:
            return Outcome(given.reference, "refused", faults=faults)
        target = message.header.target
        found = self._known(target, KeyUsage.KEY_AGREEMENT)
        known = [item for item in found if item.against is None]
        if found and not known:
            return Outcome(given.reference, "refused", faults=tuple(item.against for item in found if item.against))
        if len(known) != 1:
            fault = Fault(
                "mac.device",
                f"{len(known)} key agreement certificates of {target} are known",
                "give the one that the device uses",
            )
            return Outcome(given.reference, "refused", faults=(fault,))
        with self._agreement.with_peer(known[0].holder.public_key, known[0].point) as secret:
            return Outcome(given.reference, "MAC added", add_mac(message, secret).encode())

    def _faults(self, message: Message) -> Iterator[Fault]:
        header = message.header
        if header.cra is not Cra.COMMAND or message.mac is not None:
            yield Fault("mac.kind", "it is no command without a MAC", "the broker adds its MAC to commands, once")
            return
        row = self._vocabulary.use_cases.get(header.code)
        wanted = Protection.BOTH if message.signature else Protection.MAC
        if row is None or not row.allows(Cra.COMMAND, wanted):
            name = str(header.code) if row is None else row.label
            yield Fault(
                "mac.protection",
                f"no command of {name} carries {wanted.value}",
                "have it signed first if it is critical; send it as it is if its signature is all",
            )
            return
        yield from self._originator_faults(message, row)
        reading = read(message, self._vocabulary)
        if reading.fault is not None or reading.payload.encrypted:
            why = "part of it is encrypted" if reading.fault is None else reading.fault.message
            yield Fault("mac.payload", why, "send nothing that cannot be read")

    def _originator_faults(self, message: Message, row: UseCase) -> Iterator[Fault]:
        """Its originator is known in a role that may send it, and signed it where it is signed."""
        originator = message.header.originator
        usage = KeyUsage.DIGITAL_SIGNATURE if message.signature else KeyUsage.KEY_AGREEMENT
        known = self._known(originator, usage)
        entitled = [item for item in known if item.holder.role in row.senders]
        if known and not entitled:
            yield Fault("mac.role", f"{originator} may not send {row.label}", "have it sent by a role that may")
        elif message.signature:
            checks = verify(message, self._vocabulary.use_cases, KeyRing(entitled))
            yield from (one.fault for one in checks if one.what == "signature" and one.fault is not None)
        elif entitled and all(item.against for item in entitled):
            yield from (item.against for item in entitled if item.against)
        elif not known:
            yield Fault("mac.originator", f"no certificate of {originator} is known", "give its certificate")


def seal_all(workspace: Workspace, desk: MacDesk, given: Iterable[Given]) -> Generator[Outcome]:
    """Add MACs to many; each chunk is in the log before any of it is handed out."""
    source = iter(given)
    try:
        while chunk := list(islice(source, CHUNK)):
            desk.look_again()
            done = [desk.seal(item) for item in chunk]
            made = [item.message for item in done if item.message]
            if made:
                digest = hashlib.sha256(b"".join(hashlib.sha256(octets).digest() for octets in made)).hexdigest()
                with act(workspace, "message.mac-added", count=len(made), commands_sha256=digest):
                    pass
            yield from done
    finally:
        seal(workspace)
