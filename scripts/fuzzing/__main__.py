"""Run fuzz targets, each in a process of its own; tell of each how often it ran and what it found.

python -m scripts.fuzzing [TARGET...] [--seconds N]
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from random import Random
from typing import Any

from scripts.fuzzing.mutations import mutated
from scripts.fuzzing.target import MOST_OCTETS
from scripts.fuzzing.targets import TARGETS

_OCTETS = 16_384  # of an input, unless the examples are longer
_RESIDENT = max(2 * MOST_OCTETS >> 20, 1024)  # megabytes, for the program and one input


def one(name: str, corpus: str, seconds: int, longest: int) -> None:
    """In a process of its own: never returns."""
    import atheris

    with atheris.instrument_imports(include=["smki"]):
        run = TARGETS[name].runner()
    seeds = list(TARGETS[name].seeds())

    def mutate(octets: bytes, most: int, seed: int) -> Any:
        """Half as libFuzzer does, by octets; half by the tree that a text is, and by words to stumble over."""
        random = Random(seed)  # noqa: S311 - drawn again from the same number
        if random.random() < 0.5:
            return atheris.Mutate(octets, most)
        return mutated(octets, seeds, random)[:most]

    most = max(_OCTETS, *(len(octets) + 1024 for octets in seeds))
    limits = [f"-max_total_time={seconds}", f"-timeout={longest}", f"-max_len={most}", f"-rss_limit_mb={_RESIDENT}"]
    options = [*limits, "-print_final_stats=1", f"-artifact_prefix={corpus}-"]
    atheris.Setup([sys.argv[0], corpus, *options], run, custom_mutator=mutate)
    atheris.Fuzz()


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/fuzz")
    # argparse holds the empty list against the choices too, where no target is named.
    parser.add_argument("targets", nargs="*", choices=[[], *TARGETS], metavar="TARGET", help=", ".join(TARGETS))
    parser.add_argument("--seconds", type=int, default=600, help="for each target")
    parser.add_argument("--longest", type=int, default=2, help="seconds one input may take")
    parser.add_argument("--at-once", type=int, default=len(os.sched_getaffinity(0)), help="default: one a core")
    options = parser.parse_args()
    waiting = list(options.targets or TARGETS)
    running: dict[str, tuple[subprocess.Popen[str], Path]] = {}
    finds = 0
    with tempfile.TemporaryDirectory(prefix="smki-fuzz-") as folder:
        while waiting or running:
            while waiting and len(running) < options.at_once:
                name = waiting.pop(0)
                running[name] = _start(name, Path(folder), options.seconds, options.longest)
            time.sleep(1)
            for name in [name for name, (process, _) in running.items() if process.poll() is not None]:
                process, log = running.pop(name)
                finds += _tell(name, process.returncode, log.read_text(errors="replace"), Path(folder))
    return int(finds > 0)


def _start(name: str, folder: Path, seconds: int, longest: int) -> tuple["subprocess.Popen[str]", Path]:
    corpus = folder / name
    corpus.mkdir()
    for number, octets in enumerate(TARGETS[name].seeds()):
        (corpus / f"{number:05d}").write_bytes(octets)
    log = folder / f"{name}.log"
    script = f"from scripts.fuzzing.__main__ import one; one({name!r}, {str(corpus)!r}, {seconds}, {longest})"
    with log.open("w") as file:
        return subprocess.Popen([sys.executable, "-c", script], stdout=file, stderr=file, text=True), log


def _tell(name: str, code: int, said: str, folder: Path) -> int:
    runs, slowest = (re.search(rf"{what}:\s*(\d+)", said) for what in ("executed_units", "slowest_unit_time_sec"))
    told = "nothing found" if code == 0 else "FOUND"
    print(f"{name}: {runs[1] if runs else '?'} runs, {told}, slowest {slowest[1] if slowest else '?'} s", flush=True)
    if code == 0:
        return 0
    for path in folder.glob(f"{name}-*"):
        print(f"  {path.name}: {path.read_bytes()[:400].hex()}")
    print("  " + "\n  ".join(said.splitlines()[-25:]))
    return 1


if __name__ == "__main__":
    sys.exit(main())
