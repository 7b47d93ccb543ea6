"""Between a device's answer and the authority: its request on the way there, its certificate on the way back."""

import base64
import binascii
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from smki.authority.safe_files import read_bounded
from smki.authority.workspace import Workspace
from smki.errors import InvalidInput
from smki.gbcs.verdict import KeyRing
from smki.parties.answers import OwnKey
from smki.parties.asking import REQUEST_KEY
from smki.parties.intake import Given
from smki.parties.outcomes import OutcomeDesk, Told
from smki.pki.kind import Kind
from smki.pki.request import RequestReader, Unfit
from smki.pki.verdict import Fault

_MAX_FILE_OCTETS = 1 << 28
_REFERENCE = 100


@dataclass(frozen=True, slots=True)
class Requested:
    """A device's request, proven to be its own."""

    reference: str
    request: bytes


class _Line(msgspec.Struct, frozen=True):
    certificate: str | None = None


def requests_in(workspace: Workspace, ring: KeyRing, given: Iterable[Given]) -> Iterator[Requested | Told]:
    """The requests in devices' responses (CS02c); what is none is told with its fault."""
    desk = OutcomeDesk(workspace, ring)
    reader = RequestReader(workspace.policies.issuance.rule(Kind.DEVICE).profile, workspace.policies.issuance.blocked)
    for item in given:
        proven = desk.proven(item)
        if isinstance(proven, Told):
            yield proven
            continue
        answer = proven.answer
        if not isinstance(answer.said, OwnKey) or answer.code != REQUEST_KEY or answer.said.octets is None:
            word = answer.said.word if isinstance(answer.said, OwnKey) else "something else"
            fault = Fault("outcome.no-request", f"it answers {word}", "give the responses that carry requests")
            yield Told(item.reference, None, answer.device, faults=(fault,))
            continue
        request = reader.read(answer.said.octets)
        if isinstance(request, Unfit):
            yield Told(item.reference, None, answer.device, faults=request.faults)
        elif request.entity != answer.device:
            fault = Fault("outcome.other-device", f"it asks for {request.entity}", "find out how it came here")
            yield Told(item.reference, None, answer.device, faults=(fault,))
        else:
            yield Requested(f"{answer.device}-{request.usage.value}"[:_REFERENCE], answer.said.octets)


def certificates_issued(path: Path) -> Iterator[bytes]:
    """The certificates in the result lines of issuing; lines that tell of a refusal have none."""
    data = read_bounded(path, _MAX_FILE_OCTETS, "cert", "split it")
    decode = msgspec.json.Decoder(_Line).decode
    for number, line in enumerate(data.splitlines(), 1):
        try:
            text = decode(line).certificate if line.strip() else None
            if text is not None:
                yield base64.b64decode(text, validate=True)
        except (msgspec.DecodeError, binascii.Error, ValueError, RecursionError):
            raise InvalidInput(
                "cert.line", f"{path} line {number} is no result of issuing", "give what `smki device issue` wrote"
            ) from None
