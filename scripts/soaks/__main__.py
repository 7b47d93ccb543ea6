"""python -m scripts.soaks estate [--devices N] [--seed N] | traffic [--days N] [--seed N] [--countries N]"""

import argparse
import sys
import tempfile
import time
from pathlib import Path


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/soak")
    parser.add_argument("what", choices=["estate", "traffic"])
    parser.add_argument("--devices", type=int, default=20_000, help="estate: how many")
    parser.add_argument("--days", type=int, default=28, help="traffic: so many without an attack")
    parser.add_argument("--countries", type=int, default=1, help="traffic: so many runs, each with the next seed")
    parser.add_argument("--seed", type=int, default=time.time_ns() & 0xFFFFFF, help="repeats a run")
    options = parser.parse_args()
    begin = time.monotonic()
    wrong = _estate(options) if options.what == "estate" else _traffic(options)
    for line in wrong[:20]:
        print(f"WRONG: {line}")
    print(f"{'nothing wrong' if not wrong else f'{len(wrong)} wrong'}, {time.monotonic() - begin:.0f} s")
    return int(bool(wrong))


def _estate(options: argparse.Namespace) -> list[str]:
    from scripts.soaks.estate import soak

    print(f"{options.devices} devices, --seed {options.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="smki-soak-") as folder:
        return soak(Path(folder), options.devices, options.seed, _tell)


def _traffic(options: argparse.Namespace) -> list[str]:
    from scripts.soaks.traffic_report import soak

    seeds = range(options.seed, options.seed + options.countries)
    return [line for seed in seeds for line in soak(options.days, seed, _tell)]


def _tell(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
