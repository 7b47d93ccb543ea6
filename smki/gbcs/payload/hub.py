"""The whitelist of a communications hub, in DLMS: CCS01, CCS02, CCS03, CCS06, CS14 (Blue Book class 104).

The forms of CCS01, CCS02, CCS06 and CS14 were seen in published messages; that of CCS03 is a reading: what a hub's
alert says of its whitelist is given back to the next hub in the same structure.
"""

from dataclasses import dataclass
from typing import Self

from smki.entity import EUI64_OCTETS, EntityId
from smki.errors import InvalidInput
from smki.gbcs.header import DATE_TIME_OCTETS, MessageCode
from smki.gbcs.install_code import CODE_OCTETS, InstallCode
from smki.gbcs.payload.access import ACCESS_REQUEST, DATA_NOTIFICATION, Access, Asked, write_invoke
from smki.gbcs.payload.cosem_data import Type, Value, read_value
from smki.gbcs.payload.octets import Cursor

CCS01, CCS02, CCS03, CCS06 = (MessageCode(code) for code in (0x0001, 0x0002, 0x0003, 0x010F))
CS14 = MessageCode(0x0018)
WHITELIST_CHANGED = 0x8F12
NETWORK_CONTROL = (0x0068, bytes.fromhex("00001e0300ff"))
REGISTER, UNREGISTER, RESTORE = 1, 2, 5  # methods
JOINING, JOIN_TIMEOUT, ACTIVE_DEVICES = 2, 3, 4  # attributes
MAX_DEVICES = 127  # as many as one octet of length can say (IEC 61334-6 4.2); no hub lists so many
MAX_SECONDS = 0xFFFF
_HASH_OCTETS = 16
_INSTALL_CODE, _NO_MORE = bytes((Type.ENUM, 1)), bytes((Type.ENUM, 0))
_TRUE = bytes((Type.BOOLEAN, 0xFF))
_NULL = b"\0"
_LEAST_SECONDS = 1


@dataclass(frozen=True, slots=True)
class Registration:
    """One device that may come onto the network, and the code it will show."""

    device: EntityId
    code: InstallCode


@dataclass(frozen=True, slots=True)
class BackedUp:
    """One device of a whitelist: the hash of its link key with the hub, empty until there is one."""

    device: EntityId
    key_hash: bytes = b""

    def __post_init__(self) -> None:
        if len(self.key_hash) not in {0, _HASH_OCTETS}:
            raise _unfit(f"a hashed link key of {len(self.key_hash)} octets")


@dataclass(frozen=True, slots=True)
class Backup:
    """A whitelist as its hub tells it: when, of which network, which devices."""

    at: bytes
    network: bytes
    """The extended PAN identifier."""
    devices: tuple[BackedUp, ...]

    def __post_init__(self) -> None:
        if len(self.at) != DATE_TIME_OCTETS or len(self.network) != EUI64_OCTETS or len(self.devices) > MAX_DEVICES:
            raise _unfit("a backup with another date-time, network, or more devices than there can be")
        if len({one.device for one in self.devices}) != len(self.devices):
            raise _unfit("a device stands twice in a whitelist")

    def encode(self) -> bytes:
        listed = (_structure(_string(one.device.octets), _string(one.key_hash)) for one in self.devices)
        array = bytes((Type.ARRAY, len(self.devices))) + b"".join(listed)
        return _structure(_string(self.at), _string(self.network), array)

    @classmethod
    def of(cls, value: Value) -> Self:
        at, network, listed = parts(value, Type.STRUCTURE, 3)
        if listed.type is not Type.ARRAY:
            raise _unfit("no list of devices")
        devices = []
        for item in listed.items:
            device, key_hash = parts(item, Type.STRUCTURE, 2)
            devices.append(BackedUp(entity(device), string(key_hash)))
        return cls(string(at), string(network), tuple(devices))


# Commands


def register(counter: int, device: EntityId, code: InstallCode, seconds: int) -> bytes:
    """CCS01: list a device with its install code, and let it in for so long."""
    if len(code.octets) != CODE_OCTETS:
        raise _unfit(f"an install code of {len(code.octets)} octets, and a hub takes {CODE_OCTETS}")
    if not _LEAST_SECONDS <= seconds <= MAX_SECONDS:
        raise _unfit(f"{seconds} seconds, and 1 to {MAX_SECONDS} can be said")
    entry = _structure(_string(device.octets), _INSTALL_CODE, _string(code.octets), _NO_MORE)
    timeout = bytes((Type.LONG_UNSIGNED,)) + seconds.to_bytes(2)
    asked = ((Access.ACTION, REGISTER), (Access.SET, JOIN_TIMEOUT), (Access.SET, JOINING))
    return _request(counter, asked, (entry, timeout, _TRUE))


def unregister(counter: int, device: EntityId) -> bytes:
    """CCS02: list it no more."""
    return _request(counter, ((Access.ACTION, UNREGISTER),), (_string(device.octets),))


def restore(counter: int, backup: Backup) -> bytes:
    """CCS03: give a hub the whitelist of the one before it."""
    return _request(counter, ((Access.ACTION, RESTORE),), (backup.encode(),))


def read_devices(counter: int) -> bytes:
    """CCS06: who is listed, and how they are heard."""
    return _request(counter, ((Access.GET, ACTIVE_DEVICES),), (_NULL,))


def _request(counter: int, asked: tuple[tuple[Access, int], ...], values: tuple[bytes, ...]) -> bytes:
    class_id, name = NETWORK_CONTROL
    place = class_id.to_bytes(2) + name
    wanted = b"".join(bytes((access,)) + place + bytes((member,)) for access, member in asked)
    count = bytes((len(asked),))
    return bytes((ACCESS_REQUEST,)) + write_invoke(counter) + b"\0" + count + wanted + count + b"".join(values)


def is_network_control(asked: Asked) -> bool:
    one = asked.specification
    return (one.class_id, one.logical_name) == NETWORK_CONTROL


def read_registration(value: Value) -> Registration:
    device, kind, code, more = parts(value, Type.STRUCTURE, 4)
    if (kind.type, kind.content) != (Type.ENUM, 1) or more.type is not Type.ENUM:
        raise _unfit("a key that is no install code")
    octets = string(code)
    if len(octets) != CODE_OCTETS:
        raise _unfit(f"an install code of {len(octets)} octets")
    return Registration(entity(device), InstallCode(octets))


def read_seconds(value: Value) -> int:
    if value.type is not Type.LONG_UNSIGNED or not isinstance(value.content, int):
        raise _unfit("no time to join in")
    return value.content


# The alert


def whitelist_alert(counter: int, at: bytes, backup: Backup) -> bytes:
    """CS14: the code, the time, and the whole whitelist, so that another hub can be given it."""
    code = bytes((Type.LONG_UNSIGNED,)) + WHITELIST_CHANGED.to_bytes(2)
    start = bytes((DATA_NOTIFICATION,)) + write_invoke(counter) + b"\0"
    return start + _structure(code, _string(at), backup.encode())


def read_whitelist_alert(payload: bytes) -> Backup:
    """The whitelist in the payload of an alert CS14."""
    cursor = Cursor(payload, "big")
    cursor.expect(bytes((DATA_NOTIFICATION,)), "a notification")
    cursor.take(4)
    cursor.expect(b"\0", "no date-time")
    code, _, backup = parts(read_value(cursor), Type.STRUCTURE, 3)
    cursor.finish()
    if code.content != WHITELIST_CHANGED:
        raise _unfit("another alert")
    return Backup.of(backup)


# Values


def parts(value: Value, kind: Type, count: int) -> tuple[Value, ...]:
    if value.type is not kind or len(value.items) != count:
        raise _unfit(f"no {kind.name.lower()} of {count}")
    return value.items


def string(value: Value) -> bytes:
    if value.type is not Type.OCTET_STRING or not isinstance(value.content, bytes):
        raise _unfit("no octet-string")
    return value.content


def entity(value: Value) -> EntityId:
    return EntityId(string(value))


def _structure(*members: bytes) -> bytes:
    return bytes((Type.STRUCTURE, len(members))) + b"".join(members)


def _string(octets: bytes) -> bytes:
    return bytes((Type.OCTET_STRING, len(octets))) + octets


def _unfit(reason: str) -> InvalidInput:
    return InvalidInput("hub.form", f"nothing for a hub's whitelist: {reason}", "ask its sender for the message")
