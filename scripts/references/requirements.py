"""The page of security requirements: each statement, where it lives, and the tests that carry its mark.

The statements stand in docs/requirements.toml. A test says which of them it proves, by a mark of its own
(`@pytest.mark.requirement("R-CTR-1")`) or of its file (`pytestmark = pytest.mark.requirement("R-CTR-1")`). Tests are
read here, and not run.
"""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from scripts.references.sources import ROOT, anchor

STATEMENTS = ROOT / "docs" / "requirements.toml"
TESTS = ROOT / "tests"
MARK = "requirement"
_NEEDS = {"vectors": "with the vectors", "postgresql": "with PostgreSQL"}
"""Marks of tests that are left out where something is not there."""


class Statement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One sentence that can be checked."""

    id: str
    says: str
    where: tuple[str, ...]


class Group(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is asked for, and the statements that it comes to."""

    title: str
    about: str
    source: str
    statement: tuple[Statement, ...]


class Unmet(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is asked for, and not done."""

    what: str
    why: str


class Requirements(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """docs/requirements.toml."""

    group: tuple[Group, ...]
    unmet: tuple[Unmet, ...]

    @property
    def statements(self) -> tuple[Statement, ...]:
        return tuple(one for group in self.group for one in group.statement)


@dataclass(frozen=True, order=True)
class Proof:
    """A test that carries a statement's mark. Without a name it is all tests of the file."""

    file: str
    name: str
    needs: tuple[str, ...]
    """Without these it is left out."""

    @property
    def words(self) -> str:
        needs = f" ({', '.join(self.needs)})" if self.needs else ""
        return f"`{self.name or 'all'}` in {self.file}{needs}"


def read() -> Requirements:
    return msgspec.toml.decode(STATEMENTS.read_bytes(), type=Requirements)


def proofs(folder: Path = TESTS) -> dict[str, list[Proof]]:
    """The tests that prove each statement, by its id."""
    found: dict[str, list[Proof]] = {}
    for path in sorted(folder.rglob("test_*.py")):
        text = path.read_text(encoding="utf-8")
        if MARK in text:
            for identifier, proof in _marks(ast.parse(text), path.relative_to(folder).as_posix()):
                found.setdefault(identifier, []).append(proof)
    return found


def _marks(tree: ast.Module, file: str) -> Iterator[tuple[str, Proof]]:
    calls = {id(node): node for node in ast.walk(tree) if isinstance(node, ast.Call) and _is_mark(node)}
    marked = [_marked(node) for node in tree.body]
    everywhere = {mark for name, marks in marked if not name for mark in _names(marks)}
    for name, marks in marked:
        needs = tuple(words for mark, words in _NEEDS.items() if mark in everywhere | _names(marks))
        for mark in marks:
            call = calls.pop(id(mark), None)
            for argument in call.args if call else ():
                yield ast.literal_eval(argument), Proof(file, name, needs)
    if calls:
        raise ValueError(f"{file}:{min(call.lineno for call in calls.values())}: no test carries this mark")


def _marked(node: ast.stmt) -> tuple[str, list[ast.expr]]:
    if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
        return node.name, node.decorator_list
    if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark":
        return "", node.value.elts if isinstance(node.value, ast.List) else [node.value]
    return "", []


def _names(marks: list[ast.expr]) -> set[str]:
    return {mark.attr for mark in map(_named, marks) if mark is not None}


def _named(node: ast.expr) -> ast.Attribute | None:
    """`pytest.mark.NAME`, called or not."""
    inner = node.func if isinstance(node, ast.Call) else node
    return inner if isinstance(inner, ast.Attribute) and ast.unparse(inner.value) == "pytest.mark" else None


def _is_mark(node: ast.Call) -> bool:
    found = _named(node)
    return found is not None and found.attr == MARK


def faults(asked: Requirements, proven: Mapping[str, list[Proof]], root: Path = ROOT) -> Iterator[str]:
    """What is wrong between the statements, the source and the tests."""
    known = [one.id for one in asked.statements]
    yield from (f"{one} is stated twice" for one in sorted({one for one in known if known.count(one) > 1}))
    yield from (
        f"{one} is no statement, and {proven[one][0].words} proves it" for one in sorted(proven.keys() - known)
    )
    for one in asked.statements:
        yield from (
            f"{one.id} lives in {place}, which is not there" for place in one.where if not (root / place).exists()
        )
        if not proven.get(one.id):
            yield f"no test proves {one.id}"


_HEAD = """# Requirements

Written by `scripts/reference` from `requirements.toml` and the marks of the tests; a test fails when it is stale.

What the technical architecture of smart metering asks for in security, broken into statements that can be checked.
Each is true of this tree, says where it lives, and names the tests that prove it: `scripts/test -m requirement` runs
them; those *with the vectors* need the published test data in the folder that `SMKI_VECTORS` names. What is defended
against whom is in [SECURITY](../SECURITY.md).

Sources: T is the GB Smart Metering End to End Technical Architecture, G8 is GBCS, SEC-G the Smart Energy Code's
glossary, SRP the SMKI Recovery Procedure, CoCo the SMKI Code of Connection, CP a certificate policy, RTDS the
reference test data, ZAZ1 a published test hierarchy, D-M the matrix of service requests. The letter says how well
each is known: V verified on published octets, S stated in a text that was read, M in a table that was read, D
deduced, R recollection of texts that could not be read: those stand in policy files here, and not in code.
"""


def page() -> str:
    asked, proven = read(), proofs()
    parts = [_HEAD, _summary(asked)]
    parts += [_group(group, proven) for group in asked.group]
    rows = [f"| {one.what} | {one.why} |" for one in asked.unmet]
    parts.append("\n".join(["## Not met", "", "| asked for | as it is |", "|---|---|", *rows, ""]))
    return "\n".join(parts)


def _summary(asked: Requirements) -> str:
    rows = [f"| [{one.title}](#{anchor(one.title)}) | {len(one.statement)} | {one.source} |" for one in asked.group]
    total = f"| together | {len(asked.statements)} | |"
    return "\n".join(["| | statements | source |", "|---|---|---|", *rows, total, ""])


def _group(group: Group, proven: Mapping[str, list[Proof]]) -> str:
    lines = [f"## {group.title}", "", group.about, ""]
    lines += ["| | statement | lives in | shown by |", "|---|---|---|---|"]
    for one in group.statement:
        where = "<br>".join(f"`{place}`" for place in one.where)
        tests = "<br>".join(proof.words for proof in sorted(proven.get(one.id, [])))
        lines.append(f"| {one.id} | {one.says} | {where} | {tests} |")
    return "\n".join([*lines, ""])
