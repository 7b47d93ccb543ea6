"""The one form of every bench's rows."""

import json
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One figure, and what it is held against."""

    row: str
    rate: float
    unit: str
    against: str
    bound: float | None = None

    @property
    def ratio(self) -> float | None:
        return None if self.bound is None else self.rate / self.bound

    def as_json(self) -> str:
        return json.dumps(
            {
                "row": self.row,
                "rate": round(self.rate, 3),
                "unit": self.unit,
                "against": self.against,
                "bound": None if self.bound is None else round(self.bound, 3),
                "ratio": None if self.ratio is None else round(self.ratio, 3),
            }
        )


def show(rows: list[Row], *, as_json: bool) -> None:
    """A table for people, or a line a row."""
    if as_json:
        for row in rows:
            print(row.as_json())
        return
    print(f"{'':34} {'rate':>12} {'':4} {'ratio':>6}  against")
    for row in rows:
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
        bound = "" if row.bound is None else f" ({row.bound:,.{1 if row.bound >= 10 else 2}f})"
        digits = 1 if row.rate >= 10 else 2
        print(f"{row.row:34} {row.rate:>12,.{digits}f} {row.unit:4} {ratio:>6}  {row.against}{bound}")
