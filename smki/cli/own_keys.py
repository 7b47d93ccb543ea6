"""`smki credentials read`, `own-key`, `csr`: what is in a device's cells; its own keys, from request to read-back."""

import base64
import hashlib
import json
import sys
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from smki.cli.keys import certificates_option
from smki.cli.options import FILE_OR_PIPE
from smki.cli.ordering import (
    Line,
    Target,
    counter_options,
    device_options,
    hand_out,
    options,
    originator_option,
    out_options,
    targets,
)
from smki.cli.reading import key_ring
from smki.cli.render import complain
from smki.cli.results import exit_code, output
from smki.cli.session import Session, pass_session
from smki.words import counted

if TYPE_CHECKING:
    from smki.parties.asking import Asking

_USAGES = click.Choice(["digitalSignature", "keyAgreement"])
_usage = click.option("--usage", required=True, type=_USAGES, help="Which of the device's two keys.")


@click.command(
    "read",
    epilog="Example: smki credentials read --roles supplier,networkOperator --as accessControlBroker"
    " --originator 90-B3-D5-1F-30-00-00-02 --device 00-DB-12-34-56-78-90-A0 --counter 1302 --out read.jsonl",
)
@click.option("--roles", required=True, metavar="ROLE,...", help="Whose cells.")
@click.option("--as", "role", default="supplier", show_default=True, metavar="ROLE", help="The role that asks.")
@options(device_options, [originator_option], counter_options, out_options)
@pass_session
def read(
    session: Session,
    /,
    roles: str,
    role: str,
    originator: str,
    out: Path | None,
    expect_out: Path | None,
    **given: Any,
) -> int:
    """Ask what is in the cells of some roles (CS02a; CS02f of a SAPC, and for load controllers').

    The broker asks by its MAC, everybody else by a signature. Exit code 0: all were made; 1: some; 3: none.
    """
    from smki.entity import EntityId, RemotePartyRole
    from smki.parties.asking import read_cells

    who = EntityId.parse(originator), RemotePartyRole.parse(role)
    wanted = tuple(RemotePartyRole.parse(word) for word in roles.split(","))
    each = _targets(given)
    askings = [read_cells(session.workspace, who, one.device, one.counter, wanted, one.kind) for one in each]
    return _ask(session, askings, out, expect_out)


@click.group(
    "own-key", epilog="Example: smki credentials own-key request --usage digitalSignature --device 00-DB-12-..."
)
def own_key() -> None:
    """Rotate a device's own keys: request a new one, install its certificate, read it back."""


def _making(name: str, function: str, text: str) -> None:
    """Two commands that differ in one word."""

    @own_key.command(
        name,
        epilog=f"Example: smki credentials own-key {name} --usage digitalSignature --device 00-DB-12-34-56-78-90-A0"
        " --originator 90-B3-D5-1F-30-01-00-00 --counter 1000 --out pre.jsonl",
        help=text,
    )
    @_usage
    @options(device_options, [originator_option], counter_options, out_options)
    @pass_session
    def making(
        session: Session, /, usage: str, originator: str, out: Path | None, expect_out: Path | None, **given: Any
    ) -> int:
        from smki.entity import EntityId, KeyUsage
        from smki.parties import asking

        make: Callable[..., Asking] = getattr(asking, function)
        who = EntityId.parse(originator)
        askings = [make(who, one.device, one.counter, KeyUsage(usage)) for one in _targets(given)]
        return _ask(session, askings, out, expect_out)


_making("request", "request_key", "Have devices make a new key and ask for its certificate (CS02c).")
_making("read-back", "read_key", "Have devices tell the certificate they use (CS02e).")


@own_key.command(
    "install",
    epilog="Example: smki credentials own-key install --issued results.jsonl --originator 90-B3-D5-1F-30-01-00-00"
    " --first-counter 1001 --out pre.jsonl",
)
@click.option(
    "--issued",
    required=True,
    multiple=True,
    type=click.Path(path_type=Path, exists=True),
    help="Certificates, files or folders; or the result lines (.jsonl) of `smki device issue`. Repeat it.",
)
@options([originator_option], counter_options, out_options)
@pass_session
def install(
    session: Session,
    /,
    issued: tuple[Path, ...],
    originator: str,
    counter: int | None,
    first_counter: int | None,
    out: Path | None,
    expect_out: Path | None,
) -> int:
    """Give devices the certificates that they asked for (CS02d), each the one that it names."""
    from smki.entity import EntityId
    from smki.parties.asking import install_key

    ders = [der for path in issued for der in _certificates(path)]
    who, first = EntityId.parse(originator), counter if counter is not None else first_counter
    if first is None or (counter is not None and (first_counter is not None or len(ders) > 1)):
        raise click.UsageError("Number them: either --counter N for one certificate, or --first-counter N.")
    askings = [install_key(session.workspace, who, first + place, der) for place, der in enumerate(ders)]
    return _ask(session, askings, out, expect_out)


def _certificates(path: Path) -> Iterable[bytes]:
    """DER, from certificates or from the lines that issuing writes."""
    from cryptography.hazmat.primitives.serialization import Encoding

    from smki.parties.issued import certificates_issued
    from smki.parties.keys import certificates_in

    if path.suffix == ".jsonl":
        return certificates_issued(path)
    return [one.certificate.public_bytes(Encoding.DER) for one in certificates_in((path,))]


@click.command(
    "csr", epilog="Example: smki credentials csr responses.jsonl --certificates meters/ --out requests.jsonl"
)
@click.argument("places", nargs=-1, required=True, metavar="RESPONSE...")
@certificates_option
@click.option(
    "--out",
    required=True,
    type=FILE_OR_PIPE,
    help="Write the requests to this new file, as `smki device issue --from` takes them.",
)
@pass_session
def csr(session: Session, places: tuple[str, ...], others: tuple[Path, ...], out: Path) -> int:
    """Take the certification requests out of devices' responses (CS02c), once their signatures hold.

    The device that answered is the one that the request names, and proves to have the key. Exit code 0: all are good;
    1: some; 3: none.
    """
    from smki.parties.intake import given
    from smki.parties.issued import Requested, requests_in

    ring = key_ring(session, others)
    good = none = 0
    with output(out) as lines:
        for one in requests_in(session.workspace, ring, given(places, sys.stdin.buffer)):
            if isinstance(one, Requested):
                good += 1
                told = {"reference": one.reference, "request": base64.b64encode(one.request).decode()}
                lines.write(json.dumps(told).encode() + b"\n")
                continue
            none += 1
            for fault in one.faults:
                complain(fault, f"{one.reference}: ")
    click.echo(f"{counted(good + none, 'response')}: {counted(good, 'request')}", err=True)
    return exit_code(good, none)


def _targets(given: dict[str, Any]) -> list[Target]:
    return targets(*(given[name] for name in ("devices", "device_file", "kind", "counter", "first_counter")))


def _ask(session: Session, askings: "list[Asking]", out: Path | None, expect_out: Path | None) -> int:
    from smki.parties.asking import ask

    batch = hashlib.sha256(b"".join(hashlib.sha256(one.message.encode()).digest() for one in askings)).digest()
    with closing(ask(session.workspace, askings, batch)) as asked:
        lines = (
            Line(
                None if one.faults else one.asking.message,
                one.digest,
                one.before,
                one.asking.message.header.target,
                one.faults,
                (one.asking.message.header.code, one.asking.message.payload),
            )
            for one in asked
        )
        return hand_out(session, lines, len(askings), out, expect_out)
