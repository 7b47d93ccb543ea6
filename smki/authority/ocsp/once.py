"""One answer to one request in a file: for scripts, and to try a responder without the network."""

from dataclasses import dataclass
from pathlib import Path

from smki.authority.ocsp.desk import Desk
from smki.authority.safe_files import read_bounded
from smki.authority.workspace import Workspace
from smki.errors import InvalidInput
from smki.pki.ocsp import Failure, read_query
from smki.words import utc


@dataclass(frozen=True, slots=True)
class Done:
    """The answer, and what kind it is."""

    octets: bytes
    signed: bool
    words: str


def answer_once(workspace: Workspace, path: Path) -> Done:
    """Answer as the service would."""
    limits = workspace.policies.ocsp.limits
    octets = read_bounded(path, limits.request, "ocsp")
    try:
        query = read_query(octets, limits.certificates)
    except InvalidInput:
        return _refusal(Failure.MALFORMED)
    desk = Desk(workspace, lambda *_, **__: None)
    desk.open()
    (answer,) = desk.answer([query])
    if isinstance(answer, Failure):
        return _refusal(answer)
    return Done(answer.octets, True, f"signed, until {utc(answer.next_update)}")


def _refusal(failure: Failure) -> Done:
    return Done(failure.octets, False, failure.name.lower().replace("_", " "))
