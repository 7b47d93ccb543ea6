"""A communications hub's whitelist: who may come onto the home's network, and who was there (CCS01, 02, 03, 06).

The hub is the network's trust centre. Of every link key it keeps here the AES-MMO hash alone: enough to know the key
when a device shows that it has it, and all that it tells in its backups (CS14).
"""

import hmac
from dataclasses import replace
from datetime import datetime, timedelta

from smki.device.answer import date_time, send_notice
from smki.device.done import Done
from smki.device.join_rules import JoinRules
from smki.device.network import Hub, Listed, Removed
from smki.device.state import DeviceKeys, DeviceState
from smki.entity import DeviceType, EntityId
from smki.errors import InvalidInput
from smki.gbcs.header import MessageCode, encode_length
from smki.gbcs.install_code import mmo_hash
from smki.gbcs.message import Message
from smki.gbcs.payload.access import Access, Asked, read_request, write_response
from smki.gbcs.payload.cosem_data import Type, Value
from smki.gbcs.payload.hub import (
    ACTIVE_DEVICES,
    CCS01,
    CCS02,
    CCS03,
    CCS06,
    CS14,
    JOIN_TIMEOUT,
    JOINING,
    REGISTER,
    RESTORE,
    UNREGISTER,
    BackedUp,
    Backup,
    entity,
    is_network_control,
    read_registration,
    read_seconds,
    whitelist_alert,
)
from smki.gbcs.payload.operations import object_text

_ALLOWED = {
    CCS01: frozenset({(Access.ACTION, REGISTER), (Access.SET, JOIN_TIMEOUT), (Access.SET, JOINING)}),
    CCS02: frozenset({(Access.ACTION, UNREGISTER)}),
    CCS03: frozenset({(Access.ACTION, RESTORE)}),
    CCS06: frozenset({(Access.GET, ACTIVE_DEVICES)}),
}
"""What each command may ask of the network control object: who may send one goes by its code, so what it asks must
be that and no more."""
CODES = frozenset(_ALLOWED)
_SUCCESS = 0  # result of access (Green Book 9.5)
_NULL = b"\0"
_AUTHORISED, _REPORTING = 0x80, 0x40  # status of an active device (Blue Book 4.14.2)
_UNMEASURED = bytes.fromhex("0f00 0f00 0f00 1100 1100 1100")
_NEVER = bytes.fromhex("090c ffff ff ff ff ff ff ff ff 8000 ff")
_UNCOUNTED = bytes.fromhex("1100 1100 1100 1100 1100")


def act_on(state: DeviceState, keys: DeviceKeys, message: Message, at: datetime) -> Done:
    """Obey a command about the whitelist; a changed whitelist is told to the broker."""
    asked = read_request(message.payload)
    for item in asked:
        _refuse_unless_allowed(message.header.code, item)
    hub, changes, answered = state.network.hub, list[str](), list[tuple[Access, bytes, int]]()
    for item in asked:
        hub, data, result, told = _act(hub, item, state.network.rules, at)
        answered.append((item.specification.access, data, result))
        changes += told
    after = replace(state, network=replace(state.network, hub=hub))
    answer = write_response(message.payload, answered)
    return _telling(state, Done(after, answer, tuple(changes)), keys, at)


def _refuse_unless_allowed(code: MessageCode, item: Asked) -> None:
    one = item.specification
    if is_network_control(item) and (one.access, one.member) in _ALLOWED[code]:
        return
    what = object_text(one.class_id, one.logical_name, one.member)
    raise InvalidInput(
        "hub.asked", f"{code} asks {one.access.name} of {what}", "ask its sender for the command of its use case"
    )


def _act(hub: Hub, item: Asked, rules: JoinRules, at: datetime) -> tuple[Hub, bytes, int, tuple[str, ...]]:
    """One thing asked: the hub after it, its data, its result, what changed in words."""
    one = item.specification
    if one.access is Access.GET:
        return hub, _active(hub), _SUCCESS, ()
    after, result, told = _change(hub, (one.access, one.member), item.value, rules, at)
    return after, _NULL, result, (told,)


def _change(hub: Hub, what: tuple[Access, int], value: Value, rules: JoinRules, at: datetime) -> tuple[Hub, int, str]:
    if what == (Access.ACTION, REGISTER):
        return _register(hub, value, rules)
    if what == (Access.ACTION, UNREGISTER):
        return _unregister(hub, entity(value), rules)
    if what == (Access.ACTION, RESTORE):
        return _restore(hub, Backup.of(value), rules)
    if what == (Access.SET, JOIN_TIMEOUT):
        seconds = read_seconds(value)
        return replace(hub, joining=seconds), _SUCCESS, f"joining takes {seconds} seconds"
    if value.type is not Type.BOOLEAN:
        raise InvalidInput("hub.form", "the network is to be neither open nor closed", "ask its sender for a boolean")
    return _open(hub, bool(value.content), at)


def _room(rules: JoinRules) -> int:
    return rules.capacity.get(DeviceType.CHF, 0)


def _register(hub: Hub, value: Value, rules: JoinRules) -> tuple[Hub, int, str]:
    """A device that is listed stays as it is, and the key that came is thrown away."""
    asked = read_registration(value)
    if hub.find(asked.device) is not None:
        return hub, _SUCCESS, f"{asked.device} was on the whitelist"
    if len(hub.listed) >= _room(rules):
        return hub, rules.full, f"no room for {asked.device} on the whitelist"
    listed = Listed(asked.device, mmo_hash(asked.code.link_key))
    return replace(hub, listed=(*hub.listed, listed)), _SUCCESS, f"put {asked.device} on the whitelist"


def _unregister(hub: Hub, device: EntityId, rules: JoinRules) -> tuple[Hub, int, str]:
    found = hub.find(device)
    if found is None:
        return hub, rules.not_listed, f"{device} is not on the whitelist"
    removed = tuple(one for one in hub.removed if one.device != device)
    if found.key_hash:
        removed = (*removed, Removed(device, found.key_hash))
    listed = tuple(one for one in hub.listed if one.device != device)
    after = replace(hub, listed=listed, removed=removed[-rules.removed :] if rules.removed else ())
    return after, _SUCCESS, f"took {device} off the whitelist"


def _restore(hub: Hub, backup: Backup, rules: JoinRules) -> tuple[Hub, int, str]:
    """All of another hub's whitelist, or nothing of it."""
    if len(backup.devices) > _room(rules):
        return hub, rules.full, f"no room for {len(backup.devices)} devices on the whitelist"
    listed = tuple(Listed(one.device, key_hash=one.key_hash) for one in backup.devices)
    after = replace(hub, network=backup.network, listed=listed)
    return after, _SUCCESS, f"has the whitelist of network {backup.network.hex()}: {len(listed)} devices"


def _open(hub: Hub, opening: bool, at: datetime) -> tuple[Hub, int, str]:
    """Those who have no key yet may join, for as long as was set; or nobody may."""
    until = at + timedelta(seconds=hub.joining) if opening else None
    since = at if opening else None
    listed = tuple(one if one.key_hash else replace(one, since=since, until=until) for one in hub.listed)
    told = "the network is open" if opening else "the network is closed"
    return replace(hub, listed=listed), _SUCCESS, told


# Devices at the door


def admit(state: DeviceState, keys: DeviceKeys, device: EntityId, key: bytes, at: datetime) -> Done | None:
    """A device shows the link key it has; None where it is not let in.

    One that was here before is known by its old key in the first half of its time, and by its install code in the
    second (mapping table, CCS01).
    """
    found = state.network.hub.find(device)
    if found is None or found.since is None or found.until is None or not found.since <= at < found.until:
        return None
    before = next((one for one in state.network.hub.removed if one.device == device), None)
    by_old_key = before is not None and at < found.since + (found.until - found.since) / 2
    wanted = before.key_hash if before is not None and by_old_key else found.code_hash
    if not wanted or not hmac.compare_digest(mmo_hash(key), wanted):
        return None
    return with_key(state, keys, device, key, at)


def with_key(state: DeviceState, keys: DeviceKeys, device: EntityId, key: bytes, at: datetime) -> Done | None:
    """A listed device and the hub made a link key; None for one that is not listed."""
    hub = state.network.hub
    found = hub.find(device)
    if found is None:
        return None
    changed = replace(found, key_hash=mmo_hash(key), code_hash=b"", since=None, until=None)
    listed = tuple(changed if one is found else one for one in hub.listed)
    removed = tuple(one for one in hub.removed if one.device != device)
    after = replace(state, network=replace(state.network, hub=replace(hub, listed=listed, removed=removed)))
    return _telling(state, Done(after, b"", (f"{device} is on the network",)), keys, at)


# What it tells


def _backup(hub: Hub, at: datetime) -> Backup:
    return Backup(date_time(at), hub.network, tuple(BackedUp(one.device, one.key_hash) for one in hub.listed))


def _telling(before: DeviceState, done: Done, keys: DeviceKeys, at: datetime) -> Done:
    """CS14: a whitelist or a link key that changed is told, so that another hub can be given it."""
    told = _backup(done.state.network.hub, at)
    if told == _backup(before.network.hub, at):
        return done
    payload = whitelist_alert(done.state.own_counter, date_time(at), told)
    sent = send_notice(done.state, keys, CS14, payload)
    return replace(done, state=sent.state, alerts=() if sent.octets is None else (sent.octets,))


def _active(hub: Hub) -> bytes:
    """Active devices, in the form published. A hub on a desk measures no radio: its figures are zero."""
    listed = []
    for one in hub.listed:
        status = _AUTHORISED | (_REPORTING if one.key_hash else 0)
        start = bytes.fromhex("020e 0908") + one.device.octets + bytes.fromhex("0408") + bytes((status,))
        listed.append(start + _UNMEASURED + _NEVER + _UNCOUNTED)
    return bytes((Type.ARRAY,)) + encode_length(len(listed)) + b"".join(listed)
