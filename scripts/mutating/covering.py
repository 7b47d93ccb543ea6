"""Which tests run which lines, and how long each takes: recorded once, and again for what has changed."""

import functools
import gc
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import coverage

from scripts.mutating.operators import Mutant
from scripts.mutating.running import Tests, fork, run


@dataclass
class Covered:
    """For each test the lines it runs, and its seconds."""

    seconds: dict[str, float] = field(default_factory=dict)
    _tests: dict[tuple[str, int], set[str]] = field(default_factory=dict)
    _whole: dict[str, set[str]] = field(default_factory=dict)

    def add(self, test: str, seconds: float, lines: dict[str, list[int]]) -> None:
        self.seconds[test] = seconds
        for file, numbers in lines.items():
            self._whole.setdefault(file, set()).add(test)
            for number in numbers:
                self._tests.setdefault((file, number), set()).add(test)

    def of(self, mutant: Mutant, longest: float) -> list[str]:
        """The tests that run its statement, quickest first; for a module's own code, those that run its functions."""
        first, last = mutant.lines
        found: set[str] = set()
        if mutant.outer is None:
            found |= self._whole.get(mutant.file, set())
        for number in range(first, last + 1):
            found |= self._tests.get((mutant.file, number), set())
        return sorted((one for one in found if self.seconds[one] <= longest), key=lambda one: self.seconds[one])

    def of_files(self, files: Iterable[str], longest: float) -> list[str]:
        found = {one for file in files for one in self._whole.get(file, set())}
        return sorted((one for one in found if self.seconds[one] <= longest), key=lambda one: self.seconds[one])


def covered(
    tests: Tests, root: Path, sources: Sequence[Path], keep: Path, at_once: int, say: Callable[[str], None]
) -> Covered:
    """What is recorded, after recording what is not."""
    files: dict[str, list[str]] = {}
    for name in tests.items:
        files.setdefault(name.partition("::")[0], []).append(name)
    records = {file: keep / f"{file.replace('/', '-')}.json" for file in files}
    waiting = [file for file, names in files.items() if not _is_recorded(records[file], root, file, names)]
    say(f"{len(waiting)} of {len(files)} files of tests to record")
    running: set[int] = set()
    while waiting or running:
        while waiting and len(running) < at_once:
            file = waiting.pop(0)
            running.add(fork(functools.partial(_record, tests, files[file], sources, records[file], root)))
        child, status = os.wait()
        running.remove(child)
        if status != 0:
            raise SystemExit("tests cannot be recorded")
    found = Covered()
    for path in records.values():
        for name, one in json.loads(path.read_text())["tests"].items():
            if one["seconds"] is None:
                say(f"{name} fails on the unchanged code, and is left out")
            else:
                found.add(name, one["seconds"], one["lines"])
    return found


def _is_recorded(path: Path, root: Path, file: str, names: list[str]) -> bool:
    record = json.loads(path.read_text()) if path.exists() else None
    return record is not None and record["names"] == names and record["key"] == _key(root, file, record["tests"])


def _key(root: Path, file: str, record: dict[str, Any]) -> str:
    """Changes with a test file, what stands beside it, and each source that it runs."""
    ran = {name for one in record.values() for name in one["lines"]}
    beside = {path for path in (root / file).parent.glob("*.py") if not path.name.startswith("test_")}
    whole = hashlib.sha256()
    for path in sorted({root / file, *beside, *(root / name for name in ran)}):
        whole.update(path.read_bytes() if path.exists() else b"")
    return whole.hexdigest()


def _record(tests: Tests, names: list[str], sources: Sequence[Path], path: Path, root: Path) -> int:
    """In a child. Nothing made for one test is there for the next: each has all the lines it needs."""
    measure = coverage.Coverage(data_file=None, config_file=False, include=[str(one) for one in sources])
    seconds: dict[str, float | None] = {}
    caches = _caches(root)
    for name in names:
        for cache in caches:
            cache.cache_clear()
        measure.start()
        measure.switch_context(name)
        before = time.process_time()
        passed = run(tests.items[name])
        seconds[name] = time.process_time() - before if passed else None
        measure.stop()
    data = measure.get_data()
    lines: dict[str, dict[str, list[int]]] = {name: {} for name in names}
    for file in data.measured_files():
        for number, contexts in data.contexts_by_lineno(file).items():
            for name in contexts:
                if name in lines:
                    lines[name].setdefault(Path(file).relative_to(root).as_posix(), []).append(number)
    found = {name: {"seconds": seconds[name], "lines": lines[name]} for name in names}
    new = path.with_suffix(".new")
    new.write_text(
        json.dumps({"key": _key(root, names[0].partition("::")[0], found), "names": names, "tests": found})
    )
    new.replace(path)
    return 0


def _caches(root: Path) -> list[Any]:
    """The caches of the code and of its tests; not those of tests that hold what was made while collecting."""
    found = []
    for one in gc.get_objects():
        if isinstance(one, functools._lru_cache_wrapper):
            file = getattr(getattr(one.__wrapped__, "__code__", None), "co_filename", "")
            its_tests = Path(file).is_relative_to(root / "tests")
            if Path(file).is_relative_to(root) and not (its_tests and one.cache_info().currsize):
                found.append(one)
    return found
