"""`smki chain`: certification paths."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from smki.cli.render import emit, json_option, moment_of
from smki.cli.session import Session, pass_session

if TYPE_CHECKING:
    from smki.pki.path import InvalidPath, TrustAnchor, ValidPath

_FILE = click.Path(path_type=Path, dir_okay=False, exists=True)


@click.group("chain", epilog="Example: smki chain verify meter.pem")
def command() -> None:
    """Verify certification paths."""


@command.command("verify", epilog="Example: smki chain verify meter.pem --anchor root.pem --with issuing.pem")
@click.argument("leaf", type=_FILE)
@click.option("--anchor", "anchors", multiple=True, type=_FILE, help="A root; default: the workspace's. Repeat it.")
@click.option("--with", "others", multiple=True, type=_FILE, help="Certificates in between; repeat it.")
@click.option("--crl", "crls", multiple=True, type=_FILE, help="Revocation lists: then every status must be known.")
@click.option("--at", metavar="TIME", help="The moment to judge at, as 2026-11-21T12:00:00Z; default: now.")
@click.option("--disapply-time", is_flag=True, help="Validity does not count, as credential commands may say.")
@click.option(
    "--policy", "policies", multiple=True, metavar="OID", help="Policies accepted; default: the workspace's."
)
@json_option
@pass_session
def verify(
    session: Session,
    leaf: Path,
    anchors: tuple[Path, ...],
    others: tuple[Path, ...],
    crls: tuple[Path, ...],
    at: str | None,
    disapply_time: bool,
    policies: tuple[str, ...],
    as_json: bool,
) -> int:
    """Judge a device's or organisation's certificate by RFC 5280 and our profile, and say which clause failed.

    Exit code 0: valid; 3: not.
    """
    from smki.parties.keys import octets_of, read_certified
    from smki.pki.chain import verify_chain
    from smki.pki.kind import Kind
    from smki.pki.path import PathCrl

    one = read_certified(leaf)
    kind = Kind.DEVICE if one.holder.role is None else Kind.ORGANISATION
    roots, between = _ours(session, kind)
    verdict = verify_chain(
        octets_of(leaf),
        [*(octets_of(path) for path in others), *between],
        [_anchor(octets_of(path)) for path in anchors] or [_anchor(der) for der in roots],
        session.clock() if at is None else moment_of(at),
        kind=kind,
        usage=one.holder.usage,
        policies=_policies(session, kind, policies),
        disapply_time=disapply_time,
        crls=[PathCrl.read(_crl(path)) for path in crls] or None,
    )
    return _tell(verdict, as_json)


def _anchor(der: bytes) -> "TrustAnchor":
    from smki.pki.path import PathCertificate, TrustAnchor

    return TrustAnchor.of_certificate(PathCertificate.read(der))


def _ours(session: Session, kind: Any) -> tuple[list[bytes], list[bytes]]:
    """Roots, and what lies below them, that the workspace believes."""
    from smki.authority.anchors import authorities

    return authorities(session.workspace, kind.value) if session.has_workspace else ([], [])


def _policies(session: Session, kind: Any, given: tuple[str, ...]) -> Any:
    from smki.pki.oid import parse_oid

    if given:
        return frozenset(parse_oid(text, "--policy") for text in given)
    return frozenset(session.policies.hierarchy(kind.value).policy_oids)


def _crl(path: Path) -> bytes:
    from smki.cli.bundle import read_crl

    return read_crl(path)


def _tell(verdict: "ValidPath | InvalidPath", as_json: bool) -> int:
    from smki.pki.path import ValidPath

    if isinstance(verdict, ValidPath):
        path = [str(certificate) for certificate in verdict.certificates]
        data: dict[str, Any] = {"valid": True, "anchor": str(verdict.anchor.name), "path": path}
    else:
        data = {"valid": False, "faults": [fault.as_json() for fault in verdict.faults]}

    def human() -> None:
        if data["valid"]:
            click.echo(f"valid, from {data['anchor']}")
            for depth, name in enumerate(data["path"], 1):
                click.echo(f"{'  ' * depth}{name}")
        for fault in data.get("faults", []):
            click.echo(f"not valid: {fault['message']} [{fault['code']}]\n  hint: {fault['remedy']}")

    emit(data, as_json, human)
    return 0 if data["valid"] else 3
