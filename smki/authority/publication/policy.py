"""How often lists are made, and how long they are good (publication.toml), inside limits that are code."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from smki.authority.stretch import read_stretch
from smki.errors import Refused
from smki.pki.scope import Scope
from smki.settings import Table, at
from smki.store.records import AuthorityRecord

_FILE = "publication.toml"
_OFF = "off"
_MOST_WITHIN = timedelta(hours=24)
_MOST_VALID = timedelta(days=400)
_SCOPES = {"root": (Scope.ALL, Scope.AUTHORITIES), "issuing": (Scope.ALL, Scope.END_ENTITIES)}


class _RuleTable(Table, frozen=True):
    every: str
    """A list is made again at least so often."""
    within: str
    """And so soon after a revocation at the latest: {_MOST_WITHIN} at most."""
    valid: str
    """From thisUpdate to nextUpdate: {_MOST_VALID} at most, and never less than `every` and `cry` together."""
    cry: str
    """How long before a list's end its lack is an alarm."""
    contains: Literal["all", "authorities", "end-entities"]
    """`authorities` for roots alone, `end-entities` for issuing authorities alone: then the list has a critical
    issuing distribution point."""
    delta_every: str
    """`off`, or how often a delta is made between complete lists: below `every`."""


class TiersTable(Table, frozen=True):
    """Revocation lists: for each hierarchy how often a list is made, how soon after a revocation, how long it is
    good."""

    root: _RuleTable
    """Its root's lists."""
    issuing: _RuleTable
    """Those of its issuing authorities."""


PublicationFile = dict[str, TiersTable]
"""The file as written: a table for each hierarchy."""


@dataclass(frozen=True, slots=True)
class ListRule:
    """What is promised of one authority's lists."""

    every: timedelta
    within: timedelta
    valid: timedelta
    cry: timedelta
    scope: Scope
    delta_every: timedelta | None

    @property
    def delta_valid(self) -> timedelta:
        """Long enough that one which came late is there before this one ends."""
        assert self.delta_every is not None, "asked where there are deltas"
        return min(2 * self.delta_every, self.valid)


@dataclass(frozen=True, slots=True)
class PublicationPolicy:
    """What publication.toml says."""

    rules: Mapping[tuple[str, str], ListRule]

    def rule(self, authority: AuthorityRecord) -> ListRule:
        return self.rules[authority.hierarchy, authority.tier]


def checked(file: PublicationFile, hierarchies: Iterable[str]) -> PublicationPolicy:
    """As values; no hierarchy is without."""
    for name in hierarchies:
        if name not in file:
            raise Refused(
                "policy.publication",
                f"{_FILE}: nothing is said of hierarchy {name}",
                f"add [{name}.root] and [{name}.issuing]",
            )
    rules = {}
    for name, tiers in file.items():
        if name not in set(hierarchies):
            raise Refused("policy.publication", f"{_FILE}: there is no hierarchy {name[:40]!r}", "see hierarchy.toml")
        rules[name, "root"] = _rule(tiers.root, name, "root")
        rules[name, "issuing"] = _rule(tiers.issuing, name, "issuing")
    return PublicationPolicy(rules)


def _rule(table: _RuleTable, hierarchy: str, tier: str) -> ListRule:
    def read(key: str, text: str) -> timedelta:
        return read_stretch(text, at(_FILE, f"{hierarchy}.{tier}.{key}"))

    rule = ListRule(
        every=read("every", table.every),
        within=read("within", table.within),
        valid=read("valid", table.valid),
        cry=read("cry", table.cry),
        scope=Scope(table.contains),
        delta_every=None if table.delta_every == _OFF else read("delta_every", table.delta_every),
    )
    faults = {
        f"within is more than {_MOST_WITHIN.days * 24}h": rule.within > _MOST_WITHIN,
        f"valid is more than {_MOST_VALID.days}d": rule.valid > _MOST_VALID,
        "a list would end, or be cried for, before the next is due: valid < every + cry": rule.valid
        < rule.every + rule.cry,
        "a delta as seldom as a complete list": rule.delta_every is not None and rule.delta_every >= rule.every,
        f"a list of a {tier} authority with {table.contains} alone": rule.scope not in _SCOPES[tier],
    }
    for fault, broken in faults.items():
        if broken:
            raise Refused("policy.publication", f"{_FILE}: [{hierarchy}.{tier}]: {fault}", "correct the file")
    return rule
