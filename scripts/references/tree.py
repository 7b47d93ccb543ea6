"""The commands as a tree, and the same things that every form of reference tells of each."""

from collections.abc import Iterator
from dataclasses import dataclass

import click

from smki.cli.main import cli

EXIT_CODES = (
    (0, "done"),
    (1, "looked at and found wanting, or some of many were"),
    (2, "the input is not of its form"),
    (3, "a rule says no"),
    (4, "something cannot be reached now: the same command may succeed later"),
    (5, "what is stored contradicts itself"),
    (6, "the broker holds something: a person must look"),
    (70, "a defect of ours"),
    (130, "stopped by hand"),
)
ENVIRONMENT = (
    ("SMKI_HOME", "the workspace, as `--home` names it"),
    ("SMKI_DEBUG", "`1`: a defect of ours shows where it happened"),
    ("PGPASSFILE", "where the password of a PostgreSQL store is kept; `~/.pgpass` without it"),
)
# By what one wants to do; every command stands in one of them.
TASKS = {
    "Begin": ("init", "hsm", "completion"),
    "Make authorities": ("officer", "ceremony", "ca"),
    "Issue certificates": ("org", "device", "cert", "approve"),
    "Check certificates": ("chain", "bundle"),
    "Revoke and publish": ("crl", "ocsp"),
    "Know the estate": ("registration", "inventory"),
    "Command devices": ("usecase", "message", "topup", "credentials", "han"),
    "Stand between": ("broker", "cos"),
    "Recover": ("recovery", "contingency"),
    "Keep and prove": ("store", "audit"),
}


@dataclass(frozen=True)
class Member:
    """One command, by the words it is called with."""

    path: tuple[str, ...]
    command: click.Command

    @property
    def name(self) -> str:
        return " ".join(("smki", *self.path))

    @property
    def context(self) -> click.Context:
        return click.Context(self.command, info_name=self.name)

    @property
    def usage(self) -> str:
        return " ".join([self.name, *self.command.collect_usage_pieces(self.context)])

    @property
    def example(self) -> str:
        return (self.command.epilog or "").removeprefix("Example: ")

    @property
    def paragraphs(self) -> list[str]:
        """What it does, the first sentence first."""
        parts = (self.command.help or "").split("\n\n")
        return [" ".join(part.replace("\b", "").split()) for part in parts if part.strip()]

    @property
    def options(self) -> list[click.Option]:
        return [one for one in self.command.params if isinstance(one, click.Option)]

    @property
    def members(self) -> list["Member"]:
        if not isinstance(self.command, click.Group):
            return []
        found = []
        for name in self.command.list_commands(self.context):
            command = self.command.get_command(self.context, name)
            assert command is not None, "it was listed"
            found.append(Member((*self.path, name), command))
        return found

    def walk(self) -> Iterator["Member"]:
        """This one and all below it."""
        yield self
        for one in self.members:
            yield from one.walk()


TOP = Member((), cli)


def option_words(option: click.Option) -> str:
    """`--officer NAME`, `--yes/--no`."""
    names = ", ".join(option.opts) + "".join(f"/{name}" for name in option.secondary_opts)
    return names if option.is_flag else f"{names} {option.make_metavar(click.Context(cli))}"


def option_facts(option: click.Option) -> list[str]:
    """What help texts leave to be guessed: whether it must be given, how often, what holds without it."""
    facts = []
    if option.required:
        facts.append("required")
    if option.multiple:
        facts.append("may be repeated")
    default = option.default
    told = isinstance(default, str | int | float) and not isinstance(default, bool) and default != ""
    if told and not option.is_flag and "default" not in (option.help or "").lower():
        facts.append(f"default: `{default}`")
    if option.envvar:
        facts.append(f"or the variable `{option.envvar}`")
    return facts
