"""What every kind of change inside an act stands on."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from smki.store.engine import Engine


class Acts:
    """The open transaction of one act."""

    def __init__(self, engine: Engine, set_meta: Callable[[str, bytes], None], at: datetime) -> None:
        self._engine = engine
        self._set_meta = set_meta
        self._at = at

    def _execute(self, sql: str, values: tuple[Any, ...] = ()) -> Any:
        return self._engine.execute(sql, values)

    def lock(self) -> None:
        """From here to the end, nobody else's act comes between what is looked up and what is written."""
        self._engine.lock_log()
