"""What documents and hints tell people to type exists: transcripts are executed, and all else names real commands."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from scripts.references.codes import all_codes
from scripts.references.pages import DOCS
from scripts.references.tree import TOP, Member
from tests.acceptance.test_transcripts import DOCUMENTS

ROOT = DOCS.parent
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(DOCS.rglob("*.md"))]
_NAMED = re.compile(r"`(smki [^`]+)`")
_NO_COMMANDS = {"smki change of supplier 1"}  # what a file says that it is


def blocks(page: Path) -> Iterator[tuple[int, str, str]]:
    """Blocks of code: line, language, content."""
    for token in MarkdownIt("commonmark").enable("table").parse(page.read_text(encoding="utf-8")):
        if token.type in {"fence", "code_block"} and token.map is not None:
            yield token.map[0] + 1, token.info.strip(), token.content


def unknown(line: str) -> str | None:
    """What a line tells one to type and there is not."""
    words = shlex.split(re.split(r" \| | && |;", line)[0], comments=True)[1:]
    words = words[2:] if words[:1] == ["--home"] else words
    found: Member = TOP
    while words and not words[0].startswith(("-", "[")):
        below = next((one for one in found.members if one.path[-1] == words[0]), None)
        if below is None:
            return f"{found.name} {words[0]}" if found.members and words[0].islower() else _options(found, words)
        found, words = below, words[1:]
    return _options(found, words)


def _options(one: Member, words: list[str]) -> str | None:
    known = {name for option in (*one.options, *TOP.options) for name in (*option.opts, *option.secondary_opts)}
    given = [word.strip("[],.").partition("=")[0] for word in words]
    lacking = [word for word in given if re.fullmatch(r"--[a-z][a-z0-9-]*", word) and word not in known | {"--help"}]
    inner = (
        {name for below in one.walk() for option in below.options for name in option.opts} if one.members else set()
    )
    lacking = [word for word in lacking if word not in inner]
    return f"{one.name} {lacking[0]}" if lacking else None


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_page_tells_to_type_exists(page: Path) -> None:
    for line, language, content in blocks(page):
        prompts = any(one.startswith("$ ") for one in content.splitlines())
        assert not prompts or (language == "console" and page in DOCUMENTS), f"{page.name}:{line} is never executed"
        if language == "console":
            continue
        for command in re.sub(r"\\\n\s*", "", content).splitlines():
            if command.startswith("smki ") and page.parent.name != "reference":
                assert unknown(command) is None, f"{page.name}:{line}: {unknown(command)} does not exist"
    for command in _NAMED.findall(page.read_text(encoding="utf-8")):
        words = " ".join(command.split()).replace("'", "").replace('"', "")
        assert words in _NO_COMMANDS or unknown(words) is None, f"{page.name}: {unknown(words)} does not exist"


def test_what_hints_tell_to_type_exists() -> None:
    told = {command for one in all_codes() for command in _NAMED.findall(f"{one.message} {one.remedy}")}
    assert len(told) > 40
    assert {command: lacking for command in told if (lacking := unknown(command.replace("'", "")))} == {}


def test_what_examples_of_commands_show_exists() -> None:
    examples = {one.example for one in TOP.walk() if one.example.startswith("smki ")}
    assert len(examples) > 100
    assert {example: lacking for example in examples if (lacking := unknown(example))} == {}


@pytest.mark.parametrize(
    ("line", "lacking"),
    [
        ("smki hsm list", None), ("smki hsm lst", "smki hsm lst"), ("smki audit list --last 3", None),
        ("smki audit list --lats 3", "smki audit list --lats"), ("smki --home x ca tree", None),
        ("smki --home x ca tre", "smki ca tre"),
        ("smki broker quarantine list", None), ("smki ca show oca-root", None), ("smki nothing", "smki nothing"),
    ],
)  # fmt: skip
def test_what_is_not_there_is_noticed(line: str, lacking: str | None) -> None:
    assert unknown(line) == lacking
