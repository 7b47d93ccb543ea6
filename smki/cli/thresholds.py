"""`smki broker thresholds`: how much of what, by whose word."""

import base64
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from smki.cli.options import EXISTING, FILE
from smki.cli.render import emit, json_option, table
from smki.cli.secrets import officer_key_options, officers_private_key
from smki.cli.session import Session, pass_session
from smki.words import utc

if TYPE_CHECKING:
    from smki.parties.anomaly.limits import Campaign, Limit, ValueLimit
    from smki.parties.broker.threshold_file import Thresholds

_DRAFTED_FOR, _A_WEEK = timedelta(days=365), timedelta(days=7)


@click.group("thresholds", epilog="Example: smki broker thresholds show")
def thresholds() -> None:
    """Show and set thresholds: users' own, the broker's for everybody, campaigns that were announced."""


@thresholds.command("show", epilog="Example: smki broker thresholds show --user 90-B3-D5-1F-30-01-00-00 --json")
@click.option("--user", metavar="EUI-64", help="Those that hold for this user: its own, and the broker's.")
@json_option
@pass_session
def show(session: Session, user: str | None, as_json: bool) -> None:
    """Show the thresholds in force, and the plain counts of policies/anomaly.toml beside them."""
    from smki.authority.anomaly import CountRule
    from smki.entity import EntityId
    from smki.parties.broker.thresholds import campaigns, doubted, in_force, on_record

    now, known = session.clock(), on_record(session.workspace)
    only = None if user is None else EntityId.parse(user)
    files = [one for one in in_force(known, now) if only is None or one.owner in {None, only}]
    running = [one for one in campaigns(known, now) if now < one.until and only in {None, one.originator}]
    rules = [one for one in session.policies.anomaly.rules if isinstance(one, CountRule) and one.holds]
    data = {
        "files": [_file_json(one) for one in files],
        "doubted": [
            {"owner": one.thresholds.key, "serial": one.thresholds.serial, "at": one.at}
            for one in doubted(known, now)
            if only is None or one.thresholds.owner in {None, only}
        ],
        "campaigns": [_campaign_json(one) for one in running],
        "policy": [
            {
                "name": one.name,
                "use_cases": _codes(one.codes),
                "of": one.of,
                "count": one.count,
                **_window(one.window),
            }
            for one in rules
        ],
    }
    rows = [(one.key, str(one.serial), *_limit_row(limit)) for one in files for limit in one.limits]
    rows += [(one.key, str(one.serial), *_value_row(value)) for one in files for value in one.values]
    rows += [(one.key, str(one.serial), *_key_row(key)) for one in files for key in sorted(one.announcing_keys)]
    rows += [(f"{one.originator} campaign", "", *_campaign_row(one)) for one in running]
    rows += [
        ("anomaly.toml", "", one.name, _text(one.codes), f"{one.count} in {one.window}", one.of, "") for one in rules
    ]
    emit(data, as_json, lambda: table(["Whose", "Serial", "Name", "Use cases", "Holds at", "Of", "Roles"], rows))
    for one in data["doubted"]:
        said = "stands in the store without the signatures it needs: it loosens nothing; look how it came there"
        click.echo(f"warning: {one['owner']} serial {one['serial']} {said}", err=True)


def _codes(codes: frozenset[int] | None) -> list[str]:
    return ["*"] if codes is None else [f"0x{code:04X}" for code in sorted(codes)]


def _text(codes: frozenset[int] | None) -> str:
    found = _codes(codes)
    return ", ".join(found[:3]) + (f" and {len(found) - 3} more" if len(found) > 3 else "")


def _window(window: timedelta) -> dict[str, int]:
    return {"window_seconds": int(window.total_seconds())}


def _file_json(one: "Thresholds") -> dict[str, Any]:
    return {
        "owner": one.key,
        "serial": one.serial,
        "since": one.since,
        "until": one.until,
        "limits": [
            {
                "name": limit.name,
                "use_cases": _codes(limit.codes),
                "count": limit.count,
                "warn": limit.warn,
                **_window(limit.window),
                "of": limit.of,
                "roles": None if limit.roles is None else sorted(role.word for role in limit.roles),
            }
            for limit in one.limits
        ],
        "values": [
            {
                "name": value.name,
                "use_cases": _codes(value.codes),
                "path": value.path,
                "least": value.least,
                "most": value.most,
            }
            for value in one.values
        ],
        "announcing_keys": sorted(base64.b64encode(key).decode() for key in one.announcing_keys),
    }


def _campaign_json(one: "Campaign") -> dict[str, Any]:
    return {
        "name": one.name,
        "user": str(one.originator),
        "use_cases": _codes(one.codes),
        "count": one.count,
        "since": one.since,
        "until": one.until,
    }


def _limit_row(one: "Limit") -> tuple[str, ...]:
    warn = "" if one.warn is None else f" (warns at {one.warn})"
    roles = "" if one.roles is None else ", ".join(sorted(role.word for role in one.roles))
    return one.name, _text(one.codes), f"{one.count} in {one.window}{warn}", one.of, roles


def _value_row(one: "ValueLimit") -> tuple[str, ...]:
    bounds = " to ".join("" if bound is None else f"{bound:g}" for bound in (one.least, one.most))
    return one.name, _text(one.codes), f"{one.path}: {bounds}", "", ""


def _key_row(key: bytes) -> tuple[str, ...]:
    return "announcing key", "", base64.b64encode(key).decode(), "", ""


def _campaign_row(one: "Campaign") -> tuple[str, ...]:
    return one.name, _text(one.codes), f"{one.count} more, {utc(one.since)} to {utc(one.until)}", "", ""


@thresholds.command(
    "draft", epilog="Example: smki broker thresholds draft --user 90-B3-D5-1F-30-01-00-00 --out north.toml"
)
@click.option("--user", metavar="EUI-64", help="This user's own; default: the broker's for everybody.")
@click.option("--campaign", is_flag=True, help="A campaign of the user's.")
@click.option("--out", required=True, type=FILE, help="A new file.")
@pass_session
def draft(session: Session, user: str | None, campaign: bool, out: Path) -> None:
    """Write an example to change and to sign: `thresholds sign`, or `openssl cms -sign -binary -nodetach`."""
    from smki.authority.safe_files import write_new
    from smki.entity import EntityId
    from smki.parties.broker.threshold_file import EXAMPLES, Kind

    if campaign and user is None:
        raise click.UsageError("Say whose campaign it is: --user EUI-64.")
    kind: Kind = "campaign" if campaign else "global" if user is None else "own"
    now = session.clock()
    owner = "" if user is None else str(EntityId.parse(user))
    text = EXAMPLES[kind].format(
        owner=owner, since=utc(now), until=utc(now + _DRAFTED_FOR), week=utc(now + _A_WEEK)
    )  # fmt: skip
    write_new(out, text.encode())
    click.echo(f"wrote {out}")


@thresholds.command(
    "sign", epilog="Example: smki broker thresholds sign north.toml --officer 'Ann Ash' --key ann.pem --out north.p7m"
)
@click.argument("file", type=EXISTING)
@click.option("--officer", required=True, metavar="NAME", help="Who signs.")
@officer_key_options
@click.option("--out", required=True, type=FILE, help="CMS: a new file.")
@pass_session
def sign(session: Session, /, file: Path, officer: str, out: Path, **key: Any) -> None:
    """Sign a file of thresholds with an officer's own key."""
    from smki.authority.safe_files import read_bounded, write_new
    from smki.parties.broker.officers import sign_as_officer
    from smki.parties.broker.threshold_file import MAX_OCTETS, read_thresholds

    content = read_bounded(file, MAX_OCTETS, "thresholds", "name a file of thresholds")
    read_thresholds(content, session.policies.use_cases)  # nobody signs what could not be set
    write_new(out, sign_as_officer(content, officer, officers_private_key(session, **key), session.clock()))
    click.echo(f"wrote {out}")


@thresholds.command("set", epilog="Example: smki broker thresholds set north.p7m")
@click.argument("files", nargs=-1, required=True, type=EXISTING, metavar="FILE...")
@json_option
@pass_session
def set_(session: Session, files: tuple[Path, ...], as_json: bool) -> None:
    """Set thresholds that officers signed; several files are one content, signed by each.

    A user's own: by its officer. The broker's: by an officer on the roll. What holds less than before: by two. A
    campaign: by both sides.
    """
    from smki.authority.safe_files import read_bounded
    from smki.parties.broker.threshold_file import MAX_OCTETS
    from smki.parties.broker.thresholds import set_thresholds

    octets = [read_bounded(path, 2 * MAX_OCTETS, "thresholds", "name signed thresholds") for path in files]
    done = set_thresholds(session.workspace, octets)
    data: dict[str, Any] = {
        "owner": done.thresholds.key,
        "serial": done.thresholds.serial,
        "since": done.thresholds.since,
        "until": done.thresholds.until,
        "signed_by": [one.words for one in done.signers],
        "loosens": list(done.looser),
    }

    def human() -> None:
        click.echo(f"{data['owner']}: serial {data['serial']}, {utc(data['since'])} to {utc(data['until'])}")
        click.echo(f"signed by {'; '.join(data['signed_by'])}")
        for text in data["loosens"]:
            click.echo(f"loosens {text}")

    emit(data, as_json, human)
