"""Names of a workspace that the shell completes: tokens, authorities, officers, organisations, use cases.

Nothing is asked, told or changed while a line is being typed: where the names cannot be had, there are none.
"""

from collections.abc import Callable, Iterable

import click
from click.shell_completion import CompletionItem
from click.types import StringParamType

from smki.cli.session import Session
from smki.errors import SmkiError

Look = Callable[[Session], Iterable[str]]


def _tokens(session: Session) -> Iterable[str]:
    return session.workspace.tokens


def _authorities(session: Session) -> Iterable[str]:
    return (one.name for one in session.workspace.store.authorities())


def _officers(session: Session) -> Iterable[str]:
    return (one.name for one in session.workspace.store.officers())


def _organisations(session: Session) -> Iterable[str]:
    return (one.name for one in session.workspace.store.organisations.all())


def _use_cases(session: Session) -> Iterable[str]:
    return (one.name or str(one.code) for one in session.policies.use_cases.all)


_LOOKS: dict[str, Look] = {
    "token": _tokens,
    "authority": _authorities,
    "officer": _officers,
    "organisation": _organisations,
    "use_case": _use_cases,
}
# What NAME is, by the noun it is given to; a new one is nobody's yet.
_OF_NOUNS: dict[str, Look] = {
    "ca": _authorities,
    "crl": _authorities,
    "device": _organisations,
    "org": _organisations,
}
_NEW = ("org", "add")


class _Name(StringParamType):
    """Text, of which some is known."""

    def __init__(self, look: Look) -> None:
        self._look = look

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG002 - click's signature
        session = Session()
        session.home = ctx.find_root().params.get("home")
        try:
            return [CompletionItem(name) for name in sorted(self._look(session)) if name.startswith(incomplete)]
        except SmkiError:
            return []
        finally:
            session.close()


def know_names(noun: str, command: click.Command, *path: str) -> None:
    """Have the parameters of a noun's commands know the names that are there."""
    if isinstance(command, click.Group):
        for name, one in command.commands.items():
            know_names(noun, one, *path, name)
        return
    for parameter in command.params:
        look = _LOOKS.get(parameter.name or "")
        if parameter.name == "name" and (noun, *path) != _NEW:
            look = _OF_NOUNS.get(noun)
        if look is not None and parameter.type is click.STRING:
            parameter.type = _Name(look)
