"""The one form of every bench's rows: for people, for programs, for docs/figures."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

NOT_HERE = "not here"


@dataclass(frozen=True)
class Row:
    """One figure, and what it is held against."""

    key: str
    """Where it stands in the file of figures: names joined by dots."""
    row: str
    rate: float
    unit: str
    against: str
    bound: float | None = None
    aim: float | None = None
    """The ratio we want."""
    bar: str = ""
    """What the picture calls it, if it is in the picture."""
    beside: bool = False
    """The bound is what somebody else does, and not what can be done."""
    of: Mapping[str, int | str] = field(default_factory=dict)
    """What it was measured of: stands beside it in the file, for tables that have a line for each."""

    @property
    def ratio(self) -> float | None:
        return None if self.bound is None else self.rate / self.bound

    @property
    def is_missing(self) -> bool:
        return self.against.endswith(NOT_HERE)

    def as_json(self) -> dict[str, Any]:
        return {
            "row": self.row,
            "rate": self.rate,
            "unit": self.unit,
            "against": self.against,
            "bound": self.bound,
            "ratio": self.ratio,
            "aim": self.aim,
            "bar": self.bar,
            "beside": self.beside,
        }


def missing(row: Row) -> Row:
    """Ours, and nobody to hold it against."""
    return replace(row, against=f"{row.against}: {NOT_HERE}", bound=None)


def figures(rows: Iterable[Row]) -> dict[str, Any]:
    """All rows by their keys, each beside what it was measured of."""
    found: dict[str, Any] = {}
    for row in rows:
        *above, last = row.key.split(".")
        place = found
        for name in above:
            place = place.setdefault(name, {})
        place.update(row.of)
        assert last not in place, row.key
        place[last] = row.as_json()
    return found


def show(rows: Iterable[Row], *, as_json: bool) -> None:
    """A table for people, or a line a row, each as soon as it is there."""
    if not as_json:
        print(f"{'':46} {'rate':>12} {'':4} {'ratio':>8} {'aim':>4}  against", flush=True)
    for row in rows:
        print(json.dumps({"key": row.key, **row.as_json(), **row.of}) if as_json else _line(row), flush=True)


def _line(row: Row) -> str:
    ratio = NOT_HERE if row.is_missing else "" if row.ratio is None else f"{row.ratio:.2f}"
    bound = "" if row.bound is None else f" ({_digits(row.bound)})"
    aim = "" if row.aim is None else f"{row.aim:.1f}"
    return f"{row.row:46} {_digits(row.rate):>12} {row.unit:4} {ratio:>8} {aim:>4}  {row.against}{bound}"


def _digits(value: float) -> str:
    return f"{value:,.{0 if value >= 1000 else 1 if value >= 10 else 2}f}"
