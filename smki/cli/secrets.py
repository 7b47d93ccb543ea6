"""How a passphrase reaches a command: from a prompt, a private file or the environment, never from its arguments."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from smki.cli.session import Session

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ec

F = TypeVar("F", bound=Callable[..., Any])
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


def officer_key_options(function: F) -> F:
    """Which officer, and where the officer's key is."""
    for option in (
        passphrase_option,
        click.option("--token", metavar="NAME", help="Or the token of the workspace that holds the officer's key."),
        click.option("--key", type=click.Path(path_type=Path, dir_okay=False), help="The officer's key file."),
        click.option("--officer", required=True, metavar="NAME", help="Who approves, as the roll names them."),
    ):
        function = option(function)
    return function


def officers_private_key(
    session: Session, *, key: Path | None, token: str | None, passphrase: str
) -> "ec.EllipticCurvePrivateKey":
    """The key the options name."""
    from smki.authority.officers import load_officer_key, officer_key_in

    if key is not None and token is None:
        return load_officer_key(key, read_passphrase(session, passphrase, f"Passphrase of {key}"))
    if token is not None and key is None:
        return officer_key_in(session.workspace.open_token(token))
    raise click.UsageError("Say which key signs: either --key FILE or --token NAME.")
