"""`smki broker quarantine`: what is held, and what officers decide about it."""

import json
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from smki.cli.keys import certificates_option, own_key_options
from smki.cli.options import EXISTING, FILE
from smki.cli.protecting import broker_key
from smki.cli.reading import vocabulary_of
from smki.cli.render import emit, fields, json_option, summary, table, tree
from smki.cli.results import exit_code, output, results_option
from smki.cli.secrets import officer_key_options, officers_private_key
from smki.cli.session import Session, pass_session
from smki.words import counted, utc

if TYPE_CHECKING:
    from smki.parties.broker.confirmation import Confirmation
    from smki.parties.broker.quarantine import Decided
    from smki.parties.broker.showing import Shown

_MOST_SHOWN = 20
_EXAMPLE = "'0x0050 90-B3-D5-1F-30-01-00-00 2026-11-21'"
_what = click.argument("what", nargs=-1, required=True, metavar="PATTERN|DIGEST...")
_some = click.argument("what", nargs=-1, metavar="[PATTERN|DIGEST...]")
_words = click.option(
    "--confirmation", "files", multiple=True, type=EXISTING, help="What an officer signed (CMS). Repeat it."
)
_reason = click.option("--reason", default="", help="Why; it stands in what is signed, and in the log.")
_officer = click.option("--officer", metavar="NAME", help="Or sign here and now, as this officer.")


@click.group("quarantine", epilog="Example: smki broker quarantine list")
def quarantine() -> None:
    """See what is held, and decide about it: an officer of each side releases it, one of either rejects it."""


@quarantine.command("list", epilog="Example: smki broker quarantine list --state rejected --json")
@click.option(
    "--state",
    type=click.Choice(["waiting", "released", "rejected"]),
    default="waiting",
    show_default=True,
    help="What became of them.",
)
@click.option("--pattern", metavar="PATTERN", help="The commands of one pattern, each by itself.")
@json_option
@pass_session
def list_(session: Session, state: Any, pattern: str | None, as_json: bool) -> int:
    """List what is held, by pattern: what belongs together is decided together. Exit code 1 if there is nothing."""
    from smki.parties.broker.showing import patterns

    if pattern is not None:
        return _list_one(session, pattern, as_json)
    found = patterns(session.workspace, state)
    columns = ["Pattern", "What", "From", "Commands", "Since", "Last", "Confirmed by", "Known"]
    rows = (
        (
            one.name,
            one.words,
            one.originator,
            str(one.count),
            utc(one.first),
            utc(one.last),
            f"originator {one.confirmed[0]}, broker {one.confirmed[1]}",
            "yes" if one.known else "no",
        )
        for one in found
    )
    emit({"state": state, "patterns": [one.as_json() for one in found]}, as_json, lambda: table(columns, rows))
    return 0 if found else 1


def _list_one(session: Session, pattern: str, as_json: bool) -> int:
    from smki.parties.broker.quarantine import chosen

    records = chosen(session.workspace, [pattern], None)
    _tell_cut(session, len(records))
    columns = ["digest", "target", "counter", "at", "state", "reference"]
    rows = [
        {
            "digest": one.digest.hex(),
            "target": str(one.target),
            "counter": str(one.counter),
            "at": utc(one.at),
            "state": one.state,
            "reference": one.reference,
        }
        for one in records
    ]
    shown = [[row[name][:16] if name == "digest" else row[name] for name in columns] for row in rows]
    emit({"commands": rows}, as_json, lambda: table([name.title() for name in columns], shown))
    return 0


@quarantine.command("show", epilog=f"Example: smki broker quarantine show {_EXAMPLE}")
@_what
@certificates_option
@json_option
@pass_session
def show(session: Session, what: tuple[str, ...], others: tuple[Path, ...], as_json: bool) -> None:
    """Show what is held: in words, why, since when, and what would become of it if it were released now."""
    from smki.parties.broker.quarantine import chosen
    from smki.parties.broker.showing import shown
    from smki.parties.keys import certificates_in

    records = chosen(session.workspace, what, None)
    _tell_cut(session, len(records))
    found = shown(session.workspace, records, certificates_in(others))
    emit(found.as_json(), as_json, lambda: _print(session, found))


def _tell_cut(session: Session, count: int) -> None:
    most = session.policies.broker.largest_batch
    if count == most:
        click.echo(
            f"warning: the oldest {most} are shown, there may be more: `smki broker quarantine list`", err=True
        )


def _print(session: Session, found: "Shown") -> None:
    from smki.gbcs.words import tree_of

    data = found.as_json()
    would = ", ".join(f"{count} {text}" for text, count in found.would)
    pairs = [
        ("patterns", "\n".join(data["patterns"])),
        ("commands", ", ".join(f"{count} {state}" for state, count in data["states"].items())),
        ("from", f"{found.originator} ({data['role']}), handed in by {', '.join(data['submitted_by'])}"),
        ("use case", found.use_case + (": TURNS SUPPLY OFF" if found.supply_off else "")),
        ("devices", f"{data['devices']}{' in areas ' + ', '.join(map(str, data['areas'])) if data['areas'] else ''}"),
        ("since", f"{utc(data['first'])}, last {utc(data['last'])}"),
        ("held by", "\n".join(f"{text}: {count}" for text, count in found.why)),
        ("found", "\n".join(data["first_found"])),
        ("release would", f"{would} (of the first {found.judged})" if would else "do nothing: none waits"),
    ]
    pairs += [
        ("decided", f"{one['decision']} {one['count']}: {one['officer']} for {one['for']}, until {utc(one['until'])}")
        for one in data["confirmations"]
    ]
    fields(pairs)
    click.echo()
    tree(tree_of(found.first, vocabulary_of(session)))
    for one in found.records[:_MOST_SHOWN]:
        click.echo(f"{one.digest.hex()[:16]}  {one.target}  counter {one.counter}  {one.state}")
    if len(found.records) > _MOST_SHOWN:
        click.echo(f"... and {len(found.records) - _MOST_SHOWN} more: `--json`, `quarantine list --pattern`")


@quarantine.command(
    "draft",
    epilog=f"Example: smki broker quarantine draft {_EXAMPLE} --officer 'Ann Ash' --reason 'ticket 4711'"
    " --out release.txt",
)
@_what
@click.option(
    "--decision",
    type=click.Choice(["release", "reject"]),
    default="release",
    show_default=True,
    help="What the officer's word is for.",
)
@click.option("--officer", required=True, metavar="NAME", help="Who is to sign it.")
@click.option("--reason", required=True, help="Why; it stands in what is signed, and in the log.")
@click.option("--out", required=True, type=FILE, help="The text: a new file.")
@pass_session
def draft(
    session: Session, what: tuple[str, ...], decision: Any, officer: str, reason: str, out: Path
) -> None:  # fmt: skip
    """Write the text that an officer elsewhere signs: a line for each command.

    `smki broker quarantine confirm` signs it, or `openssl cms -sign -binary -nodetach -outform DER`.
    """
    from smki.authority.safe_files import write_new
    from smki.parties.broker.quarantine import chosen
    from smki.parties.broker.quarantine import draft as drafted

    made = drafted(session.workspace, chosen(session.workspace, what), decision, officer, reason)
    write_new(out, made.content())
    click.echo(f"wrote {out}: {decision} {counted(len(made.items), 'command')}, for {officer} to sign")


@quarantine.command(
    "confirm", epilog="Example: smki broker quarantine confirm release.txt --key ann.pem --out release.p7m"
)
@click.argument("file", type=EXISTING)
@officer_key_options
@click.option("--out", required=True, type=FILE, help="CMS: a new file.")
@pass_session
def confirm(session: Session, /, file: Path, out: Path, **key: Any) -> None:
    """Sign a text that was drafted, with the officer's own key. It needs no workspace but for --token."""
    from smki.authority.safe_files import read_bounded, write_new
    from smki.authority.signing import MOST_MESSAGES
    from smki.parties.broker.confirmation import MAX_OCTETS, read_confirmation
    from smki.parties.broker.quarantine import confirm as sign

    content = read_bounded(file, MAX_OCTETS, "quarantine", "name what `draft` wrote")
    said = read_confirmation(content, MOST_MESSAGES)
    click.echo(f"{said.officer}: {said.decision} {counted(len(said.items), 'command')} ({said.reason})")
    for label, count in _kinds(said):
        click.echo(f"  {count} {label}")
    for _, words in said.items[:_MOST_SHOWN]:
        click.echo(f"    {words}")
    if len(said.items) > _MOST_SHOWN:
        click.echo(f"    ... and {len(said.items) - _MOST_SHOWN} more, in {file}")
    write_new(out, sign(content, officers_private_key(session, **key), MOST_MESSAGES))
    click.echo(f"wrote {out}")


def _kinds(said: "Confirmation") -> list[tuple[str, int]]:
    """How many of what it names: the first few may be harmless, and the rest not."""
    from collections import Counter

    return Counter(words.rsplit(", ", 2)[0] for _, words in said.items).most_common()


@quarantine.command(
    "release",
    epilog=f"Example: smki broker quarantine release {_EXAMPLE} --officer alice --key alice.pem --reason ordered",
)
@_some
@_words
@_officer
@officer_key_options
@_reason
@json_option
@pass_session
def release(session: Session, /, **options: Any) -> None:
    """Put on record that officers let it go: one of the originator's, and one on the broker's roll.

    What both have released, `quarantine hand-out` judges once more by every other rule, and gives out.
    """
    _decide(session, "release", **options)


@quarantine.command(
    "reject", epilog=f"Example: smki broker quarantine reject {_EXAMPLE} --officer bob --key bob.pem --reason stolen"
)
@_some
@_words
@_officer
@officer_key_options
@_reason
@json_option
@pass_session
def reject(session: Session, /, **options: Any) -> None:
    """Refuse it for good: one officer of either side is enough."""
    _decide(session, "reject", **options)


def _decide(
    session: Session,
    decision: Any,
    /,
    what: tuple[str, ...],
    files: tuple[Path, ...],
    officer: str | None,
    reason: str,
    as_json: bool,
    **key: Any,
) -> None:
    from smki.authority.safe_files import read_bounded
    from smki.errors import Refused
    from smki.parties.broker.confirmation import read_confirmation
    from smki.parties.broker.quarantine import chosen, decide, draft
    from smki.parties.broker.quarantine import confirm as sign
    from smki.pki.signed_data import MAX_SIGNED_OCTETS, read_signed_data

    workspace = session.workspace
    if not files and (officer is None or not what):
        raise click.UsageError("Name what, and the --officer who signs; or give --confirmation FILE.")
    most = workspace.policies.broker.largest_batch
    words = [read_bounded(path, MAX_SIGNED_OCTETS, "quarantine", "name confirmations") for path in files]
    for word in words:
        if read_confirmation(read_signed_data(word).content, most).decision != decision:
            raise Refused("quarantine.decision", f"the officer did not sign to {decision}", "see what was signed")
    if officer is not None:
        made = draft(workspace, chosen(workspace, what), decision, officer, reason)
        words.append(sign(made.content(), officers_private_key(session, **key), most))
    done = [decide(workspace, word) for word in words]
    emit({"decisions": [_decided_json(one) for one in done]}, as_json, lambda: _tell(done))


def _decided_json(one: "Decided") -> dict[str, Any]:
    return {
        "decision": one.decision,
        "officer": one.officer,
        "capacity": one.capacity,
        "commands": one.items,
        "ready": one.ready,
        "recorded_before": not one.fresh,
    }


def _tell(done: "list[Decided]") -> None:
    for one in done:
        before = "" if one.fresh else " (on record before)"
        click.echo(f"{one.officer}, for the {one.capacity}: {one.decision} {counted(one.items, 'command')}{before}")
    last = done[-1]
    if last.decision == "release":
        have, them = ("has", "it") if last.ready == 1 else ("have", "them")
        left = f"; `smki broker quarantine hand-out` gives {them} out" if last.ready else ""
        click.echo(f"{last.ready:,} of them {have} the word of both sides{left}")


@quarantine.command(
    "hand-out",
    epilog="Example: smki broker quarantine hand-out --token keys --key broker --certificate broker-ka.pem"
    " --out commands.jsonl",
)
@own_key_options
@certificates_option
@results_option
@pass_session
def hand_out(session: Session, /, others: tuple[Path, ...], out: Path | None, **own: Any) -> int:
    """Judge what both sides released by every other rule, as things stand now; add the MAC, and give it out.

    What a rule speaks against stays held. After an interruption `smki broker submit --resume` has what was admitted.
    Exit code 0: all went out; 1: some; 3: none.
    """
    from smki.gbcs.agreement import Agreement
    from smki.parties.broker.desk import BrokerDesk
    from smki.parties.keys import certificates_in

    one, key, _ = broker_key(session, own)
    counts: dict[str, int] = {}
    with Agreement(key, 0) as agreement:
        desk = BrokerDesk(session.workspace, one.holder.entity, agreement, certificates_in(others))
        with output(out) as lines, closing(desk.hand_out()) as outcomes:
            for outcome in outcomes:
                counts[outcome.result] = counts.get(outcome.result, 0) + 1
                lines.write(json.dumps(outcome.as_json(), ensure_ascii=False).encode() + b"\n")
        desk.admission.handed_out()
    click.echo(summary(sum(counts.values()), "command", counts, "nothing is released"), err=True)
    good = counts.get("admitted", 0) + counts.get("admitted before", 0)
    return exit_code(good, sum(counts.values()) - good)


@quarantine.command("acknowledge", epilog=f"Example: smki broker quarantine acknowledge {_EXAMPLE}")
@click.argument("names", nargs=-1, required=True, metavar="PATTERN...")
@pass_session
def acknowledge(session: Session, names: tuple[str, ...]) -> None:
    """Say that you know of patterns: `smki broker watch` is quiet about them until more comes."""
    from smki.parties.broker.quarantine import acknowledge as know

    for pattern, count in know(session.workspace, names).items():
        click.echo(f"{pattern}: {counted(count, 'command')} known to {session.workspace.person.name}")
