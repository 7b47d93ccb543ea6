"""What makes no sense one after another: the steps that a `sequence` detector finds behind a command."""

from collections.abc import Sequence

from smki.authority.anomaly import SequenceRule
from smki.parties.anomaly.counts import Counts
from smki.parties.anomaly.explain import Finding, finding, length_of, time_of
from smki.parties.anomaly.seen import Seen


def _matched(rule: SequenceRule, sent: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The last that fits each step, if those that came last do; a step that is repeated is one step still."""
    known = (rule.codes or frozenset()).union(*rule.steps)
    left = [step for step in sent if step[0] in known]
    found: list[tuple[int, int]] = []
    for place in range(len(rule.steps) - 1, -1, -1):
        wanted, earlier = rule.steps[place], rule.steps[place - 1] if place else frozenset()
        if not left or left[-1][0] not in wanted:
            return []
        found.insert(0, left.pop())
        while left and left[-1][0] in wanted - earlier:
            left.pop()
    return found


def senseless(rule: SequenceRule, counts: Counts, seen: Seen) -> Finding | None:
    steps = _matched(rule, counts.steps(seen))
    if not steps:
        return None
    first, within = steps[0][1], int(rule.within.total_seconds())
    took = int(seen.at.timestamp()) - first
    if took > within:
        return None
    before = ", ".join(f"0x{code:04X} at {time_of(second)}" for code, second in steps)
    return finding(
        rule.name,
        "sequence",
        seen,
        f"{seen.target} was sent {before}; this would follow within {length_of(within)}",
        {"seconds": took, "within": within, "since": first},
        holds=rule.holds,
    )
