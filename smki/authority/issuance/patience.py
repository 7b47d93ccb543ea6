"""How long a run waits for what went away: a token pulled out, a database restarted, a full disk."""

import time
from collections.abc import Callable
from typing import TypeVar

from smki.errors import Unavailable

LONGEST_PAUSE = 5.0
T = TypeVar("T")


class Patience:
    """Pauses that grow, until the limit is reached; whatever works again ends the trouble."""

    def __init__(self, limit: float, tell: Callable[[Unavailable], None]) -> None:
        self._limit = limit
        self._tell = tell
        self._since: float | None = None
        self._pause = 0.1

    @property
    def trouble(self) -> bool:
        """Whether something was away a moment ago."""
        return self._since is not None

    def wait(self, error: Unavailable) -> None:
        """Wait a while before the next try; too late, give the error up to whoever called."""
        now = time.monotonic()
        if self._since is None:
            self._since = now
            self._tell(error)
        if now - self._since + self._pause > self._limit:
            raise error
        time.sleep(self._pause)
        self._pause = min(2 * self._pause, LONGEST_PAUSE)

    def over(self) -> None:
        self._since, self._pause = None, 0.1

    def keep_trying(self, work: Callable[[], T]) -> T:
        """Do it, again and again where something is away."""
        while True:
            try:
                done = work()
            except Unavailable as error:
                self.wait(error)
            else:
                self.over()
                return done
