"""A day in a table: what was done how often, what was done to it, how soon it went on, and what the audit found."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from scripts.soaks.day.run import Over


def table(over: Over) -> Iterator[str]:
    hands = over.hands
    yield f"{'work':16} {'done':>7} {'tries':>7}  {'interrupted':>11} {'slowest recovery':>17}"
    slowest = _slowest(over)
    for name, number in sorted(hands.done.items()):
        count, seconds = slowest.get(name, (0, 0.0))
        last = f"{seconds:15.1f} s" if count else ""
        yield f"{name:16} {number:7} {hands.tries[name]:7}  {count or '':>11} {last:>17}"
    yield f"answers by OCSP {over.asked[0]}, none {over.asked[1]} times"
    yield ""
    yield f"{'fault':16} {'times':>7}"
    for kind, number in sorted(Counter(one.kind for one in over.faults).items()):
        yield f"{kind:16} {number:7}" + (f"  ({over.disk})" if kind == "disk full" else "")
    yield ""
    yield f"{'the audit recomputed':68} {'things':>8} {'differ':>7}"
    for one in over.checks:
        yield f"{one.name:68} {one.count:8,} {len(one.wrong):7,}"


def faults(over: Over) -> Iterator[str]:
    """Each, with its time."""
    for one in over.faults:
        yield f"{one.at:6.1f} s  {one.kind}: {one.words}"


def figures(over: Over) -> dict[str, Any]:
    """The same for programs."""
    slowest = _slowest(over)
    return {
        "engine": over.engine,
        "seed": over.seed,
        "seconds": over.took,
        "work": [
            {
                "name": name,
                "done": number,
                "tries": over.hands.tries[name],
                "interrupted": slowest.get(name, (0, 0.0))[0],
                "slowest_recovery": slowest.get(name, (0, 0.0))[1],
            }
            for name, number in sorted(over.hands.done.items())
        ],
        "ocsp": {"answers": over.asked[0], "none": over.asked[1]},
        "faults": dict(sorted(Counter(one.kind for one in over.faults).items())),
        "disk": over.disk,
        "checks": [{"name": one.name, "things": one.count, "differ": len(one.wrong)} for one in over.checks],
        "wrong": len(over.wrong),
    }


def _slowest(over: Over) -> dict[str, tuple[int, float]]:
    found: dict[str, tuple[int, float]] = {}
    for one in over.hands.recoveries:
        count, seconds = found.get(one.desk, (0, 0.0))
        found[one.desk] = count + 1, max(seconds, one.seconds)
    return found
