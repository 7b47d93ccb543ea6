"""The Tab key, in a real bash: commands, options, and names of the workspace."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house import House

_ASK = """eval "$(smki completion bash)"
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_smki_completion smki
printf '%s\\n' "${COMPREPLY[@]}"
"""


def offered(line: str, home: Path, folder: Path) -> set[str]:
    """What bash offers where a line stops; it ends in a blank where a new word begins."""
    words = shlex.split(line) + ([""] if line.endswith(" ") else [])
    programs = folder / "bin"
    programs.mkdir(exist_ok=True)
    (programs / "smki").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m smki "$@"\n')
    (programs / "smki").chmod(0o755)
    typed = " ".join(shlex.quote(word) for word in words)
    environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "SMKI_HOME": str(home)}
    done = subprocess.run(
        ["bash", "--norc", "-c", f"COMP_WORDS=({typed}); {_ASK}"],
        env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stderr == ""
    return set(done.stdout.split("\n")) - {""}


@pytest.mark.slow(6)
def test_the_tab_key_knows_commands_options_and_names(standing: House, tmp_path: Path) -> None:
    standing.workspace.close()

    def after(line: str) -> set[str]:
        return offered(line, standing.home, tmp_path)

    assert after("smki con") == {"contingency"}
    assert after("smki hsm ") == {"check", "info", "list"}
    assert after("smki audit list --l") == {"--last"}
    assert {"oca-root", "oca-issuing"} == after("smki hsm check oca-")
    assert {"dca-root", "dca-issuing-1"} == after("smki ca show dca-")
    assert after("smki approve grant x --officer b") == {"bob"}
    assert after("smki org show M") == {"Meter Works"}
    assert after("smki device issue --org M") == {"Meter Works"}
    assert after("smki org add M") == set()
    assert after("smki usecase show ECS4") >= {"ECS43"}


def test_where_no_workspace_is_no_name_is_known_and_nothing_is_said(tmp_path: Path) -> None:
    assert offered("smki hsm check ", tmp_path, tmp_path) == set()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_there_is_a_script_for_every_shell(shell: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "smki", "completion", shell], capture_output=True, text=True, check=True
    )
    assert "_SMKI_COMPLETE" in done.stdout
