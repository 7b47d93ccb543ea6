"""Certificate policies along a path: the valid policy graph.

RFC 9618 replaced the tree of RFC 5280 with a graph that says the same: in the tree, a chain with mappings makes a
number of nodes exponential in its length, and whoever sends the chain chooses it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from cryptography.x509 import ObjectIdentifier

from smki.pki.path.options import ANY_POLICY


@dataclass(slots=True, eq=False)
class _Node:
    policy: ObjectIdentifier
    expected: frozenset[ObjectIdentifier]
    parents: "list[_Node]" = field(default_factory=list)


_Level = dict[ObjectIdentifier, _Node]


class PolicyGraph:
    """RFC 5280 6.1.2(a) as RFC 9618 writes it; one level for each certificate. Empty stands for NULL."""

    def __init__(self) -> None:
        self._levels: list[_Level] = [{ANY_POLICY: _Node(ANY_POLICY, frozenset({ANY_POLICY}))}]

    @property
    def is_null(self) -> bool:
        return not self._levels

    @property
    def width(self) -> int:
        """Nodes at the last level: what the next one costs."""
        return sum(len(level) for level in self._levels[-1:])

    def clear(self) -> None:
        """6.1.3(e)."""
        self._levels = []

    def add(self, policies: Iterable[ObjectIdentifier], *, any_allowed: bool) -> None:
        """6.1.3(d): one level more, from the policies of a certificate."""
        if self.is_null:
            return
        above, level, stated = self._levels[-1], _Level(), set(policies)
        expecting: dict[ObjectIdentifier, list[_Node]] = {}
        for node in above.values():
            for policy in node.expected:
                expecting.setdefault(policy, []).append(node)
        for policy in stated - {ANY_POLICY}:
            # (d)(1)(i), and (ii) where nobody above expects it
            parents = expecting.get(policy) or [above[p] for p in (ANY_POLICY,) if p in above]
            if parents:
                level[policy] = _Node(policy, frozenset({policy}), parents)
        if ANY_POLICY in stated and any_allowed:  # (d)(2)
            for policy, parents in expecting.items():
                level.setdefault(policy, _Node(policy, frozenset({policy}), parents))
        self._levels = [*self._levels, level] if level else []
        self._prune()

    def map(self, mappings: Iterable[tuple[ObjectIdentifier, ObjectIdentifier]], *, allowed: bool) -> None:
        """6.1.4(b): what the issuer's policies are called below; `add` prunes what this leaves."""
        if self.is_null:
            return
        called: dict[ObjectIdentifier, set[ObjectIdentifier]] = {}
        for issuers, subjects in mappings:
            called.setdefault(issuers, set()).add(subjects)
        level = self._levels[-1]
        for policy, names in called.items():
            if not allowed:
                level.pop(policy, None)  # (b)(2)
            elif policy in level:
                level[policy].expected = frozenset(names)  # (b)(1)
            elif ANY_POLICY in level:
                level[policy] = _Node(policy, frozenset(names), list(level[ANY_POLICY].parents))

    def intersection(self, initial: frozenset[ObjectIdentifier]) -> frozenset[ObjectIdentifier]:
        """6.1.5(g): the policies, as the anchor calls them, that the path and the user agree on."""
        if self.is_null:
            return frozenset()
        top = {
            node.policy
            for level in self._levels
            for node in level.values()
            if node.policy != ANY_POLICY and [parent.policy for parent in node.parents] == [ANY_POLICY]
        }
        any_at_end = ANY_POLICY in self._levels[-1]
        if ANY_POLICY in initial:
            return frozenset(top | ({ANY_POLICY} if any_at_end else set()))
        return initial if any_at_end else initial & top

    def _prune(self) -> None:
        """6.1.3(d)(3): a node above that no node below leads to is no more."""
        for number in reversed(range(len(self._levels) - 1)):
            needed = {id(parent) for node in self._levels[number + 1].values() for parent in node.parents}
            self._levels[number] = {key: node for key, node in self._levels[number].items() if id(node) in needed}
