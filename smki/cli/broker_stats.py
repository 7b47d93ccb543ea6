"""`smki broker stats`, `smki broker watch`: what passes, and whom to wake."""

import sys
from itertools import dropwhile
from typing import TYPE_CHECKING, Any

import click

from smki.cli.render import emit, fields, json_option, moment_of, table
from smki.cli.results import HELD
from smki.cli.session import Session, pass_session
from smki.words import utc

if TYPE_CHECKING:
    from smki.parties.broker.alarm import Alert
    from smki.parties.broker.stats import Stats, Sums

_BAR = 40
_EIGHTHS = " ▏▎▍▌▋▊▉█"


@click.command("stats", epilog="Example: smki broker stats --by day --since 2026-11-01T00:00:00Z")
@click.option("--since", metavar="TIME", help="From when on; default: the last 24 hours, or 30 days.")
@click.option("--by", type=click.Choice(["hour", "day"]), default="hour", show_default=True, help="A row for each.")
@click.option("--user", metavar="EUI-64", help="Of this user alone.")
@json_option
@pass_session
def stats(session: Session, since: str | None, by: Any, user: str | None, as_json: bool) -> None:
    """Show rates, who sends most, and what was admitted, held and refused over time (UTC)."""
    from smki.entity import EntityId
    from smki.parties.broker.stats import stats as count

    begin = moment_of(since)
    found = count(session.workspace, begin, by, None if user is None else EntityId.parse(user))
    emit(found.as_json(), as_json, lambda: _print(found))


def _print(found: "Stats") -> None:
    fields(
        [
            ("since", f"{utc(found.since)}, by {found.by}"),
            ("commands", ", ".join(f"{count} {word}" for word, count in found.total.as_json().items())),
            ("admitted a second", ", ".join(f"{rate:.2f} in the last {seconds}s" for seconds, rate in found.rates)),
        ]
    )
    click.echo()
    most = max((sums.all for _, sums in found.stretches), default=0)
    blocks = (getattr(sys.stdout, "encoding", "") or "").lower().startswith("utf")
    busy = dropwhile(lambda stretch: not stretch[1].all, found.stretches)  # a quiet night before it says nothing
    rows = [(utc(moment), *_counts(sums), bar(sums.all, most, blocks=blocks)) for moment, sums in busy]
    table(["From", "Admitted", "Held", "Refused", ""], rows)
    if found.users:
        click.echo()
        table(
            ["User", "Role", "Admitted", "Held", "Refused"],
            ((str(user), role, *_counts(sums)) for user, role, sums in found.users),
        )
        click.echo()
        table(["Use case", "Admitted", "Held", "Refused"], ((name, *_counts(sums)) for name, sums in found.use_cases))


def _counts(sums: "Sums") -> tuple[str, ...]:
    return tuple(str(count) for count in sums.as_json().values())


def bar(number: int, most: int, *, blocks: bool) -> str:
    """So long a bar; what is not nothing shows."""
    if not most or not number:
        return ""
    if not blocks:
        return "#" * max(1, round(_BAR * number / most))
    eighths = max(1, round(8 * _BAR * number / most))
    return _EIGHTHS[8] * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


@click.command("watch", epilog="Example: smki broker watch --every 5 --again 300")
@click.option(
    "--every", type=click.FloatRange(0.1, 3600), default=5, show_default=True, help="Seconds between looks."
)
@click.option(
    "--again",
    type=click.FloatRange(1, 86_400),
    default=300,
    show_default=True,
    help="Seconds until it says it again.",
)
@click.option("--once", is_flag=True, help="Look once; exit code 6 if somebody must be woken.")
@pass_session
def watch(session: Session, every: float, again: float, once: bool) -> int:
    """Wake a person: tell of patterns that are held and new, or grow, until somebody acknowledges them.

    It runs until it is stopped (SIGTERM), and writes to standard error: lines on a terminal, JSON otherwise.
    """
    import signal
    import threading
    from datetime import timedelta

    from smki.cli.journal import journal
    from smki.errors import SmkiError
    from smki.parties.broker.alarm import Alarm, Doubts, look

    stop = threading.Event()
    if threading.current_thread() is threading.main_thread():
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, lambda *_: stop.set())
    tell, alarm, doubts = journal(), Alarm(timedelta(seconds=again)), Doubts()
    tell("broker.watching", level="info", every=every, again=again)
    while True:
        alerts: list[Alert] = []
        unsigned: list[tuple[str, int]] = []
        try:
            alerts = look(session.workspace, alarm)
            unsigned = doubts.look(session.workspace)
        except SmkiError as error:  # whatever keeps it from seeing
            tell("broker.watch-blind", level="critical", code=error.code, message=error.message)
            if once:
                raise
        for alert in alerts:
            tell("broker.held", level="critical", **_fields(alert))
        for owner, serial in unsigned:
            tell("broker.thresholds-unsigned", level="critical", owner=owner, serial=serial)
        session.close()  # each look opens the database anew: one that was put in another's place is seen
        if once or stop.wait(every):
            break
    tell("broker.watch-ended", level="info")
    return HELD if once and (alerts or unsigned) else 0


def _fields(alert: "Alert") -> dict[str, Any]:
    return {
        "news": alert.news,
        "pattern": alert.pattern,
        "waiting": alert.waiting,
        "more": alert.more,
        "since": utc(alert.first),
        "last": utc(alert.last),
        "why": list(alert.why),
        "hint": f"smki broker quarantine show '{alert.pattern}'",
    }
