"""Registration data: reading it, and the changes of an act.

A row says who is registered for a meter point from a moment on, and so ends the row before it.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from smki.entity import EntityId
from smki.meter_point import MeterPoint
from smki.store.acts import Acts
from smki.store.engine import Engine
from smki.store.estate_records import Registered, Tally
from smki.store.values import moment_of, pieces, places, seconds_of

_COLUMNS = ("since", "supplier", "network_operator", "meter_point")
_SELECT = f"SELECT {', '.join(_COLUMNS)} FROM registration"


class Registrations:
    """Everyone who is, was or will be registered."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def of(self, point: MeterPoint) -> tuple[Registered, ...]:
        """Past, present and pending, oldest first."""
        rows = self._engine.execute(f"{_SELECT} WHERE meter_point = ? ORDER BY since", (point.digits,)).fetchall()
        return tuple(_registered(row) for row in rows)

    def at(self, point: MeterPoint, moment: datetime) -> Registered | None:
        row = self._engine.execute(
            f"{_SELECT} WHERE meter_point = ? AND since <= ? ORDER BY since DESC LIMIT 1",
            (point.digits, seconds_of(moment)),
        ).fetchone()
        return None if row is None else _registered(row)

    def all_at(self, points: Iterable[MeterPoint], moment: datetime) -> dict[MeterPoint, Registered]:
        """Of many meter points, who is registered at a moment."""
        found: dict[MeterPoint, Registered] = {}
        for row in self._rows([point.digits for point in points], " AND since <= ?", (seconds_of(moment),)):
            found[MeterPoint(row[3])] = _registered(row)  # the last one counts
        return found

    def histories(self, points: Iterable[MeterPoint]) -> dict[str, list[tuple[int, bytes | None, bytes | None]]]:
        """Of many meter points, by their digits: since which second who supplies and serves, the oldest first."""
        found: dict[str, list[tuple[int, bytes | None, bytes | None]]] = {}
        for since, supplier, operator, digits in self._rows([point.digits for point in points]):
            found.setdefault(digits, []).append((since, _octets(supplier), _octets(operator)))
        return found

    def _rows(self, digits: Sequence[str], more: str = "", values: tuple[Any, ...] = ()) -> Iterable[tuple[Any, ...]]:
        for piece in pieces(digits):
            yield from self._engine.execute(
                f"{_SELECT} WHERE meter_point IN ({places(piece)}){more} ORDER BY meter_point, since",
                (*piece, *values),
            ).fetchall()

    def written(self, digits: Sequence[str]) -> dict[tuple[str, int], tuple[bytes | None, bytes | None]]:
        """What stands for these meter points now."""
        return {
            (point, since): (_octets(supplier), _octets(operator))
            for since, supplier, operator, point in self._rows(digits)
        }


class RegistrationActs(Acts):
    """Changes to registration data."""

    def put_registrations(self, rows: Sequence[tuple[MeterPoint, Registered]]) -> Tally:
        """Write rows; one that stands for its meter point and moment already is replaced."""
        self.lock()
        before = Registrations(self._engine).written(list({point.digits for point, _ in rows}))
        added: list[tuple[Any, ...]] = []
        changed: list[tuple[Any, ...]] = []
        for point, item in rows:
            row = (seconds_of(item.since), _id(item.supplier), _id(item.network_operator), point.digits)
            key = (point.digits, row[0])
            if key not in before:
                added.append(row)
            elif before[key] != row[1:3]:
                changed.append(row)
        for since, supplier, operator, digits in changed:
            self._execute(
                "UPDATE registration SET supplier = ?, network_operator = ? WHERE meter_point = ? AND since = ?",
                (supplier, operator, digits, since),
            )
        self._engine.insert("registration", _COLUMNS, added)
        return Tally(len(added), len(changed), len(rows) - len(added) - len(changed))


def _registered(row: Sequence[Any]) -> Registered:
    since, supplier, operator, _ = row
    return Registered(_entity(supplier), _entity(operator), moment_of(since))


def _octets(value: Any) -> bytes | None:
    return None if value is None else bytes(value)


def _entity(value: Any) -> EntityId | None:
    return None if value is None else EntityId(bytes(value))


def _id(entity: EntityId | None) -> bytes | None:
    return None if entity is None else entity.octets
