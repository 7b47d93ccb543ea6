"""python -m scripts.soaks estate [--devices N] [--seed N]"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from scripts.soaks.estate import soak


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/soak")
    parser.add_argument("what", choices=["estate"])
    parser.add_argument("--devices", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=time.time_ns() & 0xFFFFFF, help="repeats a run")
    options = parser.parse_args()
    print(f"{options.devices} devices, --seed {options.seed}", flush=True)
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="smki-soak-") as folder:
        wrong = soak(Path(folder), options.devices, options.seed, lambda line: print(line, flush=True))
    for line in wrong[:20]:
        print(f"WRONG: {line}")
    print(f"{'nothing wrong' if not wrong else f'{len(wrong)} wrong'}, {time.monotonic() - begin:.0f} s")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
