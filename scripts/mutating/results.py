"""What is known of mutants: results that are kept from run to run, and survivors that somebody explained."""

import json
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.mutating.operators import Mutant
from scripts.mutating.running import Outcome

Key = tuple[str, str, str, str]


class Results:
    """One line a result, in a file: a run goes on where another stopped."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[Key, Outcome] = {}
        if path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                *key, outcome = json.loads(line)
                self._known[(key[0], key[1], key[2], key[3])] = Outcome(outcome)

    def of(self, mutant: Mutant) -> Outcome | None:
        return self._known.get(_key(mutant))

    def add(self, mutant: Mutant, outcome: Outcome) -> None:
        self._known[_key(mutant)] = outcome
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps([*_key(mutant), outcome]) + "\n")


def _key(mutant: Mutant) -> Key:
    return mutant.file, mutant.function, f"{mutant.change} {mutant.column} {mutant.number}", mutant.digest


@dataclass(frozen=True, slots=True)
class Explained:
    """A change of which somebody says why no test can notice it."""

    file: str
    function: str
    was: str
    becomes: str
    why: str

    def means(self, mutant: Mutant) -> bool:
        mine = (self.file, self.function, self.was, self.becomes)
        return mine == (mutant.file, mutant.function, mutant.was, mutant.becomes)

    def __str__(self) -> str:
        return f"{self.file}: {self.function}: {self.was} -> {self.becomes}"


def explained(path: Path) -> list[Explained]:
    """Several changes of one line may have one reason."""
    rows = tomllib.loads(path.read_text(encoding="utf-8")).get("survivor", []) if path.exists() else []
    return [Explained(**{**row, "becomes": one}) for row in rows for one in row["becomes"]]


def stale(rows: Iterable[Explained], mutants: Sequence[Mutant], results: Results) -> Iterator[str]:
    """Explanations of what is no mutant, or is killed."""
    for row in rows:
        meant = [results.of(mutant) for mutant in mutants if row.means(mutant)]
        if not meant:
            yield f"{row}: explained, and no such mutant"
        elif all(one in {Outcome.KILLED, Outcome.TIMEOUT} for one in meant):
            yield f"{row}: explained, and a test kills it"


SURVIVED = frozenset({Outcome.SURVIVED, Outcome.UNCOVERED})


def counted(mutants: Sequence[Mutant], results: Results, rows: Sequence[Explained]) -> dict[str, dict[str, int]]:
    """By package, and of all: how many mutants there are, were run, and how they ended."""
    names = sorted({_package(mutant.file) for mutant in mutants})
    counts = {
        name: dict.fromkeys(("mutants", "run", "killed", "survived", "explained"), 0) for name in [*names, "all"]
    }
    for mutant in mutants:
        for one in (counts[_package(mutant.file)], counts["all"]):
            one["mutants"] += 1
            found = results.of(mutant)
            one["run"] += found is not None
            one["killed"] += found is not None and found not in SURVIVED
            if found in SURVIVED:
                one["explained" if any(row.means(mutant) for row in rows) else "survived"] += 1
    return counts


def _package(file: str) -> str:
    return "/".join(file.split("/")[:2])
