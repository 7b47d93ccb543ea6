"""`smki cos run` and `cancel`: the change-of-supplier party signs, or takes back."""

import json
from collections.abc import Callable, Iterable
from contextlib import closing, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from smki.cli.options import EXISTING, FILE, FILE_OR_PIPE, F, with_options
from smki.cli.render import complain, summary
from smki.cli.results import exit_code, output, progress
from smki.cli.secrets import passphrase_option
from smki.cli.session import Session, pass_session

if TYPE_CHECKING:
    from smki.parties.cos.commands import Done
    from smki.parties.cos.desk import CosDesk
    from smki.parties.cos.judgement import Judgement
    from smki.pki.path import PathCrl
    from smki.pki.verdict import Fault

SHOWN = 20  # refusals told on a terminal; a report tells all
crls_option = click.option(
    "--crl",
    "crls",
    multiple=True,
    type=EXISTING,
    help="Revocation lists: then every status must be known. Repeat it.",
)
_out_option = click.option("--out", type=FILE_OR_PIPE, help="Write the signed commands here.")
_report_option = click.option("--report", type=FILE, help="Write what became of each device to this new file.")


def key_options(function: F) -> F:
    return with_options(
        function,
        click.option("--token", required=True, metavar="NAME", help="The token that holds the signing key."),
        click.option("--key", "label", required=True, metavar="LABEL", help="The key's label in the token."),
        click.option("--certificate", required=True, type=EXISTING, help="The key's certificate."),
    )


def tell_faults(faults: "Iterable[Fault]", *, err: bool = False) -> None:
    for fault in faults:
        complain(fault, err=err)


def judged(session: Session, file: Path, crls: tuple[Path, ...]) -> "tuple[Judgement, bytes]":
    from smki.parties.cos.judgement import judge_request

    data = octets(file)
    return judge_request(session.workspace, data, crls_in(crls)), data


def octets(file: Path) -> bytes:
    from smki.authority.safe_files import read_bounded
    from smki.parties.cos.request import MAX_FILE_OCTETS

    return read_bounded(file, MAX_FILE_OCTETS, "cos", "have it asked in parts")


def crls_in(paths: tuple[Path, ...]) -> "list[PathCrl]":
    from smki.cli.bundle import read_crl
    from smki.pki.path import PathCrl

    return [PathCrl.read(read_crl(path)) for path in paths]


def _desk(session: Session, token: str, label: str, certificate: Path) -> "CosDesk":
    from smki.parties.cos.desk import CosDesk
    from smki.parties.keys import read_certified

    return CosDesk(session.workspace, token, label, read_certified(certificate))


@click.command(
    "run",
    epilog="Example: smki cos run request.p7m --token keys --key cos-ds --certificate cos-ds.pem --out signed.jsonl",
)
@click.argument("file", type=EXISTING)
@crls_option
@key_options
@_out_option
@_report_option
@pass_session
def run(
    session: Session, /, file: Path, crls: tuple[Path, ...], out: Path | None, report: Path | None, **key: Any
) -> int:
    """Judge a request again, and sign the commands that may be: lines of JSON for `smki message mac`.

    More of them than policies/cos.toml allows in a while wait for a second officer. Killed, run the same again: what
    was signed is handed out, the rest is signed. Exit code 0: all were signed; 1: some; 3: none.
    """
    judgement, data = judged(session, file, crls)
    if judgement.faults:
        tell_faults(judgement.faults, err=True)
    desk = _desk(session, **key)
    return _work(lambda: desk.run(judgement, data), out, report)


def _work(start: "Callable[[], tuple[int, Any]]", out: Path | None, report: Path | None) -> int:
    """Commands and report written as they come, progress, a summary, the exit code."""
    counts: dict[str, int] = {}
    told = 0
    with output(out) as lines, output(report) if report else nullcontext() as reports:
        total, done = start()
        with progress(total) as advance, closing(done):
            for one in done:
                counts[one.result] = counts.get(one.result, 0) + 1
                if one.is_signed:
                    lines.write(json.dumps(one.as_message()).encode() + b"\n")
                elif not report and told < SHOWN:
                    told += 1
                    _tell_refused(one)
                if reports is not None:
                    reports.write(json.dumps(one.as_report(), ensure_ascii=False).encode() + b"\n")
                advance()
    click.echo(summary(total, "device", counts), err=True)
    good = counts.get("signed", 0) + counts.get("signed before", 0) + counts.get("taken back", 0)
    return exit_code(good, total - good) if total else exit_code(0, 1)


def _tell_refused(one: "Done") -> None:
    device = "" if one.device is None else f" {one.device}"
    for fault in one.faults:
        complain(fault, f"{one.reference}{device}: ")


@click.command(
    "cancel",
    epilog="Example: smki cos cancel back.p7m --token keys --key cos-ds --certificate cos-ds.pem --out lines.jsonl",
)
@click.argument("file", required=False, type=EXISTING)
@click.option("--batch", metavar="DIGEST", help="Or as an officer of this party: the request that is taken back.")
@click.option("--reference", "references", multiple=True, metavar="TEXT", help="Of it only these; default: all.")
@click.option("--officer", metavar="NAME", help="The officer who orders it, as the roll names them.")
@click.option("--officer-key", type=FILE, help="The officer's key file.")
@passphrase_option
@click.option("--reason", default="", help="A word for the log.")
@crls_option
@key_options
@_out_option
@_report_option
@pass_session
def cancel(
    session: Session,
    /,
    file: Path | None,
    crls: tuple[Path, ...],
    out: Path | None,
    report: Path | None,
    token: str,
    label: str,
    certificate: Path,
    **ordered: Any,
) -> int:
    """Take back what was put off and has not happened: by a signed request of who asked for it, or as an officer.

    The same commands, to happen never. Exit code 0: all were signed; 1: some; 3: none.
    """
    from smki.parties.cos.cancelling import by_request

    by_officer = [ordered["batch"], ordered["officer"], ordered["officer_key"]]
    if (file is None) == (by_officer == [None] * 3) or (file is None and None in by_officer):
        raise click.UsageError("Give the signed request as FILE, or --batch, --officer and --officer-key.")
    if file is not None:
        cancellation = by_request(session.workspace, octets(file), crls_in(crls))
    else:
        cancellation = _ordered(session, **ordered)
    if cancellation.faults:
        tell_faults(cancellation.faults, err=True)
    desk = _desk(session, token, label, certificate)
    return _work(lambda: desk.cancel(cancellation), out, report)


def _ordered(
    session: Session,
    batch: str,
    references: tuple[str, ...],
    officer: str,
    officer_key: Path,
    passphrase: str,
    reason: str,
) -> Any:
    from smki.cli.secrets import officers_private_key
    from smki.parties.cos.cancelling import by_officer

    key = officers_private_key(session, key=officer_key, token=None, passphrase=passphrase)
    return by_officer(session.workspace, batch, references, (officer, key), reason)
