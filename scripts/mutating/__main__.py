"""Change the code in small ways, and see whether a test notices each.

python -m scripts.mutating [FILE...] [--sample N --seed S] [--again] [--survivors] [--figures]
"""

import argparse
import functools
import os
import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from scripts.mutating.covering import covered
from scripts.mutating.operators import Mutant, mutants
from scripts.mutating.results import SURVIVED, Explained, Results, counted, explained, stale
from scripts.mutating.running import Outcome, Tests, cold, fork, leave, outcome, warm

ROOT = Path(__file__).parent.parent.parent
_SOURCES = ["smki/pki", "smki/gbcs", "smki/device"]
_LIKELY = 8
_LONGEST_NAME = 4096
_TESTS = ["tests/pki", "tests/gbcs", "tests/device"]


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/mutate")
    parser.add_argument("only", nargs="*", metavar="FILE", help="files or folders to change; default: all")
    parser.add_argument("--root", type=Path, default=ROOT, help="where sources and tests are")
    parser.add_argument("--sources", nargs="+", default=_SOURCES, help="folders whose files may be changed")
    parser.add_argument("--tests", nargs="+", default=_TESTS, help="folders of tests")
    parser.add_argument("--keep", type=Path, help="folder of results; default: build/mutation")
    parser.add_argument("--explained", type=Path, default=Path(__file__).parent / "equivalent.toml")
    parser.add_argument("--sample", type=int, metavar="N", help="only so many, drawn by chance")
    parser.add_argument("--seed", type=int, default=0, help="of the chance")
    parser.add_argument("--processes", type=int, default=2, help="mutants at once")
    parser.add_argument("--longest", type=float, default=2.0, metavar="SECONDS", help="leave out slower tests")
    parser.add_argument("--again", action="store_true", help="try survivors again, which new tests may kill")
    parser.add_argument("--survivors", action="store_true", help="run nothing; show what survived unexplained")
    parser.add_argument("--figures", action="store_true", help="run nothing; write docs/figures/mutation.json")
    options = parser.parse_args()
    root = options.root.resolve()
    files = [path for folder in options.sources for path in sorted((root / folder).rglob("*.py"))]
    every = [mutant for path in files for mutant in mutants(path, root)]
    keep = options.keep or root / "build" / "mutation"
    keep.mkdir(parents=True, exist_ok=True)
    results, rows = Results(keep / "results.jsonl"), explained(options.explained)
    chosen = _chosen(every, options.only, options.sample, options.seed)
    if not (options.survivors or options.figures):
        done = {None, *SURVIVED} if options.again else {None}
        waiting = [mutant for mutant in chosen if results.of(mutant) in done]
        if waiting:
            run = Run(root, files, keep, options.longest, options.processes, results, waiting)
            code = Tests(root, run.use).collect([str(root / one) for one in options.tests])
            if code:
                raise SystemExit(f"the tests cannot be collected: pytest ends with {code}")
    if options.survivors:
        _show(chosen, results, rows)
    if options.figures:
        _write(counted(every, results, rows))
    _tell(counted(chosen, results, rows))
    wrong = list(stale(rows, every, results))
    print("\n".join(wrong), end="\n" if wrong else "")
    left = any(results.of(one) in SURVIVED and not any(row.means(one) for row in rows) for one in chosen)
    return int(left or bool(wrong))


def _chosen(every: list[Mutant], only: Sequence[str], sample: int | None, seed: int) -> list[Mutant]:
    if only:
        names = [one.rstrip("/") for one in only]
        every = [one for name in names for one in every if one.file == name or one.file.startswith(f"{name}/")]
    if sample is not None:
        every = random.Random(seed).sample(every, min(sample, len(every)))  # noqa: S311 - no secret
    return every


class Run:
    """Mutants that wait, and those under way."""

    def __init__(
        self, root: Path, files: Sequence[Path], keep: Path, longest: float, at_once: int, results: Results,
        waiting: list[Mutant],
    ) -> None:  # fmt: skip
        self._root, self._files, self._keep, self._longest = root, files, keep, longest
        self._at_once, self._results, self._waiting = at_once, results, waiting
        self._running: dict[int, tuple[Mutant, int | None]] = {}
        """By child; with where it tells which test failed, if it is warm."""
        self._killers: dict[str, list[str]] = {}
        """For each file its tests that killed a mutant, the last first: they are likely to kill the next."""
        self._cold: list[Mutant] = []
        self._done = 0

    def use(self, tests: Tests) -> None:
        """All tests are collected."""
        self._tests = tests
        said = os.dup(1), os.dup(2)
        nothing = os.open(os.devnull, os.O_RDWR)
        os.dup2(nothing, 1)  # what tests and their commands say is of no use here
        os.dup2(nothing, 2)
        self._out = os.fdopen(os.dup(said[0]), "w", buffering=1)
        try:
            self._try_all()
        finally:
            os.dup2(said[0], 1)
            os.dup2(said[1], 2)

    def _try_all(self) -> None:
        self._say(f"{len(self._tests.items)} tests, {len(self._waiting)} mutants")
        self._covered = covered(self._tests, self._root, self._files, self._keep, self._at_once, self._say)
        self._begin = time.monotonic()
        while self._waiting or self._cold or self._running:
            while len(self._running) < self._at_once and (self._waiting or self._cold):
                if self._waiting:
                    self._start(self._waiting.pop(0))
                else:
                    self._start_cold(self._cold.pop(0))
            if self._running:
                self._end(*os.wait())

    def _start(self, mutant: Mutant) -> None:
        names = self._covered.of(mutant, self._longest)
        if mutant.outer is None or (not names and self._imported(mutant)):
            self._cold.append(mutant)
        elif not names:
            self._found(mutant, Outcome.UNCOVERED)
        else:
            likely = [name for name in self._killers.get(mutant.file, ()) if name in names][:_LIKELY]
            names = list(dict.fromkeys([*likely, *names]))
            items = [(self._tests.items[name], self._covered.seconds[name]) for name in names]
            here, there = os.pipe()
            work = functools.partial(warm, mutant, self._root, items, self._tests.functions, there)
            self._running[fork(work)] = mutant, here
            os.close(there)

    def _start_cold(self, mutant: Mutant) -> None:
        names = self._covered.of(mutant, self._longest)
        if mutant.outer is None or not names:
            names = self._covered.of_files({mutant.file, *self._importers(mutant)}, self._longest)
        if not names:
            self._found(mutant, Outcome.UNCOVERED)
            return
        seconds = {name: self._covered.seconds[name] for name in names}
        self._running[fork(functools.partial(cold, mutant, self._root, seconds))] = mutant, None

    def _end(self, child: int, status: int) -> None:
        mutant, here = self._running.pop(child)
        found = outcome(status)
        if here is not None:
            if name := os.read(here, _LONGEST_NAME).decode():
                known = self._killers.setdefault(mutant.file, [])
                known[:] = [name, *(one for one in known if one != name)]
            os.close(here)
        if here is not None and (found is None or (found is Outcome.SURVIVED and self._imported(mutant))):
            self._cold.append(mutant)
        elif found is None:
            raise RuntimeError(f"{mutant.file}:{mutant.lines[0]} {mutant.change} cannot be tried")
        else:
            self._found(mutant, found)

    def _imported(self, mutant: Mutant) -> bool:
        """Whether its function ran before the fork, so that what it made then is there still."""
        return mutant.outer is not None and (str(self._root / mutant.file), *mutant.outer) in self._tests.imported

    def _importers(self, mutant: Mutant) -> list[str]:
        """Files that import from the mutant's."""
        name = mutant.file.removesuffix(".py").replace("/", ".")
        package, _, last = name.rpartition(".")
        words = (f"from {name} import", f"import {name}", f"from {package} import {last}")
        return [
            path.relative_to(self._root).as_posix()
            for path in self._files
            if any(word in path.read_text(encoding="utf-8") for word in words)
        ]

    def _found(self, mutant: Mutant, found: Outcome) -> None:
        self._results.add(mutant, found)
        self._done += 1
        if self._done % 100 == 0:
            left = len(self._waiting) + len(self._cold)
            self._say(f"{self._done} done in {time.monotonic() - self._begin:.0f} s, {left} left")

    def _say(self, text: str) -> None:
        print(text, file=self._out, flush=True)


def _show(chosen: Sequence[Mutant], results: Results, rows: Sequence[Explained]) -> None:
    for mutant in chosen:
        found = results.of(mutant)
        if found in SURVIVED and not any(row.means(mutant) for row in rows):
            word = ", which no test runs" if found is Outcome.UNCOVERED else ""
            print(f"{mutant.file}:{mutant.lines[0]} {mutant.function}{word}\n- {mutant.was}\n+ {mutant.becomes}\n")


def _tell(counts: dict[str, dict[str, int]]) -> None:
    for name, one in counts.items():
        print(f"{name}: " + ", ".join(f"{number} {word}" for word, number in one.items()))


def _write(counts: dict[str, dict[str, int]]) -> None:
    from scripts.figures.machine import look
    from scripts.figures.record import record

    record(
        "mutation",
        {"packages": [{"package": name, **one} for name, one in counts.items()]},
        look("scripts/mutate --figures"),
    )


if __name__ == "__main__":
    sys.stdout.flush()
    leave(main())
