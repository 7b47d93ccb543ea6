"""`smki message sign` and `mac`: what a service user and the broker put on a command."""

import json
import sys
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from smki.cli.keys import certificates_option, keep_secrets_option, own_key, own_key_options
from smki.cli.options import FILE
from smki.cli.reading import issued, key_ring, vocabulary_of
from smki.cli.render import summary, tree
from smki.cli.results import exit_code, output, progress, results_option
from smki.cli.session import Session, pass_session

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ec

    from smki.authority.standing import Watch
    from smki.entity import EntityId, KeyUsage
    from smki.gbcs.verdict import Known
    from smki.gbcs.words import Vocabulary
    from smki.parties.keys import Certified

_source = click.option(
    "--from",
    "sources",
    multiple=True,
    required=True,
    type=click.Path(path_type=Path, allow_dash=True),
    help="Messages: a file, a folder, JSON lines; - reads a pipe. Repeat it.",
)


@click.command(
    "sign",
    epilog="Example: smki message sign --from pre.hex --token keys --key ds --certificate ds.pem --expect asked.json",
)
@_source
@results_option
@click.option("--token", required=True, metavar="NAME", help="The token that holds the signing key.")
@click.option("--key", "label", required=True, metavar="LABEL", help="The key's label in the token.")
@click.option(
    "--certificate",
    required=True,
    type=FILE,
    help="The key's certificate: it says whose signature this is.",
)
@click.option(
    "--expect",
    type=FILE,
    help="What was asked for (JSON); without it, each command is shown and asked about.",
)
@pass_session
def sign(
    session: Session,
    sources: tuple[Path, ...],
    out: Path | None,
    token: str,
    label: str,
    certificate: Path,
    expect: Path | None,
) -> int:
    """Sign pre-commands in the HSM: compared with what was asked for, or shown to you and confirmed.

    A line of JSON for each says what became of it: signed, signed before, held for a second officer, or refused with
    the code of every rule it breaks. Run again after an interruption, it signs nothing twice. Exit code 0: all were
    signed; 1: some; 3: none.
    """
    from smki.parties.expectation import read_expectations
    from smki.parties.intake import take_in
    from smki.parties.keys import read_certified
    from smki.parties.signing_rules import Shown
    from smki.parties.supplier import SigningDesk

    workspace = session.workspace
    expected = None if expect is None else read_expectations(expect)
    desk = SigningDesk(workspace, token, label, read_certified(certificate))
    given = take_in(sources, sys.stdin.buffer, workspace.policies.signing.largest_batch)
    judged = desk.judge(given, expected)
    if expected is None:
        judged = [_confirmed(item, vocabulary_of(session)) for item in judged]
    with output(out) as lines:
        shown = Shown.SEEN if expected is None else Shown.COMPARED
        # Closed here whatever happens, so that what was signed is written down before the token is let go.
        with closing(desk.sign(judged, shown)) as outcomes:
            return _tell(outcomes, len(judged), lines)


def _confirmed(item: Any, vocabulary: "Vocabulary") -> Any:
    """Show a command to the one who signs it, and believe nothing but their word."""
    from smki.gbcs.words import tree_of
    from smki.parties.signing_rules import Fit, Unfit
    from smki.pki.verdict import Fault

    if not isinstance(item, Fit):
        return item
    if not sys.stdin.isatty():
        fault = Fault(
            "sign.unseen", "nobody is here to look at it, and nothing to compare it with", "give --expect FILE"
        )
        return Unfit(item.reference, (fault,))
    tree(tree_of(item.reading, vocabulary), err=True)
    if click.confirm("Sign this?", default=False, err=True):
        return item
    return Unfit(item.reference, (Fault("sign.declined", "the signer declined", "ask for it anew"),))


def _tell(outcomes: Iterable[Any], total: int, lines: Any) -> int:
    """Result lines, progress, a summary, the exit code."""
    counts: dict[str, int] = {}
    with progress(total) as advance:
        for outcome in outcomes:
            counts[outcome.result] = counts.get(outcome.result, 0) + 1
            lines.write(json.dumps(outcome.as_json(), ensure_ascii=False).encode() + b"\n")
            advance()
    click.echo(summary(sum(counts.values()), "message", counts), err=True)
    bad = counts.get("refused", 0) + counts.get("held", 0)
    return exit_code(sum(counts.values()) - bad, bad)


@click.command(
    "mac",
    epilog="Example: smki message mac --from signed.jsonl --token keys --key broker --certificate broker-ka.pem",
)
@_source
@results_option
@own_key_options
@certificates_option
@keep_secrets_option
@pass_session
def mac(
    session: Session,
    /,
    sources: tuple[Path, ...],
    out: Path | None,
    others: tuple[Path, ...],
    keep_secrets: int,
    **own: Any,
) -> int:
    """Add the access control broker's MAC to commands whose signature holds and whose originator may send them.

    Whether a command should be sent at all (to this home, now, so often) is not judged here.

    Exit code 0: all have it; 1: some; 3: none.
    """
    from smki.gbcs.agreement import Agreement
    from smki.parties.broker.mac import MacDesk, seal_all
    from smki.parties.intake import take_in
    from smki.parties.keys import Doubts

    workspace = session.workspace
    _, key, own_watch = broker_key(session, own)
    ring = key_ring(session, others)

    def certificates(entity: "EntityId", usage: "KeyUsage") -> "tuple[Known, ...]":
        found = ring.of(entity, usage) or issued(session, entity, usage)
        return tuple(item for item in found if item.is_valid(session.clock()))

    given = list(take_in(sources, sys.stdin.buffer, workspace.policies.signing.largest_batch))
    with Agreement(key, keep_secrets) as agreement, output(out) as lines:
        desk = MacDesk(vocabulary_of(session), agreement, certificates, Doubts(workspace), own_watch)
        with closing(seal_all(workspace, desk, given)) as outcomes:
            return _tell(outcomes, len(given), lines)


def broker_key(session: Session, own: dict[str, Any]) -> "tuple[Certified, ec.EllipticCurvePrivateKey, Watch]":
    """The access control broker's key as the options name it, its certificate, and a watch on that."""
    from smki.entity import KeyUsage, RemotePartyRole
    from smki.errors import Refused
    from smki.parties.keys import refuse_unless_in_use

    held = own_key(session, **own)
    if held is None:
        raise click.UsageError("Name the broker's key: --certificate with --token and --key.")
    one, key = held
    if one.holder.role is not RemotePartyRole.ACCESS_CONTROL_BROKER:
        raise Refused("mac.role", "the key is not an access control broker's", "name the broker's key")
    return one, key, refuse_unless_in_use(session.workspace, one, KeyUsage.KEY_AGREEMENT)
