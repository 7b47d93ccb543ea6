"""`smki officer`: the people whose approvals allow a ceremony, and other holders of infrastructure certificates."""

from pathlib import Path

import click

from smki.cli.options import FILE
from smki.cli.render import emit, json_option, table
from smki.cli.secrets import passphrase_option, read_passphrase
from smki.cli.session import Session, pass_session


@click.group("officer", epilog="Example: smki officer list")
def command() -> None:
    """Make an officer's key; see the roll of officers.

    The roll itself is set by a ceremony of kind "officers".
    """


@command.command("key", epilog="Example: smki officer key alice --out alice.pem --passphrase file:alice.passphrase")
@click.argument("name")
@click.option("--out", type=FILE, help="Write an encrypted key file here.")
@click.option("--token", metavar="NAME", help="Or make the key in this token of the workspace.")
@passphrase_option
@json_option
@pass_session
def key(session: Session, name: str, out: Path | None, token: str | None, passphrase: str, as_json: bool) -> None:
    """Make the key pair of officer NAME and print the lines for the ceremony file of the roll."""
    import base64

    from smki.authority.officers import make_officer_key, make_officer_key_in
    from smki.pki.public_key import spki_of

    if (out is None) == (token is None):
        raise click.UsageError("Say where the key is kept: either --out FILE or --token NAME.")
    if out is not None:
        public_key = make_officer_key(out, read_passphrase(session, passphrase, f"New passphrase for {out}"))
    else:
        assert token is not None
        public_key = make_officer_key_in(session.workspace.open_token(token))
    encoded = base64.b64encode(spki_of(public_key)).decode()
    emit(
        {"name": name, "public_key": encoded},
        as_json,
        lambda: click.echo(f'[[officers]]\nname = "{name}"\npublic_key = "{encoded}"'),
    )


@command.command(
    "request", epilog="Example: smki officer request 'Bundle signer' --token keys --label bundle --out bundle.csr"
)
@click.argument("name")
@click.option("--token", required=True, metavar="NAME", help="Make the key in this token of the workspace.")
@click.option("--label", required=True, metavar="TEXT", help="What the key is called there.")
@click.option("--out", required=True, type=FILE, help="The request: a new file.")
@pass_session
def request(session: Session, name: str, token: str, label: str, out: Path) -> None:
    """Make a key in a token and a request for an infrastructure certificate, which `smki org appoint` answers.

    For officers whose keys live in a token, and for the key that signs trust bundles.
    """
    from smki.authority.requesting import make_person_request

    make_person_request(name, label, out, session.workspace.open_token(token))
    click.echo(f"wrote {out}")


@command.command("list", epilog="Example: smki officer list --json")
@json_option
@pass_session
def list_(session: Session, as_json: bool) -> None:
    """List the officers on the roll, with the fingerprint of each key."""
    import hashlib

    roll = [
        {"name": officer.name, "fingerprint": hashlib.sha256(officer.public_key).hexdigest()}
        for officer in session.workspace.store.officers()
    ]
    emit(
        {"officers": roll},
        as_json,
        lambda: (
            table(["Officer", "SHA-256 of the public key"], [(o["name"], o["fingerprint"]) for o in roll])
            if roll
            else click.echo("No officers are enrolled. `smki officer key` makes a key; a ceremony enrols.")
        ),
    )
