"""Requests for commands that are not critical: their user signs the request, the broker makes the command.

A file of requests is CMS signed data: `openssl cms -sign -binary -nodetach` over lines of JSON, the first one saying
what they are, by the user's digital signature key, with its certificate inside.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from smki.authority.workspace import Workspace
from smki.entity import EntityId, KeyUsage
from smki.errors import InvalidInput, Refused
from smki.gbcs.header import MAX_COUNTER, Cra, Header
from smki.gbcs.message import Message, read_message
from smki.gbcs.use_case import UseCase
from smki.parties.broker.judgement import Submitted
from smki.parties.broker.parties import Parties, Signer
from smki.parties.broker.speaking import Speaking
from smki.parties.intake import printable
from smki.parties.keys import Certified, certified
from smki.pki.signed_data import make_signed_data, read_signed_data
from smki.pki.verdict import Fault
from smki.store.admission_records import QuarantineRecord
from smki.store.estate_records import DeviceRecord, Place

FORM = "smki-broker-requests/1"
_MOST_LINE = 1 << 18
_PIECE = 500
_LARGEST_PAYLOAD = 60_000  # octets: with all that the broker puts around it, it is still a message
_DECIMAL = re.compile(r"0|[1-9][0-9]{0,19}")


class _Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Requests for commands that are not critical, which `smki broker ask` signs: its first line."""

    form: Literal["smki-broker-requests/1"]
    """What the file is."""
    user: str
    """The user's EUI-64."""


class _Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One request: a line of JSON."""

    use_case: str
    """Its name or code."""
    target: str
    """The device's EUI-64."""
    counter: str
    """Above all that the user asked of the device before; decimal digits."""
    payload: Annotated[str, msgspec.Meta(max_length=2 * _LARGEST_PAYLOAD)]
    """Hexadecimal."""
    reference: str = ""
    """What you call it."""


_decode_head = msgspec.json.Decoder(_Head).decode
_decode_line = msgspec.json.Decoder(_Line).decode


@dataclass(frozen=True, slots=True)
class Requests:
    """What one user asks for, once its signature was checked."""

    user: EntityId
    asker: Signer
    lines: tuple[bytes, ...]


def signed_requests(lines: bytes, own: tuple[Certified, ec.EllipticCurvePrivateKey], at: datetime) -> bytes:
    """A user's requests, signed: what a broker reads."""
    one, key = own
    if one.holder.usage is not KeyUsage.DIGITAL_SIGNATURE:
        raise Refused("broker.signer", "the key is not for signatures", "sign with a digital signature key")
    head = msgspec.json.encode(_Head(form="smki-broker-requests/1", user=str(one.holder.entity)))
    certificate = one.certificate.public_bytes(Encoding.DER)
    return make_signed_data(head + b"\n" + lines, one.certificate, key, at, certificates=[certificate])


def read_requests(data: bytes, parties: Parties, most: int) -> Requests:
    """Read a signed file. What speaks against its signer is told of each request, like any other rule it breaks."""
    signed = read_signed_data(data)
    if len(signed.certificates) != 1:
        raise InvalidInput(
            "broker.requests", f"{len(signed.certificates)} certificates are inside", "sign it with --certificate"
        )
    one = certified(signed.certificates[0], "the signer's certificate")
    if one.holder.usage is not KeyUsage.DIGITAL_SIGNATURE or one.holder.role is None:
        raise Refused("broker.signer", "it is not signed by a user's digital signature key", "sign it with that")
    if not signed.is_signed_by(one.holder.public_key):
        raise Refused("broker.signature", "it is not what its signer signed", "have it signed again")
    if signed.content.count(b"\n") + signed.content.count(b"\r") > 2 * most + 2:  # before any list is made of them
        raise InvalidInput("message.count", f"more than {most} requests", "ask in parts")
    head, *lines = signed.content.splitlines() or [b""]
    if len(lines) > most:
        raise InvalidInput("message.count", f"more than {most} requests", "ask in parts")
    try:
        user = EntityId.parse(_decode_head(head).user)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise InvalidInput(
            "broker.requests", "its first line is not of its form", f'begin with {{"form": "{FORM}", "user": EUI-64}}'
        ) from None
    if user != one.holder.entity:
        raise Refused("broker.signer", f"it asks for {user}, and {one.holder.entity} signed it", "ask for yourself")
    parties.add(one)
    asker = next(item for item in parties.signers(user) if item.certified.certificate == one.certificate)
    return Requests(user, asker, tuple(lines))


class Requesting:
    """Makes commands of requests."""

    def __init__(self, workspace: Workspace, parties: Parties, speaking: Speaking) -> None:
        self._use_cases = workspace.policies.use_cases
        self._store = workspace.store
        self._parties = parties
        self._speaking = speaking

    def submitted(self, requests: Requests) -> Iterator[Submitted]:
        """Each as its user would say it, and whether the broker says it instead."""
        for start in range(0, len(requests.lines), _PIECE):
            self._parties.begin_chunk()
            asker = self._parties.same(requests.asker)
            read = [
                self._read(line, requests.user, f"request {start + place}")
                for place, line in enumerate(requests.lines[start : start + _PIECE], 1)
            ]
            yield from self._placed(read, asker)

    def released(self, records: Sequence[QuarantineRecord]) -> Iterator[Submitted]:
        """What was held, handed in again as it was: signed itself, or asked for."""
        for record in records:
            message = read_message(record.octets)
            plain = Submitted(record.reference, message)
            asker = None if message.signature else self._asker(record)
            yield from [plain] if asker is None else self._placed([plain], asker)

    def _asker(self, record: QuarantineRecord) -> Signer | None:
        """Whose certificate its request was signed by, as it stands now; another of theirs says nothing."""
        serials = {note["asked_by"] for note in record.decisions if "asked_by" in note}
        known = self._parties.signers(record.originator)
        return next((one for one in known if one.certified.serial in serials), None)

    def _placed(self, read: Sequence[Submitted], asker: Signer) -> Iterator[Submitted]:
        targets = [item.message.header.target for item in read if item.message is not None]
        devices, places = self._store.estate.devices(targets), self._store.estate.places(targets)
        for item in read:
            if item.message is None:
                yield item
                continue
            target = item.message.header.target
            yield self._asked(item, item.message, asker, places.get(target), devices.get(target))

    def _asked(
        self, item: Submitted, message: Message, asker: Signer, place: Place | None, device: DeviceRecord | None
    ) -> Submitted:
        row = self._use_cases.get(message.header.code)
        through, faults = False, item.faults
        if row is not None and asker.role is not None:
            through = self._speaking.is_for_broker(row, asker.entity, asker.role, place, device)
            if through and self._lacks_certificate(row, asker.entity):
                fault = Fault(
                    "broker.certificate",
                    f"the answer is encrypted, and no key agreement certificate of {asker.entity} is known",
                    "give it, or have it enrolled",
                )
                faults += (fault,)
        return Submitted(item.reference, message, faults, asker, through)

    def _lacks_certificate(self, row: UseCase, user: EntityId) -> bool:
        return self._speaking.needs_certificate(row) and self._speaking.certificate(row, user) is None

    def _read(self, line: bytes, user: EntityId, name: str) -> Submitted:
        try:
            if len(line) > _MOST_LINE:
                raise InvalidInput("broker.form", f"a line of {len(line)} octets", "ask for one command a line")
            asked = _decode_line(line)
            rows = self._use_cases.find(asked.use_case)
            counter = int(asked.counter) if _DECIMAL.fullmatch(asked.counter) else -1
            if len(rows) != 1 or not 0 <= counter <= MAX_COUNTER:
                raise InvalidInput("broker.form", "its use case or counter is not one", "give a code, and a number")
            header = Header(Cra.COMMAND, counter, user, EntityId.parse(asked.target), rows[0].code)
            return Submitted(printable(asked.reference) or name, Message(header, bytes.fromhex(asked.payload)))
        except (msgspec.DecodeError, RecursionError, ValueError):
            fault = Fault(
                "broker.form", "it is no request", 'write {"use_case", "target", "counter", "payload"} as texts'
            )
        except InvalidInput as error:
            fault = Fault("broker.form", error.message, error.remedy)
        return Submitted(name, None, (fault,))
