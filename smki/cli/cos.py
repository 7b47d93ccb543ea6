"""`smki cos`: change of supplier, for the supplier that asks and for the party that serves it."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from smki.cli.cos_running import (
    SHOWN,
    cancel,
    crls_option,
    judged,
    key_options,
    run,
    tell_faults,
)
from smki.cli.findings import findings_option, read_findings
from smki.cli.options import EXISTING, FILE
from smki.cli.render import complain, emit, json_option, summary, table
from smki.cli.results import exit_code
from smki.cli.session import Session, pass_session
from smki.words import counted, utc

if TYPE_CHECKING:
    from smki.parties.cos.incoming import Requester


@click.group("cos", epilog="Example: smki cos check request.p7m")
def command() -> None:
    """Change of supplier: ask for it, check it, sign it, take it back."""


# The incoming supplier


@command.command(
    "request",
    epilog="Example: smki cos request --from homes.csv --ds ds.pem --ka ka.pem --top-up topup.pem --floor 0"
    " --token keys --key xml --certificate xml.pem --out request.p7m",
)
@click.option(
    "--from",
    "sources",
    multiple=True,
    type=click.Path(path_type=Path, allow_dash=True),
    help="Homes: CSV with a header or JSON lines of meter_point, reference, devices, at. Repeat it.",
)
@findings_option
@click.option("--meter-point", metavar="NUMBER", help="Or one home, by its meter point.")
@click.option("--device", "devices", multiple=True, metavar="EUI-64", help="Its devices; default: all of them.")
@click.option("--at", metavar="TIME", help="When, as 2026-12-01T00:00:00Z, where a line does not say; default: now.")
@click.option("--ds", type=EXISTING, help="The certificate for signatures that the devices are to hold.")
@click.option("--ka", type=EXISTING, help="The one for key agreement.")
@click.option("--top-up", type=EXISTING, help="The one for key agreement of top-ups.")
@click.option("--floor", default="0", show_default=True, metavar="N", help="Where our counters of commands begin.")
@click.option("--top-up-floor", default="0", show_default=True, metavar="N", help="And those of top-ups.")
@click.option("--cancel", metavar="DIGEST", help="Take back an earlier request instead, or some of its references.")
@click.option("--reference", "references", multiple=True, metavar="TEXT", help="Which, with --cancel; default: all.")
@key_options
@click.option("--out", required=True, type=FILE, help="Write the signed request to this new file.")
@pass_session
def request(session: Session, /, cancel: str | None, out: Path, **given: Any) -> None:
    """Ask for homes, or take that back, as the supplier whose key of role xmlSign signs it.

    One file for one home or many: CMS signed data around lines of JSON. It prints the digest it is known by.
    """
    from smki.authority.safe_files import write_new
    from smki.parties.cos.incoming import Requester
    from smki.parties.keys import read_certified

    one = read_certified(given["certificate"])
    requester = Requester(session.workspace, given["token"], given["label"], one)
    made, digest = _taken_back(requester, cancel, given) if cancel else _asked_for(session, requester, given)
    write_new(out, made)
    click.echo(f"request {digest.hex()}, wrote {out}")


def _taken_back(requester: "Requester", cancel: str, given: dict[str, Any]) -> tuple[bytes, bytes]:
    return requester.cancel(_digest_of(cancel), given["references"])


def _digest_of(text: str) -> bytes:
    try:
        request = bytes.fromhex(text)
    except ValueError:
        request = b""
    if len(request) != 32:
        raise click.UsageError("--cancel takes the whole digest that the request was given: 64 digits.")
    return request


def _asked_for(session: Session, requester: "Requester", given: dict[str, Any]) -> tuple[bytes, bytes]:
    from smki.device.update import Floors
    from smki.parties.cos.incoming import one_home, read_homes
    from smki.parties.cos.request import counter, moment
    from smki.parties.keys import read_certified

    ways = (bool(given["sources"]), bool(given["findings"]), bool(given["meter_point"]))
    if sum(ways) != 1 or (given["devices"] and not given["meter_point"]):
        raise click.UsageError(
            "Name homes by --from, --findings, or one by --meter-point and its devices by --device."
        )
    files = [given[name] for name in ("ds", "ka", "top_up")]
    if None in files:
        raise click.UsageError("Give the three certificates: --ds, --ka and --top-up.")
    at = None if given["at"] is None else moment(given["at"])
    if given["sources"]:
        homes = read_homes(session.workspace, given["sources"], at)
    else:
        named = {given["meter_point"]: given["devices"]}
        rows = _found(given["findings"], requester) if given["findings"] else named
        fields = ({"meter_point": point, "devices": " ".join(devices)} for point, devices in rows.items())
        homes = [one_home(session.workspace, one, at) for one in fields]
    floors = Floors(counter(given["floor"]), counter(given["top_up_floor"]))
    return requester.change([read_certified(path) for path in files], floors, homes)


def _found(findings: Path, requester: "Requester") -> dict[str, list[str]]:
    """The homes that an audit found in want of this supplier, with their devices."""
    ours = requester.certificate.holder.entity
    homes: dict[str, list[str]] = {}
    for one in read_findings(findings):
        if one.mend == "supplierByTransCoS" and one.should_hold == ours:
            devices = homes.setdefault(one.meter_point, [])
            if str(one.device) not in devices:
                devices.append(str(one.device))
    if not homes:
        raise click.UsageError(f"{findings} has no home that {ours} should have.")
    return homes


# The change-of-supplier party


@command.command("check", epilog="Example: smki cos check request.p7m --json")
@click.argument("file", type=EXISTING)
@crls_option
@json_option
@pass_session
def check(session: Session, file: Path, crls: tuple[Path, ...], as_json: bool) -> int:
    """Judge a request against every rule, and sign nothing.

    Exit code 0: all of it may be done; 1: some; 3: none.
    """
    judgement = judged(session, file, crls)[0]
    verdicts = list(judgement.verdicts())
    bad = [one for one in verdicts if one.faults]
    ran = session.workspace.store.supplier_changes.one(judgement.asked.digest)
    data: dict[str, Any] = {
        "request": judgement.asked.digest,
        "supplier": str(judgement.asked.supplier),
        "made": judgement.asked.made,
        "ran_before_at": None if ran is None else ran.seen_at,
        "faults": [fault.as_json() for fault in judgement.faults],
        "devices": [
            {
                "reference": one.reference,
                "meter_point": one.meter_point,
                "device": "" if one.device is None else str(one.device),
                "at": one.at,
                "result": "refused" if one.faults else "may be done",
                "faults": [fault.as_json() for fault in one.faults],
            }
            for one in verdicts
        ],
    }

    def human() -> None:
        click.echo(f"request {data['request'].hex()}\nby {data['supplier']}, made at {utc(judgement.asked.made)}")
        if ran is not None:
            click.echo(f"it ran before, first at {utc(ran.seen_at)}: run again, it signs nothing twice")
        tell_faults(judgement.faults)
        for one in bad[:SHOWN]:
            for fault in one.faults:
                if fault not in judgement.faults:
                    complain(fault, f"{one.label}: ", err=False)
        click.echo(f"{counted(len(verdicts), 'device')}: {len(verdicts) - len(bad)} may be done, {len(bad)} refused")

    emit(data, as_json, human)
    return exit_code(len(verdicts) - len(bad), len(bad) + len(judgement.faults))


@command.command("report", epilog="Example: smki cos report --batch 6f1d2c3b")
@click.option("--batch", metavar="DIGEST", help="One request, device by device; default: all requests.")
@json_option
@pass_session
def report(session: Session, batch: str | None, as_json: bool) -> None:
    """Tell what became of requests: what was signed, and what each device answered."""
    if batch is None:
        _report_all(session, as_json)
        return
    from smki.parties.cos.cancelling import find
    from smki.parties.cos.report import lines_of

    record = find(session.workspace, batch)
    counts = session.workspace.store.orders.counts(record.digest)
    lines = list(lines_of(session.workspace, record))
    data = {
        "request": record.digest,
        "supplier": str(record.supplier),
        "made": record.made,
        "ran_at": record.seen_at,
        "cancels": record.cancels,
        "counts": counts,
        "devices": [line.as_json() for line in lines],
    }

    def human() -> None:
        rows = [
            (one.reference, str(one.device), one.state, "now" if one.at is None else utc(one.at), one.outcome)
            for one in lines
        ]
        table(["Reference", "Device", "State", "To happen", "Answer"], rows)
        click.echo(summary(len(lines), "device", counts))

    emit(data, as_json, human)


def _report_all(session: Session, as_json: bool) -> None:
    store = session.workspace.store
    found: list[dict[str, Any]] = [
        {
            "request": one.digest,
            "supplier": str(one.supplier),
            "made": one.made,
            "ran_at": one.seen_at,
            "cancels": one.cancels,
            "counts": store.orders.counts(one.digest),
        }
        for one in store.supplier_changes.all()
    ]

    def human() -> None:
        rows = [
            (
                item["request"].hex()[:16],
                item["supplier"],
                utc(item["ran_at"]),
                "" if item["cancels"] is None else f"cancels {item['cancels'].hex()[:16]}",
                ", ".join(f"{count} {word}" for word, count in item["counts"].items()),
            )
            for item in found
        ]
        table(["Request", "Supplier", "Ran at", "What", "Orders"], rows)

    emit({"requests": found}, as_json, human)


command.add_command(run)
command.add_command(cancel)
