"""What one command line works with: the workspace it names, a clock, and a way to ask for a secret."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from smki.authority.policies import Policies
    from smki.authority.workspace import Workspace


def _now() -> datetime:
    return datetime.now(UTC)


def _ask(prompt: str) -> str:
    answer: str = click.prompt(prompt, hide_input=True, err=True)
    return answer


class Session:
    """Made once a command line; tests give their own clock and answers."""

    def __init__(self, clock: Callable[[], datetime] = _now, ask: Callable[[str], str] = _ask) -> None:
        self.home: Path | None = None
        self.clock = clock
        self.ask = ask
        self._workspace: Workspace | None = None

    @property
    def workspace(self) -> "Workspace":
        """The workspace, opened when first needed."""
        if self._workspace is None:
            from smki.authority.workspace import Person, Workspace, find_home

            self._workspace = Workspace(find_home(self.home), self.clock, self.ask, Person.from_system())
        return self._workspace

    @property
    def has_workspace(self) -> bool:
        """Whether there is one to work in: some commands do without."""
        from smki.authority.workspace import find_home
        from smki.errors import InvalidInput

        try:
            find_home(self.home)
        except InvalidInput:
            if self.home is not None:
                raise
            return False
        return True

    @property
    def policies(self) -> "Policies":
        """Those of the workspace; where there is none, those that are shipped."""
        from smki.authority.policies import load_policies
        from smki.authority.workspace import SHIPPED

        return self.workspace.policies if self.has_workspace else load_policies(SHIPPED / "policies")

    def close(self) -> None:
        if self._workspace is not None:
            self._workspace.close()
            self._workspace = None


pass_session = click.make_pass_decorator(Session)
