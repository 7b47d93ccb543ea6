"""How an officer speaks at a command line: whose key, by which passphrase, over which digest.

A passphrase comes from a prompt, a private file or the environment, never from the arguments of a command.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from smki.cli.options import FILE, F, with_options
from smki.cli.session import Session

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ec

passphrase_option = click.option(
    "--passphrase",
    metavar="SOURCE",
    default="prompt",
    show_default=True,
    help="Where the passphrase comes from: prompt, env:NAME or file:PATH.",
)
sha256_option = click.option(
    "--sha256", metavar="HEX", help="The digest you checked; asked for on a terminal if not given."
)


def read_passphrase(session: Session, source: str, prompt: str) -> bytes:
    """The passphrase of a key file."""
    from smki.hsm.pin import PinSource

    return PinSource.parse(source).obtain(lambda _: session.ask(prompt), Path.cwd()).reveal().encode()


def officer_key_options(function: F) -> F:
    """Where an officer's key is."""
    return with_options(
        function,
        click.option("--key", type=FILE, help="The officer's encrypted key file."),
        click.option("--token", metavar="NAME", help="Or the token of the workspace that holds the officer's key."),
        passphrase_option,
    )


def officer_options(function: F) -> F:
    """Which officer, and where the officer's key is."""
    return with_options(
        function,
        click.option("--officer", required=True, metavar="NAME", help="Who approves, as the roll names them."),
        officer_key_options,
    )


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


def checked_sha256(digest: bytes, of_what: str, typed: str | None) -> str:
    """The SHA-256 that the officer checked: as the option gives it, or by its first digits at a prompt."""
    if typed is not None:
        return typed
    click.echo(f"{of_what}\nSHA-256 {digest.hex()}", err=True)
    begin: str = click.prompt("Type the first 8 digits of the SHA-256 you checked", err=True)
    return digest.hex() if digest.hex()[:8] == begin.strip().lower() else begin
