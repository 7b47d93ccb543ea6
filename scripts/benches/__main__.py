"""Which bench, how long, and how it is shown."""

import argparse
import os

from scripts.benches.report import show

parser = argparse.ArgumentParser(prog="scripts/bench", description="Measure against the bound, in one run.")
benches = parser.add_subparsers(dest="bench", required=True)
issue = benches.add_parser("issue", help="issue device certificates end to end")
issue.add_argument("--count", type=int, default=40_000, help="requests in a run")
issue.add_argument("--stored", type=int, default=0, help="also with so many certificates stored before")
message = benches.add_parser("message", help="sign, verify and protect messages")
message.add_argument("--count", type=int, default=10_000, help="messages a process")
backup = benches.add_parser("backup", help="back up and restore on both engines")
backup.add_argument("--count", type=int, default=200_000, help="certificates in the store")
broker = benches.add_parser("broker", help="admit commands with every rule on")
broker.add_argument("--count", type=int, default=20_000, help="commands in a run")
broker.add_argument("--devices", type=int, default=1_000_000, help="in the inventory of the full store")
broker.add_argument("--stored", type=int, default=1_000_000, help="commands admitted before in the full store")
for each in (issue, message):
    each.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)), help="on either side")
for each in (issue, message, backup, broker):
    each.add_argument("--json", action="store_true", help="a line of JSON a row")
crl = benches.add_parser("crl", help="make and publish revocation lists")
crl.add_argument("--entries", type=int, nargs="+", default=[1, 100_000, 1_000_000], help="on each of the lists")
crl.add_argument("--json", action="store_true", help="a line of JSON a row")
ocsp = benches.add_parser("ocsp", help="answer by OCSP, with a nonce and from what is kept")
ocsp.add_argument("--json", action="store_true", help="a line of JSON a row")
options = parser.parse_args()

# Imported after the arguments were found good.
if options.bench == "issue":
    from scripts.benches.issue import run

    rows = run(options.count, options.stored, options.processes)
elif options.bench == "ocsp":
    from scripts.benches.ocsp import run as run_ocsp

    rows = run_ocsp()
elif options.bench == "crl":
    from scripts.benches.crl import run as run_crls

    rows = run_crls(options.entries)
elif options.bench == "backup":
    from scripts.benches.backup import run as run_backups

    rows = run_backups(options.count)
elif options.bench == "broker":
    from scripts.benches.broker import run as run_broker

    rows = run_broker(options.count, options.devices, options.stored)
else:
    from scripts.benches.message import run as run_messages

    rows = run_messages(options.count, options.processes)
show(rows, as_json=options.json)
