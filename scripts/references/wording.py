"""The text an expression gives, as far as it stands in the source; what varies from case to case is an ellipsis."""

import ast
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from scripts.references.scopes import Function
from scripts.references.sources import tree_of

VARIES = "…"
_MOST = 24  # texts of one expression: more are told as what varies


@dataclass(frozen=True)
class Place:
    """A function, or a module's own level."""

    path: Path
    node: Function | None

    @property
    def parameters(self) -> frozenset[str]:
        if self.node is None:
            return frozenset()
        given = self.node.args
        return frozenset(one.arg for one in (*given.posonlyargs, *given.args, *given.kwonlyargs))


Free = frozenset[tuple[Place, str]]


@dataclass(frozen=True)
class Context:
    """What parameters are in the calls that were followed."""

    given: Mapping[tuple[Place, str], tuple[ast.expr, Place]] = field(default_factory=dict)

    def with_call(self, place: Place, given: Mapping[str, tuple[ast.expr, Place]]) -> "Context":
        return Context({**self.given, **{(place, name): value for name, value in given.items()}})

    def bound(self, value: ast.expr, place: Place) -> ast.expr:
        """What an expression is, if it is but a parameter."""
        while isinstance(value, ast.Name) and (place, value.id) in self.given:
            value, place = self.given[place, value.id]
        return value


@dataclass(frozen=True)
class Said:
    """What an expression may say, and on which parameters it depends still."""

    texts: tuple[str, ...]
    free: Free = frozenset()


class Words:
    """Reads expressions in one context."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._asked: set[tuple[Place, str]] = set()

    def all(self, value: ast.expr, place: Place) -> Said:
        match value:
            case ast.Constant(value=str(text)):
                return Said((text,))
            case ast.JoinedStr(values=parts):
                return self._joined(parts, place)
            case ast.FormattedValue(value=inner, format_spec=None, conversion=-1):
                return self.all(inner, place)
            case ast.BinOp(op=ast.Add(), left=left, right=right):
                return self._joined([left, right], place)
            case ast.IfExp(body=left, orelse=right):
                return _either([self.all(left, place), self.all(right, place)])
            case ast.BoolOp(values=several):
                return _either([self.all(one, place) for one in several])
            case ast.Name(id=name):
                return self._named(name, place)
            case ast.Subscript(value=ast.Name(id=table), slice=key):
                return self._looked_up(table, key, place)
            case ast.Call(func=ast.Attribute(value=ast.Name(id=table), attr="get"), args=[key, *other]):
                found = self._looked_up(table, key, place)
                return _either([found, *(self.all(one, place) for one in other)])
            case _:
                return Said((VARIES,))

    def _joined(self, parts: Iterable[ast.expr], place: Place) -> Said:
        texts, free = [""], frozenset[tuple[Place, str]]()
        for part in parts:
            said = self.all(part, place)
            free |= said.free
            texts = [one + other for one in texts for other in said.texts] if said.texts else texts
            if len(texts) > _MOST:
                texts = [one + VARIES for one in dict.fromkeys(text.split(VARIES)[0] for text in texts)][:1]
        return Said(tuple(dict.fromkeys(texts)), free)

    def _named(self, name: str, place: Place) -> Said:
        if (place, name) in self._asked:
            return Said((VARIES,))
        self._asked.add((place, name))
        try:
            if (given := self._context.given.get((place, name))) is not None:
                return self.all(*given)
            if name in place.parameters:
                return Said((VARIES,), frozenset({(place, name)}))
            return self._assigned(name, place)
        finally:
            self._asked.discard((place, name))

    def _assigned(self, name: str, place: Place) -> Said:
        """A local variable, or a constant of the module or of one it comes from."""
        homes: tuple[tuple[ast.AST | None, Place], ...]
        homes = ((place.node, place), (tree_of(place.path), Place(place.path, None)))
        for home, where in homes:
            if home is not None and (values := list(_values(home, name, deep=where is place, tables=place.path))):
                return _either([self.all(value, where) for value in values])
        for node in tree_of(place.path).body:
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("smki."):
                for one in node.names:
                    if (one.asname or one.name) == name:
                        source = _path_of(node.module or "", place.path)
                        if source is not None and (values := list(_values(tree_of(source), one.name, deep=False))):
                            return _either([self.all(value, Place(source, None)) for value in values])
        return Said((VARIES,))

    def _looked_up(self, table: str, key: ast.expr, place: Place) -> Said:
        rows = next(
            (one for one in _values(tree_of(place.path), table, deep=False) if isinstance(one, ast.Dict)), None
        )
        if rows is None:
            return Said((VARIES,))
        asked = self.all(key, place)
        home = Place(place.path, None)
        known = {
            text: value
            for one, value in zip(rows.keys, rows.values, strict=True)
            if one is not None
            for text in self.all(one, home).texts
        }
        values = [known[text] for text in asked.texts if text in known] or list(known.values())
        return Said(_either([self.all(value, home) for value in values]).texts, asked.free)


def _values(node: ast.AST, name: str, *, deep: bool, tables: Path | None = None) -> Iterable[ast.expr]:
    """What a name is made to be: anywhere in a function, or at a module's own level."""
    for one in ast.walk(node) if deep else ast.iter_child_nodes(node):
        match one:
            case ast.Assign(targets=[ast.Name(id=target)], value=value) if target == name:
                yield value
            case ast.Assign(targets=[ast.Tuple(elts=targets)], value=value):
                yield from _unpacked(targets, [value], name)
            case ast.AnnAssign(target=ast.Name(id=target), value=value) if target == name and value is not None:
                yield value
            case ast.NamedExpr(target=ast.Name(id=target), value=value) if target == name:
                yield value
            case ast.For(target=ast.Tuple(elts=targets), iter=ast.Tuple(elts=rows) | ast.List(elts=rows)) | (
                ast.comprehension(target=ast.Tuple(elts=targets), iter=ast.Tuple(elts=rows) | ast.List(elts=rows))
            ):
                yield from _unpacked(targets, rows, name)
            case ast.For(target=ast.Name(id=target), iter=ast.Tuple(elts=rows)) if target == name:
                yield from rows
            case ast.For(target=ast.Tuple(elts=targets), iter=ast.Name(id=table)) if tables is not None:
                for rows_ in _values(tree_of(tables), table, deep=False):
                    yield from _unpacked(targets, getattr(rows_, "elts", []), name)
            case _:
                pass


def _unpacked(targets: list[ast.expr], rows: list[ast.expr], name: str) -> Iterable[ast.expr]:
    names = [one.id if isinstance(one, ast.Name) else "" for one in targets]
    for row in rows:
        for each in (row.body, row.orelse) if isinstance(row, ast.IfExp) else (row,):
            if name in names and isinstance(each, ast.Tuple) and len(each.elts) == len(names):
                yield each.elts[names.index(name)]


def _path_of(module: str, beside: Path) -> Path | None:
    root = next(one for one in beside.parents if one.name == "smki").parent
    path = root.joinpath(*module.split("."))
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


def _either(several: list[Said]) -> Said:
    texts = dict.fromkeys(text for one in several for text in one.texts)
    if len(texts) > 1 and VARIES in texts:
        del texts[VARIES]
    return Said(tuple(texts)[:_MOST], frozenset().union(*(one.free for one in several)))
