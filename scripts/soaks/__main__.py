"""python -m scripts.soaks [day | estate | traffic] [options]: scripts/soak says which."""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scripts.figures.machine import Measured

_SHOWN = 50


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/soak")
    parser.add_argument("what", nargs="?", default="day", choices=["day", "estate", "traffic"])
    parser.add_argument("--minutes", type=float, default=5, help="day: so long everybody works")
    parser.add_argument("--engine", choices=["postgresql", "sqlite"], default="postgresql", help="day: of all stores")
    parser.add_argument("--homes", type=int, default=160, help="day: so many meters take commands")
    parser.add_argument("--keep", type=Path, help="day: a new folder for its files, if something is wrong")
    parser.add_argument("--json", action="store_true", help="day: print the figures for programs")
    parser.add_argument(
        "--figures", action="store_true", help="day, traffic: write docs/figures, and what tells of them"
    )
    parser.add_argument("--devices", type=int, default=20_000, help="estate: how many")
    parser.add_argument("--days", type=int, default=28, help="traffic: so many without an attack")
    parser.add_argument("--countries", type=int, default=1, help="traffic: so many runs, each with the next seed")
    parser.add_argument("--seed", type=int, default=time.time_ns() & 0xFFFFFF, help="repeats a run")
    options = parser.parse_args()
    begin = time.monotonic()
    kinds: dict[str, Callable[[argparse.Namespace], list[str]]] = {
        "day": _day,
        "estate": _estate,
        "traffic": _traffic,
    }
    wrong = kinds[options.what](options)
    out = sys.stderr if options.json else sys.stdout
    for line in wrong[:_SHOWN]:
        print(f"WRONG: {line}", file=out)
    words = "nothing wrong" if not wrong else f"{len(wrong)} wrong"
    print(f"{words}, {time.monotonic() - begin:.0f} s", file=out)
    return int(bool(wrong))


def _day(options: argparse.Namespace) -> list[str]:
    from scripts.figures.machine import look
    from scripts.soaks.day import report
    from scripts.soaks.day.run import Size, soak
    from tests.once import root

    tell: Callable[[str], None] = _aside if options.json else _tell
    measured = look(f"scripts/soak day --engine {options.engine} --seed {options.seed}")
    tell(f"{options.minutes:g} minutes on {options.engine}, --seed {options.seed}")
    with tempfile.TemporaryDirectory(prefix="smki-day-", dir=root(), ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o711)  # the database's user passes through
        size = Size(options.homes, options.minutes * 60)
        over = soak(Path(folder), size, options.seed, options.engine, tell, options.keep)
    for line in (*report.faults(over), "", *report.table(over), ""):
        tell(line)
    if options.json:
        print(json.dumps(report.figures(over), indent=1))
    if options.figures:
        _write("day", report.figures(over), measured)
    return over.wrong


def _estate(options: argparse.Namespace) -> list[str]:
    from scripts.soaks.estate import soak

    print(f"{options.devices} devices, --seed {options.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="smki-soak-") as folder:
        return soak(Path(folder), options.devices, options.seed, _tell)


def _traffic(options: argparse.Namespace) -> list[str]:
    from scripts.figures.machine import look
    from scripts.soaks.traffic_report import figures, run

    seeds = range(options.seed, options.seed + options.countries)
    measured = look(f"scripts/soak traffic --seed {options.seed} --countries {options.countries}")
    runs = [run(options.days, seed, _tell) for seed in seeds]
    if options.figures:
        _write("traffic", figures(runs), measured)
    return [line for one in runs for line in one.wrong]


def _write(name: str, figures: Mapping[str, Any], measured: "Measured") -> None:
    from scripts.figures.blocks import fill
    from scripts.figures.record import record

    record(name, figures, measured)
    fill()


def _tell(line: str) -> None:
    print(line, flush=True)


def _aside(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
