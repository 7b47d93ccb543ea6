"""The reference pages are what the code says, and leave nothing out."""

import json
import shutil
import subprocess

import click
import pytest

from scripts.references.files import POLICIES, documented, readers
from scripts.references.pages import DOCS, PAGES, manuals, stale_files
from scripts.references.shapes import UNKNOWN, Shape, keys_of
from scripts.references.tree import TASKS, TOP, Member
from smki.authority.workspace import SHIPPED
from tests.cli.typing_hand import typing_in
from tests.house import House

COMMANDS = {one.name: one for one in TOP.walk() if one.path}


@pytest.mark.parametrize("page", sorted(PAGES))
def test_a_page_is_what_the_code_says(page: str) -> None:
    assert (DOCS / page).read_text(encoding="utf-8") == PAGES[page](), "run scripts/reference"


def test_manuals_are_what_the_commands_say() -> None:
    written = {f"man/{path.name}": path.read_text(encoding="utf-8") for path in (DOCS / "man").iterdir()}
    assert written == manuals(), "run scripts/reference"


def test_manuals_tell_every_command_and_option() -> None:
    for one in COMMANDS.values():
        if not one.members:
            words = (DOCS / "man" / f"smki-{one.path[0]}.1").read_text(encoding="utf-8").replace("\\-", "-")
            assert f"\\fB{one.name}\\fR" in words
            for option in one.options:
                assert option.opts[-1] in words, f"{one.name} {option.name}"


@pytest.mark.skipif(shutil.which("groff") is None, reason="this machine has no groff")
def test_manuals_are_without_a_mistake_in_their_form() -> None:
    for path in (DOCS / "man").iterdir():
        done = subprocess.run(
            ["groff", "-man", "-Tutf8", "-ww", "-z", path], capture_output=True, text=True, check=True
        )
        assert done.stderr == "", path.name


def test_no_page_is_left_of_what_is_no_more() -> None:
    assert stale_files() == []


def test_every_class_that_reads_a_file_is_documented() -> None:
    lent = {base for kind in documented() for base in kind.__mro__}
    assert [kind for kind in readers() if kind not in documented() | lent] == []


def test_every_policy_that_is_shipped_is_documented() -> None:
    told = {name for file in POLICIES for name in file.name.split(", ")}
    shipped = {path.name for path in (SHIPPED / "policies").glob("*.toml")} - {
        "workspace.toml",
        "workspace-user.toml",
    }
    assert shipped <= told


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_a_command_stands_in_the_reference_with_help_and_an_example(name: str) -> None:
    one = COMMANDS[name]
    assert one.paragraphs
    assert one.example.startswith(("smki ", "eval ")), one.example
    assert f"smki {one.path[0]}" in one.example
    page = (DOCS / "reference" / "commands.md").read_text(encoding="utf-8")
    assert f"# {name}\n" in page
    for option in [] if one.members else one.options:
        assert option.help, option.name


def test_every_command_stands_under_one_task() -> None:
    nouns = [noun for task in TASKS.values() for noun in task]
    assert sorted(nouns) == sorted(one.path[0] for one in TOP.members)


SPOKEN = (
    "ca tree", "ca show oca-root", "audit list", "audit verify", "hsm list", "hsm info audit", "officer list",
    "org list", "cert find", "usecase show 0x0050", "store verify", "crl schedule", "approve list", "inventory list",
    "ocsp show", "broker thresholds show", "broker quarantine list", "credentials orders", "cos report",
)  # fmt: skip


def test_what_commands_print_as_json_has_the_keys_that_are_told(
    standing: House, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    standing.workspace.close()
    type_ = typing_in(standing.home, capsys, monkeypatch)
    for words in SPOKEN:
        code, printed, complaint = type_(*words.split(), "--json")
        assert code in {0, 1}, f"{words}: {complaint}"
        shape = keys_of(_named(words.split()))
        for document in _documents(printed):
            _hold(document, shape, words)


def _named(words: list[str]) -> Member:
    found = TOP
    for word in words:
        found = next((one for one in found.members if one.path[-1] == word), found)
    assert not isinstance(found.command, click.Group)
    return found


def _documents(printed: str) -> list[object]:
    try:
        return [json.loads(printed)]
    except ValueError:
        return [json.loads(line) for line in printed.splitlines()]


def _hold(value: object, shape: Shape, where: str) -> None:
    """Every key that is printed is told; what is told as `...` may be anything."""
    if isinstance(value, list) and isinstance(shape, list):
        for one in value:
            _hold(one, shape[0], where)
    if isinstance(value, dict) and not isinstance(shape, str | list) and UNKNOWN not in shape and "NAME" not in shape:
        assert set(value) <= set(shape), where
        for key, one in value.items():
            _hold(one, shape[key], f"{where}: {key}")


def test_what_is_not_told_of_json_is_little() -> None:
    asked = [one for one in COMMANDS.values() if any(option.name == "as_json" for option in one.options)]
    assert len(asked) > 60
    assert [one.name for one in asked if keys_of(one) == UNKNOWN] == []
