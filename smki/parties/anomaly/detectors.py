"""Is this command too much? Each detector of anomaly.toml, and each limit that people set, answers for itself.

`judge` is asked for each command before it is admitted, with the counts of those admitted before. What is held is not
counted as admitted: so a window never lets more through than its limit, and no habit learns from what was held.
"""

from smki.authority.anomaly import Detectors
from smki.parties.anomaly.counts import Counts
from smki.parties.anomaly.explain import Finding
from smki.parties.anomaly.limits import Limits
from smki.parties.anomaly.planning import Plan, Planner
from smki.parties.anomaly.seen import OUTSIDE_AREAS, Seen


def judge(seen: Seen, counts: Counts, limits: Limits, detectors: Detectors) -> tuple[Finding, ...]:
    """Everything that is found about one command; nothing, ordinarily."""
    second = counts.second(seen.at)
    known = counts.plans_for
    if known[0] is not limits or known[1] is not detectors:
        counts.plan_for(limits, detectors)
    area = seen.area if seen.code in counts.by_area else OUTSIDE_AREAS
    key = seen.originator.octets, seen.code, area << 8 | seen.role
    plan: Plan | None = counts.plans.get(key)
    if plan is None or second >= plan.until:
        plan = counts.plans[key] = Planner(seen, second, counts, limits, detectors).plan()
    found: list[Finding] | None = None
    for window, most, explain in plan.guards:
        if window.total >= most and window.at(second) >= most and (told := explain(seen, second)):
            found = [*(found or ()), told]
    looks = plan.values if seen.values else ()
    if plan.sequences and (seen.before or seen.target.octets in counts.recent):
        looks = (*looks, *plan.sequences)
    if seen.announced is False:
        looks = (*looks, *plan.unannounced)
    for look in looks:
        if told := look(seen):
            found = [*(found or ()), told]
    return tuple(found) if found else ()


def held(findings: tuple[Finding, ...]) -> bool:
    return any(one.holds for one in findings)
