"""The limits that people set: users their own, the broker its own for everybody, and campaigns that were announced.

They come from files that officers signed. A limit here only ever adds to what anomaly.toml says; a campaign alone
lifts it, for one user, some use cases and a while, and never for what turns supply off.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Literal

from smki.authority.anomaly import LONGEST_WINDOW, MOST, SUPPLY_OFF
from smki.entity import EntityId, RemotePartyRole
from smki.errors import Refused

LONGEST_CAMPAIGN = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Limit:
    """At most so many admitted in any stretch of time so long."""

    name: str
    codes: frozenset[int] | None
    """None: of all use cases together."""
    count: int
    window: timedelta
    warn: int | None = None
    """From so many on it is said, and nothing is held."""
    roles: frozenset[RemotePartyRole] | None = None
    """Of users in these roles; None: in any. The change-of-supplier party is a role."""
    of: Literal["each", "all"] = "each"
    """Each user's own, or all users' together."""

    def __post_init__(self) -> None:
        if not timedelta(seconds=1) <= self.window <= LONGEST_WINDOW:
            raise Refused("limits.window", f"{self.name}: a window of {self.window}", "give 1 second to 7 days")
        if not 0 <= self.count <= MOST:
            raise Refused("limits.count", f"{self.name}: a count of {self.count}", f"give 0 to {MOST}")


@dataclass(frozen=True, slots=True)
class ValueLimit:
    """What a value in a payload may be."""

    name: str
    codes: frozenset[int]
    path: str
    """As `smki message show` names it; `*` at its end stands for anything."""
    least: float | None = None
    most: float | None = None


@dataclass(frozen=True, slots=True)
class Campaign:
    """A peak that was announced: so many by one user, in a while. Habits are not asked, and learn nothing from it."""

    name: str
    originator: EntityId
    codes: frozenset[int]
    since: datetime
    until: datetime
    count: int

    def __post_init__(self) -> None:
        if self.codes & SUPPLY_OFF:
            raise Refused(
                "limits.campaign", f"{self.name}: nothing that turns supply off is a campaign", "leave it out"
            )
        if not timedelta() < self.until - self.since <= LONGEST_CAMPAIGN:
            raise Refused(
                "limits.campaign", f"{self.name}: it lasts {self.until - self.since}", "give 7 days at most"
            )
        if not 0 <= self.count <= MOST:
            raise Refused("limits.count", f"{self.name}: a count of {self.count}", f"give 0 to {MOST}")


_NOBODYS: Mapping[EntityId, tuple[Limit, ...]] = MappingProxyType({})
_NOBODY_ANNOUNCES: Mapping[EntityId, frozenset[bytes]] = MappingProxyType({})


@dataclass(frozen=True, eq=False)
class Limits:
    """All that people set, besides anomaly.toml. Campaigns that are over stay for 90 days: habits leave them out.

    Whoever judges by these keeps the same value while nothing changed: plans are worked out anew for another one.
    """

    own: Mapping[EntityId, tuple[Limit, ...]] = field(default_factory=lambda: _NOBODYS)
    """Each user's, by its EUI-64."""
    everyone: tuple[Limit, ...] = ()
    """The broker's."""
    values: tuple[ValueLimit, ...] = ()
    campaigns: tuple[Campaign, ...] = ()
    announcers: Mapping[EntityId, frozenset[bytes]] = field(default_factory=lambda: _NOBODY_ANNOUNCES)
    """Users who announce what they sign, and the public keys that their announcements hold by: SPKI in DER."""

    @property
    def are_some(self) -> bool:
        return any((self.own, self.everyone, self.values, self.campaigns, self.announcers))


NO_LIMITS = Limits()
