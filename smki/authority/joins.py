"""Which joins on a home's network are permitted (joins.toml), inside the limit that devices hold (GBCS 13.7.1.2)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from smki.device.join_rules import MAX_CAPACITY, JoinRules, Method, Pair
from smki.entity import DeviceType
from smki.errors import Refused
from smki.settings import Table, at, parsed

_FILE = "joins.toml"
Known = Literal["S", "V", "D", "R"]
"""How surely a fact is known: stated, seen in messages, derived, or our own reading."""


class _Pair(Table, frozen=True):
    method: Literal["A", "B", "C"]
    """`A` over the network, both told; `B` over the network, one told; `C` by certificates in the commands."""
    first: str
    """The kind of device that begins."""
    second: str
    """The other kind: `type 2` for displays and consumer access devices."""
    known: Known
    """How surely: `S` stated, `V` seen in published messages, `D` derived, `R` a reading of ours."""


class _Capacity(Table, frozen=True):
    known: Known
    """How surely."""
    ESME: int
    """{MAX_CAPACITY} at most, as of all."""
    GSME: int
    """Entries."""
    GPF: int
    """Entries."""
    PPMID: int
    """Entries."""
    HCALCS: int
    """Entries."""
    CHF: int
    """Devices on its whitelist."""


class _Removed(Table, frozen=True):
    known: Known
    """How surely."""
    kept: int
    """Devices whose link keys it would know again: 15 at most."""


class _Whitelist(Table, frozen=True):
    known: Known
    """How surely."""
    not_listed: int
    """For a device it does not list."""
    full: int
    """Where there is no room."""


@dataclass(frozen=True)
class JoinsPolicy:
    """What joins.toml says: the rules as devices are given them, and how surely each pair is known."""

    rules: JoinRules
    known: dict[Pair, Known]

    def given_to_devices(self, issuers: Sequence[bytes]) -> JoinRules:
        """With the authorities whose device certificates they are to believe over the network."""
        return replace(self.rules, issuers=tuple(issuers))


class JoinsFile(Table, frozen=True):
    """Which devices of a home may be joined, and how (GBCS 13.7.1.2). Rows can be taken out; a pair that the code
    does not know is refused. Devices get these rules in their bundle."""

    pair: list[_Pair]
    """The pairs that may be joined."""
    capacity: _Capacity
    """How many entries the device log of each kind takes."""
    removed: _Removed
    """What a hub remembers of devices taken off its whitelist."""
    whitelist: _Whitelist
    """What a hub answers."""

    def checked(self) -> JoinsPolicy:
        known: dict[Pair, Known] = {}
        for row in self.pair:
            one = Pair(
                Method(row.method),
                parsed(DeviceType.parse, row.first, at(_FILE, "pair.first")),
                parsed(DeviceType.parse, row.second, at(_FILE, "pair.second")),
            )
            if one in known:
                raise Refused("policy.joins", f"{_FILE}: {one} stands there twice", "say it once")
            known[one] = row.known
        kinds = (
            DeviceType.ESME,
            DeviceType.GSME,
            DeviceType.GPF,
            DeviceType.PPMID,
            DeviceType.HCALCS,
            DeviceType.CHF,
        )
        capacity = {kind: int(getattr(self.capacity, kind.name)) for kind in kinds}
        for kind, size in capacity.items():
            if not 0 <= size <= MAX_CAPACITY:
                raise Refused(
                    "policy.joins", f"{_FILE}: key `capacity.{kind.name}` = {size}", f"give 0 to {MAX_CAPACITY}"
                )
        rules = JoinRules(
            frozenset(known), capacity, self.removed.kept, self.whitelist.not_listed, self.whitelist.full
        )
        return JoinsPolicy(rules, known)
