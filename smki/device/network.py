"""What a device remembers of its home network: who it is joined with, by which certificates; a hub, whom it lists.

No secret is in it. What two devices share is agreed again, when it is needed, from a device's own key and what stands
here of the other; so whatever ends a join ends its secret too.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from smki.device.join_rules import NO_RULES, JoinRules, Method, Pair
from smki.entity import EUI64_OCTETS, DeviceType, EntityId
from smki.gbcs.payload.joins import JoinMethod

HEARD_KEPT = 64  # devices whose counters are remembered when they went: no old command is new again
AWAITED_KEPT = 16


@dataclass(frozen=True, slots=True)
class Partner:
    """How a secret with another device is agreed: its certificate, and for methods A and B what both said."""

    certificate: bytes = field(repr=False)
    transcript: bytes = b""


@dataclass(frozen=True, slots=True)
class Entry:
    """One device in the log of another (GBCS 13.8)."""

    device: EntityId
    kind: DeviceType
    method: JoinMethod
    partner: Partner | None = None
    """None: no secret is shared (yet, or any more)."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A device on a hub's whitelist. Of link keys only the hash is kept."""

    device: EntityId
    code_hash: bytes = b""
    """Of the key that its install code gives."""
    key_hash: bytes = b""
    """Of its link key with the hub, empty until there is one."""
    since: datetime | None = None
    until: datetime | None = None
    """When it may join."""


@dataclass(frozen=True, slots=True)
class Removed:
    """A device that a hub listed once, by whose key it would know it again."""

    device: EntityId
    key_hash: bytes


@dataclass(frozen=True, slots=True)
class Hub:
    """What a communications hub keeps besides."""

    network: bytes = bytes(EUI64_OCTETS)
    """The extended PAN identifier."""
    listed: tuple[Listed, ...] = ()
    removed: tuple[Removed, ...] = ()
    joining: int = 0
    """Seconds for which the next device may join."""

    def find(self, device: EntityId) -> Listed | None:
        return next((one for one in self.listed if one.device == device), None)


@dataclass(frozen=True)
class Network:
    """A device's side of the home network."""

    rules: JoinRules = NO_RULES
    log: tuple[Entry, ...] = ()
    heard: Mapping[EntityId, int] = field(default_factory=dict)
    """The last counter of each device that sent commands, the latest last: kept when a join ends."""
    awaited: tuple[tuple[EntityId, int], ...] = ()
    """Commands of its own that no answer came to."""
    hub: Hub = field(default_factory=Hub)

    def find(self, device: EntityId) -> Entry | None:
        return next((one for one in self.log if one.device == device), None)

    def permits(self, entry: Entry, kind: DeviceType) -> bool:
        """Whether the rules, as they are now, let a device of this kind be joined so."""
        return self.rules.permits(entry.method, kind, entry.kind)

    def under(self, rules: JoinRules, kind: DeviceType) -> "Network":
        """With other rules: nothing is shared any more with those that they do not permit."""
        after = replace(self, rules=rules)
        log = tuple(one if after.permits(one, kind) else replace(one, partner=None) for one in self.log)
        lost = {one.device for one in log if one.partner is None}
        return replace(after, log=log, awaited=tuple(one for one in self.awaited if one[0] not in lost))

    def with_entry(self, entry: Entry) -> "Network":
        """With one more, or one in place of what was known of the same device."""
        known = tuple(entry if one.device == entry.device else one for one in self.log)
        return replace(self, log=known if self.find(entry.device) else (*self.log, entry))

    def without(self, device: EntityId) -> "Network":
        return replace(
            self,
            log=tuple(one for one in self.log if one.device != device),
            awaited=tuple(one for one in self.awaited if one[0] != device),
        )

    def without_secrets(self) -> "Network":
        """The same log, and nothing shared with anyone in it: the device's own key is another now."""
        return replace(self, log=tuple(replace(one, partner=None) for one in self.log), awaited=())

    def having_heard(self, device: EntityId, counter: int) -> "Network":
        """One more is heard of; those who went longest ago are forgotten, and nobody who is joined."""
        joined = {one.device for one in self.log}
        others = {one: last for one, last in self.heard.items() if one != device}
        gone = [one for one in others if one not in joined]
        for one in gone[: max(0, len(others) + 1 - HEARD_KEPT)]:
            del others[one]
        return replace(self, heard={**others, device: counter})

    def awaiting(self, device: EntityId, counter: int) -> "Network":
        return replace(self, awaited=(*self.awaited, (device, counter))[-AWAITED_KEPT:])

    def answered(self, device: EntityId, counter: int) -> "Network":
        return replace(self, awaited=tuple(one for one in self.awaited if one != (device, counter)))


# In a bundle and in a state's file


def rules_as_json(rules: JoinRules) -> dict[str, Any]:
    return {
        "pairs": sorted([pair.method.value, pair.first.value, pair.second.value] for pair in rules.pairs),
        "capacity": {kind.value: size for kind, size in rules.capacity.items()},
        "removed": rules.removed,
        "not_listed": rules.not_listed,
        "full": rules.full,
        "issuers": [as_base64(der) for der in rules.issuers],
    }


def rules_from_json(told: Mapping[str, Any]) -> JoinRules:
    return JoinRules(
        pairs=frozenset(
            Pair(Method(method), DeviceType.parse(first), DeviceType.parse(second))
            for method, first, second in told["pairs"]
        ),
        capacity={DeviceType.parse(kind): int(size) for kind, size in told["capacity"].items()},
        removed=int(told["removed"]),
        not_listed=int(told["not_listed"]),
        full=int(told["full"]),
        issuers=tuple(from_base64(text) for text in told["issuers"]),
    )


def network_as_json(network: Network) -> dict[str, Any]:
    return {
        "rules": rules_as_json(network.rules),
        "log": [
            [str(one.device), one.kind.value, int(one.method), _partner_as_json(one.partner)] for one in network.log
        ],
        "heard": [[str(device), str(counter)] for device, counter in network.heard.items()],
        "awaited": [[str(device), str(counter)] for device, counter in network.awaited],
        "hub": _hub_as_json(network.hub),
    }


def network_from_json(told: Mapping[str, Any]) -> Network:
    return Network(
        rules=rules_from_json(told["rules"]),
        log=tuple(
            Entry(EntityId.parse(device), DeviceType.parse(kind), JoinMethod(method), _partner(partner))
            for device, kind, method, partner in told["log"]
        ),
        heard={EntityId.parse(device): int(counter) for device, counter in told["heard"]},
        awaited=tuple((EntityId.parse(device), int(counter)) for device, counter in told["awaited"]),
        hub=_hub(told["hub"]),
    )


def _partner_as_json(partner: Partner | None) -> list[str] | None:
    return None if partner is None else [as_base64(partner.certificate), partner.transcript.hex()]


def _partner(told: Any) -> Partner | None:
    if told is None:
        return None
    certificate, transcript = told
    return Partner(from_base64(certificate), bytes.fromhex(transcript))


def _hub_as_json(hub: Hub) -> dict[str, Any]:
    return {
        "network": hub.network.hex(),
        "listed": [
            [str(one.device), one.code_hash.hex(), one.key_hash.hex(), _moment(one.since), _moment(one.until)]
            for one in hub.listed
        ],
        "removed": [[str(one.device), one.key_hash.hex()] for one in hub.removed],
        "joining": hub.joining,
    }


def _hub(told: Mapping[str, Any]) -> Hub:
    return Hub(
        network=bytes.fromhex(told["network"]),
        listed=tuple(
            Listed(
                EntityId.parse(device),
                bytes.fromhex(code),
                bytes.fromhex(key),
                None if since is None else read_moment(since),
                None if until is None else read_moment(until),
            )
            for device, code, key, since, until in told["listed"]
        ),
        removed=tuple(Removed(EntityId.parse(device), bytes.fromhex(key)) for device, key in told["removed"]),
        joining=int(told["joining"]),
    )


def _moment(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


def read_moment(text: str) -> datetime:
    """A time with its zone: another is none."""
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError
    return at


def as_base64(octets: bytes) -> str:
    """As files in JSON hold octets (RFC 4648 4)."""
    return base64.b64encode(octets).decode()


def from_base64(text: str) -> bytes:
    """The octets again; ValueError for anything beside the alphabet."""
    return base64.b64decode(text, validate=True)
