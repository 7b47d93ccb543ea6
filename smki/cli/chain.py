"""`smki chain`: certification paths."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from smki.cli.bundle import read_crl
from smki.cli.options import EXISTING
from smki.cli.render import complain, emit, json_option, moment_of
from smki.cli.results import NONE
from smki.cli.session import Session, pass_session

if TYPE_CHECKING:
    from smki.pki.path import InvalidPath, TrustAnchor, ValidPath


@click.group("chain", epilog="Example: smki chain verify meter.pem")
def command() -> None:
    """Verify certification paths."""


@command.command("verify", epilog="Example: smki chain verify meter.pem --anchor root.pem --with issuing.pem")
@click.argument("leaf", type=EXISTING)
@click.option(
    "--anchor", "anchors", multiple=True, type=EXISTING, help="A root; default: the workspace's. Repeat it."
)
@click.option("--with", "others", multiple=True, type=EXISTING, help="Certificates in between; repeat it.")
@click.option(
    "--crl", "crls", multiple=True, type=EXISTING, help="Revocation lists: then every status must be known."
)
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
        moment_of(at) or session.clock(),
        kind=kind,
        usage=one.holder.usage,
        policies=_policies(session, kind, policies),
        disapply_time=disapply_time,
        crls=[PathCrl.read(read_crl(path)) for path in crls] or None,
    )
    return _tell(*_with_standing(session, verdict, given=bool(crls)), as_json)


def _with_standing(
    session: Session, verdict: "ValidPath | InvalidPath", *, given: bool
) -> "tuple[ValidPath | InvalidPath, list[str]]":
    """How each certificate of a valid path stands, by the register or the lists of the workspace; with lists given
    on the command line, those must know, and the workspace may only speak against it."""
    from smki.authority.standing import Word, fault_of, standing_of
    from smki.pki.holder import load_certificate
    from smki.pki.path import InvalidPath

    if isinstance(verdict, InvalidPath) or not session.has_workspace:
        return verdict, []
    workspace, faults, told = session.workspace, [], []
    for one in verdict.certificates:
        standing = standing_of(workspace, load_certificate(one.der, "a certificate"))
        told.append(f"{standing.text} ({standing.source})")
        unknown = given and standing.word is Word.UNKNOWN
        fault = None if unknown else fault_of(workspace, standing, str(one), or_pending=True)
        # A certificate out of use has a valid path all the same: what it serves for is another question.
        if fault is not None and standing.word not in {Word.NOT_IN_USE, Word.EXPIRED}:
            faults.append(fault)
    return (InvalidPath(tuple(faults)), []) if faults else (verdict, told)


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


def _tell(verdict: "ValidPath | InvalidPath", standings: list[str], as_json: bool) -> int:
    from smki.pki.path import InvalidPath

    if isinstance(verdict, InvalidPath):
        faults = {"valid": False, "faults": [one.as_json() for one in verdict.faults]}
        emit(faults, as_json, lambda: _tell_faults(verdict))
        return NONE
    path, anchor = [str(certificate) for certificate in verdict.certificates], str(verdict.anchor.name)
    data = {"valid": True, "anchor": anchor, "path": path, "standing": standings}
    emit(data, as_json, lambda: _tell_path(anchor, path, standings))
    return 0


def _tell_path(anchor: str, path: list[str], standings: list[str]) -> None:
    click.echo(f"valid, from {anchor}")
    for place, name in enumerate(path):
        told = f": {standings[place]}" if standings else ""
        click.echo(f"{'  ' * (place + 1)}{name}{told}")


def _tell_faults(verdict: "InvalidPath") -> None:
    for fault in verdict.faults:
        complain(fault, "not valid: ", err=False)
