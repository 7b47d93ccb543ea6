"""What `smki recovery` and `smki contingency` share: showing, approving, running and following a plan."""

import json
from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from smki.cli.options import FILE
from smki.cli.render import complain, emit, fields, json_option, summary, table
from smki.cli.results import SOME, exit_code, output, progress, results_option
from smki.cli.secrets import checked_sha256, officer_options, officers_private_key, sha256_option
from smki.cli.session import Session, pass_session
from smki.words import counted

if TYPE_CHECKING:
    from smki.parties.recovery.plan import Plan
    from smki.parties.recovery.report import Progress
    from smki.parties.recovery.run import Told

_plan = click.argument("file", metavar="PLAN", type=FILE)


# What people see


def load(session: Session, file: Path, contingency: bool) -> "Plan":
    from smki.errors import InvalidInput
    from smki.parties.recovery.file import read_plan_file
    from smki.parties.recovery.rules import read_plan

    read = read_plan_file(file)
    if read.is_contingency is not contingency:
        noun = "contingency" if read.is_contingency else "recovery"
        raise InvalidInput("plan.kind", f"{file.name} is a plan of kind {noun}", f"use `smki {noun}`")
    return read_plan(session.workspace, read)


def plan_as_json(session: Session, plan: "Plan") -> dict[str, Any]:
    from smki.parties.recovery.approval import quorate
    from smki.parties.recovery.words import show

    found = quorate(session.workspace, plan.file)
    return {
        **show(plan, session.workspace.clock()).as_json(),
        "approvals": [{"officer": one.approval.officer, "verdict": one.fault or "counts"} for one in found.judged],
        "approvals_needed": found.needed,
        "sha256": plan.file.sha256,
    }


def show_plan(session: Session, plan: "Plan") -> None:
    from smki.parties.recovery.approval import quorate
    from smki.parties.recovery.words import AFFECTED, PUTS, show

    told = show(plan, session.workspace.clock())
    fields(told.facts)
    click.echo()
    table(AFFECTED, told.affected)
    click.echo()
    table(PUTS, told.puts)
    click.echo("\nHomes: " + ", ".join(f"{count} {kind}" for kind, count in told.homes))
    found = quorate(session.workspace, plan.file)
    click.echo(f"Approvals: {len(found.counted)} of {found.needed} key custodians")
    for one in found.judged:
        click.echo(f"  {one.approval.officer}: {one.fault or 'counts'}")
    for fault in told.faults:
        complain(fault, "fault: ", err=False)
    click.echo(f"SHA-256 of the plan: {plan.file.sha256.hex()}")


# The commands that both nouns have


def add_commands(group: click.Group, *, contingency: bool) -> None:
    """`show`, `approve`, `run`, `progress`, `report`."""
    noun = "contingency" if contingency else "recovery"
    for make in (_show_command, _approve_command, _run_command, _progress_command, _report_command):
        group.add_command(make(noun, contingency))


def _show_command(noun: str, contingency: bool) -> click.Command:
    @click.command("show", epilog=f"Example: smki {noun} show plans/theft.toml")
    @_plan
    @json_option
    @pass_session
    def show(session: Session, file: Path, as_json: bool) -> int:
        """Tell PLAN in words and in numbers of homes, with every rule it breaks. Exit code 1: some are broken."""
        plan = load(session, file, contingency)
        emit(plan_as_json(session, plan), as_json, lambda: show_plan(session, plan))
        return SOME if plan.faults else 0

    return show


def _approve_command(noun: str, contingency: bool) -> click.Command:
    @click.command("approve", epilog=f"Example: smki {noun} approve plans/theft.toml --officer alice --key alice.pem")
    @_plan
    @officer_options
    @sha256_option
    @json_option
    @pass_session
    def approve(session: Session, /, file: Path, officer: str, sha256: str | None, as_json: bool, **key: Any) -> None:
        """Sign the SHA-256 of PLAN as a key custodian, with the officer's own key."""
        from smki.parties.recovery.approval import approve_plan

        plan = load(session, file, contingency)
        of_what = f"{plan.file.table.purpose}\n{counted(plan.devices.count, 'device')}"
        checked = checked_sha256(plan.file.sha256, of_what, sha256)
        private_key = officers_private_key(session, **key)
        approval = approve_plan(session.workspace, plan, officer, private_key, checked)
        emit(approval.as_json(), as_json, lambda: click.echo(f"{officer} approved {file.name} {checked}"))

    return approve


def _run_command(noun: str, contingency: bool) -> click.Command:
    @click.command("run", epilog=f"Example: smki {noun} run plans/theft.toml --out commands.jsonl")
    @_plan
    @results_option
    @click.option("--rehearse", is_flag=True, help="Everything but the signatures; logged as a rehearsal.")
    @pass_session
    def run(session: Session, file: Path, out: Path | None, rehearse: bool) -> int:
        """Make and sign PLAN's command for each device, if enough key custodians approved it as it now is.

        Result lines are JSON: reference (the device), counter, result, message (hexadecimal) or faults. Interrupted
        at any moment, run it again: the same commands come out, and nothing is signed twice.
        """
        from smki.parties.recovery.run import rehearse_plan, run_plan

        plan = load(session, file, contingency)
        work = rehearse_plan(session.workspace, plan) if rehearse else run_plan(session.workspace, plan)
        with closing(work), output(out) as lines:
            return _tell(work, plan.devices.count, lines)

    return run


def _tell(work: "Generator[Told]", total: int, lines: Any) -> int:
    counts: dict[str, int] = {}
    with progress(total) as advance:
        for told in work:
            counts[told.result] = counts.get(told.result, 0) + 1
            lines.write(json.dumps(told.as_json()).encode() + b"\n")
            advance()
    click.echo(summary(total, "device", counts), err=True)
    refused = counts.get("refused", 0)
    return exit_code(total - refused, refused)


def _progress_command(noun: str, contingency: bool) -> click.Command:
    @click.command("progress", epilog=f"Example: smki {noun} progress plans/theft.toml --outstanding")
    @_plan
    @click.option("--outstanding", is_flag=True, help="Also list the devices that are not recovered.")
    @click.option("--heard", type=FILE, help="A progress file that a subscriber sent: told beside, not counted.")
    @json_option
    @pass_session
    def progress_(session: Session, file: Path, outstanding: bool, heard: Path | None, as_json: bool) -> int:
        """Tell how far PLAN came. A device is recovered once it named the new keys itself. Exit code 1: not all."""
        from smki.parties.recovery import report

        plan = load(session, file, contingency)
        found = report.progress(session.workspace, plan)
        data = found.as_json() if outstanding else {**found.as_json(), "outstanding": len(found.outstanding)}
        if heard is not None:
            data["heard"] = report.read_progress(heard, plan)
        emit(data, as_json, lambda: _show_progress(found, outstanding, data.get("heard")))
        return 0 if found.is_complete else SOME

    return progress_


def _show_progress(found: "Progress", outstanding: bool, heard: dict[str, Any] | None) -> None:
    rows = [("begun", found.started_at or "no"), ("devices", str(found.plan.devices.count))]
    rows += [(f"commands {state}", str(count)) for state, count in found.commands.items()]
    rows += [(f"devices {word}", str(count)) for word, count in found.readings.items()]
    rows.append(("complete", found.completed_at or ("yes" if found.is_complete else "no")))
    if heard is not None:
        rows += [(f"heard: {word}", str(count)) for word, count in heard["readings"].items()]
    fields(rows)
    if outstanding:
        table(["Device", "Reading"], [(str(device), word) for device, word in found.outstanding])


def _report_command(noun: str, contingency: bool) -> click.Command:
    @click.command("report", epilog=f"Example: smki {noun} report plans/theft.toml --out reports")
    @_plan
    @click.option(
        "--out",
        "folder",
        required=True,
        type=click.Path(path_type=Path, file_okay=False, exists=True),
        help="The folder for the notification file and the progress file.",
    )
    @json_option
    @pass_session
    def report_(session: Session, file: Path, folder: Path, as_json: bool) -> None:
        """Write PLAN's notification and progress files, as they are exchanged; log completion when there is."""
        from smki.parties.recovery.report import report

        plan = load(session, file, contingency)
        found = report(session.workspace, plan, folder)
        emit(found.as_json(), as_json, lambda: _show_progress(found, False, None))

    return report_
