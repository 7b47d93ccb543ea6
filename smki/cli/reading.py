"""What the commands that read, verify and protect messages share: messages, names, certificates."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smki.cli.keys import own_key
from smki.cli.session import Session

if TYPE_CHECKING:
    from smki.entity import EntityId, KeyUsage
    from smki.gbcs.message import Message
    from smki.gbcs.verdict import KeyRing, Known
    from smki.gbcs.words import Vocabulary
    from smki.parties.intake import Given
    from smki.parties.keys import Certified
    from smki.pki.verdict import Fault


@dataclass(frozen=True, slots=True)
class Unread:
    """What did not read as a message, and why."""

    reference: str
    fault: "Fault"

    def as_json(self) -> dict[str, Any]:
        return {"reference": self.reference, "fault": self.fault.as_json()}


def message_in(given: "Given") -> "Message | Unread":
    from smki.errors import InvalidInput
    from smki.gbcs.message import read_message
    from smki.pki.verdict import Fault

    try:
        return read_message(given.octets)
    except InvalidInput as error:
        return Unread(given.reference, Fault.of(error))


def vocabulary_of(session: Session) -> "Vocabulary":
    from smki.gbcs.words import Vocabulary
    from smki.parties.supplier import vocabulary

    if session.has_workspace:
        return vocabulary(session.workspace)
    policies = session.policies
    return Vocabulary(policies.use_cases, policies.names)


def issued(session: Session, entity: "EntityId", usage: "KeyUsage") -> "tuple[Known, ...]":
    from smki.parties.keys import known_to

    return known_to(session.workspace, entity, usage) if session.has_workspace else ()


def key_ring(session: Session, others: tuple[Path, ...], own: dict[str, Any] | None = None) -> "KeyRing":
    """The certificates of others, and our own key if one is named."""
    from smki.gbcs.agreement import Agreement
    from smki.gbcs.verdict import KeyRing

    held = None if own is None else own_key(session, **own)
    known = list(_known(session, others, None if held is None else held[0]))
    return KeyRing(known, {} if held is None else {held[0].holder.entity: Agreement(held[1])})


def _known(session: Session, others: tuple[Path, ...], own: "Certified | None") -> "Iterator[Known]":
    """What was given, our own certificate as well, each with what speaks against it."""
    from smki.authority.standing import Above
    from smki.parties.keys import certificates_in, known_of

    above = Above(session.workspace) if session.has_workspace else None
    for one in (*certificates_in(others), *(() if own is None else (own,))):
        yield one.known if above is None else known_of(session.workspace, one, above)
