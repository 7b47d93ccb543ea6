"""Options that name keys and certificates, shared by the commands that work with them."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from smki.cli.options import FILE, F, with_options
from smki.cli.session import Session

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec

    from smki.parties.keys import Certified


def own_key_options(function: F) -> F:
    """One's own key: in a token, or for laboratories in a file."""
    return with_options(
        function,
        click.option("--certificate", type=FILE, help="The certificate of our own key."),
        click.option("--token", metavar="NAME", help="The token that holds the key."),
        click.option("--key", "label", metavar="LABEL", help="The key's label in the token."),
        click.option("--key-file", type=FILE, help="Or the key in a file only you can read (laboratories)."),
    )


certificates_option = click.option(
    "--certificates",
    "others",
    multiple=True,
    type=click.Path(path_type=Path, exists=True),
    help="Certificates of others, files or folders; repeat it. A workspace adds those it issued.",
)
_NAME_IT = "Name the key by --certificate with --token and --key, or with --key-file."
keep_secrets_option = click.option(
    "--keep-secrets",
    type=click.IntRange(0, 100_000),
    default=0,
    show_default=True,
    help="Shared secrets to keep in memory during this run, for devices that come again.",
)


def own_key(
    session: Session, certificate: Path | None, token: str | None, label: str | None, key_file: Path | None
) -> "tuple[Certified, ec.EllipticCurvePrivateKey] | None":
    """Our own key with its certificate, or none if none was named."""
    from smki.parties.keys import file_key, read_certified, token_key

    if (certificate, token, label, key_file) == (None, None, None, None):
        return None
    if certificate is not None and key_file is not None and token is None and label is None:
        one = read_certified(certificate)
        return one, file_key(key_file, one)
    if certificate is not None and key_file is None and token is not None and label is not None:
        one = read_certified(certificate)
        return one, token_key(session.workspace, token, label, one)
    raise click.UsageError(_NAME_IT)


def signer(
    session: Session, certificate: Path | None, token: str | None, label: str | None, key_file: Path | None
) -> "tuple[x509.Certificate, ec.EllipticCurvePrivateKey]":
    """A key with its certificate, of whatever kind that is: an officer's, or a signer of bundles."""
    from smki.parties.keys import file_key_of, token_key_of

    if certificate is not None and key_file is not None and token is None and label is None:
        return file_key_of(key_file, certificate)
    if certificate is not None and key_file is None and token is not None and label is not None:
        return token_key_of(session.workspace, token, label, certificate)
    raise click.UsageError(_NAME_IT)
