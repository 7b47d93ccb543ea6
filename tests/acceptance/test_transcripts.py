"""Every command transcript in the documents is typed again, in order, and must print what the document shows.

A `console` block holds `$ command` lines, each followed by what it prints. `...` stands for anything: inside a line,
or alone on a line for any number of lines. All blocks of one document share one folder and one shell environment.
"""

import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.postgres import shared
from tests.prefork import Prefork

ROOT = Path(__file__).parent.parent.parent
DOCUMENTS = [
    path
    for path in [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
    if "```console" in path.read_text(encoding="utf-8")
]


@dataclass
class Step:
    """One command and the lines the document says it prints."""

    line: int
    command: str
    printed: list[str] = field(default_factory=list)


def steps(document: Path) -> Iterator[Step]:
    step: Step | None = None
    inside = False
    for number, line in enumerate(document.read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("```"):
            inside = line == "```console"
            if step:
                yield step
            step = None
        elif inside and line.startswith("$ "):
            if step:
                yield step
            step = Step(number, line[2:])
        elif inside and step and not step.printed and step.command.endswith("\\"):
            step.command += "\n" + line
        elif inside and step:
            step.printed.append(line)


def pattern(lines: list[str]) -> str:
    parts = []
    for line in lines:
        if line.strip() == "...":
            parts.append(r"(?:.*\n)*?")
        else:
            words = [re.escape(word) for word in re.sub(r"\s+", " ", line.strip()).split("...")]
            parts.append(".*".join(words) + "\n")
    return "".join(parts)


def test_there_are_transcripts() -> None:
    assert len(DOCUMENTS) >= 2


@pytest.mark.parametrize(
    "document",
    [
        pytest.param(path, id=str(path.relative_to(ROOT)), marks=pytest.mark.slow(sum(1 for _ in steps(path)) / 4))
        for path in DOCUMENTS
    ],
)
def test_a_documents_commands_do_what_it_shows(document: Path, tmp_path: Path, prefork: Prefork) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    if document.name != "first-hour.md":  # its commands start as a reader's do; the others are spared their imports
        prefork.write_client(programs / "smki")
    environment = {
        "PATH": f"{programs}:{ROOT / '.venv' / 'bin'}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "COLUMNS": "120",
        "LC_ALL": "C.UTF-8",
        "SMKI_SOURCE": str(ROOT),
    }
    if "$DATABASE" in document.read_text(encoding="utf-8"):
        environment["DATABASE"] = shared().fresh()
    state = tmp_path / ".environment"
    state.write_text("")
    work = tmp_path / "work"
    work.mkdir()
    keep = f"trap '{{ export -p; declare -f; }} > {state}; pwd > {state}.pwd' EXIT"
    folder = work
    for step in steps(document):
        script = f"source {state}\n{keep}\n{step.command}\n"
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=folder, env=environment, text=True, timeout=120, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
        )  # fmt: skip
        folder = Path(Path(f"{state}.pwd").read_text(encoding="utf-8").strip())
        printed = "".join(re.sub(r"\s+", " ", line.strip()) + "\n" for line in done.stdout.splitlines())
        place = f"{document.relative_to(ROOT)}:{step.line}: {step.command}"
        fails_on_purpose = any(line.startswith("error: ") for line in step.printed)
        assert (done.returncode == 0) != fails_on_purpose, f"{place}\nexit {done.returncode}\n{done.stdout}"
        assert re.fullmatch(pattern(step.printed), printed), f"{place}\nprinted:\n{done.stdout}"
