"""Files of thresholds: what a person writes, and officers sign as CMS around it. Pure.

Three kinds: a user's own, the broker's for everybody, and a campaign that one user announces and the broker agrees
to.
"""

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from math import isfinite
from typing import Literal

from smki.authority.anomaly import MOST_SUPPLY_OFF, SUPPLY_OFF
from smki.authority.stretch import read_stretch
from smki.entity import EntityId, RemotePartyRole
from smki.errors import InvalidInput, Refused
from smki.gbcs.use_case import UseCases
from smki.parties.anomaly.limits import Campaign, Limit, ValueLimit
from smki.pki.public_key import read_spki
from smki.settings import Table, read_toml

FORM = "smki-broker-thresholds/1"
MAX_OCTETS = 1 << 18
GLOBAL = "global"
_MOST_ENTRIES, _MOST_NAME, _MOST_KEYS = 500, 80, 8
_LARGEST_SERIAL = 1 << 53
_FIRST_YEAR, _LAST_YEAR = 2000, 2999
_LONGEST_PATH = 400
_FILE = "the thresholds"

Kind = Literal["own", "global", "campaign"]


class _LimitTable(Table, frozen=True):
    name: str
    """What a held command tells; no two the same."""
    use_cases: list[str]
    """Names, codes, `critical`, `supply off`, or `*`."""
    count: int
    """So many pass."""
    window: str
    """In any stretch of time so long."""
    warn: int | None = None
    """So many pass without a word: fewer than `count`."""
    roles: list[str] | None = None
    """Of the broker's file: users in these roles."""
    of: Literal["each", "all"] = "each"
    """Of the broker's file: each user, or all together."""


class _ValueTable(Table, frozen=True):
    name: str
    """As above."""
    use_cases: list[str]
    """As above."""
    path: str
    """The value's path, as `smki message show` has it."""
    least: float | None = None
    """Not below this."""
    most: float | None = None
    """Not above this."""


class _CampaignTable(Table, frozen=True):
    name: str
    """As above."""
    use_cases: list[str]
    """As above."""
    count: int
    """So many, beyond what is usual."""
    since: datetime
    """From when on."""
    until: datetime
    """Until when."""


class _AnnouncementsTable(Table, frozen=True):
    """That a user announces what it signs: what turns supply off and was not announced is held."""

    keys: list[str]
    """Public keys that its announcements hold by, as `smki message announcing-key` tells: base64 of the DER,
    {_MOST_KEYS} at most."""


class _File(Table, frozen=True):
    """Thresholds at the broker, which officers sign: a user's own, the broker's for everybody, or campaigns that
    one user announces, which stand in a file of their own. {_MOST_ENTRIES} entries at most."""

    form: Literal["smki-broker-thresholds/1"]
    """What the file is."""
    owner: str
    """The user's EUI-64, or `global`."""
    serial: int
    """Higher than that of the file it replaces."""
    since: datetime
    """From when on it counts."""
    until: datetime
    """Until when."""
    limit: list[_LimitTable] = []
    """At most so many in a while."""
    value: list[_ValueTable] = []
    """A number in a payload stays between two."""
    campaign: list[_CampaignTable] = []
    """More than usual, announced."""
    announcements: _AnnouncementsTable | None = None
    """Of a user's own file: the user announces what it signs."""


@dataclass(frozen=True, eq=False)
class Thresholds:
    """One file, as it was written."""

    kind: Kind
    owner: EntityId | None
    """Whose; None: the broker's for everybody."""
    serial: int
    since: datetime
    until: datetime
    limits: tuple[Limit, ...] = ()
    values: tuple[ValueLimit, ...] = ()
    campaigns: tuple[Campaign, ...] = ()
    announcing_keys: frozenset[bytes] = frozenset()
    """Public keys (SPKI in DER) of a user who announces what it signs."""

    @cached_property
    def key(self) -> str:
        """The row of serial numbers that it belongs to."""
        whose = GLOBAL if self.owner is None else str(self.owner)
        return f"{whose} campaign" if self.kind == "campaign" else whose

    def covers(self, moment: datetime) -> bool:
        return self.since <= moment < self.until


def read_thresholds(content: bytes, use_cases: UseCases) -> Thresholds:
    """Read what was signed."""
    if len(content) > MAX_OCTETS:
        raise _form(f"more than {MAX_OCTETS} octets")
    file = read_toml(content, _FILE, _File).value
    if not 1 <= file.serial <= _LARGEST_SERIAL:
        raise _form(f"serial = {file.serial}")
    tables: tuple[list[_LimitTable] | list[_ValueTable] | list[_CampaignTable], ...]
    tables = (file.limit, file.value, file.campaign)
    names = [one.name for entries in tables for one in entries]
    if not (names or file.announcements) or len(names) > _MOST_ENTRIES or len(set(names)) != len(names):
        raise _form(f"{len(names)} entries, {len(set(names))} names")
    for name in names:
        if not 1 <= len(name) <= _MOST_NAME or not name.isprintable():
            raise _form(f"{name[:40]!r} is no name")
    owner = None if file.owner == GLOBAL else EntityId.parse(file.owner)
    kind: Kind = "campaign" if file.campaign else "global" if owner is None else "own"
    if file.campaign and (owner is None or file.limit or file.value):
        raise _form("campaigns stand in a file of their own, of one user")
    if file.announcements and kind != "own":
        raise _form("announcements are of one user, in its own file")
    since, until = _utc(file.since), _utc(file.until)
    if since >= until:
        raise _form("it ends before it begins")
    return Thresholds(
        kind=kind,
        owner=owner,
        serial=file.serial,
        since=since,
        until=until,
        limits=tuple(_limit(one, kind, use_cases) for one in file.limit),
        values=tuple(_value(one, use_cases) for one in file.value),
        campaigns=tuple(_campaign(one, owner, use_cases) for one in file.campaign if owner is not None),
        announcing_keys=frozenset() if file.announcements is None else _keys(file.announcements.keys),
    )


def _keys(texts: Sequence[str]) -> frozenset[bytes]:
    if not 1 <= len(texts) <= _MOST_KEYS:
        raise _form(f"{len(texts)} announcing keys: give 1 to {_MOST_KEYS}")
    found = set()
    for text in texts:
        try:
            spki = base64.b64decode(text, validate=True)
        except ValueError:  # also of what is not ASCII
            spki = b""
        if read_spki(spki) is None:
            raise _form(f"{text[:40]!r} is no public key on P-256")
        found.add(spki)
    return frozenset(found)


def _limit(table: _LimitTable, kind: Kind, use_cases: UseCases) -> Limit:
    codes = _codes(table.use_cases, use_cases, table.name)
    if kind == "own" and (table.of == "all" or table.roles is not None):
        raise _form(f"{table.name}: a user's own limit is for itself, in every role")
    ceiling = MOST_SUPPLY_OFF[table.of]
    if codes is not None and codes <= SUPPLY_OFF and table.count > ceiling:
        raise Refused(
            "thresholds.ceiling",
            f"{table.name}: {table.count} of what turns supply off; {ceiling} are held anyway",
            f"give {ceiling} at most",
        )
    if table.warn is not None and not 0 <= table.warn < table.count:
        raise _form(f"{table.name}: it warns at {table.warn}, and holds at {table.count}")
    roles = None if table.roles is None else frozenset(RemotePartyRole.parse(word) for word in table.roles)
    return Limit(table.name, codes, table.count, read_stretch(table.window, _FILE), table.warn, roles, table.of)


def _value(table: _ValueTable, use_cases: UseCases) -> ValueLimit:
    codes = _codes(table.use_cases, use_cases, table.name)
    bounds = [one for one in (table.least, table.most) if one is not None]
    if not all(isfinite(one) for one in bounds):  # what is compared with no number holds nothing
        raise _form(f"{table.name}: a bound that is no number")
    if not table.path.isprintable() or len(table.path) > _LONGEST_PATH:
        raise _form(f"{table.name}: {table.path[:40]!r} is no path")
    if codes is None or not bounds or not table.path:
        raise _form(f"{table.name}: name use cases, a path, and a least or a most")
    return ValueLimit(table.name, codes, table.path, table.least, table.most)


def _campaign(table: _CampaignTable, owner: EntityId, use_cases: UseCases) -> Campaign:
    codes = _codes(table.use_cases, use_cases, table.name)
    if codes is None:
        raise _form(f"{table.name}: a campaign of every use case")
    return Campaign(table.name, owner, codes, _utc(table.since), _utc(table.until), table.count)


def _codes(words: Iterable[str], use_cases: UseCases, where: str) -> frozenset[int] | None:
    """As anomaly.toml writes them: names, codes, `critical`, `supply off`; None for `*`."""
    found: set[int] = set()
    every = False
    for word in words:
        if word == "*":
            every = True
        elif word == "critical":
            found |= {int(row.code) for row in use_cases.all if row.critical}
        elif word == "supply off":
            found |= SUPPLY_OFF
        else:
            found |= {int(row.code) for row in use_cases.find(word)}
    if not found and not every:
        raise _form(f"{where}: no use case")
    return None if every else frozenset(found)


def _utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise _form(f"{moment} is no moment: write it as 2026-11-21T12:00:00Z")
    if not _FIRST_YEAR <= moment.year <= _LAST_YEAR:
        raise _form(f"the year {moment.year}")
    return moment.astimezone(UTC)


def _form(reason: str) -> InvalidInput:
    return InvalidInput(
        "thresholds.form",
        f"the thresholds cannot be read: {reason}",
        "`smki broker thresholds draft` shows their form",
    )


EXAMPLES: dict[Kind, str] = {
    "own": """\
# A user's own thresholds, signed by its officer; to loosen them, by a second officer of either side as well.
form = "smki-broker-thresholds/1"
owner = "{owner}"
serial = 1                      # the next file has a higher one
since = {since}
until = {until}

[[limit]]
name = "disconnections a day"
use_cases = ["supply off"]      # names, codes, "critical", "supply off", "*"
count = 100
warn = 80
window = "24h"

[[limit]]
name = "everything critical in an hour"
use_cases = ["critical"]
count = 2000
window = "1h"

# A key that is not the one commands are signed with: what you did not announce is held then (smki message announce).
# [announcements]
# keys = ["MFkw..."]              # as `smki message announcing-key` tells
""",
    "global": """\
# The broker's thresholds for everybody, signed by an officer on the roll; to loosen them, by two.
form = "smki-broker-thresholds/1"
owner = "global"
serial = 1                      # the next file has a higher one
since = {since}
until = {until}

[[limit]]
name = "disconnections of one supplier a day"
use_cases = ["supply off"]
roles = ["supplier"]
count = 500
window = "24h"
of = "each"                     # or "all": all users together

[[limit]]
name = "homes that change hands a day, of each CoS party"
use_cases = ["CS02b"]
roles = ["transitionalCoS"]
count = 5000
window = "24h"
""",
    "campaign": """\
# A peak that one user announces, signed by its officer and by one on the broker's roll. Not for turning supply off.
form = "smki-broker-thresholds/1"
owner = "{owner}"
serial = 1                      # of campaigns; the next file has a higher one
since = {since}
until = {until}

[[campaign]]
name = "tariff change"          # a later file with a campaign of this name replaces it
use_cases = ["ECS01a"]
count = 50000
since = {since}
until = {week}
""",
}
"""What `draft` writes."""
