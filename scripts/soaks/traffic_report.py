"""What the simulated traffic shows, as tables, and what of it breaks the promise."""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from scripts.soaks.traffic import Tell, Told, attack, clean_weeks, country
from scripts.soaks.traffic_attacks import STRATEGIES, Strategy
from scripts.soaks.traffic_users import Event
from smki.parties.anomaly.explain import Finding

_FEW = 10
"""What counts all users together holds some of others too, before the robbed one's are held by themselves."""


@dataclass(frozen=True)
class Run:
    """One country."""

    seed: int
    days: int
    judged: int
    """Without an attack."""
    held: int
    """Of those: wrongly."""
    attacks: list[Told]
    wrong: list[str]
    """What is not as it was promised."""


def run(
    days: int, seed: int, tell: Tell, strategies: Sequence[Strategy] = STRATEGIES, names: Collection[str] = ()
) -> Run:
    """One country, some days without attack, then each attack."""
    there = country(seed, names)
    broker, wrong, warned = clean_weeks(there, days, seed)
    tell(f"seed {seed}: {days} days from {there.start}, {broker.judged} commands without attack, {len(wrong)} held")
    for name, number in warned.most_common():
        tell(f"  {number} warned of by {name!r}")
    base = [*broker.counts.rows()]
    told = [attack(there, base, days, strategy, seed) for strategy in strategies]
    for line in table(told):
        tell(line)
    return Run(seed, days, broker.judged, len(wrong), told, [*_wrongly_held(wrong), *_not_prompt(told)])


def figures(runs: Sequence[Run]) -> dict[str, Any]:
    """For docs/figures: of each attack how it went, in the middle of the runs and in the worst."""
    return {
        "countries": len(runs),
        "days": runs[0].days,
        "commands": sum(one.judged for one in runs),
        "held": sum(one.held for one in runs),
        "attacks": [_figures([one.attacks[place] for one in runs]) for place in range(len(runs[0].attacks))],
    }


def _figures(told: Sequence[Told]) -> dict[str, Any]:
    never = [one for one in told if one.before_first is None]
    after = sorted(one.before_first for one in told if one.before_first is not None)
    by = Counter(name for one in told for name in one.first_by).most_common(1)
    return {
        "name": told[0].strategy.name,
        "sent": round(median(one.excess for one in told)),
        "passed": max(one.through / one.excess for one in told),
        "after": f"{round(median(after))}" if after else "never",
        "worst": "never" if never else f"{after[-1]}",
        "share": None if never else max((one.before_first or 0) / one.excess for one in told),
        "minutes": f"{round(median(one.minutes for one in told if one not in never))}" if after else "",
        "by": by[0][0] if by else "",
    }


def table(told: list[Told]) -> Iterator[str]:
    yield f"{'attack':43} {'sent':>6} {'passed':>6} {'share':>6} {'first held':>16}  {'theirs':>6} {'others':>6}  by"
    for one in told:
        when = "never" if one.before_first is None else f"{one.before_first} / {one.minutes:.0f} min"
        by = ", ".join(f"{name} {number}" for name, number in one.by.most_common(3))
        yield (
            f"{one.strategy.name:43} {one.excess:6} {one.through:6} {one.through / one.excess:6.1%} {when:>16}"
            f"  {one.own_waiting:6} {one.others_waiting:6}  {by}"
        )
    detectors = Counter(name for one in told for name in one.by)
    first = Counter(name for one in told for name in one.first_by)
    for name, number in detectors.most_common():
        yield f"  {name}: finds {number} of {len(told)} attacks, {first[name]} of them first"


def _wrongly_held(wrong: list[tuple[Event, tuple[Finding, ...]]]) -> Iterator[str]:
    for event, found in wrong[:5]:
        yield f"legitimate, and held: {event.user.name}: " + "; ".join(
            one.fault.message for one in found if one.holds
        )
    if len(wrong) > 5:
        yield f"and {len(wrong) - 5} more legitimate ones"


def _not_prompt(told: list[Told]) -> Iterator[str]:
    for one in told:
        if not one.is_prompt:
            yield f"{one.strategy.name}: {one.before_first} of {one.excess} passed before the first was held"
        if one.others_waiting > _FEW:
            yield f"{one.strategy.name}: {one.others_waiting} commands of parties that were not robbed were held"
