"""Which keys a command's JSON has, read off the source: what it gives `emit`, followed to where that is put together.

It is no proof of a type: what cannot be followed is told as `...`, and a test holds real output against it.
"""

import ast
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from scripts.references.scopes import Found, Function, Kind, Source, annotated, fields, look_up, member
from scripts.references.tree import Member

_DEEPEST = 12
_SAME = {"list", "sorted", "tuple", "dict", "reversed"}
Shape = Mapping[str, "Shape"] | list["Shape"] | str
PLAIN, UNKNOWN = "", "..."
T = TypeVar("T")


def shape_of(one: Member) -> str:
    """In one line of code: `{lists: [{authority, number}]}`."""
    return f"`{_written(keys_of(one))}`"


def keys_of(one: Member) -> Shape:
    """What the JSON of a command looks like."""
    function = inspect.unwrap(one.command.callback) if one.command.callback is not None else None
    assert function is not None, one.name
    source = Source(function.__module__)
    node = _defined(source, function.__name__, function.__code__.co_firstlineno)
    shapes = [*_emitted(source, node, 0)]
    return _merged(shapes) if shapes else UNKNOWN


def _defined(source: Source, name: str, line: int) -> Function:
    named = [node for node in ast.walk(source.tree) if isinstance(node, Function) and node.name == name]
    return min(named, key=lambda node: abs(_begins(node) - line))


def _begins(node: Function) -> int:
    return min([node.lineno, *(one.lineno for one in node.decorator_list)])


def _emitted(source: Source, node: Function, depth: int) -> Iterator[Shape]:
    """What a function, or those below it that know of `as_json`, print."""
    scope = _Scope(source, node, depth)
    for call in ast.walk(node):
        match call:
            case ast.Call(func=ast.Name(id="emit"), args=[data, *_]):
                yield scope.shape(data)
            case ast.Call(func=ast.Attribute(value=ast.Name(id="json"), attr="dumps"), args=[data, *_]):
                yield scope.shape(data)
            case ast.Call(func=ast.Name(id=name)) if depth < _DEEPEST:
                below = look_up(source, name, node)
                if below is not None and _knows_of_json(below) and below.node is not node:
                    assert isinstance(below.node, Function), "only functions do"
                    yield from _emitted(below.source, below.node, depth + 1)
            case _:
                pass


def _knows_of_json(found: Found) -> bool:
    if not isinstance(found.node, Function) or not found.source.name.startswith("smki.cli."):
        return False
    return any(one.arg == "as_json" for one in (*found.node.args.args, *found.node.args.kwonlyargs))


@dataclass(frozen=True)
class _Scope:
    """A function's names, and how far we have followed."""

    source: Source
    node: Function
    depth: int
    of: ast.ClassDef | None = None
    asked: set[str] = field(default_factory=set)
    """Names being looked up: one that is made of itself says nothing about itself."""

    def shape(self, value: ast.expr | None) -> Shape:
        if self.depth > _DEEPEST:
            return UNKNOWN
        match value:
            case ast.Dict():
                return self._dict(value)
            case ast.ListComp(elt=one) | ast.GeneratorExp(elt=one):
                return [self.shape(one)]
            case ast.List(elts=many) | ast.Tuple(elts=many):
                return [_merged([self.shape(one) for one in many])] if many else [PLAIN]
            case ast.DictComp(value=one):
                return {"NAME": self.shape(one)}
            case ast.BinOp(op=ast.BitOr(), left=left, right=right):
                return _merged([self.shape(left), self.shape(right)])
            case ast.IfExp(body=left, orelse=right):
                return _merged([self.shape(left), self.shape(right)])
            case _:
                return self._elsewhere(value)

    def _elsewhere(self, value: ast.expr | None) -> Shape:
        """What is put together in another place than it is used."""
        match value:
            case ast.Name(id=name):
                return self._once(f"{name}=", lambda _: self._named(name)) or PLAIN
            case ast.Call():
                return self._called(value)
            case ast.Attribute(value=of, attr=name):
                return self._attribute(of, name)
            case _:
                return PLAIN

    def _dict(self, value: ast.Dict) -> Shape:
        found: dict[str, Shape] = {}
        for key, one in zip(value.keys, value.values, strict=True):
            if key is None:
                inner = self.shape(one)
                found |= inner if isinstance(inner, Mapping) else {UNKNOWN: PLAIN}
            elif isinstance(key, ast.Constant):
                found[str(key.value)] = self.shape(one)
            else:
                found["NAME"] = self.shape(one)
        return found

    def _named(self, name: str) -> Shape:
        shapes: list[Shape] = []
        for node in ast.walk(self.node):
            match node:
                case ast.Assign(targets=[ast.Name(id=target)], value=value) if target == name:
                    shapes.append(self.shape(value))
                case ast.AnnAssign(target=ast.Name(id=target), value=value) if target == name and value is not None:
                    shapes.append(self.shape(value))
                case ast.Assign(targets=[ast.Tuple(elts=[ast.Name(id=target)])], value=value) if target == name:
                    shapes += many if isinstance(many := self.shape(value), list) else []
                case ast.AugAssign(target=ast.Name(id=target), value=value) if target == name:
                    shapes.append(self.shape(value))
                case ast.Assign(
                    targets=[ast.Subscript(value=ast.Name(id=target), slice=ast.Constant(value=str(key)))],
                    value=value,
                ) if target == name:
                    shapes.append({key: self.shape(value)})
                case ast.Call(func=ast.Attribute(value=ast.Name(id=target), attr="append"), args=[value]) if (
                    target == name
                ):
                    shapes.append([self.shape(value)])
                case _:
                    pass
        known = [one for one in shapes if one not in ("", [""], {})]
        return _merged(known) if known else PLAIN if shapes else self._looped(name)

    def _looped(self, name: str) -> Shape:
        """A name that a loop gives: one of what it goes through."""
        for node in ast.walk(self.node):
            match node:
                case ast.comprehension(target=ast.Name(id=target), iter=many) if target == name:
                    pass
                case ast.For(target=ast.Name(id=target), iter=many) if target == name:
                    pass
                case _:
                    continue
            if isinstance(found := self.shape(many), list) and found:
                return found[0]
        return PLAIN

    def _called(self, call: ast.Call) -> Shape:
        match call.func:
            case ast.Name(id="asdict"):
                kind = self.kind(call.args[0])
                return UNKNOWN if kind is None else {_name(one): PLAIN for one in fields(kind.found)}
            case ast.Name(id=name) if name in _SAME and call.args:
                return self.shape(call.args[0])
            case ast.Name(id=name):
                below = look_up(self.source, name, self.node)
                return UNKNOWN if below is None and name.endswith("json") else self._returned(below)
            case ast.Attribute(value=of, attr=name):
                kind = self.kind(of)
                below = None if kind is None else member(kind.found, name)
                return UNKNOWN if below is None and name == "as_json" else self._returned(below)
            case _:
                return PLAIN

    def _attribute(self, of: ast.expr, name: str) -> Shape:
        kind = self.kind(of)
        below = None if kind is None else member(kind.found, name)
        return PLAIN if below is None else self._returned(below)

    def _returned(self, found: Found | None) -> Shape:
        if found is None or not isinstance(found.node, Function):
            return PLAIN
        below = _Scope(found.source, found.node, self.depth + 1, found.of)
        shapes = [below.shape(one.value) for one in ast.walk(found.node) if isinstance(one, ast.Return) and one.value]
        yields = [
            [below.shape(one.value)] for one in ast.walk(found.node) if isinstance(one, ast.Yield) and one.value
        ]
        known: list[Shape] = [one for one in (*shapes, *yields) if one not in ("", [""])]
        return _merged(known) if known else PLAIN

    def kind(self, value: ast.expr | None) -> Kind | None:
        """Of which class a value is."""
        match value:
            case ast.Name(id="self") if self.of is not None:
                return Kind(Found(self.source, self.of))
            case ast.Name(id=name):
                return self._once(name, self._kind_named)
            case ast.Call(func=ast.Name(id=name), args=args):
                if name in _SAME and args:
                    return self.kind(args[0])
                found = look_up(self.source, name, self.node)
                return None if found is None else _result(found)
            case ast.Call(func=ast.Attribute(value=of, attr=name)) | ast.Attribute(value=of, attr=name):
                kind = self.kind(of)
                return None if kind is None else _part(kind.found, name)
            case ast.ListComp(elt=one) | ast.GeneratorExp(elt=one):
                kind = self.kind(one)
                return None if kind is None else Kind(kind.found, many=True)
            case ast.Subscript(value=of) | ast.Starred(value=of):
                kind = self.kind(of)
                return None if kind is None else Kind(kind.found)
            case ast.IfExp(body=one, orelse=other):
                return self.kind(one) or self.kind(other)
            case _:
                return None

    def _once(self, name: str, look: Callable[[str], T]) -> T | None:
        if name in self.asked:
            return None
        self.asked.add(name)
        try:
            return look(name)
        finally:
            self.asked.discard(name)

    def _kind_named(self, name: str) -> Kind | None:
        for given in (*self.node.args.posonlyargs, *self.node.args.args, *self.node.args.kwonlyargs):
            if given.arg == name:
                return annotated(self.source, given.annotation)
        for node in ast.walk(self.node):
            kind = None
            match node:
                case ast.Assign(targets=[ast.Name(id=target)], value=value) if target == name:
                    kind = self.kind(value)
                case ast.AnnAssign(target=ast.Name(id=target), annotation=note) if target == name:
                    kind = annotated(self.source, note)
                case ast.comprehension(target=ast.Name(id=target), iter=many) if target == name:
                    kind = self.kind(many)
                case ast.For(target=ast.Name(id=target), iter=many) if target == name:
                    kind = self.kind(many)
                case _:
                    pass
            if kind is not None:
                return kind
        return None


def _result(found: Found) -> Kind | None:
    return Kind(found) if isinstance(found.node, ast.ClassDef) else annotated(found.source, found.node.returns)


def _part(found: Found, name: str) -> Kind | None:
    """Of which class a field is, or what a method or property gives."""
    for one in fields(found):
        if _name(one) == name:
            return annotated(found.source, one.annotation)
    below = member(found, name)
    return None if below is None else _result(below)


def _name(one: ast.AnnAssign) -> str:
    assert isinstance(one.target, ast.Name), "fields gives names"
    return one.target.id


def _merged(shapes: list[Shape]) -> Shape:
    """One shape for several: all keys that one of them has."""
    maps = [one for one in shapes if isinstance(one, Mapping)]
    if maps:
        found: dict[str, Shape] = {}
        for one in maps:
            for key, value in one.items():
                found[key] = _merged([found[key], value]) if key in found else value
        if any(one == UNKNOWN for one in shapes):
            found[UNKNOWN] = PLAIN
        return found
    lists = [one for one in shapes if isinstance(one, list)]
    if lists:
        return [_merged([inner for one in lists for inner in one])]
    return UNKNOWN if UNKNOWN in shapes else PLAIN


def _written(shape: Shape, within: tuple[str, ...] = ()) -> str:
    """As a line; what holds more of its own kind is told once."""
    if isinstance(shape, str):
        return "..."
    if isinstance(shape, list):
        return f"[{_written(shape[0], within) if shape and shape[0] else '...'}]"
    if "NAME" in shape:
        return f"{{NAME: {_written(shape['NAME'], within)}}}"
    parts = [
        key if value == PLAIN else f"{key}: {'...' if key in within else _written(value, (*within, key))}"
        for key, value in shape.items()
        if key != UNKNOWN
    ]
    return "{" + ", ".join([*parts, *([UNKNOWN] if UNKNOWN in shape else [])]) + "}"
