"""Names in our own source: which function or class one means, and of which class a value is, as annotations say."""

import ast
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from scripts.references.sources import ROOT, tree_of

_MANY = {"list", "tuple", "Iterable", "Iterator", "Sequence", "Collection", "frozenset", "set"}
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Source:
    """A module of ours."""

    name: str

    @property
    def path(self) -> Path:
        path = ROOT.joinpath(*self.name.split("."))
        return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")

    @property
    def tree(self) -> ast.Module:
        return tree_of(self.path)


@dataclass(frozen=True)
class Found:
    """A function or class, and where it stands."""

    source: Source
    node: Function | ast.ClassDef
    of: ast.ClassDef | None = None
    """The class whose method it is."""


@dataclass(frozen=True)
class Kind:
    """A class of ours, or several of it."""

    found: Found
    many: bool = False


@cache
def look_up(source: Source, name: str, within: Function | None = None) -> Found | None:
    """What a name means in a module, or in one of its functions."""
    for node in ast.walk(within) if within is not None else ():
        if isinstance(node, Function) and node is not within and node.name == name:
            return Found(source, node)
        if isinstance(node, ast.ImportFrom) and (found := _imported(node, name)):
            return found
    for node in source.tree.body:
        if isinstance(node, Function | ast.ClassDef) and node.name == name:
            return Found(source, node)
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ImportFrom) and (found := _imported(node, name)):
            return found
    return None


def _imported(node: ast.ImportFrom, name: str) -> Found | None:
    for alias in node.names:
        if (alias.asname or alias.name) == name and (node.module or "").startswith("smki."):
            return look_up(Source(node.module or ""), alias.name)
    return None


def member(found: Found, name: str) -> Found | None:
    """A method or property of a class, its bases' too."""
    assert isinstance(found.node, ast.ClassDef), "asked of classes"
    for node in found.node.body:
        if isinstance(node, Function) and node.name == name:
            return Found(found.source, node, found.node)
    for base in found.node.bases:
        above = look_up(found.source, base.id) if isinstance(base, ast.Name) else None
        if above is not None and isinstance(above.node, ast.ClassDef) and (inherited := member(above, name)):
            return inherited
    return None


def fields(found: Found) -> list[ast.AnnAssign]:
    assert isinstance(found.node, ast.ClassDef), "asked of classes"
    return [one for one in found.node.body if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name)]


def annotated(source: Source, note: ast.expr | None) -> Kind | None:
    """The class an annotation names."""
    match note:
        case ast.Constant(value=str(text)):
            return annotated(source, ast.parse(text, mode="eval").body)
        case ast.Name(id=name):
            found = look_up(source, name)
            return Kind(found) if found is not None and isinstance(found.node, ast.ClassDef) else None
        case ast.BinOp(op=ast.BitOr(), left=left, right=right):
            return annotated(source, left) or annotated(source, right)
        case ast.Subscript(value=ast.Name(id=name), slice=inner) if name in _MANY:
            first = inner.elts[0] if isinstance(inner, ast.Tuple) and inner.elts else inner
            kind = annotated(source, first)
            return None if kind is None else Kind(kind.found, many=True)
        case _:
            return None
