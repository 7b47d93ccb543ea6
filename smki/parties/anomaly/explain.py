"""What a detector says to a person: what it is called, which numbers it compared, and since when."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from smki.parties.anomaly.seen import Seen
from smki.pki.verdict import Fault

_REMEDY = "find out from its originator whether it is meant, then release it or reject it"


@dataclass(frozen=True, slots=True)
class Finding:
    """One reason why one command is too much, or worth a word."""

    detector: str
    """Its name in anomaly.toml, or the limit's in its file."""
    code: str
    """`anomaly.count`, and so on: one for each kind."""
    holds: bool
    """Or else it is only said."""
    pattern: str
    """What belongs together, and is decided together: a use case of one originator on one day."""
    message: str
    numbers: tuple[tuple[str, float], ...]
    """What was compared, by name; times as seconds since 1970."""

    @property
    def fault(self) -> Fault:
        return Fault(self.code, f"{self.detector}: {self.message}", _REMEDY)

    def as_json(self) -> dict[str, Any]:
        return {
            "detector": self.detector,
            "code": self.code,
            "holds": self.holds,
            "pattern": self.pattern,
            "message": self.message,
            "numbers": dict(self.numbers),
        }


def pattern_of(seen: Seen) -> str:
    return f"0x{seen.code:04X} {seen.originator} {seen.at.astimezone(UTC):%Y-%m-%d}"


def finding(
    name: str, kind: str, seen: Seen, message: str, numbers: dict[str, float], *, holds: bool = True
) -> Finding:
    return Finding(name, f"anomaly.{kind}", holds, pattern_of(seen), message, tuple(numbers.items()))


def time_of(second: int) -> str:
    return f"{datetime.fromtimestamp(second, UTC):%Y-%m-%dT%H:%M:%SZ}"


def length_of(seconds: int) -> str:
    """`24h`, `10m`, `7d`: as policy files write it."""
    for unit, letter in ((86_400, "d"), (3600, "h"), (60, "m")):
        if seconds % unit == 0 and seconds >= unit and (letter != "d" or seconds > unit):
            return f"{seconds // unit}{letter}"
    return f"{seconds}s"
