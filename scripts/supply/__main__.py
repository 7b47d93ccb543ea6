"""The commands behind scripts/sbom and scripts/audit-dependencies."""

import argparse
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path

from scripts.supply import audit, bill
from scripts.supply.pins import BadPins, pins_of

_NOT_LOOKED_FOR = """\
known weaknesses: NOT LOOKED FOR, because there are no advisories here: nothing is fetched.
  give a folder of advisories in the OSV format: scripts/audit-dependencies --advisories FOLDER"""


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="scripts.supply")
    commands = parser.add_subparsers(dest="command", required=True)
    billing = commands.add_parser("bill", prog="scripts/sbom")
    billing.add_argument("--build", action="store_true", help="of what builds a wheel, not of what it installs")
    billing.add_argument("--out", type=Path, help="write it there; default: standard output")
    auditing = commands.add_parser("audit", prog="scripts/audit-dependencies")
    auditing.add_argument("--advisories", type=Path, help="a folder of advisories in the OSV format")
    options = parser.parse_args(arguments)
    try:
        return _bill(options.build, options.out) if options.command == "bill" else _audit(options.advisories)
    except BadPins as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except PackageNotFoundError as error:
        print(f"error: {error.name} is pinned, and not installed: run scripts/setup", file=sys.stderr)
        return 1


def _bill(build: bool, out: Path | None) -> int:
    text = bill.written(bill.build_bill() if build else bill.runtime_bill())
    if out is None:
        sys.stdout.write(text)
    else:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text, encoding="utf-8")
        print(f"wrote {out}")
    return 0


def _audit(advisories: Path | None) -> int:
    program, every = pins_of("runtime", "build"), pins_of("runtime", "build", "dev")
    faults = [*audit.version_faults(every), *audit.licence_faults(every), *audit.unused()]
    print(f"pinned: {len(program)} packages to run and build, {len(every)} with the tests', each by version and hash")
    for fault in faults:
        print(f"fault: {fault}")
    if advisories is None:
        print(_NOT_LOOKED_FOR)
        return int(bool(faults))
    from scripts.supply.advisories import BadAdvisory, weaknesses

    try:
        count, found = weaknesses(advisories, every)
    except (BadAdvisory, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for one in found:
        print(f"weakness: {one.package} {one.version}: {one.identifier}: {one.summary}")
    if not count:
        print(_NOT_LOOKED_FOR)
        return 1
    print(f"known weaknesses: {len(found)}, by {count} advisories")
    return int(bool(faults or found))


if __name__ == "__main__":
    sys.exit(main())
