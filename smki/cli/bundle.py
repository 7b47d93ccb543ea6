"""`smki bundle`: what a device is given before it can judge a command."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from smki.cli.keys import own_key_options, signer
from smki.cli.options import EXISTING, FILE
from smki.cli.render import emit, facts, json_option, table
from smki.cli.session import Session, pass_session

if TYPE_CHECKING:
    from smki.device.bundle import Bundle
    from smki.pki.path import TrustAnchor

_bundle = click.argument("bundle", type=FILE)
anchor_option = click.option(
    "--anchor",
    "anchors",
    multiple=True,
    type=FILE,
    help="The certificate believed beforehand: the infrastructure root. Default: the workspace's own; repeat it.",
)


@click.group("bundle", epilog="Example: smki bundle verify meter.bundle --anchor infra-root.pem")
def command() -> None:
    """Export, show, verify and compare trust bundles."""


@command.command(
    "export",
    epilog="Example: smki bundle export 00-DB-12-34-56-78-90-A0 --kind ESME --certificate signer.pem --token keys"
    " --key bundle --out meter.bundle",
)
@click.argument("device", metavar="EUI-64")
@click.option("--kind", required=True, metavar="KIND", help="ESME, GSME, CHF, GPF, PPMID, HCALCS or SAPC.")
@click.option(
    "--party",
    "parties",
    multiple=True,
    metavar="ROLE=EUI-64",
    help="Who fills a role's cells, where more than one could; repeat it.",
)
@click.option("--counter", "counters", multiple=True, metavar="ROLE=N", help="A role's first counter; default 0.")
@click.option("--top-up-floor", type=click.IntRange(0), default=0, help="Token numbers up to here are used up.")
@click.option("--top-up", metavar="SERIAL", help="Which key agreement certificate of the supplier is for top-ups.")
@click.option("--crl", "crls", multiple=True, type=EXISTING,
              help="A revocation list to put beside it; repeat it.")  # fmt: skip
@own_key_options
@click.option("--out", required=True, type=click.Path(path_type=Path), help="A new file; with --plain a new folder.")
@click.option("--plain", is_flag=True, help="Plain files for firmware, beside the signed bundle.")
@pass_session
def export(
    session: Session,
    /,
    device: str,
    kind: str,
    parties: tuple[str, ...],
    counters: tuple[str, ...],
    top_up_floor: int,
    top_up: str | None,
    crls: tuple[Path, ...],
    out: Path,
    plain: bool,
    **own: Any,
) -> None:
    """Put together and sign what a device must hold: its cells, counters, own certificates, use cases."""
    from smki.authority.bundles import Installation, Signer
    from smki.authority.bundles import export as export_bundle
    from smki.authority.safe_files import new_folder, write_new
    from smki.entity import DeviceType, EntityId, RemotePartyRole

    filled = dict(_pair(text) for text in parties)
    first = dict(_pair(text) for text in counters)
    if any(not text.isascii() or not text.isdigit() for text in first.values()):
        raise click.UsageError("Write a counter as ROLE=N, N in decimal digits.")
    installation = Installation(
        EntityId.parse(device),
        DeviceType.parse(kind),
        {RemotePartyRole.parse(role): EntityId.parse(text) for role, text in filled.items()},
        {RemotePartyRole.parse(role): int(text) for role, text in first.items()},
        top_up_floor,
        top_up,
        tuple(read_crl(path) for path in crls),
    )
    done = export_bundle(session.workspace, installation, Signer(*signer(session, **own)))
    if plain:
        with new_folder(out) as inside:
            write_new(inside / "bundle.p7s", done.octets)
            for name, content in done.parts.items():
                (inside / name).parent.mkdir(exist_ok=True)
                write_new(inside / name, content)
    else:
        write_new(out, done.octets)
    click.echo(f"wrote {out}: version {done.version} for {kind} {installation.device}")


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise click.UsageError(f"{text[:40]!r}: write it as ROLE=VALUE.")
    return name, value


def read_crl(path: Path) -> bytes:
    """A revocation list from PEM or DER."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    from smki.authority.safe_files import read_bounded
    from smki.device.bundle import MAX_BUNDLE_OCTETS
    from smki.errors import InvalidInput

    data = read_bounded(path, MAX_BUNDLE_OCTETS, "bundle")
    try:
        reader = x509.load_pem_x509_crl if b"-----BEGIN" in data[:1024] else x509.load_der_x509_crl
        return reader(data).public_bytes(Encoding.DER)
    except ValueError:
        raise InvalidInput("bundle.crl", f"{path} is no revocation list", "name one, as PEM or DER") from None


# Reading


def read_anchors(session: Session, anchors: tuple[Path, ...]) -> "list[TrustAnchor]":
    """Those named, or the infrastructure roots of the workspace."""
    from smki.authority.hierarchy import certificate_of
    from smki.errors import InvalidInput
    from smki.parties.keys import octets_of
    from smki.pki.path import PathCertificate, TrustAnchor

    if anchors:
        ders = [octets_of(path) for path in anchors]
    elif session.has_workspace:
        workspace = session.workspace
        ders = [
            certificate_of(workspace, one).der
            for one in workspace.store.authorities()
            if one.tier == "root" and one.hierarchy == "infrastructure" and one.serial is not None
        ]
    else:
        ders = []
    if not ders:
        raise InvalidInput("bundle.anchor", "nothing is believed beforehand", "give --anchor FILE")
    return [TrustAnchor.of_certificate(PathCertificate.read(der)) for der in ders]


def open_file(session: Session, path: Path, anchors: tuple[Path, ...], at: datetime) -> "Bundle":
    from smki.authority.safe_files import read_bounded
    from smki.device.bundle import MAX_BUNDLE_OCTETS, open_bundle

    octets = read_bounded(path, MAX_BUNDLE_OCTETS, "bundle", "name a bundle")
    return open_bundle(octets, read_anchors(session, anchors), at)


def _as_json(bundle: "Bundle") -> dict[str, Any]:
    return {
        "version": bundle.version,
        "device": str(bundle.device),
        "device_type": bundle.kind.value,
        "made_at": bundle.manifest["made_at"],
        "cells": {
            str(name): {"holder": str(cell.entity), "key_identifier": cell.key_identifier.hex().upper()}
            for name, cell in bundle.cells.items()
        },
        "counters": {role.word: str(counter) for role, counter in bundle.counters.items()},
        "top_up_floor": str(bundle.top_up_floor),
        "certificates": len(bundle.certificates),
        "crls": len(bundle.crls),
        "use_cases": len(bundle.use_cases.all),
        "joins": [
            str(pair) for pair in sorted(bundle.joins.pairs, key=str) if bundle.kind in (pair.first, pair.second)
        ],
    }


@command.command("show", epilog="Example: smki bundle show meter.bundle --anchor infra-root.pem")
@_bundle
@anchor_option
@json_option
@pass_session
def show(session: Session, bundle: Path, anchors: tuple[Path, ...], as_json: bool) -> None:
    """Show what a bundle says, once its signature holds."""
    data = _as_json(open_file(session, bundle, anchors, session.clock()))

    def human() -> None:
        facts({key: value for key, value in data.items() if not isinstance(value, dict)})
        click.echo()
        rows = ((name, cell["holder"], cell["key_identifier"]) for name, cell in data["cells"].items())
        table(["Cell", "Holder", "Key identifier"], rows)
        click.echo()
        table(["Role", "Counter"], data["counters"].items())

    emit(data, as_json, human)


@command.command("verify", epilog="Example: smki bundle verify meter.bundle --anchor infra-root.pem")
@_bundle
@anchor_option
@pass_session
def verify(session: Session, bundle: Path, anchors: tuple[Path, ...]) -> None:
    """Check a bundle's signature, its signer's chain, and that it is whole."""
    found = open_file(session, bundle, anchors, session.clock())
    click.echo(f"{bundle} is good: version {found.version} for {found.kind.value} {found.device}")


@command.command("diff", epilog="Example: smki bundle diff old.bundle new.bundle")
@_bundle
@click.argument("other", type=FILE)
@anchor_option
@json_option
@pass_session
def diff(session: Session, bundle: Path, other: Path, anchors: tuple[Path, ...], as_json: bool) -> int:
    """Say what differs between two bundles. Exit code 0: nothing that a device would notice; 1: something."""
    first, second = (_flat(_as_json(open_file(session, one, anchors, session.clock()))) for one in (bundle, other))
    changed = [
        {"what": key, "before": first.get(key, ""), "after": second.get(key, "")}
        for key in sorted(first.keys() | second.keys())
        if first.get(key) != second.get(key)
    ]
    rows = [(item["what"], item["before"], item["after"]) for item in changed]
    emit({"changed": changed}, as_json, lambda: table(["What", "Before", "After"], rows))
    return int(any(item["what"] not in {"version", "made_at"} for item in changed))


def _flat(data: dict[str, Any], above: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for key, value in data.items():
        if isinstance(value, dict):
            found |= _flat(value, f"{above}{key} / ")
        else:
            found[f"{above}{key}"] = str(value)
    return found
