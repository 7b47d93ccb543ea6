"""A home as data, and what follows: who is listed, who is joined with whom, in which order, by which commands.

name = "12 Acacia Avenue"
[[device]]
kind = "ESME"
id = "00-DB-12-34-56-78-90-A0"
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from smki.authority.joins import Known
from smki.authority.policies import Policies
from smki.authority.safe_files import read_bounded
from smki.device.join_rules import Method, Pair
from smki.entity import DeviceType, EntityId, RemotePartyRole
from smki.errors import InvalidInput
from smki.gbcs.header import MessageCode
from smki.gbcs.payload.hub import CCS01
from smki.gbcs.payload.joins import JOIN_CODES
from smki.parties.han import Member, Part, joining, speaker
from smki.settings import Table, read_toml

MAX_DEVICES = 64  # what a device log can name at most
_MAX_NAME = 60
_MAX_FILE_OCTETS = 1 << 16
_DISPLAYS = {"IHD": "in-home display", "CAD": "consumer access device"}
_IN_HUB = frozenset({DeviceType.CHF, DeviceType.GPF})
_NUMBERS = {Method.B: 0, Method.A: 1, Method.C: 2}


class _Device(Table, frozen=True):
    kind: str
    """ESME, GSME, CHF, GPF, PPMID, HCALCS, `IHD` or `CAD`."""
    id: str
    """Its EUI-64."""


class _HomeFile(Table, frozen=True):
    """A home, to be planned: `smki han plan`."""

    device: list[_Device]
    """Its devices: {MAX_DEVICES} at most."""
    name: str = "a home"
    """What the picture is called."""


@dataclass(frozen=True, slots=True)
class Home:
    """The devices of a home, the hub first."""

    name: str
    members: tuple[Member, ...]
    words: tuple[str, ...]
    """What each is called: `ESME`, `IHD`."""

    def word(self, member: Member) -> str:
        return self.words[self.members.index(member)]


@dataclass(frozen=True, slots=True)
class Told:
    """One command of a plan: which, to whom, about whom, in whose name, and who signs and MACs it."""

    use_case: str
    member: Member
    about: Member
    role: RemotePartyRole
    signed: bool


@dataclass(frozen=True, slots=True)
class Joining:
    """Two devices that are to be joined."""

    number: int
    pair: Pair
    first: Member
    second: Member
    known: Known
    commands: tuple[Told, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything there is to do in a home."""

    home: Home
    listing: tuple[Told, ...]
    joins: tuple[Joining, ...]
    alone: tuple[Member, ...]
    """Those whom no rule joins with anyone here."""


def read_home(path: Path) -> Home:
    return home_of(read_bounded(path, _MAX_FILE_OCTETS, "han"), path.name)


def home_of(data: bytes, source: str) -> Home:
    file = read_toml(data, source, _HomeFile).value
    if not 1 <= len(file.device) <= MAX_DEVICES:
        raise _wrong(source, f"{len(file.device)} devices, and a home has 1 to {MAX_DEVICES}")
    found = [(Member(EntityId.parse(row.id), _kind(row.kind)), row.kind) for row in file.device]
    found.sort(key=lambda one: list(DeviceType).index(one[0].kind))
    found.sort(key=lambda one: one[0].kind is not DeviceType.CHF)
    members = tuple(member for member, _ in found)
    if len({one.device for one in members}) != len(members):
        raise _wrong(source, "a device stands there twice")
    for kind in (DeviceType.CHF, DeviceType.GPF):
        if sum(one.kind is kind for one in members) > 1:
            raise _wrong(source, f"more than one {kind.value}")
    if not any(one.kind is DeviceType.CHF for one in members):
        raise _wrong(source, "no communications hub (CHF), and no network without one")
    name = "".join(c for c in file.name if c.isprintable())[:_MAX_NAME]
    return Home(name, members, tuple(word for _, word in found))


def _kind(word: str) -> DeviceType:
    return DeviceType.TYPE_2 if word in _DISPLAYS else DeviceType.parse(word)


def plan(home: Home, policies: Policies) -> Plan:
    """What the rules make of a home."""
    (hub,) = (one for one in home.members if one.kind is DeviceType.CHF)
    listing = tuple(_told(policies, CCS01, hub, one) for one in home.members if one.kind not in _IN_HUB)
    joins = tuple(_joinings(home.members, policies))
    met = {member for one in joins for member in (one.first, one.second)}
    alone = tuple(one for one in home.members if one not in met and one is not hub)
    return Plan(home, listing, joins, alone)


def _joinings(members: Sequence[Member], policies: Policies) -> Iterator[Joining]:
    """In one order whatever the file's: meters with their own first, then with what stands in the home."""
    policy = policies.joins
    pairs = sorted(policy.rules.pairs, key=_rank)
    number = 0
    for pair in pairs:
        for first in members:
            for second in members:
                if (pair.first, pair.second) == (first.kind, second.kind):
                    number += 1
                    commands = tuple(_commanded(policies, part) for part in joining(pair, first, second))
                    yield Joining(number, pair, first, second, policy.known[pair], commands)


def _rank(pair: Pair) -> tuple[bool, bool, int, str]:
    """Meters first, then the proxy, displays last; among them what needs least said first."""
    display = pair.second is DeviceType.TYPE_2
    return display, pair.first is DeviceType.GPF, _NUMBERS[pair.method], str(pair)


def _commanded(policies: Policies, part: Part) -> Told:
    return _told(policies, JOIN_CODES[part.method], part.member, part.other)


def _told(policies: Policies, code: MessageCode, member: Member, about: Member) -> Told:
    row = policies.use_cases[code]
    return Told(row.name, member, about, speaker(policies, member), row.is_signed)


def _wrong(source: str, reason: str) -> InvalidInput:
    return InvalidInput("han.home", f"{source} is no home: {reason}", "docs/home-network.md shows its form")
