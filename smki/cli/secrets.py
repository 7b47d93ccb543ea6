"""How a passphrase reaches a command: from a prompt, a private file or the environment, never from its arguments."""

from pathlib import Path

import click

from smki.cli.session import Session

passphrase_option = click.option(
    "--passphrase",
    metavar="SOURCE",
    default="prompt",
    show_default=True,
    help="Where the passphrase comes from: prompt, env:NAME or file:PATH.",
)


def read_passphrase(session: Session, source: str, prompt: str) -> bytes:
    """The passphrase of a key file."""
    from smki.hsm.pin import PinSource

    return PinSource.parse(source).obtain(lambda _: session.ask(prompt), Path.cwd()).reveal().encode()
