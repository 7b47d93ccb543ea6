"""docs/reference/python.md: the pure packages for those who import them, read by ast: nothing is run."""

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path

from scripts.references.scopes import Function
from scripts.references.sources import ROOT, beneath, tree_of

_HEAD = """# Python

Written by `scripts/reference` from the source, for firmware developers and integrators.

Three packages are pure: octets and values in, octets and values out; no file, no clock, no network, no HSM. Times,
serial numbers, counters and entropy are arguments. `smki.device` needs nothing beside `cryptography`; `smki.pki` and
`smki.gbcs` need what `pip install smki` brings. [Devices](../devices.md) shows them at work.

**What is public.** The names that a package's own `__init__` exports, marked *exported* here: they keep their meaning
within a major version. Beside them stands what has no `_` before its name in a module of these packages: use it, and
read CHANGELOG before a new minor version. All else, and every other package, is ours to change.

What is wrong with an input is an [error with a code](errors.md) (`smki.errors`), or a verdict that is a value.
"""
_PACKAGES = {
    "smki.device": "What a device holds and decides.",
    "smki.gbcs": "What a message is: header, payload, protection, use case.",
    "smki.pki": "What a certificate is: profile, request, certificate, path, list.",
    "smki": "What all of them speak of.",
}
_VOCABULARY = ("entity.py", "errors.py", "meter_point.py")


def page() -> str:
    """The whole page."""
    parts = [_HEAD]
    modules = {package: list(_modules(package)) for package in _PACKAGES}
    for package, about in _PACKAGES.items():
        parts.append(f"- **[{package}](#{_anchor(package)})**: {about[0].lower()}{about[1:]}")
        listed = ", ".join(
            f"[{_name(path).removeprefix(package + '.')}](#{_anchor(_name(path))})" for path in modules[package]
        )
        parts.append(f"  {listed}")
    parts.append("")
    for package, about in _PACKAGES.items():
        parts += [f"## {package}", "", about, ""]
        exported = frozenset(_exported(package))
        for path in modules[package]:
            parts += _of_module(path, exported)
    return "\n".join(parts).rstrip("\n") + "\n"


def _modules(package: str) -> Iterator[Path]:
    folder = ROOT.joinpath(*package.split("."))
    found = [folder / name for name in _VOCABULARY] if package == "smki" else sorted(folder.rglob("*.py"))
    yield from (path for path in found if any(True for _ in _members(path)))


def _name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def _anchor(name: str) -> str:
    return name.replace(".", "")


def _exported(package: str) -> Iterator[str]:
    """What the `__init__` of a package takes from its modules: `module.name`."""
    for init in sorted(ROOT.joinpath(*package.split(".")).rglob("__init__.py")):
        for node in tree_of(init).body:
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("smki."):
                yield from (f"{node.module}.{one.name}" for one in node.names)


def _members(path: Path) -> Iterator[ast.ClassDef | Function]:
    for node in tree_of(path).body:
        if isinstance(node, ast.ClassDef | Function) and not node.name.startswith("_"):
            yield node


def _of_module(path: Path, exported: frozenset[str]) -> Iterator[str]:
    name = _name(path)
    yield from (f"### {name}", "", _first(tree_of(path)), "")
    for node in _members(path):
        mark = " *exported*" if f"{name}.{node.name}" in exported else ""
        if isinstance(node, ast.ClassDef):
            yield from _of_class(node, mark)
        else:
            yield f"- `{_signature(node)}`{mark}{_after(_first(node))}"
    yield ""


def _of_class(node: ast.ClassDef, mark: str) -> Iterator[str]:
    bases = ", ".join(ast.unparse(one) for one in node.bases)
    yield f"- `class {node.name}{f'({bases})' if bases else ''}`{mark}{_after(_first(node))}"
    told = beneath(node.body)
    for one in node.body:
        match one:
            case ast.AnnAssign(target=ast.Name(id=name), annotation=note) if not name.startswith("_"):
                default = f" = {ast.unparse(one.value)}" if one.value is not None else ""
                yield f"    - `{name}: {ast.unparse(note)}{default}`{_after(told.get(name, ''))}"
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if name.isupper():
                yield f"    - `{name} = {ast.unparse(value)}`{_after(told.get(name, ''))}"
            case ast.FunctionDef() if not one.name.startswith("_"):
                yield f"    - `{_signature(one)}`{_after(_first(one))}"
            case _:
                pass


def _signature(node: Function) -> str:
    marks = {ast.unparse(one) for one in node.decorator_list}
    result = f" -> {ast.unparse(node.returns)}" if node.returns is not None else ""
    if marks & {"property", "cached_property"}:
        return f"{node.name}{result.replace(' -> ', ': ')}"
    given = ast.unparse(node.args)
    for own in ("self, ", "self", "cls, ", "cls"):
        given = given.removeprefix(own) if node.args.args and node.args.args[0].arg in {"self", "cls"} else given
    return f"{'classmethod ' if 'classmethod' in marks else ''}{node.name}({given}){result}"


def _first(node: ast.Module | ast.ClassDef | Function) -> str:
    """The first paragraph of what it says of itself."""
    words = inspect.cleandoc(ast.get_docstring(node) or "").split("\n\n")[0]
    return " ".join(words.split())


def _after(words: str) -> str:
    return f": {' '.join(words.split())}" if words else ""
