"""Findings of `smki inventory audit`, for the commands that mend them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from smki.cli.options import EXISTING
from smki.errors import InvalidInput

if TYPE_CHECKING:
    from smki.entity import EntityId

_MAX_OCTETS = 1 << 30
_MAX_LINE = 1024

findings_option = click.option(
    "--findings",
    type=EXISTING,
    help="Or those that an audit found: what `smki inventory audit --out` wrote.",
)


@dataclass(frozen=True, slots=True)
class Found:
    """One cell that holds another than it should, and which mode mends it."""

    device: "EntityId"
    meter_point: str
    holds: "EntityId"
    should_hold: "EntityId"
    mend: str


def read_findings(path: Path) -> Iterator[Found]:
    """The findings about cells; of the others there is nothing to make."""
    if path.stat().st_size > _MAX_OCTETS:
        raise InvalidInput("findings.size", f"{path} has more than {_MAX_OCTETS} octets", "split it")
    with path.open("rb") as file:
        number = 0
        while line := file.readline(_MAX_LINE + 1):
            number += 1
            found = _read(line, f"{path} line {number}")
            if found is not None:
                yield found


def _read(line: bytes, place: str) -> Found | None:
    import json

    from smki.entity import EntityId

    try:
        if len(line) > _MAX_LINE:
            raise ValueError
        row = json.loads(line)
        if row["should_hold"] is None or row["holds"] is None:
            return None
        device, holds, should_hold = (EntityId.parse(row[name]) for name in ("device", "holds", "should_hold"))
        return Found(device, str(row["meter_point"]), holds, should_hold, str(row["mend"]))
    except (InvalidInput, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise InvalidInput(
            "findings.form", f"{place} is no finding", "give what `smki inventory audit --out` wrote"
        ) from None
