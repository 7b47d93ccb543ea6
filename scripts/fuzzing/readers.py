"""Finds every function of smki that reads octets or text: by what it calls, and by its name.

So no list has to be kept of them: a reader that no target reaches is found the day it is written.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import smki

HOUSE = Path(smki.__file__).parent
_CALLS = {
    "a2b_base64", "b64decode", "convert", "decode_der", "fromhex", "fromisoformat", "ip_address", "loads",
    "read_toml", "strptime", "unpack", "TarFile", "ZipFile",
    "read_bytes", "read_text", "readline", "readlines", "splitlines",
}  # fmt: skip
_LOADS = ("load_der_", "load_pem_")
_NAMES = ("read", "parse", "load", "decode")
_OUTSIDE = {"bytes", "str", "Path", "BinaryIO"}


def readers() -> dict[str, str]:
    """Each with what made it one: `smki.entity:EntityId.parse`."""
    found: dict[str, str] = {}
    for path in sorted(HOUSE.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        module = ".".join(path.relative_to(HOUSE.parent).with_suffix("").parts).removesuffix(".__init__")
        decoders = {
            ast.unparse(target)
            for node in tree.body
            if isinstance(node, ast.Assign) and "Decoder(" in ast.unparse(node.value)
            for target in node.targets
        }
        for name, function in _functions(tree, ""):
            why = next(_reasons(function, decoders), None)
            if why is not None:
                found[f"{module}:{name}"] = why
    return found


def _functions(node: ast.AST, above: str) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield above + child.name, child
            yield from _functions(child, f"{above}{child.name}.<locals>.")
        else:
            yield from _functions(child, f"{above}{child.name}." if isinstance(child, ast.ClassDef) else above)


def _reasons(function: ast.FunctionDef | ast.AsyncFunctionDef, decoders: set[str]) -> Iterator[str]:
    arguments = [*function.args.args, *function.args.posonlyargs]
    kinds = {ast.unparse(one.annotation) for one in arguments if one.annotation is not None}
    if function.name.lstrip("_").split("_")[0] in _NAMES and kinds & _OUTSIDE:
        yield "its name"
    for node in _own(function):
        if isinstance(node, ast.Name) and node.id in decoders:
            yield node.id
        if isinstance(node, ast.Call) and not (node.args and isinstance(node.args[0], ast.Constant)):
            called = ast.unparse(node.func)
            last = called.rpartition(".")[2]
            if last in _CALLS or last.startswith(_LOADS) or ("msgspec" in called and last == "decode"):
                yield called


def _own(function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[ast.AST]:
    """What stands in a function and in none inside it."""
    waiting: list[ast.AST] = list(ast.iter_child_nodes(function))
    while waiting:
        node = waiting.pop()
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node
            waiting.extend(ast.iter_child_nodes(node))
