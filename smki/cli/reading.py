"""What the commands that read, verify and protect messages share: names, certificates, exit codes."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from smki.cli.keys import own_key
from smki.cli.session import Session

if TYPE_CHECKING:
    from smki.entity import EntityId, KeyUsage
    from smki.gbcs.verdict import KeyRing, Known
    from smki.gbcs.words import Vocabulary

SOME, NONE = 1, 3


def exit_code(good: int, bad: int) -> int:
    return 0 if not bad else SOME if good else NONE


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


def key_ring(session: Session, others: tuple[Path, ...], own: dict[str, Any]) -> "KeyRing":
    from smki.gbcs.agreement import Agreement
    from smki.gbcs.verdict import KeyRing
    from smki.parties.keys import certificates_in, known_of

    held = own_key(session, **own)
    every = certificates_in(others)
    known = (
        [known_of(session.workspace, one) for one in every] if session.has_workspace else [one.known for one in every]
    )
    if held is None:
        return KeyRing(known)
    one, key = held
    return KeyRing([*known, one.known], {one.holder.entity: Agreement(key)})
