"""In whose name a command goes: its user's, or the broker's where the device does not know the user (GBCS 7.2.7)."""

from dataclasses import replace

from cryptography.hazmat.primitives.serialization import Encoding

from smki.authority.workspace import Workspace
from smki.device.cells import CellUse
from smki.entity import EntityId, KeyUsage, RemotePartyRole
from smki.gbcs.header import Supplementary
from smki.gbcs.message import Message
from smki.gbcs.use_case import UseCase
from smki.parties.broker.parties import Parties
from smki.store.estate_records import DeviceRecord, Place

_ACCESS_REQUEST = 0xD9
_COUNTER = slice(2, 5)  # of a DLMS payload: the low 24 bits of the message's counter


class Speaking:
    """What the broker puts in front of a payload."""

    def __init__(self, workspace: Workspace, broker: EntityId, parties: Parties) -> None:
        self._policy = workspace.policies.broker
        self._cells = workspace.policies.devices
        self._use_cases = workspace.policies.use_cases
        self._broker = broker
        self._parties = parties

    def is_for_broker(
        self, row: UseCase, user: EntityId, role: RemotePartyRole, place: Place | None, device: DeviceRecord | None
    ) -> bool:
        """Whether the broker says it: the device has no cell for the user's role, or believes another in it."""
        if user == self._broker or RemotePartyRole.ACCESS_CONTROL_BROKER not in row.senders:
            return False
        if self._policy.asks_in_own_name(row) or role not in row.senders:
            return True
        cells = () if place is None else self._cells.get(place.kind, ())
        own = [name for name in cells if name.role is role and name.use is CellUse.KEY_AGREEMENT]
        if not own:
            return True
        believed = None if device is None else device.cells.get(own[0])
        return believed is not None and believed.holds != user

    def certificate(self, row: UseCase, user: EntityId) -> bytes | None:
        """The user's own, for which a device encrypts its answer; None where it does not, or where none is known."""
        if not self._policy.is_sensitive(row):
            return None
        for one in self._parties.signers(user, KeyUsage.KEY_AGREEMENT):
            if not one.standing:
                return one.certified.certificate.public_bytes(Encoding.DER)
        return None

    def needs_certificate(self, row: UseCase) -> bool:
        return self._policy.is_sensitive(row)

    def in_broker_name(self, message: Message, row: UseCase, counter: int) -> Message:
        """What a user asks, as the broker says it, with a number of its own."""
        user = message.header
        extra = None
        if not self._policy.asks_in_own_name(row):
            extra = Supplementary(user.originator, user.counter, certificate=self.certificate(row, user.originator))
        header = replace(user, originator=self._broker, counter=counter, supplementary=extra)
        payload = message.payload
        if payload[:1] == bytes((_ACCESS_REQUEST,)):
            payload = payload[: _COUNTER.start] + counter.to_bytes(8)[-3:] + payload[_COUNTER.stop :]
        return Message(header, payload)
