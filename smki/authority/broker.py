"""What the access control broker admits (broker.toml): user roles and their rights, states of devices, limits."""

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

from smki.authority.signing import MOST_MESSAGES
from smki.authority.stretch import read_stretch
from smki.entity import EntityId, EntityRange, RemotePartyRole
from smki.errors import Refused
from smki.gbcs.use_case import UseCase, UseCases
from smki.meter_point import Fuel
from smki.settings import Table, at, parsed
from smki.store.estate_records import DeviceStatus

_FILE = "broker.toml"
_EVERY = "*"
_FURTHEST = timedelta(days=3660)
_LONGEST_REPEAT = timedelta(days=31)
_LONGEST_KEPT = timedelta(days=31)
_LONGEST_CONFIRMATION = timedelta(days=7)  # what was meant a week ago may not be meant now
_NOT_THERE = {DeviceStatus.DECOMMISSIONED, DeviceStatus.WITHDRAWN}
# Whose right to a home is in the registration data alone: no consent replaces it for what turns supply off or costs.
_REGISTERED_ALONE = frozenset({"IS", "GS", "ED", "GT"})
_USERS = frozenset({RemotePartyRole.SUPPLIER, RemotePartyRole.NETWORK_OPERATOR, RemotePartyRole.OTHER})
Right = Literal["registration", "consent"]


class _UserRoleTable(Table, frozen=True):
    role: str
    """The role in the certificate."""
    by: Right
    """How the right to a device is shown: who is registered for its meter point, or a consent."""
    fuel: Literal["electricity", "gas"] | None = None
    """Only at meter points of this; without it, of both."""
    enrolled: list[str] | None = None
    """Only these EUI-64s have it; without it, everybody in the role."""


class _SpeakingTable(Table, frozen=True):
    own_name: list[str]
    """Use cases that it asks in its own name alone."""
    sensitive: list[str]
    """Use cases that it asks with the user's key agreement certificate, because what comes back is encrypted."""


class _ExecutionTable(Table, frozen=True):
    paths: list[str]
    """Where payloads of critical commands say when they take effect, by the last words of a value's path."""


class _QuarantineTable(Table, frozen=True):
    confirmed_for: str
    """How long an officer's word to release something counts: {_LONGEST_CONFIRMATION} at most."""


class _AnnouncementsTable(Table, frozen=True):
    kept: str = "7d"
    """How long after it was taken an announcement lets its commands through: {_LONGEST_KEPT} at most."""


class _OfficerTable(Table, frozen=True):
    name: str
    """What the officer is called."""
    organisation: str
    """Of which user."""
    ids: list[str]
    """That user's EUI-64s, or ranges of them."""
    certificate: str
    """The officer's infrastructure certificate: base64 of the DER."""


@dataclass(frozen=True, slots=True)
class ForeignOfficer:
    """Who speaks for a user that another authority enrolled."""

    name: str
    organisation: str
    ids: tuple[EntityRange, ...]
    certificate: bytes = field(repr=False)
    """Of infrastructure; DER, believed in nothing yet."""

    def speaks_for(self, party: EntityId) -> bool:
        return any(party in one for one in self.ids)


@dataclass(frozen=True, slots=True)
class UserRole:
    """Who has a user role, and how its right to a device is shown."""

    name: str
    role: RemotePartyRole
    fuel: Fuel | None
    by: Right
    enrolled: frozenset[EntityId] | None

    def fits(self, party: EntityId, role: RemotePartyRole, fuel: Fuel | None) -> bool:
        return (
            role is self.role
            and (self.fuel is None or self.fuel is fuel)
            and (self.enrolled is None or party in self.enrolled)
        )


@dataclass(frozen=True, eq=False)
class BrokerPolicy:
    """What broker.toml says."""

    largest_batch: int
    furthest: timedelta
    repeat_for: timedelta
    user_roles: tuple[UserRole, ...]
    states: Mapping[DeviceStatus, frozenset[str]]
    own_name: frozenset[str]
    sensitive: frozenset[str]
    execution_paths: frozenset[str]
    confirmed_for: timedelta
    """How long an officer's word to release something counts."""
    announced_for: timedelta
    """How long an announcement counts."""
    officers: tuple[ForeignOfficer, ...]

    def allows(self, status: DeviceStatus, row: UseCase) -> bool:
        """Whether a device in a state may be sent a command."""
        return not self.states.get(status, frozenset()).isdisjoint((_EVERY, str(row.code), row.name))

    def asks_in_own_name(self, row: UseCase) -> bool:
        return not self.own_name.isdisjoint((str(row.code), row.name))

    def is_sensitive(self, row: UseCase) -> bool:
        return not self.sensitive.isdisjoint((str(row.code), row.name))

    def check_use_cases(self, use_cases: UseCases) -> None:
        """A name that nobody knows would allow, or ask, nothing; a user role that nobody has admits nobody."""
        known = {text for row in use_cases.all for text in (str(row.code), row.name)} | {_EVERY}
        named = {f"states.{status.value}": names for status, names in self.states.items()}
        named |= {"speaking.own_name": self.own_name, "speaking.sensitive": self.sensitive}
        for key, name in sorted((key, name) for key, names in named.items() for name in names - known):
            raise Refused(
                "policy.broker",
                f"{at(_FILE, key)}: no use case is called {name[:30]!r}",
                "see `smki usecase list`",
            )
        missing = {user for row in use_cases.all for user in row.users} - {one.name for one in self.user_roles}
        if missing:
            raise Refused(
                "policy.broker", f"{_FILE}: no user_roles.{min(missing)}", "say who has it: enrolled = [] is nobody"
            )


class BrokerFile(Table, frozen=True):
    """What the access control broker admits."""

    largest_batch: int
    """Commands in one run: 1 to 1,000,000."""
    furthest: str
    """How far ahead of now a command may take effect: {_FURTHEST} at most."""
    repeat_for: str
    """How long a command that was handed out is given out again, the same, to who asks again: {_LONGEST_REPEAT}
    at most."""
    user_roles: dict[str, _UserRoleTable]
    """Who has which user role of the DCC user interface."""
    states: dict[str, list[str]]
    """For each status of a device the use cases it may get, by name or code, `"*"` for all; what is
    decommissioned or withdrawn gets none whatever stands here."""
    speaking: _SpeakingTable
    """What the broker asks for users whom a device does not know."""
    execution: _ExecutionTable
    """When a command takes effect."""
    quarantine: _QuarantineTable
    """What is held."""
    announcements: _AnnouncementsTable = _AnnouncementsTable()
    """What users announce."""
    officer: list[_OfficerTable] = []
    """Officers of users that were enrolled elsewhere."""

    def checked(self) -> BrokerPolicy:
        if not 1 <= self.largest_batch <= MOST_MESSAGES:
            raise Refused(
                "policy.broker", f"{_FILE}: largest_batch = {self.largest_batch}", f"give 1 to {MOST_MESSAGES}"
            )
        if not self.execution.paths or not all(path.isprintable() and path for path in self.execution.paths):
            raise Refused("policy.broker", f"{_FILE}: no execution.paths", "restore the shipped ones")
        return BrokerPolicy(
            largest_batch=self.largest_batch,
            furthest=read_stretch(self.furthest, at(_FILE, "furthest"), most=_FURTHEST),
            repeat_for=read_stretch(self.repeat_for, at(_FILE, "repeat_for"), most=_LONGEST_REPEAT),
            user_roles=tuple(_user_role(name, table) for name, table in self.user_roles.items()),
            states=_states(self.states),
            own_name=frozenset(self.speaking.own_name),
            sensitive=frozenset(self.speaking.sensitive),
            execution_paths=frozenset(self.execution.paths),
            confirmed_for=read_stretch(
                self.quarantine.confirmed_for, at(_FILE, "confirmed_for"), most=_LONGEST_CONFIRMATION
            ),
            announced_for=read_stretch(self.announcements.kept, at(_FILE, "announcements.kept"), most=_LONGEST_KEPT),
            officers=tuple(_officer(table) for table in self.officer),
        )


def _user_role(name: str, table: _UserRoleTable) -> UserRole:
    role = parsed(RemotePartyRole.parse, table.role, at(_FILE, f"user_roles.{name}.role"))
    if role not in _USERS:
        raise Refused("policy.broker", f"{_FILE}: user_roles.{name} is of role {role.word}", "name a user's role")
    if name in _REGISTERED_ALONE and table.by != "registration":
        raise Refused(
            "policy.broker",
            f"{_FILE}: user_roles.{name} by {table.by}",
            "who supplies a home is in registration data",
        )
    enrolled = (
        None
        if table.enrolled is None
        else frozenset(
            parsed(EntityId.parse, text, at(_FILE, f"user_roles.{name}.enrolled")) for text in table.enrolled
        )
    )
    return UserRole(name, role, None if table.fuel is None else Fuel(table.fuel), table.by, enrolled)


def _officer(table: _OfficerTable) -> ForeignOfficer:
    try:
        certificate = base64.b64decode(table.certificate, validate=True)
    except ValueError:  # also of what is not ASCII
        raise Refused(
            "policy.broker", f"{_FILE}: the certificate of {table.name[:40]!r} is not base64", "copy the PEM's lines"
        ) from None
    ids = tuple(parsed(EntityRange.parse, text, at(_FILE, "officer.ids")) for text in table.ids)
    if not (ids and table.name.isprintable() and table.name and table.organisation.isprintable()):
        raise Refused("policy.broker", f"{_FILE}: officer: ids, name or organisation is none", "name both")
    return ForeignOfficer(table.name, table.organisation, ids, certificate)


def _states(table: Mapping[str, Iterable[str]]) -> dict[DeviceStatus, frozenset[str]]:
    found: dict[DeviceStatus, frozenset[str]] = {}
    for word, names in table.items():
        status = parsed(DeviceStatus.parse, word, at(_FILE, "states"))
        if status in _NOT_THERE or status in found:
            raise Refused(
                "policy.broker", f"{_FILE}: states.{word!r}", "leave it out: it gets nothing, or stands twice"
            )
        found[status] = frozenset(names)
    return found
