"""The mutants of a file: small changes of its text, each of which a test should notice.

Not changed: annotations, docstrings, decorators, imports, asserts, `__repr__`, and what is said to people (text with
a space in it, and f-strings).
"""

import ast
import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path

_COMPARED: dict[type[ast.cmpop], str] = {
    ast.Lt: "<=", ast.LtE: "<", ast.Gt: ">=", ast.GtE: ">", ast.Eq: "!=", ast.NotEq: "==",
    ast.Is: "is not", ast.IsNot: "is", ast.In: "not in", ast.NotIn: "in",
}  # fmt: skip
_SIGNS: dict[type[ast.cmpop], str] = {
    ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!=",
    ast.Is: "is", ast.IsNot: "is not", ast.In: "in", ast.NotIn: "not in",
}  # fmt: skip
_COMPUTED: dict[type[ast.operator], str] = {
    ast.Add: "-", ast.Sub: "+", ast.Mult: "//", ast.FloorDiv: "*", ast.Mod: "//",
    ast.LShift: ">>", ast.RShift: "<<", ast.BitAnd: "|", ast.BitOr: "&",
}  # fmt: skip
_CALLED = {"any": "all", "all": "any", "min": "max", "max": "min"}
_UNSEEN = (ast.Assert, ast.Import, ast.ImportFrom, ast.JoinedStr, ast.Global, ast.Nonlocal)


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change of a file's octets from `start` to `end`."""

    file: str
    function: str
    """Dotted, as in __qualname__; empty: the module's own code."""
    outer: tuple[str, int] | None
    """The outermost function around it, by name and first line; None: it runs when the module is imported."""
    lines: tuple[int, int]
    """Of the statement; tests that run one of them may notice."""
    head: int
    """Where its first line begins."""
    start: int
    end: int
    text: str
    was: str
    becomes: str
    digest: str
    """Of the function's text: a result holds as long as that stays."""
    number: int = 0
    """Among changes of its function that look the same."""

    @property
    def change(self) -> str:
        return f"{self.was} -> {self.becomes}"

    @property
    def column(self) -> int:
        return self.start - self.head

    def applied(self, source: bytes) -> bytes:
        return source[: self.start] + self.text.encode() + source[self.end :]


def mutants(path: Path, root: Path) -> list[Mutant]:
    """In the order of the text, each change once."""
    finder = _Finder(path.read_bytes(), path.relative_to(root).as_posix())
    finder.visit(ast.parse(finder.source))
    seen: Counter[tuple[str, ...]] = Counter()
    found = []
    for one in dict.fromkeys(sorted(finder.found, key=lambda one: (one.start, one.end, one.text))):
        key = one.function, one.change, str(one.column)
        found.append(replace(one, number=seen[key]))
        seen[key] += 1
    return found


class _Finder(ast.NodeVisitor):
    def __init__(self, source: bytes, file: str) -> None:
        self.source, self.file = source, file
        self.found: list[Mutant] = []
        lines = source.splitlines(keepends=True)
        self._starts = [0, *accumulate(map(len, lines))]
        self._names: list[str] = []
        self._outer: tuple[str, int] | None = None
        self._body: list[ast.stmt] = []
        self._digest = ""
        self._conditions: set[ast.expr] = set()
        self._lines = (1, 1)

    def visit(self, node: ast.AST) -> None:
        if isinstance(node, _UNSEEN):
            return
        if isinstance(node, ast.stmt):
            with self._at(node):
                self._statement(node)
                super().visit(node)
            return
        if isinstance(node, ast.expr):
            # Never and always say more of a condition than its opposite.
            opposite = node in self._conditions and (isinstance(node, ast.UnaryOp) or _is_equality(node))
            for text in () if opposite else _expressions(node):
                self._add(node, text)
        super().visit(node)

    @contextmanager
    def _at(self, node: ast.stmt) -> Iterator[None]:
        before = self._lines
        body = getattr(node, "body", None)
        last = body[0].lineno - 1 if isinstance(body, list) and body else node.end_lineno
        self._lines = (node.lineno, max(node.lineno, last or node.lineno))
        yield
        self._lines = before

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._names.append(node.name)
        for one in node.body:
            self.visit(one)
        self._names.pop()

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        for default in (*node.args.defaults, *node.args.kw_defaults):
            if default is not None:
                self.visit(default)
        if node.name == "__repr__":
            return
        before = self._outer, self._body, self._digest
        self._names.append(node.name)
        first = min([node.lineno, *(one.lineno for one in node.decorator_list)])
        self._outer, self._body, self._digest = before[0] or (node.name, first), node.body, _digest(ast.unparse(node))
        for one in node.body:
            self.visit(one)
        self._names.pop()
        self._outer, self._body, self._digest = before

    def visit_Assign(self, node: ast.Assign) -> None:
        if ast.unparse(node.targets[0]) not in {"__all__", "__slots__"}:
            self.visit(node.value)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)

    def visit_If(self, node: ast.If) -> None:
        if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            return
        self._condition(node.test, "False", "True")
        self.generic_visit(node)

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self._condition(node.test, "False", "True")
        self.generic_visit(node)

    def visit_While(self, node: ast.While) -> None:
        self._condition(node.test, "False")
        self.generic_visit(node)

    def visit_comprehension(self, node: ast.comprehension) -> None:
        for test in node.ifs:
            self._condition(test, "False", "True")
        self.generic_visit(node)

    def visit_Slice(self, node: ast.Slice) -> None:
        for bound in (node.lower, node.upper):
            if bound is not None:
                self._add(bound, "")
        self.generic_visit(node)

    def visit_Expr(self, node: ast.Expr) -> None:
        if not isinstance(node.value, ast.Constant):  # a docstring
            self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> None:
        """Of what is raised only its first argument counts: the others are said to people."""
        if isinstance(node.exc, ast.Call):
            for one in node.exc.args[:1]:
                self.visit(one)

    def _statement(self, node: ast.stmt) -> None:
        checks = isinstance(node, ast.Expr) and isinstance(node.value, ast.Call | ast.Yield | ast.YieldFrom)
        idle = _says_nothing(node) and _is_last(node, self._body)
        early = isinstance(node, ast.Return) and node is not self._body[-1] and not idle
        if checks or early or isinstance(node, ast.Raise | ast.AugAssign | ast.Continue | ast.Break):
            self._add(node, "pass")

    def _condition(self, test: ast.expr, *texts: str) -> None:
        self._conditions.add(test)
        for text in texts:
            if not isinstance(test, ast.Constant):
                self._add(test, text)

    def _add(self, node: ast.expr | ast.stmt, text: str) -> None:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        start = self._starts[node.lineno - 1] + node.col_offset
        end = self._starts[node.end_lineno - 1] + node.end_col_offset
        head, tail = self._starts[node.lineno - 1], self._starts[node.end_lineno]
        was = self.source[head:tail]
        becomes = self.source[head:start] + text.encode() + self.source[end:tail]
        digest = self._digest or _digest(_one(was))
        self.found.append(
            Mutant(
                self.file, ".".join(self._names), self._outer, self._lines, head, start, end, text, _one(was),
                _one(becomes), digest,
            )
        )  # fmt: skip


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _one(text: bytes) -> str:
    return " ".join(text.decode().split())


def _expressions(node: ast.expr) -> Iterator[str]:
    """What could stand in an expression's place."""
    match node:
        case ast.Constant(value=value):
            yield from _constants(value)
        case ast.Compare():
            yield from _comparisons(node)
        case ast.BoolOp():
            yield from _conjunctions(node)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield _text(operand)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _COMPUTED:
            yield f"({_text(left)} {_COMPUTED[type(op)]} {_text(right)})"
        case ast.Call(func=ast.Name(id=name)) if name in _CALLED:
            yield _CALLED[name] + ast.unparse(node).removeprefix(name)
        case ast.Set() | ast.Dict():
            yield from _collections(node)


def _conjunctions(node: ast.BoolOp) -> Iterator[str]:
    """The other word between them, and each condition left out."""
    sign, other = (" and ", " or ") if isinstance(node.op, ast.And) else (" or ", " and ")
    sides = [_text(one) for one in node.values]
    yield f"({other.join(sides)})"
    for number in range(len(sides)):
        yield f"({sign.join(sides[:number] + sides[number + 1 :])})"


def _collections(node: ast.Set | ast.Dict) -> Iterator[str]:
    """Each element left out."""
    match node:
        case ast.Set(elts=items) if len(items) > 1:
            for number in range(len(items)):
                yield "{" + ", ".join(map(ast.unparse, items[:number] + items[number + 1 :])) + "}"
        case ast.Dict(keys=keys, values=values):
            for number in range(len(keys)):
                yield ast.unparse(
                    ast.Dict(keys[:number] + keys[number + 1 :], values[:number] + values[number + 1 :])
                )


def _constants(value: object) -> Iterator[str]:
    match value:
        case bool():
            yield str(not value)
        case int():
            yield str(value + 1)
            yield f"({value - 1})" if value < 1 else str(value - 1)
        case str() if value and " " not in value:
            yield '""'
        case bytes() if value:
            yield 'b""'


def _says_nothing(node: ast.stmt) -> bool:
    value = node.value if isinstance(node, ast.Return) else None
    return value is None or (isinstance(value, ast.Constant) and value.value is None)


def _is_last(node: ast.stmt, body: Sequence[ast.stmt]) -> bool:
    """Whether nothing runs after it."""
    last = body[-1] if body else None
    if isinstance(last, ast.If):
        return _is_last(node, last.body) or _is_last(node, last.orelse)
    if isinstance(last, ast.Try) and not last.finalbody:
        return any(_is_last(node, one) for one in (last.orelse or last.body, *(one.body for one in last.handlers)))
    return node is last


def _is_equality(node: ast.expr) -> bool:
    both = (ast.Eq, ast.NotEq, ast.Is, ast.IsNot, ast.In, ast.NotIn)
    return isinstance(node, ast.Compare) and len(node.ops) == 1 and isinstance(node.ops[0], both)


def _comparisons(node: ast.Compare) -> Iterator[str]:
    sides = [_text(one) for one in (node.left, *node.comparators)]
    for changed in range(len(node.ops)):
        signs = [(_COMPARED if number == changed else _SIGNS)[type(op)] for number, op in enumerate(node.ops)]
        yield "(" + sides[0] + "".join(f" {sign} {side}" for sign, side in zip(signs, sides[1:], strict=True)) + ")"


def _text(node: ast.expr) -> str:
    plain = isinstance(node, ast.Name | ast.Constant | ast.Call | ast.Attribute | ast.Subscript)
    return ast.unparse(node) if plain else f"({ast.unparse(node)})"
