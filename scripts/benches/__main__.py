"""Which bench, how long, and how it is shown."""

import argparse
import os
import shlex
import sys
from collections.abc import Iterator

from scripts.benches.report import Row, figures, show
from scripts.benches.whole import FULL, QUICK
from scripts.benches.whole import run as run_whole


def main() -> int:
    options = parser().parse_args()
    if options.bench is None:
        also = [name for name, given in (("--json", options.json), ("--figures", options.figures)) if given]
        failed = run_whole(FULL if options.full else QUICK, also)
    else:
        from scripts.figures.machine import look

        given = [word for word in sys.argv[1:] if word not in {"--figures", "--json"}]
        if "--load" in given:
            del given[given.index("--load") :]
        measured = look(f"scripts/bench {shlex.join(given)}", options.load)
        rows: list[Row] = []
        show(_kept(_rows(options), rows), as_json=options.json)
        if options.figures:
            from scripts.figures.record import record

            record(options.bench, figures(rows), measured)
        failed = 0
    if options.figures and options.load is None:  # else the whole is not at its end
        from scripts.figures.blocks import fill

        fill()
    return failed


def parser() -> argparse.ArgumentParser:
    shown = argparse.ArgumentParser(add_help=False)
    shown.add_argument("--json", action="store_true", help="a line of JSON a row")
    shown.add_argument("--figures", action="store_true", help="into docs/figures and the documents")
    shown.add_argument("--load", type=float, help=argparse.SUPPRESS)  # before the whole run of which this is a part
    words = "Measure, each figure against its bound in the same run. Without the name of a bench: all of them."
    whole = argparse.ArgumentParser(prog="scripts/bench", description=words, parents=[shown])
    how = whole.add_mutually_exclusive_group()
    how.add_argument("--quick", action="store_true", help="all, in some minutes (the default)")
    how.add_argument("--full", action="store_true", help="all, in some 25 minutes")
    benches = whole.add_subparsers(dest="bench")
    cores = len(os.sched_getaffinity(0))

    def bench(name: str, words: str) -> argparse.ArgumentParser:
        return benches.add_parser(name, help=words, parents=[shown])

    issue = bench("issue", "issue device certificates end to end, beside others, and in a full store")
    issue.add_argument("--count", type=int, default=40_000, help="requests in a run")
    issue.add_argument(
        "--stored", type=int, nargs="+", default=[], help="also with so many certificates stored before"
    )
    issue.add_argument("--beside", type=int, default=2000, help="requests for others to issue; 0: none")
    issue.add_argument("--processes", type=int, default=cores, help="on either side")
    message = bench("message", "sign, verify and protect messages")
    message.add_argument("--count", type=int, default=10_000, help="messages a process")
    message.add_argument("--processes", type=int, default=cores, help="on either side")
    broker = bench("broker", "admit commands with every rule on")
    broker.add_argument("--count", type=int, default=20_000, help="commands in a run")
    broker.add_argument("--devices", type=int, default=1_000_000, help="in the inventory of the full store")
    broker.add_argument("--stored", type=int, default=1_000_000, help="commands admitted before in the full store")
    crl = bench("crl", "make and publish revocation lists")
    crl.add_argument("--entries", type=int, nargs="+", default=[1, 100_000, 1_000_000], help="on each of the lists")
    bench("ocsp", "answer by OCSP, with a nonce and from what is kept")
    backup = bench("backup", "back up and restore on both engines")
    backup.add_argument("--count", type=int, default=200_000, help="certificates in the store")
    return whole


def _kept(rows: Iterator[Row], kept: list[Row]) -> Iterator[Row]:
    for row in rows:
        kept.append(row)
        yield row


def _rows(options: argparse.Namespace) -> Iterator[Row]:
    """Imported only now that the arguments were found good."""
    match options.bench:
        case "issue":
            from scripts.benches.issue import run

            return run(options.count, options.stored, options.processes, options.beside)
        case "message":
            from scripts.benches.message import run as run_messages

            return run_messages(options.count, options.processes)
        case "broker":
            from scripts.benches.broker import run as run_broker

            return run_broker(options.count, options.devices, options.stored)
        case "crl":
            from scripts.benches.crl import run as run_crls

            return run_crls(options.entries)
        case "ocsp":
            from scripts.benches.ocsp import run as run_ocsp

            return run_ocsp()
        case _:
            from scripts.benches.backup import run as run_backups

            return run_backups(options.count)


if __name__ == "__main__":
    sys.exit(main())
